//! The `records` strategy: one batch of exact deletes and creates, fenced by a TXT record.
//!
//! Route 53 applies a batch whole or not at all, and a DELETE must match what is there to the letter. So a batch that
//! deletes what was last seen is a compare-and-swap, and the TXT record, which is in every batch, closes the hole that
//! a failback leaves: the old address values may return, an old epoch's TXT never does.
//!
//! Invariant: no change is an UPSERT, which would overwrite whatever is there.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::plan::{Record, Side};
use crate::{Plan, StepError};

/// The fence's time to live, in seconds: nothing but Lifeboat reads it.
const FENCE_TTL_SECONDS: u32 = 60;

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
}

impl RecordSet {
    /// A record set in the one spelling.
    pub fn new(name: &str, kind: &str, ttl: u32, values: impl IntoIterator<Item = String>) -> RecordSet {
        let mut values: Vec<String> = values.into_iter().collect();
        if matches!(kind, "CNAME") {
            values.iter_mut().for_each(|value| *value = spell(value));
        }
        values.sort();
        RecordSet { name: spell(name), kind: kind.to_owned(), ttl, values }
    }

    fn is_at(&self, other: &RecordSet) -> bool {
        self.name == other.name && self.kind == other.kind
    }
}

/// One spelling for one name: lower case, without the final dot.
pub fn spell(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// What was found in the zone under a name of the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// A plain record set, which a batch can swap.
    Plain(RecordSet),
    /// One with a routing policy or an alias target: not Lifeboat's to edit.
    Foreign {
        /// The record's name.
        name: String,
        /// The record's type.
        kind: String,
    },
}

/// The value of the fence: the epoch that last flipped this zone, and what it flipped to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    /// The epoch.
    pub epoch: u64,
    /// The digest of the records that it put in place.
    pub digest: String,
}

impl Fence {
    /// As a TXT value, e.g. `"42/1of1/0123456789abcdef"` with its quotes.
    pub fn to_txt(&self) -> String {
        format!("\"{}/1of1/{}\"", self.epoch, self.digest)
    }

    /// Reads a TXT value back.
    pub fn parse(txt: &str) -> Option<Fence> {
        let mut parts = txt.strip_prefix('"')?.strip_suffix('"')?.split('/');
        let (epoch, "1of1", digest, None) = (parts.next()?, parts.next()?, parts.next()?, parts.next())
        else {
            return None;
        };
        Some(Fence { epoch: epoch.parse().ok()?, digest: digest.to_owned() })
    }
}

/// One change of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Change {
    /// Takes away exactly this; the whole batch fails where it is not there to the letter.
    Delete(RecordSet),
    /// Puts this in place; the whole batch fails where the name and type exist.
    Create(RecordSet),
}

/// What to do about the zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flip {
    /// This epoch's flip is in place.
    Done,
    /// Put these changes, in one batch.
    Batch(Vec<Change>),
}

/// The fence's record set for `epoch`, which moves the records to `side`.
pub fn fence_record(plan: &Plan, side: Side, epoch: u64) -> RecordSet {
    let fence = Fence { epoch, digest: digest(&wanted(plan, side)) };
    RecordSet::new(&plan.epoch_record(), "TXT", FENCE_TTL_SECONDS, [fence.to_txt()])
}

/// The records as they are to be when `side` serves.
pub fn wanted(plan: &Plan, side: Side) -> Vec<RecordSet> {
    let of_plan = |record: &Record| {
        let values = record.values(side).iter().cloned();
        RecordSet::new(&record.name, &record.kind.to_string(), record.ttl, values)
    };
    plan.dns.records.iter().map(of_plan).collect()
}

