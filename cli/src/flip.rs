//! `lifeboat flip`: a person finishes a run that has opened the recovery side and has not moved the records.
//!
//! It is the run's own flip, done again: the same batch, the same fence, the epoch of the pen itself. Nothing is claimed, so
//! it may be stopped anywhere and run again, a run that is still going on does the same thing once more, and whoever is
//! newer wins.

use dns_flip::{Moved, move_records};
use lifeboat_ledger::{Holder as Pen, PenState, StreamProof};
use lifeboat_rules::dns::{Flip, Found, wanted};
use lifeboat_rules::plan::Side;
use lifeboat_rules::recovered::{Health, Sealed, judge};
use lifeboat_rules::{ErrorName, Outcome, Plan, StepError};
use serde_json::{Value, json};

use crate::after_run::{self, AfterRun, Closed, is_a_runs};
use crate::args::FlipArgs;
use crate::aws;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::handback::pen;
use crate::output::{Report, State};

/// What a flip's name begins with, before the hyphen.
const NAME: &str = "flip";
/// Objects below the names that flips have. A flip leaves one; a run that a person has given such a name, some dozens.
const OBJECTS_MAX: usize = 10_000;

pub(crate) async fn run(args: &FlipArgs) -> Result<Report, Failure> {
    let after = AfterRun::begin(&args.after).await?;
    let (plan, epoch) = (&after.plan, after.newest.epoch);
    if !is_a_runs(&after.newest) {
        return Err(no_run(&after));
    }
    let zone = after.zone();
    let next = "mend it, then run the same command again";
    let (found, flip) = after.look_at_zone(&zone, Side::Recovery, epoch, next).await?;
    if flip == Flip::Done {
        refuse_where_changed_since(&after, &found)?;
        if after.newest.outcome == Some(Outcome::Recovered) || was_closed(&after).await? {
            return Ok(moved_already(&after));
        }
    }
    after.refuse_while_open()?;
    let history = after.prove().await?;
    refuse_unless_recovery_holds(&after, &history.streams)?;
    let health = serving(&after, &history.streams).await?;
    after.agree(question(&after))?;
    refuse_where_outrun(&after).await?;

    let moved = move_records(&zone, plan, Side::Recovery, epoch).await;
    let moved = moved.map_err(|error| not_moved(&after, &error))?;
    let run = after_run::name(NAME, lifeboat_runtime::now());
    let facts = facts(&after, &moved, &health);
    let manifest = after.close(&run, Outcome::Recovered, facts.clone()).await.map_err(|error| {
        let what = format!(
            "the records of {} are moved under epoch {epoch}, and the manifest is not known to be stored",
            plan.dns.zone
        );
        let next =
            "mend the cause and run the same command again: it moves nothing twice, and leaves the manifest";
        Failure::new(Exit::Halted, what, next).because(&error)
    })?;
    Ok(done(&after, &run, &moved, &manifest, facts))
}

fn no_run(after: &AfterRun<'_>) -> Failure {
    let AfterRun { plan, newest, .. } = after;
    Failure::new(
        Exit::Halted,
        format!(
            "the newest epoch of {}, {}, is that of {}, which is no run: there is none to finish; nothing was done",
            plan.name, newest.epoch, newest.run
        ),
        "look with `lifeboat status`; if the primary is down, start a run by hand",
    )
}

/// Refuses where the fence says that this epoch has moved the records, and they are not what it moved them to: no batch of
/// this epoch will touch them again.
fn refuse_where_changed_since(after: &AfterRun<'_>, found: &[Found]) -> Result<(), Failure> {
    let plan = &after.plan;
    let changed: Vec<String> = wanted(plan, Side::Recovery)
        .into_iter()
        .filter(|record| !found.contains(&Found::Plain(record.clone())))
        .map(|record| format!("{} {}", record.name, record.kind))
        .collect();
    if changed.is_empty() {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Halted,
        format!(
            "epoch {} has moved the records of {}, and somebody has changed {} since; nothing was done",
            after.newest.epoch,
            plan.dns.zone,
            changed.join(", ")
        ),
        "find out who did and why; then put back the recovery side's values in Route 53 by hand, or give the pen back \
         with `lifeboat handback --take-from-recovery`",
    ))
}

/// Whether an earlier flip of this epoch has left its manifest. One that was stopped before has not, and is finished.
async fn was_closed(after: &AfterRun<'_>) -> Result<bool, Failure> {
    let (store, plan) = (&after.store, &after.plan.name);
    let evidence = &after.args.evidence.evidence_bucket;
    let found = async {
        for listed in store.list(evidence, &format!("{plan}/{NAME}-"), OBJECTS_MAX).await? {
            if !listed.key.ends_with("/manifest.json") {
                continue;
            }
            let manifest = store.get(evidence, &listed.key, None).await?.unwrap_or_default();
            let manifest: Value = serde_json::from_slice(&manifest).unwrap_or_default();
            if manifest["admitted"].is_null() && manifest["facts"]["epoch"] == json!(after.newest.epoch) {
                return Ok(true);
            }
        }
        Ok(false)
    };
    found.await.map_err(|error: StepError| {
        let what = format!("could not read the evidence of earlier flips of {plan}; nothing was done");
        aws::step_failure(what, &error)
    })
}

fn moved_already(after: &AfterRun<'_>) -> Report {
    let AfterRun { plan, newest, .. } = after;
    Report {
        headline: format!(
            "the records of {} are moved to the recovery side already; nothing was done",
            plan.name
        ),
        details: vec![("epoch", format!("{}, run {}", newest.epoch, newest.run))],
        json: json!({
            "plan": plan.name,
            "flip": State::DoneAlready,
            "epoch": newest.epoch,
            "finishes": newest.run,
        }),
        ..Report::default()
    }
}

