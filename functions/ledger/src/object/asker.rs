//! The second reading of an object: the hashes of a few entries that a summary leaves out.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::delivery::Pieces;
use super::{EntryReader, Input};
use crate::Hash;
use crate::chain::Place;
use crate::finding::ObjectId;
use crate::format::Format;
use crate::lines::Take;

/// What is asked of an object: which entries it holds from one sequence through another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// The object, and where in it the piece begins that is asked about.
    pub piece: Place,
    /// The first sequence that is asked about.
    pub from: u64,
    /// The last.
    pub through: u64,
}

/// What an object says to a question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// What was asked.
    pub question: Question,
    /// What the entries are; `None` where they could not be read again.
    pub entries: Option<Digest>,
}

/// Entries of one stream from one sequence through another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Digest {
    /// The hash of a single entry; of several, the hash over all before and the last one, in turn.
    pub hash: Hash,
    /// The byte at which the line of the last of them begins, in the decoded bytes.
    pub last_offset: u64,
}

impl Question {
    /// The answer where the object cannot be read again.
    pub fn unanswered(self) -> Answer {
        Answer { question: self, entries: None }
    }
}

/// Reads an object again, for the sake of a few questions.
pub struct Asker {
    input: Input<Listener>,
}

struct Listener {
    reader: EntryReader,
    state: State,
}

struct State {
    pieces: Pieces,
    answers: Vec<Answer>,
    /// Which questions begin at a sequence of a piece, which is named by where it begins.
    beginning: HashMap<(u64, u64), Vec<usize>>,
    /// The questions that are being answered, by piece.
    under_way: HashMap<u64, BTreeSet<usize>>,
}

impl Asker {
    /// A reader of `object` for `questions`, all of which are about it.
    pub fn new(format: &Format, object: ObjectId, questions: Vec<Question>) -> Asker {
        let mut beginning: HashMap<_, Vec<usize>> = HashMap::new();
        for (index, question) in questions.iter().enumerate() {
            beginning.entry((question.piece.offset, question.from)).or_default().push(index);
        }
        let listener = Listener {
            reader: EntryReader::new(format),
            state: State {
                pieces: Pieces::new(Arc::new(object)),
                answers: questions.into_iter().map(Question::unanswered).collect(),
                beginning,
                under_way: HashMap::new(),
            },
        };
        Asker { input: Input::new(format, listener) }
    }

    /// Takes the next bytes of the object, as it is stored.
    pub fn push(&mut self, bytes: &[u8]) {
        self.input.push(bytes);
    }

    /// The object has ended. A question about entries that are not there, or no longer, stays without an answer.
    pub fn finish(self) -> Vec<Answer> {
        let (listener, undecodable) = self.input.finish();
        let mut answers = listener.state.answers;
        for answer in &mut answers {
            let read_through = answer.entries.as_ref().is_some_and(|_| undecodable.is_none());
            if !read_through {
                answer.entries = None;
            }
        }
        // A question that is still under way was not answered to its end.
        for index in listener.state.under_way.into_values().flatten() {
            answers[index].entries = None;
        }
        answers
    }
}

impl Take for Listener {
    fn lines(&mut self, lines: &[&[u8]], offset: u64) {
        let Listener { reader, state } = self;
        reader.read(lines, offset, |read, hash, offset, _| {
            if let Ok(entry) = read {
                let piece = state.pieces.add(&entry, hash, offset).at.offset;
                state.listen(piece, entry.seq, hash, offset);
            }
            true
        });
    }

    // A line that is no entry was told in the first reading.
    fn too_long(&mut self, _: u64, _: u64) {}

    fn cut_off(&mut self, _: u64) {}
}

impl State {
    fn listen(&mut self, piece: u64, seq: u64, hash: Hash, offset: u64) {
        let begin = self.beginning.get(&(piece, seq));
        if begin.is_none() && !self.under_way.contains_key(&piece) {
            return;
        }
        let under_way = self.under_way.entry(piece).or_default();
        under_way.extend(begin.into_iter().flatten());
        under_way.retain(|index| {
            let Answer { question, entries } = &mut self.answers[*index];
            let hash = entries.as_ref().map_or(hash, |before| after(before.hash, hash));
            *entries = Some(Digest { hash, last_offset: offset });
            question.through != seq
        });
    }
}

/// The hash over all entries before, and the next one's.
fn after(before: Hash, hash: Hash) -> Hash {
    Hash::of(format!("{before}{hash}").as_bytes())
}
