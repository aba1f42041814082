//! One execution of the state machine, from its start to its manifest.

use jiff::Timestamp;
use lifeboat_rules::admission::{Admission, Holder, admit};
use lifeboat_rules::epoch::Cause;
use lifeboat_rules::outage::{LogReading, Observations, Round, Verdict, judge, moved, still_seconds};
use lifeboat_rules::{Outcome, Trigger, TriggerKind};

use crate::history::{Admitting, Claiming, Running, Sealing};
use crate::script::{Deed, Millis, RunScript, SECOND, What};
use crate::simulation::{Claimed, Event, Simulation};
use crate::world::{Pen, timestamp};

/// How often the definition tries a step again that fails for the moment, and how long it waits: 1 s, doubled, 10 s at most.
const RETRIES: u32 = 5;
const RETRY_WAIT_MAX: Millis = 10 * SECOND;
/// How often, and how long after the last time, an alarm's run that is not admitted yet asks again. Then it halts.
const NOT_YET_RETRIES: u32 = 60;
const NOT_YET_EVERY: Millis = 3 * SECOND;
/// How long it waits in all.
pub const NOT_YET_MAX: Millis = NOT_YET_RETRIES as Millis * NOT_YET_EVERY;

/// One run.
#[derive(Debug)]
pub struct Run {
    kind: TriggerKind,
    /// When the alarm truly changed its state, or a person started the run.
    event_at: Millis,
    script: RunScript,
    not_yet: u32,
    admitted_epoch: u64,
    epoch: Option<u64>,
    deadline: Timestamp,
    confirming: Confirming,
}

/// A confirmation of the outage that is going on.
#[derive(Debug)]
struct Confirming {
    again: bool,
    retries: u32,
    began_at: Millis,
    log_before: LogReading,
    rounds: Vec<Round>,
    /// When the log was last read, and the newest object there truly was.
    read_at: Millis,
    newest_stored: Millis,
    blind: bool,
    answered: bool,
}

/// What a run does next.
#[derive(Debug)]
pub enum Step {
    Admit,
    Confirm,
    Probe,
    ReadLog,
    ReadLogAgain,
    Claim,
    Launched,
    Seal,
    StoreSeals { looked_at: Millis, newest_stored: Millis },
    Open,
    Close(Outcome),
}

