//! Who may begin: [`lifeboat_rules::admission::admit`] for a run, a person's judgement for a hand-back.
//!
//! There is no time in the model: every trigger is fresh, every claim long ago. So the anti-flap window refuses nobody here,
//! and more can happen than under it.

use jiff::{SignedDuration, Timestamp};
use lifeboat_rules::admission::{Admission, Before, GENESIS, GENESIS_EPOCH, Holder, admit};
use lifeboat_rules::epoch::Cause;
use lifeboat_rules::plan::Side;
use lifeboat_rules::word::Words;
use lifeboat_rules::{Outcome, Trigger, TriggerKind};

use crate::acting::{Actor, ENDS, State, Step, end_number};
use crate::failover::Failover;
use crate::look::histories;
use crate::order::enter;
use crate::stores::side_of;
use crate::world::World;

/// Whether `actor` may begin now, and whether that takes a person who is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    Yes,
    /// The person says that a run is over, and it is not.
    ByMistake,
    No,
}

pub(crate) fn may_start(model: &Failover, world: &World, actor: Actor) -> Start {
    if world.acting(actor).state != State::Waiting {
        return Start::No;
    }
    match actor {
        Actor::Alarm2 if world.acting(Actor::Alarm1).state == State::Waiting => Start::No,
        Actor::Alarm1 | Actor::Alarm2 if admits(model, world, TriggerKind::Alarm) => Start::Yes,
        Actor::ByHand if admits(model, world, TriggerKind::Operator) => Start::Yes,
        Actor::HandBack => hand_back(world),
        _ => Start::No,
    }
}

/// A person gives the pen back once a run has taken it, on a ledger that is proven.
fn hand_back(world: &World) -> Start {
    if world.fenced == 0 || histories(world).is_err() {
        return Start::No;
    }
    match world.claimant(world.newest_epoch()) {
        Some(newest) if world.acting(newest).is_live() => Start::ByMistake,
        _ => Start::Yes,
    }
}

/// Begins, under what is newest now.
pub(crate) fn start(model: &Failover, world: &mut World, actor: Actor) {
    let newest = world.newest_epoch();
    let history = match side_of(model, actor) {
        Side::Primary => histories(world).ok(),
        Side::Recovery => None,
    };
    let acting = world.acting_mut(actor);
    acting.admitted = newest;
    if let Some(history) = history {
        acting.history = history;
        acting.end = end_number(Outcome::HandedBack);
    }
    enter(world, actor, Step::Claim);
}

pub(crate) fn admits(model: &Failover, world: &World, kind: TriggerKind) -> bool {
    let now = Timestamp::UNIX_EPOCH;
    let trigger = Trigger { kind, at: Some(now), alarm: None, by: None, reason: None };
    matches!(admit(&model.plan, &trigger, &before(model, world, now), now), Admission::Admitted { .. })
}

/// What the rule of admission looks at, as it is read from the stores.
fn before(model: &Failover, world: &World, now: Timestamp) -> Before {
    let window = i64::from(model.plan.admission.anti_flap_seconds);
    let at = now - SignedDuration::from_secs(2 * window);
    let holder = |epoch: u64| match world.claimant(epoch) {
        None => Holder { epoch, run: GENESIS.to_owned(), cause: Cause::Genesis, at, outcome: None },
        Some(actor) => {
            let cause = match actor {
                Actor::Alarm1 | Actor::Alarm2 => Cause::Alarm,
                Actor::ByHand => Cause::Operator,
                Actor::HandBack => Cause::HandBack,
                Actor::Rescue if model.rescue_side == Side::Primary => Cause::HandBack,
                Actor::Rescue => Cause::Operator,
            };
            // A manifest that is about another epoch is another's.
            let ours = world.acting(actor).epoch == epoch;
            let outcome = world.manifests.get(&actor).filter(|_| ours).map(|end| ENDS[usize::from(*end)]);
            Holder { epoch, run: actor.run().to_owned(), cause, at, outcome }
        }
    };
    let newest = world.newest_epoch();
    let holders: Vec<Holder> = (GENESIS_EPOCH..=newest).rev().map(holder).collect();
    let running = world.claimant(newest).is_some_and(|actor| world.acting(actor).is_live());
    Before { holders, fenced: world.fenced, running, words: Words::default() }
}
