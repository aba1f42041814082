//! Where the names of a plan point: record sets as Route 53 holds them, and the two strategies that move them.
//!
//! [`switch`] moves every name at once by one object and no call to Route 53; [`records`] edits the records themselves.
//! [`names`] makes records of a list of symbols; [`prepare`] and [`check`] are for the time before the day.

pub mod check;
pub mod confirm;
mod left_behind;
pub mod names;
pub mod prepare;
pub mod records;
pub mod switch;

use std::net::Ipv6Addr;

use serde::{Deserialize, Serialize};

pub use left_behind::{left_behind, not_on_primary};
pub use records::{Fence, Flip, decide, fence_alone, fence_record, wanted};

/// A record set as Route 53 holds it, in one spelling, by which two are compared: lower case, no final dot, IPv6 addresses in
/// their short form, values sorted.
#[derive(Clone, Debug, Eq, Serialize, Deserialize)]
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
    /// The values to the letter and in the order in which Route 53 listed them, where that is not the one spelling. A delete
    /// sends these, since it has to match what is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listed: Option<Vec<String>>,
}

/// By the one spelling: how the values were listed makes no other record set of it.
impl PartialEq for RecordSet {
    fn eq(&self, other: &RecordSet) -> bool {
        let RecordSet { name, kind, ttl, values, half, listed: _ } = self;
        (name, kind, ttl, values, half) == (&other.name, &other.kind, &other.ttl, &other.values, &other.half)
    }
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
        let mut values: Vec<String> = values.into_iter().map(|value| spell_value(kind, value)).collect();
        values.sort();
        RecordSet { name: spell(name), kind: kind.to_owned(), ttl, values, half: None, listed: None }
    }

    /// As [`Self::new`], of what Route 53 listed, which is kept to the letter.
    pub fn as_listed(name: &str, kind: &str, ttl: u32, listed: Vec<String>) -> RecordSet {
        let set = RecordSet::new(name, kind, ttl, listed.iter().cloned());
        RecordSet { listed: (listed != set.values).then_some(listed), ..set }
    }

    /// The values as a batch sends them: as they were listed, where they were.
    pub fn sent(&self) -> &[String] {
        self.listed.as_deref().unwrap_or(&self.values)
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

/// One spelling for one value: a name as [`spell`] has it, an IPv6 address in its short form.
fn spell_value(kind: &str, value: String) -> String {
    match kind {
        "CNAME" => spell(&value),
        "AAAA" => value.parse::<Ipv6Addr>().map_or(value, |address| address.to_string()),
        _ => value,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(kind: &str, values: &[&str]) -> RecordSet {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        RecordSet::as_listed("NVDA.aex.internal.", kind, 5, values)
    }

    #[test]
    fn what_was_listed_is_compared_in_one_spelling_and_sent_to_the_letter() {
        for (kind, values, plain) in [
            ("CNAME", ["Pair.AEX.internal."].as_slice(), ["pair.aex.internal"].as_slice()),
            ("AAAA", &["2001:0DB8:0:0::00b", "2001:db8::A"], &["2001:db8::a", "2001:db8::b"]),
            ("A", &["10.0.0.2", "10.0.0.1"], &["10.0.0.1", "10.0.0.2"]),
        ] {
            let set = listed(kind, values);
            let wanted = RecordSet::new("nvda.aex.internal", kind, 5, plain.iter().map(|v| (*v).to_owned()));
            assert_eq!(set, wanted);
            assert_eq!(
                (set.values.as_slice(), set.sent()),
                (wanted.sent(), values.iter().map(|v| (*v).to_owned()).collect::<Vec<_>>().as_slice())
            );
        }
        // In the one spelling already: nothing is kept besides.
        assert_eq!(listed("A", &["10.0.0.1", "10.0.0.2"]).listed, None);
        // What Route 53 compares to the letter and by no rule that is known here.
        assert_ne!(listed("TXT", &["\"A\""]), listed("TXT", &["\"a\""]));
        assert_ne!(listed("AAAA", &["2001:db8::1"]), listed("AAAA", &["2001:db8::2"]));
        assert_ne!(listed("A", &["10.0.0.1"]), RecordSet { ttl: 6, ..listed("A", &["10.0.0.1"]) });
    }
}
