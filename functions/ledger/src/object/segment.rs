//! A segment: one unbroken stretch of one stream, read up to its first fault.

use std::sync::Arc;

use super::{EntryReader, not_decoded};
use crate::chain::{self, Place, Run, Span};
use crate::decode::Undecodable;
use crate::finding::{Finding, ObjectId};
use crate::format::Format;
use crate::lines::Take;
use crate::object::Layout;
use crate::proof::Fold;

pub(super) struct Segment {
    reader: EntryReader,
    state: State,
}

/// Apart from the reader, so that it can change while the reader's lines are borrowed.
struct State {
    stream: String,
    /// The slot.
    first_seq: u64,
    object: Arc<ObjectId>,
    entry_bytes_max: usize,
    /// What stood before the first fault.
    run: Option<Run>,
    /// The epoch of the last stretch of data; the outer `None` behind a control entry and at the beginning.
    epoch: Option<Option<u64>>,
    bytes: u64,
    fault: Option<Finding>,
}

impl Segment {
    pub(super) fn new(format: &Format, stream: &str, first_seq: u64, object: Arc<ObjectId>) -> Segment {
        Segment {
            reader: EntryReader::new(format),
            state: State {
                stream: stream.to_owned(),
                first_seq,
                object,
                entry_bytes_max: format.entry_bytes_max,
                run: None,
                epoch: None,
                bytes: 0,
                fault: None,
            },
        }
    }

    pub(super) fn finish(self, undecodable: Option<Undecodable>) -> Fold {
        let State { stream, first_seq, object, run, bytes, fault, .. } = self.state;
        if let Some(why) = undecodable {
            let finding = not_decoded(&stream, Some(first_seq), &object, why);
            return Fold::of_object(Layout::Segments, 0, None, Some(finding));
        }
        let empty = || Finding::broken(&stream, Some(first_seq), chain::EMPTY).at(&object, 0);
        let fault = fault.or_else(|| run.is_none().then(empty));
        Fold::of_object(Layout::Segments, bytes, run, fault)
    }
}

impl Take for Segment {
    fn lines(&mut self, lines: &[&[u8]], offset: u64) {
        let Segment { reader, state } = self;
        if state.fault.is_some() {
            return;
        }
        reader.read(lines, offset, |read, hash, offset, length| {
            let entry = match read {
                Ok(entry) => entry,
                Err(fault) => return state.fail(fault.to_string(), offset),
            };
            if entry.stream != state.stream {
                return state.fail(chain::foreign_stream(entry.stream, &state.stream), offset);
            }
            let due = state.due();
            if entry.seq != due {
                return state.fail(chain::out_of_turn(entry.seq, due), offset);
            }
            if let Some(run) = &state.run
                && !chain::links(entry.prev, run.last_hash)
            {
                return state.fail(chain::broken_link(entry.prev, run.last_seq, run.last_hash), offset);
            }
            let place = || Place { object: Arc::clone(&state.object), offset };
            let span = match entry.control {
                Some(control) => {
                    state.epoch = None;
                    Some(Span::Control { seq: due, control: control.clone(), at: place() })
                }
                None if state.epoch == Some(entry.epoch) => None,
                None => {
                    state.epoch = Some(entry.epoch);
                    Some(Span::Written { first_seq: due, epoch: entry.epoch, at: place() })
                }
            };
            match &mut state.run {
                Some(run) => {
                    (run.last_seq, run.last_hash) = (due, hash);
                    if let Some(span) = span {
                        chain::push_span(&mut run.spans, span);
                    }
                }
                None => {
                    let at = place();
                    state.run = Some(Run {
                        stream: state.stream.clone(),
                        first_seq: due,
                        first_prev: entry.prev,
                        last_seq: due,
                        last_hash: hash,
                        spans: Vec::from_iter(span),
                        at,
                    });
                }
            }
            state.bytes += length;
            true
        });
    }

    fn too_long(&mut self, length: u64, offset: u64) {
        let what = chain::too_long(length, self.state.entry_bytes_max);
        self.state.fail(what, offset);
    }

    fn cut_off(&mut self, offset: u64) {
        self.state.fail(chain::CUT_OFF.into(), offset);
    }
}

impl State {
    /// The sequence that comes next.
    fn due(&self) -> u64 {
        // An entry that was taken is below the largest number.
        self.run.as_ref().map_or(self.first_seq, |run| run.last_seq + 1)
    }

    /// Notes the first fault. Says false, as [`EntryReader::read`] takes it: nothing behind it is read.
    fn fail(&mut self, what: String, offset: u64) -> bool {
        if self.fault.is_none() {
            let finding = Finding::broken(&self.stream, Some(self.due()), what);
            self.fault = Some(finding.at(&self.object, offset));
        }
        false
    }
}
