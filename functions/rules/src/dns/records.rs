//! The `records` strategy: batches of exact deletes and creates, each fenced by a TXT record.
//!
//! Route 53 applies a batch whole or not at all, and a DELETE must match what is there to the letter. So a batch that
//! deletes what was last seen is a compare-and-swap, and the TXT record, which is in every batch, closes the hole that
//! a failback leaves: the old address values may return, an old epoch's TXT never does.
//!
//! Thousands of records take several batches. The TXT counts them (`"42/3of21/<digest>"`: of epoch 42's 21 batches three are
//! in place), so that a stop in the middle is visible, whoever goes on knows where, and a run that is older than the TXT
//! finds itself fenced between any two of its batches.
//!
//! Invariants: no change is an UPSERT, which would overwrite whatever is there. Every batch replaces the TXT that its read
//! saw. A name is never without an answer: its old values go and its new ones come in one batch.

mod alone;

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Change, Found, RecordSet};
use crate::plan::{Record, Side, bounds};
use crate::{ErrorName, Plan, StepError};

pub use alone::fence_alone;

/// The fence's time to live, in seconds: nothing but Lifeboat reads it.
const FENCE_TTL_SECONDS: u32 = 60;

/// The value of the fence: the epoch that last changed this zone, how far it has come, and what it changes it to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fence {
    /// The epoch.
    pub epoch: u64,
    /// How many of its batches are in place, from 1.
    pub index: usize,
    /// How many batches there are.
    pub of: usize,
    /// The digest of the records that all of them together put in place.
    pub digest: String,
}

impl Fence {
    /// As a TXT value, e.g. `"42/3of21/0123456789abcdef"` with its quotes.
    pub fn to_txt(&self) -> String {
        format!("\"{}/{}of{}/{}\"", self.epoch, self.index, self.of, self.digest)
    }

    /// Reads a TXT value back.
    pub fn parse(txt: &str) -> Option<Fence> {
        let mut parts = txt.strip_prefix('"')?.strip_suffix('"')?.split('/');
        let (epoch, batches, digest) = (parts.next()?, parts.next()?, parts.next()?);
        let (index, of) = batches.split_once("of")?;
        let fence = Fence {
            epoch: epoch.parse().ok()?,
            index: index.parse().ok()?,
            of: of.parse().ok()?,
            digest: digest.to_owned(),
        };
        // Whatever reads back otherwise was not written by us: a sign, a zero in front, another part behind.
        ((1..=fence.of).contains(&fence.index) && fence.to_txt() == txt).then_some(fence)
    }

    /// The fence in `found`, if there is one.
    ///
    /// # Errors
    /// `Defect` where something else stands in its place.
    pub fn find(plan: &Plan, found: &[Found]) -> Result<Option<Fence>, StepError> {
        let name = plan.epoch_record();
        match found.iter().find(|found| (found.name(), found.kind()) == (name.as_str(), "TXT")) {
            None => Ok(None),
            Some(Found::Set(present)) => {
                let txt = present.values.join(" ");
                let not_ours = || StepError::defect(format!("the TXT record {name} is not a fence: {txt}"));
                Fence::parse(&txt).map(Some).ok_or_else(not_ours)
            }
            Some(Found::Foreign { why, .. }) => {
                Err(StepError::defect(format!("the TXT record {name} is not a fence: {why}")))
            }
        }
    }
}

/// One batch: all of it or nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// The fence that is there once the batch is.
    pub fence: Fence,
    /// The changes, the fence's own among them.
    pub changes: Vec<Change>,
}

/// What to do about the zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Flip {
    /// All of this epoch's batches are in place, and every record is as it moved it.
    Done,
    /// All of this epoch's batches are in place, and somebody has changed these records since: names with types. No batch
    /// of this epoch will touch them again.
    Changed(Vec<String>),
    /// Put this batch next.
    Batch(Batch),
}

/// The fence's record set.
pub fn fence_record(plan: &Plan, fence: &Fence) -> RecordSet {
    RecordSet::new(&plan.epoch_record(), "TXT", FENCE_TTL_SECONDS, [fence.to_txt()])
}

