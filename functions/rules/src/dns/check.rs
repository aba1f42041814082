//! What is not as a flip needs it, found before the day.
//!
//! A finding says what it is, where it is and what to do about it. The observer reads Route 53, CloudWatch and the control
//! bucket; what it means is decided here.

mod gate;
mod hosted;
mod sets;

use serde::Serialize;

use super::Found;
use super::switch::FlipObject;
use crate::Plan;
use crate::plan::{Record, Strategy};

pub use gate::{Alarm, Gate, HealthCheck, Watched};
pub use hosted::HostedZone;

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The zone itself: public, or another one than the plan's.
    Zone,
    /// A network that does not resolve names in the zone.
    Network,
    /// The health check that gates the primary halves.
    HealthCheck,
    /// The alarm behind it.
    Alarm,
    /// An epoch in the zone or a flip object that no epoch of the plan accounts for, or a flip that was stopped.
    Epoch,
    /// A record of the plan that is not in the zone.
    Missing,
    /// A record that no flip of the plan's strategy moves: a plain one under `switch`, a pair under `records`.
    NotPrepared,
    /// One half of a pair, or a half that is gated by another check than the plan's, or wrongly gated or ungated.
    Pair,
    /// A record with another policy or an alias, or with another type in its way.
    Foreign,
    /// Values that are not the plan's.
    Values,
    /// A time to live that is not the plan's.
    Ttl,
    /// A record that points at the primary, or has a name of the plan's rules, and is not in the plan.
    OutsideThePlan,
}

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is about.
    pub kind: Kind,
    /// Where: a record's name and type, a health check's id, an alarm's name.
    pub place: String,
    /// What is wrong, and what that means.
    pub what: String,
    /// What to do next.
    pub next: String,
}

/// What was seen.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// All its records, those by rules too.
    pub records: &'a [Record],
    /// The hosted zone.
    pub hosted: &'a HostedZone,
    /// Every record set in it.
    pub zone: &'a [Found],
    /// Ids of the networks (VPCs) that are to resolve names in it; none are asked for where it is empty.
    pub networks: &'a [String],
    /// The newest epoch that was claimed; 0 for none.
    pub epoch: u64,
    /// The newest flip under `switch`.
    pub flip: Option<&'a FlipObject>,
    /// What lies in the newest flip's place and is none; there is no `flip` then.
    pub unreadable: Option<&'a UnreadableFlip>,
    /// The gate, under `switch`.
    pub gate: Option<&'a Gate>,
}

/// An object in the place of the newest flip that is no flip.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnreadableFlip {
    /// Its key in the control bucket.
    pub key: String,
    /// What is wrong with it.
    pub why: String,
}

/// Everything that is not as the plan's strategy needs it: the zone first, then the gate, the epoch, and the records in the
/// order of the plan; empty where all is sound.
pub fn check(seen: &Seen<'_>) -> Vec<Finding> {
    let mut found = hosted::check(seen);
    if let Some(gate) = seen.gate {
        found.extend(gate.findings(seen.plan));
        // What the gate is to say is not known where the newest flip cannot be read.
        if seen.unreadable.is_none() {
            found.extend(gate.disagrees(seen.plan, seen.flip));
        }
    }
    found.extend(match seen.plan.dns.strategy {
        Strategy::Switch => seen.unreadable.map(unreadable).or_else(|| flip_of_nobody(seen)),
        Strategy::Records => sets::epoch_record(seen),
    });
    found.extend(sets::check(seen));
    found
}

/// Nobody publishes what such an object says, and nobody takes an older flip in its place.
fn unreadable(flip: &UnreadableFlip) -> Finding {
    Finding {
        kind: Kind::Epoch,
        place: flip.key.clone(),
        what: format!(
            "it is the newest flip, and cannot be read: {}. Nothing is published while it is, and traffic stays where it is",
            flip.why
        ),
        next: "find out who put it; `lifeboat handback` puts a newer one, which counts from then on"
            .to_owned(),
    }
}

/// A flip under an epoch that nobody has claimed would win over every run to come.
fn flip_of_nobody(seen: &Seen<'_>) -> Option<Finding> {
    let flip = seen.flip.filter(|flip| flip.epoch > seen.epoch)?;
    Some(Finding {
        kind: Kind::Epoch,
        place: super::switch::key(&seen.plan.name, flip.epoch),
        what: format!(
            "run {} has flipped under epoch {}, and the newest that was claimed is {}: no flip of an epoch up to {} has \
             any effect",
            flip.run, flip.epoch, seen.epoch, flip.epoch
        ),
        next: "find out who put it; `lifeboat handback` puts a newer flip, to the primary, under an epoch beyond it"
            .to_owned(),
    })
}

#[cfg(test)]
mod tests;
