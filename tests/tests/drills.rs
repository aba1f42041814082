//! The drill, whole: with each sabotage, and started by hand. Each brings up a world of its own.
//!
//! What these do not prove: that AWS behaves as the emulator does. `infra/README.md` names what differs.

use std::sync::{Arc, OnceLock};

use lifeboat_tests::drill::{self, Options, Sabotage, Start, Summary};
use lifeboat_tests::world::explain;
use tokio::sync::Semaphore;

/// Fewer orders than the command's default: here it is the ways to fail that count.
const ORDERS: usize = 2_000;
/// Worlds at once. A drill mostly waits for the minute of the schedule; two cores carry this many.
const WORLDS_AT_ONCE: usize = 3;

fn worlds() -> &'static Semaphore {
    static WORLDS: OnceLock<Semaphore> = OnceLock::new();
    WORLDS.get_or_init(|| Semaphore::const_new(WORLDS_AT_ONCE))
}

async fn drill(name: &'static str, sabotage: Option<Sabotage>, start: Start) -> Summary {
    static BUILT: OnceLock<()> = OnceLock::new();
    let _turn = worlds().acquire().await.expect("nobody closes it");
    BUILT.get_or_init(|| drill::build().unwrap_or_else(|err| panic!("{}", explain(&err))));
    let report = Arc::new(move |line: &str| eprintln!("{name}: {line}"));
    let options = Options { sabotage, start, orders: ORDERS, report };
    let summary = drill::run(&options).await.unwrap_or_else(|err| panic!("{name}: {}", explain(&err)));
    for check in &summary.checks {
        assert!(
            check.holds,
            "{name}: {} ({}); {}: {}",
            check.what, check.found, summary.outcome, summary.reason
        );
    }
    assert!(summary.acknowledged >= ORDERS, "{name}: {} acknowledged", summary.acknowledged);
    assert_eq!((summary.lost, summary.duplicated, summary.unanswered), (Some(0), Some(0), Some(0)), "{name}");
    assert_eq!(summary.recovered, Some(summary.acknowledged), "{name}");
    summary
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_is_killed_and_brought_back() {
    let summary = drill("failover", None, Start::Alarm).await;
    assert_eq!((summary.outcome.as_str(), summary.exit_code()), ("Recovered", 0));
    assert_eq!((summary.epoch, summary.ledger_verdict.as_deref()), (Some(2), Some("Proven")));
    assert!(summary.rto_seconds.is_some() && summary.detection_seconds.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_by_hand_does_the_same_as_the_alarm() {
    let by_hand = drill("by hand", None, Start::Operator).await;
    assert_eq!((by_hand.outcome.as_str(), by_hand.epoch), ("Recovered", Some(2)));
    assert_eq!(by_hand.ledger_verdict.as_deref(), Some("Proven"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_in_the_history_halts_before_any_seal() {
    let summary = drill("ledger-gap", Some(Sabotage::LedgerGap), Start::Alarm).await;
    assert_eq!((summary.outcome.as_str(), summary.exit_code()), ("Broken", 1));
    assert_eq!(summary.ledger_verdict.as_deref(), Some("Broken"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_that_fails_halts_and_leaves_nothing() {
    let summary = drill("stack-fails", Some(Sabotage::StackFails), Start::Alarm).await;
    assert_eq!((summary.outcome.as_str(), summary.exit_code()), ("Halted", 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_false_alarm_stands_down() {
    let summary = drill("false-alarm", Some(Sabotage::FalseAlarm), Start::Alarm).await;
    assert_eq!((summary.outcome.as_str(), summary.exit_code()), ("StoodDown", 0));
    assert_eq!(summary.epoch, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_primary_that_wakes_up_acknowledges_nothing() {
    let summary = drill("zombie", Some(Sabotage::Zombie), Start::Alarm).await;
    assert_eq!((summary.outcome.as_str(), summary.exit_code()), ("Recovered", 0));
}
