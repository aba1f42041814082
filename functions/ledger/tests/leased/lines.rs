//! Entries of one stream, deliveries of them, and their judgement.

use lifeboat_ledger::lease::Lease;
use lifeboat_ledger::object::{Asker, Layout, Reader};
use lifeboat_ledger::proof::{End, Expect, Proof};
use lifeboat_ledger::{Fold, Format, Hash, ObjectId};

pub const STREAM: &str = "ME1";

/// An entry as it was sent.
#[derive(Clone, Debug)]
pub struct Line {
    pub text: String,
    pub hash: Hash,
    pub seq: u64,
}

impl Line {
    pub fn new(text: &str, seq: u64) -> Line {
        Line { text: text.to_owned(), hash: Hash::of(text.as_bytes()), seq }
    }

    /// Another entry for the same place, behind `prev`.
    pub fn spaced(&self, prev: Hash) -> Line {
        entry(self.seq, 1, prev, 7)
    }
}

/// The entry `seq` under `epoch` behind `prev`; another one for each `salt`.
pub fn entry(seq: u64, epoch: u64, prev: Hash, salt: u64) -> Line {
    let text =
        format!(r#"{{"stream":"{STREAM}","seq":{seq},"prev":"{prev}","epoch":{epoch},"salt":{salt}}}"#);
    Line::new(&text, seq)
}

/// Lines `first..=last` under `epoch`, chained behind `head`.
pub fn lines(first: u64, last: u64, epoch: u64, mut head: Hash) -> Vec<Line> {
    let next = |seq| {
        let line = entry(seq, epoch, head, 0);
        head = line.hash;
        line
    };
    (first..=last).map(next).collect()
}

/// A delivery of those lines.
pub fn object(lines: &[Line]) -> Vec<u8> {
    lines.iter().flat_map(|line| [line.text.as_bytes(), b"\n"].concat()).collect()
}

/// The judgement of such deliveries under `lease`.
pub fn prove(objects: &[Vec<u8>], lease: &Lease, end: End) -> Proof {
    let (fold, expect) = fold(objects, lease, end);
    fold.finish(&expect).0
}

/// The first sequences of what begins behind a hole.
pub fn behind_holes(objects: &[Vec<u8>], lease: &Lease) -> Vec<u64> {
    let (fold, expect) = fold(objects, lease, End::Open);
    fold.behind_holes(&expect).into_iter().map(|run| run.first_seq).collect()
}

/// Such deliveries, with all the answers that their judgement takes.
fn fold(objects: &[Vec<u8>], lease: &Lease, end: End) -> (Fold, Expect) {
    let expect = Expect { leases: [(STREAM.to_owned(), lease.clone())].into(), end, ..Expect::default() };
    let mut fold = Fold::new(Layout::Firehose);
    for (number, bytes) in objects.iter().enumerate() {
        let mut reader = Reader::delivery(&Format::default(), ObjectId::new(number.to_string()));
        reader.push(bytes);
        fold.merge(reader.finish());
    }
    for _ in 0..100 {
        let questions = fold.questions(&expect);
        if questions.is_empty() {
            let written = serde_json::to_vec(&fold).unwrap();
            assert_eq!(serde_json::from_slice::<Fold>(&written).unwrap(), fold, "it can be handed on");
            return (fold, expect);
        }
        for question in questions {
            let id = (*question.piece.object).clone();
            let at: usize = id.key.parse().unwrap();
            let mut asker = Asker::new(&Format::default(), id, vec![question]);
            asker.push(&objects[at]);
            fold.answer(asker.finish());
        }
    }
    panic!("it asks without end");
}
