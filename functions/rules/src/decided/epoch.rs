//! What a claim, and the right to act under it, are decided by.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Observed, Ruling, same};
use crate::epoch::{Claim, Taken, judge_taken};
use crate::{ErrorName, StepError};

/// A run at its claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claiming {
    /// The run.
    pub run: String,
    /// The epoch that it claims: the successor of the one that it was admitted under.
    pub epoch: u64,
    /// The plan's version that it was admitted with.
    pub admitted_version: String,
    /// The newest version by now. Where it is another one, nothing is put.
    pub newest_version: String,
    /// The claim that was found in the epoch's place; `None` where this call has put its own, or none was there.
    pub found: Option<Claim>,
}

/// What came of a claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Claimed {
    /// The run holds this epoch.
    Mine(u64),
    /// Another run holds it.
    Fenced {
        /// That run.
        by: String,
    },
    /// The plan has changed since the run was admitted, and nothing was claimed: a run does not begin to act by a plan that
    /// its owner has replaced.
    Refused {
        /// Why, for a person.
        reason: String,
    },
}

impl Observed for Claiming {
    const RULE: &'static str = "claim";
    type By = ();
    type Decision = Claimed;

    fn decide(&self, (): &()) -> Claimed {
        let taken = self.found.as_ref().map(|found| judge_taken(found, &self.run));
        let is_changed = self.newest_version != self.admitted_version;
        match taken {
            // An earlier attempt may have claimed under the plan as it was; what a run has begun, it ends by one plan.
            Some(Taken::Mine) => Claimed::Mine(self.epoch),
            _ if is_changed => Claimed::Refused {
                reason: format!(
                    "the plan has changed since the run was admitted: version {} has replaced {}",
                    self.newest_version, self.admitted_version
                ),
            },
            Some(Taken::Fenced { by }) => Claimed::Fenced { by },
            None => Claimed::Mine(self.epoch),
        }
    }

    fn ruling(claimed: &Claimed) -> Ruling {
        match claimed {
            Claimed::Mine(epoch) => {
                Ruling::Answers(json!({ "verdict": "Claimed", "run": { "epoch": epoch } }))
            }
            Claimed::Fenced { .. } => Ruling::Fails(ErrorName::Fenced),
            Claimed::Refused { .. } => Ruling::verdict("Refused"),
        }
    }

    fn is_asked(&self, request: &Value) -> Result<(), &'static str> {
        same(request, "/run/id", &self.run)?;
        same(request, "/run/plan/version", &self.admitted_version)?;
        same(request, "/run/admitted_epoch", &self.epoch.wrapping_sub(1))
    }
}

/// Whether a run still holds the newest epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acting {
    /// The epoch that it has claimed.
    pub own: u64,
    /// The first newer one that was found.
    pub newer: Option<u64>,
}

impl Observed for Acting {
    const RULE: &'static str = "acting_epoch";
    type By = ();
    type Decision = Result<(), StepError>;

    fn decide(&self, (): &()) -> Result<(), StepError> {
        match self.newer.filter(|newer| *newer > self.own) {
            None => Ok(()),
            Some(newer) => Err(StepError::fenced(format!(
                "epoch {newer} was claimed since; this run holds {}",
                self.own
            ))),
        }
    }

    fn ruling(decision: &Result<(), StepError>) -> Ruling {
        Ruling::of_check(decision)
    }

    fn is_asked(&self, request: &Value) -> Result<(), &'static str> {
        same(request, "/run/epoch", &Some(self.own))
    }
}

impl Ruling {
    /// Of a rule that lets the step go on, or ends it.
    pub(super) fn of_check<T>(decision: &Result<T, StepError>) -> Ruling {
        match decision {
            Ok(_) => Ruling::GoesOn,
            Err(err) => Ruling::Fails(err.name),
        }
    }
}
