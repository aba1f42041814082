//! The chain: which records an intent names as those before it.
//!
//! An intent names its run's *heads*, the records that no record names yet; an outcome names its intent. So branches that
//! ran side by side are joined by whatever begins next, an attempt follows the one that failed before it, and a step that
//! was cut off leaves an intent which the next attempt names.
//!
//! Heads are found by reading back from the newest record, no further than an intent's own clock allows: what was stored
//! well before an intent looked is behind that intent already.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::{Phase, Record, sha256};

/// Records that an intent reads to find the heads. Beyond them (hundreds of shards side by side) a record is named by the
/// manifest alone.
const READ_MAX: usize = 256;
/// Records that the intent of a shard reads: there may be a thousand of these at once, and whatever joins them reads on.
const SHARD_READ_MAX: usize = 16;
/// What the first record of a run asks for: it alone may name nothing.
pub const FIRST: &str = "admit";
/// What the request of a shard asks for.
const SHARD: &str = "verify_shard";

/// Seconds for which a put may be on its way: S3 stamps a record when the put begins, and shows it when it has ended.
const ON_ITS_WAY_SECONDS: i64 = 60;

/// How many records the intent of a step that asks for `action` reads at most.
pub fn read_max(action: &str) -> usize {
    if action == SHARD { SHARD_READ_MAX } else { READ_MAX }
}

/// Whether the name of an object, below its run's prefix, is that of a record.
pub fn is_record(name: &str) -> bool {
    let of_step = |phase: Phase| name.ends_with(&format!("-{}.json", phase.as_str()));
    !name.contains('/') && (of_step(Phase::Intent) || of_step(Phase::Outcome))
}

/// Finds the heads from records that are handed in from the newest back.
#[derive(Clone, Debug, Default)]
pub struct Heads {
    read: Vec<(Timestamp, String)>,
    named: BTreeSet<String>,
    /// What was stored before it is behind an intent that was read.
    behind: Option<Timestamp>,
}

impl Heads {
    /// Whether a record that was stored at that time, by S3's clock, and with it every older one, need not be read.
    pub fn is_behind(&self, stored_at: Timestamp) -> bool {
        self.behind.is_some_and(|behind| stored_at < behind)
    }

    /// Takes in a record as it is stored. What lies there and is none names nothing, and is named by nothing: a verifier says
    /// that it is none, and the chain does not rest on it.
    pub fn read(&mut self, stored_at: Timestamp, bytes: &[u8]) {
        let Ok(record) = serde_json::from_slice::<Record>(bytes) else { return };
        self.read.push((stored_at, sha256(bytes)));
        self.named.extend(record.previous);
        let on_its_way = SignedDuration::from_secs(ON_ITS_WAY_SECONDS);
        // Whatever a record says of itself, it had looked when it was stored.
        let looked_at = record.s3_at.map(|at| at.min(stored_at));
        let behind = looked_at.and_then(|at| at.checked_sub(on_its_way).ok());
        self.behind = self.behind.max(behind);
    }

