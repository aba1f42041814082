//! What a recovered side is judged by.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Observed, Ruling, same};
use crate::StepError;
use crate::recovered::{Health, Sealed, judge};

/// What the recovered application says of itself, and what it has to have reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Serving {
    /// What it says.
    pub health: Health,
    /// The run's epoch.
    pub epoch: u64,
    /// Where each stream was sealed.
    pub sealed: Vec<Sealed>,
}

impl Observed for Serving {
    const RULE: &'static str = "recovered";
    type By = ();
    type Decision = Result<(), StepError>;

    fn decide(&self, (): &()) -> Result<(), StepError> {
        judge(&self.health, self.epoch, &self.sealed)
    }

    fn ruling(decision: &Result<(), StepError>) -> Ruling {
        match decision {
            Ok(()) => Ruling::verdict("Serving"),
            Err(err) => Ruling::Fails(err.name),
        }
    }

    fn is_asked(&self, request: &Value) -> Result<(), &'static str> {
        same(request, "/run/epoch", &Some(self.epoch))?;
        same(request, "/action/confirm_recovered/sealed", &self.sealed)
    }
}
