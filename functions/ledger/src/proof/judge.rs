//! Judges a fold, stream by stream.

mod fit;

use std::collections::{BTreeMap, BTreeSet};

use super::fold::{Findings, Fold};
use super::leased::Leased;
use super::pieces::Pieces;
use super::{End, Expect, leased};
use crate::chain::{Run, Span, StreamProof, apply_span};
use crate::control::{Pen, PenState};
use crate::finding::Finding;
use crate::lease::Lease;
use crate::object::{Layout, Question};
use fit::Fit;

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
    /// How many entries are void under a lease.
    pub(super) void: u64,
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
        let asked = self.streams().into_iter().flat_map(|stream| match self.lease(stream) {
            Some(lease) => self.leased(stream, lease).questions,
            None => self.fit(stream).questions,
        });
        BTreeSet::from_iter(asked).into_iter().collect()
    }

    pub(super) fn judge(&self) -> Judged {
        let findings = self.fold.findings.clone();
        let mut judged = Judged { streams: Vec::new(), findings, distinct: 0, void: 0 };
        for stream in self.streams() {
            match self.lease(stream) {
                Some(lease) => self.judge_leased(stream, lease, &mut judged),
                None => self.judge_stream(stream, &mut judged),
            }
        }
        judged
    }

    /// The lease that the deliveries of `stream` are judged by, if it has one.
    fn lease(&self, stream: &str) -> Option<&'a Lease> {
        self.expect.leases.get(stream).filter(|_| self.fold.layout == Layout::Firehose)
    }

    fn leased(&self, stream: &str, lease: &Lease) -> Leased {
        leased::judge(lease, &self.pieces(stream, lease), self.expect.end)
    }

    fn pieces(&self, stream: &str, lease: &Lease) -> Pieces<'a> {
        Pieces::new(self.runs(stream), &self.fold.answers, &leased::anchors(lease))
    }

    pub(super) fn behind_holes(&self) -> Vec<&'a Run> {
        let mut found = Vec::new();
        for stream in self.streams() {
            let Some(lease) = self.lease(stream) else { continue };
            let pieces = self.pieces(stream, lease);
            let judged = leased::judge(lease, &pieces, self.expect.end);
            found.extend(judged.behind_holes.into_iter().map(|piece| pieces.runs[piece]));
        }
        found
    }

    fn judge_leased(&self, stream: &'a str, lease: &Lease, judged: &mut Judged) {
        let Leased { mut findings, through, distinct, void, .. } = self.leased(stream, lease);
        judged.distinct = judged.distinct.saturating_add(distinct);
        judged.void = judged.void.saturating_add(void);
        let given = self.expect.watermarks.get(stream).filter(|given| **given > through.seq);
        if let Some(given) = given.filter(|_| findings.is_empty()) {
            let what = format!(
                "the chain back from the lease ends at {}, but {given} was acknowledged",
                through.seq
            );
            findings.push(Finding::unproven(stream, Some(through.seq.saturating_add(1)), what));
        }
        if findings.is_empty() && !self.fold.findings.streams.contains(stream) {
            judged.streams.push(StreamProof {
                stream: stream.to_owned(),
                first_seq: 1,
                through: through.seq,
                head: through.hash,
                entries: through.seq,
                pen: lease.pen(),
            });
        }
        findings.into_iter().for_each(|finding| judged.findings.add(finding));
    }

    /// The runs of `stream`, in the order of their sequences.
    fn runs(&self, stream: &str) -> Vec<&'a Run> {
        self.fold.runs.get(stream).into_iter().flat_map(BTreeMap::values).flatten().collect()
    }

    /// Every stream that is expected or was found.
    fn streams(&self) -> BTreeSet<&'a str> {
        let Expect { streams, watermarks, leases, .. } = self.expect;
        let expected = streams.iter().chain(watermarks.keys()).chain(leases.keys()).map(String::as_str);
        expected.chain(self.bases.keys().copied()).chain(self.fold.runs.keys().map(String::as_str)).collect()
    }

    fn judge_stream(&self, stream: &'a str, judged: &mut Judged) {
        let watermark = self.expect.watermarks.get(stream).copied();
        let at_fault = self.fold.findings.streams.contains(stream);
        let mut fit = self.fit(stream);
        judged.distinct = judged.distinct.saturating_add(fit.distinct);
        let Some(reach) = fit.reach else {
            if !at_fault {
                judged.findings.add(self.nothing(stream, watermark));
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
}
