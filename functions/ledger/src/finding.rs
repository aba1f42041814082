//! What stands against a proof, and how bad it is.

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

/// One thing that stands against the proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("stream {stream}{}{}: {what}", .seq.map(|seq| format!(", sequence {seq}")).unwrap_or_default(),
    .object.as_ref().map(|object| format!(", object {object} at byte {}", .offset.unwrap_or(0))).unwrap_or_default())]
pub struct Finding {
    /// `Broken` or `Unproven`.
    pub verdict: Verdict,
    /// The stream.
    pub stream: String,
    /// The sequence at which it shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// The object that it was found in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// The byte in the object at which the line begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<usize>,
    /// What is wrong, in words.
    pub what: String,
}

impl Finding {
    /// Something is missing or wrong.
    pub fn broken(stream: &str, seq: Option<u64>, what: impl Into<String>) -> Finding {
        Finding {
            verdict: Verdict::Broken,
            stream: stream.into(),
            seq,
            object: None,
            offset: None,
            what: what.into(),
        }
    }

    /// Something could not be shown.
    pub fn unproven(stream: &str, seq: Option<u64>, what: impl Into<String>) -> Finding {
        Finding { verdict: Verdict::Unproven, ..Finding::broken(stream, seq, what) }
    }

    /// Says where it was found.
    pub fn in_object(mut self, object: &str, offset: usize) -> Finding {
        (self.object, self.offset) = (Some(object.to_owned()), Some(offset));
        self
    }
}
