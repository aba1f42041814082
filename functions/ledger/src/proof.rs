//! The proof of a whole ledger: what its objects gave is folded, in any order and over any split, then judged once.
//!
//! Why neither order nor split matters. A [`Fold`] is a set: of runs, of findings, and of three counts that are added up. A
//! union commutes and associates, and so does what bounds it: of the findings the first [`FINDINGS_MAX`] in one total order
//! are kept, which of a union are the first of the firsts. Only runs of segments are changed on the way: two that follow in
//! sequence and hash become one, so that memory does not grow with the ledger. Where no sequence is held twice there is only
//! one way to do that. Where one is, it depends on the order which of two takers is joined; so nothing that
//! [`Fold::finish`] says may depend on it, and nothing does: it speaks of how often each sequence is held, which joining does
//! not change; of links between two sequences that are both held once, where there was no choice; and of who was entitled to
//! write, up to the first thing that is wrong. Runs of deliveries are never joined, and are judged in a total order.

mod fold;
mod judge;
mod leased;
mod overlap;
mod pieces;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::chain::StreamProof;
use crate::finding::{Finding, Verdict};
use crate::lease::Leases;

pub(crate) use fold::Findings;
pub use fold::{FINDINGS_MAX, Fold};

/// The judgement of a ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// The worst of the findings; `Proven` where there are none.
    pub verdict: Verdict,
    /// The streams that are whole as far as they reach, by name.
    pub streams: Vec<StreamProof>,
    /// What stands against the proof, the worst first, and at most [`FINDINGS_MAX`] of it.
    pub findings: Vec<Finding>,
    /// How many findings there are in all.
    pub findings_count: u64,
    /// Whether every entry names the hash of the one before. Where not, only the sequences were proven: that no entry is
    /// missing, and nothing about what is in them.
    pub linked: bool,
    /// What was read.
    pub counts: Counts,
}

/// What was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Objects.
    pub objects: u64,
    /// Bytes of the lines that are entries, decoded, newlines included.
    pub bytes: u64,
    /// Lines that are entries.
    pub entries: u64,
    /// How many of them repeat the sequence of another, or of a proven prefix.
    pub repeated: u64,
    /// How many were never acknowledged: delivered, and on no chain back from the head of their stream's lease. Counted where
    /// that chain is complete.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub void: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// What a ledger is held against.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expect {
    /// Streams that must be there. Any other that is found is judged as well.
    pub streams: Vec<String>,
    /// Prefixes that were proven before, e.g. by a checkpoint: what was read joins to their ends.
    pub from: Vec<StreamProof>,
    /// The last sequence that was acknowledged, by stream: an end before it is a loss.
    pub watermarks: BTreeMap<String, u64>,
    /// The leases by which deliveries are judged; a fold of segments has none. What is proven of such a stream is the chain back
    /// from the lease's head to sequence 1, without any prefix of `from`. What the chain lacks may still be delivered, so the
    /// stream is never `Broken` for it: a closed ledger is unproven, and of an open one the proof says how far it is whole,
    /// and never past the watermark.
    pub leases: Leases,
    /// Whether the ledger may go on.
    pub end: End,
}

impl Expect {
    /// `streams` of a log in use, from their beginning.
    pub fn streams(streams: &[String]) -> Expect {
        Expect { streams: streams.to_vec(), ..Expect::default() }
    }
}

/// Whether a ledger may go on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum End {
    /// It is in use: its end is where it is.
    #[default]
    Open,
    /// It is taken for whole: each stream must be sealed, or have a watermark. Of any other nobody can tell whether its end was
    /// cut off, and it is unproven.
    Closed,
}

#[cfg(test)]
mod tests;
