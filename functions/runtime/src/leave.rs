//! What is too large for an answer: left as an object of evidence, which the answer names.

use lifeboat_rules::evidence::{left_key, sha256};
use lifeboat_rules::{Step, StepError};
use serde::{Deserialize, Serialize};

use crate::serve::Context;
use crate::store::Put;

/// Where something was left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// The key in the evidence bucket.
    pub key: String,
    /// The SHA-256 of the object's bytes, in hexadecimal.
    pub sha256: String,
    /// The object's size.
    pub bytes: u64,
}

impl Context {
    /// Leaves `value` as JSON beside the records of `step`, so that the run's manifest names it. The same again is the same
    /// object; another value is another one.
    ///
    /// # Errors
    /// As [`crate::Store::create`]; `InputInvalid` where the step names no plan.
    pub async fn leave(&self, step: &Step, name: &str, value: &impl Serialize) -> Result<Left, StepError> {
        let bytes = serde_json::to_vec(value)
            .map_err(|err| StepError::defect(format!("{name} cannot be written as JSON: {err}")))?;
        let sha256 = sha256(&bytes);
        let key = left_key(step, name, &sha256)?;
        match self.store.create(&self.evidence_bucket, &key, &bytes).await? {
            Put::Created => Ok(Left { key, sha256, bytes: bytes.len() as u64 }),
            Put::Exists(_) => Err(StepError::defect(format!("evidence {key} exists with other content"))),
        }
    }
}
