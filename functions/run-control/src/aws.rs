//! The calls: the newest epoch, and the run's records.

use futures::{StreamExt, TryStreamExt, stream};
use lifeboat_ledger::slot;
use lifeboat_rules::evidence::{Listed, sha256};
use lifeboat_rules::{StepError, epoch};
use lifeboat_runtime::{Context, Store};

/// Epochs that one plan may have used; a bound against a listing that never ends.
const EPOCHS_MAX: usize = 100_000;
/// Records read at once.
const READS_IN_FLIGHT: usize = 16;
/// Records that one run may leave.
const RECORDS_MAX: usize = 20_000;

/// The newest epoch that was claimed for `plan`; 0 for none. Gaps are normal.
///
/// # Errors
/// As [`lifeboat_runtime::aws_error`].
pub async fn newest_epoch(store: &Store, control_bucket: &str, plan: &str) -> Result<u64, StepError> {
    let claims = store.list(control_bucket, &epoch::prefix(plan), EPOCHS_MAX).await?;
    Ok(claims.iter().filter_map(|claim| epoch::parse_key(plan, &claim.key)).max().unwrap_or(0))
}

/// The newest epoch that has put a fence into the log's bucket; 0 for none.
///
/// # Errors
/// As [`lifeboat_runtime::aws_error`].
pub async fn newest_fence(store: &Store, log_bucket: &str) -> Result<u64, StepError> {
    let fences = store.list(log_bucket, slot::FENCE_PREFIX, EPOCHS_MAX).await?;
    Ok(fences.iter().filter_map(|fence| slot::parse_fence(&fence.key)).max().unwrap_or(0))
}

/// Every record below `prefix` but the manifest itself, with its digest, read back from the store.
pub async fn list_records(context: &Context, prefix: &str, manifest: &str) -> Result<Vec<Listed>, StepError> {
    let objects = context.store.list(&context.evidence_bucket, prefix, RECORDS_MAX).await?;
    let listed = objects.into_iter().filter(|object| object.key != manifest).map(async |object| {
        let bytes = context.store.get(&context.evidence_bucket, &object.key, None).await?;
        let bytes = bytes
            .ok_or_else(|| StepError::defect(format!("evidence {} was listed and is gone", object.key)))?;
        let key = object.key.strip_prefix(prefix).unwrap_or(&object.key).to_owned();
        Ok(Listed { key, sha256: sha256(&bytes), bytes: bytes.len() as u64 })
    });
    stream::iter(listed).buffered(READS_IN_FLIGHT).try_collect().await
}
