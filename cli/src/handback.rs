//! `lifeboat handback`: a person gives the pen back to the primary, under a new epoch.
//!
//! Every effect carries that epoch, so whatever a stopped run may still do counts for nothing, and this command may be
//! stopped anywhere: run again, it claims the next epoch and does all of it again. The manifest is the last act, and
//! until it is there no alarm starts a run.

use dns_flip::{Moved, Zone, move_records};
use jiff::Timestamp;
use ledger_verify::{Answer, Examined};
use lifeboat_ledger::{Holder as Side, PenState, StreamProof};
use lifeboat_rules::admission::Holder;
use lifeboat_rules::dns::{Flip, decide};
use lifeboat_rules::epoch::{Cause, Claim};
use lifeboat_rules::evidence::Manifest;
use lifeboat_rules::recovered::Sealed;
use lifeboat_rules::{ErrorName, Outcome, Plan, StepError, plan};
use lifeboat_runtime::Store;
use serde_json::{Value, json};

use crate::args::HandbackArgs;
use crate::aws;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Report, State, one_line};
use crate::person;
use crate::progress::Progress;
use crate::uploaded::uploaded;

const UNTIL_FINISHED: &str = "until a hand-back has finished, no alarm starts a run";

pub(crate) async fn run(args: &HandbackArgs) -> Result<Report, Failure> {
    if !args.yes && !person::can_be_asked() {
        let next = "say --yes, or run it where it can ask you";
        return Err(Failure::new(Exit::Usage, "there is no terminal to ask on; nothing was done", next));
    }
    let by = person::name(&args.word)?;
    let config = aws::config(&args.plan.aws, None).await?;
    let (store, control) = (Store::new(&config), &args.plan.control.bucket);
    let evidence = &args.evidence.evidence_bucket;
    let plan = uploaded(&store, control, &args.plan.name).await?;
    let zone = (!args.keep_records).then(|| Zone { route53: aws::route53(&config) });

    let newest = newest(&store, control, evidence, &plan).await?;
    if has_no_manifest(&newest) && !args.run_is_over {
        return Err(not_over(&plan, &newest));
    }
    let fenced = run_control::newest_fence(&store, &plan.ledger.bucket).await.map_err(|error| {
        let what = format!("could not list the fences in s3://{}; nothing was done", plan.ledger.bucket);
        aws::step_failure(what, &error)
    })?;
    let history = prove(&store, &plan).await?;
    if primary_holds(&newest, fenced, &history.streams) {
        return Ok(held_already(&plan, &newest, &history));
    }
    let recovery = streams_of_recovery(&history.streams);
    if !recovery.is_empty() && !args.take_from_recovery {
        return Err(recovery_holds(&plan, &recovery));
    }
    let epoch = newest.epoch + 1;
    if let Some(zone) = &zone {
        look_at_zone(zone, &plan, epoch).await?;
    }
    if !args.yes && !person::agrees(&question(&plan, &newest, &history.streams, args, &by)) {
        let next = "look with `lifeboat status`, then run it again";
        return Err(Failure::new(Exit::Halted, "it was not agreed to; nothing was done", next));
    }

    let now = lifeboat_runtime::now();
    let back = HandBack { store: &store, plan: &plan, epoch, run: name(now) };
    back.claim(control, now).await?;
    let opened = back.open(&history.streams).await?;
    let moved = match &zone {
        Some(zone) => Some(back.move_records(zone).await?),
        None => None,
    };
    let facts = back.facts(&by, args.run_is_over, &history.streams, &opened, moved.as_ref());
    let manifest = back.close(evidence, &args.word.reason, facts.clone()).await?;
    Ok(done(&back, &opened, moved.as_ref(), &manifest, &args.word.reason, facts))
}

/// Who holds the newest epoch.
async fn newest(store: &Store, control: &str, evidence: &str, plan: &Plan) -> Result<Holder, Failure> {
    let holders = run_control::holders(store, control, evidence, &plan.name, |_| true).await;
    let holders = holders.map_err(|error| {
        aws::step_failure(
            format!("could not read the newest epoch of {}; nothing was done", plan.name),
            &error,
        )
    })?;
    holders.into_iter().next().ok_or_else(|| {
        Failure::new(
            Exit::Halted,
            format!("no epoch was ever claimed for {}, so nobody has the pen; nothing was done", plan.name),
            "open its ledger with `lifeboat init`",
        )
    })
}

