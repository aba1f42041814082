//! *dns-flip*: moves traffic to the recovery side, keeps it where the newest flip says, and confirms with real DNS answers
//! that it has moved. Deployed twice: outside of any network to act, inside to ask.
//!
//! Invariant: an older epoch has no effect. By `switch` the newest flip object counts, by `records` a batch is a
//! compare-and-swap (see `lifeboat_rules::dns`).

mod ask;
mod aws;
mod confirm;
mod fence;
mod gate;
mod journal;
mod records;
mod scheduled;
mod switch;
mod traffic;

use jiff::Timestamp;
use lifeboat_rules::plan::Side;
use lifeboat_rules::{Request, StepError};
use lifeboat_runtime::Context;
use serde::{Deserialize, Serialize};

pub use ask::Asker;
pub use aws::{Accepted, Rejected, Zone};
pub use confirm::{Confirmed, Receipt, Receipts, Unconfirmed};
pub use fence::put_fence;
pub use gate::{Gate, Point};
pub use journal::{Answered, Evidence, Sending, Sent};
pub use records::RecordsMoved;
pub use scheduled::{KeeperAction, Scheduled, keep_on_schedule};
pub use switch::{Kept, Switched, keep, newest_flip};
pub use traffic::{Moved, Mover, move_traffic};

/// What can be asked of this function.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// Move the traffic.
    Flip {},
    /// Ask until every record answers from the recovery side.
    ConfirmFlip {},
}

/// What came of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "verdict")]
pub enum Answer {
    /// Traffic is moved to the recovery side, as far as this run is concerned: what is left is for resolvers to follow.
    Flipped(Moved),
    /// Every name that was asked for answers from the recovery side.
    FlipConfirmed(Confirmed),
    /// The time for it is over, and some names do not.
    FlipUnconfirmed(Unconfirmed),
}

/// Handles one call.
///
/// # Errors
/// `Fenced` where a newer epoch has flipped; `NotReady` while answers are still the old ones; `Transient`,
/// `PlanInvalid`, `InputInvalid`, `Defect`.
pub async fn handle(
    context: &Context,
    mover: Mover<'_>,
    asker: &Asker,
    now: fn() -> Timestamp,
    request: Request<Action>,
) -> Result<Answer, StepError> {
    let run = request.run()?;
    let plan = context.plan(&run.plan).await?;
    match &request.action {
        Action::Flip {} => {
            let epoch = context.acting_epoch(&plan.name, run).await?;
            let mover = Mover { evidence: Some(Evidence { context, step: &request.step, now }), ..mover };
            let moved = move_traffic(mover, &plan, Side::Recovery, epoch, &run.id).await?;
            Ok(Answer::Flipped(moved))
        }
        Action::ConfirmFlip {} => {
            let records = context.records(&plan).await?;
            confirm::confirm(context, asker, now, &request.step, &plan, &records).await
        }
    }
}
