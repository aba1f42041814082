//! The two copies of the ledger, compared, and what one has lost put back from the other. What is decided is in
//! [`lifeboat_ledger::copies`]; here is the order in which it is read and written.
//!
//! The witness is read first, and the end of the log after it. An application puts before it sends, so what the witness has
//! behind the end of the log then was there once and was lost; no race explains it.
//!
//! What may be put back when:
//!
//! - A hole *between* entries, at any time. The entry behind it names the one before by its hash, and so on back, so only one
//!   sequence of lines fits, and whoever puts it puts the same bytes; a writer has no business there, since its next slot lies
//!   behind the end. It even closes a slot in which a fenced writer could otherwise still be answered 200.
//! - The *end* of the log, never. Nothing in the log names what stood there, so the witness alone would vouch for it, and the
//!   witness is guarded less than the log. It is said, and it stops a run before its fence. Behind the seal the place is taken
//!   for good, and what the witness has there is void.
//! - In the witness, at any time: nobody reads it as an authority, and at least once is its rule.
//!
//! Nothing of the witness but a moment's trouble fails the step: what cannot be read or put there is said, and the plan
//! decides what it means. One thing it does not decide: a piece that is known to differ from the log, and that cannot be read
//! again to see why, leaves the ledger unproven.

mod authority;
mod delivered;
mod heal;
mod report;
mod reread;

use std::collections::BTreeMap;
use std::sync::Arc;

use lifeboat_ledger::control::Seal;
use lifeboat_ledger::copies::{self, Stretch};
use lifeboat_ledger::{Control, Finding, ObjectId, Run, StreamProof, Tail};
use lifeboat_rules::plan::Witness;
use lifeboat_rules::{Plan, StepError};
use lifeboat_runtime::Log;

use crate::aws;
use authority::Authority;
use delivered::Delivered;
use heal::Budget;
pub use report::{Compared, Healed, Witnessed};
use reread::Object;

/// What a comparison may put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mend {
    /// Nothing: somebody only looks.
    Nothing,
    /// What is missing between entries, in either copy.
    Holes,
}

/// Both copies, while they are compared.
pub struct Copies<'a> {
    log: &'a Log<'a>,
    witness: &'a Witness,
    delivered: Delivered,
    mend: Mend,
    /// Whether the end of the log is sealed: nothing behind it is anybody's.
    sealed: bool,
    budget: Budget,
    report: Witnessed,
}

impl<'a> Copies<'a> {
    /// Reads the newest part of the witness; `None` where the plan has none.
    ///
    /// # Errors
    /// `Transient`.
    pub async fn read(log: &'a Log<'a>, plan: &'a Plan, mend: Mend) -> Result<Option<Copies<'a>>, StepError> {
        let Some(witness) = &plan.ledger.witness else { return Ok(None) };
        let delivered = Delivered::newest(log, witness).await?;
        Ok(Some(Copies::of(log, witness, delivered, mend, false)))
    }

    /// Reads what the witness has above the proven `history`, to compare it once more behind the seals.
    ///
    /// # Errors
    /// `Transient`.
    pub async fn read_new(
        log: &'a Log<'a>,
        plan: &'a Plan,
        history: &[StreamProof],
    ) -> Result<Option<Copies<'a>>, StepError> {
        let Some(witness) = &plan.ledger.witness else { return Ok(None) };
        let delivered = Delivered::above(log, witness, &through(history)).await?;
        Ok(Some(Copies::of(log, witness, delivered, Mend::Nothing, true)))
    }

