//! *dns-flip*: moves the plan's records to the recovery side, and confirms with real DNS answers that they moved.
//!
//! Invariant: a batch is a compare-and-swap (see `lifeboat_rules::dns`); success is this epoch's own fence in the zone.

mod ask;
mod aws;

use std::time::Duration;

use jiff::Timestamp;
use lifeboat_rules::dns::{Change, Flip, Found, decide, wanted};
use lifeboat_rules::plan::Side;
use lifeboat_rules::{ErrorName, Plan, Request, StepError};
use lifeboat_runtime::Context;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

pub use ask::{Asker, Receipt};
pub use aws::{Rejected, Zone};

/// How long one call asks before it says `NotReady`, in seconds. Well below the function's own timeout (60 s).
const WAIT_SECONDS: u64 = 20;
/// How often a batch is computed anew because the zone changed between the read and the write.
const BATCH_TRIES_MAX: u32 = 5;

/// What can be asked of this function.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// Move the records.
    Flip {},
    /// Ask until every record answers from the recovery side.
    ConfirmFlip {},
}

/// What came of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "verdict")]
pub enum Answer {
    /// The zone holds the recovery side's values under this epoch's fence.
    Flipped {
        /// What the zone held before, as far as it concerns the plan.
        before: Vec<Found>,
        /// What was changed; empty where an earlier attempt had done it.
        changes: Vec<Change>,
    },
    /// Every record answers from the recovery side.
    FlipConfirmed {
        /// One for each record.
        receipts: Vec<Receipt>,
    },
}

/// Handles one call.
///
/// # Errors
/// `Fenced` where a newer epoch has flipped; `NotReady` while answers are still the old ones; `Transient`,
/// `PlanInvalid`, `InputInvalid`, `Defect`.
pub async fn handle(
    context: &Context,
    zone: &Zone,
    asker: &Asker,
    now: fn() -> Timestamp,
    request: Request<Action>,
) -> Result<Answer, StepError> {
    let run = request.run()?;
    let plan = context.plan(&run.plan).await?;
    match &request.action {
        Action::Flip {} => {
            let epoch = context.acting_epoch(&plan.name, run).await?;
            let Moved { before, changes } = move_records(zone, &plan, Side::Recovery, epoch).await?;
            Ok(Answer::Flipped { before, changes })
        }
        Action::ConfirmFlip {} => confirm(asker, &plan, now).await,
    }
}

/// What moving the records has changed.
#[derive(Clone, Debug)]
pub struct Moved {
    /// What the zone held before, as far as it concerns the plan.
    pub before: Vec<Found>,
    /// What was changed; empty where an earlier attempt had done it.
    pub changes: Vec<Change>,
}

/// Moves every record of the plan to `side` in one batch, under the fence of `epoch`.
///
/// # Errors
/// `Fenced` where a newer epoch has moved them; `Transient`, `PlanInvalid`, `Defect`.
pub async fn move_records(zone: &Zone, plan: &Plan, side: Side, epoch: u64) -> Result<Moved, StepError> {
    let mut first_seen = None;
    let mut last_rejection = String::new();
    for _ in 0..BATCH_TRIES_MAX {
        let found = zone.read(plan).await?;
        let before = first_seen.get_or_insert_with(|| found.clone());
        match decide(plan, side, epoch, &found)? {
            Flip::Done => return Ok(Moved { before: before.clone(), changes: vec![] }),
            Flip::Batch(changes) => match zone.change(plan, epoch, &changes).await? {
                Ok(()) => return Ok(Moved { before: before.clone(), changes }),
                // Somebody was faster, or this very batch was applied and its answer was lost: a fresh read tells.
                Err(Rejected(why)) => last_rejection = why,
            },
        }
    }
    Err(StepError::new(
        ErrorName::Transient,
        format!(
            "the zone {} changed under {BATCH_TRIES_MAX} batches; the last was refused: {last_rejection}",
            plan.dns.zone
        ),
    ))
}

async fn confirm(asker: &Asker, plan: &Plan, now: fn() -> Timestamp) -> Result<Answer, StepError> {
    let until = Instant::now() + Duration::from_secs(WAIT_SECONDS);
    let mut pending = wanted(plan, Side::Recovery);
    let mut receipts = Vec::new();
    loop {
        let mut stale = Vec::new();
        let answers = asker.ask_all(&pending).await;
        pending = pending
            .into_iter()
            .zip(answers)
            .filter_map(|(record, answer)| match answer {
                Ok(answer) if answer.values == record.values => {
                    receipts.push(Receipt { record, answered_at: now(), ttl: answer.ttl });
                    None
                }
                Ok(answer) => {
                    stale.push(format!("{} answers {}", record.name, answer.values.join(" ")));
                    Some(record)
                }
                Err(why) => {
                    stale.push(format!("{}: {why}", record.name));
                    Some(record)
                }
            })
            .collect();
        if pending.is_empty() {
            return Ok(Answer::FlipConfirmed { receipts });
        }
        if Instant::now() >= until {
            stale.truncate(5);
            return Err(StepError::not_ready(format!(
                "{} records to go: {}",
                pending.len(),
                stale.join("; ")
            )));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
