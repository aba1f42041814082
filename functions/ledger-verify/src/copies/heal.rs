//! Putting back into one copy what the other holds, and no more of it than a run has time for.

use std::collections::{BTreeSet, HashSet};
use std::ops::RangeInclusive;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use lifeboat_ledger::copies::{self, Line, Patch};
use lifeboat_ledger::object::Reader;
use lifeboat_ledger::{Finding, Fold, Format, Hash, ObjectId, StreamProof};
use lifeboat_rules::{ErrorName, StepError};
use lifeboat_runtime::{Log, Put};

use super::authority::Authority;
use super::reread::Object;
use super::{Copies, Healed, Mend};

/// An object that is put back ends at the first entry that would make it larger.
const PATCH_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Calls in flight at once.
const IN_FLIGHT: usize = 32;

/// What one comparison may still do to mend. What is beyond it is said to be missing, and the next comparison goes on there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    /// Entries that are put back, into either copy.
    entries: usize,
    /// Segments of the log that are read for the witness.
    segments: usize,
    /// Objects of the witness that are read for the log.
    objects: usize,
}

impl Default for Budget {
    fn default() -> Budget {
        Budget { entries: 100_000, segments: 256, objects: 256 }
    }
}

impl Copies<'_> {
    /// Puts back what is missing between the segments of `fold`, joined to the proven prefixes `from`, and adds it to `fold`.
    /// What cannot be put back stays missing there, and its judgement says so.
    ///
    /// # Errors
    /// `Transient`.
    pub async fn mend_holes(&mut self, fold: &mut Fold, from: &[StreamProof]) -> Result<(), StepError> {
        // Holes come in the order of their sequences, so what is read last mostly holds the next one too.
        let mut last: Option<(Arc<ObjectId>, Option<Object>)> = None;
        for hole in copies::holes(fold, from) {
            if hole.missing.end() - hole.missing.start() >= self.budget.entries as u64 {
                continue;
            }
            let Some(pieces) = self.delivered.pieces.get(&hole.stream) else { continue };
            let mut held = Vec::new();
            for id in copies::objects_of(pieces, &hole.missing) {
                if last.as_ref().is_none_or(|(of, _)| *of != id) {
                    if self.budget.objects == 0 {
                        break;
                    }
                    self.budget.objects -= 1;
                    let read = Object::read(self.log, &id).await?.map_err(|why| {
                        let what = format!("the object could not be read again: {why}");
                        self.delivered.unreadable.push(Finding::unproven("", None, what).at(&id, 0));
                    });
                    last = Some((Arc::clone(&id), read.ok()));
                }
                if let Some((_, Some(object))) = &last {
                    held.extend(object.lines(&hole.stream, &hole.missing));
                }
            }
            let Ok(lost) = copies::fill(&hole, held) else { continue };
            self.budget.entries -= lost.len();
            if self.mend == Mend::Nothing {
                self.report.mendable += lost.len() as u64;
                continue;
            }
            for patch in copies::patches(&lost, PATCH_BYTES_MAX) {
                let key = self.log.key(&hole.stream, patch.first_seq);
                let id = ObjectId::new(key.clone());
                let mut reader =
                    Reader::segment(&Format::default(), &hole.stream, patch.first_seq, id.clone());
                let (healed, put) = put(self.log, key, &patch).await?;
                // Another attempt, or another look, may have been first: what counts is what the slot holds.
                match put {
                    Ok(Put::Created) => {
                        reader.push(&patch.bytes);
                        self.report.put_back(healed);
                    }
                    Ok(Put::Exists(found)) => reader.push(&found),
                    // It stays a hole.
                    Err(err) => {
                        let what = format!("it could not be put back: {err}");
                        self.report.could_not_read(&[Finding::unproven(
                            &hole.stream,
                            Some(patch.first_seq),
                            what,
                        )
                        .at(&id, 0)]);
                        break;
                    }
                }
                fold.merge(reader.finish());
            }
        }
        Ok(())
    }

    /// Puts into the witness what it has not of `gaps`, and returns how many entries it still has not, by their numbers.
    /// Control entries are never sent, so those that were read are not missing.
    ///
    /// # Errors
    /// `Transient`; as [`lifeboat_runtime::aws_error`] where the log cannot be listed.
    pub(super) async fn mend_witness(
        &mut self,
        stream: &str,
        mut gaps: Vec<RangeInclusive<u64>>,
    ) -> Result<u64, StepError> {
        let mut missing: u64 = gaps.iter().map(|gap| gap.end() - gap.start() + 1).sum();
        let (authority, segments_max) = (Authority { log: self.log }, self.budget.segments);
        gaps.truncate(segments_max);
        let slots: BTreeSet<u64> = stream::iter(&gaps)
            .map(|gap| authority.slots(stream, gap, segments_max))
            .buffered(IN_FLIGHT)
            .try_concat()
            .await?
            .into_iter()
            .collect();
        let slots: Vec<u64> = slots.into_iter().take(segments_max).collect();
        self.budget.segments -= slots.len();
        let read: Vec<Vec<Line>> = stream::iter(slots)
            .map(|slot| authority.segment(stream, slot))
            .buffered(IN_FLIGHT)
            .try_collect()
            .await?;
        let (controls, mut lines): (Vec<Line>, Vec<Line>) = read
            .into_iter()
            .flatten()
            .filter(|line| gaps.iter().any(|gap| gap.contains(&line.entry.seq)))
            .partition(|line| line.entry.control.is_some());
        missing -= controls.len() as u64;
        lines.truncate(self.budget.entries);
        self.budget.entries -= lines.len();
        if self.mend == Mend::Nothing {
            return Ok(missing);
        }
        let log = self.log;
        let prefix = &self.witness.prefix;
        let puts: Vec<_> = stream::iter(copies::patches(&lines, PATCH_BYTES_MAX))
            .map(async |patch| {
                let key = copies::healed_key(prefix, stream, patch.first_seq);
                put(log, key, &patch).await
            })
            .buffered(IN_FLIGHT)
            .try_collect()
            .await?;
        let mut refused = None;
        for (healed, put) in puts {
            match put {
                Ok(Put::Created) => {
                    missing -= healed.last_seq - healed.first_seq + 1;
                    self.report.put_back(healed);
                }
                // Put back before, and cut otherwise.
                Ok(Put::Exists(found)) => {
                    let range = healed.first_seq..=healed.last_seq;
                    let there = copies::lines(&Format::default(), &found, stream, &range);
                    let there: HashSet<(u64, Hash)> =
                        there.into_iter().map(|line| (line.entry.seq, line.entry.hash)).collect();
                    missing -= lines
                        .iter()
                        .filter(|line| there.contains(&(line.entry.seq, line.entry.hash)))
                        .count() as u64;
                }
                Err(err) => refused = refused.or(Some((healed, err))),
            }
        }
        if let Some((Healed { key, first_seq, .. }, err)) = refused {
            let what = format!("it could not be put back: {err}");
            self.delivered
                .unreadable
                .push(Finding::unproven(stream, Some(first_seq), what).in_object(&key, 0));
        }
        Ok(missing)
    }
}

/// Puts an object that is missing, and logs it beforehand, so that it is on record whatever becomes of the step. The inner
/// error is a refusal.
async fn put(
    log: &Log<'_>,
    key: String,
    patch: &Patch,
) -> Result<(Healed, Result<Put, StepError>), StepError> {
    let healed = Healed::of(key, patch);
    let Healed { key, sha256, first_seq, last_seq } = &healed;
    tracing::info!(key, sha256, first_seq, last_seq, "puts back what a copy of the ledger has lost");
    match log.store().create(log.bucket(), key, &patch.bytes).await {
        Err(err) if err.name == ErrorName::Transient => Err(err),
        other => Ok((healed, other)),
    }
}
