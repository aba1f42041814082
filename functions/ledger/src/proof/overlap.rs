//! Whether two pieces of a witness hold the same where they overlap.
//!
//! A piece is summed up by the hash of its last entry, which by the links vouches for all before it. So two pieces agree on
//! all that they share if they agree on the last entry that they share; and if not, the first at which they differ lies where a
//! search by halves finds it, since they agree on everything before it and on nothing behind. A ledger without links has the
//! same search over the running hash of all that they share.

use std::collections::BTreeMap;

use crate::Hash;
use crate::chain::Run;
use crate::object::{Answer, Question};

pub(super) enum Compared {
    /// They hold the same.
    Same,
    /// It takes these answers to say. Those that are there already and say nothing are not asked again.
    Ask(Vec<Question>),
    /// They differ first at `seq`, which the later one has on the line at `offset`.
    Fork { seq: u64, offset: u64 },
}

/// Compares `run` with `other`, which reaches `through` with `hash`; `None` for a proven prefix, of which nothing else is known.
pub(super) fn compare(
    answers: &BTreeMap<Question, Answer>,
    run: &Run,
    other: Option<&Run>,
    through: u64,
    hash: Hash,
) -> Compared {
    let Some(other) = other else {
        return compare_with_prefix(answers, run, through, hash);
    };
    let first = run.first_seq;
    let last = run.last_seq.min(through);
    let linked = run.first_prev.is_some();
    let ask = |run: &Run, seq: u64| {
        let is_end = seq == run.last_seq && (linked || first == seq);
        if is_end {
            Ok(run.last_hash)
        } else {
            known(answers, question(run, if linked { seq } else { first }, seq)).map(|(hash, _)| hash)
        }
    };
    let differ_at = |seq: u64| match (ask(run, seq), ask(other, seq)) {
        (Ok(own), Ok(others)) => Ok(own != others),
        (own, others) => Err([own.err(), others.err()].into_iter().flatten().flatten().collect()),
    };
    match differ_at(last) {
        Ok(false) => return Compared::Same,
        Err(questions) => return Compared::Ask(questions),
        Ok(true) => {}
    }
    let (mut low, mut high) = (first, last);
    while low < high {
        let middle = low + (high - low) / 2;
        match differ_at(middle) {
            Ok(true) => high = middle,
            Ok(false) => low = middle + 1,
            Err(questions) => return Compared::Ask(questions),
        }
    }
    match known(answers, question(run, low, low)) {
        Ok((_, offset)) => Compared::Fork { seq: low, offset },
        Err(question) => Compared::Ask(question.into_iter().collect()),
    }
}

/// Of a proven prefix the last entry is known. A piece that ends before it repeats what was proven, or what nobody can
/// compare any more.
fn compare_with_prefix(
    answers: &BTreeMap<Question, Answer>,
    run: &Run,
    through: u64,
    hash: Hash,
) -> Compared {
    if run.last_seq < through {
        return Compared::Same;
    }
    match known(answers, question(run, through, through)) {
        Ok((own, _)) if own == hash => Compared::Same,
        Ok((_, offset)) => Compared::Fork { seq: through, offset },
        Err(question) => Compared::Ask(question.into_iter().collect()),
    }
}

fn question(run: &Run, from: u64, through: u64) -> Question {
    Question { piece: run.at.clone(), from, through }
}

/// The hash and the place that answer `question`; the question itself if it has not been asked, and nothing if it was in vain.
fn known(answers: &BTreeMap<Question, Answer>, question: Question) -> Result<(Hash, u64), Option<Question>> {
    match answers.get(&question) {
        None => Err(Some(question)),
        Some(Answer { entries: None, .. }) => Err(None),
        Some(Answer { entries: Some(digest), .. }) => Ok((digest.hash, digest.last_offset)),
    }
}
