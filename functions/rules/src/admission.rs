//! Whether a run may begin.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::epoch::Cause;
use crate::word::{Says, Words};
use crate::{Outcome, Plan, Trigger, TriggerKind};

/// How old the state change behind an alarm may be, in seconds. Older news is not acted upon by a machine: it was
/// delivered late, or again, and the world has moved on.
pub const TRIGGER_AGE_SECONDS_MAX: i64 = 300;

/// The answer to a start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict")]
pub enum Admission {
    /// The run may go on; before it seals anything, until `deadline`.
    Admitted {
        /// When the recovery objective ends.
        deadline: Timestamp,
    },
    /// The alarm's news came while another run is under way. It will not come again, so it waits for that run's end.
    NotYet {
        /// What is waited for.
        reason: String,
    },
    /// The run ends here.
    Refused {
        /// Why, for a person.
        reason: String,
    },
}

/// Who has claimed an epoch, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holder {
    /// The epoch.
    pub epoch: u64,
    /// The run; [`GENESIS`] for the first epoch.
    pub run: String,
    /// What it was claimed for.
    pub cause: Cause,
    /// When it was claimed, by the claimer's clock.
    pub at: Timestamp,
    /// How it ended; `None` while it has no manifest.
    pub outcome: Option<Outcome>,
}

/// What earlier runs and people have left.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Before {
    /// The holders of the epochs, the newest first: all that are as young as the plan's anti-flap window, and all down to
    /// the newest fence. Empty where no epoch was ever claimed.
    pub holders: Vec<Holder>,
    /// The newest epoch that has put a fence; 0 for none. The fence is put before the first seal, so without one the
    /// primary's pen was never taken from it.
    pub fenced: u64,
    /// Whether the execution of the newest holder's run is still going on.
    pub running: bool,
    /// What people have said.
    pub words: Words,
}

impl Before {
    /// The epoch that has fenced the primary and was not handed back since; 0 for none.
    pub fn fenced_epoch(&self) -> u64 {
        if self.fenced > self.handed_back() { self.fenced } else { 0 }
    }

    /// The newest hand-back that was finished; 0 for none.
    fn handed_back(&self) -> u64 {
        let finished =
            |holder: &&Holder| holder.cause == Cause::HandBack && holder.outcome == Some(Outcome::HandedBack);
        self.holders.iter().find(finished).map_or(0, |holder| holder.epoch)
    }
}

/// The first epoch of every plan, claimed by `lifeboat init` under the name [`GENESIS`].
pub const GENESIS_EPOCH: u64 = 1;
/// What holds the first epoch, in place of a run.
pub const GENESIS: &str = "genesis";

/// Decides whether a run that `trigger` started may begin at `now`.
///
/// Invariants: once the primary's pen was taken, no machine fails over again until a person has given it back. The
/// primary's probe fails for good then, so a pause of the recovered side would be enough for the alarm to seal the
/// exchange that serves. And within the plan's anti-flap window there is one automatic failover at most.
pub fn admit(plan: &Plan, trigger: &Trigger, before: &Before, now: Timestamp) -> Admission {
    if let Some(answer) = obstacle(plan, trigger, before, now) {
        return answer;
    }
    let rto = SignedDuration::from_secs(i64::from(plan.objectives.rto_seconds));
    match now.checked_add(rto) {
        Ok(deadline) => Admission::Admitted { deadline },
        Err(_) => Admission::Refused { reason: "the recovery objective reaches past the end of time".into() },
    }
}

/// What keeps the run from beginning, if anything does.
fn obstacle(plan: &Plan, trigger: &Trigger, before: &Before, now: Timestamp) -> Option<Admission> {
    let refused = |reason| Admission::Refused { reason };
    let Some(newest) = before.holders.first() else {
        let reason = "no epoch was ever claimed for this plan: open its ledger first with `lifeboat init`";
        return Some(refused(reason.into()));
    };
    age(trigger, now)
        .or_else(|| maintenance(&before.words))
        .or_else(|| pen_taken(before, trigger.kind))
        .map(refused)
        .or_else(|| under_way(newest, before.running, trigger.kind))
        .or_else(|| match trigger.kind {
            TriggerKind::Alarm => unfinished(newest).or_else(|| flapping(plan, before, now)).map(refused),
            TriggerKind::Operator => None,
        })
}

