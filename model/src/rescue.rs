//! The way out of a state: everything that runs is stopped, and a person comes.
//!
//! He gives the pen back to the primary, or starts a run; both without a further fault, and both once with what is under way
//! arriving before he begins, and once with it never arriving. In the end one side has the pen of every stream, and the
//! traffic.

use lifeboat_ledger::Holder;
use lifeboat_rules::plan::Side;
use lifeboat_rules::{Outcome, TriggerKind};

use crate::acting::{Actor, ENDS, State};
use crate::action::Fault;
use crate::failover::{Failover, Moves};
use crate::request::Author;
use crate::start::{admits, start};
use crate::stores::{serve, side_of};
use crate::world::World;
use crate::{dns, writers};

/// More calls than any run or hand-back needs within the bounds.
const CALLS_MAX: usize = 200;

/// Whether both ways out that are open lead to one serving side.
pub(crate) fn is_possible(model: &Failover, world: &World) -> bool {
    [false, true].into_iter().all(|lands| {
        let world = stopped(model, world, lands);
        let back = leads_to(model, &world, Side::Primary);
        // A run is refused while the recovery side serves: there is nothing to fail over to.
        let forward =
            !admits(model, &world, TriggerKind::Operator) || leads_to(model, &world, Side::Recovery);
        back && forward
    })
}

/// The world with every execution stopped, and what was under way landed or lost.
fn stopped(model: &Failover, world: &World, lands: bool) -> World {
    let mut world = world.clone();
    for acting in &mut world.actors {
        if let State::At(step) = acting.state {
            acting.state = State::Stopped(step);
        }
    }
    for request in std::mem::take(&mut world.late) {
        if lands {
            serve(model, &mut world, &request);
        }
    }
    world
}

fn leads_to(model: &Failover, world: &World, side: Side) -> bool {
    let (model, mut world) = (Failover { rescue_side: side, ..model.clone() }, world.clone());
    start(&model, &mut world, Actor::Rescue);
    for _ in 0..CALLS_MAX {
        if !world.acting(Actor::Rescue).is_live() {
            break;
        }
        if model.call(&mut world, Actor::Rescue, Fault::None).is_none() {
            // It waits for the application that it has launched.
            let epoch = world.acting(Actor::Rescue).epoch;
            if writers::begin(&model, &mut world, epoch).is_none() {
                return false;
            }
        }
    }
    let end = ENDS[usize::from(world.acting(Actor::Rescue).end)];
    world.harm.is_none()
        && world.acting(Actor::Rescue).state == State::Ended
        && matches!(end, Outcome::Recovered | Outcome::HandedBack)
        && serves(&model, &mut world, side)
}

/// Whether `side` has the pen of every stream, by its own writer's lights, and the traffic.
fn serves(model: &Failover, world: &mut World, side: Side) -> bool {
    let epoch = world.acting(Actor::Rescue).epoch;
    let (holder, author) = match side {
        Side::Primary => (Holder::Primary, Author::Primary),
        Side::Recovery => (Holder::Recovery, Author::Recovery(epoch)),
    };
    for stream in 0..world.log.len() {
        if writers::holder(world, stream) != Some((holder, epoch)) {
            return false;
        }
        if author == Author::Primary {
            world.primary[stream].out = true;
            if writers::resume(world, author, stream).is_none() {
                return false;
            }
        }
    }
    match model.moves {
        Moves::Switch => {
            let newest = world.flips.iter().next_back();
            newest.is_some_and(|(of, by)| *of == epoch && side_of(model, *by) == side)
        }
        Moves::Records => dns::is_on(world.zone, side),
    }
}
