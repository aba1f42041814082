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

/// The newest epoch, and what is known of the run that holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Newest {
    /// No epoch was ever claimed.
    None,
    /// The beginning of the ledger: the primary holds the pen.
    Genesis,
    /// A run claimed it.
    Run {
        /// The epoch.
        epoch: u64,
        /// The run.
        run: String,
        /// How it ended; `None` while it has no manifest.
        outcome: Option<Outcome>,
    },
}

impl Newest {
    /// The number of the epoch; 0 for none.
    pub fn epoch(&self) -> u64 {
        match self {
            Newest::None => 0,
            Newest::Genesis => GENESIS_EPOCH,
            Newest::Run { epoch, .. } => *epoch,
        }
    }
}

/// The first epoch of every plan, claimed by `lifeboat init` under the name [`GENESIS`].
pub const GENESIS_EPOCH: u64 = 1;
/// What holds the first epoch, in place of a run.
pub const GENESIS: &str = "genesis";

/// Decides whether a run that `trigger` started may begin at `now`.
///
/// Invariant: a plan whose recovery side holds the pen is not failed over again. Its primary is down for good, so the
/// alarm alone would need only a pause of the recovered side to seal the exchange that serves.
pub fn admit(plan: &Plan, trigger: &Trigger, newest: &Newest, now: Timestamp) -> Admission {
    let refused = |reason: String| Admission::Refused { reason };
    match newest {
        Newest::None => {
            let reason =
                "no epoch was ever claimed for this plan: open its ledger first with `lifeboat init`";
            return refused(reason.into());
        }
        Newest::Run { epoch, run, outcome: Some(Outcome::Recovered) } => {
            return refused(format!(
                "the recovery side holds the pen since run {run} (epoch {epoch}): there is nothing to fail over to"
            ));
        }
        Newest::Run { epoch, run, outcome: None } if trigger.kind == TriggerKind::Alarm => {
            return refused(format!(
                "run {run} (epoch {epoch}) is under way, or ended without a manifest; a person may start another by hand"
            ));
        }
        Newest::Run { .. } | Newest::Genesis => {}
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

    fn run(outcome: Option<Outcome>) -> Newest {
        Newest::Run { epoch: 7, run: "before".into(), outcome }
    }

    #[test]
    fn a_fresh_trigger_is_admitted_until_the_objective_ends() {
        for newest in [Newest::Genesis, run(Some(Outcome::StoodDown)), run(Some(Outcome::Halted))] {
            let admission = admit(&plan(), &trigger(TriggerKind::Alarm, Some(at(-300))), &newest, at(0));
            assert_eq!(admission, Admission::Admitted { deadline: at(7_200) }, "{newest:?}");
        }
        let by_hand = trigger(TriggerKind::Operator, None);
        assert_eq!(admit(&plan(), &by_hand, &run(None), at(0)), Admission::Admitted { deadline: at(7_200) });
    }

    #[test]
    fn what_is_stale_or_out_of_turn_is_refused_with_its_reason() {
        let alarm = |second| trigger(TriggerKind::Alarm, Some(at(second)));
        for (trigger, newest, says) in [
            (alarm(-301), Newest::Genesis, "301 s old"),
            (alarm(301), Newest::Genesis, "301 s in the future"),
            (trigger(TriggerKind::Alarm, None), Newest::Genesis, "does not say when"),
            (alarm(0), Newest::None, "lifeboat init"),
            (alarm(0), run(None), "under way"),
            (alarm(0), run(Some(Outcome::Recovered)), "nothing to fail over to"),
            (trigger(TriggerKind::Operator, None), run(Some(Outcome::Recovered)), "nothing to fail over to"),
            (trigger(TriggerKind::Operator, Some(at(-301))), Newest::Genesis, "301 s old"),
        ] {
            match admit(&plan(), &trigger, &newest, at(0)) {
                Admission::Refused { reason } => {
                    assert!(reason.contains(says), "{reason} should say: {says}")
                }
                admitted => panic!("{trigger:?} {newest:?}: {admitted:?}"),
            }
        }
    }
}
