//! A checkpoint: the record that a stream was verified from its first entry through a certain one, so that a later
//! verification begins there.
//!
//! One object a checkpoint, created once, at [`key`]. It holds the [`StreamProof`] that a later fold joins to, the last
//! segment that it covers with the version of that object, a digest over every segment and version that it covers, and
//! the SHA-256 of the checkpoint before it. It carries no time: the store says when it was put.
//!
//! What using one rests on. [`Checkpoint::ends_in`] ties it to the log as it stands: the boundary segment is read again, and
//! its last line has to hash to `head`. Each line names the hash of the line before, so an author of checkpoints cannot put
//! another history in front of that line. What he says and nobody checks again is that the history was whole when it was
//! read, and who had the pen at its end. So whoever may create checkpoints is trusted as much as whoever verifies; a
//! verification of the whole history asks neither.
//!
//! Invariant: a checkpoint has one spelling. [`Checkpoint::parse`] takes the bytes that [`Checkpoint::to_bytes`] makes and
//! no others.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::chain::Run;
use crate::{Hash, StreamProof};

/// The prefix of all checkpoints in the log's bucket.
pub const PREFIX: &str = "checkpoint/";

/// The largest checkpoint that is read, in bytes. The longest parts are names: a stream's, a run's, an object version's.
pub const BYTES_MAX: usize = 16_384;

/// The only version of this format.
const VERSION: u32 = 1;

/// What ends the name of a checkpoint.
pub const SUFFIX: &str = ".json";

/// The key of the checkpoint of `stream` through the sequence `through`, e.g. `checkpoint/ME1/00000000000000000042.json`.
pub fn key(stream: &str, through: u64) -> String {
    format!("{PREFIX}{stream}/{through:020}{SUFFIX}")
}

/// The prefix under which all checkpoints of `stream` lie.
pub fn stream_prefix(stream: &str) -> String {
    format!("{PREFIX}{stream}/")
}

/// Reads a key back into stream and last sequence; `None` for a key that [`key`] would not make.
pub fn parse_key(key: &str) -> Option<(&str, u64)> {
    let (stream, name) = key.strip_prefix(PREFIX)?.split_once('/')?;
    let digits = name.strip_suffix(SUFFIX)?;
    if digits.len() != 20 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some((stream, digits.parse().ok()?))
}

/// Why a checkpoint does not hold, in words that follow its key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(String);

/// How the log is at odds with a checkpoint that is sound in itself, in words that follow its key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AtOdds {
    /// The last segment was put again, and ends in the same entry: the log is what was verified.
    #[error("{0}")]
    Version(String),
    /// The last segment does not end in the entry that was verified: the log is not what it was.
    #[error("{0}")]
    Entries(String),
}

/// A verified prefix of one stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    version: u32,
    proof: StreamProof,
    last: Boundary,
    covered: Covered,
    previous: Option<Link>,
    made_by: String,
}

/// The last segment that a checkpoint covers; it ends where the proof does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Boundary {
    /// The segment's slot: the sequence of its first entry.
    pub slot: u64,
    /// The version of the object that was read; none in a bucket that keeps no versions.
    pub object_version: Option<String>,
}

/// The segments that were read, each with the version of its object, as a running digest in the order of their slots. It is
/// for an auditor who lists all versions; using a checkpoint does not check it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Covered {
    /// How many segments.
    pub segments: u64,
    /// 64 zeros for none. After each segment the SHA-256 of the text `<digest before> <slot> <version>`, the slot in plain
    /// decimal digits, and `null` for the version of an object that has none.
    pub digest: Hash,
}

/// The checkpoint before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// Its key.
    pub key: String,
    /// The SHA-256 of its bytes.
    pub sha256: Hash,
}

impl Covered {
    /// No segments yet.
    pub const NONE: Covered = Covered { segments: 0, digest: Hash::GENESIS };

    /// Adds the next segment: the slots of those that were added before are smaller.
    pub fn add(&mut self, slot: u64, object_version: Option<&str>) {
        let version = object_version.unwrap_or("null");
        self.digest = Hash::of(format!("{} {slot} {version}", self.digest).as_bytes());
        self.segments = self.segments.saturating_add(1);
    }
}

impl Checkpoint {
    /// The record of `proof`, which was read through the segment `last`. `covered` counts every segment from the stream's
    /// first; `previous` is the checkpoint that the reading began at, none where it began at the first entry. `made_by`
    /// names who verified.
    pub fn new(
        proof: StreamProof,
        last: Boundary,
        covered: Covered,
        previous: Option<&Checkpoint>,
        made_by: impl Into<String>,
    ) -> Checkpoint {
        let previous =
            previous.map(|before| Link { key: before.key(), sha256: Hash::of(&before.to_bytes()) });
        Checkpoint { version: VERSION, proof, last, covered, previous, made_by: made_by.into() }
    }

