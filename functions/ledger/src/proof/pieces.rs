//! The pieces of one stream as a graph: which of them holds the entry that another one goes on from.
//!
//! A [`Position`] is a sequence and the hash of the entry there. Since an entry names the one before it, all pieces that hold a
//! position hold the same entries as far back as they reach: whichever is taken, the chain back from there is the same.

use std::collections::{BTreeMap, BTreeSet};

use crate::Hash;
use crate::chain::Run;
use crate::object::{Answer, Question};

/// How many pieces are asked at once whether they hold a position: the first of them mostly does, and each costs the second
/// reading of an object.
const ASKED_MAX: usize = 8;

/// An entry of a stream, named beyond doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    pub(super) seq: u64,
    pub(super) hash: Hash,
}

impl Position {
    /// Before the first entry.
    pub(super) const GENESIS: Position = Position { seq: 0, hash: Hash::GENESIS };
}

/// What a piece, or the chain, holds at a sequence.
pub(super) enum Held {
    /// This, on the line at `offset` where that is known.
    Entry { hash: Hash, offset: Option<u64> },
    /// It takes this answer to say.
    Ask(Question),
    /// It was asked in vain.
    Unknown,
}

/// The pieces of one stream.
pub(super) struct Pieces<'a> {
    /// In the order of their first sequences.
    pub(super) runs: Vec<&'a Run>,
    answers: &'a BTreeMap<Question, Answer>,
    /// The position at which each piece ends.
    ends: Vec<(Position, usize)>,
    /// The pieces that an answer shows to hold a position before their end.
    inside: BTreeMap<Position, Vec<usize>>,
    /// What takes an answer before it is known which piece holds which position.
    pub(super) questions: Vec<Question>,
}

/// A part of a chain: the entries of `piece` from its first through `through`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stretch {
    pub(super) piece: usize,
    pub(super) through: Position,
}

/// A chain back from a position.
pub(super) struct Chain {
    /// Its parts in the order of their sequences.
    pub(super) stretches: Vec<Stretch>,
    /// The position that it needs next, where no piece holds it; `None` where it has come to its goal.
    pub(super) lacks: Option<Position>,
}

impl<'a> Pieces<'a> {
    /// `runs` in the order of their first sequences, to be walked from `anchors` and from each other.
    pub(super) fn new(
        runs: Vec<&'a Run>,
        answers: &'a BTreeMap<Question, Answer>,
        anchors: &[Position],
    ) -> Pieces<'a> {
        let end = |run: &Run| Position { seq: run.last_seq, hash: run.last_hash };
        let mut ends: Vec<_> = runs.iter().enumerate().map(|(at, run)| (end(run), at)).collect();
        ends.sort_unstable();
        let mut pieces = Pieces { runs, answers, ends, inside: BTreeMap::new(), questions: Vec::new() };
        let starts = pieces.runs.iter().filter_map(|run| start(run));
        let wanted: BTreeSet<Position> = starts.chain(anchors.iter().copied()).collect();
        pieces.look_inside(&wanted);
        pieces
    }

    /// Finds the pieces that hold a wanted position before their end, where none ends there.
    fn look_inside(&mut self, wanted: &BTreeSet<Position>) {
        let (mut begun, mut under_way): (usize, Vec<usize>) = (0, Vec::new());
        for position in wanted {
            while self.runs.get(begun).is_some_and(|run| run.first_seq <= position.seq) {
                under_way.push(begun);
                begun += 1;
            }
            under_way.retain(|piece| self.runs[*piece].last_seq > position.seq);
            if *position == Position::GENESIS || self.ending_at(*position).next().is_some() {
                continue;
            }
            let (mut holders, mut questions) = (Vec::new(), Vec::new());
            for &piece in &under_way {
                match self.held(piece, position.seq) {
                    Held::Entry { hash, .. } if hash == position.hash => holders.push(piece),
                    Held::Ask(question) if questions.len() < ASKED_MAX => questions.push(question),
                    _ => {}
                }
            }
            if holders.is_empty() {
                self.questions.extend(questions);
            } else {
                self.inside.insert(*position, holders);
            }
        }
    }

    /// What `piece` holds at `seq`, which lies in it.
    pub(super) fn held(&self, piece: usize, seq: u64) -> Held {
        let run = self.runs[piece];
        if seq == run.last_seq {
            let offset = (run.first_seq == seq).then_some(run.at.offset);
            return Held::Entry { hash: run.last_hash, offset };
        }
        self.line(piece, seq)
    }

    /// As [`Self::held`], and where its line is.
    pub(super) fn line(&self, piece: usize, seq: u64) -> Held {
        let question = Question { piece: self.runs[piece].at.clone(), from: seq, through: seq };
        match self.answers.get(&question) {
            None => Held::Ask(question),
            Some(Answer { entries: Some(digest), .. }) => {
                Held::Entry { hash: digest.hash, offset: Some(digest.last_offset) }
            }
            Some(Answer { entries: None, .. }) => Held::Unknown,
        }
    }

    fn ending_at(&self, position: Position) -> impl Iterator<Item = usize> + '_ {
        let from = self.ends.partition_point(|(end, _)| *end < position);
        self.ends[from..].iter().take_while(move |(end, _)| *end == position).map(|(_, piece)| *piece)
    }

    /// The piece that holds `position` and begins first, of those that are `eligible`.
    pub(super) fn holder(&self, position: Position, eligible: impl Fn(usize) -> bool) -> Option<usize> {
        let inside = self.inside.get(&position).into_iter().flatten().copied();
        self.ending_at(position).chain(inside).filter(|piece| eligible(*piece)).min()
    }

    /// Which of the `eligible` pieces hang on `root` by an unbroken chain of them.
    pub(super) fn hanging_on(&self, root: Position, eligible: impl Fn(usize) -> bool) -> Vec<bool> {
        let mut hang = vec![false; self.runs.len()];
        for piece in 0..self.runs.len() {
            // A holder begins before the piece that goes on from it, so it is judged by now.
            hang[piece] = eligible(piece)
                && start(self.runs[piece]).is_some_and(|before| {
                    before == root || self.holder(before, |holder| hang[holder]).is_some()
                });
        }
        hang
    }

    /// The chain back from `head` to `goal`, by `eligible` pieces.
    pub(super) fn back(&self, head: Position, goal: Position, eligible: impl Fn(usize) -> bool) -> Chain {
        let (mut stretches, mut at) = (Vec::new(), Some(head));
        let lacks = loop {
            let Some(through) = at.filter(|at| *at != goal) else { break None };
            let Some(piece) = self.holder(through, &eligible) else { break Some(through) };
            stretches.push(Stretch { piece, through });
            at = start(self.runs[piece]);
        };
        stretches.reverse();
        Chain { stretches, lacks }
    }

    /// What `chain` holds at `seq`, which lies on it.
    pub(super) fn on(&self, chain: &Chain, seq: u64) -> Held {
        let at = chain.stretches.partition_point(|stretch| stretch.through.seq < seq);
        match chain.stretches.get(at) {
            Some(stretch) if stretch.through.seq == seq => {
                Held::Entry { hash: stretch.through.hash, offset: None }
            }
            Some(stretch) if self.runs[stretch.piece].first_seq <= seq => self.held(stretch.piece, seq),
            _ => Held::Unknown,
        }
    }
}

/// The position that a piece goes on from; `None` where there can be none.
pub(super) fn start(run: &Run) -> Option<Position> {
    Some(Position { seq: run.first_seq.checked_sub(1)?, hash: run.first_prev? })
}
