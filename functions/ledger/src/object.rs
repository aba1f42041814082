//! One object's bytes, as they arrive, become a [`Fold`].
//!
//! There is no I/O here and no whole object in memory: a reader keeps a line at most, what decoding needs, and summaries. What
//! is wrong with an object is a finding, never an error, so that a proof goes on and says all.
//!
//! Invariant: how the bytes are cut when they are pushed changes nothing. An object whose compression is damaged gives that
//! one finding and nothing else, because how much of it could be decoded is an accident of the decoder.

mod asker;
mod delivery;
mod segment;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use asker::{Answer, Asker, Question};

use crate::Hash;
use crate::control::Control;
use crate::decode::{Decoder, Undecodable};
use crate::entry::{self, Entry, Fault};
use crate::fast::{Canonical, LineReader};
use crate::finding::{Finding, ObjectId};
use crate::format::Format;
use crate::lines::{Lines, Take};
use crate::proof::Fold;
use delivery::Delivery;
use segment::Segment;

/// How a copy of the ledger is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// The authority: an object a slot, each one unbroken stretch of one stream.
    Segments,
    /// The witness: what a delivery stream wrote; any streams in any object, in any order, at least once.
    Firehose,
}

/// Reads one object.
pub struct Reader {
    input: Input<Kind>,
}

enum Kind {
    Segment(Segment),
    Delivery(Delivery),
}

impl Reader {
    /// A reader of the segment of `stream` whose first entry is `first_seq`.
    pub fn segment(format: &Format, stream: &str, first_seq: u64, object: ObjectId) -> Reader {
        let segment = Segment::new(format, stream, first_seq, Arc::new(object));
        Reader { input: Input::new(format, Kind::Segment(segment)) }
    }

    /// A reader of an object that a delivery stream wrote.
    pub fn delivery(format: &Format, object: ObjectId) -> Reader {
        Reader { input: Input::new(format, Kind::Delivery(Delivery::new(format, Arc::new(object)))) }
    }

    /// Takes the next bytes of the object, as it is stored: gzip and zstd are recognised by their first bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.input.push(bytes);
    }

    /// The object has ended: what it gave, and what is wrong with it.
    pub fn finish(self) -> Fold {
        match self.input.finish() {
            (Kind::Segment(segment), undecodable) => segment.finish(undecodable),
            (Kind::Delivery(delivery), undecodable) => delivery.finish(undecodable),
        }
    }
}

/// Decodes bytes and cuts them into lines for `taker`.
struct Input<T> {
    decoder: Decoder,
    lines: Lines,
    undecodable: Option<Undecodable>,
    taker: T,
}

impl<T: Take> Input<T> {
    fn new(format: &Format, taker: T) -> Input<T> {
        Input {
            decoder: Decoder::default(),
            lines: Lines::new(format.entry_bytes_max),
            undecodable: None,
            taker,
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        if self.undecodable.is_none() {
            let Input { decoder, lines, taker, .. } = self;
            self.undecodable = decoder.push(bytes, &mut |decoded| lines.push(decoded, taker)).err();
        }
    }

    fn finish(self) -> (T, Option<Undecodable>) {
        let Input { decoder, mut lines, mut undecodable, mut taker } = self;
        if undecodable.is_none() {
            undecodable = decoder.finish(&mut |decoded| lines.push(decoded, &mut taker)).err();
        }
        if undecodable.is_none() {
            lines.finish(&mut taker);
        }
        (taker, undecodable)
    }
}

impl Take for Kind {
    fn lines(&mut self, lines: &[&[u8]], offset: u64) {
        match self {
            Kind::Segment(segment) => segment.lines(lines, offset),
            Kind::Delivery(delivery) => delivery.lines(lines, offset),
        }
    }

    fn too_long(&mut self, length: u64, offset: u64) {
        match self {
            Kind::Segment(segment) => segment.too_long(length, offset),
            Kind::Delivery(delivery) => delivery.too_long(length, offset),
        }
    }

    fn cut_off(&mut self, offset: u64) {
        match self {
            Kind::Segment(segment) => segment.cut_off(offset),
            Kind::Delivery(delivery) => delivery.cut_off(offset),
        }
    }
}

/// What an object that cannot be decoded is told as.
fn not_decoded(stream: &str, seq: Option<u64>, object: &ObjectId, why: Undecodable) -> Finding {
    match why {
        Undecodable::Damaged(what) => Finding::broken(stream, seq, what),
        Undecodable::TooLarge(what) => Finding::unproven(stream, seq, what),
    }
    .at(object, 0)
}

/// What a proof needs of one entry. The hash of its line is beside it.
struct Read<'a> {
    stream: &'a str,
    seq: u64,
    prev: Option<Hash>,
    epoch: Option<u64>,
    control: Option<&'a Control>,
}

/// Reads lines into entries.
struct EntryReader {
    format: Format,
    fast: LineReader,
    hashes: Vec<Hash>,
}

impl EntryReader {
    fn new(format: &Format) -> EntryReader {
        EntryReader { format: format.clone(), fast: LineReader::new(format), hashes: Vec::new() }
    }

    /// Reads `lines`, the first of which begins at byte `offset`, and gives each to `take` with its hash, its offset and its
    /// length with the newline. Stops where `take` says false.
    fn read(
        &mut self,
        lines: &[&[u8]],
        mut offset: u64,
        mut take: impl FnMut(Result<Read<'_>, Fault>, Hash, u64, u64) -> bool,
    ) {
        self.hashes.clear();
        Hash::of_many(lines, &mut self.hashes);
        for (line, hash) in lines.iter().zip(&self.hashes) {
            let length = line.len() as u64 + 1;
            let go_on = match self.fast.read(line) {
                Some(Canonical { stream, seq, prev, epoch }) => {
                    take(Ok(Read { stream, seq, prev, epoch, control: None }), *hash, offset, length)
                }
                None => match entry::parse_hashed(&self.format.names, line, *hash) {
                    Ok(Entry { stream, seq, prev, epoch, control, .. }) => {
                        let read = Read { stream: &stream, seq, prev, epoch, control: control.as_ref() };
                        take(Ok(read), *hash, offset, length)
                    }
                    Err(fault) => take(Err(fault), *hash, offset, length),
                },
            };
            if !go_on {
                return;
            }
            offset += length;
        }
    }
}

#[cfg(test)]
mod tests;
