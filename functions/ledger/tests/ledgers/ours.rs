//! A case as the crate judges it: its objects over any number of folds, in any order, their bytes in pieces of any length.

use std::collections::BTreeMap;

use lifeboat_ledger::object::{Answer, Asker, Question};
use lifeboat_ledger::{
    End, Expect, Finding, Fold, Format, Hash, Layout, Names, ObjectId, Pen, Proof, Reader, StreamProof, Tail,
    slot,
};
use serde_json::json;

use super::case::Case;
use super::dice::Dice;
use super::reference::{self, Object, PenState, Place};

/// How often a delivery may have to be asked before it is judged.
const ROUNDS_MAX: usize = 100;

/// The case, as the crate takes it.
pub struct Ours<'a> {
    case: &'a Case,
    format: Format,
    expect: Expect,
}

impl<'a> Ours<'a> {
    pub fn new(case: &'a Case) -> Ours<'a> {
        Ours { case, format: format(&case.format), expect: expect(case) }
    }

    /// The proof over a split, an order and pieces of `dice`'s choice; and how many questions were asked.
    pub fn prove(&self, dice: &mut Dice) -> (Proof, Vec<Tail>, usize) {
        let layout = if self.case.delivered { Layout::Firehose } else { Layout::Segments };
        let mut shards: Vec<Fold> = (0..dice.between(1, 4)).map(|_| Fold::new(layout)).collect();
        let mut order: Vec<usize> = (0..self.case.objects.len()).collect();
        if dice.one_in(2) {
            dice.shuffle(&mut order);
        }
        for index in order {
            let shard = dice.below(shards.len());
            let read = self.read(index, layout, dice);
            merge(&mut shards[shard], read, dice);
        }
        dice.shuffle(&mut shards);
        let mut whole = Fold::new(layout);
        for shard in shards {
            let shard = if dice.one_in(4) { written_and_read(&shard) } else { shard };
            merge(&mut whole, shard, dice);
        }
        let mut asked = 0;
        for round in 0.. {
            let questions = whole.questions(&self.expect);
            if questions.is_empty() {
                break;
            }
            assert!(round < ROUNDS_MAX, "asked {ROUNDS_MAX} times, and still: {questions:?}");
            asked += questions.len();
            whole.answer(self.answers(questions, dice));
        }
        let (proof, tails) = whole.finish(&self.expect);
        (proof, tails, asked)
    }

    fn read(&self, index: usize, layout: Layout, dice: &mut Dice) -> Fold {
        let Object { place, bytes } = &self.case.objects[index];
        let Some(bytes) = bytes else {
            let finding = match place {
                Place::Slot { stream, first_seq } => {
                    Finding::unproven(stream, Some(*first_seq), "unreadable")
                }
                Place::Delivered => Finding::unproven("", None, "unreadable"),
            };
            let mut fold = Fold::new(layout);
            fold.add_finding(finding.at(&self.id(index), 0));
            return fold;
        };
        let mut reader = match place {
            Place::Slot { stream, first_seq } => {
                Reader::segment(&self.format, stream, *first_seq, self.id(index))
            }
            Place::Delivered => Reader::delivery(&self.format, self.id(index)),
        };
        in_pieces(bytes, dice, |piece| reader.push(piece));
        reader.finish()
    }

    fn answers(&self, questions: Vec<Question>, dice: &mut Dice) -> Vec<Answer> {
        let mut by_object: BTreeMap<ObjectId, Vec<Question>> = BTreeMap::new();
        for question in questions {
            by_object.entry((*question.piece.object).clone()).or_default().push(question);
        }
        let mut answers = Vec::new();
        for (id, questions) in by_object {
            let index = (0..self.case.objects.len()).find(|index| self.id(*index) == id);
            let index = index.expect("a question names an object that was read");
            let bytes = self.case.objects[index].bytes.as_ref().expect("it was read before");
            let mut asker = Asker::new(&self.format, id, questions);
            in_pieces(bytes, dice, |piece| asker.push(piece));
            answers.extend(asker.finish());
        }
        answers
    }

    /// The object with this key, and its version.
    pub fn object(&self, key: &str) -> Option<(&'a Object, Option<String>)> {
        let ids = (0..self.case.objects.len()).map(|index| (index, self.id(index)));
        let (index, id) = ids.into_iter().find(|(_, id)| id.key == key)?;
        Some((&self.case.objects[index], id.version))
    }

    /// The segments of `stream` by their slots; `None` for one that cannot be read.
    pub fn slots(&self, stream: &str) -> BTreeMap<u64, Option<&'a [u8]>> {
        let slot = |object: &'a Object| match &object.place {
            Place::Slot { stream: own, first_seq } if own == stream => {
                Some((*first_seq, object.bytes.as_deref()))
            }
            _ => None,
        };
        self.case.objects.iter().filter_map(slot).collect()
    }

    fn id(&self, index: usize) -> ObjectId {
        match &self.case.objects[index].place {
            Place::Slot { stream, first_seq } => {
                ObjectId { key: slot::key("log/", stream, *first_seq), version: Some(format!("v{index}")) }
            }
            Place::Delivered => ObjectId::new(format!("2026/11/23/{index}")),
        }
    }
}

/// Merging commutes.
fn merge(into: &mut Fold, fold: Fold, dice: &mut Dice) {
    if dice.one_in(2) {
        into.merge(fold);
    } else {
        let before = std::mem::replace(into, fold);
        into.merge(before);
    }
}

/// As one process hands it to another.
fn written_and_read(fold: &Fold) -> Fold {
    let written = serde_json::to_vec(fold).expect("a fold can be written");
    serde_json::from_slice(&written).expect("what was written can be read")
}

fn in_pieces(bytes: &[u8], dice: &mut Dice, mut push: impl FnMut(&[u8])) {
    let longest = match dice.below(4) {
        0 => bytes.len(),
        1 => 1,
        2 => 7,
        _ => 300,
    };
    let mut rest = bytes;
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(dice.between(1, longest.clamp(1, rest.len())));
        push(piece);
        rest = behind;
    }
}

fn format(format: &reference::Format) -> Format {
    let reference::Format { stream, seq, prev, epoch, control, entry_bytes_max } = format.clone();
    Format { names: Names { stream, seq, prev, epoch, control }, entry_bytes_max }
}

fn expect(case: &Case) -> Expect {
    let expected = &case.expected;
    let from = expected.from.iter().map(|(stream, prefix)| StreamProof {
        stream: stream.clone(),
        first_seq: prefix.first_seq,
        through: prefix.through,
        head: Hash::from_hex(&hex::encode(prefix.head)).expect("32 bytes are 64 digits"),
        entries: prefix.entries,
        pen: pen(&prefix.pen),
    });
    Expect {
        streams: expected.streams.iter().cloned().collect(),
        from: from.collect(),
        watermarks: expected.watermarks.clone(),
        end: if expected.closed { End::Closed } else { End::Open },
        ..Expect::default()
    }
}

/// The pen as the crate has it, by way of how it is written.
pub fn pen(pen: &reference::Pen) -> Pen {
    let state = match &pen.state {
        PenState::Nobody => json!({ "state": "unopened" }),
        PenState::Open { epoch, holder } => json!({ "state": "open", "epoch": epoch, "holder": holder }),
        PenState::Sealed { epoch, run } => json!({ "state": "sealed", "epoch": epoch, "run": run }),
    };
    serde_json::from_value(json!({ "newest_epoch": pen.newest, "state": state })).expect("it is a pen")
}
