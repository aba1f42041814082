//! The fence of an epoch by itself: no record changes, and a batch that an older epoch has decided on is refused from then
//! on, since the fence that it would delete is gone.

use std::collections::HashMap;

use super::{Batch, Fence, digest, fence_record, split, wanted};
use crate::dns::{Change, Found, RecordSet};
use crate::plan::{Record, Side};
use crate::{Plan, StepError};

/// The batch that puts the fence of `epoch` and keeps every record as it is; `None` where it is there already. `found` is
/// everything under the names of `records` and of the fence, from a fresh read. The fence's digest is that of the records as
/// they were found: where all of them are on one side, the same as that of a move to it.
///
/// # Errors
/// `Fenced` where a newer epoch has moved them; `Defect` where the fence cannot be read.
pub fn fence_alone(
    plan: &Plan,
    records: &[Record],
    epoch: u64,
    found: &[Found],
) -> Result<Option<Batch>, StepError> {
    let seen = Fence::find(plan, found)?;
    match &seen {
        Some(seen) if seen.epoch > epoch => {
            return Err(StepError::fenced(format!(
                "epoch {} has changed this zone; this is epoch {epoch}",
                seen.epoch
            )));
        }
        Some(seen) if seen.epoch == epoch => return Ok(None),
        _ => {}
    }
    let of = split(records).len();
    let fence = Fence { epoch, index: of, of, digest: digest(&as_found(records, found)) };
    let old = seen.map(|seen| Change::Delete(fence_record(plan, &seen)));
    let changes = old.into_iter().chain([Change::Create(fence_record(plan, &fence))]).collect();
    Ok(Some(Batch { fence, changes }))
}

/// The records as they are, in the plan's order and, where they are as the plan has them, in its spelling.
fn as_found(records: &[Record], found: &[Found]) -> Vec<RecordSet> {
    let sets = found.iter().filter_map(|found| match found {
        Found::Set(set) if set.half.is_none() => Some(((set.name.as_str(), set.kind.as_str()), set)),
        _ => None,
    });
    let sets: HashMap<(&str, &str), &RecordSet> = sets.collect();
    let sides = wanted(records, Side::Primary).into_iter().zip(wanted(records, Side::Recovery));
    let of_record = |(primary, recovery): (RecordSet, RecordSet)| match sets.get(&super::place(&primary)) {
        None => None,
        Some(set) if **set == primary => Some(primary),
        Some(set) if **set == recovery => Some(recovery),
        Some(set) => Some((*set).clone()),
    };
    sides.filter_map(of_record).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Flip, apply, decide, last_fence};
    use super::*;
    use crate::ErrorName;
    use crate::plan::RecordType;

    fn plan() -> Plan {
        Plan::from_json(include_bytes!("../../../tests/plan.json")).expect("the test's plan is valid")
    }

    fn records() -> Vec<Record> {
        let record = |name: &str, last: u32| Record {
            name: format!("{name}.aex.internal"),
            kind: RecordType::A,
            ttl: 5,
            primary: vec![format!("10.0.0.{last}")],
            recovery: vec![format!("10.1.0.{last}")],
        };
        vec![record("aapl", 1), record("msft", 2)]
    }

    fn zone(sides: [Side; 2]) -> Vec<Found> {
        let records = records();
        let sets = records.iter().zip(sides).map(|(record, side)| wanted(std::slice::from_ref(record), side));
        sets.flatten().map(Found::Set).collect()
    }

    fn deleted(change: &Change) -> Option<&RecordSet> {
        match change {
            Change::Delete(set) => Some(set),
            Change::Create(_) => None,
        }
    }

    fn fence_of(found: &Found) -> Option<&RecordSet> {
        match found {
            Found::Set(set) if set.kind == "TXT" => Some(set),
            _ => None,
        }
    }

    fn put(zone: &mut Vec<Found>, epoch: u64) -> Fence {
        let batch = fence_alone(&plan(), &records(), epoch, zone).expect("no error").expect("a batch");
        assert!(
            batch.changes.iter().all(|change| change.set().kind == "TXT"),
            "no record changes: {batch:?}"
        );
        let deleted: Vec<&RecordSet> = batch.changes.iter().filter_map(deleted).collect();
        let seen: Vec<&RecordSet> = zone.iter().filter_map(fence_of).collect();
        assert_eq!(deleted, seen, "what was read is deleted to the letter");
        apply(zone, &batch.changes);
        batch.fence
    }

    #[test]
    fn a_batch_that_was_decided_on_before_does_not_find_what_it_deletes() {
        for before in [None, Some(2)] {
            let mut zone = zone([Side::Primary; 2]);
            if let Some(epoch) = before {
                put(&mut zone, epoch);
            }
            let late = decide(&plan(), &records(), Side::Recovery, 3, &zone).expect("no error");
            let Flip::Batch(late) = late else { panic!("a batch") };
            put(&mut zone, 4);
            let fence = zone.iter().find(|found| found.kind() == "TXT").expect("a fence");
            let Found::Set(fence) = fence else { panic!("ours") };
            match before {
                // Route 53 refuses a CREATE of what is there, and a DELETE of what is not.
                None => {
                    assert!(late.changes.iter().any(|c| matches!(c, Change::Create(set) if set.is_at(fence))))
                }
                Some(_) => assert!(
                    late.changes
                        .iter()
                        .any(|c| matches!(c, Change::Delete(set) if set != fence && set.is_at(fence)))
                ),
            }
            // And one that reads again finds itself fenced.
            let again = decide(&plan(), &records(), Side::Recovery, 3, &zone).expect_err("fenced");
            assert_eq!(again.name, ErrorName::Fenced);
        }
    }

    #[test]
    fn the_digest_says_on_which_side_the_records_were_kept() {
        for side in [Side::Primary, Side::Recovery] {
            assert_eq!(put(&mut zone([side; 2]), 4), last_fence(&records(), side, 4));
        }
        let mixed = put(&mut zone([Side::Recovery, Side::Primary]), 4);
        let sides = [Side::Primary, Side::Recovery].map(|side| last_fence(&records(), side, 4).digest);
        assert!(!sides.contains(&mixed.digest), "half-way is on neither side");
    }

    #[test]
    fn done_twice_it_is_done_once_and_nobody_newer_is_replaced() {
        let mut zone = zone([Side::Recovery; 2]);
        put(&mut zone, 4);
        assert_eq!(fence_alone(&plan(), &records(), 4, &zone).expect("no error"), None);
        let error = fence_alone(&plan(), &records(), 3, &zone).expect_err("fenced");
        assert_eq!(error.name, ErrorName::Fenced);
        zone.retain(|found| found.kind() != "TXT");
        zone.push(Found::Set(RecordSet::new(&plan().epoch_record(), "TXT", 60, ["\"mine\"".to_owned()])));
        let error = fence_alone(&plan(), &records(), 5, &zone).expect_err("no fence");
        assert_eq!(error.name, ErrorName::Defect);
    }
}
