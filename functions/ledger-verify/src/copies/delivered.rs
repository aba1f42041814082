//! What the witness was delivered: the newest objects, found without listing them all, and read into pieces.

use std::collections::{BTreeMap, VecDeque};

use futures::{StreamExt, TryStreamExt, stream};
use lifeboat_ledger::{Finding, Fold, Run, copies};
use lifeboat_rules::plan::Witness;
use lifeboat_rules::{ErrorName, StepError};
use lifeboat_runtime::{Listed, Log};

use crate::delivery::{FOLDERS, GETS_IN_FLIGHT, is_folder, read};
use crate::read::patiently;

/// Where only what is new is asked for: how many objects in a row, from the newest back, may hold nothing of it before
/// the reading ends. Firehose delivers out of order by a retry, not by more.
const QUIET_OBJECTS: usize = 64;
/// Pages of one folder that are listed; a bound against a listing that never ends.
const PAGES_MAX: usize = 1_000;
/// Bytes that one comparison reads, by the sizes in the listing; a run must not wait for more.
const BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;

/// The newest part of a witness.
#[derive(Debug, Default)]
pub(super) struct Delivered {
    /// The pieces, by stream.
    pub(super) pieces: BTreeMap<String, Vec<Run>>,
    /// The sequence of each stream from which on nothing should be missing.
    pub(super) floors: BTreeMap<String, u64>,
    /// How many objects were read.
    pub(super) objects: u64,
    /// What could not be read, in whole or in part.
    pub(super) unreadable: Vec<Finding>,
    /// Whether older objects were left unread.
    pub(super) cut: bool,
}

impl Delivered {
    /// Reads the newest objects of `witness`, and what was put back beside them.
    ///
    /// # Errors
    /// `Transient`. What cannot be read otherwise is told in [`Delivered::unreadable`].
    pub(super) async fn newest(log: &Log<'_>, witness: &Witness) -> Result<Delivered, StepError> {
        let mut delivered = Delivered::default();
        let Some(keys) = delivered.keys(log, witness).await? else { return Ok(delivered) };
        // The oldest object that holds a stream says from where on the stream should be whole, if older ones were left unread:
        // what was delivered late to it has a lower sequence than the rest of it.
        let mut oldest: BTreeMap<String, (usize, u64)> = BTreeMap::new();
        let mut folds = stream::iter(keys.into_iter().enumerate())
            .map(async |(age, key)| Ok::<_, StepError>((age, read(log, &key).await?)))
            .buffer_unordered(GETS_IN_FLIGHT);
        while let Some((age, fold)) = folds.try_next().await? {
            for run in fold.runs() {
                let held = oldest.entry(run.stream.clone()).or_insert((age, run.last_seq));
                if age > held.0 {
                    *held = (age, run.last_seq);
                } else if age == held.0 {
                    held.1 = held.1.max(run.last_seq);
                }
            }
            delivered.take(&fold);
        }
        drop(folds);
        for (stream, pieces) in &delivered.pieces {
            let least = pieces.iter().map(|piece| piece.first_seq).min();
            let floor = if delivered.cut { oldest.get(stream).map(|held| held.1) } else { least };
            delivered.floors.insert(stream.clone(), floor.unwrap_or(0));
        }
        delivered.put_back(log, witness).await?;
        Ok(delivered)
    }

    /// Reads from the newest object back, until what comes has nothing that lies above the given sequence of its stream.
    ///
    /// # Errors
    /// As [`Delivered::newest`].
    pub(super) async fn above(
        log: &Log<'_>,
        witness: &Witness,
        through: &BTreeMap<String, u64>,
    ) -> Result<Delivered, StepError> {
        let mut delivered = Delivered::default();
        let Some(keys) = delivered.keys(log, witness).await? else { return Ok(delivered) };
        let mut quiet = 0;
        let mut folds = stream::iter(keys).map(async |key| read(log, &key).await).buffered(GETS_IN_FLIGHT);
        while let Some(fold) = folds.try_next().await? {
            let new = |run: &Run| through.get(&run.stream).is_none_or(|through| run.last_seq > *through);
            quiet = if fold.runs().any(new) { 0 } else { quiet + 1 };
            delivered.take(&fold);
            if quiet == QUIET_OBJECTS {
                delivered.cut = true;
                break;
            }
        }
        drop(folds);
        Ok(delivered)
    }

    /// The keys of the newest objects, the newest first; `None` where they cannot be listed.
    async fn keys(&mut self, log: &Log<'_>, witness: &Witness) -> Result<Option<Vec<String>>, StepError> {
        match newest_objects(log, &witness.prefix, witness.objects_max as usize).await {
            Ok((objects, more)) => {
                let (keys, cut) = within(objects, BYTES_MAX);
                self.cut = more || cut;
                Ok(Some(keys))
            }
            Err(err) if err.name == ErrorName::Transient => Err(err),
            Err(err) => {
                self.unreadable.push(Finding::unproven(
                    "",
                    None,
                    format!("the witness cannot be listed: {err}"),
                ));
                Ok(None)
            }
        }
    }

