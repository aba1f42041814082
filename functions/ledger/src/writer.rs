//! The writer's protocol, without I/O: an application that follows it is fenced by a seal, with no clock and no call
//! to anybody.
//!
//! 1. Replay the stream into a [`Tail`]; make a [`Writer`]; wait until [`Writer::has_pen`].
//! 2. Take waiting work, make one [`Segment`], put it with `If-None-Match: *`, one put in flight a stream.
//! 3. On 200, [`Writer::stored`]; only now may anything become visible: acknowledgements, fills, market data.
//! 4. On 412, read the slot and ask [`Writer::slot_taken`]. Own bytes are success (an answer was lost and the put
//!    was retried). Anything else means that nothing of the segment was stored: drop what is not stored, and read on. After
//!    an inert control entry the pen is still there; otherwise it is lost: begin again at 1.
//! 5. On 409, or without an answer, the same put again, byte for byte. The outcome is unknown until the slot says.
//! 6. When nothing happens, put a heartbeat: a log that stands still is what a dead writer looks like.
//!
//! A primary waits at 1 for as long as it takes: an `open` of a newer epoch may give the pen back. A recovery side that
//! was outranked ends. The README of this crate is the protocol in full, for other languages too.
//!
//! Invariant: nothing is visible before its put, so the log up to the seal is everything that was acknowledged.

use serde_json::Value;

use crate::chain::Tail;
use crate::control::{Holder, PenState};
use crate::entry::RESERVED_FIELDS;
use crate::{Hash, entry, slot};

/// A writer of one stream.
#[derive(Debug)]
pub struct Writer {
    prefix: String,
    tail: Tail,
    side: Holder,
    epoch: Option<u64>,
    fence: u64,
}

/// Why the writer may not write now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPen {
    /// The newest counting control entry is no open of this writer's own side and epoch.
    #[error("stream {stream}: {stood}")]
    NotOpen {
        /// The stream.
        stream: String,
        /// What the control entries say instead.
        stood: String,
    },
    /// A run of a newer epoch is about to seal.
    #[error("stream {stream}: epoch {own} is fenced by epoch {fence}")]
    Fenced {
        /// The stream.
        stream: String,
        /// The epoch that the writer holds.
        own: u64,
        /// The newer epoch whose fence object was seen.
        fence: u64,
    },
}

/// Why no segment was made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// The writer may not write.
    #[error(transparent)]
    NoPen(#[from] NoPen),
    /// The application's entry is no object, is too large, or uses a field that the format reserves.
    #[error("entry {index}: {what}")]
    BadEntry {
        /// The place in the batch, from 0.
        index: usize,
        /// What is wrong with it.
        what: String,
    },
    /// A segment has at least one entry.
    #[error("a segment needs at least one entry")]
    Empty,
}

/// A segment that is ready to be put, byte for byte the same at each try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The object's key.
    pub key: String,
    /// The object's bytes.
    pub bytes: Vec<u8>,
    /// The sequence of the first entry.
    pub first_seq: u64,
    /// The sequence of the last entry.
    pub last_seq: u64,
    last_hash: Hash,
}

/// What a taken slot means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// The slot holds this segment's own bytes: it was stored, and the answer was lost.
    Mine,
    /// Somebody else has the slot; the reason says who. Nothing of the segment was or will be stored.
    LostPen(String),
}

impl Writer {
    /// A writer that continues at `tail` for `side`. A recovery side gives the `epoch` that it was launched under; the
    /// primary, of which there is only one, gives none and adopts whatever open names its side.
    pub fn new(prefix: impl Into<String>, tail: Tail, side: Holder, epoch: Option<u64>) -> Writer {
        Writer { prefix: prefix.into(), tail, side, epoch, fence: 0 }
    }

