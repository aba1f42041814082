//! Epoch objects: claiming one, and who has claimed which.

use futures::{StreamExt, TryStreamExt, stream};
use lifeboat_rules::admission::Holder;
use lifeboat_rules::epoch::{self, Cause, Claim, Taken};
use lifeboat_rules::{Outcome, StepError, evidence};
use lifeboat_runtime::{Put, Store, claimed_epochs};
use serde::Deserialize;
use serde_json::Value;

use crate::read_json;

/// Holders that are looked at, from the newest back. Epochs are used by runs that got as far as to act and by hand-backs,
/// so nobody sees this many within an anti-flap window.
const HOLDERS_MAX: usize = 1_000;
/// Holders read at once.
const READS_IN_FLIGHT: usize = 16;

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
    let Some(found) = put(store, control_bucket, plan, claim).await? else { return Ok(()) };
    match epoch::judge_taken(&found, &claim.run) {
        Taken::Mine => Ok(()),
        Taken::Fenced { by } => Err(held(claim.epoch, &by)),
    }
}

/// Creates the object of a claim. Returns what was found in its place, if anything was.
pub(crate) async fn put(
    store: &Store,
    control_bucket: &str,
    plan: &str,
    claim: &Claim,
) -> Result<Option<Claim>, StepError> {
    let bytes = serde_json::to_vec(claim).expect("strings and numbers always serialise");
    let key = epoch::key(plan, claim.epoch);
    match store.create(control_bucket, &key, &bytes).await? {
        Put::Created => Ok(None),
        Put::Exists(found) => read_json(&key, &found).map(Some),
    }
}

/// The claim of `epoch`, if there is one.
pub(crate) async fn find(
    store: &Store,
    control_bucket: &str,
    plan: &str,
    epoch: u64,
) -> Result<Option<Claim>, StepError> {
    let key = epoch::key(plan, epoch);
    let found = store.get(control_bucket, &key, None).await?;
    found.map(|bytes| read_json(&key, &bytes)).transpose()
}

pub(crate) fn held(epoch: u64, by: &str) -> StepError {
    StepError::fenced(format!("epoch {epoch} is held by run {by}"))
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
    let epochs = claimed_epochs(store, control_bucket, plan).await?.into_iter().rev().take(HOLDERS_MAX);
    let mut reads = stream::iter(epochs)
        .map(|epoch| holder(store, control_bucket, evidence_bucket, plan, epoch))
        .buffered(READS_IN_FLIGHT);
    let mut holders = Vec::new();
    while let Some(holder) = reads.try_next().await? {
        let last = enough(&holder);
        holders.push(holder);
        if last {
            break;
        }
    }
    Ok(holders)
}

async fn holder(
    store: &Store,
    control_bucket: &str,
    evidence_bucket: &str,
    plan: &str,
    epoch: u64,
) -> Result<Holder, StepError> {
    let key = epoch::key(plan, epoch);
    let claim = store.get(control_bucket, &key, None).await?;
    let claim = claim.ok_or_else(|| StepError::defect(format!("{key} was listed and is gone")))?;
    let Claim { run, at, cause, .. } = read_json(&key, &claim)?;
    let mut outcome = outcome(store, evidence_bucket, plan, &run, epoch).await?;
    if matches!(cause, Cause::Alarm | Cause::Operator) && outcome != Some(Outcome::Recovered) {
        // A person may have finished what the run had begun.
        let flip = flip_name(epoch);
        outcome = self::outcome(store, evidence_bucket, plan, &flip, epoch).await?.or(outcome);
    }
    Ok(Holder { epoch, run, cause, at, outcome })
}

/// The name under which `lifeboat flip` leaves its manifest: of the epoch whose run it has finished.
pub fn flip_name(epoch: u64) -> String {
    format!("flip-e{epoch}")
}

/// How the holder of `epoch` ended; `None` while it has no manifest. A manifest of that name which is about another epoch
/// is another run's: names are free again after 90 days, and people choose them.
async fn outcome(
    store: &Store,
    evidence_bucket: &str,
    plan: &str,
    run: &str,
    epoch: u64,
) -> Result<Option<Outcome>, StepError> {
    /// Of a manifest only this is read, so that one of another version of Lifeboat can be read as well.
    #[derive(Deserialize)]
    struct Ended {
        outcome: Outcome,
        admitted: Option<Admitted>,
        facts: Value,
    }
    #[derive(Deserialize)]
    struct Admitted {
        admitted_epoch: u64,
    }
    let key = evidence::manifest_key(plan, run);
    let manifest = store.get(evidence_bucket, &key, None).await?;
    let ended: Option<Ended> = manifest.map(|bytes| read_json(&key, &bytes)).transpose()?;
    Ok(ended.and_then(|ended| {
        let of = match &ended.admitted {
            Some(admitted) => Some(admitted.admitted_epoch + 1),
            None => ended.facts["epoch"].as_u64(),
        };
        (of == Some(epoch)).then_some(ended.outcome)
    }))
}
