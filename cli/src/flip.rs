//! `lifeboat flip`: a person finishes a run that has opened the recovery side and has not moved the traffic.
//!
//! It is the run's own flip, done again: under `switch` the same object, under `records` the same batches and the same fence,
//! and the epoch of the pen itself. Nothing is claimed, so it may be stopped anywhere and run again, a run that is still going
//! on does the same thing once more, and whoever is newer wins.

use dns_flip::Moved;
use lifeboat_ledger::{Holder as Pen, PenState, StreamProof};
use lifeboat_rules::admission::Holder;
use lifeboat_rules::plan::Side;
use lifeboat_rules::recovered::{Health, Sealed, judge};
use lifeboat_rules::{ErrorName, Outcome, Plan, StepError};
use serde_json::{Value, json};

use crate::after_run::{AfterRun, Closed, Compared, Moves, came_to, few, is_a_runs, moved_in_words};
use crate::args::FlipArgs;
use crate::aws;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::handback::pen;
use crate::output::{Report, State};

pub(crate) async fn run(args: &FlipArgs) -> Result<Report, Failure> {
    let after = AfterRun::begin(&args.after).await?;
    // Whatever the pen's epoch is, this holder's is no older: told before the proof, which takes its time.
    after.refuse_while_open(&after.newest)?;
    let history = after.prove().await?;
    let begun = Begun::find(&after, &history.streams).await?;
    let epoch = begun.by.epoch;
    let compared = after.compare(std::slice::from_ref(&begun.by)).await?;
    compared.refuse(&after)?;
    let next = "mend it, then run the same command again";
    match after.look_at_traffic(Side::Recovery, epoch, next).await? {
        Moves::Undone(changed) => return Err(begun.changed_since(&changed)),
        Moves::Done if begun.by.outcome == Some(Outcome::Recovered) => return Ok(begun.moved_already()),
        Moves::Done | Moves::ToDo => {}
    }
    let health = begun.serving(&history.streams).await?;
    after.agree(begun.question())?;
    begun.refuse_where_outrun().await?;

    let command = run_control::flip_name(epoch);
    let moved = after.move_traffic(Side::Recovery, epoch, &begun.by.run, &command).await;
    let moved = moved.map_err(|error| not_moved(&after, &error))?;
    let facts = begun.facts(&moved, &health);
    let manifest = begun.close(facts.clone()).await?;
    Ok(begun.done(&moved, compared, &manifest, facts))
}

/// What a run has begun: the recovery side holds every stream under its epoch.
struct Begun<'a> {
    after: &'a AfterRun<'a>,
    /// The run, as the holder of its epoch.
    by: Holder,
    /// Whoever has claimed an epoch since, the newest first, and has taken the pen of no stream.
    newer: Vec<Holder>,
}

impl<'a> Begun<'a> {
    /// Finds the run under whose epoch the pen is, and sees to it that nobody newer can be about to act. Newer epochs that
    /// were claimed and came to nothing (a run stood down, a hand-back failed before its fence) are in nobody's way: no
    /// control entry of theirs counts in any stream, or the pen would not be as it is.
    async fn find(after: &'a AfterRun<'a>, streams: &[StreamProof]) -> Result<Self, Failure> {
        let epoch = epoch_of_recovery(streams).ok_or_else(|| not_held(&after.plan, streams))?;
        let mut newer = after.holders_down_to(epoch).await?;
        let by = newer.pop().filter(|holder| holder.epoch == epoch && is_a_runs(holder));
        let by = by.ok_or_else(|| no_run(&after.plan, epoch))?;
        for holder in newer.iter().chain([&by]) {
            after.refuse_while_open(holder)?;
        }
        let fenced = after.newest_fence().await?;
        if fenced > epoch {
            return Err(fenced_since(&after.plan, epoch, fenced));
        }
        Ok(Self { after, by, newer })
    }
}

/// The epoch under which the recovery side holds every stream, if it does.
fn epoch_of_recovery(streams: &[StreamProof]) -> Option<u64> {
    let mut epochs = streams.iter().map(|stream| match stream.pen.state() {
        PenState::Open { epoch, holder: Pen::Recovery } => Some(*epoch),
        _ => None,
    });
    let first = epochs.next()??;
    epochs.all(|epoch| epoch == Some(first)).then_some(first)
}

