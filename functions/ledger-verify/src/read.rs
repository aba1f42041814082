//! Reading ranges of the log: listed page by page, read side by side, and never more held than what is in flight.

use std::pin::pin;
use std::time::Duration;

use futures::{TryStreamExt, stream};
use lifeboat_ledger::object::{Layout, Reader};
use lifeboat_ledger::{Finding, Fold, Format, ObjectId, slot};
use lifeboat_rules::{ErrorName, StepError};
use lifeboat_runtime::Log;
use serde::{Deserialize, Serialize};

/// Objects in flight at once. Each holds one piece of its body and one line, so memory stays small whatever their size.
const GETS_IN_FLIGHT: usize = 32;
/// How often an object is begun that cannot be read just now, or whose body ends too early. The SDK tries a request again by
/// itself, a few times and soon. That is not enough against a store which slows down: many calls read one stream side by
/// side, S3 begins with 5,500 reads a second below a prefix, and a shard is not to be lost for one of its objects.
pub const TRIES_MAX: u32 = 6;
/// Before the second try, in milliseconds; doubled before each one that follows.
const BACK_OFF_MILLIS: u64 = 200;

/// Slots of one stream that lie behind one another. An object belongs to the range in which it begins, however far it reaches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// The stream.
    pub stream: String,
    /// The first slot that may be in it.
    pub from: u64,
    /// The last one; smaller than the first where there is none.
    pub until: u64,
}

impl Range {
    /// How many slots it has.
    pub fn slots(&self) -> u64 {
        match self.until.checked_sub(self.from) {
            Some(more) => more.saturating_add(1),
            None => 0,
        }
    }

    /// Whether `slot` of `stream` is in it.
    pub fn holds(&self, stream: &str, slot: u64) -> bool {
        self.stream == stream && (self.from..=self.until).contains(&slot)
    }
}

/// Reads every object of `ranges`, one range after the other. What is wrong with the objects is in the fold.
///
/// # Errors
/// `Transient` where an object could not be read now; as [`lifeboat_runtime::aws_error`] where the log cannot be listed.
pub async fn ranges(log: &Log<'_>, ranges: &[Range]) -> Result<Fold, StepError> {
    let mut fold = Fold::new(Layout::Segments);
    for range in ranges {
        let parts = listed(log, range)
            .map_ok(|key| object(log, &range.stream, key))
            .try_buffer_unordered(GETS_IN_FLIGHT);
        let mut parts = pin!(parts);
        while let Some(part) = parts.try_next().await? {
            fold.merge(part);
        }
    }
    Ok(fold)
}

/// What stands behind the slot `last`, the last one of a stream (`None`: it has none), and is no slot: nobody's entries, but
/// nothing that belongs there. What stands between slots is found by reading them. Slots that were put since are none.
///
/// # Errors
/// As [`lifeboat_runtime::aws_error`].
pub async fn strays(log: &Log<'_>, stream: &str, last: Option<u64>) -> Result<Option<Finding>, StepError> {
    let is_stray = |key: &str| slot::parse(log.prefix(), key).is_none_or(|(of, _)| of != stream);
    // Behind the last that a number can name there are only such, however many were put since the last was found.
    for after in [last, Some(u64::MAX)] {
        let page = log.page(stream, after).await?;
        if let Some(stray) = page.objects.iter().find(|object| is_stray(&object.key)) {
            return Ok(Some(no_slot(stream, &stray.key)));
        }
        if !page.more {
            break;
        }
    }
    Ok(None)
}

/// The keys of a range in their order, the next page listed only once the one before it is used up.
fn listed<'a>(
    log: &'a Log<'_>,
    range: &'a Range,
) -> impl stream::Stream<Item = Result<String, StepError>> + 'a {
    let prefix = slot::stream_prefix(log.prefix(), &range.stream);
    let last = log.key(&range.stream, range.until);
    let before = range.from.checked_sub(1).map(|before| log.key(&range.stream, before));
    let begin = (range.from <= range.until).then_some(before);
    stream::try_unfold(begin, move |after| {
        let (prefix, last) = (prefix.clone(), last.clone());
        async move {
            let Some(after) = after else { return Ok(None) };
            let page = log.store().page(log.bucket(), &prefix, after.as_deref(), None).await?;
            let next = page.objects.last().map(|object| object.key.clone());
            let more = page.more && next.as_ref().is_some_and(|next| *next < last);
            let within = page.objects.into_iter().map(|object| object.key).filter(move |key| *key <= last);
            Ok(Some((stream::iter(within.map(Ok)), more.then_some(next))))
        }
    })
    .try_flatten()
}

/// Reads one object of `stream`, as a stream of pieces. What is wrong with it is in the fold, also that it cannot be read.
///
/// # Errors
/// `Transient` where it cannot be read now.
pub async fn object(log: &Log<'_>, stream: &str, key: String) -> Result<Fold, StepError> {
    let Some(first_seq) =
        slot::parse(log.prefix(), &key).filter(|(of, _)| *of == stream).map(|(_, first)| first)
    else {
        return Ok(only(no_slot(stream, &key)));
    };
    let unreadable = |why: &str| {
        let what = format!("the object could not be read: {why}");
        only(Finding::unproven(stream, Some(first_seq), what).in_object(&key, 0))
    };
    let read = patiently(|| async {
        let Some(mut object) = log.store().get_stream(log.bucket(), &key).await? else { return Ok(None) };
        let id = ObjectId { key: key.clone(), version: object.version.clone() };
        let mut reader = Reader::segment(&Format::default(), stream, first_seq, id);
        object.for_each(|piece| reader.push(piece)).await?;
        Ok(Some(reader.finish()))
    });
    match read.await {
        Ok(Some(fold)) => Ok(fold),
        Ok(None) => Ok(unreadable("it was listed and is gone")),
        // A moment's trouble is worth another attempt of the whole step; anything else is a hole in the proof.
        Err(err) if err.name == ErrorName::Transient => Err(err),
        Err(err) => Ok(unreadable(&err.to_string())),
    }
}

/// Does `read` until it ends otherwise than in `Transient`, [`TRIES_MAX`] times at most: a store that slows down is no reason
/// to begin the whole work again.
///
/// # Errors
/// As the last try.
pub(crate) async fn patiently<T, F: Future<Output = Result<T, StepError>>>(
    read: impl Fn() -> F,
) -> Result<T, StepError> {
    let mut tried = 0;
    loop {
        tried += 1;
        match read().await {
            Err(err) if err.name == ErrorName::Transient && tried < TRIES_MAX => {
                tokio::time::sleep(Duration::from_millis(BACK_OFF_MILLIS << (tried - 1))).await;
            }
            other => return other,
        }
    }
}

fn no_slot(stream: &str, key: &str) -> Finding {
    Finding::broken(stream, None, "an object that is no slot").in_object(key, 0)
}

fn only(finding: Finding) -> Fold {
    let mut fold = Fold::new(Layout::Segments);
    fold.add_finding(finding);
    fold
}