/// Decides how the records come to `side`, from a fresh read of the zone (`found`: everything under the names of the plan and of the fence).
///
/// # Errors
/// `Fenced` where a newer epoch has flipped; `PlanInvalid` where a record is not Lifeboat's to edit; `Defect` where the
/// fence cannot be read, or says this epoch with other records.
pub fn decide(plan: &Plan, side: Side, epoch: u64, found: &[Found]) -> Result<Flip, StepError> {
    let mut plain = Vec::new();
    for record in found {
        match record {
            Found::Plain(record) => plain.push(record),
            Found::Foreign { name, kind } => {
                return Err(StepError::new(
                    crate::ErrorName::PlanInvalid,
                    format!(
                        "field `dns.records`: {name} {kind} has a routing policy or an alias; Lifeboat edits plain records"
                    ),
                ));
            }
        }
    }
    let at = |wanted: &RecordSet| plain.iter().find(|record| record.is_at(wanted)).copied();
    let fence = fence_record(plan, side, epoch);
    let mut changes = Vec::new();
    if let Some(present) = at(&fence) {
        let txt = present.values.join(" ");
        let seen = Fence::parse(&txt).ok_or_else(|| {
            StepError::defect(format!("the TXT record {} is not a fence: {txt}", fence.name))
        })?;
        if seen.epoch > epoch {
            return Err(StepError::fenced(format!(
                "epoch {} has flipped this zone; this run holds {epoch}",
                seen.epoch
            )));
        }
        if seen.epoch == epoch {
            return if present.values == fence.values {
                Ok(Flip::Done)
            } else {
                Err(StepError::defect(format!("the fence says epoch {epoch} with other records: {txt}")))
            };
        }
        changes.push(Change::Delete(present.clone()));
    }
    changes.push(Change::Create(fence));
    for wanted in wanted(plan, side) {
        match at(&wanted) {
            Some(present) if *present == wanted => {}
            Some(present) => {
                changes.push(Change::Delete(present.clone()));
                changes.push(Change::Create(wanted));
            }
            None => changes.push(Change::Create(wanted)),
        }
    }
    Ok(Flip::Batch(changes))
}

