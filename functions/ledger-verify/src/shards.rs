//! A history that is too long for one call: cut into shards, read by a call each, and joined.
//!
//! What the calls hand to one another are objects in the run's evidence, created once: the set of shards, which names what
//! each of them is to read, and a fold for each. Between the calls travel only the set's name and a number, since a state
//! may hand on no more than 256 KiB, and a child of a distributed map sees none of the run's variables.

use futures::{StreamExt, TryStreamExt, stream};
use lifeboat_ledger::Fold;
use lifeboat_ledger::object::Layout;
use lifeboat_rules::evidence::{prefix, sha256};
use lifeboat_rules::{ErrorName, Plan, Run, Step, StepError};
use lifeboat_runtime::{Context, Log, Put};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::history::Survey;
use crate::read::{self, Range};

/// Shards that one history is cut into: their list travels from state to state, about 130 bytes each. A longer history has
/// larger shards.
pub const SHARDS_MAX: u64 = 1_000;
/// Folds that are fetched at once.
const GETS_IN_FLIGHT: usize = 32;
/// Hexadecimal digits of a set's digest that name it within its run.
const NAME_DIGITS: usize = 16;

/// What one call reads: ranges of one stream, or of several short ones.
pub type Shard = Vec<Range>;

/// A history cut into shards.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Set {
    /// The run that verifies.
    pub run: Run,
    /// What there was to read.
    pub survey: Survey,
    /// What each call reads. Together they are the survey's new slots, each once.
    pub shards: Vec<Shard>,
}

/// What one shard gave, bound to what was asked: whatever else lies under its key is not taken for it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadShard {
    /// The set's name, and with it every range of it.
    set: String,
    shard: usize,
    fold: Fold,
}

/// One shard, as it is handed to the call that reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShardRef {
    /// The name of the execution: a child of a map has another one.
    pub run: String,
    /// The set's name.
    pub shards: String,
    /// The shard's number in it, from 0.
    pub shard: usize,
}

/// Cuts `ranges` into shards of `shard_entries` sequences, or of as many more as it takes to have no more than
/// [`SHARDS_MAX`]. Cutting is arithmetic: nothing is listed.
pub fn cut(ranges: &[Range], shard_entries: u64) -> Vec<Shard> {
    // Many streams together may have more slots than a number of 64 bits counts.
    let total: u128 = ranges.iter().map(|range| u128::from(range.slots())).sum();
    let least = u64::try_from(total.div_ceil(u128::from(SHARDS_MAX))).unwrap_or(u64::MAX);
    let size = shard_entries.max(least).max(1);
    let (mut shards, mut shard, mut room) = (Vec::new(), Shard::new(), size);
    for range in ranges {
        let mut next = Some(range.from);
        while let Some(from) = next.filter(|from| *from <= range.until) {
            let until = from.saturating_add(room - 1).min(range.until);
            let part = Range { stream: range.stream.clone(), from, until };
            room -= part.slots();
            shard.push(part);
            next = until.checked_add(1);
            if room == 0 {
                shards.push(std::mem::take(&mut shard));
                room = size;
            }
        }
    }
    if !shard.is_empty() {
        shards.push(shard);
    }
    shards
}

impl Set {
    /// Cuts what `survey` has found for `run`.
    pub fn new(run: &Run, survey: Survey, shard_entries: u64) -> Set {
        let shards = cut(&survey.ranges(), shard_entries);
        Set { run: run.clone(), survey, shards }
    }

    /// Stores the set, and returns a reference to each of its shards.
    ///
    /// # Errors
    /// As [`lifeboat_runtime::aws_error`].
    pub async fn store(&self, context: &Context, step: &Step) -> Result<Vec<ShardRef>, StepError> {
        let bytes = serde_json::to_vec(self).expect("a set is strings and numbers");
        let name = sha256(&bytes)[..NAME_DIGITS].to_owned();
        let key = format!("{}set.json", folder(step, &name)?);
        match context.store.create(&context.evidence_bucket, &key, &bytes).await? {
            Put::Created => {}
            Put::Exists(_) => return Err(StepError::defect(format!("{key} exists with other content"))),
        }
        let refer = |shard| ShardRef { run: step.run.clone(), shards: name.clone(), shard };
        Ok((0..self.shards.len()).map(refer).collect())
    }

