//! Whether a run may begin.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

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
    /// The run ends here.
    Refused {
        /// Why, for a person.
        reason: String,
    },
}

/// A run that has claimed an epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The epoch.
    pub epoch: u64,
    /// The run; [`GENESIS`] for the first epoch.
    pub run: String,
    /// How it ended; `None` while it has no manifest.
    pub outcome: Option<Outcome>,
}

/// What earlier runs of the plan have left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Before {
    /// The holder of the newest epoch; `None` where none was ever claimed.
    pub newest: Option<Holder>,
    /// The holder of the newest epoch that has put a fence. The fence is put before the first seal, so without one the
    /// primary's pen was never taken from it.
    pub fenced: Option<Holder>,
}

/// The first epoch of every plan, claimed by `lifeboat init` under the name [`GENESIS`].
pub const GENESIS_EPOCH: u64 = 1;
/// What holds the first epoch, in place of a run.
pub const GENESIS: &str = "genesis";

/// Decides whether a run that `trigger` started may begin at `now`.
///
/// Invariant: once the primary's pen was taken, no machine fails over again. The primary's probe fails for good then, so
/// a pause of the recovered side would be enough for the alarm to seal the exchange that serves.
pub fn admit(plan: &Plan, trigger: &Trigger, before: &Before, now: Timestamp) -> Admission {
    let refused = |reason: String| Admission::Refused { reason };
    let Some(newest) = &before.newest else {
        return refused(
            "no epoch was ever claimed for this plan: open its ledger first with `lifeboat init`".into(),
        );
    };
    let alarm = trigger.kind == TriggerKind::Alarm;
    match &before.fenced {
        Some(Holder { epoch, run, outcome: Some(Outcome::Recovered) }) => {
            return refused(format!(
                "the recovery side holds the pen since run {run} (epoch {epoch}): there is nothing to fail over to"
            ));
        }
        Some(Holder { epoch, run, .. }) if alarm => {
            return refused(format!(
                "run {run} (epoch {epoch}) has fenced the primary; what follows is a person's word, and a start by hand"
            ));
        }
        _ => {}
    }
    if alarm && newest.outcome.is_none() && newest.run != GENESIS {
        return refused(format!(
            "run {} (epoch {}) is under way, or ended without a manifest; a person may start another by hand",
            newest.run, newest.epoch
        ));
    }
    match (trigger.kind, trigger.at) {
        (TriggerKind::Alarm, None) => {
            return refused("the alarm does not say when it changed its state".into());
        }
        (_, Some(at)) => {
            let age = now.duration_since(at).as_secs();
            if age > TRIGGER_AGE_SECONDS_MAX {
                return refused(format!(
                    "the trigger is {age} s old; the limit is {TRIGGER_AGE_SECONDS_MAX} s"
                ));
            }
            if age < -TRIGGER_AGE_SECONDS_MAX {
                return refused(format!("the trigger lies {} s in the future", -age));
            }
        }
        (TriggerKind::Operator, None) => {}
    }
    let rto = SignedDuration::from_secs(i64::from(plan.objectives.rto_seconds));
    match now.checked_add(rto) {
        Ok(deadline) => Admission::Admitted { deadline },
        Err(_) => refused("the recovery objective reaches past the end of time".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        Plan::from_json(include_bytes!("../tests/plan.json")).expect("the test's plan is valid")
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).unwrap()
    }

    fn trigger(kind: TriggerKind, at: Option<Timestamp>) -> Trigger {
        Trigger { kind, at, alarm: None, by: None, reason: None }
    }

    fn holder(epoch: u64, outcome: Option<Outcome>) -> Holder {
        Holder {
            epoch,
            run: if epoch == GENESIS_EPOCH { GENESIS.into() } else { format!("run-{epoch}") },
            outcome,
        }
    }

    fn genesis() -> Before {
        Before { newest: Some(holder(GENESIS_EPOCH, None)), fenced: None }
    }

    fn after(newest: Option<Outcome>) -> Before {
        Before { newest: Some(holder(7, newest)), fenced: None }
    }

    fn fenced(outcome: Option<Outcome>) -> Before {
        Before { newest: Some(holder(7, Some(Outcome::StoodDown))), fenced: Some(holder(5, outcome)) }
    }

    #[test]
    fn a_fresh_trigger_is_admitted_until_the_objective_ends() {
        let admitted = Admission::Admitted { deadline: at(7_200) };
        for before in [genesis(), after(Some(Outcome::StoodDown)), after(Some(Outcome::Broken))] {
            let admission = admit(&plan(), &trigger(TriggerKind::Alarm, Some(at(-300))), &before, at(0));
            assert_eq!(admission, admitted, "{before:?}");
        }
        let by_hand = trigger(TriggerKind::Operator, None);
        for before in [after(None), fenced(None), fenced(Some(Outcome::Halted))] {
            assert_eq!(admit(&plan(), &by_hand, &before, at(0)), admitted, "{before:?}");
        }
    }

    #[test]
    fn what_is_stale_or_out_of_turn_is_refused_with_its_reason() {
        let alarm = |second| trigger(TriggerKind::Alarm, Some(at(second)));
        let by_hand = |second: Option<i64>| trigger(TriggerKind::Operator, second.map(at));
        for (trigger, before, says) in [
            (alarm(-301), genesis(), "301 s old"),
            (alarm(301), genesis(), "301 s in the future"),
            (trigger(TriggerKind::Alarm, None), genesis(), "does not say when"),
            (by_hand(Some(-301)), genesis(), "301 s old"),
            (alarm(0), Before::default(), "lifeboat init"),
            (alarm(0), after(None), "under way"),
            // A later run that came to nothing hides nothing.
            (alarm(0), fenced(Some(Outcome::Recovered)), "nothing to fail over to"),
            (by_hand(None), fenced(Some(Outcome::Recovered)), "nothing to fail over to"),
            (alarm(0), fenced(Some(Outcome::Halted)), "a person's word"),
            (alarm(0), fenced(None), "a person's word"),
        ] {
            match admit(&plan(), &trigger, &before, at(0)) {
                Admission::Refused { reason } => {
                    assert!(reason.contains(says), "{reason} should say: {says}")
                }
                admitted => panic!("{trigger:?} {before:?}: {admitted:?}"),
            }
        }
    }
}
