//! One object that a delivery stream wrote, read for its entries or again for an answer.

use lifeboat_ledger::object::{Answer, Asker, Layout, Question, Reader};
use lifeboat_ledger::{Finding, Fold, Format, ObjectId};
use lifeboat_rules::{ErrorName, StepError};
use lifeboat_runtime::Log;

use crate::read::patiently;

/// Firehose's folders, `YYYY/MM/DD/HH/`: how many digits each has.
pub(crate) const FOLDERS: [usize; 4] = [4, 2, 2, 2];
/// Objects in flight at once.
pub(crate) const GETS_IN_FLIGHT: usize = 32;

/// Whether `name` is a folder that stands for a number of so many digits.
pub(crate) fn is_folder(name: &str, digits: usize) -> bool {
    name.len() == digits && name.bytes().all(|byte| byte.is_ascii_digit())
}

/// Reads one object. What is wrong with it is in the fold, also that it cannot be read.
///
/// # Errors
/// `Transient` where it cannot be read now.
pub(crate) async fn read(log: &Log<'_>, key: &str) -> Result<Fold, StepError> {
    let unreadable = |why: &str| {
        let mut fold = Fold::new(Layout::Firehose);
        let what = format!("the object could not be read: {why}");
        fold.add_finding(Finding::unproven("", None, what).in_object(key, 0));
        fold
    };
    let read = patiently(|| async {
        let Some(mut object) = log.store().get_stream(log.bucket(), key).await? else { return Ok(None) };
        let id = ObjectId { key: key.to_owned(), version: object.version.clone() };
        let mut reader = Reader::delivery(&Format::default(), id);
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

/// Reads the version of an object that was read before, for its answers. What it does not answer is unproven.
///
/// # Errors
/// `Transient` where it cannot be read now.
pub(crate) async fn ask(
    log: &Log<'_>,
    object: &ObjectId,
    questions: Vec<Question>,
) -> Result<Vec<Answer>, StepError> {
    let read = patiently(|| async {
        let Some(mut streamed) = log.store().get_stream(log.bucket(), &object.key).await? else {
            return Ok(None);
        };
        if streamed.version != object.version {
            return Ok(None);
        }
        let mut asker = Asker::new(&Format::default(), object.clone(), questions.clone());
        streamed.for_each(|piece| asker.push(piece)).await?;
        Ok(Some(asker.finish()))
    });
    match read.await {
        Ok(Some(answers)) => Ok(answers),
        Err(err) if err.name == ErrorName::Transient => Err(err),
        Ok(None) | Err(_) => Ok(questions.into_iter().map(Question::unanswered).collect()),
    }
}
