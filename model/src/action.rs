//! What may happen next, faults among it.

use crate::acting::{Actor, Step};
use crate::request::Author;

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Nothing.
    None,
    /// It is executed, and its sender does not hear of it and tries again.
    AnswerLost,
    /// Its sender gives it up and tries again, and it is executed at any time later, or never.
    Late,
    /// It is executed, and once more at any time later.
    Twice,
}

/// How an execution stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stop {
    /// Before its request is sent.
    Before,
    /// After its request was executed.
    After,
    /// With its request under way.
    During,
}

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Somebody is admitted, or a person begins.
    Start(Actor),
    /// A person begins who thinks that the run is over.
    StartByMistake(Actor),
    /// Somebody's next call.
    Call(Actor, Step, Fault),
    /// The outage is not confirmed again, before the fence.
    StandDown(Actor),
    /// An execution is stopped.
    Stop(Actor, Step, Stop),
    /// It is redriven, from the step where it was stopped.
    Redrive(Actor),
    /// A writer's put.
    Write(Author, usize, Fault),
    /// Mutant: the second of two puts in flight, before the first.
    WriteAhead(usize),
    /// A writer reads on and finds that it may write.
    Resume(Author, usize),
    /// The recovered application of an epoch begins to serve.
    Begin(u64),
    /// A request that nobody waits for arrives.
    Land(usize),
}

/// How often each kind of thing has happened, for [`Failover::happened`].
pub const HAPPENINGS: [&str; 11] = [
    "an answer lost",
    "a request late",
    "a request twice",
    "a late request landed",
    "stopped before its request",
    "stopped after its request",
    "stopped with its request under way",
    "redriven",
    "stood down",
    "a hand-back by mistake",
    "a writer that reads on",
];

/// What `action` takes of the faults that may happen.
pub(crate) fn cost(action: Action) -> u8 {
    match action {
        Action::Call(_, _, fault) | Action::Write(_, _, fault) => u8::from(fault != Fault::None),
        Action::Stop(..) | Action::StartByMistake(_) => 1,
        _ => 0,
    }
}

/// All that go wrong.
pub(crate) const FAULTS: [Fault; 3] = [Fault::AnswerLost, Fault::Late, Fault::Twice];
