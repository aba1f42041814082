//! Lets one schedule happen: a queue of events, the pure rules where the functions call them, and around them what the
//! functions do (`health-check`, `run-control`, `alarm-trigger`, `ledger-verify`) and what the definition chains.
//!
//! Not modelled, so not shown by these tests: lost answers, retries but for the log's, and time limits of the functions.
//! The tests on real stores and the scenarios show those.

use std::collections::{BTreeMap, BTreeSet};

use lifeboat_rules::admission::{Before, GENESIS, GENESIS_EPOCH, Holder};
use lifeboat_rules::epoch::Cause;
use lifeboat_rules::outage::{LogReading, Observations, Round, judge};
use lifeboat_rules::word::{Says, Word, Words};
use lifeboat_rules::{Outcome, Plan, TriggerKind};

use crate::alarm::{Alarm, PERIOD, State};
use crate::history::{HandingBack, History};
use crate::run::{Run, Step};
use crate::script::{Deed, Millis, SECOND, Script, What};
use crate::world::{Pen, World, timestamp};

/// The schedule calls once a minute, and each call looks six times, ten seconds apart.
pub const CALL_EVERY: Millis = 60 * SECOND;
pub const LOOKS: Millis = 6;
pub const LOOK_EVERY: Millis = 10 * SECOND;
/// How long a person's hand-back takes from its claim to its manifest.
const HAND_BACK_TAKES: Millis = 8 * SECOND;

/// Something that happens at its time.
#[derive(Debug)]
pub enum Event {
    /// A trouble begins or ends.
    Retune,
    Look,
    /// The probes of a look have timed out.
    LookAgain {
        before: LogReading,
        round: Round,
    },
    Evaluate,
    SetAlarm,
    /// News of a change of the alarm, and whether under the name of that change.
    News {
        changed_at: Millis,
        replayed: bool,
    },
    Deed(Deed),
    HandedBack {
        epoch: u64,
    },
    Run(usize, Step),
}

/// Who holds an epoch, as the control and the evidence bucket say it together.
#[derive(Debug)]
pub struct Claimed {
    pub holder: Holder,
    /// The run; `None` for the beginning and for people.
    pub run: Option<usize>,
}

/// One schedule as it happens.
pub struct Simulation<'a> {
    pub script: &'a Script,
    pub plan: Plan,
    pub world: World<'a>,
    pub alarm: Alarm,
    pub claimed: Vec<Claimed>,
    pub fenced: u64,
    pub runs: Vec<Run>,
    pub history: History,
    words: Vec<Word>,
    names: BTreeSet<Millis>,
    changes: usize,
    queue: BTreeMap<(Millis, u64), Event>,
    queued: u64,
}

/// Lets `script` happen under `base` with its numbers.
pub fn simulate(base: &Plan, script: &Script) -> History {
    let genesis = Holder {
        epoch: GENESIS_EPOCH,
        run: GENESIS.to_owned(),
        cause: Cause::Genesis,
        at: timestamp(-1_000_000 * SECOND),
        outcome: None,
    };
    let mut simulation = Simulation {
        script,
        plan: script.numbers.plan(base),
        world: World::new(script),
        alarm: Alarm::new(),
        claimed: vec![Claimed { holder: genesis, run: None }],
        fenced: 0,
        runs: Vec::new(),
        history: History::default(),
        words: Vec::new(),
        names: BTreeSet::new(),
        changes: 0,
        queue: BTreeMap::new(),
        queued: 0,
    };
    simulation.fill();
    while let Some(((at, _), event)) = simulation.queue.pop_first() {
        simulation.happen(at, event);
    }
    simulation.history
}

