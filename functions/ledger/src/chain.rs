//! The chain of one stream: a segment's bytes become a [`Run`], a position in the chain is a [`Tail`].

use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::control::{Control, Pen, PenState};
use crate::entry::{self, Entry};
use crate::finding::{Finding, ObjectId};
pub use crate::format::ENTRY_BYTES_MAX;
use crate::format::Format;
use crate::object::Reader;
use crate::{Hash, slot};

/// The summary of consecutive entries of one stream: enough to join it to its neighbours and to judge who wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// The stream.
    pub stream: String,
    /// The sequence of the first entry.
    pub first_seq: u64,
    /// What the first entry names as the hash before it; `None` in a ledger that writes none.
    pub first_prev: Option<Hash>,
    /// The sequence of the last entry.
    pub last_seq: u64,
    /// The hash of the last entry.
    pub last_hash: Hash,
    /// What the entries are, in order, with equal neighbours joined. Between two control entries the first stretch and
    /// the first change are kept: of two epochs without a control entry between them, one was not entitled to write.
    pub spans: Vec<Span>,
    /// Where the line of the first entry is.
    pub at: Place,
}

/// Where a line is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The object.
    #[serde(with = "shared")]
    pub object: Arc<ObjectId>,
    /// The byte at which the line begins, in the decoded bytes of the object.
    pub offset: u64,
}

/// A stretch of entries of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Span {
    /// Data entries that carry the same writer's epoch.
    Written {
        /// The first of them.
        first_seq: u64,
        /// The epoch that they carry, if any.
        epoch: Option<u64>,
        /// Where the first of them is.
        at: Place,
    },
    /// One control entry.
    Control {
        /// Its sequence.
        seq: u64,
        /// What it says.
        control: Control,
        /// Where it is.
        at: Place,
    },
}

