//! Which side has the traffic of a plan, by whoever moved it last.

use aws_config::SdkConfig;
use dns_flip::Zone;
use lifeboat_rules::dns::records::{Fence, last_fence};
use lifeboat_rules::plan::{Side, Strategy};
use lifeboat_rules::{Plan, StepError};
use lifeboat_runtime::Store;
use serde::Serialize;

use crate::aws;

/// Where it is.
#[derive(Debug, Serialize)]
pub(super) struct Traffic {
    strategy: Strategy,
    /// The side; not known where nobody has moved the records yet, or not all of them.
    side: Option<Side>,
    /// The epoch that moved it last.
    epoch: Option<u64>,
    /// In words.
    reason: String,
}

/// Looks without failing: a status that tells everything else is worth having on the day when Route 53 does not answer.
pub(super) async fn look(config: &SdkConfig, store: &Store, control: &str, plan: &Plan) -> Traffic {
    let found = match plan.dns.strategy {
        Strategy::Switch => by_the_switch(store, control, plan).await,
        Strategy::Records => by_the_records(config, store, control, plan).await,
    };
    found.unwrap_or_else(|error| Traffic {
        strategy: plan.dns.strategy,
        side: None,
        epoch: None,
        reason: format!("not known: {error}"),
    })
}

impl Traffic {
    /// For a person.
    pub(super) fn text(&self) -> String {
        format!("{}: {}", self.strategy, self.reason)
    }
}

async fn by_the_switch(store: &Store, control: &str, plan: &Plan) -> Result<Traffic, StepError> {
    let newest = dns_flip::newest_flip(store, control, &plan.name).await?;
    let side = newest.as_ref().map_or(Side::Primary, |flip| flip.side);
    let on = in_words(side);
    let reason = match &newest {
        None => format!("on {on}; nobody has flipped"),
        Some(flip) => format!("on {on} since epoch {} ({})", flip.epoch, flip.run),
    };
    Ok(Traffic { strategy: Strategy::Switch, side: Some(side), epoch: newest.map(|flip| flip.epoch), reason })
}

/// By the fence in the zone, and not by the records themselves: `lifeboat dns check` reads those.
async fn by_the_records(
    config: &SdkConfig,
    store: &Store,
    control: &str,
    plan: &Plan,
) -> Result<Traffic, StepError> {
    let records = lifeboat_runtime::records(store, control, plan).await?;
    let found = Zone::new(aws::route53(config)).read(plan, &[]).await?;
    let traffic = |side, epoch, reason| Traffic { strategy: Strategy::Records, side, epoch, reason };
    let Some(fence) = Fence::find(plan, &found)? else {
        return Ok(traffic(None, None, "where the records point; nobody has flipped".to_owned()));
    };
    let epoch = fence.epoch;
    let moved_to = |side: &Side| last_fence(&records, *side, epoch).digest == fence.digest;
    let side = [Side::Primary, Side::Recovery].into_iter().find(moved_to);
    Ok(match side {
        None => {
            let reason = format!(
                "epoch {epoch} has kept the records as they were, partly on either side, or has moved others than those of the \
                 plan as it is now"
            );
            traffic(None, Some(epoch), reason)
        }
        Some(side) if fence.index < fence.of => {
            let (index, of) = (fence.index, fence.of);
            let reason =
                format!("half-way to {}: epoch {epoch} has come to batch {index} of {of}", in_words(side));
            traffic(None, Some(epoch), reason)
        }
        Some(side) => traffic(Some(side), Some(epoch), format!("on {} since epoch {epoch}", in_words(side))),
    })
}

fn in_words(side: Side) -> &'static str {
    match side {
        Side::Primary => "the primary",
        Side::Recovery => "the recovery side",
    }
}
