//! What must always hold, and what must come about at least once.

use std::hash::{DefaultHasher, Hash, Hasher};

use lifeboat_ledger::Holder;
use lifeboat_rules::Outcome;
use stateright::Property;

use crate::acting::{Actor, ENDS, State};
use crate::failover::Failover;
use crate::look::histories;
use crate::request::{Acknowledged, Author};
use crate::world::{Harm, World};
use crate::{ledger, rescue, writers};

/// All properties.
pub(crate) fn all() -> Vec<Property<Failover>> {
    let mut all = always();
    all.extend(sometimes());
    all
}

/// The names of those that must always hold.
pub fn names() -> Vec<&'static str> {
    always().into_iter().map(|property| property.name).collect()
}

fn always() -> Vec<Property<Failover>> {
    vec![
        Property::always("never two sides whose acknowledgements both count", one_side),
        Property::always("what was acknowledged is in the ledger, written by who had the pen", nothing_lost),
        Property::always("what was refused is not in the ledger", nothing_doubled),
        Property::always("the ledger is proven from its beginning", |_: &Failover, world: &World| {
            histories(world).is_ok()
        }),
        Property::always("a stale actor moves no traffic", |_: &Failover, world: &World| {
            world.harm != Some(Harm::StaleMove)
        }),
        Property::always(
            "traffic moves on a proof through its own seal, to who has the pen",
            |_: &Failover, world: &World| world.harm != Some(Harm::UnprovenMove),
        ),
        Property::always("who says that all traffic is moved is right", |_: &Failover, world: &World| {
            world.harm != Some(Harm::HalfMoved)
        }),
        Property::always("a stale control entry changes nothing", |_: &Failover, world: &World| {
            world.harm != Some(Harm::StalePen)
        }),
        Property::always("no machine takes the pen from the recovery side", |_: &Failover, world: &World| {
            world.harm != Some(Harm::TakenFromServing)
        }),
        Property::always("nobody deletes what another made", |_: &Failover, world: &World| {
            world.harm != Some(Harm::ForeignUndo)
        }),
        Property::always("a superseded run was superseded by somebody", |_: &Failover, world: &World| {
            world.harm != Some(Harm::SupersededByNobody)
        }),
        Property::always("there is a way to one serving side", a_way_on),
    ]
}

/// For each stream, at most one writer's next put would be stored and acknowledged.
fn one_side(model: &Failover, world: &World) -> bool {
    let able = writers::could_acknowledge(model, world);
    (0..world.log.len()).all(|stream| able.iter().filter(|(of, _)| *of == stream).count() <= 1)
}

fn nothing_lost(_: &Failover, world: &World) -> bool {
    world.acknowledged.iter().all(|told| {
        let objects = world.stream(told.stream);
        let held_by = ledger::pen(told.stream, objects.get(..told.at).unwrap_or_default());
        let by = match (held_by.state(), told.by) {
            (lifeboat_ledger::PenState::Open { holder: Holder::Primary, .. }, Author::Primary) => true,
            (lifeboat_ledger::PenState::Open { holder: Holder::Recovery, epoch }, Author::Recovery(own)) => {
                *epoch == own
            }
            _ => false,
        };
        by && objects.get(told.at) == Some(&told.blob)
    })
}

fn nothing_doubled(_: &Failover, world: &World) -> bool {
    let stored = |blob| world.log.iter().flatten().any(|object| *object == Some(blob));
    !world.refused.iter().any(|blob| stored(*blob))
}

/// Where nobody is at work, always; else in the share that the bounds name, by a hash that is the same in each run.
fn a_way_on(model: &Failover, world: &World) -> bool {
    if world.harm.is_some() {
        return true;
    }
    let at_work = world.actors.iter().any(|acting| matches!(acting.state, State::At(_)));
    let mut hasher = DefaultHasher::new();
    world.hash(&mut hasher);
    if at_work && !hasher.finish().is_multiple_of(model.bounds.rescued_of) {
        return true;
    }
    rescue::is_possible(model, world)
}

fn sometimes() -> Vec<Property<Failover>> {
    vec![
        Property::sometimes("a run recovers", |_: &Failover, world: &World| recoveries(world) > 0),
        Property::sometimes(
            "a run recovers, and clients were answered before and after",
            |_: &Failover, world: &World| {
                let answered =
                    |side: fn(&Author) -> bool| world.acknowledged.iter().any(|told| side(&told.by));
                recoveries(world) > 0
                    && answered(|by| *by == Author::Primary)
                    && answered(|by| matches!(by, Author::Recovery(_)))
            },
        ),
        Property::sometimes("a hand-back completes", |_: &Failover, world: &World| handed_back(world)),
        Property::sometimes(
            "the primary is answered for after a hand-back",
            |_: &Failover, world: &World| {
                let back = world.acting(Actor::HandBack).epoch;
                let is_after = |told: &Acknowledged| {
                    let objects = world.stream(told.stream);
                    let pen = ledger::pen(told.stream, objects.get(..told.at).unwrap_or_default());
                    told.by == Author::Primary && back > 0 && pen.newest_epoch() == back
                };
                world.acknowledged.iter().any(is_after)
            },
        ),
        Property::sometimes("a second failover recovers", |_: &Failover, world: &World| {
            recoveries(world) > 1
        }),
        Property::sometimes("a run is superseded", |_: &Failover, world: &World| {
            ended(world, Outcome::Superseded) > 0
        }),
        Property::sometimes("a run stands down", |_: &Failover, world: &World| {
            ended(world, Outcome::StoodDown) > 0
        }),
        Property::sometimes(
            "a client is told that its order is not stored",
            |_: &Failover, world: &World| !world.refused.is_empty(),
        ),
    ]
}

fn ended(world: &World, outcome: Outcome) -> usize {
    world.manifests.values().filter(|end| ENDS[usize::from(**end)] == outcome).count()
}

fn recoveries(world: &World) -> usize {
    ended(world, Outcome::Recovered)
}

fn handed_back(world: &World) -> bool {
    ended(world, Outcome::HandedBack) > 0
}