/// Whether a run holds the epoch that may be going on. A hand-back without a manifest was stopped, and is finished by
/// another one; the genesis has none at all.
fn has_no_manifest(newest: &Holder) -> bool {
    newest.outcome.is_none() && matches!(newest.cause, Cause::Alarm | Cause::Operator)
}

fn not_over(plan: &Plan, newest: &Holder) -> Failure {
    let Holder { run, epoch, .. } = newest;
    Failure::new(
        Exit::Halted,
        format!(
            "run {run} (epoch {epoch}) of {} has no manifest: it may be going on; nothing was done",
            plan.name
        ),
        format!(
            "look at it: `aws stepfunctions describe-execution --execution-arn arn:aws:states:{}:ACCOUNT:execution:\
             STATE-MACHINE:{run}`. While it says RUNNING, wait, or stop it with `aws stepfunctions stop-execution`; then \
             say --run-is-over",
            plan.regions.recovery
        ),
    )
}

/// Proves the whole ledger: the pen is not given to anybody on a ledger that is not whole.
async fn prove(store: &Store, plan: &Plan) -> Result<Examined, Failure> {
    let progress = Progress::show(format!("proving the ledger of {}, every entry", plan.name));
    let answer = ledger_verify::verify_history(store, plan).await;
    drop(progress);
    let ledger = format!("s3://{}/{}", plan.ledger.bucket, plan.ledger.prefix);
    let answer = answer.map_err(|error| {
        aws::step_failure(format!("could not read the ledger {ledger}; nothing was done"), &error)
    })?;
    match answer {
        Answer::Proven(examined) => Ok(examined),
        Answer::Broken(examined) => Err(Failure {
            cause: Some(examined.reason),
            ..Failure::new(
                Exit::Broken,
                format!(
                    "the ledger {ledger} is broken, {} findings; nothing was done",
                    examined.findings_count
                ),
                "neither side may go on from it as it is: keep every object, and find out who wrote what is named",
            )
        }),
        Answer::Unproven(examined) => Err(Failure {
            cause: Some(examined.reason),
            ..Failure::new(
                Exit::Unproven,
                format!(
                    "the ledger {ledger} could not be proven, {} findings; nothing was done",
                    examined.findings_count
                ),
                "see that every object can be read and every stream of the plan is opened, then run it again",
            )
        }),
        other => Err(Failure::defect(format!("the proof of {ledger} answered {other:?}"))),
    }
}

/// Whether nothing is left to do: every stream is open for the primary, no fence came after those opens, and whoever
/// claimed an epoch since has ended. (One that has not would go on under an epoch newer than the opens'.)
fn primary_holds(newest: &Holder, fenced: u64, streams: &[StreamProof]) -> bool {
    let ended = newest.outcome.is_some() || newest.cause == Cause::Genesis;
    ended
        && streams.iter().all(|stream| match stream.pen.state() {
            PenState::Open { epoch, holder: Side::Primary } => fenced <= *epoch,
            _ => false,
        })
}

fn held_already(plan: &Plan, newest: &Holder, history: &Examined) -> Report {
    Report {
        headline: format!("the primary holds the pen of {} already; nothing was done", plan.name),
        details: vec![
            ("epoch", format!("{}, run {}", newest.epoch, newest.run)),
            ("proven", history.reason.clone()),
        ],
        json: json!({
            "plan": plan.name,
            "handback": State::DoneAlready,
            "epoch": newest.epoch,
            "run": newest.run,
            "streams": history.streams.iter().map(|stream| &stream.stream).collect::<Vec<_>>(),
        }),
        ..Report::default()
    }
}

/// The streams that the recovery side holds, each with its epoch.
fn streams_of_recovery(streams: &[StreamProof]) -> Vec<(&str, u64)> {
    let held = streams.iter().filter_map(|stream| match stream.pen.state() {
        PenState::Open { epoch, holder: Side::Recovery } => Some((stream.stream.as_str(), *epoch)),
        _ => None,
    });
    held.collect()
}

fn recovery_holds(plan: &Plan, streams: &[(&str, u64)]) -> Failure {
    let streams: Vec<String> =
        streams.iter().map(|(stream, epoch)| format!("{stream} (epoch {epoch})")).collect();
    Failure::new(
        Exit::Halted,
        format!(
            "the recovery side of {} holds the pen of {}, and may be serving; nothing was done",
            plan.name,
            streams.join(", ")
        ),
        "if it is to be taken from there, say --take-from-recovery; `lifeboat handback --help` says what that does",
    )
}

