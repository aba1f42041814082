//! How the runs of one stream fit together.

use std::collections::BTreeSet;

use super::Judge;
use crate::Hash;
use crate::chain::{self, Run, Span, push_span};
use crate::finding::{Finding, Verdict};
use crate::object::{Layout, Question};
use crate::proof::fold::Findings;
use crate::proof::overlap::{Compared, compare};
use crate::slot;

/// How the runs of one stream fit together.
#[derive(Default)]
pub(super) struct Fit {
    /// What does not fit.
    pub(super) findings: Vec<Finding>,
    pub(super) questions: Vec<Question>,
    /// The sequences at which something is wrong, told here or by an object's own finding.
    pub(super) faults: BTreeSet<u64>,
    /// What the entries are, in order.
    pub(super) spans: Vec<Span>,
    /// How far the entries reach; `None` where there are none.
    pub(super) reach: Option<Reach>,
    pub(super) first_seq: u64,
    pub(super) distinct: u64,
}

/// The end of what was seen so far.
#[derive(Clone, Copy)]
pub(super) struct Reach {
    pub(super) through: u64,
    pub(super) hash: Hash,
}

impl<'a> Judge<'a> {
    /// Fits the runs of `stream` together, in the order of their sequences.
    pub(super) fn fit(&self, stream: &'a str) -> Fit {
        let mut fit = Fit::default();
        fit.faults.extend(self.told.get(stream).into_iter().flatten());
        if let Some(base) = self.bases.get(stream) {
            fit.first_seq = base.first_seq;
            fit.reach = Some(Reach { through: base.through, hash: base.head });
        }
        let runs = self.runs(stream);
        match self.fold.layout {
            Layout::Segments => self.fit_segments(stream, &runs, &mut fit),
            Layout::Firehose => self.fit_pieces(stream, &runs, &mut fit),
        }
        fit
    }

    fn fit_segments(&self, stream: &str, runs: &[&Run], fit: &mut Fit) {
        // The stretches that are held more than once, in order, with neighbours joined.
        let mut twice: Vec<(u64, u64)> = Vec::new();
        let mut reach = fit.reach.map(|reach| reach.through);
        for run in runs {
            if let Some(through) = reach
                && run.first_seq <= through
            {
                let end = run.last_seq.min(through);
                match twice.last_mut() {
                    Some((_, last)) if run.first_seq <= last.saturating_add(1) => *last = end.max(*last),
                    _ => twice.push((run.first_seq, end)),
                }
            }
            reach = Some(reach.map_or(run.last_seq, |through| through.max(run.last_seq)));
        }
        for (first, last) in &twice {
            let what = match first == last {
                true => format!("entry {first} is held by more than one object"),
                false => format!("entries {first} to {last} are held by more than one object"),
            };
            let mut finding = Finding::broken(stream, Some(*first), what);
            finding.object = runs.first().and_then(|run| slot::sibling(&run.at.object.key, *first));
            finding.offset = finding.object.is_some().then_some(0);
            fit.faults.insert(*first);
            fit.findings.push(finding);
        }
        let held_twice = |seq: u64| {
            let at = twice.partition_point(|(_, last)| *last < seq);
            twice.get(at).is_some_and(|(first, _)| *first <= seq)
        };
        for run in runs {
            let Some(before) = fit.reach else {
                self.begin(stream, run, fit);
                continue;
            };
            let due = before.through.saturating_add(1);
            if run.first_seq > due {
                self.gap(stream, due, run, fit);
            } else if run.first_seq == due
                && !held_twice(due)
                && !held_twice(before.through)
                && !chain::links(run.first_prev, before.hash)
            {
                fit.broken_link(stream, before, run);
            }
            fit.extend(run);
        }
    }

