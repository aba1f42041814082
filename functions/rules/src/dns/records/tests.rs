use proptest::prelude::*;
use proptest::strategy::Strategy;

use super::*;
use crate::plan::RecordType;

fn plan() -> Plan {
    Plan::from_json(include_bytes!("../../../tests/plan.json")).expect("the test's plan is valid")
}

/// A record of `values` addresses on either side.
fn record(index: usize, values: usize) -> Record {
    let side = |net: u8| (0..values).map(|v| format!("10.{net}.{}.{}", v / 200, v % 200)).collect();
    Record {
        name: format!("s{index:05}.aex.internal"),
        kind: RecordType::A,
        ttl: 5,
        primary: side(0),
        recovery: side(1),
    }
}

/// Four batches: two records each, and one.
fn records() -> Vec<Record> {
    (0..7).map(|index| record(index, 240)).collect()
}

/// What Route 53 does with a batch: within its limits, all or nothing, deletes match to the letter, creates find nothing.
fn put(zone: &mut Vec<RecordSet>, changes: &[Change]) -> Result<(), String> {
    let values: usize = changes.iter().map(|change| change.set().values.len()).sum();
    let chars: usize = changes.iter().flat_map(|change| &change.set().values).map(String::len).sum();
    assert!(values <= 1_000 && chars <= 32_000, "{values} values, {chars} characters");
    let mut next = zone.clone();
    for change in changes {
        match change {
            Change::Delete(record) => {
                let at =
                    next.iter().position(|have| have == record).ok_or(format!("{record:?} is not there"))?;
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
    zone.iter().cloned().map(Found::Set).collect()
}

fn batch(records: &[Record], side: Side, epoch: u64, zone: &[RecordSet]) -> Batch {
    match decide(&plan(), records, side, epoch, &read(zone)).unwrap() {
        Flip::Batch(batch) => batch,
        other => panic!("{other:?}"),
    }
}

/// Everything that is to do for `epoch`, from the zone as it is; says how many batches it took.
fn finish(records: &[Record], side: Side, epoch: u64, zone: &mut Vec<RecordSet>) -> usize {
    for batches in 0..=split(records).len() {
        match decide(&plan(), records, side, epoch, &read(zone)).unwrap() {
            Flip::Done => return batches,
            Flip::Batch(batch) => put(zone, &batch.changes).unwrap(),
            Flip::Changed(changed) => panic!("{changed:?}"),
        }
    }
    panic!("more batches than there are");
}

fn holds(zone: &[RecordSet], records: &[Record], side: Side) -> bool {
    wanted(records, side).iter().all(|record| zone.contains(record))
}

fn error(records: &[Record], epoch: u64, found: &[Found]) -> StepError {
    decide(&plan(), records, Side::Recovery, epoch, found).unwrap_err()
}

#[test]
fn small_plans_take_one_batch_and_done_twice_is_done_once() {
    let records = plan().dns.records;
    let mut zone = wanted(&records, Side::Primary);
    let first = batch(&records, Side::Recovery, 2, &zone);
    assert_eq!((first.fence.index, first.fence.of), (1, 1));
    put(&mut zone, &first.changes).unwrap();
    assert!(holds(&zone, &records, Side::Recovery));
    assert_eq!(decide(&plan(), &records, Side::Recovery, 2, &read(&zone)).unwrap(), Flip::Done);
    assert!(put(&mut zone, &first.changes).is_err(), "the same batch again changes nothing");
}

#[test]
fn many_records_take_batches_that_count_up_to_the_last() {
    let records = records();
    let mut zone = wanted(&records, Side::Primary);
    let mut found = read(&zone);
    for index in 1..=4 {
        let next = batch(&records, Side::Recovery, 2, &zone);
        assert_eq!(next.fence.to_txt(), format!("\"2/{index}of4/{}\"", next.fence.digest));
        // What a batch leaves is known without reading the zone again.
        let known = match decide(&plan(), &records, Side::Recovery, 2, &found).unwrap() {
            Flip::Batch(batch) => batch,
            other => panic!("{other:?}"),
        };
        assert_eq!(known, next);
        put(&mut zone, &next.changes).unwrap();
        apply(&mut found, &next.changes);
    }
    assert_eq!(decide(&plan(), &records, Side::Recovery, 2, &read(&zone)).unwrap(), Flip::Done);
    assert_eq!(Fence::find(&plan(), &found).unwrap(), Some(last_fence(&records, Side::Recovery, 2)));
    assert_eq!(split(&records), split(&records.iter().rev().cloned().collect::<Vec<_>>()), "by size alone");
}

#[test]
fn batches_with_nothing_to_change_are_passed_over() {
    let records = records();
    let mut zone = wanted(&records, Side::Primary);
    // A hand-back before any flip leaves its fence against one that arrives late.
    let late = batch(&records, Side::Recovery, 2, &zone);
    assert_eq!(finish(&records, Side::Primary, 3, &mut zone), 1);
    assert!(put(&mut zone, &late.changes).is_err());
    // One that was stopped after two of four: the way back is those two.
    let mut zone = wanted(&records, Side::Primary);
    for _ in 0..2 {
        let next = batch(&records, Side::Recovery, 4, &zone);
        put(&mut zone, &next.changes).unwrap();
    }
    assert_eq!(finish(&records, Side::Primary, 5, &mut zone), 2);
    assert!(holds(&zone, &records, Side::Primary));
}

#[test]
fn a_stale_batch_has_no_effect_even_when_the_old_values_have_come_back() {
    let records = records();
    let mut zone = wanted(&records, Side::Primary);
    let stale = batch(&records, Side::Recovery, 2, &zone);
    put(&mut zone, &stale.changes).unwrap();
    let stale = [stale, batch(&records, Side::Recovery, 2, &zone)];
    // Epoch 3 flips, then the pen and the records are handed back under epoch 4.
    finish(&records, Side::Recovery, 3, &mut zone);
    finish(&records, Side::Primary, 4, &mut zone);
    assert!(holds(&zone, &records, Side::Primary));
    let before = zone.clone();
    for stale in stale {
        assert!(put(&mut zone, &stale.changes).is_err());
        assert_eq!(zone, before);
    }
    for epoch in [2, 3] {
        assert_eq!(error(&records, epoch, &read(&zone)).name, ErrorName::Fenced);
    }
}

#[test]
fn a_record_that_somebody_has_changed_since_is_no_success() {
    let records = records();
    let mut zone = wanted(&records, Side::Primary);
    finish(&records, Side::Recovery, 2, &mut zone);
    let third = zone.iter_mut().find(|set| set.name.starts_with("s00003")).unwrap();
    third.ttl = 6;
    let flip = decide(&plan(), &records, Side::Recovery, 2, &read(&zone)).unwrap();
    assert_eq!(flip, Flip::Changed(vec!["s00003.aex.internal A".to_owned()]));
}

#[test]
fn a_fence_of_this_epoch_with_other_records_is_a_defect() {
    let records = records();
    for (index, of, digest) in [(1, 1, "0000000000000000"), (2, 4, "0000000000000000")] {
        let fence = Fence { epoch: 2, index, of, digest: digest.to_owned() };
        let mut zone = wanted(&records, Side::Primary);
        zone.push(fence_record(&plan(), &fence));
        assert_eq!(error(&records, 2, &read(&zone)).name, ErrorName::Defect);
    }
}

#[test]
fn what_is_not_plain_is_left_alone() {
    let records = plan().dns.records;
    let (name, kind) = ("gateway.aex.internal".to_owned(), "A".to_owned());
    let alias = Found::Foreign { name, kind, why: "is an alias".into() };
    let mut half = wanted(&records, Side::Primary)[0].clone();
    half.half = Some(crate::dns::Half {
        failover: crate::dns::Failover::Primary,
        identifier: "lifeboat-primary".into(),
        health_check: None,
    });
    for (found, says) in [(alias, "is an alias"), (Found::Set(half), "half of a failover pair")] {
        let err = error(&records, 2, &[found]);
        assert_eq!(err.name, ErrorName::PlanInvalid);
        let text = err.to_string();
        assert!(text.contains("gateway.aex.internal A") && text.contains(says), "{text}");
    }
    let elsewhere =
        Found::Foreign { name: "www.aex.internal".into(), kind: "A".into(), why: "is an alias".into() };
    assert!(decide(&plan(), &records, Side::Recovery, 2, &[elsewhere]).is_ok());
}

#[test]
fn a_zone_with_more_than_either_side_has_is_told_before_route_53_refuses_it() {
    let records = records();
    let zone: Vec<RecordSet> = records
        .iter()
        .map(|record| {
            RecordSet::new(&record.name, "A", 5, (0..400).map(|v| format!("10.9.{}.{}", v / 200, v % 200)))
        })
        .collect();
    let err = error(&records, 2, &read(&zone));
    assert_eq!(err.name, ErrorName::PlanInvalid);
    assert!(err.to_string().contains("1281 values"), "{err}");
}

#[test]
fn a_fence_reads_back_as_it_was_written_and_nothing_else_is_one() {
    let fence = Fence { epoch: 42, index: 3, of: 21, digest: "0123456789abcdef".into() };
    assert_eq!(fence.to_txt(), "\"42/3of21/0123456789abcdef\"");
    assert_eq!(Fence::parse(&fence.to_txt()), Some(fence));
    let others = [
        "",
        "\"v=spf1 -all\"",
        "42/1of1/x",
        "\"x/1of1/y\"",
        "\"1/1of1/a/b\"",
        "\"1/0of1/a\"",
        "\"1/2of1/a\"",
        "\"1/+1of1/a\"",
        "\"01/1of1/a\"",
        "\"1/1of1\"",
    ];
    for other in others {
        assert_eq!(Fence::parse(other), None, "{other}");
    }
    let records = plan().dns.records;
    let found = [Found::Set(RecordSet::new(&plan().epoch_record(), "TXT", 60, ["\"v=spf1 -all\"".into()]))];
    assert_eq!(error(&records, 2, &found).name, ErrorName::Defect);
}

#[test]
fn a_missing_record_is_created_and_one_that_is_right_is_left() {
    let records = plan().dns.records;
    let right = wanted(&records, Side::Recovery)[0].clone();
    let next = batch(&records, Side::Recovery, 2, &[right]);
    let fence = fence_record(&plan(), &last_fence(&records, Side::Recovery, 2));
    assert_eq!(next.changes, [fence, wanted(&records, Side::Recovery)[1].clone()].map(Change::Create));
}

/// A full batch is 499 records with a value on each side, and the fence twice.
#[test]
fn ten_thousand_names_are_twenty_one_batches() {
    let records: Vec<Record> = (0..10_000).map(|index| record(index, 1)).collect();
    let batches = split(&records);
    assert_eq!((batches.len(), batches[0].len(), batches[20].len()), (21, 499, 20));
    assert_eq!(split(&[]).len(), 1, "if only for its fence");
}

/// What one of two runs does next.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// It reads the zone.
    Read(usize),
    /// It puts the batch that it has decided on what it last knew.
    Put(usize),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act =
        (any::<bool>(), 0_usize..2).prop_map(|(read, run)| if read { Act::Read(run) } else { Act::Put(run) });
    prop::collection::vec(act, 0..40)
}

proptest! {
    /// Two runs put their batches in any order, each on what it last knew of the zone, and both may be killed at any point.
    /// Whoever reports success has every record on his side at that moment, by his own last read; once the newer one has put
    /// a batch, no batch of the older one is taken; no name is ever without an answer; and whoever comes next, forward or
    /// back, finishes.
    #[test]
    fn any_interleaving_of_two_runs_ends_well(
        sizes in prop::collection::vec(1_usize..=400, 1..14),
        acts in acts(),
        back in any::<bool>(),
        last in any::<bool>(),
    ) {
        let plan = plan();
        let records: Vec<Record> = sizes.iter().enumerate().map(|(index, size)| record(index, *size)).collect();
        let mut zone = wanted(&records, Side::Primary);
        let sides = [Side::Recovery, if back { Side::Primary } else { Side::Recovery }];
        let mut known: [Vec<Found>; 2] = [read(&zone), read(&zone)];
        let mut newer_has_put = false;
        for act in acts {
            match act {
                Act::Read(run) => {
                    known[run] = read(&zone);
                    match decide(&plan, &records, sides[run], 2 + run as u64, &known[run]) {
                        Ok(Flip::Done) => prop_assert!(holds(&zone, &records, sides[run])),
                        Ok(Flip::Batch(_)) => prop_assert!(run == 1 || !newer_has_put),
                        Ok(Flip::Changed(changed)) => prop_assert!(false, "{changed:?}"),
                        Err(err) => {
                            prop_assert!(run == 0 && newer_has_put, "{err}");
                            prop_assert_eq!(err.name, ErrorName::Fenced);
                        }
                    }
                }
                Act::Put(run) => {
                    let next = decide(&plan, &records, sides[run], 2 + run as u64, &known[run]);
                    if let Ok(Flip::Batch(batch)) = next {
                        let taken = put(&mut zone, &batch.changes).is_ok();
                        prop_assert!(!(taken && run == 0 && newer_has_put), "an older batch was taken");
                        newer_has_put |= taken && run == 1;
                        if taken {
                            apply(&mut known[run], &batch.changes);
                            prop_assert_eq!(sorted(known[run].clone()), sorted(read(&zone)));
                        }
                    }
                }
            }
            for record in &records {
                prop_assert!(zone.iter().any(|set| set.name == record.name), "{} has no answer", record.name);
            }
        }
        let side = if last { Side::Primary } else { Side::Recovery };
        finish(&records, side, 4, &mut zone);
        prop_assert!(holds(&zone, &records, side));
    }
}

fn sorted(mut found: Vec<Found>) -> Vec<Found> {
    found.sort_by_key(|found| (found.name().to_owned(), found.kind().to_owned()));
    found
}