/// Asks the zone before anything is done, so that a missing permission is not found out half-way. Nothing rests on it: the
/// batch itself compares and swaps.
async fn look_at_zone(zone: &Zone, plan: &Plan, epoch: u64) -> Result<Flip, Failure> {
    let found = zone.read(plan).await;
    found.and_then(|found| decide(plan, plan::Side::Primary, epoch, &found)).map_err(|error| {
        let what = format!("the records of {} could not be moved; nothing was done", plan.dns.zone);
        match error.name {
            ErrorName::Fenced => superseded(plan, what, &error),
            _ => Failure {
                next: "mend it, or say --keep-records and see to the records yourself".to_owned(),
                ..aws::step_failure(what, &error)
            },
        }
    })
}

fn question(plan: &Plan, newest: &Holder, streams: &[StreamProof], args: &HandbackArgs, by: &str) -> String {
    let came_to = newest.outcome.map_or("no manifest", Outcome::as_str);
    let mut lines = vec![
        format!("This gives the pen of {} back to the primary in {}:", plan.name, plan.regions.primary),
        format!("  epoch    {}, after {} (run {}, {came_to})", newest.epoch + 1, newest.epoch, newest.run),
    ];
    lines.extend(streams.iter().map(|stream| {
        format!(
            "  opens    {}, which is {}, at {}",
            stream.stream,
            pen(stream.pen.state()),
            stream.through + 1
        )
    }));
    lines.push(match args.keep_records {
        true => "  records  stay as they are".to_owned(),
        false => {
            format!("  records  {} to the primary's values, in {}", plan.dns.records.len(), plan.dns.zone)
        }
    });
    lines.push(format!("  word     {}: {}", one_line(by), one_line(&args.word.reason)));
    lines.push("Go on?".to_owned());
    lines.join("\n")
}

/// The state of a pen, for a person.
pub(crate) fn pen(state: &PenState) -> String {
    match state {
        PenState::Unopened => "not opened".to_owned(),
        PenState::Open { epoch, holder } => format!("open for the {holder} under epoch {epoch}"),
        PenState::Sealed { epoch, run } => format!("sealed by run {run} under epoch {epoch}"),
    }
}

/// What the hand-back is called, as a run is by its execution: the moment for people, and digits against a second one in
/// the same second.
fn name(now: Timestamp) -> String {
    format!("handback-{}-{:06x}", now.strftime("%Y%m%dT%H%M%SZ"), fastrand::u32(..1 << 24))
}

fn superseded(plan: &Plan, what: String, error: &StepError) -> Failure {
    let next =
        format!("see with `lifeboat status --plan {}` who acts, before anything else is done", plan.name);
    Failure::new(Exit::Superseded, what, next).because(error)
}

/// A hand-back that acts.
struct HandBack<'a> {
    store: &'a Store,
    plan: &'a Plan,
    epoch: u64,
    run: String,
}