    /// Reads the set of this name back.
    ///
    /// # Errors
    /// `InputInvalid` where there is none; `Defect` where it is not what its name says.
    pub async fn read(context: &Context, step: &Step, name: &str) -> Result<Set, StepError> {
        let key = format!("{}set.json", folder(step, name)?);
        let bytes = context.store.get(&context.evidence_bucket, &key, None).await?;
        let bytes = bytes.ok_or_else(|| StepError::input_invalid("action.shards", format!("no {key}")))?;
        if !sha256(&bytes).starts_with(name) {
            return Err(StepError::defect(format!("{key} has the digest {}", sha256(&bytes))));
        }
        let set: Set = parse(&key, &bytes)?;
        if set.run.id != step.run || set.run.plan.key != step.plan_key {
            return Err(StepError::defect(format!("{key} is of another run: {}", set.run.id)));
        }
        Ok(set)
    }

    /// Reads one shard, and stores what came of it. One that an earlier attempt has read is not read again.
    ///
    /// # Errors
    /// `InputInvalid` where the set has no such shard; `Defect` where something else lies in its place; as [`read::ranges`].
    pub async fn verify(
        &self,
        context: &Context,
        plan: &Plan,
        step: &Step,
        name: &str,
        shard: usize,
    ) -> Result<(), StepError> {
        let ranges = self.shards.get(shard).ok_or_else(|| {
            StepError::input_invalid("action.verify_shard.shard", format!("there are {}", self.shards.len()))
        })?;
        let key = fold_key(step, name, shard)?;
        if let Some(bytes) = context.store.get(&context.evidence_bucket, &key, None).await? {
            return read_shard(&key, &bytes, name, shard).map(drop);
        }
        let fold = read::ranges(&Log::new(&context.store, &plan.ledger), ranges).await?;
        let read = ReadShard { set: name.to_owned(), shard, fold };
        let bytes = serde_json::to_vec(&read).expect("a fold is strings and numbers");
        match context.store.create(&context.evidence_bucket, &key, &bytes).await? {
            Put::Created => Ok(()),
            // Of two attempts at once the first stands. Both have read the same slots, which nobody can change.
            Put::Exists(found) => read_shard(&key, &found, name, shard).map(drop),
        }
    }

    /// What all shards have read, as one.
    ///
    /// # Errors
    /// `Defect` where a shard was never read, or what lies in its place is not what was read of it.
    pub async fn join(&self, context: &Context, step: &Step, name: &str) -> Result<Fold, StepError> {
        let folds = stream::iter(0..self.shards.len()).map(async |shard| {
            let key = fold_key(step, name, shard)?;
            let bytes = context.store.get(&context.evidence_bucket, &key, None).await?;
            let bytes = bytes.ok_or_else(|| StepError::defect(format!("{key}: the shard was never read")))?;
            read_shard(&key, &bytes, name, shard)
        });
        folds
            .buffer_unordered(GETS_IN_FLIGHT)
            .try_fold(Fold::new(Layout::Segments), async |mut all, fold| {
                all.merge(fold);
                Ok(all)
            })
            .await
    }
}

/// Where a set and what came of it lie: below the run's evidence, so that its manifest names them all.
fn folder(step: &Step, name: &str) -> Result<String, StepError> {
    if name.len() != NAME_DIGITS || !name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(StepError::input_invalid("action.shards", format!("`{name}` is no name of a set")));
    }
    Ok(format!("{}shards/{name}/", prefix(step.plan_name()?, &step.run)))
}

fn fold_key(step: &Step, name: &str, shard: usize) -> Result<String, StepError> {
    Ok(format!("{}{shard:06}.json", folder(step, name)?))
}

/// The fold in the object at `key`, which is to be that of the shard `shard` of the set `name`.
fn read_shard(key: &str, bytes: &[u8], name: &str, shard: usize) -> Result<Fold, StepError> {
    let read: ReadShard = parse(key, bytes)?;
    if (read.set.as_str(), read.shard) != (name, shard) {
        return Err(StepError::defect(format!("{key} is of shard {} of set {}", read.shard, read.set)));
    }
    if read.fold.layout() != Layout::Segments {
        return Err(StepError::defect(format!("{key} is of another layout: {:?}", read.fold.layout())));
    }
    Ok(read.fold)
}

