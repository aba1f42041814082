//! `lifeboat handback`: a person gives the pen back to the primary, under a new epoch.
//!
//! In this order: the claim, the fence (a recovery side that trades stops by itself, and the slots are free), the opens, the
//! traffic, the manifest. Every effect carries the epoch, so whatever a stopped run may still do counts for nothing, and
//! this command may be stopped anywhere: run again, it claims the next epoch and does all of it again. The manifest is the
//! last act, and until it is there no alarm starts a run.
//!
//! A ledger with leases is taken over first, and given to the primary once all that was acknowledged has been delivered: the
//! command waits for it as long as the plan says. Stopped meanwhile, it leaves leases that nobody holds; the next one
//! takes them over anew, and begins to wait anew for what has not come by then.

mod left_behind;

use dns_flip::Moved;
use jiff::Timestamp;
use ledger_verify::{Answer, Examined};
use lifeboat_ledger::{Holder as Side, PenState, StreamProof};
use lifeboat_rules::admission::Holder;
use lifeboat_rules::epoch::{Cause, Claim};
use lifeboat_rules::plan::Strategy;
use lifeboat_rules::recovered::Sealed;
use lifeboat_rules::{ErrorName, Outcome, Plan, StepError, plan};
use lifeboat_runtime::Store;
use serde_json::{Value, json};

use crate::after_run::{self, AfterRun, Closed, Compared, Keep, Kept};
use crate::args::HandbackArgs;
use crate::aws;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Report, State};
use crate::progress::Progress;

const UNTIL_FINISHED: &str = "until a hand-back has finished, no alarm starts a run";

pub(crate) async fn run(args: &HandbackArgs) -> Result<Report, Failure> {
    let after = AfterRun::begin(&args.after).await?;
    let AfterRun { plan, newest, .. } = &after;
    after.refuse_while_open(newest)?;
    let fenced = after.newest_fence().await?;
    let history = after.prove().await?;
    if primary_holds(newest, fenced, &history.streams) {
        if args.keep_records {
            return Ok(held_already(plan, newest, &history));
        }
        let compared = after.compare_since_the_primary().await?;
        compared.refuse(&after)?;
        return match left_behind::traffic(&after, &history.streams).await? {
            Some(why) => left_behind::bring(&after, &why, compared).await,
            None => Ok(held_already(plan, newest, &history)),
        };
    }
    let recovery = streams_of_recovery(&history.streams);
    if !recovery.is_empty() && !args.take_from_recovery {
        return Err(recovery_holds(plan, &recovery));
    }
    let epoch = after.next_epoch().await?;
    let compared = after.compare_since_the_primary().await?;
    let keep = if args.keep_records {
        Some(after.look_at_kept().await?)
    } else {
        compared.refuse(&after)?;
        let next = match plan.dns.strategy {
            Strategy::Switch => {
                "mend it, or say --keep-records and run the same command again later, which moves the traffic"
            }
            Strategy::Records => "mend it, or say --keep-records and see to the records yourself",
        };
        after.look_at_traffic(plan::Side::Primary, epoch, next).await?;
        None
    };
    after.agree(question(&after, epoch, &history.streams, keep))?;

    let now = lifeboat_runtime::now();
    let back = HandBack { after: &after, epoch, run: after_run::name("handback", now) };
    back.claim(now).await?;
    let opened = back.open(&history.streams).await?;
    let traffic = back.see_to_traffic(keep).await?;
    let facts = back.facts(&history.streams, &opened, &traffic);
    let manifest = back.close(facts.clone()).await?;
    Ok(done(&back, &opened, &traffic, compared, &manifest, facts))
}

/// What became of the traffic.
enum Traffic {
    Moved(Moved),
    Kept(Kept),
}

/// Whether nothing is left to do: every stream is open for the primary, no fence is newer than those opens (a hand-back's
/// own is as old as they are), and whoever claimed an epoch since has ended. (One that has not would go on under an epoch
/// newer than the opens'.)
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

fn question(after: &AfterRun<'_>, epoch: u64, streams: &[StreamProof], keep: Option<Keep>) -> Vec<String> {
    let AfterRun { plan, newest, .. } = after;
    let mut lines = vec![
        format!("This gives the pen of {} back to the primary in {}:", plan.name, plan.regions.primary),
        format!(
            "  epoch    {epoch}, after {} (run {}, {})",
            newest.epoch,
            newest.run,
            after_run::came_to(newest)
        ),
    ];
    if epoch > newest.epoch + 1 {
        lines.push(format!("  beyond   the flip of epoch {}, which nobody has claimed", epoch - 1));
    }
    lines.extend(streams.iter().map(|stream| {
        format!(
            "  opens    {}, which is {}, at {}",
            stream.stream,
            pen(stream.pen.state()),
            stream.through + 1
        )
    }));
    lines.push(match keep {
        Some(keep) => after.will_keep(keep, epoch),
        None => after.will_move(plan::Side::Primary, epoch),
    });
    lines
}

