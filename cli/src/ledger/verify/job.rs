//! One object to be read, wherever it lies: the first time for its entries, the second time for an answer.

use std::collections::BTreeMap;
use std::sync::Arc;

use lifeboat_ledger::object::{Answer, Asker, Layout, Question, Reader};
use lifeboat_ledger::{Expect, Finding, Fold, ObjectId, slot};

use super::Reading;

/// What is to be read, and why.
#[derive(Clone, Debug)]
pub(super) enum Job {
    /// The segment of `stream` at `first_seq`.
    Segment { stream: Arc<str>, first_seq: u64, key: String },
    /// An object of a delivery stream.
    Delivery { key: String },
    /// An object of a delivery stream for the second time.
    Again { object: ObjectId, questions: Vec<Question> },
}

/// An object that is being read.
pub(super) enum Open {
    Entries(Box<Reader>),
    Answers(Box<Asker>),
    /// It has another version than the first time: what the first one held cannot be asked of it.
    Changed(Vec<Question>),
}

/// What an object gave.
pub(super) enum Gave {
    Entries(Fold),
    Answers(Vec<Answer>),
}

impl Job {
    /// The job of the object `key` below `prefix`; the finding where it has no place in the layout of segments.
    pub(super) fn segment(prefix: &str, key: &str) -> Result<Job, Finding> {
        match slot::parse(prefix, key) {
            Some((stream, first_seq)) => {
                Ok(Job::Segment { stream: stream.into(), first_seq, key: key.to_owned() })
            }
            None => {
                let stream = key.strip_prefix(prefix).and_then(|rest| rest.split_once('/'));
                let stream = stream.map_or("", |(stream, _)| stream);
                Err(Finding::broken(stream, None, "an object that is no slot").in_object(key, 0))
            }
        }
    }

    pub(super) fn key(&self) -> &str {
        match self {
            Job::Segment { key, .. } | Job::Delivery { key } => key,
            Job::Again { object, .. } => &object.key,
        }
    }

    /// Begins to read it; `version` is the one that is there.
    pub(super) fn open(&self, reading: &Reading, version: Option<String>) -> Open {
        let format = &reading.format;
        let object = ObjectId { key: self.key().to_owned(), version };
        match self {
            Job::Segment { stream, first_seq, .. } => {
                Open::Entries(Box::new(Reader::segment(format, stream, *first_seq, object)))
            }
            Job::Delivery { .. } => Open::Entries(Box::new(Reader::delivery(format, object))),
            Job::Again { object: before, questions } if before.version == object.version => {
                Open::Answers(Box::new(Asker::new(format, object, questions.clone())))
            }
            Job::Again { questions, .. } => Open::Changed(questions.clone()),
        }
    }

    /// What it gave where it cannot be read.
    pub(super) fn unreadable(&self, why: &str) -> Gave {
        let (stream, seq) = match self {
            Job::Segment { stream, first_seq, .. } => (&**stream, Some(*first_seq)),
            Job::Delivery { .. } => ("", None),
            Job::Again { questions, .. } => return Gave::unanswered(questions.clone()),
        };
        let finding = Finding::unproven(stream, seq, format!("the object could not be read: {why}"));
        let mut fold = Fold::new(match self {
            Job::Segment { .. } => Layout::Segments,
            _ => Layout::Firehose,
        });
        fold.add_finding(finding.in_object(self.key(), 0));
        Gave::Entries(fold)
    }
}

impl Open {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        match self {
            Open::Entries(reader) => reader.push(bytes),
            Open::Answers(asker) => asker.push(bytes),
            Open::Changed(_) => {}
        }
    }

    pub(super) fn finish(self) -> Gave {
        match self {
            Open::Entries(reader) => Gave::Entries(reader.finish()),
            Open::Answers(asker) => Gave::Answers(asker.finish()),
            Open::Changed(questions) => Gave::unanswered(questions),
        }
    }
}

impl Gave {
    fn unanswered(questions: Vec<Question>) -> Gave {
        Gave::Answers(questions.into_iter().map(Question::unanswered).collect())
    }

    pub(super) fn add_to(self, fold: &mut Fold) {
        match self {
            Gave::Entries(read) => fold.merge(read),
            Gave::Answers(answers) => fold.answer(answers),
        }
    }
}

/// The objects that have to be read again, each with all that is asked of it.
pub(super) fn again(fold: &Fold, expect: &Expect) -> Vec<Job> {
    let mut by_object: BTreeMap<ObjectId, Vec<Question>> = BTreeMap::new();
    for question in fold.questions(expect) {
        by_object.entry(ObjectId::clone(&question.piece.object)).or_default().push(question);
    }
    by_object.into_iter().map(|(object, questions)| Job::Again { object, questions }).collect()
}