    /// Reads what Lifeboat has put back of the witness, from the floor of each stream on.
    async fn put_back(&mut self, log: &Log<'_>, witness: &Witness) -> Result<(), StepError> {
        let mut found = Vec::new();
        for (stream, floor) in &self.floors {
            let after = copies::healed_key(&witness.prefix, stream, *floor);
            let prefix = copies::healed_prefix(&witness.prefix, stream);
            // One page: what was put back of a thousand holes is more than a comparison needs to know.
            match patiently(|| log.store().page(log.bucket(), &prefix, Some(&after), None)).await {
                Ok(page) => found.extend(page.objects),
                Err(err) if err.name == ErrorName::Transient => return Err(err),
                Err(err) => {
                    let what = format!("what was put back cannot be listed: {err}");
                    self.unreadable.push(Finding::unproven(stream, None, what));
                }
            }
        }
        let (keys, _) = within(found, BYTES_MAX);
        let mut folds =
            stream::iter(keys).map(async |key| read(log, &key).await).buffer_unordered(GETS_IN_FLIGHT);
        while let Some(fold) = folds.try_next().await? {
            self.take(&fold);
        }
        Ok(())
    }

    fn take(&mut self, fold: &Fold) {
        self.objects += fold.objects();
        self.unreadable.extend(fold.findings().iter().cloned());
        for run in fold.runs() {
            self.pieces.entry(run.stream.clone()).or_default().push(run.clone());
        }
    }
}

/// The keys of those objects, from the first on, that are `bytes_max` together, and whether some are left.
fn within(objects: Vec<Listed>, bytes_max: u64) -> (Vec<String>, bool) {
    let (all, mut bytes) = (objects.len(), 0_u64);
    let keys: Vec<String> = objects
        .into_iter()
        .take_while(|object| {
            bytes = bytes.saturating_add(object.bytes);
            bytes <= bytes_max
        })
        .map(|object| object.key)
        .collect();
    let cut = keys.len() < all;
    (keys, cut)
}

/// The newest `objects_max` objects below Firehose's folders, the newest first, and whether there are older ones.
async fn newest_objects(
    log: &Log<'_>,
    prefix: &str,
    objects_max: usize,
) -> Result<(Vec<Listed>, bool), StepError> {
    let (mut found, mut cut) = (Vec::new(), false);
    let mut folders = vec![(prefix.to_owned(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        if let Some(digits) = FOLDERS.get(depth) {
            // The newest lies on top of the stack.
            folders.extend(subfolders(log, &folder, *digits).await?.into_iter().map(|sub| (sub, depth + 1)));
            continue;
        }
        let (objects, more) = last_objects(log, &folder, objects_max - found.len()).await?;
        found.extend(objects.into_iter().rev());
        if found.len() == objects_max {
            cut = more || !folders.is_empty();
            break;
        }
    }
    Ok((found, cut))
}

/// The folders in `folder` that are numbers of so many digits, in their order.
async fn subfolders(log: &Log<'_>, folder: &str, digits: usize) -> Result<Vec<String>, StepError> {
    let (mut found, mut after) = (Vec::new(), None::<String>);
    for _ in 0..PAGES_MAX {
        let page = log.store().page(log.bucket(), folder, after.as_deref(), Some("/")).await?;
        let last_object = page.objects.last().map(|object| object.key.clone());
        // `StartAfter` with a common prefix itself would return that prefix again.
        let last_folder = page.prefixes.iter().max().map(|last| format!("{last}\u{10FFFF}"));
        after = last_object.max(last_folder);
        found.extend(page.prefixes.into_iter().filter(|found| {
            let name = found.strip_prefix(folder).and_then(|name| name.strip_suffix('/')).unwrap_or_default();
            is_folder(name, digits)
        }));
        if !page.more || after.is_none() {
            found.sort();
            return Ok(found);
        }
    }
    Err(StepError::defect(format!(
        "s3://{}/{folder} has more than {PAGES_MAX} pages of folders",
        log.bucket()
    )))
}

/// The last `objects_max` objects of one folder, in the order of their keys, and whether it holds more before them.
async fn last_objects(
    log: &Log<'_>,
    folder: &str,
    objects_max: usize,
) -> Result<(Vec<Listed>, bool), StepError> {
    let (mut last, mut cut) = (VecDeque::<Listed>::new(), false);
    for _ in 0..PAGES_MAX {
        let after = last.back().map(|object| object.key.clone());
        let page = log.store().page(log.bucket(), folder, after.as_deref(), None).await?;
        last.extend(page.objects);
        while last.len() > objects_max {
            last.pop_front();
            cut = true;
        }
        if !page.more {
            return Ok((last.into(), cut));
        }
    }
    Err(StepError::defect(format!(
        "s3://{}/{folder} has more than {PAGES_MAX} pages of objects",
        log.bucket()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_read_than_the_listing_says_is_affordable() {
        let listed = |sizes: &[u64]| -> Vec<Listed> {
            let object = |(at, bytes): (usize, &u64)| Listed {
                key: at.to_string(),
                stored_at: jiff::Timestamp::UNIX_EPOCH,
                bytes: *bytes,
            };
            sizes.iter().enumerate().map(object).collect()
        };
        assert_eq!(within(listed(&[3, 4, 3]), 10), (vec!["0".into(), "1".into(), "2".into()], false));
        // What comes behind one that is too much is older, and not read in its place.
        assert_eq!(within(listed(&[3, 8, 1]), 10), (vec!["0".into()], true));
        assert_eq!(within(listed(&[3, u64::MAX, u64::MAX]), u64::MAX - 1), (vec!["0".into()], true));
        assert_eq!(within(vec![], 0), (vec![], false));
    }
}
