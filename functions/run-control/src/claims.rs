//! Epoch objects: claiming one, and who has claimed which.

use lifeboat_rules::admission::Holder;
use lifeboat_rules::epoch::{self, Claim, Taken};
use lifeboat_rules::{Outcome, StepError, evidence};
use lifeboat_runtime::{Put, Store, claimed_epochs};
use serde::Deserialize;

use crate::read_json;

/// Holders that are looked at, from the newest back. Epochs are used by runs that got as far as to act and by hand-backs,
/// so nobody sees this many within an anti-flap window.
const HOLDERS_MAX: usize = 1_000;

/// Claims an epoch of `plan` by creating its object; claimed before by the same run, it is success.
///
/// # Errors
/// `Fenced` where another run holds it; as [`lifeboat_runtime::aws_error`].
pub async fn claim_epoch(
    store: &Store,
    control_bucket: &str,
    plan: &str,
    claim: &Claim,
) -> Result<(), StepError> {
    let bytes = serde_json::to_vec(claim).expect("strings and numbers always serialise");
    let key = epoch::key(plan, claim.epoch);
    match store.create(control_bucket, &key, &bytes).await? {
        Put::Created => Ok(()),
        Put::Exists(found) => match epoch::judge_taken(&read_json(&key, &found)?, &claim.run) {
            Taken::Mine => Ok(()),
            Taken::Fenced { by } => {
                Err(StepError::fenced(format!("epoch {} is held by run {by}", claim.epoch)))
            }
        },
    }
}

/// Whether `run` holds `epoch`.
pub(crate) async fn holds(
    store: &Store,
    control_bucket: &str,
    plan: &str,
    epoch: u64,
    run: &str,
) -> Result<bool, StepError> {
    let key = epoch::key(plan, epoch);
    let found = store.get(control_bucket, &key, None).await?;
    let claim: Option<Claim> = found.map(|bytes| read_json(&key, &bytes)).transpose()?;
    Ok(claim.is_some_and(|claim| epoch::judge_taken(&claim, run) == Taken::Mine))
}

/// The newest epoch that was claimed for `plan`; 0 for none.
///
/// # Errors
/// As [`lifeboat_runtime::aws_error`].
pub async fn newest_epoch(store: &Store, control_bucket: &str, plan: &str) -> Result<u64, StepError> {
    Ok(claimed_epochs(store, control_bucket, plan).await?.last().copied().unwrap_or(0))
}

/// Who holds the epochs of `plan`, the newest first, through the first one that is `enough`.
///
/// # Errors
/// `Defect` where an object is not what its key says; as [`lifeboat_runtime::aws_error`].
pub async fn holders(
    store: &Store,
    control_bucket: &str,
    evidence_bucket: &str,
    plan: &str,
    mut enough: impl FnMut(&Holder) -> bool,
) -> Result<Vec<Holder>, StepError> {
    let mut holders = Vec::new();
    for epoch in claimed_epochs(store, control_bucket, plan).await?.into_iter().rev().take(HOLDERS_MAX) {
        let key = epoch::key(plan, epoch);
        let claim = store.get(control_bucket, &key, None).await?;
        let claim = claim.ok_or_else(|| StepError::defect(format!("{key} was listed and is gone")))?;
        let Claim { run, at, cause, .. } = read_json(&key, &claim)?;
        let outcome = outcome(store, evidence_bucket, plan, &run).await?;
        let holder = Holder { epoch, run, cause, at, outcome };
        let last = enough(&holder);
        holders.push(holder);
        if last {
            break;
        }
    }
    Ok(holders)
}

/// How a run ended; `None` while it has no manifest.
async fn outcome(
    store: &Store,
    evidence_bucket: &str,
    plan: &str,
    run: &str,
) -> Result<Option<Outcome>, StepError> {
    /// Of a manifest only this is read, so that one of another version of Lifeboat can be read as well.
    #[derive(Deserialize)]
    struct Ended {
        outcome: Outcome,
    }
    let key = evidence::manifest_key(plan, run);
    let manifest = store.get(evidence_bucket, &key, None).await?;
    let ended: Option<Ended> = manifest.map(|bytes| read_json(&key, &bytes)).transpose()?;
    Ok(ended.map(|ended| ended.outcome))
}