/// Late news, and news from the future, which a clock that is wrong makes.
fn age(trigger: &Trigger, now: Timestamp) -> Option<String> {
    let Some(at) = trigger.at else {
        return (trigger.kind == TriggerKind::Alarm)
            .then(|| "the alarm does not say when it changed its state".into());
    };
    // Milliseconds, so that 300.9 s is not taken for 300.
    let age = now.duration_since(at).as_millis();
    let limit = i128::from(TRIGGER_AGE_SECONDS_MAX) * 1_000;
    let seconds = |millis: i128| format!("{}.{:03} s", millis / 1_000, millis % 1_000);
    if age > limit {
        Some(format!("the trigger is {} old; the limit is {TRIGGER_AGE_SECONDS_MAX} s", seconds(age)))
    } else if age < -limit {
        Some(format!("the trigger lies {} in the future", seconds(-age)))
    } else {
        None
    }
}

fn maintenance(words: &Words) -> Option<String> {
    let word = words.maintenance.as_ref()?;
    debug_assert_eq!(word.says, Says::MaintenanceBegin);
    Some(format!(
        "the plan is in maintenance since {} ({}: {}); `lifeboat maintenance end` ends it",
        word.at, word.by, word.reason
    ))
}

/// A person is told at once. An alarm speaks once, when it changes its state, and nobody repeats what was refused.
fn under_way(newest: &Holder, running: bool, by: TriggerKind) -> Option<Admission> {
    if !running || newest.outcome.is_some() {
        return None;
    }
    let reason = format!("run {} (epoch {}) is under way", newest.run, newest.epoch);
    Some(match by {
        TriggerKind::Alarm => Admission::NotYet { reason },
        TriggerKind::Operator => Admission::Refused { reason },
    })
}

fn pen_taken(before: &Before, by: TriggerKind) -> Option<String> {
    let fenced = before.fenced_epoch();
    if fenced == 0 {
        return None;
    }
    let holder = before.holders.iter().find(|holder| holder.epoch == fenced);
    let who = match holder {
        Some(Holder { run, epoch, .. }) => format!("run {run} (epoch {epoch})"),
        None => format!("epoch {fenced}"),
    };
    if holder.and_then(|holder| holder.outcome) == Some(Outcome::Recovered) {
        return Some(format!(
            "the recovery side holds the pen since {who}: there is nothing to fail over to"
        ));
    }
    (by == TriggerKind::Alarm).then(|| {
        format!("{who} has fenced the primary; what follows is a person's word: `lifeboat handback`, or a start by hand")
    })
}

fn unfinished(newest: &Holder) -> Option<String> {
    let Holder { run, epoch, cause, outcome, .. } = newest;
    match (cause, outcome) {
        (Cause::Genesis, _) | (_, Some(_)) => None,
        (Cause::HandBack, None) => Some(format!(
            "the hand-back {run} (epoch {epoch}) was not finished: `lifeboat handback` finishes it"
        )),
        (Cause::Alarm | Cause::Operator, None) => Some(format!(
            "run {run} (epoch {epoch}) ended without a manifest; a person may start another by hand"
        )),
    }
}

/// Whether the alarm's runs before this moment count against another one.
fn flapping(plan: &Plan, before: &Before, now: Timestamp) -> Option<String> {
    let last = before.holders.iter().find(|holder| {
        is_automatic_failover(holder)
            && holder.epoch > before.words.acknowledged
            && in_window(plan, holder, now)
    })?;
    Some(format!(
        "the alarm's run {} (epoch {}) failed over at {}, less than {} s ago; `lifeboat acknowledge` lets the next alarm \
         act",
        last.run, last.epoch, last.at, plan.admission.anti_flap_seconds
    ))
}

/// An automatic failover is an alarm's run that claimed its epoch and did not undo itself.
pub fn is_automatic_failover(holder: &Holder) -> bool {
    holder.cause == Cause::Alarm && holder.outcome != Some(Outcome::StoodDown)
}

