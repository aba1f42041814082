//! Epochs: numbers that only grow. Whoever holds the newest one may act.
//!
//! Invariant: a run claims only the successor of the epoch that it was admitted under, by creating its object with
//! `If-None-Match: *`. A run that slept through a failover finds that successor taken, and can never act.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::TriggerKind;

/// Why an epoch was claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The beginning of the ledger, by `lifeboat init`.
    Genesis,
    /// A run that the alarm started.
    Alarm,
    /// A run that a person started.
    Operator,
    /// The pen given back to the primary, on a person's word.
    HandBack,
}

impl From<TriggerKind> for Cause {
    fn from(kind: TriggerKind) -> Cause {
        match kind {
            TriggerKind::Alarm => Cause::Alarm,
            TriggerKind::Operator => Cause::Operator,
        }
    }
}

/// The body of an epoch object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The epoch.
    pub epoch: u64,
    /// The run that holds it.
    pub run: String,
    /// When it was claimed, by the claimer's clock.
    pub at: Timestamp,
    /// What for.
    pub cause: Cause,
}

/// The prefix of all epochs of `plan` in the control bucket.
pub fn prefix(plan: &str) -> String {
    format!("epoch/{plan}/")
}

/// The key of one epoch; twenty digits, so that keys sort as the numbers do.
pub fn key(plan: &str, epoch: u64) -> String {
    format!("{}{epoch:020}", prefix(plan))
}

/// Reads the epoch back from a key that [`key`] made.
pub fn parse_key(plan: &str, key: &str) -> Option<u64> {
    let digits = key.strip_prefix(&prefix(plan))?;
    if digits.len() == 20 { digits.parse().ok() } else { None }
}

/// What an existing epoch object means to the run that wanted to create it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// An earlier attempt of this run created it: success.
    Mine,
    /// Another run holds it.
    Fenced {
        /// That run.
        by: String,
    },
}

/// Judges the claim that was found where `run` wanted to put its own.
pub fn judge_taken(found: &Claim, run: &str) -> Taken {
    if found.run == run { Taken::Mine } else { Taken::Fenced { by: found.run.clone() } }
}
