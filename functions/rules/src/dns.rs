//! Where the names of a plan point: record sets as Route 53 holds them, and the two strategies that move them.
//!
//! [`switch`] moves every name at once by one object and no call to Route 53; [`records`] edits the records themselves.
//! [`names`] makes records of a list of symbols; [`prepare`] and [`check`] are for the time before the day.

pub mod check;
pub mod names;
pub mod prepare;
pub mod records;
pub mod switch;

use serde::{Deserialize, Serialize};

pub use records::{Fence, Flip, decide, fence_record, wanted};

/// A record set as Route 53 holds it, in one spelling: lower case, no final dot, values sorted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordSet {
    /// The name.
    pub name: String,
    /// The type, e.g. `A`.
    pub kind: String,
    /// The time to live, in seconds.
    pub ttl: u32,
    /// The values, as Route 53 spells them (TXT with its quotes).
    pub values: Vec<String>,
    /// Which half of a failover pair it is; a plain record set is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub half: Option<Half>,
}

/// What makes a record set one half of a failover pair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Half {
    /// Which one.
    pub failover: Failover,
    /// What tells it from the other half, which has the same name and type.
    pub identifier: String,
    /// Id of the health check that gates it; without one it always counts as healthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check: Option<String>,
}

/// The halves of a failover pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Failover {
    /// Answers while it is healthy.
    Primary,
    /// Answers while the primary half is not.
    Secondary,
}

impl RecordSet {
    /// A plain record set in the one spelling.
    pub fn new(name: &str, kind: &str, ttl: u32, values: impl IntoIterator<Item = String>) -> RecordSet {
        let mut values: Vec<String> = values.into_iter().collect();
        if matches!(kind, "CNAME") {
            values.iter_mut().for_each(|value| *value = spell(value));
        }
        values.sort();
        RecordSet { name: spell(name), kind: kind.to_owned(), ttl, values, half: None }
    }

    /// Whether the two are the same to Route 53, which holds one record set of a name, type and identifier.
    pub fn is_at(&self, other: &RecordSet) -> bool {
        fn identifier(set: &RecordSet) -> Option<&str> {
            set.half.as_ref().map(|half| half.identifier.as_str())
        }
        self.name == other.name && self.kind == other.kind && identifier(self) == identifier(other)
    }
}

/// One spelling for one name: lower case, without the final dot.
pub fn spell(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// What was found in the zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// A plain record set, or half of a failover pair: what a batch can swap.
    Set(RecordSet),
    /// One with another routing policy, or an alias: not Lifeboat's to edit.
    Foreign {
        /// The record's name.
        name: String,
        /// The record's type.
        kind: String,
        /// What makes it so, for a sentence that begins with the record: `is an alias`.
        why: String,
    },
}

impl Found {
    /// The record's name.
    pub fn name(&self) -> &str {
        match self {
            Found::Set(RecordSet { name, .. }) | Found::Foreign { name, .. } => name,
        }
    }

    /// The record's type.
    pub fn kind(&self) -> &str {
        match self {
            Found::Set(RecordSet { kind, .. }) | Found::Foreign { kind, .. } => kind,
        }
    }
}

/// One change of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Change {
    /// Takes away exactly this; the whole batch fails where it is not there to the letter.
    Delete(RecordSet),
    /// Puts this in place; the whole batch fails where the name, type and identifier exist.
    Create(RecordSet),
}

impl Change {
    /// What is taken away or put in place.
    pub fn set(&self) -> &RecordSet {
        match self {
            Change::Delete(set) | Change::Create(set) => set,
        }
    }
}
