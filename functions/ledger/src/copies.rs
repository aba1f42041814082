//! The two copies of a ledger, compared and mended, without I/O.
//!
//! The *authority* is the log of segments: nothing is visible to anybody before its put, so what it holds is what was
//! acknowledged. The *witness* is what Amazon Data Firehose delivered, sent by the application after the put: at least once,
//! in any order, and only as far as it was delivered. Control entries are Lifeboat's and never reach it.
//!
//! Two facts carry everything here:
//!
//! - A piece of the witness is chained within itself, so if the authority has the same hash at the piece's last entry, all
//!   of its entries are the same. One question a [`Stretch`] compares it.
//! - An entry names the hash of the one before it. So whatever stands before a known entry can be put back in only one way:
//!   [`fill`] walks backwards from the entry behind a hole, and what it finds is what was lost, byte for byte. Who puts it
//!   back, and when, makes no difference. At the end of the log nothing names what was lost. There the witness alone would
//!   vouch for a line, and the witness is guarded less than the log: nothing is put back behind the end, it is only said.

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::chain::{Run, StreamProof, Tail};
use crate::entry::{self, Entry};
use crate::finding::{Finding, ObjectId};
use crate::format::Format;
use crate::proof::{FINDINGS_MAX, Fold};
use crate::{Hash, slot};

/// Pieces of the witness that follow each other in sequence and hash, from whatever objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// The sequence of the first entry.
    pub first_seq: u64,
    /// The sequence of the last entry.
    pub last_seq: u64,
    /// The hash of the last entry.
    pub last_hash: Hash,
    /// The pieces, in order.
    pub pieces: Vec<Run>,
}

/// Joins the pieces of one stream to stretches, the lowest first. A piece that was delivered twice counts once.
pub fn stretches(mut pieces: Vec<Run>) -> Vec<Stretch> {
    let place = |run: &Run| (run.first_seq, run.last_seq, run.last_hash, run.first_prev);
    pieces.sort_by(|a, b| place(a).cmp(&place(b)).then_with(|| a.at.cmp(&b.at)));
    pieces.dedup_by(|a, b| place(a) == place(b));
    let mut stretches: Vec<Stretch> = Vec::new();
    // Which stretch ends in this entry. Two that end alike are the same up to there, so it does not matter which is kept.
    let mut ends: HashMap<(u64, Hash), usize> = HashMap::new();
    for piece in pieces {
        let end = (piece.last_seq, piece.last_hash);
        let before =
            piece.first_seq.checked_sub(1).zip(piece.first_prev).and_then(|before| ends.remove(&before));
        let index = before.unwrap_or(stretches.len());
        ends.insert(end, index);
        match before {
            Some(index) => {
                let stretch = &mut stretches[index];
                (stretch.last_seq, stretch.last_hash) = end;
                stretch.pieces.push(piece);
            }
            None => stretches.push(Stretch {
                first_seq: piece.first_seq,
                last_seq: piece.last_seq,
                last_hash: piece.last_hash,
                pieces: vec![piece],
            }),
        }
    }
    stretches
}

/// What no range of `held` covers, between `floor` and the end of the greatest range.
pub fn gaps(floor: u64, held: impl IntoIterator<Item = RangeInclusive<u64>>) -> Vec<RangeInclusive<u64>> {
    let mut held: Vec<_> = held.into_iter().collect();
    held.sort_by_key(|range| (*range.start(), *range.end()));
    let (mut gaps, mut next) = (Vec::new(), floor);
    for range in held {
        if *range.start() > next {
            gaps.push(next..=*range.start() - 1);
        }
        next = next.max(range.end().saturating_add(1));
    }
    gaps
}

/// One line of an object, read as an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What the format needs of it.
    pub entry: Entry,
    /// The line, without its newline.
    pub bytes: Vec<u8>,
    /// Where it stands in the decoded bytes of the object.
    pub offset: u64,
}

