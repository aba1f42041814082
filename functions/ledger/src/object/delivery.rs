//! What a delivery stream wrote: lines of any streams, in any order, at least once.

use std::collections::HashMap;
use std::sync::Arc;

use super::{EntryReader, Read, not_decoded};
use crate::Hash;
use crate::chain::{self, Place, Run, Span};
use crate::decode::Undecodable;
use crate::finding::{Finding, ObjectId};
use crate::format::Format;
use crate::lines::Take;
use crate::object::Layout;
use crate::proof::{Findings, Fold};

pub(super) struct Delivery {
    reader: EntryReader,
    entry_bytes_max: usize,
    pieces: Pieces,
    findings: Findings,
    bytes: u64,
}

/// The pieces of an object: for each stream, the stretches that follow in sequence and hash, in the order of the lines, and
/// whose data entries carry one epoch: the one that a piece is judged by. A second reading of the same bytes gives the same
/// pieces, so the place of its first line names a piece.
pub(super) struct Pieces {
    pub(super) object: Arc<ObjectId>,
    pub(super) runs: Vec<Run>,
    /// The piece that each stream is at.
    open: HashMap<String, usize>,
    /// The piece that the last line went to: the next one mostly goes there as well.
    last: usize,
}

impl Delivery {
    pub(super) fn new(format: &Format, object: Arc<ObjectId>) -> Delivery {
        Delivery {
            reader: EntryReader::new(format),
            entry_bytes_max: format.entry_bytes_max,
            pieces: Pieces::new(object),
            findings: Findings::default(),
            bytes: 0,
        }
    }

    pub(super) fn finish(self, undecodable: Option<Undecodable>) -> Fold {
        let Delivery { pieces, findings, bytes, .. } = self;
        if let Some(why) = undecodable {
            let finding = not_decoded("", None, &pieces.object, why);
            return Fold::of_object(Layout::Firehose, 0, None, Some(finding));
        }
        let mut fold = Fold::of_object(Layout::Firehose, bytes, pieces.runs, None);
        fold.add_findings(findings);
        fold
    }
}

impl Take for Delivery {
    fn lines(&mut self, lines: &[&[u8]], offset: u64) {
        let Delivery { reader, pieces, findings, bytes, .. } = self;
        reader.read(lines, offset, |read, hash, offset, length| {
            match read {
                Ok(entry) => {
                    *bytes += length;
                    pieces.add(&entry, hash, offset);
                }
                Err(fault) => {
                    findings.add(Finding::broken("", None, fault.to_string()).at(&pieces.object, offset));
                }
            }
            true
        });
    }

    fn too_long(&mut self, length: u64, offset: u64) {
        let what = chain::too_long(length, self.entry_bytes_max);
        self.findings.add(Finding::broken("", None, what).at(&self.pieces.object, offset));
    }

    fn cut_off(&mut self, offset: u64) {
        self.findings.add(Finding::broken("", None, chain::CUT_OFF).at(&self.pieces.object, offset));
    }
}

impl Pieces {
    pub(super) fn new(object: Arc<ObjectId>) -> Pieces {
        Pieces { object, runs: Vec::new(), open: HashMap::new(), last: 0 }
    }

    /// Adds the entry on the line at `offset`; the piece that it went to.
    pub(super) fn add(&mut self, entry: &Read<'_>, hash: Hash, offset: u64) -> &Run {
        let known = match self.runs.get(self.last) {
            Some(run) if run.stream == entry.stream => Some(self.last),
            _ => self.open.get(entry.stream).copied(),
        };
        let place = || Place { object: Arc::clone(&self.object), offset };
        let span = || match entry.control {
            Some(control) => Span::Control { seq: entry.seq, control: control.clone(), at: place() },
            None => Span::Written { first_seq: entry.seq, epoch: entry.epoch, at: place() },
        };
        if let Some(index) = known {
            let run = &mut self.runs[index];
            let written = run.spans.iter().rev().find_map(|span| match span {
                Span::Written { epoch, .. } => Some(*epoch),
                Span::Control { .. } => None,
            });
            let is_of_epoch = entry.control.is_some() || written.is_none_or(|epoch| epoch == entry.epoch);
            // A sequence that was taken is below the largest number.
            if run.last_seq + 1 == entry.seq && is_of_epoch && chain::links(entry.prev, run.last_hash) {
                (run.last_seq, run.last_hash) = (entry.seq, hash);
                if entry.control.is_some() || !matches!(run.spans.last(), Some(Span::Written { .. })) {
                    chain::push_span(&mut run.spans, span());
                }
                self.last = index;
                return &self.runs[index];
            }
        }
        let run = Run {
            stream: entry.stream.to_owned(),
            first_seq: entry.seq,
            first_prev: entry.prev,
            last_seq: entry.seq,
            last_hash: hash,
            spans: vec![span()],
            at: place(),
        };
        self.last = self.runs.len();
        self.open.insert(entry.stream.to_owned(), self.last);
        self.runs.push(run);
        &self.runs[self.last]
    }
}
