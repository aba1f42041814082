//! What was delivered of a ledger with leases: every object, each read once, and judged as often as it takes.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use lifeboat_ledger::lease::Leases;
use lifeboat_ledger::object::{Asker, Layout, Question, Reader};
use lifeboat_ledger::proof::{End, Expect, Proof};
use lifeboat_ledger::{Finding, Fold, Format, ObjectId};
use lifeboat_rules::{ErrorName, StepError};
use lifeboat_runtime::Log;

use crate::copies::patiently;

/// Objects in flight at once.
const GETS_IN_FLIGHT: usize = 32;
/// Objects that are read; a bound against a listing that never ends.
const OBJECTS_MAX: usize = 1_000_000;
/// How often what two objects hold twice is asked for. Each time halves what is left of an overlap, which is a number of 64
/// bits.
const QUESTIONS_MAX: u32 = 66;
/// Firehose's folders, `YYYY/MM/DD/HH/`: how many digits each has.
const FOLDERS: [usize; 4] = [4, 2, 2, 2];

/// What was delivered, as far as it was read.
pub(super) struct Delivered<'a> {
    log: &'a Log<'a>,
    leases: Arc<Leases>,
    fold: Fold,
    /// When each object was stored, by the store's clock.
    read: BTreeMap<String, Timestamp>,
}

impl<'a> Delivered<'a> {
    /// Nothing yet, to be judged under `leases`.
    pub(super) fn new(log: &'a Log<'a>, leases: Leases) -> Delivered<'a> {
        let (leases, fold) = (Arc::new(leases), Fold::new(Layout::Firehose));
        Delivered { log, leases, fold, read: BTreeMap::new() }
    }

    /// Reads every object that was not read before. A delivered object never changes.
    ///
    /// # Errors
    /// `Transient`; as [`lifeboat_runtime::aws_error`] where the deliveries cannot be listed.
    pub(super) async fn read_on(&mut self) -> Result<(), StepError> {
        let Delivered { log, leases, fold, read } = self;
        let mut after: Option<String> = None;
        loop {
            let page = log.store().page(log.bucket(), log.prefix(), after.as_deref(), None).await?;
            after = page.objects.last().map(|object| object.key.clone());
            let mut new = Vec::new();
            for object in page.objects {
                if is_delivery(log.prefix(), &object.key) && !read.contains_key(&object.key) {
                    new.push(object);
                }
            }
            if read.len() + new.len() > OBJECTS_MAX {
                let place = format!("s3://{}/{}", log.bucket(), log.prefix());
                return Err(StepError::defect(format!("{place} holds more than {OBJECTS_MAX} deliveries")));
            }
            let mut parts = stream::iter(new)
                .map(async |object| {
                    let part = object_of(log, leases, &object.key).await?;
                    Ok::<_, StepError>((object, part))
                })
                .buffer_unordered(GETS_IN_FLIGHT);
            while let Some((object, part)) = parts.try_next().await? {
                fold.merge(part);
                read.insert(object.key, object.stored_at);
            }
            if !page.more {
                return Ok(());
            }
        }
    }

    /// Judges what was read so far, and says how many entries are void.
    ///
    /// # Errors
    /// `Transient` where an object could not be read again now.
    pub(super) async fn judge(&mut self, streams: &[String], end: End) -> Result<(Proof, u64), StepError> {
        let expect = Expect { leases: (*self.leases).clone(), end, ..Expect::streams(streams) };
        for _ in 0..QUESTIONS_MAX {
            let questions = self.fold.questions(&expect);
            if questions.is_empty() {
                break;
            }
            let mut by_object: BTreeMap<Arc<ObjectId>, Vec<Question>> = BTreeMap::new();
            for question in questions {
                by_object.entry(Arc::clone(&question.piece.object)).or_default().push(question);
            }
            for (object, questions) in by_object {
                let answers = ask(self.log, &self.leases, &object, questions).await?;
                self.fold.answer(answers);
            }
        }
        Ok((self.fold.clone().finish(&expect).0, self.fold.void()))
    }

    /// The oldest delivery, by its time, that holds an entry of `stream` behind `through`: what lies between has not come,
    /// though something behind it has.
    pub(super) fn first_behind(&self, stream: &str, through: u64) -> Option<Timestamp> {
        let behind = self.fold.runs().filter(|run| run.stream == stream && run.first_seq > through);
        behind.filter_map(|run| self.read.get(&run.at.object.key)).min().copied()
    }

    /// How many objects were read.
    pub(super) fn objects(&self) -> u64 {
        self.fold.objects()
    }
}

/// Whether `key` lies where Firehose delivers: what it could not process, and whatever else lies beside it, does not.
fn is_delivery(prefix: &str, key: &str) -> bool {
    let Some(rest) = key.strip_prefix(prefix) else { return false };
    let mut parts = rest.split('/');
    let is_number =
        |part: &str, digits: usize| part.len() == digits && part.bytes().all(|b| b.is_ascii_digit());
    FOLDERS.iter().all(|digits| parts.next().is_some_and(|part| is_number(part, *digits)))
        && parts.next().is_some()
}

/// Reads one object. What is wrong with it is in the fold, also that it cannot be read.
async fn object_of(log: &Log<'_>, leases: &Arc<Leases>, key: &str) -> Result<Fold, StepError> {
    let unreadable = |why: &str| {
        let mut fold = Fold::new(Layout::Firehose);
        let what = format!("the object could not be read: {why}");
        fold.add_finding(Finding::unproven("", None, what).in_object(key, 0));
        fold
    };
    let read = patiently(|| async {
        let Some(mut object) = log.store().get_stream(log.bucket(), key).await? else { return Ok(None) };
        let id = ObjectId { key: key.to_owned(), version: object.version.clone() };
        let mut reader = Reader::delivery(&Format::default(), id).under(leases);
        object.for_each(|piece| reader.push(piece)).await?;
        Ok(Some(reader.finish()))
    });
    match read.await {
        Ok(Some(fold)) => Ok(fold),
        Ok(None) => Ok(unreadable("it was listed and is gone")),
        Err(err) if err.name == ErrorName::Transient => Err(err),
        Err(err) => Ok(unreadable(&err.to_string())),
    }
}

/// Reads one object again, for its answers.
async fn ask(
    log: &Log<'_>,
    leases: &Arc<Leases>,
    object: &ObjectId,
    questions: Vec<Question>,
) -> Result<Vec<lifeboat_ledger::object::Answer>, StepError> {
    let read = patiently(|| async {
        let Some(mut streamed) = log.store().get_stream(log.bucket(), &object.key).await? else {
            return Ok(None);
        };
        if streamed.version != object.version {
            return Ok(None);
        }
        let mut asker = Asker::new(&Format::default(), object.clone(), questions.clone()).under(leases);
        streamed.for_each(|piece| asker.push(piece)).await?;
        Ok(Some(asker.finish()))
    });
    match read.await {
        Ok(Some(answers)) => Ok(answers),
        Err(err) if err.name == ErrorName::Transient => Err(err),
        // What is not answered is unproven.
        Ok(None) | Err(_) => Ok(questions.into_iter().map(Question::unanswered).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::is_delivery;

    #[test]
    fn only_firehoses_dated_folders_hold_deliveries() {
        assert!(is_delivery("witness/", "witness/2026/11/23/20/aex-1-2026"));
        for key in [
            "witness/2026/11/23/20",
            "witness/failed/2026/11/23/20/x",
            "log/2026/11/23/20/x",
            "witness/2026/11/3/20/x",
        ] {
            assert!(!is_delivery("witness/", key), "{key}");
        }
    }
}
