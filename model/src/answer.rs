//! What a step makes of a store's answer.

use jiff::Timestamp;
use lifeboat_rules::Outcome;
use lifeboat_rules::dns::switch::judge_taken;
use lifeboat_rules::epoch::{self, Cause, Claim, Taken};

use crate::acting::{Actor, State, Step};
use crate::dns;
use crate::failover::Failover;
use crate::look::{flip_object, look};
use crate::mutant::Mutant;
use crate::order::{advance, end, ended, enter, fail, next_stream};
use crate::request::Request;
use crate::steps::{Next, next};
use crate::stores::Reply;
use crate::world::World;

/// What `actor` makes of the answer to what it has sent.
pub(crate) fn answer(model: &Failover, world: &mut World, actor: Actor, request: &Request, reply: Reply) {
    let State::At(step) = world.acting(actor).state else { return };
    let taken_is_lost = model.mutant == Some(Mutant::TakenIsLost);
    match (request, reply) {
        (Request::Claim(epoch, _), Reply::Held(by)) => {
            let (at, cause) = (Timestamp::UNIX_EPOCH, Cause::Alarm);
            let found = Claim { epoch: *epoch, run: by.run().to_owned(), at, cause };
            match epoch::judge_taken(&found, actor.run()) {
                Taken::Mine if !taken_is_lost => claimed(model, world, actor, *epoch),
                _ => end(model, world, actor, Outcome::Superseded),
            }
        }
        (Request::Claim(epoch, _), _) => claimed(model, world, actor, *epoch),
        (Request::Launch(..), Reply::Held(by))
            if by != actor && model.mutant != Some(Mutant::UndoByNameWithoutEpoch) =>
        {
            end(model, world, actor, Outcome::Superseded);
        }
        (Request::Put(..), Reply::Taken(_)) if taken_is_lost => end(model, world, actor, Outcome::Halted),
        (Request::Put(_, at, ..), Reply::Taken(_)) => {
            world.acting_mut(actor).read = Some(at + 1);
            settle(model, world, actor, step);
        }
        (Request::Put(..), _) => next_stream(model, world, actor, step),
        (Request::Flip(epoch, _), Reply::Held(by)) => {
            match judge_taken(&flip_object(model, *epoch, by), &flip_object(model, *epoch, actor)) {
                Ok(()) => advance(model, world, actor, step),
                Err(error) => fail(model, world, actor, &error),
            }
        }
        (Request::Batch(.., batch), Reply::Done) => {
            let acting = world.acting_mut(actor);
            // The last batch is followed by a fresh read.
            let last = dns::touches(*batch).contains(&(dns::records().len() - 1));
            acting.zone = acting.zone.filter(|_| !last).and_then(|zone| dns::applied(zone, *batch));
        }
        (Request::Batch(..), _) => world.acting_mut(actor).zone = None,
        (Request::Undo(..), _) => enter(world, actor, Step::Close),
        (Request::Manifest(..), _) => ended(world, actor),
        (Request::Launch(..) | Request::Fence(..) | Request::Flip(..), _) => {
            advance(model, world, actor, step);
        }
    }
}

/// Decides at once what needs no further call.
fn settle(model: &Failover, world: &mut World, actor: Actor, step: Step) {
    if matches!(next(model, world, actor, step), Next::Look) {
        look(model, world, actor, step);
    }
}

fn claimed(model: &Failover, world: &mut World, actor: Actor, epoch: u64) {
    world.acting_mut(actor).epoch = epoch;
    advance(model, world, actor, Step::Claim);
}
