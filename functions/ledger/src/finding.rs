//! What stands against a proof, and how bad it is.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

/// What was proven. `Broken` outranks `Unproven`, which outranks `Proven`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Verdict {
    /// Every entry is there, in order and unchanged.
    Proven,
    /// It could not be shown either way, e.g. because an object could not be read.
    Unproven,
    /// Something is missing or wrong, and it is named.
    Broken,
}

/// An object of a copy, and which of its versions was read.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectId {
    /// Its key in the bucket, or its path in a folder.
    pub key: String,
    /// The version that was read, where the store keeps versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

impl ObjectId {
    /// An object without a version.
    pub fn new(key: impl Into<String>) -> ObjectId {
        ObjectId { key: key.into(), version: None }
    }
}

/// One thing that stands against the proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub struct Finding {
    /// `Broken` or `Unproven`.
    pub verdict: Verdict,
    /// The stream; empty where the object alone is known.
    pub stream: String,
    /// The sequence at which it shows: the entry that is wrong, or the first that is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// The object that it was found in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// The version of that object, where the store keeps versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Box<str>>,
    /// The byte at which the line begins, counted in the decoded bytes of the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// What is wrong, in words.
    pub what: Box<str>,
}

impl Finding {
    /// The worst that any of them says; `Proven` where there are none.
    pub fn worst<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> Verdict {
        findings.into_iter().map(|finding| finding.verdict).max().unwrap_or(Verdict::Proven)
    }

    /// Something is missing or wrong.
    pub fn broken(stream: &str, seq: Option<u64>, what: impl Into<Box<str>>) -> Finding {
        Finding {
            verdict: Verdict::Broken,
            stream: stream.into(),
            seq,
            object: None,
            version: None,
            offset: None,
            what: what.into(),
        }
    }

    /// Something could not be shown.
    pub fn unproven(stream: &str, seq: Option<u64>, what: impl Into<Box<str>>) -> Finding {
        Finding { verdict: Verdict::Unproven, ..Finding::broken(stream, seq, what) }
    }

    /// Says where it was found: an object without a version, and a byte in its decoded bytes.
    pub fn in_object(mut self, object: &str, offset: u64) -> Finding {
        (self.object, self.version, self.offset) = (Some(object.to_owned()), None, Some(offset));
        self
    }

    /// Says where it was found, and in which version.
    pub fn at(mut self, object: &ObjectId, offset: u64) -> Finding {
        self.version = object.version.as_deref().map(Box::from);
        (self.object, self.offset) = (Some(object.key.clone()), Some(offset));
        self
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        if !self.stream.is_empty() {
            write!(f, "stream {}", self.stream)?;
            comma = ", ";
        }
        if let Some(seq) = self.seq {
            write!(f, "{comma}sequence {seq}")?;
            comma = ", ";
        }
        if let Some(object) = &self.object {
            write!(f, "{comma}object {object}")?;
            if let Some(version) = &self.version {
                write!(f, " (version {version})")?;
            }
            write!(f, " at byte {}", self.offset.unwrap_or(0))?;
            comma = ", ";
        }
        write!(f, "{}{}", if comma.is_empty() { "" } else { ": " }, self.what)
    }
}

/// The worst first, then by stream, sequence and place: one order for all, so that a report reads the same however the
/// work was split.
impl Ord for Finding {
    fn cmp(&self, other: &Finding) -> Ordering {
        let key = |finding: &Finding| (std::cmp::Reverse(finding.verdict), finding.seq, finding.offset);
        let (own, others) = (key(self), key(other));
        own.0
            .cmp(&others.0)
            .then_with(|| self.stream.cmp(&other.stream))
            .then_with(|| own.1.cmp(&others.1))
            .then_with(|| self.object.cmp(&other.object))
            .then_with(|| self.version.cmp(&other.version))
            .then_with(|| own.2.cmp(&others.2))
            .then_with(|| self.what.cmp(&other.what))
    }
}

impl PartialOrd for Finding {
    fn partial_cmp(&self, other: &Finding) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
