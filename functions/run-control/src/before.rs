//! What earlier runs of a plan, and people, have left: all that the rule of admission looks at.

use jiff::Timestamp;
use lifeboat_rules::admission::{Before, Holder, in_window};
use lifeboat_rules::epoch::Cause;
use lifeboat_rules::word::Words;
use lifeboat_rules::{Plan, StepError};
use lifeboat_runtime::Store;

use crate::{holders, newest_fence, words};

/// Reads what the rule of admission looks at. `running` says whether the execution of a run is still going on; it is asked
/// of the newest holder alone, where that one is a run without a manifest.
///
/// # Errors
/// `Defect` where an object is not what its key says; as [`lifeboat_runtime::aws_error`].
pub async fn before(
    store: &Store,
    control_bucket: &str,
    evidence_bucket: &str,
    plan: &Plan,
    now: Timestamp,
    running: impl AsyncFnOnce(&str) -> Result<bool, StepError>,
) -> Result<Before, StepError> {
    let fenced = newest_fence(store, &plan.ledger.bucket).await?;
    // As far back as the rule wants to see.
    let enough = |holder: &Holder| holder.epoch <= fenced.max(1) && !in_window(plan, holder, now);
    let holders = holders(store, control_bucket, evidence_bucket, &plan.name, enough).await?;
    let running = match holders.first() {
        Some(Holder { run, cause: Cause::Alarm | Cause::Operator, outcome: None, .. }) => {
            running(run).await?
        }
        _ => false,
    };
    let said = words(store, control_bucket, &plan.name).await?;
    Ok(Before { holders, fenced, running, words: Words::hear(said.into_iter().map(|(_, word)| word)) })
}