/// The state of a pen, for a person.
pub(crate) fn pen(state: &PenState) -> String {
    match state {
        PenState::Unopened => "not opened".to_owned(),
        PenState::Open { epoch, holder } => format!("open for the {holder} under epoch {epoch}"),
        PenState::Sealed { epoch, run } => format!("sealed by run {run} under epoch {epoch}"),
    }
}

/// A hand-back that acts.
struct HandBack<'a> {
    after: &'a AfterRun<'a>,
    epoch: u64,
    run: String,
}

impl HandBack<'_> {
    /// Claims the epoch. One that lies beyond a flip which nobody has claimed is claimed second: the successor of the newest, by
    /// which this hand-back and any run that was admitted when it looked shut each other out, comes first.
    async fn claim(&self, at: Timestamp) -> Result<(), Failure> {
        let successor = self.after.newest.epoch + 1;
        self.claim_one(successor.min(self.epoch), at, "nothing was done").await?;
        if self.epoch == successor {
            return Ok(());
        }
        let done = format!("epoch {successor} is claimed, and nothing else was done");
        self.claim_one(self.epoch, at, &done).await?;
        // Whoever was admitted under the first of the two and has claimed the next one by now may act before it looks for a newer
        // epoch; whoever claims from here on finds this one.
        let holders = self.after.holders_down_to(successor).await?;
        match holders.iter().find(|holder| holder.run != self.run) {
            None => Ok(()),
            Some(other) => {
                let error = StepError::fenced(format!("epoch {} is held by run {}", other.epoch, other.run));
                let epoch = self.epoch;
                let what = format!(
                    "somebody else has begun to act meanwhile; epoch {epoch} is claimed, and nothing else was done"
                );
                Err(self.after.superseded(what, &error))
            }
        }
    }

    /// Claims one epoch; `done` is what was done before it.
    async fn claim_one(&self, epoch: u64, at: Timestamp, done: &str) -> Result<(), Failure> {
        let AfterRun { store, plan, args, .. } = self.after;
        let claim = Claim { epoch, run: self.run.clone(), at, cause: Cause::HandBack };
        run_control::claim_epoch(store, &args.plan.control.bucket, &plan.name, &claim).await.map_err(
            |error| match error.name {
                ErrorName::Fenced => {
                    let what = format!("somebody else has claimed epoch {epoch} meanwhile; {done}");
                    self.after.superseded(what, &error)
                }
                ErrorName::Transient => Failure {
                    next: format!("run the same command again; {UNTIL_FINISHED}"),
                    ..aws::step_failure(format!("whether epoch {epoch} is claimed is not known"), &error)
                },
                _ => aws::step_failure(format!("could not claim epoch {epoch}; {done}"), &error),
            },
        )
    }

    async fn open(&self, streams: &[StreamProof]) -> Result<Vec<Sealed>, Failure> {
        let AfterRun { store, plan, .. } = self.after;
        let answer = self.give(store, plan, streams).await;
        let what = format!("epoch {} is claimed, and not every stream is open for the primary", self.epoch);
        match answer {
            Ok(Answer::Opened { streams }) => Ok(streams),
            // Half of it, or nothing: a stream has appeared that was not proven.
            Ok(Answer::HalfDone { reason, .. }) => {
                Err(Failure { cause: Some(reason), ..self.unfinished(what) })
            }
            Ok(Answer::Unproven(Examined { reason, .. })) => {
                let next = match plan.ledger.lease {
                    None => self.unfinished(what.clone()).next,
                    Some(_) => format!("{}; {UNTIL_FINISHED}", self.after.to_be_proven()),
                };
                Err(Failure { cause: Some(reason), ..Failure::new(Exit::Halted, what, next) })
            }
            // Deliveries that came after the proof, read again once nobody wrote any more.
            Ok(Answer::Broken(Examined { reason, .. })) => Err(Failure {
                cause: Some(reason),
                ..Failure::new(
                    Exit::Broken,
                    format!("{what}: the ledger is broken"),
                    "neither side may go on from it as it is: keep every object, and find out who wrote what is named",
                )
            }),
            Ok(other) => Err(Failure::defect(format!("{what}: the open answered {other:?}"))),
            Err(error) => Err(self.stopped(what, &error)),
        }
    }

    /// Asks for the pen until there is an answer. Of a ledger with leases entries may still be under way: what was taken over
    /// stays taken, under this epoch, and it is looked again, until they are there or the plan's wait is over, which is an
    /// answer as well (`Unproven`).
    async fn give(&self, store: &Store, plan: &Plan, streams: &[StreamProof]) -> Result<Answer, StepError> {
        let _progress = plan.ledger.lease.as_ref().map(|lease| {
            let seconds_max = lease.delivery_wait_seconds_max;
            Progress::show(format!(
                "waiting for deliveries, {seconds_max} s at most; stopped, the same command goes on:"
            ))
        });
        loop {
            match ledger_verify::hand_back(store, plan, self.epoch, &self.run, streams).await {
                Err(error) if error.name == ErrorName::NotReady => {}
                answer => return answer,
            }
        }
    }

    async fn see_to_traffic(&self, keep: Option<Keep>) -> Result<Traffic, Failure> {
        let (epoch, run) = (self.epoch, &self.run);
        let (seen_to, done) = match keep {
            Some(keep) => (self.after.keep_traffic(keep, epoch, run).await.map(Traffic::Kept), "kept"),
            None => {
                let moved = self.after.move_traffic(plan::Side::Primary, epoch, run, run).await;
                (moved.map(Traffic::Moved), "moved")
            }
        };
        seen_to.map_err(|error| {
            let traffic = format!("the traffic of {}", self.after.plan.name);
            let not_done = match error.name {
                ErrorName::Transient => format!("whether {traffic} is {done} is not known"),
                _ => format!("{traffic} is not {done}"),
            };
            let what = format!("the ledger is open for the primary under epoch {epoch}, and {not_done}");
            self.stopped(what, &error)
        })
    }

    fn facts(&self, before: &[StreamProof], opened: &[Sealed], traffic: &Traffic) -> Value {
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
            "by": self.after.by,
            "epoch": self.epoch,
            "run_is_over": self.after.args.run_is_over,
            "streams": streams,
            "traffic": match traffic {
                Traffic::Moved(moved) => json!(moved),
                Traffic::Kept(kept) => kept.facts(),
            },
        })
    }

    async fn close(&self, facts: Value) -> Result<Closed, Failure> {
        self.after.close(&self.run, Outcome::HandedBack, facts).await.map_err(|error| {
            let what = format!(
                "the ledger is open for the primary under epoch {}, the traffic is seen to, and the manifest is not \
                 known to be stored",
                self.epoch
            );
            self.stopped(what, &error)
        })
    }

    /// Where the hand-back was stopped after its claim.
    fn stopped(&self, what: String, error: &StepError) -> Failure {
        match error.name {
            ErrorName::Fenced => self.after.superseded(what, error),
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

fn done(
    back: &HandBack<'_>,
    opened: &[Sealed],
    traffic: &Traffic,
    compared: Compared,
    manifest: &Closed,
    facts: Value,
) -> Report {
    let plan = &back.after.plan;
    let streams: Vec<String> = opened.iter().map(|open| format!("{} at {}", open.stream, open.seq)).collect();
    let mut warnings = vec![
        "stacks that a run has launched in the recovery Region are still there; what they run writes nothing more"
            .to_owned(),
    ];
    warnings.extend(match traffic {
        Traffic::Moved(_) => Some(back.after.not_asked(plan::Side::Primary)),
        Traffic::Kept(kept) => kept.warning(back.after),
    });
    warnings.extend(compared.into_warnings());
    Report {
        headline: format!("the primary of {} in {} holds the pen", plan.name, plan.regions.primary),
        details: vec![
            ("epoch", format!("{}, run {}", back.epoch, back.run)),
            ("opened", streams.join(", ")),
            match traffic {
                Traffic::Moved(moved) => after_run::moved_in_words(moved),
                Traffic::Kept(kept) => kept.in_words(),
            },
            ("manifest", manifest.key.clone()),
        ],
        warnings,
        json: json!({
            "plan": plan.name,
            "handback": State::Done,
            "epoch": back.epoch,
            "run": back.run,
            "reason": back.after.args.word.reason,
            "facts": facts,
            "manifest": manifest,
        }),
        ..Report::default()
    }
}