/// Sixteen hexadecimal digits of the SHA-256 of the records: enough to tell two plans apart.
fn digest(records: &[RecordSet]) -> String {
    let bytes = serde_json::to_vec(records).expect("strings and numbers always serialise");
    hex::encode(&Sha256::digest(bytes)[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        Plan::from_json(include_bytes!("../tests/plan.json")).expect("the test's plan is valid")
    }

    fn primary(plan: &Plan) -> Vec<Found> {
        wanted(plan, Side::Primary).into_iter().map(Found::Plain).collect()
    }

    fn fence(epoch: u64, digest: &str) -> Found {
        let value = Fence { epoch, digest: digest.into() }.to_txt();
        Found::Plain(RecordSet::new(&plan().epoch_record(), "TXT", FENCE_TTL_SECONDS, [value]))
    }

    /// What Route 53 does with a batch: all or nothing, deletes match to the letter, creates find nothing there.
    fn apply(zone: &mut Vec<RecordSet>, changes: &[Change]) -> Result<(), String> {
        let mut next = zone.clone();
        for change in changes {
            match change {
                Change::Delete(record) => {
                    let at = next
                        .iter()
                        .position(|have| have == record)
                        .ok_or(format!("{record:?} is not there"))?;
                    next.remove(at);
                }
                Change::Create(record) if next.iter().any(|have| have.is_at(record)) => {
                    return Err(format!("{record:?} exists"));
                }
                Change::Create(record) => next.push(record.clone()),
            }
        }
        *zone = next;
        Ok(())
    }

    fn read(zone: &[RecordSet]) -> Vec<Found> {
        zone.iter().cloned().map(Found::Plain).collect()
    }

    fn batch(plan: &Plan, epoch: u64, found: &[Found]) -> Vec<Change> {
        batch_to(plan, Side::Recovery, epoch, found)
    }

    fn batch_to(plan: &Plan, side: Side, epoch: u64, found: &[Found]) -> Vec<Change> {
        match decide(plan, side, epoch, found).unwrap() {
            Flip::Batch(changes) => changes,
            Flip::Done => panic!("nothing to do"),
        }
    }

    #[test]
    fn a_flip_done_twice_is_done_once() {
        let plan = plan();
        let mut zone = wanted(&plan, Side::Primary);
        let changes = batch(&plan, 2, &read(&zone));
        apply(&mut zone, &changes).unwrap();
        assert!(wanted(&plan, Side::Recovery).iter().all(|record| zone.contains(record)));
        assert_eq!(decide(&plan, Side::Recovery, 2, &read(&zone)).unwrap(), Flip::Done);
        assert!(apply(&mut zone, &changes).is_err(), "the same batch again changes nothing");
    }

    #[test]
    fn a_stale_batch_has_no_effect_even_when_the_old_values_have_come_back() {
        let plan = plan();
        let mut zone = wanted(&plan, Side::Primary);
        let stale = batch(&plan, 2, &read(&zone));
        // Epoch 3 flips, then the pen and the records are handed back under epoch 4.
        let newer = batch(&plan, 3, &read(&zone));
        apply(&mut zone, &newer).unwrap();
        let back = batch_to(&plan, Side::Primary, 4, &read(&zone));
        apply(&mut zone, &back).unwrap();
        assert!(wanted(&plan, Side::Primary).iter().all(|record| zone.contains(record)));
        let before = zone.clone();
        for stale in [stale, newer] {
            assert!(apply(&mut zone, &stale).is_err());
            assert_eq!(zone, before);
        }
        for epoch in [2, 3] {
            let err = decide(&plan, Side::Recovery, epoch, &read(&zone)).unwrap_err();
            assert_eq!(err.name, crate::ErrorName::Fenced);
        }
    }

    #[test]
    fn a_hand_back_before_any_flip_leaves_its_fence_against_one_that_arrives_late() {
        let plan = plan();
        let mut zone = wanted(&plan, Side::Primary);
        let late = batch(&plan, 2, &read(&zone));
        let back = batch_to(&plan, Side::Primary, 3, &read(&zone));
        assert_eq!(back, vec![Change::Create(fence_record(&plan, Side::Primary, 3))]);
        apply(&mut zone, &back).unwrap();
        assert!(apply(&mut zone, &late).is_err());
        assert_eq!(decide(&plan, Side::Primary, 3, &read(&zone)).unwrap(), Flip::Done);
    }

    #[test]
    fn a_fence_of_this_epoch_with_other_records_is_a_defect() {
        let plan = plan();
        let mut found = primary(&plan);
        found.push(fence(2, "0000000000000000"));
        assert_eq!(decide(&plan, Side::Recovery, 2, &found).unwrap_err().name, crate::ErrorName::Defect);
    }

    #[test]
    fn a_record_with_a_routing_policy_is_left_alone() {
        let found = [Found::Foreign { name: "gateway.aex.internal".into(), kind: "A".into() }];
        let err = decide(&plan(), Side::Recovery, 2, &found).unwrap_err();
        assert_eq!(err.name, crate::ErrorName::PlanInvalid);
        assert!(err.to_string().contains("gateway.aex.internal A"), "{err}");
    }

    #[test]
    fn a_fence_reads_back_as_it_was_written_and_nothing_else_is_one() {
        let fence = Fence { epoch: 42, digest: "0123456789abcdef".into() };
        assert_eq!(Fence::parse(&fence.to_txt()), Some(fence));
        for other in ["", "\"v=spf1 -all\"", "\"42/2of3/x\"", "42/1of1/x", "\"x/1of1/y\"", "\"1/1of1/a/b\""] {
            assert_eq!(Fence::parse(other), None, "{other}");
        }
        let found =
            [Found::Plain(RecordSet::new(&plan().epoch_record(), "TXT", 60, ["\"v=spf1 -all\"".into()]))];
        assert_eq!(decide(&plan(), Side::Recovery, 2, &found).unwrap_err().name, crate::ErrorName::Defect);
    }

    #[test]
    fn a_missing_record_is_created_and_one_that_is_right_is_left() {
        let plan = plan();
        let right = wanted(&plan, Side::Recovery)[0].clone();
        let changes = batch(&plan, 2, &[Found::Plain(right.clone())]);
        assert_eq!(
            changes,
            vec![
                Change::Create(fence_record(&plan, Side::Recovery, 2)),
                Change::Create(wanted(&plan, Side::Recovery)[1].clone())
            ]
        );
    }
}