/// The lines of an object's decoded bytes that are entries of `stream` with a sequence in `range`, in the order in which they
/// stand there. A line that is no entry is passed over: whether the object is sound is [`crate::object::Reader`]'s to say.
pub fn lines(format: &Format, decoded: &[u8], stream: &str, range: &RangeInclusive<u64>) -> Vec<Line> {
    let (mut found, mut offset) = (Vec::new(), 0_u64);
    for bytes in decoded.split_inclusive(|byte| *byte == b'\n') {
        let line = bytes.strip_suffix(b"\n").filter(|line| line.len() <= format.entry_bytes_max);
        if let Some(Ok(entry)) = line.map(|line| entry::parse_named(&format.names, line))
            && entry.stream == stream
            && range.contains(&entry.seq)
        {
            found.push(Line { entry, bytes: bytes[..bytes.len() - 1].to_vec(), offset });
        }
        offset += bytes.len() as u64;
    }
    found
}

/// What became of the entries of one piece of the witness, held against the authority.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// Entries that the authority has as well.
    pub same: u64,
    /// Entries that had no right to their place: a newer epoch had closed theirs, there or before, and an old primary sent
    /// what it could not put; or the authority knows of no such epoch where it has an entry. Harmless.
    pub void: u64,
    /// Entries in a place that the authority does not hold, before its end.
    pub unanswered: u64,
    /// Entries behind the authority's end that no epoch closes: the log may have lost its end.
    pub beyond: u64,
    /// The first entry that is another one than the authority's, by right: a fork.
    pub fork: Option<Finding>,
}

/// Holds the lines of one piece of the witness, in order, against the authority's entries.
///
/// `authority` are entries of the log in the order of their sequences. They reach from at least one entry of data before the
/// piece's first place (or from the beginning of the stream) to its last place; so the newest epoch at each place is known,
/// since an entry of data carries it. `end` is the authority's end, as far as the piece reaches behind it.
///
/// An entry is void where the newest epoch of the authority at its place is greater than its own. An epoch is made newer by a
/// control entry that counts and by nothing else, and whichever that is, a seal or another open, it closes every older one.
/// It is void as well where the authority holds the place and its newest epoch there is less: nobody had opened that epoch yet.
/// Behind the end a greater epoch is no such excuse, for what opened it may be lost too.
pub fn judge(authority: &[Entry], end: Option<&Tail>, object: &ObjectId, witness: &[Line]) -> Judged {
    let (mut judged, mut rest, mut newest) = (Judged::default(), authority.iter().peekable(), 0);
    for Line { entry, offset, .. } in witness {
        let mut at_place = None;
        while let Some(next) = rest.next_if(|next| next.seq <= entry.seq) {
            newest =
                newest.max(next.control.as_ref().map(|control| control.epoch()).or(next.epoch).unwrap_or(0));
            at_place = Some(next).filter(|next| next.seq == entry.seq);
        }
        let behind = end.is_some_and(|end| entry.seq >= end.next_seq());
        if let Some(end) = end.filter(|_| behind) {
            newest = newest.max(end.pen().newest_epoch());
        }
        let epoch = entry.epoch.unwrap_or(0);
        match at_place {
            Some(held) if held.hash == entry.hash => judged.same += 1,
            None if !behind => judged.unanswered += 1,
            None if epoch < newest => judged.void += 1,
            None => judged.beyond += 1,
            Some(_) if epoch != newest => judged.void += 1,
            Some(held) if judged.fork.is_none() => {
                let what = format!(
                    "the copies differ: this line hashes to {}, the log's entry to {}, and both had the right to the place",
                    entry.hash, held.hash
                );
                judged.fork = Some(Finding::broken(&entry.stream, Some(entry.seq), what).at(object, *offset));
            }
            Some(_) => {}
        }
    }
    judged
}

/// Entries that are missing between two that are there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hole {
    /// The stream.
    pub stream: String,
    /// The sequences that are missing.
    pub missing: RangeInclusive<u64>,
    /// The hash of the entry before them.
    pub before: Hash,
    /// What the entry behind them names as the hash before it.
    pub behind: Hash,
}

