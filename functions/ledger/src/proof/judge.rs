//! Judges a fold, stream by stream.

use std::collections::{BTreeMap, BTreeSet};

use super::fold::{Findings, Fold};
use super::overlap::{Compared, compare};
use super::{End, Expect};
use crate::Hash;
use crate::chain::{self, Run, Span, StreamProof, apply_span, push_span};
use crate::control::{Pen, PenState};
use crate::finding::{Finding, Verdict};
use crate::lease::Lease;
use crate::object::{Layout, Question};
use crate::slot;

pub(super) struct Judge<'a> {
    fold: &'a Fold,
    expect: &'a Expect,
    bases: BTreeMap<&'a str, &'a StreamProof>,
    /// The sequences that findings of objects name, by stream: what is missing from there on is told.
    told: BTreeMap<&'a str, BTreeSet<u64>>,
}

pub(super) struct Judged {
    pub(super) streams: Vec<StreamProof>,
    pub(super) findings: Findings,
    /// How many sequences were read that no proven prefix holds.
    pub(super) distinct: u64,
}

/// How the runs of one stream fit together.
#[derive(Default)]
struct Fit {
    /// What does not fit.
    findings: Vec<Finding>,
    questions: Vec<Question>,
    /// The sequences at which something is wrong, told here or by an object's own finding.
    faults: BTreeSet<u64>,
    /// What the entries are, in order.
    spans: Vec<Span>,
    /// How far the entries reach; `None` where there are none.
    reach: Option<Reach>,
    first_seq: u64,
    distinct: u64,
}

/// The end of what was seen so far.
#[derive(Clone, Copy)]
struct Reach {
    through: u64,
    hash: Hash,
}

