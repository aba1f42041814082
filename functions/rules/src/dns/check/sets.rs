//! The record sets, each against the plan.

use std::collections::BTreeSet;

use super::{Finding, Kind, Seen};
use crate::dns::prepare::{ByName, Shape};
use crate::dns::{Fence, Found, RecordSet};
use crate::plan::{Record, Side, Strategy, bounds};

pub(super) fn check(seen: &Seen<'_>) -> Vec<Finding> {
    let zone = ByName::of(seen.zone);
    let mut found = Vec::new();
    let (mut on_primary, mut on_recovery) = (0, 0);
    for record in seen.records {
        let shape = zone.shape(record);
        found.extend(ttls(record, &shape));
        match seen.plan.dns.strategy {
            Strategy::Switch => found.extend(under_switch(seen, record, &shape)),
            Strategy::Records => match under_records(record, &shape) {
                Ok(Side::Primary) => on_primary += 1,
                Ok(Side::Recovery) => on_recovery += 1,
                Err(finding) => found.push(finding),
            },
        }
    }
    if on_primary > 0 && on_recovery > 0 {
        found.push(Finding {
            kind: Kind::Epoch,
            place: format!("zone {}", seen.plan.dns.zone),
            what: format!(
                "{on_primary} records hold the primary's values and {on_recovery} the recovery side's: a flip was stopped \
                 on its way, or somebody has edited them"
            ),
            next: "see with `lifeboat status` who acts; forward with `lifeboat flip` or a new run, back with \
                   `lifeboat handback`"
                .to_owned(),
        });
    }
    found.extend(outside(seen));
    found
}

/// The place of a record.
fn at(name: &str, kind: &str) -> String {
    format!("{name} {kind}")
}

fn finding(kind: Kind, record: &Record, what: String, next: &str) -> Finding {
    Finding { kind, place: at(&record.name, &record.kind.to_string()), what, next: next.to_owned() }
}

const PREPARE: &str = "`lifeboat dns prepare` makes failover pairs of the records of the plan";
const UNDO: &str = "`lifeboat dns prepare --undo` makes plain records of the pairs";
const MEND: &str = "mend the record in Route 53 or the plan, whichever is wrong";

fn under_switch(seen: &Seen<'_>, record: &Record, shape: &Shape<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut add = |kind, what: String, next| found.push(finding(kind, record, what, next));
    match shape {
        Shape::Nothing => add(Kind::Missing, "it is not in the zone".to_owned(), PREPARE),
        Shape::Foreign(why) => {
            add(
                Kind::Foreign,
                format!("{why}: no flip moves it"),
                "take it away in Route 53, or out of the plan",
            );
        }
        Shape::Plain(set) => {
            add(Kind::NotPrepared, "it is a plain record: no flip moves it".to_owned(), PREPARE);
            found.extend(values(record, set, Side::Primary));
        }
        Shape::Halves { primary, recovery } => {
            let gate = seen.plan.dns.health_check.as_deref();
            for (side, half) in [(Side::Primary, primary), (Side::Recovery, recovery)] {
                let Some(half) = half else {
                    let side = word(side);
                    add(Kind::Pair, format!("the {side} half of its pair is not there"), PREPARE);
                    continue;
                };
                let gated_by = half.half.as_ref().and_then(|half| half.health_check.as_deref());
                match (side, gated_by) {
                    (Side::Primary, None) => {
                        add(Kind::Pair, "its primary half has no gate: no flip moves it".to_owned(), PREPARE);
                    }
                    (Side::Primary, by) if by != gate => {
                        let by = by.unwrap_or_default();
                        add(
                            Kind::Pair,
                            format!("its primary half is gated by another health check, {by}"),
                            PREPARE,
                        );
                    }
                    (Side::Recovery, Some(by)) => add(
                        Kind::Pair,
                        format!(
                            "its recovery half is gated by {by}: where both are unhealthy the primary answers"
                        ),
                        PREPARE,
                    ),
                    _ => {}
                }
            }
            for (side, half) in [(Side::Primary, primary), (Side::Recovery, recovery)] {
                found.extend(half.and_then(|half| values(record, half, side)));
            }
        }
    }
    found
}

fn word(side: Side) -> &'static str {
    match side {
        Side::Primary => "primary",
        Side::Recovery => "recovery",
    }
}

fn wanted(record: &Record, side: Side) -> Vec<String> {
    let values = record.values(side).iter().cloned();
    RecordSet::new(&record.name, &record.kind.to_string(), record.ttl, values).values
}

fn values(record: &Record, set: &RecordSet, side: Side) -> Option<Finding> {
    let wanted = wanted(record, side);
    (set.values != wanted).then(|| {
        let (is, wanted) = (set.values.join(" "), wanted.join(" "));
        let what = format!("for the {} side it answers {is}, and the plan says {wanted}", word(side));
        finding(Kind::Values, record, what, MEND)
    })
}