    /// The bytes of the object.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec(self).expect("strings and numbers always serialise");
        bytes.push(b'\n');
        bytes
    }

    /// The key of the object.
    pub fn key(&self) -> String {
        key(&self.proof.stream, self.proof.through)
    }

    /// Reads the object at `key`.
    ///
    /// # Errors
    /// What is wrong with it: its size, its form, a name that is another's, numbers that contradict each other.
    pub fn parse(key: &str, bytes: &[u8]) -> Result<Checkpoint, Invalid> {
        if bytes.len() > BYTES_MAX {
            return Err(invalid(format_args!("is {} bytes long; the limit is {BYTES_MAX}", bytes.len())));
        }
        let read: Checkpoint = serde_json::from_slice(bytes)
            .map_err(|err| invalid(format_args!("is no checkpoint that can be read: {err}")))?;
        if read.version != VERSION {
            return Err(invalid(format_args!("has the version {}; known is {VERSION}", read.version)));
        }
        // Whatever a lenient reader let pass (spaces, order, an escape, a field that is ignored) shows here.
        if read.to_bytes() != bytes {
            return Err(invalid("is not written as checkpoints are"));
        }
        if read.key() != key {
            return Err(invalid(format_args!("says that it is {}", read.key())));
        }
        read.adds_up()?;
        Ok(read)
    }

    fn adds_up(&self) -> Result<(), Invalid> {
        let StreamProof { first_seq, through, entries, .. } = self.proof;
        let counted = through.checked_sub(first_seq).and_then(|more| more.checked_add(1));
        if counted != Some(entries) {
            return Err(invalid(format_args!("counts {entries} entries from {first_seq} to {through}")));
        }
        if !(first_seq..=through).contains(&self.last.slot) {
            return Err(invalid(format_args!(
                "names slot {} as the last of entries {first_seq} to {through}",
                self.last.slot
            )));
        }
        // A segment has an entry at least, so there are no more segments than slots up to the last.
        let slots = self.last.slot - first_seq;
        if !(1..=slots.saturating_add(1)).contains(&self.covered.segments) {
            return Err(invalid(format_args!(
                "counts {} segments in slots {first_seq} to {}",
                self.covered.segments, self.last.slot
            )));
        }
        Ok(())
    }

    /// Whether the bytes at the key of [`Checkpoint::previous`] are the checkpoint that this one continues; `None` where
    /// nothing is there. A first checkpoint continues none and is not asked.
    ///
    /// # Errors
    /// Why not.
    pub fn follows(&self, previous: Option<&[u8]>) -> Result<(), Invalid> {
        let Some(link) = &self.previous else { return Ok(()) };
        let why = |what: &dyn fmt::Display| invalid(format_args!("names {} before it, {what}", link.key));
        let bytes = previous.ok_or_else(|| why(&"where nothing is"))?;
        let found = Hash::of(bytes);
        if found != link.sha256 {
            return Err(why(&format_args!(
                "with the digest {}; what is there has the digest {found}",
                link.sha256
            )));
        }
        let before = Checkpoint::parse(&link.key, bytes).map_err(|err| why(&format_args!("which {err}")))?;
        let (was, is) = (&before.proof, &self.proof);
        let continues = was.stream == is.stream
            && was.first_seq == is.first_seq
            && was.through < self.last.slot
            && before.covered.segments < self.covered.segments
            && was.pen.newest_epoch() <= is.pen.newest_epoch();
        if continues { Ok(()) } else { Err(why(&"which it does not continue")) }
    }

    /// Whether the log holds the boundary segment as this checkpoint has it: `version` and the decoded `bytes` of the object in
    /// the slot of [`Checkpoint::last`], `object` its key.
    ///
    /// # Errors
    /// How not: its entries first, since the same entries in another version are still the log that was verified.
    pub fn ends_in(&self, object: &str, version: Option<&str>, bytes: &[u8]) -> Result<(), AtOdds> {
        let Boundary { slot, object_version } = &self.last;
        let run = Run::of_segment(&self.proof.stream, *slot, object, bytes)
            .map_err(|finding| AtOdds::Entries(format!("ends in a segment that is broken: {finding}")))?;
        let StreamProof { through, head, .. } = self.proof;
        if (run.last_seq, run.last_hash) != (through, head) {
            return Err(AtOdds::Entries(format!(
                "ends at {through} with the hash {head}; {object} ends at {} with {}",
                run.last_seq, run.last_hash
            )));
        }
        if version != object_version.as_deref() {
            return Err(AtOdds::Version(format!(
                "was made of version {} of {object}; there is version {} now",
                object_version.as_deref().unwrap_or("null"),
                version.unwrap_or("null")
            )));
        }
        Ok(())
    }

    /// What was verified: what comes after is joined to it.
    pub fn proof(&self) -> &StreamProof {
        &self.proof
    }

    /// The last segment.
    pub fn last(&self) -> &Boundary {
        &self.last
    }

    /// The segments that were read, from the stream's first.
    pub fn covered(&self) -> Covered {
        self.covered
    }

    /// The checkpoint that this one continues.
    pub fn previous(&self) -> Option<&Link> {
        self.previous.as_ref()
    }

    /// Who verified.
    pub fn made_by(&self) -> &str {
        &self.made_by
    }
}

