//! Plain records to failover pairs, before the day, and back.
//!
//! Invariant: what becomes of one record is in one batch, which Route 53 applies whole or not at all, and every change of it
//! is an exact delete or a create. So whoever stops in between leaves each name either as it was or as it is to be, and at no
//! time without an answer; and a record that somebody has edited meanwhile fails the batch, and is looked at anew.
//!
//! Invariant: no name answers another value from the primary side than before; one that had no record for that side gets one,
//! and is named ([`Edit::gives_an_answer`]). A record that does not hold the plan's primary values, one with another policy
//! and one that is an alias are left alone, and said.

use std::collections::BTreeMap;

use serde::Serialize;

use super::switch::{PRIMARY_IDENTIFIER, RECOVERY_IDENTIFIER, pair};
use super::{Change, Failover, Found, RecordSet};
use crate::plan::{Record, Side, bounds};

/// What the records are to become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To<'a> {
    /// Pairs, the primary half gated by this health check.
    Pairs {
        /// Its id.
        health_check: &'a str,
    },
    /// Plain records, with the values of the primary half.
    Plain,
}

/// What happens to one record of the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Edit {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: String,
    /// The deletes, then the creates.
    pub changes: Vec<Change>,
}

impl Edit {
    /// Whether the name gets a record for the primary side where it had none: its answer changes, from none or from the
    /// recovery half's. Every other edit keeps what the primary side answers.
    pub fn gives_an_answer(&self) -> bool {
        let for_primary =
            |set: &RecordSet| set.half.as_ref().is_none_or(|half| half.failover == Failover::Primary);
        let had = |change: &Change| matches!(change, Change::Delete(set) if for_primary(set));
        let gets = |change: &Change| matches!(change, Change::Create(set) if for_primary(set));
        self.changes.iter().any(gets) && !self.changes.iter().any(had)
    }
}

/// A record that is not touched, though it is not as it is to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftAlone {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: String,
    /// Why.
    pub why: String,
    /// What to do about it.
    pub next: String,
}

/// What there is to do about a zone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Prepared {
    /// How many records are as they are to be.
    pub done: usize,
    /// What is to be done, in batches that Route 53 takes.
    pub batches: Vec<Vec<Edit>>,
    /// What a person has to see to.
    pub left_alone: Vec<LeftAlone>,
}

impl Prepared {
    /// All edits, in the order of the plan.
    pub fn edits(&self) -> impl Iterator<Item = &Edit> {
        self.batches.iter().flatten()
    }

    /// Whether the record of an earlier edit is not as it is to be.
    pub fn is_to_do(&self, edit: &Edit) -> bool {
        let same = |name: &str, kind: &str| (name, kind) == (edit.name.as_str(), edit.kind.as_str());
        self.edits().any(|to_do| same(&to_do.name, &to_do.kind))
            || self.left_alone.iter().any(|left| same(&left.name, &left.kind))
    }
}

/// Works out from what was found in the zone how `records` become what they are to be. Found sets under other names are
/// passed over.
pub fn prepare(to: To<'_>, records: &[Record], found: &[Found]) -> Prepared {
    let zone = ByName::of(found);
    let mut prepared = Prepared::default();
    let mut edits = Vec::new();
    for record in records {
        let (name, kind) = (record.name.clone(), record.kind.to_string());
        match changes(to, record, &zone) {
            Ok(changes) if changes.is_empty() => prepared.done += 1,
            Ok(changes) => edits.push(Edit { name, kind, changes }),
            Err((why, next)) => prepared.left_alone.push(LeftAlone { name, kind, why, next }),
        }
    }
    prepared.batches = pack(edits);
    prepared
}

/// What was found, by name.
pub(super) struct ByName<'a>(BTreeMap<&'a str, Vec<&'a Found>>);

impl<'a> ByName<'a> {
    pub(super) fn of(found: &'a [Found]) -> Self {
        let mut names: BTreeMap<&str, Vec<&Found>> = BTreeMap::new();
        for found in found {
            names.entry(found.name()).or_default().push(found);
        }
        Self(names)
    }

    /// What stands where `record` is to stand.
    pub(super) fn shape(&self, record: &Record) -> Shape<'a> {
        let kind = record.kind.to_string();
        let mut at = Vec::new();
        for found in self.0.get(record.name.as_str()).into_iter().flatten() {
            match found {
                Found::Foreign { kind: of, why, .. } if *of == kind => {
                    return Shape::Foreign(format!("it {why}"));
                }
                Found::Set(set) if set.kind == kind => at.push(set),
                // A CNAME is the only record of its name.
                other if kind == "CNAME" || other.kind() == "CNAME" => {
                    return Shape::Foreign(format!("the name has a record of type {} already", other.kind()));
                }
                _ => {}
            }
        }
        Shape::of(&at)
    }
}

/// What stands at one name and type.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Shape<'a> {
    Nothing,
    Plain(&'a RecordSet),
    /// Halves by Lifeboat's own names, both or one of them.
    Halves {
        primary: Option<&'a RecordSet>,
        recovery: Option<&'a RecordSet>,
    },
    /// Not Lifeboat's to edit, and why.
    Foreign(String),
}

