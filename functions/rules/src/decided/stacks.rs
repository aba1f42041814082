//! What a launch is decided by.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Observed, Ruling, same};
use crate::Plan;
use crate::stacks::{self, Launch, next};

/// The stacks of a run, as CloudFormation has them at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Looking {
    /// By the plan's names; one that is not here is missing.
    pub stacks: BTreeMap<String, stacks::Observed>,
    /// When the launch began.
    pub entered: Timestamp,
    /// When the run's time for recovery ends.
    pub deadline: Timestamp,
    /// The Lambda's clock.
    pub now: Timestamp,
}

/// What to do about them, by the plan's names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Looked {
    /// All are ready.
    Ready,
    /// These have failed.
    Failed(Vec<String>),
    /// Their time is over: when it was, and what was waited for.
    Late {
        /// The plan's time for them after the launch, or the run's deadline.
        give_up_at: Timestamp,
        /// Their names, with the state of each.
        reason: String,
    },
    /// Create these now (perhaps none), then look again.
    Create {
        /// Their names.
        stacks: Vec<String>,
        /// What is waited for.
        reason: String,
    },
}

impl Observed for Looking {
    const RULE: &'static str = "stacks";
    type By = Plan;
    type Decision = Looked;

    fn decide(&self, plan: &Plan) -> Looked {
        let names =
            |stacks: Vec<&crate::plan::Stack>| stacks.iter().map(|stack| stack.name.clone()).collect();
        let missing = match next(plan, &self.stacks) {
            Launch::Ready => return Looked::Ready,
            Launch::Failed(failed) => return Looked::Failed(names(failed)),
            Launch::Create(missing) => missing,
        };
        let waiting: Vec<_> = self
            .stacks
            .iter()
            .filter(|(_, state)| **state != stacks::Observed::Ready)
            .map(|(name, state)| format!("{name} ({state:?})"))
            .collect();
        let reason = format!("waiting for {}", waiting.join(", "));
        let patience = SignedDuration::from_secs(i64::from(plan.limits.stack_wait_seconds_max));
        let give_up_at = self.entered.checked_add(patience).unwrap_or(self.deadline).min(self.deadline);
        if self.now < give_up_at {
            return Looked::Create { stacks: names(missing), reason };
        }
        let reason = format!(
            "{reason} when their time was over, at {give_up_at}: `limits.stack_wait_seconds_max` after the launch, or the run's \
             own deadline"
        );
        Looked::Late { give_up_at, reason }
    }

    fn ruling(looked: &Looked) -> Ruling {
        match looked {
            Looked::Ready => Ruling::verdict("StacksReady"),
            Looked::Failed(_) => Ruling::verdict("StacksFailed"),
            Looked::Late { .. } => Ruling::verdict("StacksLate"),
            Looked::Create { .. } => Ruling::Waits,
        }
    }

    fn is_asked(&self, request: &Value) -> Result<(), &'static str> {
        same(request, "/step/entered", &self.entered)?;
        same(request, "/run/deadline", &self.deadline)
    }
}
