//! What the state machine hands from step to step.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::StepError;

/// What a run is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Unplanned: the primary is down.
    Failover,
}

impl Mode {
    /// The name in a start's input and in every record.
    pub fn as_str(self) -> &'static str {
        match self {
            Mode::Failover => "failover",
        }
    }
}

/// Who or what started a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TriggerKind {
    /// The CloudWatch alarm, through `alarm-trigger`.
    Alarm,
    /// A person, by `StartExecution`.
    Operator,
}

/// Why a run was started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trigger {
    /// Who or what.
    pub kind: TriggerKind,
    /// When the alarm changed its state. An operator's run may leave it out: it is then the start of the execution.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// The alarm's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alarm: Option<String>,
    /// The operator. Said by the caller, so it is a note and no proof of identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// In the caller's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// One exact version of a plan in the control bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanRef {
    /// The object's key, `plan/<name>.json`.
    pub key: String,
    /// The object's version.
    pub version: String,
    /// The SHA-256 of the object's bytes, in hexadecimal.
    pub sha256: String,
}

/// An admitted run. Everything that a later step needs and that must not change under it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// The name of the execution.
    pub id: String,
    /// What the run is for.
    pub mode: Mode,
    /// The plan that the run obeys to its end.
    pub plan: PlanRef,
    /// Why it was started.
    pub trigger: Trigger,
    /// When it was admitted.
    pub admitted_at: Timestamp,
    /// When the objective for recovery ends: past it a run that has not sealed stands down.
    pub deadline: Timestamp,
    /// The newest epoch when the run was admitted. It may claim the successor of this one and no other.
    pub admitted_epoch: u64,
    /// The epoch that had fenced the primary by then, and was not handed back; 0 for none. What advances the log since is
    /// not the primary.
    #[serde(default)]
    pub fenced_epoch: u64,
    /// The epoch that the run has claimed.
    #[serde(default)]
    pub epoch: Option<u64>,
    /// How many persons have to agree before the ledger is sealed, where the plan lets persons approve at all: the state machine
    /// asks by this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approvals: Option<usize>,
}

impl Run {
    /// From when the time for recovery is counted: the moment at which the alarm changed, or a person started the run.
    pub fn began_at(&self) -> Timestamp {
        self.trigger.at.unwrap_or(self.admitted_at)
    }

    /// The claimed epoch.
    ///
    /// # Errors
    /// `InputInvalid` before the claim: no effect is possible without one.
    pub fn claimed_epoch(&self) -> Result<u64, StepError> {
        self.epoch
            .ok_or_else(|| StepError::input_invalid("run.epoch", "this step acts, and no epoch is claimed"))
    }
}

/// Which attempt at which state this call is; the name of its evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The name of the execution.
    pub run: String,
    /// The plan's key, `plan/<name>.json`.
    pub plan_key: String,
    /// The state's name.
    pub name: String,
    /// When the state was entered; tells two visits of one state apart.
    pub entered: String,
    /// How many retries came before this attempt.
    pub attempt: u32,
}

impl Step {
    /// The plan's name, from its key.
    ///
    /// # Errors
    /// `InputInvalid` where the key is not of the form `plan/<name>.json`.
    pub fn plan_name(&self) -> Result<&str, StepError> {
        self.plan_key
            .strip_prefix("plan/")
            .and_then(|rest| rest.strip_suffix(".json"))
            .filter(|name| !name.is_empty() && !name.contains('/'))
            .ok_or_else(|| {
                StepError::input_invalid(
                    "step.plan_key",
                    format_args!("`{}` is not `plan/<name>.json`", self.plan_key),
                )
            })
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (run {}, attempt {})", self.name, self.run, self.attempt)
    }
}

/// What each Lambda of the state machine is called with; `A` is the Lambda's own set of actions.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request<A> {
    /// Which attempt at which state this is.
    pub step: Step,
    /// The run, once it is admitted.
    #[serde(default)]
    pub run: Option<Run>,
    /// What to do.
    pub action: A,
}

impl<A> Request<A> {
    /// The admitted run.
    ///
    /// # Errors
    /// `InputInvalid` where there is none.
    pub fn run(&self) -> Result<&Run, StepError> {
        self.run
            .as_ref()
            .ok_or_else(|| StepError::input_invalid("run", "missing: this step needs an admitted run"))
    }
}
