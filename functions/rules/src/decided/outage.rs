//! What a confirmed outage is decided by.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Observed, Ruling, same};
use crate::Plan;
use crate::outage::{Observations, Verdict, judge_behind_fence};

/// The primary, as it was observed, and the moment of the judgement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confirming {
    /// What was observed.
    pub observations: Observations,
    /// The epoch that had fenced the primary when the run was admitted; 0 for none.
    pub fenced_epoch: u64,
    /// When the run's time for recovery ends.
    pub deadline: Timestamp,
    /// When it was judged, by the Lambda's clock.
    pub now: Timestamp,
}

/// The verdict, and whether there is time left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmed {
    /// What the observations say.
    pub verdict: Verdict,
    /// Why, for a person.
    pub reason: String,
    /// Whether the run's deadline is still to come: past it, a run that has not sealed stands down.
    pub in_time: bool,
}

impl Observed for Confirming {
    const RULE: &'static str = "outage";
    type By = Plan;
    type Decision = Confirmed;

    fn decide(&self, plan: &Plan) -> Confirmed {
        let streak = plan.probe.consecutive_failures();
        let (verdict, reason) =
            judge_behind_fence(&plan.probe, streak, &self.observations, self.fenced_epoch);
        Confirmed { verdict, reason, in_time: self.now < self.deadline }
    }

    fn ruling(confirmed: &Confirmed) -> Ruling {
        Ruling::Answers(json!({ "verdict": confirmed.verdict, "in_time": confirmed.in_time }))
    }

    fn is_asked(&self, request: &Value) -> Result<(), &'static str> {
        same(request, "/run/fenced_epoch", &self.fenced_epoch)?;
        same(request, "/run/deadline", &self.deadline)
    }
}