impl Simulation<'_> {
    /// A new execution.
    pub fn start(&mut self, at: Millis, kind: TriggerKind, event_at: Millis) {
        let run = self.runs.len();
        let script = self.script.runs[run % self.script.runs.len()].clone();
        let confirming = Confirming {
            again: false,
            retries: 0,
            began_at: at,
            log_before: LogReading::Heads(vec![]),
            rounds: vec![],
            read_at: at,
            newest_stored: at,
            blind: false,
            answered: false,
        };
        let step = script.step;
        self.runs.push(Run {
            kind,
            event_at,
            script,
            not_yet: 0,
            admitted_epoch: 0,
            epoch: None,
            deadline: Timestamp::MAX,
            confirming,
        });
        self.history.runs.push(Running { started_at: at, ended_at: None, outcome: None });
        self.later(at + step, Event::Run(run, Step::Admit));
    }

    pub fn step(&mut self, at: Millis, run: usize, step: Step) {
        match step {
            Step::Admit => self.admit(at, run),
            Step::Confirm => self.confirm(at, run),
            Step::Probe => self.probe(at, run),
            Step::ReadLog => self.read_log(at, run),
            Step::ReadLogAgain => self.read_log_again(at, run),
            Step::Claim => self.claim(at, run),
            Step::Launched if self.runs[run].script.launch_fails => self.undo(at, run, Outcome::Halted),
            Step::Launched => {
                self.runs[run].confirming.again = true;
                self.runs[run].confirming.retries = 0;
                self.then(at, run, Step::Confirm);
            }
            Step::Seal => self.last_look(at, run),
            Step::StoreSeals { looked_at, newest_stored } => self.seal(at, run, looked_at, newest_stored),
            Step::Open => self.open(at, run),
            Step::Close(outcome) => self.close(at, run, outcome),
        }
    }

    /// The next step, once the state machine has got there.
    fn then(&mut self, at: Millis, run: usize, step: Step) {
        let wait = self.runs[run].script.step;
        self.later(at + wait, Event::Run(run, step));
    }

    /// Takes down what the run launched, then closes it.
    fn undo(&mut self, at: Millis, run: usize, outcome: Outcome) {
        let wait = self.runs[run].script.take_down;
        self.then(at + wait, run, Step::Close(outcome));
    }

    fn admit(&mut self, at: Millis, run: usize) {
        let Run { kind, event_at, ref script, .. } = self.runs[run];
        let (clock, sleeps) = (script.clock, script.sleeps);
        let skew = if kind == TriggerKind::Alarm { self.script.watch.skew } else { 0 };
        let stated = timestamp(event_at + skew);
        let trigger = Trigger { kind, at: Some(stated), alarm: None, by: None, reason: None };
        let now = at + clock;
        let before = self.before(now);
        let answer = admit(&self.plan, &trigger, &before, timestamp(now));
        let refused = match answer {
            Admission::Admitted { deadline } => {
                self.runs[run].admitted_epoch = self.newest_epoch();
                self.runs[run].deadline = deadline;
                self.then(at + sleeps, run, Step::Confirm);
                None
            }
            Admission::NotYet { .. } => return self.not_yet(at, run),
            Admission::Refused { reason } => {
                self.then(at, run, Step::Close(Outcome::Refused));
                Some(reason)
            }
        };
        self.history.admissions.push(Admitting { run, kind, event_at, skews: (skew, clock), at, refused });
    }

    /// The news waits for the run that is under way.
    fn not_yet(&mut self, at: Millis, run: usize) {
        self.history.waits.push(at);
        let not_yet = &mut self.runs[run].not_yet;
        *not_yet += 1;
        if *not_yet <= NOT_YET_RETRIES {
            self.later(at + NOT_YET_EVERY, Event::Run(run, Step::Admit));
        } else {
            self.history.gave_up.push(at);
            self.then(at, run, Step::Close(Outcome::Halted));
        }
    }

    /// health-check, confirm_outage: the log, then the rounds, then the log again.
    fn confirm(&mut self, at: Millis, run: usize) {
        if self.failed_for_the_moment(at, run) {
            return;
        }
        let log_before = self.world.read_log(at);
        let confirming = &mut self.runs[run].confirming;
        confirming.began_at = at;
        confirming.log_before = log_before;
        confirming.rounds.clear();
        self.probe(at, run);
    }

    fn probe(&mut self, at: Millis, run: usize) {
        let probe = &self.plan.probe;
        let round = self.world.round(&probe.primary, at);
        let took = if round.failures() > 0 { Millis::from(probe.timeout_seconds) * SECOND } else { 0 };
        let confirming = &mut self.runs[run].confirming;
        confirming.rounds.push(round);
        let done = confirming.rounds.len();
        let next = if done < probe.attempts as usize {
            let due = confirming.began_at + done as Millis * Millis::from(probe.interval_seconds) * SECOND;
            (due.max(at + took), Step::Probe)
        } else {
            (at + took, Step::ReadLog)
        };
        self.later(next.0, Event::Run(run, next.1));
    }

    fn read_log(&mut self, at: Millis, run: usize) {
        if self.failed_for_the_moment(at, run) {
            return;
        }
        let log_after = self.world.read_log(at);
        let probe = &self.plan.probe;
        let confirming = &self.runs[run].confirming;
        let last_failed = confirming.rounds.last().is_some_and(|round| round.failed(probe));
        if let (LogReading::Heads(before), LogReading::Heads(after)) = (&confirming.log_before, &log_after) {
            let short = i64::from(probe.log_still_seconds) - still_seconds(after);
            if last_failed && !moved(before, after) && short > 0 {
                self.later(at + (short + 1) * SECOND, Event::Run(run, Step::ReadLogAgain));
                return;
            }
        }
        self.verdict(at, run, log_after);
    }

    fn read_log_again(&mut self, at: Millis, run: usize) {
        if self.failed_for_the_moment(at, run) {
            return;
        }
        let log_after = self.world.read_log(at);
        self.verdict(at, run, log_after);
    }

    /// Whether the log cannot be read for the moment: then the whole step is tried again, for a while.
    fn failed_for_the_moment(&mut self, at: Millis, run: usize) -> bool {
        if !self.script.troubled(at, |what| what == What::LogErrors) {
            return false;
        }
        let confirming = &mut self.runs[run].confirming;
        if confirming.retries < RETRIES {
            let wait = (SECOND << confirming.retries).min(RETRY_WAIT_MAX);
            confirming.retries += 1;
            self.later(at + wait, Event::Run(run, Step::Confirm));
        } else if confirming.again {
            self.undo(at, run, Outcome::Halted);
        } else {
            self.then(at, run, Step::Close(Outcome::Halted));
        }
        true
    }

    fn verdict(&mut self, at: Millis, run: usize, log_after: LogReading) {
        let newest_stored = self.world.newest_stored(at);
        let Run { kind, deadline, ref mut confirming, ref script, .. } = self.runs[run];
        let now = timestamp(at + script.clock);
        let unreadable = |reading: &LogReading| matches!(reading, LogReading::Unreadable(_));
        confirming.blind = unreadable(&confirming.log_before) || unreadable(&log_after);
        // Counted here, not by the rule that is under test.
        let numbers = &self.script.numbers;
        let failed_min = numbers.quorum.unwrap_or(numbers.targets) as usize;
        let rounds_min = numbers.consecutive_failures.unwrap_or(numbers.attempts) as usize;
        let failed =
            |round: &Round| round.answers.iter().filter(|answer| !answer.serving).count() >= failed_min;
        confirming.answered = !confirming.rounds.iter().rev().take(rounds_min).all(failed);
        confirming.read_at = at;
        confirming.newest_stored = newest_stored;
        let seen = Observations {
            rounds: confirming.rounds.clone(),
            log_before: confirming.log_before.clone(),
            log_after,
            alarm: (kind == TriggerKind::Alarm).then(|| self.alarm.read()),
        };
        let probe = &self.plan.probe;
        let (verdict, _) = judge(probe, probe.consecutive_failures(), &seen);
        let again = confirming.again;
        self.history.saw(match (again, verdict) {
            (false, Verdict::PrimaryDown) => "confirmed: PrimaryDown",
            (false, Verdict::PrimaryUnreachable) => "confirmed: PrimaryUnreachable",
            (false, Verdict::PrimaryHealthy) => "confirmed: PrimaryHealthy",
            (false, Verdict::ObserversDisagree) => "confirmed: ObserversDisagree",
            (false, Verdict::DataMissing) => "confirmed: DataMissing",
            (true, Verdict::PrimaryDown) => "confirmed again: PrimaryDown",
            (true, Verdict::PrimaryUnreachable) => "confirmed again: PrimaryUnreachable",
            (true, Verdict::PrimaryHealthy) => "confirmed again: PrimaryHealthy",
            (true, Verdict::ObserversDisagree) => "confirmed again: ObserversDisagree",
            (true, Verdict::DataMissing) => "confirmed again: DataMissing",
        });
        let outcome = match verdict {
            Verdict::PrimaryDown if !again => return self.then(at, run, Step::Claim),
            Verdict::PrimaryDown if now < deadline => return self.then(at, run, Step::Seal),
            Verdict::PrimaryDown => {
                self.history.saw("the time for recovery had passed before the seal");
                Outcome::Halted
            }
            Verdict::PrimaryUnreachable | Verdict::PrimaryHealthy => Outcome::StoodDown,
            Verdict::ObserversDisagree | Verdict::DataMissing => Outcome::Halted,
        };
        if again {
            self.undo(at, run, outcome);
        } else {
            self.then(at, run, Step::Close(outcome));
        }
    }

    fn claim(&mut self, at: Millis, run: usize) {
        let Run { kind, admitted_epoch, ref script, ref confirming, .. } = self.runs[run];
        if self.newest_epoch() != admitted_epoch {
            self.history.saw("a run found the successor of its epoch taken");
            return self.then(at, run, Step::Close(Outcome::Superseded));
        }
        let epoch = admitted_epoch + 1;
        self.history.claims.push(Claiming {
            run,
            epoch,
            kind,
            at,
            read_at: confirming.read_at,
            newest_stored: confirming.newest_stored,
            blind: confirming.blind,
            answered: confirming.answered,
        });
        let claimed_at = timestamp(at + script.clock);
        let launched = at + script.launch;
        let holder = Holder {
            epoch,
            run: format!("run-{run}"),
            cause: Cause::from(kind),
            at: claimed_at,
            outcome: None,
        };
        self.claimed.push(Claimed { holder, run: Some(run) });
        self.runs[run].epoch = Some(epoch);
        self.later(launched, Event::Run(run, Step::Launched));
    }

    /// Every acting step looks whether its run still holds the newest epoch.
    fn superseded(&mut self, at: Millis, run: usize) -> bool {
        let newer = self.runs[run].epoch != Some(self.newest_epoch());
        if newer {
            self.history.saw("a newer epoch while the run acted");
            self.then(at, run, Step::Close(Outcome::Superseded));
        }
        newer
    }

    /// ledger-verify, seal: the last look, in the same breath as the fence.
    fn last_look(&mut self, at: Millis, run: usize) {
        if self.superseded(at, run) {
            return;
        }
        if still_seconds(&self.world.heads(at)) < i64::from(self.plan.probe.log_still_seconds) {
            self.history.saw("the log advanced at the last look");
            return self.undo(at, run, Outcome::StoodDown);
        }
        let newest_stored = self.world.newest_stored(at);
        let stored = at + self.runs[run].script.seal_gap;
        self.later(stored, Event::Run(run, Step::StoreSeals { looked_at: at, newest_stored }));
    }

    fn seal(&mut self, at: Millis, run: usize, looked_at: Millis, newest_stored: Millis) {
        let Run { kind, ref script, ref confirming, .. } = self.runs[run];
        let epoch = self.runs[run].epoch.expect("a run seals under the epoch that it claimed");
        let (half_done, tail) = (script.half_done, script.tail);
        let (blind, answered) = (confirming.blind, confirming.answered);
        if self.newest_epoch() != epoch && self.world.pen() == Pen::Primary {
            self.history.saw("a stale seal, which counts for nothing");
            return self.then(at, run, Step::Close(Outcome::Superseded));
        }
        let raced = self.world.newest_stored(at) > newest_stored;
        let from = self.world.pen();
        self.history.seals.push(Sealing {
            run,
            epoch,
            kind,
            looked_at,
            newest_stored,
            at,
            raced,
            from,
            blind,
            answered,
        });
        self.fenced = self.fenced.max(epoch);
        self.pass_the_pen(Pen::Sealed, at);
        if let Some(after) = self.script.people.acknowledge_after {
            self.later(at + after, Event::Deed(Deed::Acknowledge));
        }
        if let Some(after) = self.script.people.hand_back_after {
            self.later(at + after, Event::Deed(Deed::HandBack));
        }
        if half_done {
            self.then(at, run, Step::Close(Outcome::Halted));
        } else {
            self.then(at + tail, run, Step::Open);
        }
    }

    fn open(&mut self, at: Millis, run: usize) {
        if self.superseded(at, run) {
            return;
        }
        let ends = self.runs[run].script.ends;
        if !matches!(ends, Outcome::Broken | Outcome::Unproven) {
            self.pass_the_pen(Pen::Recovery, at);
        }
        self.then(at, run, Step::Close(ends));
    }

    fn close(&mut self, at: Millis, run: usize, outcome: Outcome) {
        let Run { epoch, ref script, .. } = self.runs[run];
        let recorded = (!script.no_manifest).then_some(outcome);
        if let Some(epoch) = epoch
            && let Some(claimed) = self.claimed.iter_mut().find(|claimed| claimed.holder.epoch == epoch)
        {
            claimed.holder.outcome = recorded;
        }
        self.history.runs[run].ended_at = Some(at);
        self.history.runs[run].outcome = recorded;
        self.history.saw(match outcome {
            Outcome::Recovered => "ended: Recovered",
            Outcome::StoodDown => "ended: StoodDown",
            Outcome::Refused => "ended: Refused",
            Outcome::Broken => "ended: Broken",
            Outcome::Unproven => "ended: Unproven",
            Outcome::Halted => "ended: Halted",
            Outcome::Superseded => "ended: Superseded",
            Outcome::HandedBack => "ended: HandedBack",
        });
    }
}
