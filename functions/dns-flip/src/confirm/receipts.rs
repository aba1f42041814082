//! What a confirmation comes to, and what it leaves.

use jiff::Timestamp;
use lifeboat_runtime::Left;
use serde::{Deserialize, Serialize};

/// That a record answered from the recovery side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The name that was asked for.
    pub name: String,
    /// The type that was asked for.
    pub kind: String,
    /// The values in the answer, in the one spelling.
    pub values: Vec<String>,
    /// The time to live in the answer, in seconds.
    pub ttl: u32,
    /// When it was asked for, by the asker's clock.
    pub asked_at: Timestamp,
    /// When the answer came, by the asker's clock.
    pub answered_at: Timestamp,
    /// From the question to the answer, in milliseconds.
    pub millis: u64,
}

/// What was answered, as it lies in the evidence: by one call, or by all of a confirmation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipts {
    /// Who was asked: `address:port`, or `system` for the resolver of the network that the asker is in.
    pub resolver: String,
    /// One for each name that answers from the recovery side.
    pub receipts: Vec<Receipt>,
    /// The others that were asked for, each with its last answer or why there was none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub silent: Vec<String>,
}

/// What a confirmation comes to; the receipts are an object of evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmed {
    /// Names that answer from the recovery side: all that were asked for.
    pub names: usize,
    /// Names that the plan moves. Where they are more, those asked for are a sample.
    pub of: usize,
    /// The name whose answer took longest.
    pub slowest: String,
    /// How long that answer took, in milliseconds.
    pub slowest_millis: u64,
    /// When the last name answered from the recovery side.
    pub answered_at: Timestamp,
    /// The longest time to live, in seconds: for so long behind its answer here, a client of the same resolver may hold
    /// the old value of a name.
    pub staleness_seconds_max: u32,
    /// When no client of the same resolver that obeys the time to live holds an old value of these names any more.
    pub stale_until: Timestamp,
    /// Where the receipts are.
    pub receipts: Left,
}

/// That the time is over, and names do not answer from the recovery side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unconfirmed {
    /// How many, the first of them with what they answer, and what to do.
    pub reason: String,
    /// Names that answer from the recovery side.
    pub names: usize,
    /// Names that the plan moves.
    pub of: usize,
    /// How many the last call asked for that do not answer from the recovery side.
    pub silent_count: usize,
    /// How many have not answered from there, and the last call did not ask for: none of the few that it asked for first has
    /// answered, or there was no time.
    pub not_asked_count: usize,
    /// The first of those, each with its last answer or why there was none.
    pub silent: Vec<String>,
    /// For how long they were asked, in seconds.
    pub waited_seconds: i64,
    /// Where the receipts are, and all that are silent.
    pub receipts: Left,
}