/// Shared in memory, written out in full.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::finding::ObjectId;

    pub(super) fn serialize<S: Serializer>(id: &Arc<ObjectId>, serializer: S) -> Result<S::Ok, S::Error> {
        ObjectId::serialize(id, serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(de: D) -> Result<Arc<ObjectId>, D::Error> {
        ObjectId::deserialize(de).map(Arc::new)
    }
}

impl Run {
    /// Reads one segment: newline-terminated entries of `stream` that begin at `first_seq`, unbroken in sequence and
    /// hash, compressed or not. `object` names it in findings.
    ///
    /// # Errors
    /// The first thing that is wrong, with its sequence and byte offset.
    pub fn of_segment(stream: &str, first_seq: u64, object: &str, bytes: &[u8]) -> Result<Run, Finding> {
        let mut reader = Reader::segment(&Format::default(), stream, first_seq, ObjectId::new(object));
        reader.push(bytes);
        reader.finish().into_segment()
    }

    /// How many entries the run holds.
    pub fn entries(&self) -> u64 {
        (self.last_seq - self.first_seq).saturating_add(1)
    }

    /// Whether `next` follows in sequence and, where the ledger writes one, in hash.
    pub(crate) fn is_followed_by(&self, next: &Run) -> bool {
        self.last_seq.checked_add(1) == Some(next.first_seq) && links(next.first_prev, self.last_hash)
    }

    /// Joins `next`, which follows, to the end of this run.
    pub(crate) fn append(&mut self, next: Run) {
        debug_assert!(self.is_followed_by(&next));
        self.last_seq = next.last_seq;
        self.last_hash = next.last_hash;
        for span in next.spans {
            push_span(&mut self.spans, span);
        }
    }
}

/// Whether an entry that names `prev` may follow the line of `hash`. A ledger without links names nothing.
pub(crate) fn links(prev: Option<Hash>, hash: Hash) -> bool {
    prev.is_none_or(|prev| prev == hash)
}

/// What is said where [`links`] is false.
pub(crate) fn broken_link(prev: Option<Hash>, seq_before: u64, hash: Hash) -> String {
    let prev = prev.map_or_else(|| "absent".to_owned(), |prev| prev.to_string());
    format!("`prev` is {prev}, but entry {seq_before} hashes to {hash}")
}

impl Span {
    /// The sequence of the first entry of the stretch.
    pub fn first_seq(&self) -> u64 {
        match self {
            Span::Written { first_seq, .. } => *first_seq,
            Span::Control { seq, .. } => *seq,
        }
    }

    /// Where the first entry of the stretch is.
    pub fn at(&self) -> &Place {
        match self {
            Span::Written { at, .. } | Span::Control { at, .. } => at,
        }
    }
}

/// Appends a stretch. Kept are control entries and, between two of them, the first stretch and the first change: enough to
/// tell whether all were entitled, in memory that does not grow with the entries. What is kept of a joined run does not
/// depend on where it was joined.
pub(crate) fn push_span(spans: &mut Vec<Span>, span: Span) {
    if let Span::Written { epoch, .. } = &span {
        match spans.as_slice() {
            [.., Span::Written { .. }, Span::Written { .. }] => return,
            [.., Span::Written { epoch: before, .. }] if before == epoch => return,
            _ => {}
        }
    }
    spans.push(span);
}

/// Applies one span to the pen that stood before it.
///
/// # Errors
/// Entries that nobody was entitled to write: after a seal, before the first open of a stream that has one later, or
/// under another epoch than the open's.
pub(crate) fn apply_span(pen: &mut Pen, stream: &str, span: &Span) -> Result<(), Finding> {
    match span {
        Span::Control { control, .. } => {
            pen.apply(control);
            Ok(())
        }
        Span::Written { first_seq, epoch, at } => entitled(pen, *epoch)
            .map_err(|what| Finding::broken(stream, Some(*first_seq), what).at(&at.object, at.offset)),
    }
}

/// Whether an entry of `epoch` may stand where `pen` does; the reason if not.
fn entitled(pen: &Pen, epoch: Option<u64>) -> Result<(), String> {
    let stood = match pen.state() {
        PenState::Unopened if epoch.is_none() => return Ok(()),
        PenState::Open { epoch: open, .. } if epoch == Some(*open) => return Ok(()),
        PenState::Unopened => "before any open".to_owned(),
        PenState::Open { epoch, holder } => format!("while epoch {epoch} was open for the {holder}"),
        PenState::Sealed { epoch, .. } => format!("after the seal of epoch {epoch}"),
    };
    let wrote = epoch.map_or("without an epoch".to_owned(), |epoch| format!("under epoch {epoch}"));
    Err(format!("written {wrote} {stood}"))
}

/// What is known of one stream, from its first entry through its last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamProof {
    /// The stream.
    pub stream: String,
    /// The first sequence.
    pub first_seq: u64,
    /// The last sequence.
    pub through: u64,
    /// The hash of the last entry.
    pub head: Hash,
    /// How many entries there are.
    pub entries: u64,
    /// Who may write now, as the control entries have it.
    pub pen: Pen,
}

/// A verified position at the end of one stream: where the next entry goes, and who may write it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tail {
    stream: String,
    next_seq: u64,
    head: Hash,
    pen: Pen,
}

impl Tail {
    /// The beginning of `stream`: the next entry is the first.
    pub fn new(stream: impl Into<String>) -> Tail {
        Tail { stream: stream.into(), next_seq: 1, head: Hash::GENESIS, pen: Pen::default() }
    }

    /// The end of a stream that was proven before: what is appended is verified from here on.
    pub fn resume(proof: &StreamProof) -> Tail {
        Tail {
            stream: proof.stream.clone(),
            next_seq: proof.through.saturating_add(1),
            head: proof.head,
            pen: proof.pen.clone(),
        }
    }