impl<'a> Judge<'a> {
    pub(super) fn new(fold: &'a Fold, expect: &'a Expect) -> Judge<'a> {
        let mut told: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
        for finding in &fold.findings.kept {
            told.entry(&finding.stream).or_default().extend(finding.seq);
        }
        let bases = expect.from.iter().map(|base| (base.stream.as_str(), base)).collect();
        Judge { fold, expect, bases, told }
    }

    pub(super) fn questions(&self) -> Vec<Question> {
        let fits = self.streams().into_iter().flat_map(|stream| self.fit(stream).questions);
        BTreeSet::from_iter(fits).into_iter().collect()
    }

    pub(super) fn judge(&self) -> Judged {
        let mut judged = Judged { streams: Vec::new(), findings: self.fold.findings.clone(), distinct: 0 };
        for stream in self.streams() {
            self.judge_stream(stream, &mut judged);
        }
        judged
    }

    /// Every stream that is expected or was found.
    fn streams(&self) -> BTreeSet<&'a str> {
        let Expect { streams, watermarks, leases, .. } = self.expect;
        let expected = streams.iter().chain(watermarks.keys()).chain(leases.keys()).map(String::as_str);
        expected.chain(self.bases.keys().copied()).chain(self.fold.runs.keys().map(String::as_str)).collect()
    }

    fn judge_stream(&self, stream: &'a str, judged: &mut Judged) {
        let lease = self.expect.leases.get(stream);
        let closed = lease.filter(|_| self.expect.end == End::Closed);
        let given = self.expect.watermarks.get(stream).copied();
        let watermark = given.or_else(|| closed.map(|lease| lease.watermark));
        let at_fault = self.fold.findings.streams.contains(stream);
        let mut fit = self.fit(stream);
        judged.distinct = judged.distinct.saturating_add(fit.distinct);
        let Some(reach) = fit.reach else {
            match lease {
                _ if at_fault => {}
                Some(lease) if watermark.unwrap_or(0) == 0 => judged.streams.push(not_begun(lease)),
                _ => judged.findings.add(self.nothing(stream, watermark)),
            }
            return;
        };
        if let Some(missing) = watermark.filter(|watermark| *watermark > reach.through) {
            let due = reach.through.saturating_add(1);
            if !self.is_told(stream, due) {
                let what = format!("the stream ends at {}, but {missing} was acknowledged", reach.through);
                fit.findings.push(self.missing(stream, due, what));
            }
        }
        let pen = self.pen(stream, &mut fit);
        if fit.findings.is_empty() && !at_fault {
            let base = self.bases.get(stream);
            judged.streams.push(StreamProof {
                stream: stream.to_owned(),
                first_seq: fit.first_seq,
                through: reach.through,
                head: reach.hash,
                entries: base.map_or(0, |base| base.entries).saturating_add(fit.distinct),
                pen: pen.clone(),
            });
            let sealed = matches!(pen.state(), PenState::Sealed { .. });
            if self.expect.end == End::Closed && !sealed && watermark.is_none() {
                let what = format!(
                    "neither a seal nor a watermark vouches for its end at {}: whether it was cut off cannot be told",
                    reach.through
                );
                fit.findings.push(Finding::unproven(stream, None, what));
            }
        }
        fit.findings.into_iter().for_each(|finding| judged.findings.add(finding));
    }

    /// Who may write at the end. Entries that nobody was entitled to write are found, up to the first other fault: behind
    /// it nobody can tell who had the pen.
    fn pen(&self, stream: &str, fit: &mut Fit) -> Pen {
        // Each entry was judged by the lease when it was read.
        if let Some(lease) = self.expect.leases.get(stream) {
            return lease.pen();
        }
        let mut pen = self.bases.get(stream).map(|base| base.pen.clone()).unwrap_or_default();
        let first_fault = fit.faults.first().copied().unwrap_or(u64::MAX);
        for span in fit.spans.iter().take_while(|span| span.first_seq() < first_fault) {
            // A witness need not hold the control entries: where it shows none, it says nothing of the pen.
            let judged = self.fold.layout == Layout::Segments
                || matches!(span, Span::Control { .. })
                || *pen.state() != PenState::Unopened;
            if judged && let Err(finding) = apply_span(&mut pen, stream, span) {
                fit.findings.push(finding);
            }
        }
        pen
    }

    /// Fits the runs of `stream` together, in the order of their sequences.
    fn fit(&self, stream: &'a str) -> Fit {
        let mut fit = Fit::default();
        fit.faults.extend(self.told.get(stream).into_iter().flatten());
        if let Some(base) = self.bases.get(stream) {
            fit.first_seq = base.first_seq;
            fit.reach = Some(Reach { through: base.through, hash: base.head });
        }
        let none = BTreeMap::new();
        let runs: Vec<&Run> = self.fold.runs.get(stream).unwrap_or(&none).values().flatten().collect();
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
                if self.is_awaited(stream) && run.first_prev.is_some_and(|prev| prev != Hash::GENESIS) {
                    return;
                }
                self.begin(stream, run, fit);
                furthest = Some(run);
                continue;
            };
            let due = before.through.saturating_add(1);
            if run.first_seq > due && self.is_awaited(stream) {
                return;
            }
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

    /// Whether the stream is whole where its first gap is: it goes on, and what is missing may be under way.
    fn is_awaited(&self, stream: &str) -> bool {
        self.expect.end == End::Open && self.expect.leases.contains_key(stream)
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

    /// A stream of which nothing was read.
    fn nothing(&self, stream: &str, watermark: Option<u64>) -> Finding {
        match watermark {
            Some(watermark @ 1..) => {
                let what = format!("no entries at all, but {watermark} was acknowledged");
                Finding { seq: None, ..self.missing(stream, 0, what) }
            }
            _ => Finding::unproven(stream, None, "no entries at all: was the stream ever opened?"),
        }
    }

    /// Whether an object's own finding says what is wrong from `seq` on.
    fn is_told(&self, stream: &str, seq: u64) -> bool {
        self.told.get(stream).is_some_and(|told| told.contains(&seq))
    }

    /// Entries that are in no object that was read: a loss, unless there is an object that could not be read and that may
    /// hold them, or their delivery may still come. Of a stream with findings there may be one among those that were counted and not kept.
    fn missing(&self, stream: &str, seq: u64, what: String) -> Finding {
        let Findings { kept, count, streams, unread } = &self.fold.findings;
        let dropped = *count > kept.len() as u64 && streams.contains(stream);
        let leased = self.expect.leases.contains_key(stream);
        let verdict = if *unread || dropped || leased { Verdict::Unproven } else { Verdict::Broken };
        Finding { verdict, ..Finding::broken(stream, Some(seq), what) }
    }
}

/// A stream of which nothing was acknowledged and nothing was read.
fn not_begun(lease: &Lease) -> StreamProof {
    StreamProof {
        stream: lease.stream.clone(),
        first_seq: 1,
        through: 0,
        head: Hash::GENESIS,
        entries: 0,
        pen: lease.pen(),
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