/// Traffic goes only to a side that holds the whole pen, under the epoch that the batch will carry.
fn refuse_unless_recovery_holds(after: &AfterRun<'_>, streams: &[StreamProof]) -> Result<(), Failure> {
    let epoch = after.newest.epoch;
    let held = PenState::Open { epoch, holder: Pen::Recovery };
    let Some(other) = streams.iter().find(|stream| *stream.pen.state() != held) else {
        return Ok(());
    };
    Err(Failure::new(
        Exit::Halted,
        format!(
            "stream {} of {} is {}, and not open for the recovery under epoch {epoch}; nothing was done",
            other.stream,
            after.plan.name,
            pen(other.pen.state())
        ),
        "forward: start a new run by hand, whose epoch is greater. Back: `lifeboat handback`",
    ))
}

/// Asks the recovery side whether it serves: under the run's epoch, and through all that was just proven. That is at least
/// what the run's own step asks for, since the end of a stream lies behind its seal.
async fn serving(after: &AfterRun<'_>, streams: &[StreamProof]) -> Result<Health, Failure> {
    let (plan, epoch) = (&after.plan, after.newest.epoch);
    // As the Lambda asks: straight to the address in the plan, and a redirect is an answer, not a way.
    let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build();
    let http = http.map_err(|error| {
        let next = "look at the certificates of this machine";
        Failure::new(Exit::Refused, "no HTTP client could be made; nothing was done", next).because(&error)
    })?;
    let proven: Vec<Sealed> =
        streams.iter().map(|stream| Sealed { stream: stream.stream.clone(), seq: stream.through }).collect();
    let health = health_check::health(&http, plan).await;
    health.and_then(|health| judge(&health, epoch, &proven).map(|()| health)).map_err(|error| {
        let what = format!(
            "the recovery side of {} is not seen to serve under epoch {epoch}; nothing was done",
            plan.name
        );
        let next = format!(
            "see that it runs, and that this machine reaches {}; then run the same command again",
            plan.probe.recovery
        );
        Failure::new(Exit::Halted, what, next).because(&error)
    })
}

fn question(after: &AfterRun<'_>) -> Vec<String> {
    let AfterRun { plan, newest, .. } = after;
    vec![
        format!("This moves the traffic of {} to the recovery side in {}:", plan.name, plan.regions.recovery),
        format!("  epoch    {}, of run {} ({})", newest.epoch, newest.run, after.came_to()),
        format!("  serves   {}", plan.probe.recovery),
        format!("  records  {} to the recovery side's values, in {}", plan.dns.records.len(), plan.dns.zone),
    ]
}

/// The proof and the person have taken their time: as every step of a run does, asks once more whether its epoch is still
/// the newest. A courtesy; what makes a late batch harmless is the fence.
async fn refuse_where_outrun(after: &AfterRun<'_>) -> Result<(), Failure> {
    let (plan, epoch) = (&after.plan, after.newest.epoch);
    let control = &after.args.plan.control.bucket;
    let newest = run_control::newest_epoch(&after.store, control, &plan.name).await.map_err(|error| {
        let what = format!("could not read the newest epoch of {} once more; nothing was done", plan.name);
        aws::step_failure(what, &error)
    })?;
    if newest <= epoch {
        return Ok(());
    }
    let error = StepError::fenced(format!("epoch {newest} is claimed; the flip is for epoch {epoch}"));
    Err(after.superseded("somebody else has begun to act meanwhile; nothing was done".to_owned(), &error))
}

fn not_moved(after: &AfterRun<'_>, error: &StepError) -> Failure {
    let records = format!("the records of {}", after.plan.dns.zone);
    match error.name {
        ErrorName::Fenced => after.superseded(format!("somebody newer has moved {records}"), error),
        ErrorName::Transient => aws::step_failure(format!("whether {records} are moved is not known"), error),
        _ => aws::step_failure(format!("{records} could not be moved"), error),
    }
}

fn facts(after: &AfterRun<'_>, moved: &Moved, health: &Health) -> Value {
    json!({
        "by": after.by,
        "epoch": after.newest.epoch,
        "finishes": after.newest.run,
        "run_is_over": after.args.run_is_over,
        "records": { "before": moved.before, "changes": moved.changes },
        "health": health,
    })
}

fn done(after: &AfterRun<'_>, run: &str, moved: &Moved, manifest: &Closed, facts: Value) -> Report {
    let AfterRun { plan, newest, .. } = after;
    Report {
        headline: format!(
            "the records of {} are moved to the recovery side in {}",
            plan.name, plan.regions.recovery
        ),
        details: vec![
            ("epoch", format!("{}, of run {}", newest.epoch, newest.run)),
            (
                "records",
                match moved.changes.len() {
                    0 => "were moved by an earlier batch of this epoch".to_owned(),
                    changes => format!("moved, {changes} changes in one batch"),
                },
            ),
            ("manifest", manifest.key.clone()),
        ],
        warnings: vec![cached(plan)],
        json: json!({
            "plan": plan.name,
            "flip": State::Done,
            "epoch": newest.epoch,
            "run": run,
            "finishes": newest.run,
            "reason": after.args.word.reason,
            "facts": facts,
            "manifest": manifest,
        }),
        ..Report::default()
    }
}

/// What a run would have asked the resolver about, and this command does not.
fn cached(plan: &Plan) -> String {
    format!(
        "no DNS answer was asked for: resolvers may give the old values until their time to live ends; see that {} \
         answers from the recovery side",
        plan.dns.records.iter().map(|record| record.name.as_str()).collect::<Vec<_>>().join(", ")
    )
}