/// Traffic goes only to a side that holds the whole pen, under the epoch that the batch will carry.
fn not_held(plan: &Plan, streams: &[StreamProof]) -> Failure {
    let held_by = |side: Pen| {
        let held = move |state: &PenState| matches!(state, PenState::Open { holder, .. } if *holder == side);
        move |stream: &StreamProof| held(stream.pen.state())
    };
    if streams.iter().all(held_by(Pen::Primary)) {
        return Failure::new(
            Exit::Halted,
            format!(
                "the primary of {} holds the pen: there is no run to finish; nothing was done",
                plan.name
            ),
            "if the primary is down, start a run by hand",
        );
    }
    let back = match streams.iter().any(held_by(Pen::Recovery)) {
        true => "lifeboat handback --take-from-recovery",
        false => "lifeboat handback",
    };
    let states: Vec<String> =
        streams.iter().map(|stream| format!("{} is {}", stream.stream, pen(stream.pen.state()))).collect();
    Failure::new(
        Exit::Halted,
        format!(
            "the recovery side of {} does not hold every stream under one epoch: {}; nothing was done",
            plan.name,
            states.join(", ")
        ),
        format!("forward: start a new run by hand, whose epoch is greater. Back: `{back}`"),
    )
}

fn no_run(plan: &Plan, epoch: u64) -> Failure {
    Failure::new(
        Exit::Halted,
        format!(
            "the recovery side of {} holds the pen under epoch {epoch}, which no run has claimed: there is none to finish; \
             nothing was done",
            plan.name
        ),
        "find out who opened it; back: `lifeboat handback --take-from-recovery`",
    )
}

fn fenced_since(plan: &Plan, epoch: u64, fenced: u64) -> Failure {
    Failure::new(
        Exit::Halted,
        format!(
            "epoch {fenced} has fenced the recovery side of {}, which writes nothing more under epoch {epoch}; nothing was \
             done",
            plan.name
        ),
        "forward: start a new run by hand, whose epoch is greater. Back: `lifeboat handback --take-from-recovery`",
    )
}

fn not_moved(after: &AfterRun<'_>, error: &StepError) -> Failure {
    let traffic = format!("the traffic of {}", after.plan.name);
    match error.name {
        ErrorName::Fenced => after.superseded(format!("somebody newer has moved {traffic}"), error),
        ErrorName::Transient => aws::step_failure(format!("whether {traffic} is moved is not known"), error),
        _ => aws::step_failure(format!("{traffic} could not be moved"), error),
    }
}