/// The fence of `epoch` once it has moved all of `records` to `side`.
pub fn last_fence(records: &[Record], side: Side, epoch: u64) -> Fence {
    let of = split(records).len();
    Fence { epoch, index: of, of, digest: digest(&wanted(records, side)) }
}

/// The records as they are to be when `side` serves.
pub fn wanted(records: &[Record], side: Side) -> Vec<RecordSet> {
    let of_side = |record: &Record| {
        let values = record.values(side).iter().cloned();
        RecordSet::new(&record.name, &record.kind.to_string(), record.ttl, values)
    };
    records.iter().map(of_side).collect()
}

/// Decides the next batch on the way of `records` to `side`, from a fresh read of the zone, or from what the last batch has
/// made of it ([`apply`]). `found` is everything under the names of the records and of the fence.
///
/// # Errors
/// `Fenced` where a newer epoch has moved them; `PlanInvalid` where a record is not Lifeboat's to edit, or holds so many
/// values that its batch would be too large; `Defect` where the fence cannot be read, or says this epoch with other
/// records.
pub fn decide(
    plan: &Plan,
    records: &[Record],
    side: Side,
    epoch: u64,
    found: &[Found],
) -> Result<Flip, StepError> {
    let wanted = wanted(records, side);
    let present = Present::of(&wanted, found)?;
    let batches = split(records);
    let mut fence = Fence { epoch, index: 0, of: batches.len(), digest: digest(&wanted) };
    let seen = Fence::find(plan, found)?;
    match &seen {
        Some(seen) if seen.epoch > epoch => {
            return Err(StepError::fenced(format!(
                "epoch {} has changed this zone; this run holds {epoch}",
                seen.epoch
            )));
        }
        Some(seen) if seen.epoch == epoch => {
            if (seen.of, &seen.digest) != (fence.of, &fence.digest) {
                let txt = seen.to_txt();
                return Err(StepError::defect(format!(
                    "the fence says epoch {epoch} with other records: {txt}"
                )));
            }
            fence.index = seen.index;
        }
        _ => {}
    }
    if fence.index == fence.of {
        let changed: Vec<String> = wanted
            .iter()
            .filter(|wanted| present.get(wanted) != Some(wanted))
            .map(|wanted| format!("{} {}", wanted.name, wanted.kind))
            .collect();
        return Ok(if changed.is_empty() { Flip::Done } else { Flip::Changed(changed) });
    }
    // Batches with nothing to change are passed over: what this read says of them holds as long as the TXT does.
    let mut swaps = Vec::new();
    while fence.index < fence.of {
        let next = present.swaps(&wanted[batches[fence.index].clone()]);
        if !next.is_empty() && !swaps.is_empty() {
            break;
        }
        swaps.extend(next);
        fence.index += 1;
    }
    let old = seen.map(|seen| Change::Delete(fence_record(plan, &seen)));
    let mut changes: Vec<Change> = old.into_iter().collect();
    changes.push(Change::Create(fence_record(plan, &fence)));
    changes.extend(swaps);
    fits(&changes)?;
    Ok(Flip::Batch(Batch { fence, changes }))
}

/// What a batch that was applied has made of `found`.
pub fn apply(found: &mut Vec<Found>, changes: &[Change]) {
    let touched: HashSet<(&str, &str)> = changes.iter().map(|change| place(change.set())).collect();
    found.retain(|found| !touched.contains(&(found.name(), found.kind())));
    found.extend(changes.iter().filter_map(|change| match change {
        Change::Create(set) => Some(Found::Set(set.clone())),
        Change::Delete(_) => None,
    }));
}

/// What the zone holds of the wanted records.
struct Present<'a>(HashMap<(&'a str, &'a str), &'a RecordSet>);