impl HandBack<'_> {
    async fn claim(&self, control: &str, at: Timestamp) -> Result<(), Failure> {
        let claim = Claim { epoch: self.epoch, run: self.run.clone(), at, cause: Cause::HandBack };
        run_control::claim_epoch(self.store, control, &self.plan.name, &claim).await.map_err(|error| {
            let epoch = self.epoch;
            match error.name {
                ErrorName::Fenced => {
                    let what = format!("somebody else has claimed epoch {epoch} meanwhile; nothing was done");
                    superseded(self.plan, what, &error)
                }
                ErrorName::Transient => Failure {
                    next: format!("run the same command again; {UNTIL_FINISHED}"),
                    ..aws::step_failure(format!("whether epoch {epoch} is claimed is not known"), &error)
                },
                _ => aws::step_failure(format!("could not claim epoch {epoch}; nothing was done"), &error),
            }
        })
    }

    async fn open(&self, streams: &[StreamProof]) -> Result<Vec<Sealed>, Failure> {
        let answer = ledger_verify::hand_back(self.store, self.plan, self.epoch, &self.run, streams).await;
        let what = format!("epoch {} is claimed, and not every stream is open for the primary", self.epoch);
        match answer {
            Ok(Answer::Opened { streams }) => Ok(streams),
            Ok(Answer::HalfDone { reason, .. }) => {
                Err(Failure { cause: Some(reason), ..self.unfinished(what) })
            }
            Ok(other) => Err(Failure::defect(format!("{what}: the open answered {other:?}"))),
            Err(error) => Err(self.stopped(what, &error)),
        }
    }

    async fn move_records(&self, zone: &Zone) -> Result<Moved, Failure> {
        move_records(zone, self.plan, plan::Side::Primary, self.epoch).await.map_err(|error| {
            let records = format!("the records of {}", self.plan.dns.zone);
            let not_moved = match error.name {
                ErrorName::Transient => format!("whether {records} are moved is not known"),
                _ => format!("{records} are not moved"),
            };
            let what =
                format!("the ledger is open for the primary under epoch {}, and {not_moved}", self.epoch);
            self.stopped(what, &error)
        })
    }

    fn facts(
        &self,
        by: &str,
        run_is_over: bool,
        before: &[StreamProof],
        opened: &[Sealed],
        moved: Option<&Moved>,
    ) -> Value {
        let streams: Vec<Value> = opened
            .iter()
            .map(|open| {
                let taken_from = before.iter().find(|proof| proof.stream == open.stream);
                json!({
                    "stream": open.stream,
                    "seq": open.seq,
                    "taken_from": taken_from.map(|proof| proof.pen.state()),
                })
            })
            .collect();
        json!({
            "by": by,
            "epoch": self.epoch,
            "run_is_over": run_is_over,
            "streams": streams,
            "records": match moved {
                Some(moved) => json!({ "kept": false, "before": moved.before, "changes": moved.changes }),
                None => json!({ "kept": true }),
            },
        })
    }

    async fn close(&self, evidence: &str, reason: &str, facts: Value) -> Result<Closed, Failure> {
        let manifest = Manifest {
            plan: self.plan.name.clone(),
            run: self.run.clone(),
            admitted: None,
            outcome: Outcome::HandedBack,
            reason: reason.to_owned(),
            closed_at: lifeboat_runtime::now(),
            facts,
            records: Vec::new(),
        };
        let stored = run_control::put_manifest(self.store, evidence, manifest).await.map_err(|error| {
            let what = format!(
                "the ledger is open for the primary under epoch {}, the records are seen to, and the manifest is not \
                 known to be stored",
                self.epoch
            );
            self.stopped(what, &error)
        })?;
        Ok(Closed { key: stored.key, sha256: stored.sha256 })
    }

    /// Where the hand-back was stopped after its claim.
    fn stopped(&self, what: String, error: &StepError) -> Failure {
        match error.name {
            ErrorName::Fenced => superseded(self.plan, what, error),
            _ => self.unfinished(what).because(error),
        }
    }

    fn unfinished(&self, what: String) -> Failure {
        let next = format!(
            "mend the cause and run the same command again: it finishes it, under the next epoch; {UNTIL_FINISHED}"
        );
        Failure::new(Exit::Halted, what, next)
    }
}

/// The stored manifest.
struct Closed {
    key: String,
    sha256: String,
}

fn done(
    back: &HandBack<'_>,
    opened: &[Sealed],
    moved: Option<&Moved>,
    manifest: &Closed,
    reason: &str,
    facts: Value,
) -> Report {
    let plan = back.plan;
    let streams: Vec<String> = opened.iter().map(|open| format!("{} at {}", open.stream, open.seq)).collect();
    let mut warnings = vec![
        "stacks that a run has launched in the recovery Region are still there; what they run writes nothing more"
            .to_owned(),
    ];
    if moved.is_none() {
        warnings.push(format!(
            "the records of {} were kept: a batch of a stopped run that arrives late could still move them",
            plan.dns.zone
        ));
    }
    Report {
        headline: format!("the primary of {} in {} holds the pen", plan.name, plan.regions.primary),
        details: vec![
            ("epoch", format!("{}, run {}", back.epoch, back.run)),
            ("opened", streams.join(", ")),
            (
                "records",
                match moved {
                    Some(moved) => format!("moved, {} changes in one batch", moved.changes.len()),
                    None => "kept".to_owned(),
                },
            ),
            ("manifest", manifest.key.clone()),
        ],
        warnings,
        json: json!({
            "plan": plan.name,
            "handback": State::Done,
            "epoch": back.epoch,
            "run": back.run,
            "reason": reason,
            "facts": facts,
            "manifest": { "key": manifest.key, "sha256": manifest.sha256 },
        }),
        ..Report::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_moment_and_differ_within_it() {
        let now = "2026-11-23T12:00:00.5Z".parse().unwrap();
        let names = [name(now), name(now)];
        assert!(names[0].starts_with("handback-20261123T120000Z-"), "{names:?}");
        assert_eq!(names[0].len(), "handback-20261123T120000Z-".len() + 6);
    }
}
