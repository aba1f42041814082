//! The proof of a whole ledger: runs of any order and origin are folded, then judged once.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Hash;
use crate::chain::{Run, StreamProof, Tail, apply_span};
use crate::control::Pen;
use crate::finding::{Finding, Verdict};

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
