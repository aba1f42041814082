//! Steps that read, and what they decide by what they have read.

use std::collections::BTreeMap;

use lifeboat_ledger::Verdict;
use lifeboat_ledger::append::Sealed as Tailed;
use lifeboat_rules::Outcome;
use lifeboat_rules::dns::switch::{FlipObject, judge_newest};
use lifeboat_rules::recovered::{self, Health, Sealed, StreamHealth};

use crate::acting::{Actor, Step};
use crate::dns::{self, Move};
use crate::failover::Failover;
use crate::ledger::{self, ToAppend};
use crate::mutant::Mutant;
use crate::order::{advance, end, enter, fail, looks_first, next_stream};
use crate::request::Writing;
use crate::steps::{next_move, to_append};
use crate::stores::side_of;
use crate::world::{Harm, World};

/// `actor` reads at `step`, and decides by what it has read.
pub(crate) fn look(model: &Failover, world: &mut World, actor: Actor, step: Step) {
    if looks_first(model, actor, step) && !world.acting(actor).looked {
        if world.newest_epoch() > world.acting(actor).epoch {
            return end(model, world, actor, Outcome::Superseded);
        }
        world.acting_mut(actor).looked = true;
        return;
    }
    match step {
        Step::History => match histories(world) {
            Ok(history) => {
                let acting = world.acting_mut(actor);
                if model.mutant == Some(Mutant::ProofNotBoundToSeal) {
                    acting.proven = history.clone();
                }
                acting.history = history;
                advance(model, world, actor, step);
            }
            Err(Verdict::Broken) => end(model, world, actor, Outcome::Broken),
            Err(_) => end(model, world, actor, Outcome::Unproven),
        },
        Step::Seal | Step::Open => {
            let stream = world.acting(actor).stream;
            let objects = world.stream(stream);
            let read = world.acting(actor).read.unwrap_or(objects.len());
            match to_append(model, world, actor, step, &objects[..read]) {
                ToAppend::Done => next_stream(model, world, actor, step),
                ToAppend::Put(_) => world.acting_mut(actor).read = Some(read),
                ToAppend::Outranked => end(model, world, actor, Outcome::Superseded),
                ToAppend::Stop => end(model, world, actor, Outcome::Halted),
            }
        }
        Step::Tail => {
            let acting = world.acting(actor);
            let (stream, from) = (acting.stream, acting.history[acting.stream]);
            let objects = world.stream(stream);
            match ledger::proven_through(stream, &objects, from, acting.epoch, actor.run()) {
                Tailed::Proven(proof) => {
                    world.acting_mut(actor).proven[stream] = proof.through as usize;
                    next_stream(model, world, actor, step);
                }
                Tailed::TakenOver => end(model, world, actor, Outcome::Superseded),
                Tailed::Not(_) => end(model, world, actor, Outcome::Unproven),
            }
        }
        Step::Serve if serves(world, actor) => advance(model, world, actor, step),
        Step::Serve => end(model, world, actor, Outcome::Halted),
        Step::Confirm => {
            let flip = |(epoch, by): (&u64, &Actor)| flip_object(model, *epoch, *by);
            let newest = world.flips.iter().next_back().map(flip);
            let mine = flip_object(model, world.acting(actor).epoch, actor);
            let judged = match model.mutant {
                Some(Mutant::NoLookAtTheNewestFlip) => Ok(()),
                _ => judge_newest(newest.as_ref(), &mine),
            };
            match judged {
                Ok(()) => {
                    if newest != Some(mine) {
                        world.harmed(Harm::HalfMoved);
                    }
                    advance(model, world, actor, step);
                }
                Err(error) => fail(model, world, actor, &error),
            }
        }
        Step::Flip => {
            let (zone, epoch) = (world.acting(actor).zone, world.acting(actor).epoch);
            let Some(zone) = zone else {
                world.acting_mut(actor).zone = Some(world.zone);
                return;
            };
            match next_move(model, actor, epoch, zone) {
                Move::Done => {
                    if world.moved <= epoch && !dns::is_on(world.zone, side_of(model, actor)) {
                        world.harmed(Harm::HalfMoved);
                    }
                    advance(model, world, actor, step);
                }
                Move::Fenced => end(model, world, actor, Outcome::Superseded),
                Move::Halted | Move::Batch(_) => end(model, world, actor, Outcome::Halted),
            }
        }
        // No stack of this run's is left, or it is another's.
        Step::Undo => enter(world, actor, Step::Close),
        Step::Claim | Step::Launch | Step::Fence | Step::Close => unreachable!("{step:?} only sends"),
    }
}

/// Whether the recovered application says that it serves.
pub(crate) fn serves(world: &World, actor: Actor) -> bool {
    let acting = world.acting(actor);
    let Some(writers) = world.recovery.get(&acting.epoch) else { return false };
    let applied = |(stream, writer): (usize, &Writing)| {
        (ledger::name(stream), StreamHealth { seq: writer.read as u64 })
    };
    let streams: BTreeMap<_, _> = writers.iter().enumerate().map(applied).collect();
    let health = Health { mode: "serving".into(), epoch: Some(acting.epoch), streams };
    let sealed =
        |(stream, proven): (usize, &usize)| Sealed { stream: ledger::name(stream), seq: *proven as u64 };
    let sealed: Vec<Sealed> = acting.proven.iter().enumerate().map(sealed).collect();
    recovered::judge(&health, acting.epoch, &sealed).is_ok()
}

/// Proves every stream from its beginning.
pub(crate) fn histories(world: &World) -> Result<Vec<usize>, Verdict> {
    let history = |stream| {
        let objects = world.stream(stream);
        ledger::proof(stream, &objects).map(|_| objects.len())
    };
    (0..world.log.len()).map(history).collect()
}

pub(crate) fn flip_object(model: &Failover, epoch: u64, by: Actor) -> FlipObject {
    FlipObject { epoch, run: by.run().to_owned(), side: side_of(model, by) }
}
