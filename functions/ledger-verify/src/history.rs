//! The history: every entry of every stream, from its first, or from a prefix that was proven before, to its end.
//!
//! First a look at what there is (the streams, their proven prefixes, their newest objects), which reads no entry. Then
//! the new slots are read, here or by many calls side by side, and what they gave is judged as one.

use lifeboat_ledger::proof::{End, Expect};
use lifeboat_ledger::{Finding, Fold, StreamProof};
use lifeboat_rules::{Plan, StepError};
use lifeboat_runtime::{Log, Store};
use serde::{Deserialize, Serialize};

use crate::Answer;
use crate::copies::{Copies, Mend};
use crate::read::{self, Range};

/// From where a history is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// Each stream from its newest checkpoint that holds.
    Checkpoint,
    /// Each stream from its first entry.
    Beginning,
}

/// What there is to read, found without reading it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Survey {
    /// The streams of the plan and of the listing.
    pub streams: Vec<Surveyed>,
    /// What the look itself found to be wrong.
    pub findings: Vec<Finding>,
}

/// One stream of a survey.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Surveyed {
    /// The prefix that was proven before, if any.
    pub base: Option<StreamProof>,
    /// Which checkpoint that is, or why one was passed over; for a person.
    pub said: Option<String>,
    /// The slots that are new since.
    pub new: Range,
}

impl Survey {
    /// Looks at every stream of the plan and of the listing.
    ///
    /// # Errors
    /// As [`lifeboat_runtime::aws_error`].
    pub async fn take(store: &Store, plan: &Plan, since: Since) -> Result<Survey, StepError> {
        let log = Log::new(store, &plan.ledger);
        let (mut streams, mut findings) = (Vec::new(), Vec::new());
        for stream in log.streams().await? {
            // Read from the beginning or not: an entry that was verified and is not there any more stands against the stream.
            let newest = crate::checkpoint::newest(&log, &stream).await?;
            findings.extend(newest.against);
            let (base, last_slot, said) = match since {
                Since::Beginning => (None, None, None),
                Since::Checkpoint => (newest.proof, newest.last_slot, newest.said),
            };
            let head = log.head_from(&stream, last_slot.unwrap_or(0)).await?;
            let strays = read::strays(&log, &stream, head.as_ref().map(|head| head.slot)).await?;
            // Behind the greatest slot there is none, and where there is none at all, nothing to read.
            let from = last_slot.map_or(Some(0), |last| last.checked_add(1));
            let new = match (from, head) {
                (Some(from), Some(head)) => Range { stream: stream.clone(), from, until: head.slot },
                _ => Range { stream: stream.clone(), from: 1, until: 0 },
            };
            findings.extend(strays);
            streams.push(Surveyed { base, said, new });
        }
        Ok(Survey { streams, findings })
    }

    /// The new slots of all streams.
    pub fn ranges(&self) -> Vec<Range> {
        self.streams.iter().map(|stream| stream.new.clone()).collect()
    }

    /// How many entries are new, by their numbers; those of each stream's newest object count as one.
    pub fn new_entries(&self) -> u64 {
        let new = |stream: &Surveyed| {
            let proven = stream.base.as_ref().map_or(0, |base| base.through);
            stream.new.slots().min(stream.new.until.saturating_sub(proven))
        };
        self.streams.iter().fold(0, |total, stream| total.saturating_add(new(stream)))
    }

    /// Reads what is new, in this call, and judges it.
    ///
    /// # Errors
    /// As [`read::ranges`].
    pub async fn read(&self, store: &Store, plan: &Plan, mend: Mend) -> Result<Answer, StepError> {
        let fold = read::ranges(&Log::new(store, &plan.ledger), &self.ranges()).await?;
        self.conclude(store, plan, fold, mend).await
    }

    /// Judges what was read of the new slots, joined to the proven prefixes, and compares it with the witness.
    ///
    /// # Errors
    /// `Transient`; as [`lifeboat_runtime::aws_error`] where the log cannot be listed.
    pub async fn conclude(
        &self,
        store: &Store,
        plan: &Plan,
        mut fold: Fold,
        mend: Mend,
    ) -> Result<Answer, StepError> {
        for finding in &self.findings {
            fold.add_finding(finding.clone());
        }
        let names: Vec<String> = self.streams.iter().map(|stream| stream.new.stream.clone()).collect();
        let from: Vec<StreamProof> = self.streams.iter().filter_map(|stream| stream.base.clone()).collect();
        let proven: u64 = from.iter().map(|base| base.entries).sum();
        let log = Log::new(store, &plan.ledger);
        let mut copies = Copies::read(&log, plan, mend).await?;
        if let Some(copies) = &mut copies {
            copies.mend_holes(&mut fold, &from).await?;
        }
        let objects = fold.objects();
        let (mut proof, _) = fold.finish(&Expect { from, end: End::Open, ..Expect::streams(&names) });
        let witness = match copies {
            None => None,
            Some(copies) => {
                let (witness, findings) = copies.compare(&names, &proof.streams).await?;
                proof.findings_count += findings.len() as u64;
                proof.findings.extend(findings);
                Some(witness)
            }
        };
        proof.findings.sort();
        proof.verdict = proof.verdict.max(Finding::worst(&proof.findings));
        let mut answer = Answer::of(proof.verdict, proof.streams, proof.findings, objects);
        if let Answer::Proven(examined) | Answer::Unproven(examined) | Answer::Broken(examined) = &mut answer
        {
            // Beyond those that are told one by one, and the one about numbers that are too great.
            examined.findings_count = examined.findings_count.max(proof.findings_count);
            examined.proven_before = proven;
            examined.tell_checkpoints(self.streams.iter().filter_map(|stream| stream.said.clone()));
            if proven > 0 && examined.findings_count == 0 {
                examined.reason = format!(
                    "{} streams, {} entries; {} of them were read now, in {objects} objects",
                    examined.streams.len(),
                    examined.entries,
                    examined.entries - proven
                );
            }
        }
        Ok(answer.with_witness(witness))
    }
}
