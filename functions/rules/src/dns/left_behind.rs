//! What a move of the traffic by one version of a plan does not reach of what another version has moved.
//!
//! By `switch` every pair follows the one gate, whether its name is still in the plan or not: what counts is that the gate is
//! the same. By `records` a move edits the names of the plan it goes by, and no other.

use std::collections::HashSet;

use super::{Found, wanted};
use crate::Plan;
use crate::plan::{Record, Side, Strategy};

/// Names that are told one by one; the others are counted.
const NAMES_TOLD: usize = 5;

/// What was moved by the plan `before` with its `records_before`, and would stay where it is if `now` with its `records_now`
/// moved the traffic; each a sentence's part, empty where nothing would. The records, those by rules too, count under
/// `records` only.
pub fn left_behind(
    (before, records_before): (&Plan, &[Record]),
    (now, records_now): (&Plan, &[Record]),
) -> Vec<String> {
    let strategy = before.dns.strategy;
    let mut left = Vec::new();
    let mut differs = |field: &str, before: &str, now: &str| {
        if before != now {
            left.push(format!("`{field}` was {before} and is {now}"));
        }
    };
    differs("dns.strategy", &strategy.to_string(), &now.dns.strategy.to_string());
    match strategy {
        // The gate's metric and alarm are those of the plan's name in the recovery Region.
        Strategy::Switch => differs("regions.recovery", &before.regions.recovery, &now.regions.recovery),
        Strategy::Records => {
            differs("dns.zone_id", &before.dns.zone_id, &now.dns.zone_id);
            if now.dns.strategy == Strategy::Records {
                left.extend(taken_out(records_before, records_now));
            }
        }
    }
    left
}

/// How many of `records` do not stand in the zone with the primary's values, whatever stands there instead.
pub fn not_on_primary(records: &[Record], found: &[Found]) -> usize {
    let sets: HashSet<(&str, &str, &[String], u32)> = found
        .iter()
        .filter_map(|found| match found {
            Found::Set(set) => Some((set.name.as_str(), set.kind.as_str(), set.values.as_slice(), set.ttl)),
            Found::Foreign { .. } => None,
        })
        .collect();
    let primary = wanted(records, Side::Primary);
    primary.iter().filter(|set| !sets.contains(&(&set.name, &set.kind, &set.values, set.ttl))).count()
}

fn taken_out(before: &[Record], now: &[Record]) -> Option<String> {
    let kept: HashSet<(&str, String)> =
        now.iter().map(|record| (record.name.as_str(), record.kind.to_string())).collect();
    let gone =
        before.iter().filter(|record| !kept.contains(&(record.name.as_str(), record.kind.to_string())));
    let gone: Vec<String> = gone.map(|record| format!("{} {}", record.name, record.kind)).collect();
    let told = gone[..gone.len().min(NAMES_TOLD)].join(", ");
    match gone.len() {
        0 => None,
        count if count > NAMES_TOLD => {
            Some(format!("{count} records were taken out: {told} and {} more", count - NAMES_TOLD))
        }
        _ => Some(format!("taken out: {told}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::RecordType;

    fn plan(strategy: Strategy) -> Plan {
        let mut plan = Plan::from_json(include_bytes!("../../tests/plan.json")).expect("valid");
        plan.dns.strategy = strategy;
        plan
    }

    fn records(names: &[usize]) -> Vec<Record> {
        let record = |name: &usize| Record {
            name: format!("s{name}.aex.internal"),
            kind: RecordType::A,
            ttl: 5,
            primary: vec!["10.0.0.1".into()],
            recovery: vec!["10.1.0.1".into()],
        };
        names.iter().map(record).collect()
    }

    #[test]
    fn by_records_a_name_that_was_taken_out_stays_where_it_is() {
        let plan = plan(Strategy::Records);
        let left =
            |before: &[usize], now: &[usize]| left_behind((&plan, &records(before)), (&plan, &records(now)));
        assert_eq!(left(&[1, 2], &[2, 1, 3]), [""; 0], "more names, in another order");
        assert_eq!(left(&[1, 2, 3], &[2]), ["taken out: s1.aex.internal A, s3.aex.internal A"]);
        let many: Vec<usize> = (0..1_000).collect();
        let told = left(&many, &many[..1]);
        assert!(told[0].starts_with("999 records were taken out: s1.aex.internal A, "), "{told:?}");
        assert!(told[0].ends_with("s5.aex.internal A and 994 more"), "{told:?}");
        // Another type of the same name is another record.
        let mut other = records(&[1]);
        other[0].kind = RecordType::Aaaa;
        assert_eq!(left_behind((&plan, &records(&[1])), (&plan, &other)), ["taken out: s1.aex.internal A"]);
    }

    #[test]
    fn records_are_on_the_primary_by_their_values() {
        let records = records(&[1, 2, 3]);
        let of = |side, some: &[Record]| wanted(some, side).into_iter().map(Found::Set).collect::<Vec<_>>();
        assert_eq!(not_on_primary(&records, &of(Side::Recovery, &records)), 3);
        let half = [of(Side::Recovery, &records[..1]), of(Side::Primary, &records[1..])].concat();
        assert_eq!(not_on_primary(&records, &of(Side::Primary, &records)), 0);
        assert_eq!(not_on_primary(&records, &half), 1);
        // What was moved by another version of the plan: its values are neither side's.
        let mut older = records.clone();
        (older[0].ttl, older[1].recovery) = (60, vec!["10.1.0.9".into()]);
        assert_eq!(not_on_primary(&records, &of(Side::Recovery, &older)), 3);
        assert_eq!(not_on_primary(&records, &[]), 3, "nothing stands there");
    }

    #[test]
    fn another_strategy_or_zone_reaches_nothing_of_what_was_moved() {
        let (switch, edits) = (plan(Strategy::Switch), plan(Strategy::Records));
        let moved = left_behind((&switch, &[]), (&edits, &records(&[1])));
        assert_eq!(moved, ["`dns.strategy` was switch and is records"]);
        let moved = left_behind((&edits, &records(&[1])), (&switch, &[]));
        assert_eq!(moved, ["`dns.strategy` was records and is switch"]);
        let mut other = edits.clone();
        other.dns.zone_id = "ZOTHER".into();
        let moved = left_behind((&edits, &records(&[1])), (&other, &records(&[1])));
        assert_eq!(moved, [format!("`dns.zone_id` was {} and is ZOTHER", edits.dns.zone_id)]);
    }

    #[test]
    fn by_the_switch_every_pair_follows_the_gate_in_the_plan_or_not() {
        let before = plan(Strategy::Switch);
        let mut now = before.clone();
        now.dns.zone_id = "ZOTHER".into();
        assert_eq!(left_behind((&before, &records(&[1, 2])), (&now, &records(&[1]))), [""; 0]);
        now.regions.recovery = "eu-north-1".into();
        let left = left_behind((&before, &[]), (&now, &[]));
        assert_eq!(left, [format!("`regions.recovery` was {} and is eu-north-1", before.regions.recovery)]);
    }
}
