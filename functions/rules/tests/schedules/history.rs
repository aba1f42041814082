//! What happened in one schedule, with the true times: what the promises are held against.

use std::collections::BTreeMap;

use lifeboat_rules::{Outcome, TriggerKind};

use crate::alarm::State;
use crate::script::Millis;
use crate::world::Pen;

/// The whole of it, in the order of time.
#[derive(Debug, Default)]
pub struct History {
    pub admissions: Vec<Admitting>,
    /// When the news of an alarm was told to wait, and when it had waited long enough to call a person.
    pub waits: Vec<Millis>,
    pub gave_up: Vec<Millis>,
    pub claims: Vec<Claiming>,
    pub seals: Vec<Sealing>,
    pub hand_backs: Vec<HandingBack>,
    pub acknowledged: Vec<(Millis, u64)>,
    pub maintenance: Vec<(Millis, bool)>,
    pub alarm: Vec<(Millis, State)>,
    pub pens: Vec<(Millis, Pen)>,
    pub runs: Vec<Running>,
    /// How often each thing came about that a promise speaks of.
    pub seen: BTreeMap<&'static str, u64>,
}

/// One answer to a start.
#[derive(Debug)]
pub struct Admitting {
    pub run: usize,
    pub kind: TriggerKind,
    /// When the state of the alarm truly changed.
    pub event_at: Millis,
    /// By how much the alarm's clock was ahead, and the admitting function's.
    pub skews: (Millis, Millis),
    pub at: Millis,
    pub refused: Option<String>,
}

/// One claimed epoch.
#[derive(Debug)]
pub struct Claiming {
    pub run: usize,
    pub epoch: u64,
    pub kind: TriggerKind,
    pub at: Millis,
    /// When the log was read for the verdict that led here, and the newest object there truly was.
    pub read_at: Millis,
    pub newest_stored: Millis,
    /// Whether the log could not be read then.
    pub blind: bool,
    /// Whether the primary answered one of the probes that count, as far as the plan asks it to.
    pub answered: bool,
}

/// One seal of the primary's pen.
#[derive(Debug)]
pub struct Sealing {
    pub run: usize,
    pub epoch: u64,
    pub kind: TriggerKind,
    /// The last look at the log, and the newest object there truly was.
    pub looked_at: Millis,
    pub newest_stored: Millis,
    /// When the seals were stored.
    pub at: Millis,
    /// Whether the primary had stored something between the two.
    pub raced: bool,
    /// Whose pen it took.
    pub from: Pen,
    /// Whether the log could not be read when the outage was confirmed again.
    pub blind: bool,
    /// Whether the primary answered one of the probes that count then.
    pub answered: bool,
}

/// One pen given back by a person.
#[derive(Debug)]
pub struct HandingBack {
    pub epoch: u64,
    pub finished_at: Millis,
}

/// One execution.
#[derive(Debug)]
pub struct Running {
    pub started_at: Millis,
    pub ended_at: Option<Millis>,
    pub outcome: Option<Outcome>,
}

impl History {
    pub fn saw(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }
}