fn invalid(what: impl fmt::Display) -> Invalid {
    Invalid(what.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Open;
    use crate::{Control, Holder, Tail};

    /// The first three segments of a stream: an open, then one entry each.
    fn segments() -> Vec<(u64, Vec<u8>)> {
        let mut tail = Tail::new("ME1");
        let open = Control::Open(Open { epoch: 1, holder: Holder::Primary, run: "genesis".into() });
        let mut made = vec![(1, tail.control_segment(&open))];
        tail.absorb_segment(1, &made[0].1).unwrap();
        for seq in 2..=3 {
            let line =
                format!("{{\"stream\":\"ME1\",\"seq\":{seq},\"prev\":\"{}\",\"epoch\":1}}\n", tail.head());
            tail.absorb_segment(seq, line.as_bytes()).unwrap();
            made.push((seq, line.into_bytes()));
        }
        made
    }

    fn proof(through: usize) -> StreamProof {
        let mut tail = Tail::new("ME1");
        for (slot, bytes) in &segments()[..through] {
            tail.absorb_segment(*slot, bytes).unwrap();
        }
        StreamProof {
            stream: "ME1".into(),
            first_seq: 1,
            through: through as u64,
            head: tail.head(),
            entries: through as u64,
            pen: tail.pen().clone(),
        }
    }

    fn checkpoint(through: usize, previous: Option<&Checkpoint>) -> Checkpoint {
        let mut covered = Covered::NONE;
        for slot in 1..=through {
            covered.add(slot as u64, Some("v1"));
        }
        let last = Boundary { slot: through as u64, object_version: Some("v1".into()) };
        Checkpoint::new(proof(through), last, covered, previous, "a test")
    }

    /// The same with one change: of a text in its bytes.
    fn forged(made: &Checkpoint, from: &str, to: &str) -> Result<Checkpoint, Invalid> {
        let text = String::from_utf8(made.to_bytes()).unwrap();
        assert!(text.contains(from), "{text}");
        Checkpoint::parse(&made.key(), text.replacen(from, to, 1).as_bytes())
    }

    fn says<T: fmt::Debug, E: fmt::Display>(result: Result<T, E>, part: &str) {
        let why = result.expect_err(part).to_string();
        assert!(why.contains(part), "{why}");
    }

    #[test]
    fn keys_round_trip_and_sort_as_numbers() {
        for through in [0, 1, 9, 10, u64::MAX] {
            assert_eq!(parse_key(&key("ME1", through)), Some(("ME1", through)));
        }
        assert!(key("ME1", 9) < key("ME1", 10));
        for foreign in ["checkpoint/ME1/1.json", "log/ME1/00000000000000000001.json", "checkpoint/x", ""] {
            assert_eq!(parse_key(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        let first = checkpoint(2, None);
        let second = checkpoint(3, Some(&first));
        for made in [&first, &second] {
            assert_eq!(&Checkpoint::parse(&made.key(), &made.to_bytes()).unwrap(), made);
        }
        says(Checkpoint::parse(&second.key(), &first.to_bytes()), "says that it is");
        says(Checkpoint::parse(&first.key(), b"\x00\xffgarbage"), "no checkpoint");
        says(Checkpoint::parse(&first.key(), b""), "no checkpoint");
        says(Checkpoint::parse(&first.key(), &vec![b' '; BYTES_MAX + 1]), "the limit is");
        says(forged(&first, "\"version\":1", "\"version\":2"), "has the version 2");
        says(forged(&first, "{\"version\"", "{ \"version\""), "not written as");
        says(forged(&first, "\"state\":\"open\"", "\"state\":\"open\",\"more\":1"), "not written as");
        says(forged(&first, "\"version\":1", "\"version\":1,\"version\":1"), "duplicate field");
        says(forged(&first, "\"through\":2", "\"through\":3"), "says that it is");
        says(forged(&first, "\"stream\":\"ME1\"", "\"stream\":\"ME2\""), "says that it is");
        says(forged(&first, "\"entries\":2", "\"entries\":3"), "counts 3 entries");
        says(forged(&first, "\"first_seq\":1", "\"first_seq\":3"), "counts 2 entries");
        says(forged(&first, "\"slot\":2", "\"slot\":3"), "slot 3");
        says(forged(&first, "\"slot\":2", "\"slot\":0"), "slot 0");
        says(forged(&first, "\"segments\":2", "\"segments\":3"), "3 segments");
        says(forged(&first, "\"segments\":2", "\"segments\":0"), "0 segments");
    }

    #[test]
    fn the_whole_range_of_sequences_is_added_up_without_overflow() {
        let made = checkpoint(2, None);
        let mut whole = made.clone();
        whole.proof.first_seq = 0;
        whole.proof.through = u64::MAX;
        says(Checkpoint::parse(&whole.key(), &whole.to_bytes()), "counts 2 entries");
        whole.proof.first_seq = 1;
        whole.proof.entries = u64::MAX;
        whole.last.slot = u64::MAX;
        whole.covered.segments = u64::MAX;
        assert_eq!(Checkpoint::parse(&whole.key(), &whole.to_bytes()).unwrap(), whole);
    }

    #[test]
    fn it_holds_to_the_checkpoint_before_it() {
        let first = checkpoint(2, None);
        let second = checkpoint(3, Some(&first));
        assert_eq!(second.follows(Some(&first.to_bytes())), Ok(()));
        assert_eq!(first.follows(None), Ok(()));
        says(second.follows(None), "where nothing is");
        says(second.follows(Some(&checkpoint(1, None).to_bytes())), "digest");
        // With the right digest, of what does not come before it.
        for (what, before) in [("itself", second.clone()), ("another's beginning", first.clone())] {
            let mut after = second.clone();
            if what == "another's beginning" {
                after.proof.first_seq = 2;
            }
            after.previous = Some(Link { key: before.key(), sha256: Hash::of(&before.to_bytes()) });
            says(after.follows(Some(&before.to_bytes())), "does not continue");
        }
        let mut other_stream = second.clone();
        other_stream.proof.stream = "ME2".into();
        says(other_stream.follows(Some(&first.to_bytes())), "does not continue");
        let mut garbage = second;
        garbage.previous = Some(Link { key: first.key(), sha256: Hash::of(b"garbage") });
        says(garbage.follows(Some(b"garbage")), "no checkpoint");
    }

    #[test]
    fn it_holds_to_the_segment_that_it_ends_in() {
        let made = checkpoint(2, None);
        let all = segments();
        let object = "log/ME1/00000000000000000002.ndjson";
        assert_eq!(made.ends_in(object, Some("v1"), &all[1].1), Ok(()));
        says(made.ends_in(object, Some("v2"), &all[1].1), "there is version v2 now");
        says(made.ends_in(object, None, &all[1].1), "there is version null now");
        assert!(matches!(made.ends_in(object, Some("v2"), &all[1].1), Err(AtOdds::Version(_))));
        says(made.ends_in(object, Some("v1"), &all[2].1), "broken");
        // Other entries are what is said, whatever the version.
        let other = made.ends_in(object, Some("v2"), &all[2].1);
        assert!(matches!(other, Err(AtOdds::Entries(_))), "{other:?}");
        let longer = [all[1].1.clone(), all[2].1.clone()].concat();
        says(made.ends_in(object, Some("v1"), &longer), "ends at 3");
        let mut wrong_head = made;
        wrong_head.proof.head = Hash::of(b"another");
        says(wrong_head.ends_in(object, Some("v1"), &all[1].1), "with the hash");
    }

    /// Recomputed from the description of the format, not by the code above.
    #[test]
    fn the_digest_covers_every_segment_and_version_in_order() {
        let mut covered = Covered::NONE;
        covered.add(1, Some("a"));
        covered.add(2, None);
        let first = Hash::of(format!("{} 1 a", "0".repeat(64)).as_bytes());
        assert_eq!(covered.digest, Hash::of(format!("{first} 2 null").as_bytes()));
        assert_eq!(covered.segments, 2);
        let mut other = Covered::NONE;
        other.add(1, Some("b"));
        other.add(2, None);
        assert_ne!(other.digest, covered.digest);
    }
}
