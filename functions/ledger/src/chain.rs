//! The chain of one stream: a segment's bytes become a [`Run`], a position in the chain is a [`Tail`].

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::control::{Control, Pen, PenState};
use crate::entry::{self, Entry};
use crate::finding::Finding;
use crate::{Hash, slot};

/// The longest line that a writer makes and a reader takes, in bytes without its newline. One number for all: a line that
/// one proof takes and another refuses would be found out on the day.
pub const ENTRY_BYTES_MAX: usize = 65_536;

/// The summary of consecutive entries of one stream: enough to join it to its neighbours and to judge who wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The stream.
    pub stream: String,
    /// The sequence of the first entry.
    pub first_seq: u64,
    /// What the first entry names as the hash before it.
    pub first_prev: Hash,
    /// The sequence of the last entry.
    pub last_seq: u64,
    /// The hash of the last entry.
    pub last_hash: Hash,
    /// What the entries are, in order, with equal neighbours joined.
    pub spans: Vec<Span>,
    /// The object that the run begins in, for findings.
    pub object: String,
}

/// A stretch of entries of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Span {
    /// Data entries that carry the same writer's epoch.
    Written {
        /// The first of them.
        first_seq: u64,
        /// The epoch that they carry, if any.
        epoch: Option<u64>,
    },
    /// One control entry.
    Control {
        /// Its sequence.
        seq: u64,
        /// What it says.
        control: Control,
    },
}

impl Run {
    /// Reads one segment: newline-terminated entries of `stream` that begin at `first_seq`, unbroken in sequence and
    /// hash. `object` names it in findings.
    ///
    /// # Errors
    /// The first thing that is wrong, with its sequence and byte offset.
    pub fn of_segment(stream: &str, first_seq: u64, object: &str, bytes: &[u8]) -> Result<Run, Finding> {
        let mut run: Option<Run> = None;
        for_each_entry(stream, first_seq, object, bytes, |entry, _| {
            run = Some(match run.take() {
                None => Run::of_entry(entry, object),
                Some(mut run) => {
                    run.extend(entry);
                    run
                }
            });
        })?;
        run.ok_or_else(|| {
            Finding::broken(stream, Some(first_seq), "the object is empty").in_object(object, 0)
        })
    }

    fn of_entry(entry: Entry, object: &str) -> Run {
        Run {
            stream: entry.stream.clone(),
            first_seq: entry.seq,
            first_prev: entry.prev,
            last_seq: entry.seq,
            last_hash: entry.hash,
            spans: vec![Span::of(entry)],
            object: object.to_owned(),
        }
    }

    /// Appends the next entry, already known to follow in sequence and hash.
    fn extend(&mut self, entry: Entry) {
        self.last_seq = entry.seq;
        self.last_hash = entry.hash;
        push_span(&mut self.spans, Span::of(entry));
    }

    /// How many entries the run holds.
    pub fn entries(&self) -> u64 {
        self.last_seq - self.first_seq + 1
    }

    /// Joins `next` to the end of this run.
    ///
    /// # Errors
    /// A gap, an overlap or a broken link between the two, named by the sequence at which it shows.
    pub fn join(&mut self, next: Run) -> Result<(), Finding> {
        let expected = self.last_seq.saturating_add(1);
        let found =
            |what: String, seq| Finding::broken(&self.stream, Some(seq), what).in_object(&next.object, 0);
        if next.first_seq > expected {
            let last = next.first_seq - 1;
            return Err(found(format!("entries {expected} to {last} are missing"), expected));
        }
        if next.first_seq < expected {
            return Err(found(
                format!("the object begins inside another, which reaches {}", self.last_seq),
                next.first_seq,
            ));
        }
        if next.first_prev != self.last_hash {
            return Err(found(
                format!(
                    "`prev` is {}, but entry {} hashes to {}",
                    next.first_prev, self.last_seq, self.last_hash
                ),
                next.first_seq,
            ));
        }
        self.last_seq = next.last_seq;
        self.last_hash = next.last_hash;
        for span in next.spans {
            push_span(&mut self.spans, span);
        }
        Ok(())
    }
}

impl Span {
    fn of(entry: Entry) -> Span {
        match entry.control {
            Some(control) => Span::Control { seq: entry.seq, control },
            None => Span::Written { first_seq: entry.seq, epoch: entry.epoch },
        }
    }
}