/// The side whose values a plain record holds.
fn under_records(record: &Record, shape: &Shape<'_>) -> Result<Side, Finding> {
    let err = |kind, what: String, next| Err(finding(kind, record, what, next));
    match shape {
        Shape::Nothing => err(Kind::Missing, "it is not in the zone".to_owned(), "create it in Route 53"),
        Shape::Foreign(why) => err(
            Kind::Foreign,
            format!("{why}: a flip stops at it"),
            "take it away in Route 53, or out of the plan",
        ),
        Shape::Halves { .. } => {
            err(Kind::NotPrepared, "it is a failover pair, and a flip edits plain records".to_owned(), UNDO)
        }
        Shape::Plain(set) if set.values == wanted(record, Side::Primary) => Ok(Side::Primary),
        Shape::Plain(set) if set.values == wanted(record, Side::Recovery) => Ok(Side::Recovery),
        Shape::Plain(set) => err(
            Kind::Values,
            format!("it answers {}, which is the plan's value for neither side", set.values.join(" ")),
            MEND,
        ),
    }
}

fn ttls(record: &Record, shape: &Shape<'_>) -> Option<Finding> {
    let longest = shape.sets().iter().map(|set| set.ttl).filter(|ttl| *ttl != record.ttl).max()?;
    let limit = *bounds::TTL_SECONDS.end();
    let over = if longest > limit { format!(", over the limit of {limit} s") } else { String::new() };
    Some(finding(
        Kind::Ttl,
        record,
        format!(
            "its time to live is {longest} s{over}, and the plan says {} s: clients keep an old answer for that long",
            record.ttl
        ),
        "under `switch` `lifeboat dns prepare` sets it; under `records` set it in Route 53",
    ))
}

/// Records that a flip does not move, though they look as if it should.
fn outside(seen: &Seen<'_>) -> Vec<Finding> {
    let of_plan: BTreeSet<(&str, String)> =
        seen.records.iter().map(|record| (record.name.as_str(), record.kind.to_string())).collect();
    let names: BTreeSet<&str> = seen.records.iter().map(|record| record.name.as_str()).collect();
    let of_primary: BTreeSet<String> =
        seen.records.iter().flat_map(|record| wanted(record, Side::Primary)).collect();
    let finding = |found: &Found, what: String| Finding {
        kind: Kind::OutsideThePlan,
        place: at(found.name(), found.kind()),
        what,
        next: "put it into the plan, or make it a CNAME to a name of the plan, or take it away".to_owned(),
    };
    let mut outside = Vec::new();
    for found in seen.zone.iter().filter(|found| {
        matches!(found.kind(), "A" | "AAAA" | "CNAME")
            && !of_plan.contains(&(found.name(), found.kind().to_owned()))
    }) {
        if let Found::Set(set) = found {
            // What points at a name of the plan follows it, and may stay.
            if set.kind == "CNAME" && set.values.iter().all(|value| names.contains(value.as_str())) {
                continue;
            }
            if let Some(value) = set.values.iter().find(|value| of_primary.contains(*value)) {
                let what =
                    format!("it points at the primary's {value} and is not in the plan: no flip moves it");
                outside.push(finding(found, what));
                continue;
            }
        }
        if let Some(rule) = seen.plan.dns.names.iter().find(|rule| rule.makes(found.name())) {
            let what =
                format!("its name follows the rule {} and is not in its list: no flip moves it", rule.name);
            outside.push(finding(found, what));
        }
    }
    outside
}

/// Under `records`: the fence, against the epochs that were claimed.
pub(super) fn epoch_record(seen: &Seen<'_>) -> Option<Finding> {
    let name = seen.plan.epoch_record();
    let fence = seen.zone.iter().find(|found| found.name() == name && found.kind() == "TXT")?;
    let finding = |what: String, next: &str| {
        Some(Finding { kind: Kind::Epoch, place: at(&name, "TXT"), what, next: next.to_owned() })
    };
    let text = match fence {
        Found::Set(set) => set.values.join(" "),
        Found::Foreign { why, .. } => why.clone(),
    };
    let Some(fence) = Fence::parse(&text).filter(|_| matches!(fence, Found::Set(_))) else {
        let what = format!("it is no fence of Lifeboat's: {text}. Every flip stops at it");
        return finding(what, "find out who made it, and take it away in Route 53");
    };
    if fence.epoch > seen.epoch {
        let what = format!(
            "epoch {} has flipped this zone, and the newest that was claimed is {}: every flip of an older one stops at it",
            fence.epoch, seen.epoch
        );
        return finding(
            what,
            "find out whose it is: another control bucket's, or another plan's for the same zone",
        );
    }
    if fence.index < fence.of {
        let what = format!("epoch {} was stopped at batch {} of {}", fence.epoch, fence.index, fence.of);
        let next = "see with `lifeboat status` who acts; forward with `lifeboat flip` or a new run, back with \
                    `lifeboat handback`";
        return finding(what, next);
    }
    None
}
