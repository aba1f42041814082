//! What was proven of the ledger, in words and stream by stream.

use jiff::Timestamp;
use ledger_verify::Examined;
use lifeboat_ledger::{Finding, PenState};
use serde::Serialize;

use crate::report::facts::{Facts, Kept};
use crate::report::words::count;

#[derive(Debug, Serialize)]
pub(crate) struct Ledger {
    /// In plain words, a paragraph each.
    pub(crate) words: Vec<String>,
    /// The proofs, in the order in which they were made.
    pub(crate) proofs: Vec<Proof>,
    /// The streams by the last proof that names any.
    pub(crate) streams: Vec<Stream>,
    /// What stands against the last proof, the worst first; the step keeps 20 at most.
    pub(crate) findings: Vec<Finding>,
    pub(crate) findings_count: u64,
}

#[derive(Debug, Serialize)]
pub(crate) struct Proof {
    pub(crate) state: String,
    pub(crate) at: Timestamp,
    pub(crate) verdict: String,
    pub(crate) reason: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct Stream {
    pub(crate) stream: String,
    pub(crate) first_seq: u64,
    pub(crate) through: u64,
    pub(crate) entries: u64,
    /// The hash of the last entry, which every entry before it goes into.
    pub(crate) head: String,
    /// Who may write behind it.
    pub(crate) pen: String,
}

const PROOFS: [&str; 3] = ["verify_history", "join_shards", "verify_tail"];

pub(super) fn of(facts: &Facts) -> Ledger {
    let examined: Vec<(&Kept, Examined)> =
        facts.outcomes(&PROOFS).filter_map(|kept| Some((kept, read(kept)?))).collect();
    let proofs = examined
        .iter()
        .map(|(kept, examined)| Proof {
            state: kept.record.step.name.clone(),
            at: kept.record.at,
            verdict: kept.verdict().unwrap_or_default().to_owned(),
            reason: examined.reason.clone(),
        })
        .collect();
    let last = examined.last();
    let of_streams = examined.iter().rev().find(|(_, examined)| !examined.streams.is_empty());
    let streams = of_streams.iter().flat_map(|(_, examined)| &examined.streams);
    Ledger {
        words: words(facts, &examined),
        proofs,
        streams: streams
            .map(|stream| Stream {
                stream: stream.stream.clone(),
                first_seq: stream.first_seq,
                through: stream.through,
                entries: stream.entries,
                head: stream.head.to_string(),
                pen: pen(stream.pen.state()),
            })
            .collect(),
        findings: last.map(|(_, examined)| examined.findings.clone()).unwrap_or_default(),
        findings_count: last.map_or(0, |(_, examined)| examined.findings_count),
    }
}

/// What a verification saw; `None` of one that gave no proof, such as a wait.
fn read(kept: &Kept) -> Option<Examined> {
    serde_json::from_value(kept.result().clone()).ok()
}

fn words(facts: &Facts, examined: &[(&Kept, Examined)]) -> Vec<String> {
    let Some((kept, last)) = examined.last() else {
        let begun = ["verify_history", "verify_tail"].into_iter().any(|action| facts.was_begun(action));
        return vec![match begun {
            true => "To prove the ledger was begun, and no record gives a proof.".to_owned(),
            false => "No record says that the ledger was looked at.".to_owned(),
        }];
    };
    let (streams, entries) = (count(last.streams.len() as u64, "stream"), count(last.entries, "entry"));
    let is_tail = facts.outcomes(&["verify_tail"]).any(|tail| tail.key == kept.key);
    let mut words = vec![match (kept.verdict(), is_tail) {
        (Some("Proven"), true) => format!(
            "The ledger is whole through the seals that closed it: {streams}, {entries}. In each stream every entry follows the \
             one before it, by number and by hash, and the last one is this run's seal. Behind a seal the old primary can \
             acknowledge nothing, so what lies before it is everything that was ever acknowledged."
        ),
        (Some("Proven"), false) => format!(
            "The history was proven, before any seal: {streams}, {entries}, each entry following the one before it by number \
             and by hash. Nothing was sealed and proven behind it, so this says nothing about what was acknowledged later."
        ),
        (Some("Broken"), _) => format!(
            "The ledger is broken: something in it is missing or wrong, and {} named below.",
            if last.findings_count == 1 { "is" } else { "the worst of it is" }
        ),
        (Some("Unproven"), _) => {
            "The ledger could not be proven either way; what was missing is named below.".to_owned()
        }
        _ => "The last look at the ledger gave no verdict.".to_owned(),
    }];
    if last.proven_before > 0 {
        words.push(format!(
            "{} of these were proven before, by a checkpoint, and not read again on the day.",
            count(last.proven_before, "entry")
        ));
    }
    if last.void > 0 {
        words.push(format!(
            "{} had been delivered and never acknowledged, and count for nothing.",
            count(last.void, "entry")
        ));
    }
    if let Some(witness) = &last.witness {
        words.push(format!("The second copy was compared: {}.", witness.reason.trim_end_matches('.')));
    }
    words
}

fn pen(state: &PenState) -> String {
    match state {
        PenState::Unopened => "no control entry counts yet".to_owned(),
        PenState::Open { epoch, holder } => {
            format!("open for the {holder:?} side, epoch {epoch}").to_lowercase()
        }
        PenState::Sealed { epoch, run } => format!("sealed by {run}, epoch {epoch}"),
    }
}