impl<'a> Shape<'a> {
    fn of(sets: &[&'a RecordSet]) -> Self {
        if let [set] = sets
            && set.half.is_none()
        {
            return Shape::Plain(set);
        }
        let (mut primary, mut recovery) = (None, None);
        for set in sets {
            let half = set.half.as_ref().map(|half| (half.failover, half.identifier.as_str()));
            match half {
                Some((Failover::Primary, PRIMARY_IDENTIFIER)) => primary = Some(*set),
                Some((Failover::Secondary, RECOVERY_IDENTIFIER)) => recovery = Some(*set),
                Some((_, other)) => {
                    return Shape::Foreign(format!("it is a failover record of somebody else's, {other:?}"));
                }
                None => return Shape::Foreign("it is a plain record and a failover record".to_owned()),
            }
        }
        match (primary, recovery) {
            (None, None) => Shape::Nothing,
            (primary, recovery) => Shape::Halves { primary, recovery },
        }
    }

    pub(super) fn sets(&self) -> Vec<&'a RecordSet> {
        match self {
            Shape::Nothing | Shape::Foreign(_) => vec![],
            Shape::Plain(set) => vec![set],
            Shape::Halves { primary, recovery } => primary.iter().chain(recovery).copied().collect(),
        }
    }

    /// What answers for the primary side.
    fn primary(&self) -> Option<&'a RecordSet> {
        match self {
            Shape::Plain(set) => Some(set),
            Shape::Halves { primary, .. } => *primary,
            Shape::Nothing | Shape::Foreign(_) => None,
        }
    }
}

/// The changes that one record takes; none where it is as it is to be.
fn changes(to: To<'_>, record: &Record, zone: &ByName<'_>) -> Result<Vec<Change>, (String, String)> {
    let shape = zone.shape(record);
    if let Shape::Foreign(why) = &shape {
        let next = "take it away in Route 53, or take the record out of the plan".to_owned();
        return Err((why.clone(), next));
    }
    let wanted = match to {
        To::Pairs { health_check } => {
            let planned = plain(record);
            if let Some(other) = shape.primary().filter(|set| set.values != planned.values) {
                return Err((
                    format!(
                        "it answers {}, and the plan's primary is {}",
                        other.values.join(" "),
                        planned.values.join(" ")
                    ),
                    "mend the record in Route 53 or the plan, whichever is wrong".to_owned(),
                ));
            }
            pair(record, health_check).to_vec()
        }
        // What the primary half holds, and not what the plan says: an undo changes no answer.
        To::Plain => vec![match shape.primary() {
            Some(set) => RecordSet { half: None, ..set.clone() },
            None => plain(record),
        }],
    };
    let have = shape.sets();
    if to == To::Plain && have.is_empty() {
        let next = "there is nothing to undo; create it in Route 53 if it is to be".to_owned();
        return Err(("it is not in the zone".to_owned(), next));
    }
    let gone = have.iter().filter(|set| !wanted.contains(set)).map(|set| Change::Delete((*set).clone()));
    let new = wanted.iter().filter(|set| !have.contains(set)).map(|set| Change::Create(set.clone()));
    let changes: Vec<Change> = gone.chain(new).collect();
    let size = Size::of(&changes);
    if size.fits() {
        return Ok(changes);
    }
    Err((
        format!("one batch would need {} values of {} characters for it", size.values, size.chars),
        format!(
            "Route 53 takes {} values of {} characters in a batch: give it fewer values, or edit it by hand",
            bounds::BATCH_VALUES_MAX,
            bounds::BATCH_CHARS_MAX
        ),
    ))
}

/// The record of a zone that no strategy has prepared.
pub(super) fn plain(record: &Record) -> RecordSet {
    let values = record.values(Side::Primary).iter().cloned();
    RecordSet::new(&record.name, &record.kind.to_string(), record.ttl, values)
}

/// What Route 53 counts of a batch, deletes and creates alike.
#[derive(Clone, Copy, Default)]
struct Size {
    values: usize,
    chars: usize,
}

impl Size {
    fn of(changes: &[Change]) -> Self {
        let values = || changes.iter().flat_map(|change| change.set().sent());
        Self { values: values().count(), chars: values().map(|value| value.chars().count()).sum() }
    }

    fn with(self, other: Self) -> Self {
        Self { values: self.values + other.values, chars: self.chars + other.chars }
    }

    fn fits(self) -> bool {
        self.values <= bounds::BATCH_VALUES_MAX && self.chars <= bounds::BATCH_CHARS_MAX
    }
}

/// As many edits in a batch as it takes, in their order.
fn pack(edits: Vec<Edit>) -> Vec<Vec<Edit>> {
    let mut batches: Vec<Vec<Edit>> = Vec::new();
    let mut filled = Size::default();
    for edit in edits {
        let size = Size::of(&edit.changes);
        match batches.last_mut().filter(|_| filled.with(size).fits()) {
            Some(batch) => {
                batch.push(edit);
                filled = filled.with(size);
            }
            None => {
                batches.push(vec![edit]);
                filled = size;
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests;