    /// The epoch to write under.
    ///
    /// # Errors
    /// The reason why this writer may not write.
    pub fn has_pen(&self) -> Result<u64, NoPen> {
        let stream = || self.tail.stream().to_owned();
        let not_open = |stood| NoPen::NotOpen { stream: stream(), stood };
        match self.tail.pen().state() {
            PenState::Unopened => Err(not_open("it has not been opened".into())),
            PenState::Sealed { epoch, run } => Err(not_open(format!("sealed by epoch {epoch}, run {run}"))),
            PenState::Open { epoch, holder }
                if *holder != self.side || self.epoch.is_some_and(|own| own != *epoch) =>
            {
                Err(not_open(format!("open for the {holder} under epoch {epoch}")))
            }
            PenState::Open { epoch, .. } if self.fence > *epoch => {
                Err(NoPen::Fenced { stream: stream(), own: *epoch, fence: self.fence })
            }
            PenState::Open { epoch, .. } => Ok(*epoch),
        }
    }

    /// Notes that a fence object of `epoch` exists: from now on an older pen writes nothing.
    pub fn saw_fence(&mut self, epoch: u64) {
        self.fence = self.fence.max(epoch);
    }

    /// Makes the next segment of `entries`, each an object of the application's own fields.
    ///
    /// # Errors
    /// See [`WriteError`]; nothing changes on an error.
    pub fn segment(&self, entries: &[Value]) -> Result<Segment, WriteError> {
        let epoch = self.has_pen()?;
        let (mut bytes, mut seq, mut prev) = (Vec::new(), self.tail.next_seq(), self.tail.head());
        for (index, entry) in entries.iter().enumerate() {
            let bad = |what: String| WriteError::BadEntry { index, what };
            let fields = entry.as_object().ok_or_else(|| bad("not an object".into()))?;
            if let Some(field) = RESERVED_FIELDS.iter().find(|field| fields.contains_key(**field)) {
                return Err(bad(format!("field `{field}` belongs to the format")));
            }
            let mut line = format!(
                r#"{{"stream":{},"seq":{seq},"prev":"{prev}","epoch":{epoch}"#,
                Value::from(self.tail.stream()),
            )
            .into_bytes();
            let own = serde_json::to_vec(entry).expect("a JSON value always serialises");
            if !fields.is_empty() {
                line.push(b',');
            }
            line.extend_from_slice(&own[1..]);
            if line.len() > crate::chain::ENTRY_BYTES_MAX {
                return Err(bad(format!("a line of {} bytes is too long", line.len())));
            }
            (seq, prev) = (seq + 1, Hash::of(&line));
            bytes.extend_from_slice(&line);
            bytes.push(b'\n');
        }
        if entries.is_empty() {
            return Err(WriteError::Empty);
        }
        let first_seq = self.tail.next_seq();
        Ok(Segment {
            key: slot::key(&self.prefix, self.tail.stream(), first_seq),
            bytes,
            first_seq,
            last_seq: seq - 1,
            last_hash: prev,
        })
    }

    /// Moves past `segment`, which the store has taken.
    pub fn stored(&mut self, segment: &Segment) {
        self.tail.advance(segment.last_seq, segment.last_hash);
    }

    /// Judges a 412 by what the slot holds.
    pub fn slot_taken(&self, segment: &Segment, found: &[u8]) -> Taken {
        if found == segment.bytes {
            return Taken::Mine;
        }
        let line = found.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let holds = match entry::parse(line) {
            Ok(entry::Entry { control: Some(control), .. }) => control.to_string(),
            Ok(entry) => {
                format!(
                    "another writer's entries, under epoch {}",
                    entry.epoch.map_or("none".into(), |e| e.to_string())
                )
            }
            Err(fault) => format!("something that is no entry ({fault})"),
        };
        Taken::LostPen(format!("slot {} of stream {} holds {holds}", segment.first_seq, self.tail.stream()))
    }

    /// Where the writer stands.
    pub fn tail(&self) -> &Tail {
        &self.tail
    }

    /// Moves past a segment that somebody else stored, e.g. the awaited `open`.
    ///
    /// # Errors
    /// As [`Tail::absorb_segment`].
    pub fn absorb(&mut self, first_seq: u64, bytes: &[u8]) -> Result<(), crate::Finding> {
        self.tail.absorb_segment(first_seq, bytes).map(|_| ())
    }
}
