//! Traffic that a hand-back was told to leave where it was, brought after the pen by the next one.

use lifeboat_ledger::{PenState, StreamProof};
use lifeboat_rules::dns::switch::FlipObject;
use lifeboat_rules::plan::{Side, Strategy};
use lifeboat_rules::{ErrorName, Outcome};
use serde_json::json;

use crate::after_run::{self, AfterRun, moved_in_words};
use crate::args::HandbackArgs;
use crate::aws;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Report, State};

/// The flip that has left the traffic on the recovery side, where a hand-back was told to keep it there. Under `records` that
/// is for the person who said so: whether a record was moved since is not known without Route 53.
pub(super) async fn traffic(
    after: &AfterRun<'_>,
    args: &HandbackArgs,
) -> Result<Option<FlipObject>, Failure> {
    if args.keep_records || after.plan.dns.strategy != Strategy::Switch {
        return Ok(None);
    }
    let newest = after.newest_flip().await.map_err(|error| {
        aws::step_failure(
            format!("could not read the newest flip of {}; nothing was done", after.plan.name),
            &error,
        )
    })?;
    Ok(newest.filter(|flip| flip.side == Side::Recovery))
}

/// Moves the traffic to the primary, under the epoch by which it has the pen: nothing is claimed and nobody loses a pen.
pub(super) async fn bring(
    after: &AfterRun<'_>,
    streams: &[StreamProof],
    flip: &FlipObject,
) -> Result<Report, Failure> {
    let plan = &after.plan;
    let epochs = streams.iter().filter_map(|stream| match stream.pen.state() {
        PenState::Open { epoch, .. } => Some(*epoch),
        _ => None,
    });
    let epoch = epochs.max().unwrap_or_default();
    let holder = after.holders_down_to(epoch).await?.pop().filter(|holder| holder.epoch == epoch);
    let holder = holder.ok_or_else(|| {
        let what = format!(
            "the primary of {} holds the pen under epoch {epoch}, which nobody has claimed",
            plan.name
        );
        Failure::new(Exit::Halted, format!("{what}; nothing was done"), "find out who opened it")
    })?;
    let next = "mend it, then run the same command again";
    after.look_at_traffic(Side::Primary, epoch, next).await?;
    after.agree(vec![
        format!(
            "This moves the traffic of {} back to the primary in {}, which holds the pen:",
            plan.name, plan.regions.primary
        ),
        format!("  epoch    {epoch}, of {} ({})", holder.run, after_run::came_to(&holder)),
        format!("  now      on the recovery side since epoch {} ({})", flip.epoch, flip.run),
        after.will_move(Side::Primary, epoch),
    ])?;
    let moved = after.move_traffic(Side::Primary, epoch, &holder.run).await;
    let moved = moved.map_err(|error| {
        let what = format!("the traffic of {} could not be moved back", plan.name);
        match error.name {
            ErrorName::Fenced => after.superseded(what, &error),
            _ => aws::step_failure(what, &error),
        }
    })?;
    let run = after_run::name("handback", lifeboat_runtime::now());
    let facts = json!({
        "by": after.by,
        "epoch": epoch,
        "finishes": holder.run,
        "traffic_was": flip,
        "traffic": moved,
    });
    let manifest = after.close(&run, Outcome::HandedBack, facts.clone()).await.map_err(|error| {
        let what =
            format!("the traffic of {} is moved back, and the manifest is not known to be stored", plan.name);
        Failure::new(Exit::Halted, what, "mend the cause; the traffic is where it is to be").because(&error)
    })?;
    Ok(Report {
        headline: format!(
            "the primary of {} holds the pen already; the traffic is moved back to it",
            plan.name
        ),
        details: vec![
            ("epoch", format!("{epoch}, of {}", holder.run)),
            moved_in_words(&moved),
            ("manifest", manifest.key.clone()),
        ],
        warnings: vec![after.not_asked(Side::Primary)],
        json: json!({
            "plan": plan.name,
            "handback": State::Done,
            "epoch": epoch,
            "run": run,
            "reason": after.args.word.reason,
            "facts": facts,
            "manifest": manifest,
        }),
        ..Report::default()
    })
}
