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
//! - The *end* of the log, only behind the fence and before the seal. Before the fence a live writer would race for that very
//!   slot: the condition of the put keeps both safe, but a writer that loses it drops its memory and replays, which a look at
//!   the log must not cause. After the seal the place is taken for good, and what the witness has there is void.
//! - In the witness, at any time: nobody reads it as an authority, and at least once is its rule.

mod authority;
mod delivered;
mod report;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use lifeboat_ledger::control::Seal;
use lifeboat_ledger::copies::{self, Judged, Line, Patch, Stretch};
use lifeboat_ledger::object::Reader;
use lifeboat_ledger::{Control, Finding, Fold, Format, ObjectId, Run, StreamProof, Tail, decode};
use lifeboat_rules::plan::Witness;
use lifeboat_rules::{ErrorName, Plan, StepError};
use lifeboat_runtime::{Log, Put, Store};

use crate::aws;
use authority::Authority;
use delivered::Delivered;
pub use report::{Compared, Healed, Witnessed};

/// The most that one object of the witness decodes to; Firehose buffers 128 MiB.
const DELIVERED_BYTES_MAX: usize = 512 * 1024 * 1024;
/// An object that is put back ends at the first entry that would make it larger.
const PATCH_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Entries that one comparison puts back into either copy, at most; the rest is said to be missing.
const HEALED_ENTRIES_MAX: u64 = 100_000;
/// How often the end of the log may have moved while it is put back. Behind the fence a writer stops within a second.
const END_TRIES_MAX: u32 = 20;

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
        Ok(Some(Copies { log, witness, delivered, mend, report: Witnessed::default() }))
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
        Ok(Some(Copies { log, witness, delivered, mend: Mend::Nothing, report: Witnessed::default() }))
    }

    /// Puts back what is missing between the segments of `fold`, joined to the proven prefixes `from`, and adds it to `fold`.
    /// What cannot be put back stays missing there, and its judgement says so.
    ///
    /// # Errors
    /// `Transient`; as [`lifeboat_runtime::aws_error`] where a slot cannot be put.
    pub async fn mend_holes(&mut self, fold: &mut Fold, from: &[StreamProof]) -> Result<(), StepError> {
        for hole in copies::holes(fold, from) {
            if hole.missing.end() - hole.missing.start() >= HEALED_ENTRIES_MAX {
                continue;
            }
            let Some(pieces) = self.delivered.pieces.get(&hole.stream) else { continue };
            let held = self.lines_of(&hole.stream, pieces, &hole.missing).await?;
            let Ok(lost) = copies::fill(&hole, held) else { continue };
            if self.mend == Mend::Nothing {
                self.report.mendable += lost.len() as u64;
                continue;
            }
            for patch in copies::patches(&lost, PATCH_BYTES_MAX) {
                let key = self.log.key(&hole.stream, patch.first_seq);
                let mut reader = Reader::segment(
                    &Format::default(),
                    &hole.stream,
                    patch.first_seq,
                    ObjectId::new(key.clone()),
                );
                // Another attempt, or another look, may have been first: what counts is what the slot holds.
                match self.log.store().create(self.log.bucket(), &key, &patch.bytes).await? {
                    Put::Created => {
                        reader.push(&patch.bytes);
                        self.report.put_back(vec![Healed::of(key, &patch)]);
                    }
                    Put::Exists(found) => reader.push(&found),
                }
                fold.merge(reader.finish());
            }
        }
        Ok(())
    }

    /// Compares the copies in every stream that is `proven`; `streams` are all that the plan and the log name.
    ///
    /// # Errors
    /// `Transient`; as [`lifeboat_runtime::aws_error`] where something cannot be put back.
    pub async fn compare(
        mut self,
        streams: &[String],
        proven: &[StreamProof],
    ) -> Result<(Witnessed, Vec<Finding>), StepError> {
        let mut findings = Vec::new();
        let pieces = std::mem::take(&mut self.delivered.pieces);
        for (stream, pieces) in pieces {
            if !streams.contains(&stream) {
                let what = "the witness holds entries of a stream that neither the plan nor the log names";
                let at = &pieces[0].at;
                findings.push(
                    Finding::unproven(&stream, Some(pieces[0].first_seq), what).at(&at.object, at.offset),
                );
            } else if let Some(proof) = proven.iter().find(|proof| proof.stream == stream) {
                let compared = self.stream(proof, pieces, &mut findings).await?;
                self.report.streams.push(compared);
            }
        }
        self.report.objects = self.delivered.objects;
        self.report.older_unread = self.delivered.cut;
        self.report.could_not_read(&self.delivered.unreadable);
        if self.witness.required {
            // Whatever is wrong with an object of the witness, it is the witness that cannot be read: the log is proven by itself.
            findings.extend(self.delivered.unreadable.iter().map(|found| Finding {
                verdict: lifeboat_ledger::Verdict::Unproven,
                what: format!("the witness, which the plan requires, cannot be read: {}", found.what).into(),
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
        let (mut same, mut beyond, mut end) = (Vec::new(), Vec::new(), None);
        for Stretch { first_seq, last_seq, last_hash, pieces } in copies::stretches(pieces) {
            if authority.hash_at(stream, last_seq).await? == Some(last_hash) {
                same.push(first_seq..=last_seq);
                continue;
            }
            for piece in pieces {
                if authority.hash_at(stream, piece.last_seq).await? == Some(piece.last_hash) {
                    same.push(piece.first_seq..=piece.last_seq);
                    continue;
                }
                if end.is_none() && piece.last_seq > proof.through {
                    match end_of(self.log, proof).await? {
                        Ok(tail) => end = Some(tail),
                        Err(finding) => {
                            findings.push(finding);
                            return Ok(compared);
                        }
                    }
                }
                let lines = self.lines_of_piece(&piece).await?;
                let held: Vec<_> = authority
                    .lines(stream, &(piece.first_seq..=piece.last_seq))
                    .await?
                    .into_iter()
                    .map(|line| line.entry)
                    .collect();
                let judged = copies::judge(&held, end.as_ref(), &piece.at.object, &lines);
                if judged.same > 0 {
                    same.push(piece.first_seq..=piece.first_seq + (judged.same - 1));
                }
                let Judged { void, fork, .. } = judged;
                compared.void += void;
                findings.extend(fork);
                if judged.beyond > 0 {
                    beyond.extend(lines);
                }
            }
        }
        if let Some(end) = &end
            && !beyond.is_empty()
        {
            match copies::extend(end, beyond) {
                Ok(lost) => {
                    compared.beyond = lost.len() as u64;
                    if self.mend == Mend::Nothing && !lost.is_empty() {
                        let what = format!(
                            "the log has lost its last {} entries, which the witness holds: a run puts them back",
                            lost.len()
                        );
                        findings.push(Finding::unproven(stream, Some(end.next_seq()), what));
                    }
                }
                Err(finding) => findings.push(finding),
            }
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
            for gap in copies::gaps(floor, same) {
                compared.missing += self.mend_witness(authority, stream, gap).await?;
            }
        }
        Ok(compared)
    }

    /// Puts into the witness what it has not of `gap`, and returns how many entries it still has not. Control entries are
    /// never sent, so they are not missing.
    async fn mend_witness(
        &mut self,
        authority: Authority<'_>,
        stream: &str,
        gap: RangeInclusive<u64>,
    ) -> Result<u64, StepError> {
        if gap.end() - gap.start() >= HEALED_ENTRIES_MAX {
            return Ok(gap.end() - gap.start() + 1);
        }
        let mut lines = authority.lines(stream, &gap).await?;
        lines.retain(|line| gap.contains(&line.entry.seq) && line.entry.control.is_none());
        if self.mend == Mend::Nothing {
            return Ok(lines.len() as u64);
        }
        for patch in copies::patches(&lines, PATCH_BYTES_MAX) {
            let key = copies::healed_key(&self.witness.prefix, stream, patch.first_seq);
            match self.log.store().create(self.log.bucket(), &key, &patch.bytes).await? {
                Put::Created => self.report.put_back(vec![Healed::of(key, &patch)]),
                // Put back before, and cut otherwise.
                Put::Exists(_) => {}
            }
        }
        Ok(0)
    }

    /// The lines that the witness holds of `range`, from every object that holds a part of it.
    async fn lines_of(
        &self,
        stream: &str,
        pieces: &[Run],
        range: &RangeInclusive<u64>,
    ) -> Result<Vec<Line>, StepError> {
        let mut lines = Vec::new();
        for object in copies::objects_of(pieces, range) {
            lines.extend(lines_in(self.log, &object, stream, range).await?);
        }
        Ok(lines)
    }

    /// The lines of one piece, in order.
    async fn lines_of_piece(&self, piece: &Run) -> Result<Vec<Line>, StepError> {
        let range = piece.first_seq..=piece.last_seq;
        let mut all = lines_in(self.log, &piece.at.object, &piece.stream, &range).await?;
        // Another piece of the same object may hold other lines for the same places.
        let (mut next, mut before) = (piece.first_seq, piece.first_prev);
        all.retain(|line| {
            let follows =
                line.offset >= piece.at.offset && line.entry.seq == next && line.entry.prev == before;
            if follows {
                (next, before) = (next + 1, Some(line.entry.hash));
            }
            follows
        });
        Ok(all)
    }
}

/// The end of a log that was proven, read from there on.
async fn end_of(log: &Log<'_>, proof: &StreamProof) -> Result<Result<Tail, Finding>, StepError> {
    let mut tail = Tail::resume(proof);
    // Nobody's: the reading ends where the log does.
    let nobodys = Control::Seal(Seal { epoch: u64::MAX, run: String::new() });
    Ok(aws::read_on(log, &mut tail, &nobodys).await?.map(|_| tail))
}

/// The lines that one object of the witness holds of `range`. None where it cannot be read again: nothing is built on it then.
async fn lines_in(
    log: &Log<'_>,
    object: &ObjectId,
    stream: &str,
    range: &RangeInclusive<u64>,
) -> Result<Vec<Line>, StepError> {
    let bytes = match log.store().get(log.bucket(), &object.key, object.version.as_deref()).await {
        Ok(bytes) => bytes.unwrap_or_default(),
        Err(err) if err.name == ErrorName::Transient => return Err(err),
        Err(_) => return Ok(Vec::new()),
    };
    let Ok(decoded) = decode::decoded(&bytes, DELIVERED_BYTES_MAX) else { return Ok(Vec::new()) };
    Ok(copies::lines(&Format::default(), &decoded, stream, range))
}

fn through(history: &[StreamProof]) -> BTreeMap<String, u64> {
    history.iter().map(|proof| (proof.stream.clone(), proof.through)).collect()
}

/// Puts back what the log has lost at its end and the witness holds, in every stream. To be called behind the fence and before
/// the seals; `seal` is the one that will be put. Returns what was put back, and the first thing that stands against it.
///
/// # Errors
/// `Transient`; as [`lifeboat_runtime::aws_error`].
pub async fn mend_end(
    store: &Store,
    plan: &Plan,
    seal: &Control,
    history: &[StreamProof],
) -> Result<(Vec<Healed>, Option<Finding>), StepError> {
    let log = Log::new(store, &plan.ledger);
    let mut healed = Vec::new();
    let Some(mut copies) = Copies::read_new(&log, plan, history).await? else { return Ok((healed, None)) };
    if copies.witness.required
        && let Some(unreadable) = copies.delivered.unreadable.pop()
    {
        return Ok((healed, Some(unreadable)));
    }
    for proof in history {
        let Some(pieces) = copies.delivered.pieces.remove(&proof.stream) else { continue };
        if let Err(finding) = copies.mend_end_of(proof, &pieces, seal, &mut healed).await? {
            return Ok((healed, Some(finding)));
        }
    }
    Ok((healed, None))
}

impl Copies<'_> {
    async fn mend_end_of(
        &self,
        proof: &StreamProof,
        pieces: &[Run],
        seal: &Control,
        healed: &mut Vec<Healed>,
    ) -> Result<Result<(), Finding>, StepError> {
        let mut tail = Tail::resume(proof);
        for _ in 0..END_TRIES_MAX {
            match aws::read_on(self.log, &mut tail, seal).await? {
                // Sealed by an earlier attempt, or taken over: nothing more belongs here.
                Ok(Some(_)) => return Ok(Ok(())),
                Ok(None) if tail.pen().newest_epoch() >= seal.epoch() => return Ok(Ok(())),
                Ok(None) => {}
                Err(finding) => return Ok(Err(finding)),
            }
            let behind = tail.next_seq()..=u64::MAX;
            let lost = match copies::extend(&tail, self.lines_of(&proof.stream, pieces, &behind).await?) {
                Ok(lost) => lost,
                Err(finding) => return Ok(Err(finding)),
            };
            let Some(patch) = copies::patches(&lost, PATCH_BYTES_MAX).into_iter().next() else {
                return Ok(Ok(()));
            };
            let Patch { first_seq, bytes, .. } = &patch;
            let key = self.log.key(&proof.stream, *first_seq);
            if self.log.store().create(self.log.bucket(), &key, bytes).await? == Put::Created {
                healed.push(Healed::of(key, &patch));
            }
            // Read on from there, whoever was first.
        }
        Err(StepError::new(
            ErrorName::Transient,
            format!("stream {}: its end moved {END_TRIES_MAX} times while it was put back", proof.stream),
        ))
    }
}
