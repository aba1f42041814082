//! The model: what may happen next, and what comes of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lifeboat_rules::Plan;
use lifeboat_rules::plan::Side;
use stateright::{Model, Property};

use crate::acting::{Actor, State, Step};
use crate::action::{Action, FAULTS, Fault, HAPPENINGS, Stop, cost};
use crate::mutant::Mutant;
use crate::request::Author;
use crate::start::{Start, may_start, start};
use crate::steps::{self, Next};
use crate::stores::{serve, stack};
use crate::world::World;
use crate::{answer, look, order, properties, writers};

/// How traffic is moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moves {
    /// By one object.
    Switch,
    /// By batches of records.
    Records,
}

/// How much may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Streams of the ledger.
    pub streams: usize,
    /// Orders that the primary answers, or loses.
    pub primary_orders: u8,
    /// Orders that the recovery side answers, or loses.
    pub recovery_orders: u8,
    /// Faults in one behaviour, of any kind.
    pub faults: u8,
    /// Who is there.
    pub actors: &'static [Actor],
    /// Of the states in which somebody is at work, one of so many is rescued from; of the others every one.
    pub rescued_of: u64,
}

/// The model of one plan.
#[derive(Clone)]
pub struct Failover {
    /// The plan.
    pub plan: Arc<Plan>,
    /// How traffic moves.
    pub moves: Moves,
    /// The bounds.
    pub bounds: Bounds,
    /// What is missing, if anything.
    pub mutant: Option<Mutant>,
    /// Which side [`Actor::Rescue`] gives the pen to.
    pub(crate) rescue_side: Side,
    pub(crate) happened: Arc<[AtomicU64; HAPPENINGS.len()]>,
}

impl Failover {
    /// A model within `bounds`.
    pub fn new(moves: Moves, bounds: Bounds, mutant: Option<Mutant>) -> Failover {
        let plan = Plan::from_json(include_bytes!("../../functions/rules/tests/plan.json"))
            .expect("the model's plan is valid");
        Failover {
            plan: Arc::new(plan),
            moves,
            bounds,
            mutant,
            rescue_side: Side::Primary,
            happened: Arc::default(),
        }
    }

    /// How often each of [`HAPPENINGS`] has happened.
    pub fn happened(&self) -> Vec<(&'static str, u64)> {
        HAPPENINGS.into_iter().zip(self.happened.iter().map(|count| count.load(Ordering::Relaxed))).collect()
    }

    fn note(&self, what: usize) {
        self.happened[what].fetch_add(1, Ordering::Relaxed);
    }

    /// The next call of `actor`, with `fault`; `None` where that is not possible.
    pub(crate) fn call(&self, world: &mut World, actor: Actor, fault: Fault) -> Option<()> {
        let State::At(step) = world.acting(actor).state else { return None };
        match steps::next(self, world, actor, step) {
            Next::Wait => None,
            Next::Look if fault == Fault::None => {
                look::look(self, world, actor, step);
                Some(())
            }
            Next::Look => None,
            Next::Send(request) => {
                match fault {
                    Fault::Late => {
                        world.late.push(request);
                        order::again(world, actor, step);
                    }
                    Fault::AnswerLost => {
                        serve(self, world, &request);
                        order::again(world, actor, step);
                    }
                    Fault::None | Fault::Twice => {
                        let reply = serve(self, world, &request);
                        answer::answer(self, world, actor, &request, reply);
                        if fault == Fault::Twice {
                            world.late.push(request);
                        }
                    }
                }
                Some(())
            }
        }
    }

    fn stop(&self, world: &mut World, actor: Actor, step: Step, how: Stop) -> Option<()> {
        match (how, steps::next(self, world, actor, step)) {
            (Stop::Before, _) => {}
            (Stop::After, Next::Send(request)) => {
                serve(self, world, &request);
            }
            (Stop::During, Next::Send(request)) => world.late.push(request),
            _ => return None,
        }
        order::again(world, actor, step);
        world.acting_mut(actor).state = State::Stopped(order::call_of(actor, step));
        Some(())
    }

