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
    /// The last sequence that a checkpoint vouches for which was passed over because the log is not what it was; 0 for none.
    pub reached: u64,
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
            // Read from the beginning or not, what checkpoints say of the end is heard.
            let newest = crate::checkpoint::newest(&log, &stream).await?;
            let reached = newest.reached;
            let (base, after, said) = match since {
                Since::Beginning => (None, 0, None),
                Since::Checkpoint => (newest.proof, newest.last_slot, newest.said),
            };
            let head =
                if after > 0 { log.head_from(&stream, after).await? } else { log.head(&stream).await? };
            let until = head.map_or(0, |head| head.slot);
            findings.extend(read::strays(&log, &stream).await?);
            streams.push(Surveyed { base, said, new: Range { stream, after, until }, reached });
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
            stream.new.until.saturating_sub(proven.max(stream.new.after))
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
    /// `Transient`; as [`lifeboat_runtime::aws_error`] where something cannot be put back.
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
        for stream in &self.streams {
            let ends_before =
                |proof: &StreamProof| proof.stream == stream.new.stream && proof.through < stream.reached;
            if let Some(at) = proof.streams.iter().position(ends_before) {
                let StreamProof { stream: name, through, .. } = proof.streams.remove(at);
                let what = format!(
                    "the log ends at {through}, and a checkpoint was made when it reached {}: its end may be lost",
                    stream.reached
                );
                proof.findings.push(Finding::unproven(&name, Some(through + 1), what));
                proof.findings_count += 1;
            }
        }
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
        proof.verdict = proof.findings.first().map_or(proof.verdict, |worst| worst.verdict);
        let mut answer = Answer::of(proof.verdict, proof.streams, proof.findings, objects);
        if let Answer::Proven(examined) | Answer::Unproven(examined) | Answer::Broken(examined) = &mut answer
        {
            // Beyond those that are told one by one, and the one about numbers that are too great.
            examined.findings_count = examined.findings_count.max(proof.findings_count);
            examined.proven_before = proven;
            examined.checkpoints = self.streams.iter().filter_map(|stream| stream.said.clone()).collect();
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