    /// The digests of the heads, in an order of their own.
    pub fn found(self) -> Vec<String> {
        let Heads { read, named, behind } = self;
        let heads = read
            .into_iter()
            .filter(|(stored_at, sha256)| {
                behind.is_none_or(|behind| *stored_at >= behind) && !named.contains(sha256)
            })
            .map(|(_, sha256)| sha256);
        heads.collect::<BTreeSet<_>>().into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Step;

    /// A run's store: records with the second at which they were stored, the oldest first.
    #[derive(Default)]
    struct Run {
        stored: Vec<(Timestamp, Vec<u8>)>,
    }

    impl Run {
        fn at(second: i64) -> Timestamp {
            Timestamp::from_second(1_795_000_000 + second).unwrap()
        }

        /// The heads as a step finds them, and how many records it has read.
        fn heads(&self) -> (Vec<String>, usize) {
            let mut heads = Heads::default();
            let newest_first = self.stored.iter().rev();
            let needed: Vec<_> = newest_first
                .take_while(|(at, bytes)| {
                    let needed = !heads.is_behind(*at);
                    if needed {
                        heads.read(*at, bytes);
                    }
                    needed
                })
                .collect();
            let read = needed.len();
            (heads.found(), read)
        }

        fn put(&mut self, second: i64, phase: Phase, request_id: &str, previous: &[String]) -> String {
            let at = Run::at(second);
            let record = Record {
                phase,
                step: Step {
                    run: "run-1".into(),
                    plan_key: "plan/aex.json".into(),
                    name: "Seal the ledger".into(),
                    entered: at.to_string(),
                    attempt: 0,
                },
                epoch: Some(7),
                at,
                s3_at: (phase == Phase::Intent).then_some(at),
                request_id: request_id.into(),
                previous: previous.to_vec(),
                body: json!({}),
            };
            let bytes = serde_json::to_vec(&record).unwrap();
            let sha256 = sha256(&bytes);
            self.stored.push((at, bytes));
            sha256
        }

        fn begin(&mut self, second: i64, request_id: &str) -> String {
            let (heads, _) = self.heads();
            self.put(second, Phase::Intent, request_id, &heads)
        }
    }

    #[test]
    fn the_first_record_of_a_run_names_none() {
        assert!(Run::default().heads().0.is_empty());
    }

    #[test]
    fn steps_follow_one_another_and_what_ran_side_by_side_is_joined() {
        let mut run = Run::default();
        let admit = run.begin(0, "admit");
        let admitted = run.put(1, Phase::Outcome, "admit", &[admit]);
        // Two branches that begin at once see the same.
        let (heads, _) = run.heads();
        assert_eq!(heads, [admitted]);
        let launch = run.put(2, Phase::Intent, "launch", &heads);
        let verify = run.put(2, Phase::Intent, "verify", &heads);
        let verified = run.put(3, Phase::Outcome, "verify", &[verify]);
        let launched = run.put(4, Phase::Outcome, "launch", &[launch]);
        let mut both = [verified, launched];
        both.sort();
        assert_eq!(run.heads().0, both);
        let seal = run.begin(5, "seal");
        assert_eq!(run.heads().0, [seal]);
    }

    #[test]
    fn an_attempt_follows_the_one_that_was_cut_off() {
        let mut run = Run::default();
        let cut_off = run.begin(0, "first");
        let (heads, _) = run.heads();
        assert_eq!(heads, [cut_off]);
        let again = run.begin(1, "second");
        assert_eq!(run.heads().0, [again]);
    }

    #[test]
    fn no_more_is_read_than_the_newest_intent_leaves_open() {
        let mut run = Run::default();
        for step in 0..50 {
            let intent = run.begin(step * 100, &format!("step {step}"));
            run.put(step * 100 + 1, Phase::Outcome, &format!("step {step}"), &[intent]);
        }
        let (heads, read) = run.heads();
        assert_eq!(heads.len(), 1);
        assert_eq!(read, 2, "the last step's own records");
        // A late duplicate of an old step, stored now, is a head beside it.
        run.put(4_902, Phase::Outcome, "step 3 again", &[]);
        assert_eq!(run.heads().0.len(), 2);
    }

    #[test]
    fn what_is_no_record_is_named_by_nothing_and_hides_nothing() {
        let mut run = Run::default();
        let admit = run.begin(0, "admit");
        run.stored.push((Run::at(1), b"no record".to_vec()));
        assert_eq!(run.heads().0, [admit]);
        let claim = run.begin(2, "claim");
        assert_eq!(run.heads().0, [claim]);
    }

    #[test]
    fn a_record_that_says_it_looked_in_the_future_hides_nothing() {
        let mut run = Run::default();
        let admit = run.begin(0, "admit");
        run.put(3_600, Phase::Intent, "forged", &[]);
        run.stored.last_mut().unwrap().0 = Run::at(1);
        assert!(run.heads().0.contains(&admit), "{:?}", run.heads());
    }

    #[test]
    fn a_shard_reads_a_handful_and_names_something_all_the_same() {
        assert!(read_max("verify_shard") < read_max("join_shards"));
        let mut run = Run::default();
        let cut = run.begin(0, "verify the history");
        let shards: Vec<_> = (0..300)
            .map(|shard| run.put(1, Phase::Intent, &format!("shard {shard}"), std::slice::from_ref(&cut)))
            .collect();
        let mut heads = Heads::default();
        for (at, bytes) in run.stored.iter().rev().take(read_max("verify_shard")) {
            heads.read(*at, bytes);
        }
        let found = heads.found();
        assert!(!found.is_empty() && found.iter().all(|sha256| shards.contains(sha256)));
    }

    #[test]
    fn records_are_told_from_what_is_left_beside_them() {
        assert!(is_record("2026-11-24T00:00:00Z-Seal-the-ledger-0-x-intent.json"));
        for other in ["manifest.json", "left/2026-x-0-a-outcome.json", "shards/a-intent.json", "x-intent.txt"]
        {
            assert!(!is_record(other), "{other}");
        }
    }
}