    fn fit_pieces(&self, stream: &str, runs: &[&Run], fit: &mut Fit) {
        // The piece that reaches furthest; `None` for the proven prefix. Each further piece is compared with it alone, and that
        // is enough: of all pieces that hold a sequence, each but the first is compared, at this sequence too, with one before
        // it that holds it, so if any two differ there, two that were compared do.
        let mut furthest: Option<&Run> = None;
        for run in runs {
            let Some(before) = fit.reach else {
                self.begin(stream, run, fit);
                furthest = Some(run);
                continue;
            };
            let due = before.through.saturating_add(1);
            if run.first_seq > due {
                self.gap(stream, due, run, fit);
            } else if run.first_seq == due {
                if !chain::links(run.first_prev, before.hash) {
                    fit.broken_link(stream, before, run);
                }
            } else {
                match compare(&self.fold.answers, run, furthest, before.through, before.hash) {
                    Compared::Same => {}
                    Compared::Ask(questions) => {
                        let last = run.last_seq.min(before.through);
                        let what = format!(
                            "entries {} to {last} are held by two objects that were not compared",
                            run.first_seq
                        );
                        fit.questions.extend(questions);
                        fit.fault(
                            Finding::unproven(stream, Some(run.first_seq), what)
                                .at(&run.at.object, run.at.offset),
                        );
                    }
                    Compared::Fork { seq, offset } => {
                        let other = furthest.map_or_else(
                            || "the proven prefix".to_owned(),
                            |other| format!("object {}", other.at.object.key),
                        );
                        let what = format!("a fork: another entry {seq} is in {other}");
                        fit.fault(Finding::broken(stream, Some(seq), what).at(&run.at.object, offset));
                    }
                }
            }
            if run.last_seq > before.through {
                furthest = Some(run);
            }
            fit.extend(run);
        }
    }

    /// The first run of a stream that has no proven prefix.
    fn begin(&self, stream: &str, run: &Run, fit: &mut Fit) {
        let told = self.told.get(stream).is_some_and(|told| told.range(..=run.first_seq).next().is_some());
        if !told && run.first_prev.is_some_and(|prev| prev != Hash::GENESIS) {
            let what = format!("the history begins at {} with a `prev` that is not 64 zeros", run.first_seq);
            fit.fault(self.missing(stream, run.first_seq, what).at(&run.at.object, run.at.offset));
        }
        fit.first_seq = run.first_seq;
        fit.extend(run);
    }

    /// Nothing holds the entries from `due` to where `run` begins.
    fn gap(&self, stream: &str, due: u64, run: &Run, fit: &mut Fit) {
        if self.is_told(stream, due) {
            return;
        }
        let last = run.first_seq - 1;
        let what = match due == last {
            true => format!("entry {due} is missing"),
            false => format!("entries {due} to {last} are missing"),
        };
        fit.fault(self.missing(stream, due, what).at(&run.at.object, run.at.offset));
    }

    /// Whether an object's own finding says what is wrong from `seq` on.
    pub(super) fn is_told(&self, stream: &str, seq: u64) -> bool {
        self.told.get(stream).is_some_and(|told| told.contains(&seq))
    }

    /// Entries that are in no object that was read: a loss, unless there is an object that could not be read and that may
    /// hold them. Of a stream with findings there may be one among those that were counted and not kept.
    pub(super) fn missing(&self, stream: &str, seq: u64, what: String) -> Finding {
        let Findings { kept, count, streams, unread } = &self.fold.findings;
        let dropped = *count > kept.len() as u64 && streams.contains(stream);
        let verdict = if *unread || dropped { Verdict::Unproven } else { Verdict::Broken };
        Finding { verdict, ..Finding::broken(stream, Some(seq), what) }
    }
}

impl Fit {
    fn fault(&mut self, finding: Finding) {
        self.faults.extend(finding.seq);
        self.findings.push(finding);
    }

    fn broken_link(&mut self, stream: &str, before: Reach, run: &Run) {
        let what = chain::broken_link(run.first_prev, before.through, before.hash);
        let finding = Finding::broken(stream, Some(run.first_seq), what);
        self.fault(finding.at(&run.at.object, run.at.offset));
    }

    /// Moves past `run`: what of it is new.
    fn extend(&mut self, run: &Run) {
        let known_through = self.reach.map(|reach| reach.through);
        if known_through.is_some_and(|through| run.last_seq <= through) {
            return;
        }
        let first_new =
            known_through.map_or(run.first_seq, |through| run.first_seq.max(through.saturating_add(1)));
        self.distinct = self.distinct.saturating_add((run.last_seq - first_new).saturating_add(1));
        for (index, span) in run.spans.iter().enumerate() {
            let ends_before = run.spans.get(index + 1).is_some_and(|next| next.first_seq() <= first_new);
            let is_over = ends_before || matches!(span, Span::Control { seq, .. } if *seq < first_new);
            if !is_over {
                push_span(&mut self.spans, span.clone());
            }
        }
        self.reach = Some(Reach { through: run.last_seq, hash: run.last_hash });
    }
}