impl Begun<'_> {
    /// The fence says that this epoch has moved the records, and they are not what it moved them to: no batch of this epoch
    /// will touch them again.
    fn changed_since(&self, changed: &[String]) -> Failure {
        Failure::new(
            Exit::Halted,
            format!(
                "epoch {} has moved the records of {}, and somebody has changed {} since; nothing was done",
                self.by.epoch,
                self.after.plan.dns.zone,
                few(changed)
            ),
            "find out who did and why; then put back the recovery side's values in Route 53 by hand, or give the pen back \
             with `lifeboat handback --take-from-recovery`",
        )
    }

    fn moved_already(&self) -> Report {
        let (plan, by) = (&self.after.plan, &self.by);
        Report {
            headline: format!(
                "the traffic of {} is moved to the recovery side already; nothing was done",
                plan.name
            ),
            details: vec![("epoch", format!("{}, run {}", by.epoch, by.run))],
            json: json!({
                "plan": plan.name,
                "flip": State::DoneAlready,
                "epoch": by.epoch,
                "finishes": by.run,
            }),
            ..Report::default()
        }
    }

    /// Asks the recovery side whether it serves: under the run's epoch, and through all that was just proven. That is at least
    /// what the run's own step asks for, since the end of a stream lies behind its seal.
    async fn serving(&self, streams: &[StreamProof]) -> Result<Health, Failure> {
        let (plan, epoch) = (&self.after.plan, self.by.epoch);
        // As the Lambda asks: straight to the address in the plan, and a redirect is an answer, not a way.
        let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build();
        let http = http.map_err(|error| {
            let next = "look at the certificates of this machine";
            Failure::new(Exit::Refused, "no HTTP client could be made; nothing was done", next)
                .because(&error)
        })?;
        let proven: Vec<Sealed> = streams
            .iter()
            .map(|stream| Sealed { stream: stream.stream.clone(), seq: stream.through })
            .collect();
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

    fn question(&self) -> Vec<String> {
        let AfterRun { plan, .. } = self.after;
        let Holder { epoch, run, .. } = &self.by;
        let mut lines = vec![
            format!(
                "This moves the traffic of {} to the recovery side in {}:",
                plan.name, plan.regions.recovery
            ),
            format!("  epoch    {epoch}, of run {run} ({})", came_to(&self.by)),
        ];
        lines.extend(self.newer.iter().map(|holder| {
            format!("  newer    {}, of {} ({}), holds no stream", holder.epoch, holder.run, came_to(holder))
        }));
        lines.extend([
            format!("  serves   {}", plan.probe.recovery),
            self.after.will_move(Side::Recovery, *epoch),
        ]);
        lines
    }

    /// The proof and the person have taken their time: asks once more whether anybody has claimed an epoch meanwhile. A
    /// courtesy; what makes a late batch harmless is the fence.
    async fn refuse_where_outrun(&self) -> Result<(), Failure> {
        let AfterRun { plan, store, args, newest, .. } = self.after;
        let claimed = run_control::newest_epoch(store, &args.plan.control.bucket, &plan.name).await;
        let claimed = claimed.map_err(|error| {
            let what =
                format!("could not read the newest epoch of {} once more; nothing was done", plan.name);
            aws::step_failure(what, &error)
        })?;
        if claimed <= newest.epoch {
            return Ok(());
        }
        let epoch = self.by.epoch;
        let error = StepError::fenced(format!("epoch {claimed} is claimed; the flip is for epoch {epoch}"));
        Err(self
            .after
            .superseded("somebody else has begun to act meanwhile; nothing was done".to_owned(), &error))
    }

    fn facts(&self, moved: &Moved, health: &Health) -> Value {
        json!({
            "by": self.after.by,
            "epoch": self.by.epoch,
            "finishes": self.by.run,
            "newer": self.newer,
            "run_is_over": self.after.args.run_is_over,
            "traffic": moved,
            "health": health,
        })
    }

    /// Leaves the manifest, under a name that says whose run is finished: whoever asks how that epoch's run has ended finds
    /// it there, and a second flip finds the first one's.
    async fn close(&self, facts: Value) -> Result<Closed, Failure> {
        let run = run_control::flip_name(self.by.epoch);
        self.after.close(&run, Outcome::Recovered, facts).await.map_err(|error| {
            let what = format!(
                "the traffic of {} is moved under epoch {}, and the manifest is not known to be stored",
                self.after.plan.name, self.by.epoch
            );
            let next =
                "mend the cause and run the same command again: it moves nothing twice, and leaves the manifest";
            Failure::new(Exit::Halted, what, next).because(&error)
        })
    }

    fn done(&self, moved: &Moved, compared: Compared, manifest: &Closed, facts: Value) -> Report {
        let (plan, by) = (&self.after.plan, &self.by);
        let mut warnings = vec![self.after.not_asked(Side::Recovery)];
        warnings.extend(compared.into_warnings());
        Report {
            headline: format!(
                "the traffic of {} is moved to the recovery side in {}",
                plan.name, plan.regions.recovery
            ),
            details: vec![
                ("epoch", format!("{}, of run {}", by.epoch, by.run)),
                moved_in_words(moved),
                ("manifest", manifest.key.clone()),
            ],
            warnings,
            json: json!({
                "plan": plan.name,
                "flip": State::Done,
                "epoch": by.epoch,
                "run": run_control::flip_name(by.epoch),
                "finishes": by.run,
                "reason": self.after.args.word.reason,
                "facts": facts,
                "manifest": manifest,
            }),
            ..Report::default()
        }
    }
}
