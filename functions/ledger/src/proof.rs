//! The proof of a whole ledger: runs of any order and origin are folded, then judged once.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Hash;
use crate::chain::{Run, Tail, apply_span};
use crate::control::Pen;

/// What was proven. `Broken` outranks `Unproven`, which outranks `Proven`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Verdict {
    /// Every entry is there, in order and unchanged.
    Proven,
    /// It could not be shown either way, e.g. because an object could not be read.
    Unproven,
    /// Something is missing or wrong, and it is named.
    Broken,
}

/// One thing that stands against the proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("stream {stream}{}{}: {what}", .seq.map(|seq| format!(", sequence {seq}")).unwrap_or_default(),
    .object.as_ref().map(|object| format!(", object {object} at byte {}", .offset.unwrap_or(0))).unwrap_or_default())]
pub struct Finding {
    /// `Broken` or `Unproven`.
    pub verdict: Verdict,
    /// The stream.
    pub stream: String,
    /// The sequence at which it shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// The object that it was found in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// The byte in the object at which the line begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<usize>,
    /// What is wrong, in words.
    pub what: String,
}

impl Finding {
    /// Something is missing or wrong.
    pub fn broken(stream: &str, seq: Option<u64>, what: impl Into<String>) -> Finding {
        Finding {
            verdict: Verdict::Broken,
            stream: stream.into(),
            seq,
            object: None,
            offset: None,
            what: what.into(),
        }
    }

    /// Something could not be shown.
    pub fn unproven(stream: &str, seq: Option<u64>, what: impl Into<String>) -> Finding {
        Finding { verdict: Verdict::Unproven, ..Finding::broken(stream, seq, what) }
    }

    /// Says where it was found.
    pub fn in_object(mut self, object: &str, offset: usize) -> Finding {
        (self.object, self.offset) = (Some(object.to_owned()), Some(offset));
        self
    }
}

/// What is known of one stream, from its first entry through its last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamProof {
    /// The stream.
    pub stream: String,
    /// The first sequence.
    pub first_seq: u64,
    /// The last sequence.
    pub through: u64,
    /// The hash of the last entry.
    pub head: Hash,
    /// How many entries there are.
    pub entries: u64,
    /// Who may write now, as the control entries have it.
    pub pen: Pen,
}

/// The judgement of a ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// The worst of the findings; `Proven` where there are none.
    pub verdict: Verdict,
    /// The streams that are whole, by name.
    pub streams: Vec<StreamProof>,
    /// What stands against the proof, the worst first.
    pub findings: Vec<Finding>,
}

/// Collects runs and findings. Adding and merging commute, so any split of the objects gives the same proof.
#[derive(Clone, Debug, Default)]
pub struct Fold {
    runs: BTreeMap<(String, u64), Vec<Run>>,
    findings: Vec<Finding>,
}

impl Fold {
    /// Adds what one segment gave.
    pub fn add(&mut self, result: Result<Run, Finding>) {
        match result {
            Ok(run) => self.runs.entry((run.stream.clone(), run.first_seq)).or_default().push(run),
            Err(finding) => self.findings.push(finding),
        }
    }

    /// Adds all that `other` holds.
    pub fn merge(&mut self, other: Fold) {
        for (slot, runs) in other.runs {
            self.runs.entry(slot).or_default().extend(runs);
        }
        self.findings.extend(other.findings);
    }

    /// Judges what was collected. Each of `streams` must be there, and any other that was found is judged as well.
    ///
    /// A stream that holds a finding has no tail and no [`StreamProof`]: nothing is built on it.
    pub fn finish(self, streams: &[String]) -> (Proof, Vec<Tail>) {
        let Fold { runs, mut findings } = self;
        let mut by_stream: BTreeMap<String, Vec<Run>> =
            streams.iter().map(|stream| (stream.clone(), Vec::new())).collect();
        for ((stream, _), slot) in runs {
            by_stream.entry(stream).or_default().extend(slot);
        }
        let (mut proven, mut tails) = (Vec::new(), Vec::new());
        for (stream, runs) in by_stream {
            let at_fault = findings.iter().any(|finding| finding.stream == stream);
            match judge(&stream, runs) {
                Ok((proof, tail)) if !at_fault => {
                    proven.push(proof);
                    tails.push(tail);
                }
                Ok(_) => {}
                // A hole where an object was unreadable, or where one is broken, is told by that object's own finding.
                Err(_) if at_fault => {}
                Err(finding) => findings.push(finding),
            }
        }
        findings.sort_by(|a, b| {
            b.verdict
                .cmp(&a.verdict)
                .then_with(|| (&a.stream, a.seq, &a.what).cmp(&(&b.stream, b.seq, &b.what)))
        });
        let verdict = findings.first().map_or(Verdict::Proven, |finding| finding.verdict);
        (Proof { verdict, streams: proven, findings }, tails)
    }
}

fn judge(stream: &str, runs: Vec<Run>) -> Result<(StreamProof, Tail), Finding> {
    let mut runs = runs.into_iter();
    let Some(mut whole) = runs.next() else {
        return Err(Finding::unproven(stream, None, "no entries at all: was the stream ever opened?"));
    };
    if whole.first_prev != Hash::GENESIS {
        let what = format!("the history begins at {} with a `prev` that is not 64 zeros", whole.first_seq);
        return Err(Finding::broken(stream, Some(whole.first_seq), what).in_object(&whole.object, 0));
    }
    for run in runs {
        whole.join(run)?;
    }
    let mut pen = Pen::default();
    for span in &whole.spans {
        apply_span(&mut pen, stream, span)?;
    }
    let proof = StreamProof {
        stream: stream.to_owned(),
        first_seq: whole.first_seq,
        through: whole.last_seq,
        head: whole.last_hash,
        entries: whole.entries(),
        pen: pen.clone(),
    };
    Ok((proof, Tail::after(&whole, pen)))
}