    fn of(
        log: &'a Log<'a>,
        witness: &'a Witness,
        delivered: Delivered,
        mend: Mend,
        sealed: bool,
    ) -> Copies<'a> {
        let (budget, report) = (Budget::default(), Witnessed::default());
        Copies { log, witness, delivered, mend, sealed, budget, report }
    }

    /// Compares the copies in every stream that is `proven`; `streams` are all that the plan and the log name.
    ///
    /// # Errors
    /// `Transient`; as [`lifeboat_runtime::aws_error`] where the log cannot be listed.
    pub async fn compare(
        mut self,
        streams: &[String],
        proven: &[StreamProof],
    ) -> Result<(Witnessed, Vec<Finding>), StepError> {
        let mut findings = Vec::new();
        let pieces = std::mem::take(&mut self.delivered.pieces);
        for (stream, pieces) in pieces {
            if !streams.contains(&stream) {
                if self.witness.required {
                    let what =
                        "the witness holds entries of a stream that neither the plan nor the log names";
                    let at = &pieces[0].at;
                    findings.push(
                        Finding::unproven(&stream, Some(pieces[0].first_seq), what).at(&at.object, at.offset),
                    );
                }
                self.report.unknown_stream(&stream);
            } else if let Some(proof) = proven.iter().find(|proof| proof.stream == stream) {
                let compared = self.stream(proof, pieces, &mut findings).await?;
                self.report.streams.push(compared);
            }
        }
        self.report.objects = self.delivered.objects;
        self.report.older_unread = self.delivered.cut;
        self.report.could_not_read(&self.delivered.unreadable);
        if self.witness.required {
            // Whatever is wrong with an object of the witness, it is the witness that is not whole: the log is proven by itself.
            findings.extend(self.delivered.unreadable.iter().map(|found| Finding {
                verdict: lifeboat_ledger::Verdict::Unproven,
                what: format!("the witness, which the plan requires, is not whole: {}", found.what).into(),
                ..found.clone()
            }));
        }
        self.report.sum_up();
        Ok((self.report, findings))
    }

    async fn stream(
        &mut self,
        proof: &StreamProof,
        pieces: Vec<Run>,
        findings: &mut Vec<Finding>,
    ) -> Result<Compared, StepError> {
        let stream = &proof.stream;
        let authority = Authority { log: self.log };
        let mut compared = Compared { stream: stream.clone(), ..Compared::default() };
        let mut same = Vec::new();
        // By object, so that each is read once more, whatever number of its pieces differ.
        let mut differing: BTreeMap<Arc<ObjectId>, Vec<Run>> = BTreeMap::new();
        for Stretch { first_seq, last_seq, last_hash, pieces } in copies::stretches(pieces) {
            if authority.hash_at(stream, last_seq).await? == Some(last_hash) {
                same.push(first_seq..=last_seq);
                continue;
            }
            for piece in pieces {
                if authority.hash_at(stream, piece.last_seq).await? == Some(piece.last_hash) {
                    same.push(piece.first_seq..=piece.last_seq);
                } else {
                    differing.entry(Arc::clone(&piece.at.object)).or_default().push(piece);
                }
            }
        }
        let mut end = None;
        if differing.values().flatten().any(|piece| piece.last_seq > proof.through) {
            match end_of(self.log, proof).await? {
                Ok(tail) => end = Some(tail),
                Err(finding) => {
                    findings.push(finding);
                    return Ok(compared);
                }
            }
        }
        let mut greatest_beyond = None;
        for (object, pieces) in differing {
            let (behind, pieces): (Vec<Run>, Vec<Run>) = pieces.into_iter().partition(|piece| {
                self.sealed && end.as_ref().is_some_and(|end| piece.first_seq >= end.next_seq())
            });
            compared.void += behind.iter().map(|piece| piece.last_seq - piece.first_seq + 1).sum::<u64>();
            if pieces.is_empty() {
                continue;
            }
            let read = Object::read(self.log, &object).await?;
            for piece in pieces {
                let unproven = |what: String| {
                    Finding::unproven(stream, Some(piece.last_seq), what).at(&object, piece.at.offset)
                };
                let lines = match read.as_ref().map_err(Clone::clone).and_then(|read| read.piece(&piece)) {
                    Ok(lines) => lines,
                    Err(why) => {
                        findings.push(unproven(format!(
                            "the copies differ here, and the witness could not be read again to see where: {why}"
                        )));
                        continue;
                    }
                };
                let held: Vec<_> = authority
                    .lines(stream, &(piece.first_seq..=piece.last_seq))
                    .await?
                    .into_iter()
                    .map(|line| line.entry)
                    .collect();
                let judged = copies::judge(&held, end.as_ref(), &object, &lines);
                if judged.same > 0 {
                    same.push(piece.first_seq..=piece.first_seq + (judged.same - 1));
                }
                compared.void += judged.void;
                findings.extend(judged.fork);
                if judged.unanswered > 0 {
                    findings.push(unproven(format!(
                        "the log did not give {} entries again that the witness holds: they are not compared",
                        judged.unanswered
                    )));
                }
                if self.sealed {
                    compared.void += judged.beyond;
                } else if judged.beyond > 0 {
                    compared.beyond += judged.beyond;
                    greatest_beyond = greatest_beyond.max(Some(piece.last_seq));
                }
            }
        }
        if let (Some(end), Some(through)) = (&end, greatest_beyond) {
            let what = format!(
                "the witness holds entries through {through} behind the log's end at {}: the log may have lost its end",
                end.next_seq() - 1
            );
            findings.push(Finding::unproven(stream, Some(end.next_seq()), what));
        }
        compared.compared_through = same.iter().map(|range| *range.end()).max();
        if let Some(greatest) = compared.compared_through {
            let floor = self.delivered.floors.get(stream).copied().unwrap_or(greatest);
            let least = same.iter().map(|range| *range.start()).min().unwrap_or(greatest);
            let held = greatest - least + 1;
            compared.same = held
                - copies::gaps(least, same.iter().cloned())
                    .iter()
                    .map(|gap| gap.end() - gap.start() + 1)
                    .sum::<u64>();
            compared.missing = self.mend_witness(stream, copies::gaps(floor, same)).await?;
        }
        Ok(compared)
    }
}

/// The end of a log that was proven, read from there on.
async fn end_of(log: &Log<'_>, proof: &StreamProof) -> Result<Result<Tail, Finding>, StepError> {
    let mut tail = Tail::resume(proof);
    // Nobody's: the reading ends where the log does.
    let nobodys = Control::Seal(Seal { epoch: u64::MAX, run: String::new() });
    Ok(aws::read_on(log, &mut tail, &nobodys).await?.map(|_| tail))
}

fn through(history: &[StreamProof]) -> BTreeMap<String, u64> {
    history.iter().map(|proof| (proof.stream.clone(), proof.through)).collect()
}