impl Simulation<'_> {
    pub fn later(&mut self, at: Millis, event: Event) {
        self.queue.insert((at, self.queued), event);
        self.queued += 1;
    }

    fn fill(&mut self) {
        let script = self.script;
        for trouble in &script.troubles {
            self.later(trouble.from, Event::Retune);
            self.later(trouble.until(), Event::Retune);
        }
        let horizon = script.horizon();
        for minute in 0..horizon / CALL_EVERY {
            let late = script.watch.jitter[minute as usize % script.watch.jitter.len()];
            let called = minute * CALL_EVERY + script.watch.phase + late;
            if !script.troubled(called, |what| what == What::ScheduleStops) {
                for look in 0..LOOKS {
                    self.later(called + look * LOOK_EVERY, Event::Look);
                }
            }
        }
        for period in 1..horizon / PERIOD {
            self.later(period * PERIOD + script.watch.evaluation_delay, Event::Evaluate);
        }
        for at in &script.watch.spurious {
            self.later(*at, Event::SetAlarm);
        }
        for (at, deed) in &script.people.deeds {
            self.later(*at, Event::Deed(*deed));
        }
    }

    fn happen(&mut self, at: Millis, event: Event) {
        match event {
            Event::Retune => self.world.retune(at),
            Event::Look => {
                let before = self.world.read_log(at);
                let round = self.world.round(&self.plan.probe.primary, at);
                if round.failed(&self.plan.probe) {
                    let timed_out = at + Millis::from(self.plan.probe.timeout_seconds) * SECOND;
                    self.later(timed_out, Event::LookAgain { before, round });
                } else {
                    self.looked(at, before.clone(), round, before);
                }
            }
            Event::LookAgain { before, round } => {
                let after = self.world.read_log(at);
                self.looked(at, before, round, after);
            }
            Event::Evaluate => {
                let fires = self.alarm.evaluate(at - self.script.watch.evaluation_delay);
                self.alarm_changed(at, fires);
            }
            Event::SetAlarm => {
                let fires = self.alarm.set(State::Alarm);
                if fires {
                    self.history.saw("an alarm for nothing");
                }
                self.alarm_changed(at, fires);
            }
            Event::News { changed_at, replayed } => self.news(at, changed_at, replayed),
            Event::Deed(deed) => self.deed(at, deed),
            Event::HandedBack { epoch } => self.handed_back(at, epoch),
            Event::Run(run, step) => self.step(at, run, step),
        }
    }

    /// One scheduled look: how many it takes to believe it is the alarm's business.
    fn looked(&mut self, at: Millis, log_before: LogReading, round: Round, log_after: LogReading) {
        let seen = Observations { rounds: vec![round], log_before, log_after, alarm: None };
        let (verdict, _) = judge(&self.plan.probe, 1, &seen);
        if let Some(down) = verdict.point() {
            self.alarm.point(at, down);
        }
    }

    fn alarm_changed(&mut self, at: Millis, fires: bool) {
        if self.history.alarm.last().is_none_or(|(_, state)| *state != self.alarm.state) {
            self.history.alarm.push((at, self.alarm.state));
        }
        if fires {
            let deliveries = &self.script.deliveries[self.changes % self.script.deliveries.len()];
            self.changes += 1;
            if self.changes > 1 {
                self.history.saw("an alarm that fired again");
            }
            for delivery in deliveries {
                self.later(at + delivery.after, Event::News { changed_at: at, replayed: delivery.replayed });
            }
        }
    }

    /// alarm-trigger: one change of the state has one execution name.
    fn news(&mut self, at: Millis, changed_at: Millis, replayed: bool) {
        if !replayed && !self.names.insert(changed_at) {
            self.history.saw("the same news again");
            return;
        }
        self.start(at, TriggerKind::Alarm, changed_at);
    }

    fn deed(&mut self, at: Millis, deed: Deed) {
        let newest = self.newest_epoch();
        match deed {
            Deed::HandBack => self.hand_back(at, newest + 1),
            Deed::Acknowledge => {
                self.say(at, Says::Acknowledge { epoch: newest });
                self.history.acknowledged.push((at, newest));
            }
            Deed::MaintenanceBegin | Deed::MaintenanceEnd => {
                let begins = deed == Deed::MaintenanceBegin;
                self.say(at, if begins { Says::MaintenanceBegin } else { Says::MaintenanceEnd });
                self.history.maintenance.push((at, begins));
            }
            Deed::StartByHand => self.start(at, TriggerKind::Operator, at),
        }
    }

    fn say(&mut self, at: Millis, says: Says) {
        self.words.push(Word { at: timestamp(at), by: "a person".into(), reason: "because".into(), says });
    }

    /// There is nothing to give back while the primary has it.
    fn hand_back(&mut self, at: Millis, epoch: u64) {
        if self.world.pen() == Pen::Primary {
            return;
        }
        let run = format!("handback-{epoch}");
        let holder = Holder { epoch, run, cause: Cause::HandBack, at: timestamp(at), outcome: None };
        self.claimed.push(Claimed { holder, run: None });
        self.later(at + HAND_BACK_TAKES, Event::HandedBack { epoch });
    }

    fn handed_back(&mut self, at: Millis, epoch: u64) {
        // Whoever has claimed a newer epoch meanwhile has won.
        if self.newest_epoch() == epoch {
            self.pass_the_pen(Pen::Primary, at);
            let newest = self.claimed.last_mut().expect("the first epoch is there");
            newest.holder.outcome = Some(Outcome::HandedBack);
            self.history.hand_backs.push(HandingBack { epoch, finished_at: at });
        }
    }

    pub fn pass_the_pen(&mut self, pen: Pen, at: Millis) {
        self.world.pass_the_pen(pen, at);
        self.history.pens.push((at, pen));
    }

    pub fn newest_epoch(&self) -> u64 {
        self.claimed.last().map_or(0, |claimed| claimed.holder.epoch)
    }

    /// What run-control gathers: the holders through the first that is older than the window and than the newest fence.
    pub fn before(&self, now: Millis) -> Before {
        let window = Millis::from(self.plan.admission.anti_flap_seconds) * SECOND;
        let mut holders = Vec::new();
        for Claimed { holder, .. } in self.claimed.iter().rev() {
            holders.push(holder.clone());
            let age = timestamp(now).duration_since(holder.at).as_millis();
            if age >= i128::from(window) && holder.epoch <= self.fenced {
                break;
            }
        }
        let running = self
            .claimed
            .last()
            .and_then(|newest| newest.run)
            .is_some_and(|run| self.history.runs[run].ended_at.is_none());
        Before { holders, fenced: self.fenced, running, words: Words::hear(self.words.clone()) }
    }
}
