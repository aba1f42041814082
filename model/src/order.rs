//! The order of steps, and how one goes on, again, or to its end.

use lifeboat_ledger::Holder;
use lifeboat_rules::plan::Side;
use lifeboat_rules::{ErrorName, Outcome, StepError};

use crate::acting::{Actor, State, Step, end_number};
use crate::failover::{Failover, Moves};
use crate::mutant::Mutant;
use crate::stores::side_of;
use crate::world::{Harm, World};

/// The steps of a run, in their order.
pub const OF_A_RUN: [Step; 11] = [
    Step::Claim,
    Step::Launch,
    Step::History,
    Step::Fence,
    Step::Seal,
    Step::Tail,
    Step::Open,
    Step::Serve,
    Step::Flip,
    Step::Confirm,
    Step::Close,
];

/// The steps of a hand-back, behind its question.
pub const OF_A_HAND_BACK: [Step; 6] =
    [Step::Claim, Step::Fence, Step::Open, Step::Flip, Step::Confirm, Step::Close];

pub(crate) fn is_hand_back(model: &Failover, actor: Actor) -> bool {
    side_of(model, actor) == Side::Primary
}

pub(crate) fn holder(model: &Failover, actor: Actor) -> Holder {
    if is_hand_back(model, actor) { Holder::Primary } else { Holder::Recovery }
}

/// The step behind `step`.
fn after(model: &Failover, actor: Actor, step: Step) -> Step {
    let order = order(model, actor);
    let at = order.iter().position(|of| *of == step).expect("a step of its actor");
    order[at + 1]
}

fn order(model: &Failover, actor: Actor) -> Vec<Step> {
    let mut order = if is_hand_back(model, actor) { OF_A_HAND_BACK.to_vec() } else { OF_A_RUN.to_vec() };
    if model.moves == Moves::Records {
        order.retain(|step| *step != Step::Confirm);
    }
    match model.mutant {
        Some(Mutant::ProofNotBoundToSeal) => order.retain(|step| *step != Step::Tail),
        Some(Mutant::FlipBeforeOpen) if !is_hand_back(model, actor) => {
            order.retain(|step| !matches!(step, Step::Open | Step::Serve));
            let close = order.len() - 1;
            order.splice(close..close, [Step::Open, Step::Serve]);
        }
        _ => {}
    }
    order
}

pub(crate) fn enter(world: &mut World, actor: Actor, step: Step) {
    let acting = world.acting_mut(actor);
    acting.state = State::At(step);
    (acting.stream, acting.read, acting.zone) = (0, None, None);
    // The fence and the seals are one call, and so are the flip and the look behind it.
    acting.looked = matches!(step, Step::Seal | Step::Confirm);
}

/// Calls the function of `step` again, from its beginning.
pub(crate) fn again(world: &mut World, actor: Actor, step: Step) {
    enter(world, actor, call_of(actor, step));
}

/// The first step of the call that `step` belongs to.
pub(crate) fn call_of(actor: Actor, step: Step) -> Step {
    match step {
        Step::Seal if actor != Actor::HandBack => Step::Fence,
        Step::Confirm => Step::Flip,
        other => other,
    }
}

/// Whether the function of `step` looks first whether its epoch is still the newest.
pub(crate) fn looks_first(model: &Failover, actor: Actor, step: Step) -> bool {
    !is_hand_back(model, actor)
        && model.mutant != Some(Mutant::NoLookAtTheEpoch)
        && matches!(
            step,
            Step::Launch | Step::Fence | Step::Tail | Step::Open | Step::Serve | Step::Flip | Step::Undo
        )
}

pub(crate) fn advance(model: &Failover, world: &mut World, actor: Actor, step: Step) {
    enter(world, actor, after(model, actor, step));
}

/// Goes on with the next stream, or with the next step.
pub(crate) fn next_stream(model: &Failover, world: &mut World, actor: Actor, step: Step) {
    let streams = world.log.len();
    let acting = world.acting_mut(actor);
    acting.stream += 1;
    acting.read = None;
    if acting.stream == streams {
        advance(model, world, actor, step);
    }
}

/// Goes to the end, which is `outcome`.
pub(crate) fn end(model: &Failover, world: &mut World, actor: Actor, outcome: Outcome) {
    if outcome == Outcome::Superseded {
        let acting = world.acting(actor);
        let own = acting.epoch.max(acting.admitted + 1);
        let newest = world.newest_epoch();
        if !(own..=newest).any(|epoch| world.claimant(epoch).is_some_and(|by| by != actor)) {
            world.harmed(Harm::SupersededByNobody);
        }
    }
    world.acting_mut(actor).end = end_number(outcome);
    if is_hand_back(model, actor) {
        // The command ends with its error, and leaves no manifest.
        return ended(world, actor);
    }
    let undo = matches!(outcome, Outcome::StoodDown | Outcome::Broken | Outcome::Unproven);
    let sealed = world.fenced >= world.acting(actor).epoch && world.acting(actor).epoch > 0;
    enter(world, actor, if undo && !sealed { Step::Undo } else { Step::Close });
}

pub(crate) fn ended(world: &mut World, actor: Actor) {
    let acting = world.acting_mut(actor);
    acting.state = State::Ended;
    (acting.stream, acting.read, acting.zone) = (0, None, None);
    (acting.looked, acting.admitted) = (false, 0);
    acting.history.iter_mut().for_each(|read| *read = 0);
}

/// Stands down before the seal: the outage was not confirmed again.
pub(crate) fn stand_down(model: &Failover, world: &mut World, actor: Actor) {
    end(model, world, actor, Outcome::StoodDown);
}

pub(crate) fn fail(model: &Failover, world: &mut World, actor: Actor, error: &StepError) {
    let outcome = match error.name {
        ErrorName::Fenced => Outcome::Superseded,
        _ => Outcome::Halted,
    };
    end(model, world, actor, outcome);
}