fn parse<T: DeserializeOwned>(key: &str, bytes: &[u8]) -> Result<T, StepError> {
    serde_json::from_slice(bytes)
        .map_err(|err| StepError::caused(ErrorName::Defect, format!("{key} is not what its name says"), err))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn range(stream: &str, from: u64, until: u64) -> Range {
        Range { stream: stream.into(), from, until }
    }

    #[test]
    fn a_shard_is_cut_at_its_size_and_may_hold_several_streams() {
        let ranges = [range("A", 0, 24), range("B", 7, 6), range("C", 100, 102), range("D", 0, 1)];
        let expected = [
            vec![range("A", 0, 9)],
            vec![range("A", 10, 19)],
            vec![range("A", 20, 24), range("C", 100, 102), range("D", 0, 1)],
        ];
        assert_eq!(cut(&ranges, 10), expected);
        assert_eq!(cut(&[range("B", 7, 6)], 10), Vec::<Shard>::new());
        // The first slot that a number can name, and the last.
        for slot in [0, u64::MAX] {
            assert_eq!(cut(&[range("B", slot, slot)], 10), [vec![range("B", slot, slot)]]);
        }
    }

    #[test]
    fn a_history_without_end_still_fits_into_one_list() {
        for streams in [1, 3, 5_000] {
            let ranges: Vec<_> =
                (0..streams).map(|number| range(&number.to_string(), 0, u64::MAX / streams)).collect();
            assert!(cut(&ranges, 1).len() <= SHARDS_MAX as usize, "{streams} streams");
        }
        // The list travels with names as long as they may be, within the 256 KiB of a state.
        let refer = ShardRef { run: "r".repeat(80), shards: "0".repeat(NAME_DIGITS), shard: 999 };
        assert!(serde_json::to_vec(&refer).unwrap().len() * SHARDS_MAX as usize <= 200 * 1_024);
    }

    #[test]
    fn a_shard_is_taken_for_itself_alone() {
        let written = |set: &str, shard, layout| {
            let read = ReadShard { set: set.into(), shard, fold: Fold::new(layout) };
            serde_json::to_vec(&read).unwrap()
        };
        let taken = |bytes: &[u8]| read_shard("key", bytes, "0123456789abcdef", 7);
        let good = taken(&written("0123456789abcdef", 7, Layout::Segments));
        assert_eq!(good.unwrap(), Fold::new(Layout::Segments));
        for (bytes, why) in [
            (written("0123456789abcdef", 8, Layout::Segments), "is of shard 8"),
            (written("fedcba9876543210", 7, Layout::Segments), "of set fedcba9876543210"),
            (written("0123456789abcdef", 7, Layout::Firehose), "another layout"),
            (serde_json::to_vec(&Fold::new(Layout::Segments)).unwrap(), "not what its name says"),
            (b"{".to_vec(), "not what its name says"),
        ] {
            let err = taken(&bytes).unwrap_err();
            assert_eq!(err.name, ErrorName::Defect);
            assert!(err.to_string().contains(why), "{why}: {err}");
        }
    }

    proptest! {
        #[test]
        fn every_slot_is_in_one_shard(lengths in prop::collection::vec(0u64..40, 1..6), size in 1u64..15) {
            let ranges: Vec<_> = lengths
                .iter()
                .enumerate()
                .map(|(number, length)| range(&number.to_string(), number as u64 * 3 + 1, number as u64 * 3 + length))
                .collect();
            let slots = |ranges: &[Range]| -> Vec<(String, u64)> {
                ranges
                    .iter()
                    .flat_map(|range| (range.from..=range.until).map(|slot| (range.stream.clone(), slot)))
                    .collect()
            };
            let shards = cut(&ranges, size);
            prop_assert_eq!(slots(&shards.concat()), slots(&ranges));
            for shard in &shards {
                prop_assert!(slots(shard).len() as u64 <= size);
            }
        }
    }
}
