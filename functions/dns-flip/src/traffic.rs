//! Moving traffic by the strategy of the plan.

use lifeboat_rules::dns::switch::FlipObject;
use lifeboat_rules::plan::{Side, Strategy};
use lifeboat_rules::{Plan, StepError};
use lifeboat_runtime::{Store, records};
use serde::{Deserialize, Serialize};

use crate::aws::Zone;
use crate::gate::Gate;
use crate::journal::Evidence;
use crate::records::{Goal, RecordsMoved, move_records};
use crate::switch::{self, Switched};

/// What it takes to move traffic, by either strategy: each uses its own part.
#[derive(Clone, Copy, Debug)]
pub struct Mover<'a> {
    /// Object storage in the recovery Region.
    pub store: &'a Store,
    /// Where flips and lists of names are.
    pub control_bucket: &'a str,
    /// Route 53, for `records`.
    pub zone: &'a Zone,
    /// The metric, for `switch`.
    pub gate: &'a Gate,
    /// Where every batch of `records` is left, with what came of it. By `switch` the flip object says it all.
    pub evidence: Option<Evidence<'a>>,
}

/// What moving the traffic has left.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "strategy", rename_all = "lowercase")]
pub enum Moved {
    /// By `switch`.
    Switch(Switched),
    /// By `records`.
    Records(RecordsMoved),
}

/// Moves all traffic of the plan to `side` under `epoch`, for `run`, which holds it. Done twice it is done once. By `switch`
/// the names of the plan are not even read.
///
/// # Errors
/// `Fenced` where a newer epoch has moved it; `PlanInvalid`, `Transient`, `Defect`.
pub async fn move_traffic(
    mover: Mover<'_>,
    plan: &Plan,
    side: Side,
    epoch: u64,
    run: &str,
) -> Result<Moved, StepError> {
    let Mover { store, control_bucket, zone, gate, evidence } = mover;
    match plan.dns.strategy {
        Strategy::Switch => {
            let wanted = FlipObject { epoch, run: run.to_owned(), side };
            let switched = switch::flip(store, control_bucket, gate, &plan.name, &wanted).await?;
            Ok(Moved::Switch(switched))
        }
        Strategy::Records => {
            let records = records(store, control_bucket, plan).await?;
            let to = Goal { plan, records: &records, side, epoch };
            Ok(Moved::Records(move_records(zone, evidence, to).await?))
        }
    }
}