    fn apply(&self, world: &mut World, action: Action) -> Option<()> {
        match action {
            Action::Start(actor) | Action::StartByMistake(actor) => {
                if matches!(action, Action::StartByMistake(_)) {
                    self.note(9);
                }
                start(self, world, actor);
                Some(())
            }
            Action::Call(actor, _, fault) => self.call(world, actor, fault),
            Action::StandDown(actor) => {
                self.note(8);
                order::stand_down(self, world, actor);
                Some(())
            }
            Action::Stop(actor, step, how) => {
                self.note(4 + how as usize);
                self.stop(world, actor, step, how)
            }
            Action::Redrive(actor) => {
                let State::Stopped(step) = world.acting(actor).state else { return None };
                self.note(7);
                order::enter(world, actor, step);
                Some(())
            }
            Action::Write(author, stream, fault) => writers::write(self, world, author, stream, fault),
            Action::WriteAhead(stream) => writers::write_ahead(self, world, stream),
            Action::Resume(author, stream) => {
                self.note(10);
                writers::resume(world, author, stream)
            }
            Action::Begin(epoch) => writers::begin(self, world, epoch),
            Action::Land(at) => {
                self.note(3);
                let request = world.late.remove(at);
                serve(self, world, &request);
                Some(())
            }
        }
    }
}

impl Model for Failover {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(self.bounds.streams, self.bounds.faults)]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        let faults = world.faults_left > 0;
        for actor in self.bounds.actors.iter().copied() {
            match world.acting(actor).state {
                State::Waiting => match may_start(self, world, actor) {
                    Start::Yes => actions.push(Action::Start(actor)),
                    Start::ByMistake if faults => actions.push(Action::StartByMistake(actor)),
                    Start::ByMistake | Start::No => {}
                },
                State::At(step) => {
                    let next = steps::next(self, world, actor, step);
                    if !matches!(next, Next::Wait) {
                        actions.push(Action::Call(actor, step, Fault::None));
                    }
                    if step == Step::Fence && actor != Actor::HandBack {
                        actions.push(Action::StandDown(actor));
                    }
                    if faults {
                        actions.push(Action::Stop(actor, step, Stop::Before));
                        if matches!(next, Next::Send(_)) {
                            actions.extend(FAULTS.map(|fault| Action::Call(actor, step, fault)));
                            actions.push(Action::Stop(actor, step, Stop::After));
                            actions.push(Action::Stop(actor, step, Stop::During));
                        }
                    }
                }
                // A command is not redriven: the person begins again, which is the rescue's.
                State::Stopped(_) if actor != Actor::HandBack => actions.push(Action::Redrive(actor)),
                State::Stopped(_) | State::Ended => {}
            }
        }
        let begun = world.recovery.keys().map(|epoch| Author::Recovery(*epoch));
        for author in [Author::Primary].into_iter().chain(begun) {
            for stream in 0..world.log.len() {
                if writers::request(self, world, author, stream).is_some() {
                    actions.push(Action::Write(author, stream, Fault::None));
                    if faults {
                        actions.extend(FAULTS.map(|fault| Action::Write(author, stream, fault)));
                    }
                    if self.mutant == Some(Mutant::SeveralPutsInFlight) && author == Author::Primary {
                        actions.push(Action::WriteAhead(stream));
                    }
                } else {
                    actions.push(Action::Resume(author, stream));
                }
            }
        }
        let launched = |epoch: &u64| world.stacks.contains_key(&stack(self, *epoch));
        let begins = (2..=world.newest_epoch()).filter(|epoch| !world.recovery.contains_key(epoch));
        actions.extend(begins.filter(launched).map(Action::Begin));
        actions.extend((0..world.late.len()).map(Action::Land));
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        // What must not happen has happened: what follows is not looked at.
        if world.harm.is_some() {
            return None;
        }
        let mut world = world.clone();
        world.faults_left -= cost(action);
        if let Action::Call(_, _, fault) | Action::Write(_, _, fault) = action
            && fault != Fault::None
        {
            self.note(fault as usize - 1);
        }
        self.apply(&mut world, action)?;
        if self.mutant != Some(Mutant::CheckThenAct) {
            world.forget();
        }
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Failover>> {
        properties::all()
    }
}