fn push_span(spans: &mut Vec<Span>, span: Span) {
    match (spans.last(), &span) {
        (Some(Span::Written { epoch: before, .. }), Span::Written { epoch, .. }) if before == epoch => {}
        _ => spans.push(span),
    }
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
        Span::Written { first_seq, epoch } => {
            let entitled = match pen.state() {
                PenState::Unopened => epoch.is_none(),
                PenState::Open { epoch: open, .. } => *epoch == Some(*open),
                PenState::Sealed { .. } => false,
            };
            if entitled {
                return Ok(());
            }
            let wrote = epoch.map_or("without an epoch".to_owned(), |epoch| format!("under epoch {epoch}"));
            let stood = match pen.state() {
                PenState::Unopened => "before any open".to_owned(),
                PenState::Open { epoch, holder } => format!("while epoch {epoch} was open for the {holder}"),
                PenState::Sealed { epoch, .. } => format!("after the seal of epoch {epoch}"),
            };
            Err(Finding::broken(stream, Some(*first_seq), format!("written {wrote} {stood}")))
        }
    }
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
#[derive(Clone, Debug)]
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

    /// The end of a verified run that begins the stream.
    pub(crate) fn after(run: &Run, pen: Pen) -> Tail {
        Tail { stream: run.stream.clone(), next_seq: run.last_seq + 1, head: run.last_hash, pen }
    }

    /// The end of a stream that was proven before: what is appended is verified from here on.
    pub fn resume(proof: &StreamProof) -> Tail {
        Tail {
            stream: proof.stream.clone(),
            next_seq: proof.through + 1,
            head: proof.head,
            pen: proof.pen.clone(),
        }
    }

    /// Verifies the segment at slot `first_seq` as the next one and moves past it. Nothing moves on an error.
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
        if first_seq != self.next_seq {
            let what = format!("the segment begins at {first_seq}, but {} comes next", self.next_seq);
            return Err(Finding::broken(&self.stream, Some(self.next_seq), what).in_object(&object, 0));
        }
        let mut entries = Vec::new();
        for_each_entry(&self.stream, first_seq, &object, bytes, |entry, line| {
            entries.push((entry, line));
        })?;
        let Some((first, _)) = entries.first() else {
            return Err(
                Finding::broken(&self.stream, Some(first_seq), "the object is empty").in_object(&object, 0)
            );
        };
        if first.prev != self.head {
            let what =
                format!("`prev` is {}, but entry {} hashes to {}", first.prev, first_seq - 1, self.head);
            return Err(Finding::broken(&self.stream, Some(first_seq), what).in_object(&object, 0));
        }
        let mut pen = self.pen.clone();
        for (entry, _) in &entries {
            apply_span(&mut pen, &self.stream, &Span::of(entry.clone()))
                .map_err(|finding| finding.in_object(&object, 0))?;
        }
        let (last, _) = &entries[entries.len() - 1];
        (self.next_seq, self.head, self.pen) = (last.seq + 1, last.hash, pen);
        Ok(entries)
    }

    /// Moves past entries that this process made itself and that the store has taken.
    pub(crate) fn advance(&mut self, last_seq: u64, last_hash: Hash) {
        (self.next_seq, self.head) = (last_seq + 1, last_hash);
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

fn for_each_entry(
    stream: &str,
    first_seq: u64,
    object: &str,
    bytes: &[u8],
    mut take: impl FnMut(Entry, Range<usize>),
) -> Result<(), Finding> {
    let mut offset = 0;
    let mut seq = first_seq;
    let mut before: Option<Hash> = None;
    while offset < bytes.len() {
        let broken = |what: String| Finding::broken(stream, Some(seq), what).in_object(object, offset);
        let Some(length) = bytes[offset..].iter().position(|byte| *byte == b'\n') else {
            return Err(broken("the last line has no newline: it is cut off".into()));
        };
        if length > ENTRY_BYTES_MAX {
            return Err(broken(format!("a line of {length} bytes; the limit is {ENTRY_BYTES_MAX}")));
        }
        let line = offset..offset + length;
        let entry = entry::parse(&bytes[line.clone()]).map_err(|fault| broken(fault.to_string()))?;
        if entry.stream != stream {
            return Err(broken(format!("an entry of stream `{}` in an object of `{stream}`", entry.stream)));
        }
        if entry.seq != seq {
            return Err(broken(format!("entry {} stands where {seq} comes next", entry.seq)));
        }
        if let Some(hash) = before
            && entry.prev != hash
        {
            return Err(broken(format!("`prev` is {}, but entry {} hashes to {hash}", entry.prev, seq - 1)));
        }
        before = Some(entry.hash);
        seq = seq
            .checked_add(1)
            .ok_or_else(|| broken("the sequence ends at the largest 64-bit number".into()))?;
        offset = line.end + 1;
        take(entry, line);
    }
    Ok(())
}
