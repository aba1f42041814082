//! Who holds the newest epoch.

use lifeboat_rules::decided::Acting;
use lifeboat_rules::{Run, StepError, epoch};

use crate::deciding::decide;
use crate::serve::Context;
use crate::store::Store;

/// Epochs that one plan may have used; a bound against a listing that never ends.
const EPOCHS_MAX: usize = 100_000;

/// Every epoch that was claimed for `plan`, in ascending order. Gaps are normal.
///
/// # Errors
/// As [`crate::aws_error`].
pub async fn claimed_epochs(store: &Store, control_bucket: &str, plan: &str) -> Result<Vec<u64>, StepError> {
    let claims = store.list(control_bucket, &epoch::prefix(plan), EPOCHS_MAX).await?;
    Ok(claims.iter().filter_map(|claim| epoch::parse_key(plan, &claim.key)).collect())
}

impl Context {
    /// The epoch that `run` has claimed, as long as no newer one was. Every step that is about to act asks this first, so
    /// that a run which slept, was repeated or redriven leaves the world alone. It is a courtesy and no lock: what makes a
    /// stale act harmless is in the act itself (the slot and epoch of a control entry, the fence of a DNS batch, the name
    /// of a stack).
    ///
    /// # Errors
    /// `Fenced` where a newer epoch was claimed; `InputInvalid` where `run` has claimed none; as [`crate::aws_error`].
    pub async fn acting_epoch(&self, plan: &str, run: &Run) -> Result<u64, StepError> {
        let own = run.claimed_epoch()?;
        // Keys sort as the numbers do, so whatever lies behind this run's own claim is newer.
        let newer = self
            .store
            .page(&self.control_bucket, &epoch::prefix(plan), Some(&epoch::key(plan, own)), None)
            .await?
            .objects
            .iter()
            .find_map(|claim| epoch::parse_key(plan, &claim.key));
        decide(&(), &Acting { own, newer }).map(|()| own)
    }
}
