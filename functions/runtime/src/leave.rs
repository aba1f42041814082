//! What is too large for an answer: left as an object of evidence, which the answer names.

use lifeboat_rules::evidence::{left_by, left_key, left_prefix, plan_key, sha256};
use lifeboat_rules::{Step, StepError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::deciding;
use crate::serve::Context;
use crate::store::Put;

/// What all attempts of one visit of a state may leave, in objects.
const LEFT_MAX: usize = 2_000;

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
        self.leave_at(left_key(step, name, &sha256)?, sha256, &bytes).await
    }

    /// Leaves the plan that `step` decides by, so that its decisions can be replayed from the evidence alone: the bytes as they
    /// were uploaded. Returns their digest.
    ///
    /// # Errors
    /// As [`Self::leave`].
    pub async fn leave_plan(&self, step: &Step, bytes: &[u8]) -> Result<String, StepError> {
        let sha256 = sha256(bytes);
        let key = plan_key(step.plan_name()?, &step.run, &sha256);
        let left = self.leave_at(key, sha256, bytes).await?;
        deciding::by_plan(&left.sha256);
        Ok(left.sha256)
    }

    async fn leave_at(&self, key: String, sha256: String, bytes: &[u8]) -> Result<Left, StepError> {
        match self.store.create(&self.evidence_bucket, &key, bytes).await? {
            Put::Created => Ok(Left { key, sha256, bytes: bytes.len() as u64 }),
            Put::Exists(_) => Err(StepError::defect(format!("evidence {key} exists with other content"))),
        }
    }

    /// What earlier attempts of the same visit of the state, and this one, have left under `name`, the oldest attempt first.
    ///
    /// # Errors
    /// As [`crate::aws_error`]; `Defect` where there is more than attempts can leave, or an object is not what is asked for.
    pub async fn left<T: DeserializeOwned>(&self, step: &Step, name: &str) -> Result<Vec<T>, StepError> {
        let prefix = left_prefix(step)?;
        let listed = self.store.list(&self.evidence_bucket, &prefix, LEFT_MAX).await?;
        let mut keys: Vec<(u32, String)> = listed
            .into_iter()
            .filter_map(|object| Some((left_by(&object.key, &prefix, name)?, object.key)))
            .collect();
        keys.sort();
        let mut left = Vec::with_capacity(keys.len());
        for (_, key) in keys {
            let Some(bytes) = self.store.get(&self.evidence_bucket, &key, None).await? else { continue };
            left.push(serde_json::from_slice(&bytes).map_err(|err| {
                StepError::defect(format!(
                    "evidence s3://{}/{key} cannot be read: {err}",
                    self.evidence_bucket
                ))
            })?);
        }
        Ok(left)
    }
}
