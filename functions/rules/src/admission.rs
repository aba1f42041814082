//! Whether a run may begin.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Plan, Trigger, TriggerKind};

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

/// Decides whether a run that `trigger` started may begin at `now`, when the newest claimed epoch is `newest_epoch`
/// (0 for none).
pub fn admit(plan: &Plan, trigger: &Trigger, newest_epoch: u64, now: Timestamp) -> Admission {
    let refused = |reason: String| Admission::Refused { reason };
    if newest_epoch == 0 {
        return refused(
            "no epoch was ever claimed for this plan: open its ledger first with `lifeboat init`".into(),
        );
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
