//! What a flip, and the confirmation of it, are decided by.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Observed, Ruling, same};
use crate::dns::confirm::within;
use crate::dns::switch::{self, FlipObject};
use crate::dns::{self, Flip};
use crate::plan::{Record, Side};
use crate::{ErrorName, Plan, StepError};

/// Record sets, of the plan and of the zone, that are kept in a record; of more, only the decision is.
const SETS_KEPT_MAX: usize = 500;

fn is_mine(mine: &FlipObject, request: &Value) -> Result<(), &'static str> {
    same(request, "/run/id", &mine.run)?;
    same(request, "/run/epoch", &Some(mine.epoch))
}

/// What was found where the run's flip was to be put.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Taken {
    /// What was found.
    pub found: FlipObject,
    /// What was to be put.
    pub mine: FlipObject,
}

impl Observed for Taken {
    const RULE: &'static str = "flip_taken";
    type By = ();
    type Decision = Result<(), StepError>;

    fn decide(&self, (): &()) -> Result<(), StepError> {
        switch::judge_taken(&self.found, &self.mine)
    }

    fn ruling(decision: &Result<(), StepError>) -> Ruling {
        Ruling::of_check(decision)
    }

    fn is_asked(&self, request: &Value) -> Result<(), &'static str> {
        is_mine(&self.mine, request)
    }
}

/// The newest flip, once the run's own was put.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Newest {
    /// The newest flip.
    pub newest: Option<FlipObject>,
    /// What was put.
    pub mine: FlipObject,
}

impl Observed for Newest {
    const RULE: &'static str = "newest_flip";
    type By = ();
    type Decision = Result<(), StepError>;

    fn decide(&self, (): &()) -> Result<(), StepError> {
        switch::judge_newest(self.newest.as_ref(), &self.mine)
    }

    fn ruling(decision: &Result<(), StepError>) -> Ruling {
        Ruling::of_check(decision)
    }

    fn is_asked(&self, request: &Value) -> Result<(), &'static str> {
        is_mine(&self.mine, request)
    }
}

/// The zone, as it was read, on the way to a side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Swapping {
    /// Every record that the plan moves, those of its lists among them.
    pub records: Vec<Record>,
    /// Where traffic is to go.
    pub side: Side,
    /// Under which epoch.
    pub epoch: u64,
    /// What the zone held under their names, and the fence's.
    pub found: Vec<dns::Found>,
}

impl Observed for Swapping {
    const RULE: &'static str = "next_batch";
    type By = Plan;
    type Decision = Result<Flip, StepError>;

    fn decide(&self, plan: &Plan) -> Result<Flip, StepError> {
        dns::decide(plan, &self.records, self.side, self.epoch, &self.found)
    }

    fn ruling(decision: &Result<Flip, StepError>) -> Ruling {
        match decision {
            Ok(Flip::Done) => Ruling::verdict("Flipped"),
            Ok(Flip::Batch(_)) => Ruling::Waits,
            Ok(Flip::Changed(_)) => Ruling::Fails(ErrorName::PlanInvalid),
            Err(err) => Ruling::Fails(err.name),
        }
    }

    fn is_asked(&self, request: &Value) -> Result<(), &'static str> {
        same(request, "/run/epoch", &Some(self.epoch))
    }

    fn is_kept(&self) -> bool {
        self.records.len() + self.found.len() <= SETS_KEPT_MAX
    }
}

/// How many names have answered, and for how long they were waited for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waited {
    /// Names that are asked for.
    pub names: usize,
    /// Of those, how many do not answer from the recovery side.
    pub pending: usize,
    /// When they were first asked for.
    pub entered: Timestamp,
    /// The Lambda's clock.
    pub now: Timestamp,
}

/// Whether to go on asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Waiting {
    /// All have answered.
    Over,
    /// Some have not, and their time is over.
    InVain,
    /// Some have not, and there is time.
    On,
}

impl Waited {
    /// For how long.
    pub fn waited(&self) -> SignedDuration {
        self.now.duration_since(self.entered)
    }
}

impl Observed for Waited {
    const RULE: &'static str = "flip_confirmed";
    type By = Plan;
    type Decision = Waiting;

    fn decide(&self, plan: &Plan) -> Waiting {
        match self.pending {
            0 => Waiting::Over,
            _ if self.waited() >= SignedDuration::from_secs(within(plan, self.names)) => Waiting::InVain,
            _ => Waiting::On,
        }
    }

    fn ruling(waiting: &Waiting) -> Ruling {
        match waiting {
            Waiting::Over => Ruling::verdict("FlipConfirmed"),
            Waiting::InVain => Ruling::verdict("FlipUnconfirmed"),
            Waiting::On => Ruling::Fails(ErrorName::NotReady),
        }
    }

    fn is_asked(&self, request: &Value) -> Result<(), &'static str> {
        same(request, "/step/entered", &self.entered)
    }
}