impl<'a> Present<'a> {
    fn of(wanted: &[RecordSet], found: &'a [Found]) -> Result<Present<'a>, StepError> {
        let mut sets = HashMap::new();
        let mut foreign = HashMap::new();
        for found in found {
            match found {
                Found::Set(set) if set.half.is_none() => {
                    sets.insert(place(set), set);
                }
                Found::Set(set) => {
                    foreign.insert(place(set), "is half of a failover pair, which the strategy `switch` has");
                }
                Found::Foreign { name, kind, why } => {
                    foreign.insert((name.as_str(), kind.as_str()), why.as_str());
                }
            }
        }
        for wanted in wanted {
            if let Some(why) = foreign.get(&place(wanted)) {
                let RecordSet { name, kind, .. } = wanted;
                return Err(StepError::new(
                    ErrorName::PlanInvalid,
                    format!("field `dns`: {name} {kind} {why}; the strategy `records` edits plain records"),
                ));
            }
        }
        Ok(Present(sets))
    }

    fn get(&self, wanted: &RecordSet) -> Option<&'a RecordSet> {
        self.0.get(&place(wanted)).copied()
    }

    /// What makes these records as they are wanted.
    fn swaps(&self, wanted: &[RecordSet]) -> Vec<Change> {
        let mut changes = Vec::new();
        for wanted in wanted {
            match self.get(wanted) {
                Some(present) if present == wanted => {}
                Some(present) => {
                    changes.push(Change::Delete(present.clone()));
                    changes.push(Change::Create(wanted.clone()));
                }
                None => changes.push(Change::Create(wanted.clone())),
            }
        }
        changes
    }
}

fn place(set: &RecordSet) -> (&str, &str) {
    (&set.name, &set.kind)
}

/// Which records go together: as many as one batch takes, whichever way they move, so that the split depends on the plan
/// alone. Route 53 takes 1,000 values and 32,000 characters of value in a request
/// (<https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DNSLimitations.html>); a DELETE and a CREATE count once each.
/// There is always one batch, if only for its fence.
fn split(records: &[Record]) -> Vec<Range<usize>> {
    let mut batches = Vec::new();
    // The fence's old value and its new one.
    let empty = (2, 2 * bounds::EPOCH_VALUE_CHARS);
    let (mut begin, (mut values, mut chars)) = (0, empty);
    for (index, record) in records.iter().enumerate() {
        let moved = || record.primary.iter().chain(&record.recovery);
        let (count, length) = (moved().count(), moved().map(|value| value.chars().count()).sum::<usize>());
        let full = values + count > bounds::BATCH_VALUES_MAX || chars + length > bounds::BATCH_CHARS_MAX;
        if full && index > begin {
            batches.push(begin..index);
            (begin, (values, chars)) = (index, empty);
        }
        values += count;
        chars += length;
    }
    batches.push(begin..records.len());
    batches
}

/// The split counts what the plan has. Where the zone holds something else under these names, there may be more of it.
fn fits(changes: &[Change]) -> Result<(), StepError> {
    let values = changes.iter().map(|change| change.set().values.len()).sum::<usize>();
    let length = |set: &RecordSet| set.sent().iter().map(|value| value.chars().count()).sum::<usize>();
    let chars = changes.iter().map(|change| length(change.set())).sum::<usize>();
    if values <= bounds::BATCH_VALUES_MAX && chars <= bounds::BATCH_CHARS_MAX {
        return Ok(());
    }
    let deleted = changes.iter().filter(|change| matches!(change, Change::Delete(_)));
    let largest = deleted.map(Change::set).max_by_key(|set| length(set));
    let name = largest.map_or_else(|| "a record".to_owned(), |set| format!("{} {}", set.name, set.kind));
    Err(StepError::new(
        ErrorName::PlanInvalid,
        format!(
            "field `dns`: the zone holds other values than the plan has for either side, and more of them than one batch \
             takes ({values} values, {chars} characters), {name} above all; put one side's values there by hand"
        ),
    ))
}

/// Sixteen hexadecimal digits of the SHA-256 of the records: enough to tell two plans apart.
fn digest(records: &[RecordSet]) -> String {
    let bytes = serde_json::to_vec(records).expect("strings and numbers always serialise");
    hex::encode(&Sha256::digest(bytes)[..8])
}

#[cfg(test)]
mod tests;