    /// Verifies the segment at slot `first_seq` as the next one and moves past it. Nothing moves on an error. `bytes` are
    /// the decoded bytes of the object (see [`crate::decode::decoded`]).
    ///
    /// Returns each entry with the range of its line in `bytes`, so that an application can replay its own fields.
    ///
    /// # Errors
    /// The first thing that is wrong with the segment or with its place in the chain.
    pub fn absorb_segment(
        &mut self,
        first_seq: u64,
        bytes: &[u8],
    ) -> Result<Vec<(Entry, Range<usize>)>, Finding> {
        let object = slot::key("", &self.stream, first_seq);
        let broken = |seq: u64, what: String, offset: usize| {
            Finding::broken(&self.stream, Some(seq), what).in_object(&object, offset as u64)
        };
        if first_seq != self.next_seq {
            let what = format!("the segment begins at {first_seq}, but {} comes next", self.next_seq);
            return Err(broken(self.next_seq, what, 0));
        }
        if bytes.is_empty() {
            return Err(broken(first_seq, EMPTY.into(), 0));
        }
        let (mut next_seq, mut head, mut pen) = (self.next_seq, self.head, self.pen.clone());
        let (mut entries, mut offset) = (Vec::new(), 0);
        while offset < bytes.len() {
            let broken = |what: String| broken(next_seq, what, offset);
            let length = memchr::memchr(b'\n', &bytes[offset..]).ok_or_else(|| broken(CUT_OFF.into()))?;
            if length > ENTRY_BYTES_MAX {
                return Err(broken(too_long(length as u64, ENTRY_BYTES_MAX)));
            }
            let line = offset..offset + length;
            let entry = entry::parse(&bytes[line.clone()]).map_err(|fault| broken(fault.to_string()))?;
            if entry.stream != self.stream {
                return Err(broken(foreign_stream(&entry.stream, &self.stream)));
            }
            if entry.seq != next_seq {
                return Err(broken(out_of_turn(entry.seq, next_seq)));
            }
            if !links(entry.prev, head) {
                return Err(broken(broken_link(entry.prev, next_seq.saturating_sub(1), head)));
            }
            match &entry.control {
                Some(control) => {
                    pen.apply(control);
                }
                None => entitled(&pen, entry.epoch).map_err(broken)?,
            }
            head = entry.hash;
            // A parsed sequence is below the largest number.
            next_seq = entry.seq + 1;
            offset = line.end + 1;
            entries.push((entry, line));
        }
        (self.next_seq, self.head, self.pen) = (next_seq, head, pen);
        Ok(entries)
    }

    /// Moves past entries that this process made itself and that the store has taken.
    pub(crate) fn advance(&mut self, last_seq: u64, last_hash: Hash) {
        (self.next_seq, self.head) = (last_seq.saturating_add(1), last_hash);
    }

    /// The stream.
    pub fn stream(&self) -> &str {
        &self.stream
    }

    /// The sequence of the next entry, which is also the next slot.
    pub fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// The hash that the next entry names in `prev`.
    pub fn head(&self) -> Hash {
        self.head
    }

    /// Who may write the next entry.
    pub fn pen(&self) -> &Pen {
        &self.pen
    }

    /// The line of `control` as the next entry, with its newline: a whole segment.
    pub fn control_segment(&self, control: &Control) -> Vec<u8> {
        let mut line = serde_json::to_vec(&serde_json::json!({
            "stream": self.stream, "seq": self.next_seq, "prev": self.head, "control": control,
        }))
        .expect("strings and numbers always serialise");
        line.push(b'\n');
        line
    }
}

/// What is said of an object without a byte.
pub(crate) const EMPTY: &str = "the object is empty";

/// What is said of bytes behind the last newline.
pub(crate) const CUT_OFF: &str = "the last line has no newline: it is cut off";

pub(crate) fn too_long(length: u64, entry_bytes_max: usize) -> String {
    format!("a line of {length} bytes; the limit is {entry_bytes_max}")
}

pub(crate) fn foreign_stream(found: &str, due: &str) -> String {
    format!("an entry of stream `{found}` in an object of `{due}`")
}

pub(crate) fn out_of_turn(found: u64, due: u64) -> String {
    format!("entry {found} stands where {due} comes next")
}
