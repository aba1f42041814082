//! The steps of a run and of a hand-back: what each asks a store for, and what it makes of the answer.
//!
//! Everything that is decided here is asked of the rules. What a Lambda does between two calls is one transition of the
//! model: nobody can see it. Its calls are transitions of their own, so that between what it has read and what it puts
//! anything may happen.

use lifeboat_ledger::{Holder, PenState};

use crate::acting::{Actor, Step};
use crate::dns::{self, Move};
use crate::failover::{Failover, Moves};
use crate::ledger::{self, ToAppend};
use crate::look::serves;
use crate::memo::Blob;
use crate::mutant::Mutant;
use crate::order::{holder, is_hand_back, looks_first};
use crate::request::{Author, Request};
use crate::stores::{side_of, stack};
use crate::world::World;

/// What a step does next.
#[derive(Debug)]
pub(crate) enum Next {
    /// It reads, and decides.
    Look,
    /// It sends this.
    Send(Request),
    /// It waits for somebody else.
    Wait,
}

/// What `actor` does next at `step`.
pub(crate) fn next(model: &Failover, world: &World, actor: Actor, step: Step) -> Next {
    let acting = world.acting(actor);
    let run = actor.run();
    if looks_first(model, actor, step) && !acting.looked {
        return Next::Look;
    }
    match step {
        Step::Claim => {
            let epoch = match model.mutant {
                Some(Mutant::ClaimOfAnyEpoch) => world.newest_epoch() + 1,
                _ => acting.admitted + 1,
            };
            Next::Send(Request::Claim(epoch, actor))
        }
        Step::Launch => Next::Send(Request::Launch(acting.epoch, actor)),
        Step::Fence => Next::Send(Request::Fence(acting.epoch)),
        Step::History | Step::Tail | Step::Confirm => Next::Look,
        Step::Seal | Step::Open => match acting.read {
            None => Next::Look,
            Some(read) => {
                let prefix = &world.stream(acting.stream)[..read];
                match to_append(model, world, actor, step, prefix) {
                    ToAppend::Put(blob) => {
                        let author = Author::Actor(acting.epoch, actor);
                        Next::Send(Request::Put(acting.stream, read, blob, author))
                    }
                    _ => Next::Look,
                }
            }
        },
        Step::Serve => {
            let lost = (0..world.log.len()).any(|stream| {
                !ledger::has_pen(stream, &world.stream(stream), Holder::Recovery, Some(acting.epoch))
            });
            if lost || serves(world, actor) { Next::Look } else { Next::Wait }
        }
        Step::Flip if model.moves == Moves::Switch => Next::Send(Request::Flip(acting.epoch, actor)),
        Step::Flip => match acting.zone.map(|zone| next_move(model, actor, acting.epoch, zone)) {
            Some(Move::Batch(batch)) => Next::Send(Request::Batch(acting.epoch, actor, batch)),
            _ => Next::Look,
        },
        Step::Undo => {
            let stack = world.stacks.get(&stack(model, acting.epoch));
            let checked = model.mutant == Some(Mutant::UndoByNameWithoutEpoch);
            match stack {
                Some(owner) if checked || owner.run() == run => {
                    Next::Send(Request::Undo(acting.epoch, actor))
                }
                _ => Next::Look,
            }
        }
        Step::Close => Next::Send(Request::Manifest(actor, acting.end)),
    }
}

/// What a run looks for that is about to append.
pub(crate) fn to_append(
    model: &Failover,
    world: &World,
    actor: Actor,
    step: Step,
    prefix: &[Blob],
) -> ToAppend {
    let acting = world.acting(actor);
    let mut epoch = acting.epoch;
    if model.mutant == Some(Mutant::OldSealCounts) {
        // The rule that would let it count is not there to be called: the entry borrows an epoch that counts.
        let newest = ledger::pen(acting.stream, prefix).newest_epoch();
        let own_seal = ledger::pen(acting.stream, prefix).state().clone();
        let own_seal = matches!(own_seal, PenState::Sealed { run, .. } if run == actor.run());
        epoch = match step {
            Step::Open if own_seal => newest,
            _ if epoch < newest => newest + 1,
            _ => epoch,
        };
    }
    let (control, from) = match step {
        Step::Seal => (ledger::seal(epoch, actor.run()), &acting.history),
        _ if is_hand_back(model, actor) => {
            (ledger::open(epoch, actor.run(), Holder::Primary), &acting.history)
        }
        _ => (ledger::open(epoch, actor.run(), holder(model, actor)), &acting.proven),
    };
    ledger::to_append(acting.stream, prefix, from[acting.stream], &control)
}

pub(crate) fn next_move(model: &Failover, actor: Actor, epoch: u64, zone: Blob) -> Move {
    let side = side_of(model, actor);
    if model.mutant != Some(Mutant::NoEpochInTxt) {
        return dns::next_move(&model.plan, side, epoch, zone);
    }
    match dns::next_move(&model.plan, side, epoch, dns::without_fence(zone)) {
        Move::Batch(batch) if dns::touches(batch).is_empty() => Move::Done,
        Move::Batch(batch) => Move::Batch(dns::only(batch, false)),
        other => other,
    }
}
