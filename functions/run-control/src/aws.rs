//! The calls: other executions, fences, and the run's records.

use aws_sdk_sfn::Client;
use aws_sdk_sfn::types::ExecutionStatus;
use futures::{StreamExt, TryStreamExt, stream};
use lifeboat_ledger::slot;
use lifeboat_rules::StepError;
use lifeboat_rules::evidence::chain::is_record;
use lifeboat_rules::evidence::{Listed, Record, sha256};
use lifeboat_runtime::{Context, Store, aws_error};

/// Fences that one log may hold; a bound against a listing that never ends.
const FENCES_MAX: usize = 100_000;
/// Records read at once.
const READS_IN_FLIGHT: usize = 16;
/// Records that one run may leave.
const RECORDS_MAX: usize = 20_000;

/// The executions of the state machine.
#[derive(Clone, Debug)]
pub struct Executions {
    /// Step Functions in the recovery Region.
    pub sfn: Client,
}

impl Executions {
    /// Whether the execution named `run`, of the state machine that `own` is an execution of, is still going on. One that
    /// is unknown (the history is kept for 90 days) is not.
    ///
    /// # Errors
    /// `InputInvalid` where `own` is no execution's ARN; as [`lifeboat_runtime::aws_error`].
    pub async fn is_running(&self, own: &str, run: &str) -> Result<bool, StepError> {
        let arn = sibling(own, run)?;
        match self.sfn.describe_execution().execution_arn(&arn).send().await {
            Ok(found) => Ok(*found.status() == ExecutionStatus::Running),
            Err(err)
                if err.as_service_error().is_some_and(|service| service.is_execution_does_not_exist()) =>
            {
                Ok(false)
            }
            Err(err) => Err(aws_error(format!("describe the execution {run}"), err)),
        }
    }
}

/// The ARN of another execution: `arn:<partition>:states:<Region>:<account>:execution:<state machine>:<name>`.
fn sibling(own: &str, run: &str) -> Result<String, StepError> {
    match own.rsplit_once(':') {
        Some((machine, name)) if machine.contains(":execution:") && !name.is_empty() => {
            Ok(format!("{machine}:{run}"))
        }
        _ => Err(StepError::input_invalid("action.admit.execution", "is not the ARN of an execution")),
    }
}

/// The newest epoch that has put a fence into the log's bucket; 0 for none.
///
/// # Errors
/// As [`lifeboat_runtime::aws_error`].
pub async fn newest_fence(store: &Store, log_bucket: &str) -> Result<u64, StepError> {
    let fences = store.list(log_bucket, slot::FENCE_PREFIX, FENCES_MAX).await?;
    Ok(fences.iter().filter_map(|fence| slot::parse_fence(&fence.key)).max().unwrap_or(0))
}

/// Everything that lies below `prefix`, with its digest, read back from the store, and what of it are records.
pub async fn read_records(
    context: &Context,
    prefix: &str,
) -> Result<(Vec<Listed>, Vec<(String, Record)>), StepError> {
    let read = read_all(&context.store, &context.evidence_bucket, prefix).await?;
    let (listed, records): (Vec<_>, Vec<_>) = read.into_iter().unzip();
    Ok((listed, records.into_iter().flatten().collect()))
}

/// Everything that lies below `prefix`, with its digest, read back from the store.
///
/// # Errors
/// As [`lifeboat_runtime::aws_error`]; `Defect` where something is gone that was listed.
pub async fn listed(store: &Store, evidence_bucket: &str, prefix: &str) -> Result<Vec<Listed>, StepError> {
    Ok(read_all(store, evidence_bucket, prefix).await?.into_iter().map(|(listed, _)| listed).collect())
}

async fn read_all(
    store: &Store,
    evidence_bucket: &str,
    prefix: &str,
) -> Result<Vec<(Listed, Option<(String, Record)>)>, StepError> {
    let objects = store.list(evidence_bucket, prefix, RECORDS_MAX).await?;
    let name = |key: &str| key.strip_prefix(prefix).unwrap_or(key).to_owned();
    let closing = |key: &str| key.starts_with("manifest.");
    let read = objects.into_iter().filter(|object| !closing(&name(&object.key))).map(async |object| {
        let bytes = store.get(evidence_bucket, &object.key, None).await?;
        let bytes = bytes
            .ok_or_else(|| StepError::defect(format!("evidence {} was listed and is gone", object.key)))?;
        let key = name(&object.key);
        let record = if is_record(&key) { serde_json::from_slice(&bytes).ok() } else { None };
        let (sha256, stored_at) = (sha256(&bytes), object.stored_at);
        let listed = Listed { key: key.clone(), sha256, bytes: bytes.len() as u64, stored_at };
        Ok::<_, StepError>((listed, record.map(|record| (key, record))))
    });
    stream::iter(read).buffered(READS_IN_FLIGHT).try_collect().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sibling_differs_in_its_name_alone() {
        let own = "arn:aws:states:eu-central-1:111122223333:execution:aex-failover:by-hand";
        let expected = "arn:aws:states:eu-central-1:111122223333:execution:aex-failover:alarm-1";
        assert_eq!(sibling(own, "alarm-1").unwrap(), expected);
        for other in ["", "by-hand", "arn:aws:states:eu-central-1:1:stateMachine:aex", "a:execution:b:"] {
            assert!(sibling(other, "x").is_err(), "{other}");
        }
    }
}
