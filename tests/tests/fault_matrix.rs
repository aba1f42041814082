//! A part of the fault matrix, played at every change: each effect of a run outside of its evidence, with its answer lost and with
//! its caller killed. The whole is `cargo run -p lifeboat-tests --bin fault_matrix`; what it came to is `tests/FAULT_MATRIX.md`.
//!
//! What this does not prove: that AWS fails as the proxy does (a call is refused, delayed, throttled or done; it is never half
//! done).

use std::collections::VecDeque;
use std::sync::OnceLock;

use lifeboat_rules::plan::Strategy;
use lifeboat_tests::drill;
use lifeboat_tests::matrix::case::{self, Case, Fault};
use lifeboat_tests::matrix::{Came, Matrix, page};
use lifeboat_tests::world::{WorldOptions, explain};

/// What is done to each effect.
const FAULTS: [Fault; 2] = [Fault::AnswerLost, Fault::Killed];

/// Records a run, and plays what is chosen of its calls.
async fn play(strategy: Strategy, false_alarm: bool, chosen: impl Fn(&Case) -> bool) {
    static BUILT: OnceLock<Result<(), String>> = OnceLock::new();
    let build = || BUILT.get_or_init(|| drill::build().map_err(|why| explain(&why))).clone();
    tokio::task::spawn_blocking(build).await.unwrap().unwrap();
    let matrix = Matrix::set(strategy, false_alarm, WorldOptions::default())
        .await
        .unwrap_or_else(|why| panic!("{}", explain(&why)));

    let page = std::fs::read_to_string(page::path()).unwrap();
    let part = if false_alarm { "false-alarm".to_owned() } else { strategy.to_string() };
    for call in matrix.calls() {
        // How often a stack is asked for depends on the machine; that it is does not.
        let row = format!("| {} |", call.what);
        assert!(
            section(&page, &part, &call.state).lines().any(|line| line.starts_with(&row)),
            "{}: {row} is not on the page below `{part}`: play the matrix and write it",
            call.state
        );
    }

    let mut cases: VecDeque<Case> = case::all(strategy, false_alarm, matrix.calls(), &FAULTS).into();
    cases.retain(chosen);
    assert!(!cases.is_empty(), "there is nothing to play");
    let is_to_come = if false_alarm { Came::Primary } else { Came::Recovery };
    let mut wrongs = Vec::new();
    let done = |played: lifeboat_tests::matrix::result::Played| {
        println!("{:5.1} s  {:?}  {}", played.seconds, played.came, played.case.id());
        let complaints = played.complaints();
        if !complaints.is_empty() || played.came != is_to_come {
            wrongs.push(format!("{}: {:?}: {}", played.case.id(), played.outcome, complaints.join("; ")));
        }
        Ok(())
    };
    matrix.play(|| cases.pop_front(), done).await.unwrap_or_else(|why| panic!("{}", explain(&why)));
    assert!(wrongs.is_empty(), "each of these faults is to be survived:\n{}", wrongs.join("\n"));
}

/// What a part of the page that is made says of a state; nothing where it does not know the state.
fn section<'a>(page: &'a str, part: &str, state: &str) -> &'a str {
    let between = |text: &'a str, begin: &str, end: &str| {
        let (_, behind) = text.split_once(begin)?;
        Some(behind.split_once(end).map_or(behind, |(inside, _)| inside))
    };
    let part = between(page, &format!("<!-- diagram:{part} -->\n"), "<!-- /diagram:");
    part.and_then(|part| between(part, &format!("### {state}\n"), "\n### ")).unwrap_or_default()
}

#[test]
fn a_row_is_looked_for_where_its_call_is_made() {
    let page = "<!-- diagram:switch -->\n### A\n\n| one |\n\n### A again\n\n| two |\n<!-- /diagram:switch -->\n\n\
        <!-- diagram:records -->\n### A\n\n| three |\n<!-- /diagram:records -->\n";
    let rows = |part, state| section(page, part, state).trim();
    assert_eq!(rows("switch", "A"), "| one |");
    assert_eq!(rows("switch", "A again"), "| two |");
    assert_eq!(rows("records", "A"), "| three |");
    assert_eq!((rows("records", "A again"), rows("pairs", "A")), ("", ""));
}

/// Whether it changes more than the evidence.
fn is_effect(case: &Case) -> bool {
    case.troubles.iter().all(|trouble| trouble.call.effect && !trouble.call.what.contains("evidence"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_survives_a_fault_at_each_of_its_effects() {
    play(Strategy::Switch, false, is_effect).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_survives_a_fault_at_each_batch_of_records() {
    play(Strategy::Records, false, |case| {
        is_effect(case) && case.troubles[0].call.state == "Flip the traffic"
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_false_alarm_comes_to_nothing_whatever_its_undo_meets() {
    play(Strategy::Switch, true, is_effect).await;
}
