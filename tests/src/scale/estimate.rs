//! What a large ledger takes on AWS, by arithmetic: from prices and limits that AWS publishes, and from what is assumed of a
//! function's bandwidth, of the delay before an object's first byte, and of what a map takes to start. Nothing of this was
//! run on AWS, and nothing in it was measured.

use std::fmt::Write as _;

use ledger_verify::read::Range;
use ledger_verify::shards::cut;

use crate::definition::Definition;

/// Bytes of an entry, as the generator makes them.
const ENTRY_BYTES: u64 = 220;
/// The default of the plan's `limits.shard_entries`.
const SHARD_ENTRIES: u64 = 200_000;
/// Assumed: what one function gets out of S3, in bytes a second. AWS publishes no figure. The verifier itself takes in several
/// times as much, so that this is what a shard waits for.
const FUNCTION_BYTES_A_SECOND: f64 = 75e6;
/// Assumed: an object's first byte comes after this many seconds, and 32 are waited for at once.
const FIRST_BYTE_SECONDS: f64 = 0.03;
/// Assumed: start of the map, cold starts, the join.
const FIXED_SECONDS: f64 = 5.0;
/// Objects that one function reads at once.
const IN_FLIGHT: f64 = 32.0;
/// The function's own timeout in `infra/orchestrator.yaml`.
const FUNCTION_SECONDS_MAX: f64 = 300.0;
/// Its memory in GB: 1,769 MB.
const FUNCTION_GB: f64 = 1_769.0 / 1_024.0;
/// Reads a second below one prefix, which is one stream, before S3 has divided it up.
const S3_READS_A_SECOND: f64 = 5_500.0;
/// Dollars of one GB-second on arm64, the template's default.
const DOLLARS_A_GB_SECOND: f64 = 0.000_013_333_4;
/// Dollars of one read, one listing, one state transition, one invocation.
const DOLLARS_A_GET: f64 = 0.000_000_4;
const DOLLARS_A_LIST: f64 = 0.000_005;
const DOLLARS_A_TRANSITION: f64 = 0.000_025;
const DOLLARS_AN_INVOCATION: f64 = 0.000_000_2;
/// State transitions of a child: its start, and its one task.
const TRANSITIONS_A_SHARD: f64 = 2.0;
/// Objects of a page.
const PAGE: f64 = 1_000.0;

/// A ledger to verify.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// What it is.
    pub what: &'static str,
    /// Bytes in all.
    pub bytes: u64,
    /// Bytes of an object.
    pub object_bytes: u64,
    /// Streams, of one length.
    pub streams: u64,
}

/// The cases of the page.
pub const CASES: [Case; 5] = [
    Case { what: "5 million entries", bytes: 1_100_000_000, object_bytes: 550_000, streams: 2 },
    Case { what: "100 GB", bytes: 100_000_000_000, object_bytes: 550_000, streams: 2 },
    Case { what: "1 TB", bytes: 1_000_000_000_000, object_bytes: 550_000, streams: 8 },
    Case { what: "1 TB, one stream", bytes: 1_000_000_000_000, object_bytes: 550_000, streams: 1 },
    Case { what: "1 TB, commits of 100 entries", bytes: 1_000_000_000_000, object_bytes: 22_000, streams: 8 },
];

/// What a case comes to.
#[derive(Clone, Copy, Debug)]
pub struct Estimate {
    /// Shards.
    pub shards: usize,
    /// Seconds that one of them takes.
    pub shard_seconds: f64,
    /// Seconds for all.
    pub seconds: f64,
    /// US dollars.
    pub dollars: f64,
}

impl Estimate {
    /// Computes it, for `at_once` calls side by side.
    pub fn of(case: &Case, at_once: f64) -> Estimate {
        let entries = case.bytes / ENTRY_BYTES / case.streams;
        let range = |stream: u64| Range { stream: stream.to_string(), from: 1, until: entries };
        let shards = cut(&(0..case.streams).map(range).collect::<Vec<_>>(), SHARD_ENTRIES).len();
        let (count, bytes) = (shards as f64, case.bytes as f64);
        let gets = bytes / case.object_bytes as f64;
        let side_by_side = count.min(at_once);
        // What the slowest of three holds a shard to: the function's bandwidth, its waiting for first bytes, and its part of
        // the reads that S3 answers.
        let s3 = S3_READS_A_SECOND * case.streams as f64;
        let shard_gets = gets / count;
        let shard_seconds = (bytes / count / FUNCTION_BYTES_A_SECOND)
            .max(shard_gets * FIRST_BYTE_SECONDS / IN_FLIGHT)
            .max(shard_gets * side_by_side / s3);
        let seconds = FIXED_SECONDS + (count / side_by_side).ceil() * shard_seconds;
        let dollars = count * shard_seconds * FUNCTION_GB * DOLLARS_A_GB_SECOND
            + gets * DOLLARS_A_GET
            + (gets / PAGE + count) * DOLLARS_A_LIST
            + count * (TRANSITIONS_A_SHARD * DOLLARS_A_TRANSITION + DOLLARS_AN_INVOCATION);
        Estimate { shards, shard_seconds, seconds, dollars }
    }

    /// Whether each shard is read before its function gives up, with as much time to spare.
    pub fn fits(&self) -> bool {
        self.shard_seconds * 2.0 <= FUNCTION_SECONDS_MAX
    }
}

/// The table of `functions/ledger/SCALE.md`.
///
/// # Panics
/// Where the definition has no map with a bound.
pub fn table(definition: &Definition) -> String {
    let at_once = definition.states().iter().find_map(|state| state.body["MaxConcurrency"].as_f64());
    let at_once = at_once.expect("the definition's map has a bound");
    let mut out = String::from(
        "| Ledger | Objects | Streams | Shards | Seconds a shard | Seconds in all | Dollars |\n|---|---|---|---|---|---|---|",
    );
    for case in CASES {
        let Estimate { shards, shard_seconds, seconds, dollars } = Estimate::of(&case, at_once);
        let objects = case.bytes / case.object_bytes;
        let _ = write!(
            out,
            "\n| {} | {objects} of {} kB | {} | {shards} | {shard_seconds:.1} | {seconds:.0} | {dollars:.2} |",
            case.what,
            case.object_bytes / 1_000,
            case.streams,
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::places;

    #[test]
    fn the_page_has_these_figures() {
        let page = std::fs::read_to_string(places::repository().join("functions/ledger/SCALE.md")).unwrap();
        let table = table(&Definition::read().unwrap());
        assert!(page.contains(&table), "functions/ledger/SCALE.md is old; its table is now:\n{table}");
    }

    #[test]
    fn every_shard_is_read_in_time() {
        for case in CASES {
            let estimate = Estimate::of(&case, 100.0);
            assert!(estimate.fits(), "{case:?}: {estimate:?}");
        }
        // A thousand shards are as many as there are: what is much larger needs checkpoints, and the table must not hide it.
        let endless = Case { what: "", bytes: 20_000_000_000_000, object_bytes: 550_000, streams: 8 };
        assert!(!Estimate::of(&endless, 100.0).fits());
    }
}
