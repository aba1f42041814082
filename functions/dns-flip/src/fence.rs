//! Putting a fence into the zone without moving anything: for who keeps the records where they are.

use std::time::Duration;

use lifeboat_rules::dns::{Fence, fence_alone};
use lifeboat_rules::plan::Record;
use lifeboat_rules::{ErrorName, Plan, StepError};

use crate::aws::{Rejected, Zone};

/// How often it is tried; each try reads the zone anew.
const TRIES_MAX: u32 = 3;
/// What is waited after the first try that failed, in milliseconds, and twice as much after each further one.
const WAIT_MILLISECONDS: u64 = 250;

/// Puts the fence of `epoch` and changes no record, so that a batch which an older epoch has sent, or sends yet, is refused.
/// `records` are all that the plan moves. Done twice it is done once.
///
/// # Errors
/// `Fenced` where a newer epoch has moved the records; `Transient` where it is not known to be there; as [`Zone::read`]
/// and [`Zone::change`].
pub async fn put_fence(zone: &Zone, plan: &Plan, records: &[Record], epoch: u64) -> Result<Fence, StepError> {
    let mut failed = 0;
    loop {
        let error = match try_once(zone, plan, records, epoch).await {
            Err(error) if error.name == ErrorName::Transient => error,
            ended => return ended,
        };
        failed += 1;
        if failed == TRIES_MAX {
            return Err(error);
        }
        tokio::time::sleep(Duration::from_millis(WAIT_MILLISECONDS << failed)).await;
    }
}

/// One look and one batch. After an answer that was lost, the next look finds what came of it.
async fn try_once(zone: &Zone, plan: &Plan, records: &[Record], epoch: u64) -> Result<Fence, StepError> {
    let found = zone.read(plan, records).await?;
    let Some(batch) = fence_alone(plan, records, epoch, &found)? else {
        let seen = Fence::find(plan, &found)?;
        return seen.ok_or_else(|| StepError::defect("a fence that was seen is not there"));
    };
    let comment = format!("lifeboat {} epoch {epoch}, no record changes", plan.name);
    match zone.change(&plan.dns.zone_id, &comment, &batch.changes).await? {
        Ok(_) => Ok(batch.fence),
        Err(Rejected(why)) => {
            let what = format!("the zone {} is not as it was read: {why}", plan.dns.zone);
            Err(StepError::new(ErrorName::Transient, what))
        }
    }
}