/// Whether an epoch was claimed within the plan's anti-flap window before `now`.
pub fn in_window(plan: &Plan, holder: &Holder, now: Timestamp) -> bool {
    now.duration_since(holder.at) < SignedDuration::from_secs(i64::from(plan.admission.anti_flap_seconds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::word::Word;

    fn plan() -> Plan {
        Plan::from_json(include_bytes!("../tests/plan.json")).expect("the test's plan is valid")
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).unwrap()
    }

    fn trigger(kind: TriggerKind, at: Option<Timestamp>) -> Trigger {
        Trigger { kind, at, alarm: None, by: None, reason: None }
    }

    fn alarm(second: i64) -> Trigger {
        trigger(TriggerKind::Alarm, Some(at(second)))
    }

    fn by_hand() -> Trigger {
        trigger(TriggerKind::Operator, Some(at(0)))
    }

    fn genesis() -> Holder {
        let (epoch, run) = (GENESIS_EPOCH, GENESIS.to_owned());
        Holder { epoch, run, cause: Cause::Genesis, at: at(-900_000), outcome: None }
    }

    /// Claimed a day ago.
    fn holder(epoch: u64, cause: Cause, outcome: Option<Outcome>) -> Holder {
        Holder { epoch, run: format!("run-{epoch}"), cause, at: at(-86_400), outcome }
    }

    fn before(newest_first: &[Holder], fenced: u64) -> Before {
        let holders = newest_first.iter().cloned().chain([genesis()]).collect();
        Before { holders, fenced, ..Before::default() }
    }

    fn admitted(trigger: &Trigger, before: &Before) {
        let found = admit(&plan(), trigger, before, at(0));
        assert_eq!(found, Admission::Admitted { deadline: at(7_200) }, "{trigger:?} {before:?}");
    }

    fn refused(trigger: &Trigger, before: &Before, says: &str) {
        match admit(&plan(), trigger, before, at(0)) {
            Admission::Refused { reason } => assert!(reason.contains(says), "{reason} should say: {says}"),
            found => panic!("{trigger:?} {before:?}: {found:?}"),
        }
    }

    #[test]
    fn a_fresh_trigger_is_admitted_until_the_objective_ends() {
        use Outcome::*;
        admitted(&alarm(-300), &before(&[], 0));
        for outcome in [StoodDown, Broken, Halted] {
            admitted(&alarm(-300), &before(&[holder(7, Cause::Alarm, Some(outcome))], 0));
        }
        for outcome in [None, Some(Halted), Some(Broken)] {
            admitted(&by_hand(), &before(&[holder(7, Cause::Alarm, outcome)], 7));
        }
        admitted(&trigger(TriggerKind::Operator, None), &before(&[], 0));
    }

    #[test]
    fn what_is_stale_or_out_of_turn_is_refused_with_its_reason() {
        refused(&alarm(-301), &before(&[], 0), "301.000 s old");
        refused(&alarm(301), &before(&[], 0), "301.000 s in the future");
        refused(&trigger(TriggerKind::Alarm, None), &before(&[], 0), "does not say when");
        refused(&trigger(TriggerKind::Operator, Some(at(-301))), &before(&[], 0), "301.000 s old");
        let almost = Timestamp::from_millisecond(at(-300).as_millisecond() - 1).unwrap();
        refused(&trigger(TriggerKind::Alarm, Some(almost)), &before(&[], 0), "300.001 s old");
        refused(&alarm(0), &Before::default(), "lifeboat init");
        refused(&alarm(0), &before(&[holder(7, Cause::Alarm, None)], 0), "without a manifest");
        refused(
            &alarm(0),
            &before(&[holder(7, Cause::HandBack, None)], 0),
            "`lifeboat handback` finishes it",
        );
    }

    #[test]
    fn while_a_run_is_under_way_a_person_is_refused_and_an_alarm_waits() {
        let running = |outcome| Before { running: true, ..before(&[holder(7, Cause::Alarm, outcome)], 0) };
        refused(&by_hand(), &running(None), "run run-7 (epoch 7) is under way");
        let reason = "run run-7 (epoch 7) is under way".to_owned();
        assert_eq!(admit(&plan(), &alarm(0), &running(None), at(0)), Admission::NotYet { reason });
        // Where that run has taken the pen there is nothing to wait for; and news grows old while it waits.
        let sealed = Before { fenced: 7, ..running(None) };
        refused(&alarm(0), &sealed, "has fenced the primary");
        refused(&alarm(-301), &running(None), "301.000 s old");
        // It has written its manifest, and only the execution's own end is still to come.
        admitted(&by_hand(), &running(Some(Outcome::StoodDown)));
    }

    #[test]
    fn once_the_pen_was_taken_it_takes_a_person() {
        use Outcome::*;
        // A later run that came to nothing hides nothing.
        let later = holder(7, Cause::Operator, Some(StoodDown));
        for (outcome, says) in [
            (Some(Recovered), "nothing to fail over to"),
            (Some(Halted), "person's word"),
            (None, "person's word"),
        ] {
            let before = before(&[later.clone(), holder(5, Cause::Alarm, outcome)], 5);
            refused(&alarm(0), &before, says);
            if outcome == Some(Recovered) {
                refused(&by_hand(), &before, says);
            } else {
                admitted(&by_hand(), &before);
            }
        }
        // A holder that cannot be seen is no licence.
        refused(&alarm(0), &before(&[later], 5), "epoch 5 has fenced the primary");
    }

    #[test]
    fn a_finished_hand_back_makes_the_plan_as_it_was() {
        use Outcome::*;
        let taken = holder(5, Cause::Alarm, Some(Recovered));
        let handed_back = holder(6, Cause::HandBack, Some(HandedBack));
        admitted(&alarm(0), &before(&[handed_back.clone(), taken.clone()], 5));
        admitted(&by_hand(), &before(&[handed_back.clone(), taken.clone()], 5));
        refused(
            &alarm(0),
            &before(&[holder(6, Cause::HandBack, None), taken.clone()], 5),
            "nothing to fail over",
        );
        // An older one lifts nothing.
        let again = holder(8, Cause::Alarm, Some(Halted));
        refused(&alarm(0), &before(&[again, handed_back, taken], 8), "person's word");
    }

    #[test]
    fn a_plan_in_maintenance_admits_nobody() {
        let word = Word {
            at: at(-60),
            by: "ops".into(),
            reason: "moving the rack".into(),
            says: Says::MaintenanceBegin,
        };
        let before = Before { words: Words::hear([word]), ..before(&[], 0) };
        refused(&alarm(0), &before, "ops: moving the rack");
        refused(&by_hand(), &before, "maintenance end");
    }

    #[test]
    fn one_automatic_failover_a_window() {
        use Outcome::*;
        let ago = |seconds: i64, cause, outcome| Holder { at: at(-seconds), ..holder(7, cause, outcome) };
        let handed_back = holder(8, Cause::HandBack, Some(HandedBack));
        let after = |last: Holder| before(&[handed_back.clone(), last], 7);
        refused(&alarm(0), &after(ago(3_599, Cause::Alarm, Some(Recovered))), "less than 3600 s ago");
        admitted(&alarm(0), &after(ago(3_600, Cause::Alarm, Some(Recovered))));
        admitted(&by_hand(), &after(ago(10, Cause::Alarm, Some(Recovered))));
        // A person's own failover, and a run that undid itself, are no flapping.
        admitted(&alarm(0), &after(ago(10, Cause::Operator, Some(Recovered))));
        admitted(&alarm(0), &before(&[ago(10, Cause::Alarm, Some(StoodDown))], 0));
        // By a clock that is ahead of ours it is in the window all the more.
        refused(&alarm(0), &after(ago(-10, Cause::Alarm, Some(Recovered))), "less than 3600 s");
        let mut acknowledged = after(ago(10, Cause::Alarm, Some(Recovered)));
        acknowledged.words.acknowledged = 7;
        admitted(&alarm(0), &acknowledged);
        acknowledged.words.acknowledged = 6;
        refused(&alarm(0), &acknowledged, "lifeboat acknowledge");
    }
}
