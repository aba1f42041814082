//! A history that is cut into shards, on the local world: with the real Lambda, and the real definition's branch.
//!
//! It shows that the shards are joined to the same proof, that a shard which fails is tried again alone, and that behind a
//! checkpoint only the tail is read. It does not show how fast AWS does it.

use std::collections::BTreeSet;
use std::sync::Arc;

use lifeboat_ledger::slot;
use lifeboat_rules::evidence::Phase;
use lifeboat_tests::drill;
use lifeboat_tests::scale::{self, Options, Verified};

const ENTRIES: u64 = 60_000;
const OBJECTS: u64 = 200;
const SHARD_ENTRIES: u32 = 8_000;

/// The number of the attempt of each record of the step, one for each call.
fn attempts(verified: &Verified, step: &str) -> Vec<u32> {
    let intents = verified.records.iter().filter(|record| record.phase == Phase::Intent);
    let mut attempts: Vec<u32> =
        intents.filter(|record| record.step.name == step).map(|record| record.step.attempt).collect();
    attempts.sort_unstable();
    attempts
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_history_is_proven_in_shards_and_its_tail_from_a_checkpoint() {
    tokio::task::spawn_blocking(drill::build).await.unwrap().unwrap();
    let options = Options {
        entries: ENTRIES,
        objects: OBJECTS,
        shard_entries: SHARD_ENTRIES,
        fail_one: true,
        report: Arc::new(|line| eprintln!("{line}")),
    };
    let measured = scale::run(&options).await.unwrap();

    let whole = &measured.whole;
    assert_eq!(whole.verdict, "Proven", "{}", whole.reason);
    assert!(measured.shards.len() > 5, "{:?}", measured.shards);
    // Every segment of the whole was read; that the shard which failed was tried again alone, the attempts below say exactly.
    let (mut again, mut seconds) = (0, 0);
    let failed = measured.failed.expect("a shard was made to fail");
    for (key, times) in &whole.reads {
        let (stream, seq) = slot::parse("", key).unwrap_or_else(|| panic!("{key} is no slot"));
        if measured.shards[failed].iter().any(|range| range.holds(stream, seq)) {
            again += u64::from(*times > 1);
        } else {
            seconds += u64::from(*times > 1);
        }
    }
    assert!(again > 0, "the shard that failed was read again: {:?}", whole.reads);
    // Elsewhere the SDK itself may have asked again for one or the other, on a machine that is busy.
    assert!(seconds <= OBJECTS / 20, "{seconds} objects of other shards were read again: {:?}", whole.reads);
    let mut expected = vec![0; measured.shards.len()];
    expected.push(1);
    assert_eq!(attempts(whole, "Verify a shard"), expected);
    assert_eq!(attempts(whole, "Join the shards"), [0]);
    let errors: Vec<&str> = whole.records.iter().filter_map(|record| record.body["error"].as_str()).collect();
    assert_eq!(errors, ["Transient"]);

    let tail = &measured.tail;
    assert_eq!((tail.verdict.as_str(), tail.entries), ("Proven", ENTRIES), "{}", tail.reason);
    assert!(whole.entries < ENTRIES, "the tail was there from the beginning");
    // Behind the checkpoint, and the segment in which each stream's checkpoint ends: nothing else of the long history.
    let new: BTreeSet<&String> = tail.reads.keys().filter(|key| !whole.reads.contains_key(*key)).collect();
    let old: BTreeSet<&String> = tail.reads.keys().filter(|key| whole.reads.contains_key(*key)).collect();
    assert!(!new.is_empty() && new.len() + old.len() < 10, "{:?}", tail.reads);
    assert_eq!(old.len(), 2, "one for each stream: {old:?}");
    assert_eq!(attempts(tail, "Verify a shard"), Vec::<u32>::new());

    // No more is read than of a ledger that is no longer than the tail, but for those two.
    let short = &measured.short;
    assert_eq!(short.verdict, "Proven", "{}", short.reason);
    assert!(tail.reads.len() <= short.reads.len() + old.len(), "{:?} {:?}", tail.reads, short.reads);
}
