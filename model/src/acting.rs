//! Runs and people: who they are, the steps they take, and how far each has come.

use lifeboat_rules::Outcome;

use crate::memo::Blob;

/// Whoever may claim an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Actor {
    /// A run of the alarm.
    Alarm1,
    /// Another run of the alarm. It is admitted after the first: which of two like ones comes first makes no difference.
    Alarm2,
    /// A run that a person has started.
    ByHand,
    /// A person who gives the pen back.
    HandBack,
    /// The person who comes when all has stopped, with a hand-back or a run: see [`crate::rescue`].
    Rescue,
}

impl Actor {
    /// Those that act in the model itself.
    pub const ALL: [Actor; 4] = [Actor::Alarm1, Actor::Alarm2, Actor::ByHand, Actor::HandBack];

    /// The name of the run, as it stands in every object.
    pub fn run(self) -> &'static str {
        match self {
            Actor::Alarm1 => "alarm-1",
            Actor::Alarm2 => "alarm-2",
            Actor::ByHand => "by-hand",
            Actor::HandBack => "handback",
            Actor::Rescue => "rescue",
        }
    }

    /// Whether no person stands behind it.
    pub fn is_automatic(self) -> bool {
        matches!(self, Actor::Alarm1 | Actor::Alarm2)
    }
}

/// A step that acts, in the order of the state machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// Claim the epoch.
    Claim,
    /// Create the stack.
    Launch,
    /// Prove the history.
    History,
    /// Put the fence.
    Fence,
    /// Seal every stream.
    Seal,
    /// Prove the tail through the seals.
    Tail,
    /// Open every stream.
    Open,
    /// Wait until the recovered application serves.
    Serve,
    /// Move the traffic.
    Flip,
    /// See that nobody newer has moved it.
    Confirm,
    /// Take down what this run launched.
    Undo,
    /// Put the manifest.
    Close,
}

/// Where somebody stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Not begun.
    Waiting,
    /// At a step.
    At(Step),
    /// Stopped there; the execution has ended and may be redriven.
    Stopped(Step),
    /// At its end.
    Ended,
}

/// One run, or a person's command, and what it knows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Acting {
    /// Where it stands.
    pub state: State,
    /// The epoch that it was admitted under.
    pub admitted: u64,
    /// Its own; 0 before the claim.
    pub epoch: u64,
    /// How many objects of each stream its history has proved.
    pub history: Vec<usize>,
    /// How many objects of each stream its tail has proved.
    pub proven: Vec<usize>,
    /// The stream that the step is at.
    pub stream: usize,
    /// How far it has read that stream; `None` before it has.
    pub read: Option<usize>,
    /// Whether the call has looked whether a newer epoch was claimed.
    pub looked: bool,
    /// The zone as it was read, or as the last batch has made it.
    pub zone: Option<Blob>,
    /// What the manifest will say.
    pub end: u8,
}

/// How a run ends, as a number that hashes.
pub(crate) const ENDS: [Outcome; 8] = [
    Outcome::Recovered,
    Outcome::HandedBack,
    Outcome::StoodDown,
    Outcome::Superseded,
    Outcome::Halted,
    Outcome::Unproven,
    Outcome::Broken,
    Outcome::Refused,
];

pub(crate) fn end_number(outcome: Outcome) -> u8 {
    ENDS.iter().position(|end| *end == outcome).expect("all outcomes are listed") as u8
}

impl Acting {
    pub(crate) fn new(streams: usize) -> Acting {
        Acting {
            state: State::Waiting,
            admitted: 0,
            epoch: 0,
            history: vec![0; streams],
            proven: vec![0; streams],
            stream: 0,
            read: None,
            looked: false,
            zone: None,
            end: end_number(Outcome::Recovered),
        }
    }

    /// Whether its execution is going on.
    pub fn is_live(&self) -> bool {
        matches!(self.state, State::At(_))
    }
}
