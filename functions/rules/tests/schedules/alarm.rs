//! The alarm behind the metric, as the orchestrator's template has it: period 10 s, 2 data points of 2, statistic Minimum,
//! missing data is missing.

use std::collections::BTreeMap;

use lifeboat_rules::outage::AlarmReading;

use crate::script::{Millis, SECOND};

/// `Period`.
pub const PERIOD: Millis = 10 * SECOND;
/// `EvaluationPeriods` and `DatapointsToAlarm`.
const POINTS: usize = 2;
/// CloudWatch looks further back than it was asked to where points are missing. How far it does not say.
const PERIODS_BACK: Millis = 5;

/// The states of an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Ok,
    Alarm,
    InsufficientData,
}

/// One alarm.
#[derive(Debug)]
pub struct Alarm {
    pub state: State,
    /// Of each period, whether all points were 1.
    periods: BTreeMap<Millis, bool>,
}

impl Alarm {
    pub fn new() -> Alarm {
        Alarm { state: State::InsufficientData, periods: BTreeMap::new() }
    }

    /// A point of the metric.
    pub fn point(&mut self, at: Millis, down: bool) {
        let all = self.periods.entry(at / PERIOD).or_insert(true);
        *all &= down;
    }

    /// Judges the periods that were over at `end`; whether it goes to `ALARM` with this.
    pub fn evaluate(&mut self, end: Millis) -> bool {
        let newest = end / PERIOD - 1;
        let seen: Vec<(Millis, bool)> =
            self.periods.range(newest - PERIODS_BACK + 1..=newest).rev().map(|(n, all)| (*n, *all)).collect();
        let state = match seen.as_slice() {
            [] => State::InsufficientData,
            // A lone point may be the first of more to come.
            [(n, true)] if newest - n < POINTS as Millis => self.state,
            some if some.iter().take(POINTS).all(|(_, down)| *down) => State::Alarm,
            _ => State::Ok,
        };
        self.set(state)
    }

    /// Sets the state; whether it went to `ALARM` with this.
    pub fn set(&mut self, state: State) -> bool {
        let before = std::mem::replace(&mut self.state, state);
        before != State::Alarm && state == State::Alarm
    }

    /// What reading the alarm again gives.
    pub fn read(&self) -> AlarmReading {
        match self.state {
            State::Alarm => AlarmReading::Alarm,
            State::Ok => AlarmReading::Other("OK".into()),
            State::InsufficientData => AlarmReading::Other("INSUFFICIENT_DATA".into()),
        }
    }
}