/// The holes between the segments of `log`, or between them and the proven prefixes `from`. Not a hole is what a finding
/// explains: there an object is, which is damaged or could not be read, and nothing can be put in its place.
pub fn holes(log: &Fold, from: &[StreamProof]) -> Vec<Hole> {
    let mut runs: BTreeMap<&str, Vec<&Run>> = BTreeMap::new();
    for run in log.runs() {
        runs.entry(&run.stream).or_default().push(run);
    }
    let mut holes = Vec::new();
    // Of more findings than are kept nobody can tell what they explain.
    if log.findings().len() >= FINDINGS_MAX {
        return holes;
    }
    for (stream, mut runs) in runs {
        runs.sort_by_key(|run| run.first_seq);
        let base = from.iter().find(|proof| proof.stream == stream);
        let mut end = base.map(|proof| (proof.through, proof.head));
        for run in runs {
            if let (Some((through, before)), Some(behind)) = (end, run.first_prev)
                && through < run.first_seq - 1
            {
                let missing = through + 1..=run.first_seq - 1;
                let explained = |finding: &Finding| {
                    finding.stream == stream && finding.seq.is_some_and(|seq| missing.contains(&seq))
                };
                if !log.findings().iter().any(explained) {
                    holes.push(Hole { stream: stream.to_owned(), missing, before, behind });
                }
            }
            if end.is_none_or(|(through, _)| through < run.last_seq) {
                end = Some((run.last_seq, run.last_hash));
            }
        }
    }
    holes
}

/// The lines that were lost in `hole`, in order, of all that the witness holds.
///
/// # Errors
/// The greatest sequence for which `found` has no line with the one hash that fits; it is 0 where all were found and the first of
/// them does not follow the entry before the hole.
pub fn fill(hole: &Hole, found: Vec<Line>) -> Result<Vec<Line>, u64> {
    let mut by_hash: HashMap<(u64, Hash), Line> =
        found.into_iter().map(|line| ((line.entry.seq, line.entry.hash), line)).collect();
    let (mut lost, mut wanted) = (Vec::new(), hole.behind);
    for seq in hole.missing.clone().rev() {
        let line = by_hash.remove(&(seq, wanted)).ok_or(seq)?;
        wanted = line.entry.prev.ok_or(seq)?;
        lost.push(line);
    }
    lost.reverse();
    if wanted == hole.before { Ok(lost) } else { Err(0) }
}

/// An object that is to be put back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patch {
    /// The sequence of its first entry.
    pub first_seq: u64,
    /// The sequence of its last entry.
    pub last_seq: u64,
    /// Its bytes: whole lines, with their newlines.
    pub bytes: Vec<u8>,
}

/// Makes objects of consecutive lines: a new one where a sequence is left out, and where one would pass `bytes_max` (unless it
/// is a single line that does).
pub fn patches<'a>(lines: impl IntoIterator<Item = &'a Line>, bytes_max: usize) -> Vec<Patch> {
    let mut patches: Vec<Patch> = Vec::new();
    for Line { entry, bytes, .. } in lines {
        match patches.last_mut() {
            Some(last) if last.last_seq + 1 == entry.seq && last.bytes.len() + bytes.len() < bytes_max => {
                last.last_seq = entry.seq;
                last.bytes.extend_from_slice(bytes);
                last.bytes.push(b'\n');
            }
            _ => {
                let bytes = [bytes, b"\n".as_slice()].concat();
                patches.push(Patch { first_seq: entry.seq, last_seq: entry.seq, bytes });
            }
        }
    }
    patches
}

/// The part of a witness's prefix in which Lifeboat puts back what was never delivered. Firehose's own folders are years.
const HEALED: &str = "healed/";

/// The prefix of what was put back for `stream` below a witness's `prefix`.
pub fn healed_prefix(prefix: &str, stream: &str) -> String {
    slot::stream_prefix(&format!("{prefix}{HEALED}"), stream)
}

/// The key under which entries from `first_seq` on are put back below a witness's `prefix`, e.g.
/// `witness/healed/ME1/00000000000000000007.ndjson`.
pub fn healed_key(prefix: &str, stream: &str, first_seq: u64) -> String {
    slot::key(&format!("{prefix}{HEALED}"), stream, first_seq)
}

/// The objects that hold a part of `range`, each once, in the order of what they hold.
pub fn objects_of(pieces: &[Run], range: &RangeInclusive<u64>) -> Vec<Arc<ObjectId>> {
    let mut objects: Vec<Arc<ObjectId>> = Vec::new();
    for piece in
        pieces.iter().filter(|piece| piece.first_seq <= *range.end() && piece.last_seq >= *range.start())
    {
        if !objects.contains(&piece.at.object) {
            objects.push(Arc::clone(&piece.at.object));
        }
    }
    objects
}
