//! A person's words: reading them all, and saying one more.

use futures::{StreamExt, TryStreamExt, stream};
use lifeboat_rules::word::{self, Word};
use lifeboat_rules::{ErrorName, StepError};
use lifeboat_runtime::{Put, Store};

use crate::read_json;

/// Words that one plan may have heard; a bound against a listing that never ends.
const WORDS_MAX: usize = 10_000;
/// Words read at once.
const READS_IN_FLIGHT: usize = 16;
/// How many others may speak between the look at the row and the put.
const TRIES_MAX: usize = 20;

/// Every word about `plan`, in the order in which they were said, with its number.
///
/// # Errors
/// `Defect` where an object is no word; as [`lifeboat_runtime::aws_error`].
pub async fn words(store: &Store, control_bucket: &str, plan: &str) -> Result<Vec<(u64, Word)>, StepError> {
    let listed = store.list(control_bucket, &word::prefix(plan), WORDS_MAX).await?;
    // What else somebody has put there (the console's "create folder" makes an object) says nothing, and cannot be deleted.
    let numbered =
        listed.into_iter().filter_map(|object| Some((word::parse_key(plan, &object.key)?, object)));
    let reads = numbered.map(async |(number, object)| {
        let bytes = store.get(control_bucket, &object.key, None).await?;
        let bytes =
            bytes.ok_or_else(|| StepError::defect(format!("{} was listed and is gone", object.key)))?;
        Ok((number, read_json(&object.key, &bytes)?))
    });
    stream::iter(reads).buffered(READS_IN_FLIGHT).try_collect().await
}

/// Says a word at the next free number, and returns it.
///
/// # Errors
/// `Transient` where others spoke all the time; as [`lifeboat_runtime::aws_error`].
pub async fn say(store: &Store, control_bucket: &str, plan: &str, word: &Word) -> Result<u64, StepError> {
    let bytes = serde_json::to_vec(word).expect("strings and numbers always serialise");
    let listed = store.list(control_bucket, &word::prefix(plan), WORDS_MAX).await?;
    let last = listed.iter().filter_map(|object| word::parse_key(plan, &object.key)).max().unwrap_or(0);
    for number in (last + 1..).take(TRIES_MAX) {
        match store.create(control_bucket, &word::key(plan, number), &bytes).await? {
            Put::Created => return Ok(number),
            Put::Exists(_) => {}
        }
    }
    Err(StepError::new(
        ErrorName::Transient,
        format!("{TRIES_MAX} others spoke at the same time; say it again"),
    ))
}
