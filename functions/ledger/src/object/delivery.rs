//! What a delivery stream wrote: lines of any streams, in any order, at least once.

use std::collections::HashMap;
use std::sync::Arc;

use super::{EntryReader, Read, not_decoded};
use crate::Hash;
use crate::chain::{self, Place, Run, Span};
use crate::decode::Undecodable;
use crate::finding::{Finding, ObjectId};
use crate::format::Format;
use crate::lease::{Leases, Standing};
use crate::lines::Take;
use crate::object::Layout;
use crate::proof::{Findings, Fold};

pub(super) struct Delivery {
    reader: EntryReader,
    entry_bytes_max: usize,
    pieces: Pieces,
    findings: Findings,
    bytes: u64,
    leases: Arc<Leases>,
    void: u64,
}

/// The pieces of an object: for each stream, the stretches that follow in sequence and hash, in the order of the lines. A
/// second reading of the same bytes gives the same pieces, so the place of its first line names a piece.
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
            leases: Arc::default(),
            void: 0,
        }
    }

    pub(super) fn under(&mut self, leases: Arc<Leases>) {
        self.leases = leases;
    }

    pub(super) fn finish(self, undecodable: Option<Undecodable>) -> Fold {
        let Delivery { pieces, findings, bytes, void, .. } = self;
        if let Some(why) = undecodable {
            let finding = not_decoded("", None, &pieces.object, why);
            return Fold::of_object(Layout::Firehose, 0, None, Some(finding));
        }
        let mut fold = Fold::of_object(Layout::Firehose, bytes, pieces.runs, None);
        fold.add_findings(findings);
        fold.add_void(void);
        fold
    }
}

impl Take for Delivery {
    fn lines(&mut self, lines: &[&[u8]], offset: u64) {
        let Delivery { reader, pieces, findings, bytes, leases, void, .. } = self;
        reader.read(lines, offset, |read, hash, offset, length| {
            match read {
                Ok(entry) => {
                    *bytes += length;
                    match standing(leases, &entry) {
                        Standing::Void => {
                            *void += 1;
                            return true;
                        }
                        Standing::Entitled => {}
                        other => findings.add(not_entitled(&entry, other).at(&pieces.object, offset)),
                    }
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

/// How `entry` stands to its stream's lease; a stream without one is judged by its control entries, once it is whole.
pub(super) fn standing(leases: &Leases, entry: &Read<'_>) -> Standing {
    leases.get(entry.stream).map_or(Standing::Entitled, |lease| lease.standing(entry.seq, entry.epoch))
}

fn not_entitled(entry: &Read<'_>, standing: Standing) -> Finding {
    let wrote = match entry.epoch {
        Some(epoch) => format!("written under epoch {epoch}"),
        None => "written without an epoch".to_owned(),
    };
    let seq = Some(entry.seq);
    match standing {
        Standing::Newer => {
            let what = format!("{wrote}, which is newer than the lease as it was read");
            Finding::unproven(entry.stream, seq, what)
        }
        _ => Finding::broken(entry.stream, seq, format!("{wrote}, which did not hold the lease there")),
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
            // A sequence that was taken is below the largest number.
            if run.last_seq + 1 == entry.seq && chain::links(entry.prev, run.last_hash) {
                (run.last_seq, run.last_hash) = (entry.seq, hash);
                let same =
                    matches!(run.spans.last(), Some(Span::Written { epoch, .. }) if *epoch == entry.epoch);
                if entry.control.is_some() || !same {
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
