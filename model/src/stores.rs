//! What a store does with a request, and what there is to see when it does.
//!
//! Assumed of S3: a PUT with `If-None-Match: *` succeeds for one of all who send it, and is refused with 412 for every other
//! (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html>), and whoever reads after it has succeeded
//! reads it (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/Welcome.html#ConsistencyModel>).

use std::collections::btree_map::Entry;

use lifeboat_ledger::{Holder, PenState};
use lifeboat_rules::plan::Side;

use crate::acting::Actor;
use crate::failover::{Failover, Moves};
use crate::memo::Blob;
use crate::mutant::Mutant;
use crate::request::{Author, Request};
use crate::world::{Harm, World};
use crate::{dns, ledger};

/// What a store answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It is done.
    Done,
    /// An object of that name is there already: this, of a stream.
    Taken(Blob),
    /// What is to be created is there already, and is this actor's.
    Held(Actor),
    /// The zone is not as the batch has it.
    Rejected,
}

/// Which side an actor moves the traffic to.
pub fn side_of(model: &Failover, actor: Actor) -> Side {
    match actor {
        Actor::HandBack => Side::Primary,
        Actor::Rescue => model.rescue_side,
        _ => Side::Recovery,
    }
}

/// Executes `request`.
pub(crate) fn serve(model: &Failover, world: &mut World, request: &Request) -> Reply {
    match request {
        Request::Claim(epoch, actor) => match world.claimant(*epoch) {
            Some(holder) if model.mutant != Some(Mutant::CheckThenAct) => Reply::Held(holder),
            Some(_) => {
                world.claims[*epoch as usize - 2] = *actor;
                Reply::Done
            }
            None => {
                debug_assert_eq!(world.newest_epoch() + 1, *epoch);
                world.claims.push(*actor);
                Reply::Done
            }
        },
        Request::Launch(epoch, actor) => match world.stacks.entry(stack(model, *epoch)) {
            Entry::Vacant(free) => {
                free.insert(*actor);
                Reply::Done
            }
            Entry::Occupied(taken) => Reply::Held(*taken.get()),
        },
        Request::Undo(epoch, actor) => {
            if let Some(maker) = world.stacks.remove(&stack(model, *epoch))
                && maker != *actor
            {
                world.harmed(Harm::ForeignUndo);
            }
            Reply::Done
        }
        Request::Fence(epoch) => {
            world.fenced = world.fenced.max(*epoch);
            Reply::Done
        }
        Request::Put(stream, at, blob, author) => put(model, world, *stream, *at, *blob, *author),
        Request::Flip(epoch, actor) => match world.flips.get(epoch) {
            Some(holder) => Reply::Held(*holder),
            None => {
                let newest = world.flips.keys().next_back().copied().unwrap_or(0);
                world.flips.insert(*epoch, *actor);
                if *epoch > newest || model.mutant == Some(Mutant::LastFlipCounts) {
                    moved(model, world, *epoch, *actor);
                }
                Reply::Done
            }
        },
        Request::Batch(epoch, actor, batch) => change(model, world, *epoch, *actor, *batch),
        Request::Manifest(actor, end) => {
            world.manifests.entry(*actor).or_insert(*end);
            Reply::Done
        }
    }
}

/// The name of a stack, as the number that tells it from others.
pub(crate) fn stack(model: &Failover, epoch: u64) -> u64 {
    if model.mutant == Some(Mutant::UndoByNameWithoutEpoch) { 0 } else { epoch }
}

fn put(model: &Failover, world: &mut World, stream: usize, at: usize, blob: Blob, author: Author) -> Reply {
    if model.mutant == Some(Mutant::CompressionInKey) && author == Author::Primary {
        let there = world.beside.iter().find(|(of, slot, _)| (*of, *slot) == (stream, at));
        if let Some((_, _, there)) = there {
            return Reply::Taken(*there);
        }
        // Readers take whichever object of a slot they find first; here, the one without the suffix.
        match world.log[stream].get(at) {
            Some(Some(_)) => world.beside.push((stream, at, blob)),
            _ => store(world, stream, at, blob),
        }
        return Reply::Done;
    }
    if let Some(Some(there)) = world.log[stream].get(at)
        && model.mutant != Some(Mutant::CheckThenAct)
    {
        return Reply::Taken(*there);
    }
    let before = ledger::pen(stream, &world.stream(stream));
    store(world, stream, at, blob);
    if let Author::Actor(epoch, actor) = author {
        let after = ledger::pen(stream, &world.stream(stream));
        if after != before && epoch < before.newest_epoch() {
            world.harmed(Harm::StalePen);
        }
        let serving = matches!(before.state(), PenState::Open { holder: Holder::Recovery, .. });
        let sealed = matches!(after.state(), PenState::Sealed { .. });
        if serving && sealed && actor.is_automatic() {
            world.harmed(Harm::TakenFromServing);
        }
    }
    Reply::Done
}

fn store(world: &mut World, stream: usize, at: usize, blob: Blob) {
    let row = &mut world.log[stream];
    if row.len() <= at {
        row.resize(at + 1, None);
    }
    row[at] = Some(blob);
}

fn change(model: &Failover, world: &mut World, epoch: u64, actor: Actor, batch: Blob) -> Reply {
    let after = match model.mutant {
        Some(Mutant::Upsert) => dns::overwritten(world.zone, batch),
        Some(Mutant::OneTxtForAllBatches) if !dns::touches(batch).contains(&0) => {
            let alone = dns::only(batch, false);
            match dns::applied(world.zone, alone) {
                None => return Reply::Rejected,
                Some(after) => dns::overwritten(after, dns::only(batch, true)),
            }
        }
        _ => match dns::applied(world.zone, batch) {
            None => return Reply::Rejected,
            Some(after) => after,
        },
    };
    world.zone = after;
    if !dns::touches(batch).is_empty() {
        if world.moved > epoch {
            world.harmed(Harm::StaleMove);
        }
        moved(model, world, epoch, actor);
    }
    world.moved = world.moved.max(epoch);
    Reply::Done
}

/// Traffic has just been moved by `actor` under `epoch`: on what grounds?
fn moved(model: &Failover, world: &mut World, epoch: u64, actor: Actor) {
    if model.moves == Moves::Switch && world.flips.keys().next_back() != Some(&epoch) {
        world.harmed(Harm::StaleMove);
    }
    let holder = match side_of(model, actor) {
        Side::Primary => Holder::Primary,
        Side::Recovery => Holder::Recovery,
    };
    let run = actor.run();
    for stream in 0..world.log.len() {
        let objects = world.stream(stream);
        let opened = (1..=objects.len())
            .any(|until| *ledger::pen(stream, &objects[..until]).state() == PenState::Open { epoch, holder });
        let sealed = (1..=objects.len()).find(|until| {
            let own = PenState::Sealed { epoch, run: run.to_owned() };
            *ledger::pen(stream, &objects[..*until]).state() == own
        });
        let bound = match holder {
            Holder::Primary => true,
            Holder::Recovery => sealed.is_some_and(|seal| world.acting(actor).proven[stream] >= seal),
        };
        if !opened || !bound {
            world.harmed(Harm::UnprovenMove);
        }
    }
}
