//! Traffic that does not follow the pen though the primary holds it, brought after it under an epoch of its own: where a
//! hand-back was told to keep it, or where the newest flip is one that no epoch accounts for.

use lifeboat_ledger::{PenState, StreamProof};
use lifeboat_rules::admission::GENESIS_EPOCH;
use lifeboat_rules::dns::{Fence, not_on_primary};
use lifeboat_rules::plan::{Side, Strategy};
use lifeboat_rules::{Outcome, StepError};
use serde_json::json;

use super::HandBack;
use crate::after_run::{self, AfterRun, Compared, moved_in_words};
use crate::aws;
use crate::failure::Failure;
use crate::output::{Report, State};

/// Why the traffic is to be brought after the pen, if it is.
pub(super) async fn traffic(
    after: &AfterRun<'_>,
    streams: &[StreamProof],
) -> Result<Option<String>, Failure> {
    let looked = match after.plan.dns.strategy {
        Strategy::Switch => by_the_flips(after).await,
        Strategy::Records => by_the_zone(after, streams).await,
    };
    looked.map_err(|error| {
        let what = format!("could not see where the traffic of {} is; nothing was done", after.plan.name);
        aws::step_failure(what, &error)
    })
}

async fn by_the_flips(after: &AfterRun<'_>) -> Result<Option<String>, StepError> {
    let Some(flip) = after.newest_flip().await? else { return Ok(None) };
    let claimed = after.newest.epoch;
    Ok(match flip.object {
        Err(_) => Some(format!("nobody knows where: {} is no flip object", flip.key)),
        Ok(_) if flip.epoch > claimed => {
            Some(format!("by {}, of an epoch that nobody has claimed: the newest is {claimed}", flip.key))
        }
        Ok(object) if object.side == Side::Recovery => {
            Some(format!("on the recovery side since epoch {} ({})", object.epoch, object.run))
        }
        Ok(_) => None,
    })
}

/// A pen that a hand-back has given has left a fence, unless Route 53 would not take it.
async fn by_the_zone(after: &AfterRun<'_>, streams: &[StreamProof]) -> Result<Option<String>, StepError> {
    let epochs = streams.iter().filter_map(|stream| match stream.pen.state() {
        PenState::Open { epoch, .. } => Some(*epoch),
        _ => None,
    });
    let pen = epochs.max().unwrap_or_default();
    if pen <= GENESIS_EPOCH {
        return Ok(None);
    }
    let (plan, records) = (&after.plan, &after.records);
    let found = after.zone.read(plan, records).await?;
    if Fence::find(plan, &found)?.is_none_or(|fence| fence.epoch < pen) {
        return Ok(Some(format!(
            "as older epochs have left it: the fence of epoch {pen} is not in {}",
            plan.dns.zone
        )));
    }
    // What a version of the plan has moved need not be what the plan as it is now would have moved.
    Ok(match not_on_primary(records, &found) {
        0 => None,
        count => Some(format!("not on the primary with {count} of {} records", records.len())),
    })
}

/// Moves the traffic to the primary, which keeps the pen: no stream is opened, and nobody loses one.
pub(super) async fn bring(after: &AfterRun<'_>, why: &str, compared: Compared) -> Result<Report, Failure> {
    let plan = &after.plan;
    let epoch = after.next_epoch().await?;
    let next = "mend it, then run the same command again";
    after.look_at_traffic(Side::Primary, epoch, next).await?;
    after.agree(vec![
        format!(
            "This moves the traffic of {} back to the primary in {}, which holds the pen:",
            plan.name, plan.regions.primary
        ),
        format!("  epoch    {epoch}, after {} ({})", after.newest.epoch, after_run::came_to(&after.newest)),
        format!("  now      {why}"),
        after.will_move(Side::Primary, epoch),
    ])?;
    let now = lifeboat_runtime::now();
    let back = HandBack { after, epoch, run: after_run::name("handback", now) };
    back.claim(now).await?;
    let moved = after.move_traffic(Side::Primary, epoch, &back.run, &back.run).await.map_err(|error| {
        let what =
            format!("epoch {epoch} is claimed, and the traffic of {} is not known to be moved", plan.name);
        back.stopped(what, &error)
    })?;
    let facts = json!({ "by": after.by, "epoch": epoch, "traffic_was": why, "traffic": moved });
    let manifest = after.close(&back.run, Outcome::HandedBack, facts.clone()).await.map_err(|error| {
        let what =
            format!("the traffic of {} is moved back, and the manifest is not known to be stored", plan.name);
        back.stopped(what, &error)
    })?;
    let mut warnings = vec![after.not_asked(Side::Primary)];
    warnings.extend(compared.into_warnings());
    Ok(Report {
        headline: format!(
            "the primary of {} holds the pen already; the traffic is moved back to it",
            plan.name
        ),
        details: vec![
            ("epoch", format!("{epoch}, run {}", back.run)),
            moved_in_words(&moved),
            ("manifest", manifest.key.clone()),
        ],
        warnings,
        json: json!({
            "plan": plan.name,
            "handback": State::Done,
            "epoch": epoch,
            "run": back.run,
            "reason": after.args.word.reason,
            "facts": facts,
            "manifest": manifest,
        }),
        ..Report::default()
    })
}
