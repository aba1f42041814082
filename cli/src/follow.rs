//! `lifeboat status --follow`: a run as it goes, told by the evidence that its steps leave. It reads, and changes nothing.

mod view;

use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use lifeboat_rules::Outcome;
use lifeboat_rules::evidence::{self, Manifest};
use lifeboat_runtime::Store;
use run_control::Executions;
use serde_json::json;

use crate::args::StatusArgs;
use crate::aws;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Output, Report, one_line};
use crate::progress::Progress;
use crate::runs;
use crate::status::admission::{Running, is_running};
use view::View;

/// From one look to the next.
const POLL: Duration = Duration::from_secs(1);
/// Runs among which an open one is looked for, the newest.
const RUNS_LOOKED_AT: usize = 20;
/// Looks from one question to Step Functions to the next.
const LOOKS_A_QUESTION: u32 = 10;
/// Objects that one run may leave, as its close has it.
const RECORDS_MAX: usize = 20_000;
const READS_IN_FLIGHT: usize = 8;

pub(crate) async fn run(args: &StatusArgs, output: &Output) -> Result<Report, Failure> {
    let config = aws::config(&args.plan.aws, None).await?;
    let follower = Follower {
        s3: aws::s3(&config),
        store: Store::new(&config),
        bucket: &args.evidence.evidence_bucket,
        plan: &args.plan.name,
        executions: args.state_machine.as_deref().map(|arn| (aws::executions(&config), arn)),
        progress: Progress::show(format!("waiting for a run of {}", args.plan.name)),
        output,
    };
    let name = match &args.run {
        Some(name) => name.clone(),
        None => follower.wait_for_a_run().await?,
    };
    follower.follow(&name).await
}

struct Follower<'a> {
    s3: aws_sdk_s3::Client,
    store: Store,
    bucket: &'a str,
    plan: &'a str,
    executions: Option<(Executions, &'a str)>,
    progress: Progress,
    output: &'a Output,
}

impl Follower<'_> {
    /// The newest run that is open, as soon as there is one. One whose execution has ended is none, where Step Functions can be
    /// asked; else a run that was stopped cannot be told from one that is slow, and which is followed is said.
    async fn wait_for_a_run(&self) -> Result<String, Failure> {
        loop {
            let newest = runs::read(&self.s3, &self.store, self.bucket, self.plan, RUNS_LOOKED_AT).await?;
            for seen in newest.list.into_iter().filter(|seen| seen.state == runs::State::Open) {
                if !self.has_stopped(&seen.run).await? {
                    self.progress.say(format!("following {}; --run names another", seen.run));
                    return Ok(seen.run);
                }
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn follow(self, run: &str) -> Result<Report, Failure> {
        let mut view = View::default();
        for look in 1u32.. {
            let manifest = self.look(run, &mut view).await?;
            for event in view.take_events() {
                self.progress.suspend(|| self.output.event(&event.line(), &json!(event)));
            }
            if let Some(manifest) = manifest {
                return Ok(ended(&manifest));
            }
            if look % LOOKS_A_QUESTION == 0 && self.has_stopped(run).await? {
                // It may have closed between the look and the question.
                if let Some(manifest) = self.look(run, &mut view).await? {
                    return Ok(ended(&manifest));
                }
                let what = format!(
                    "the execution of {run} has ended and left no manifest: it was stopped, or failed"
                );
                let next = format!("see with `lifeboat status --plan {}` how to go on", self.plan);
                return Err(Failure::new(Exit::Halted, what, next));
            }
            self.progress.say(view.under_way(run, lifeboat_runtime::now()));
            tokio::time::sleep(POLL).await;
        }
        unreachable!("a look a second for 136 years")
    }

    /// Reads what is new, and the manifest once it is there.
    async fn look(&self, run: &str, view: &mut View) -> Result<Option<Manifest>, Failure> {
        let prefix = evidence::prefix(self.plan, run);
        let failed =
            |error| aws::step_failure(format!("could not read s3://{}/{prefix}", self.bucket), &error);
        let listed = self.store.list(self.bucket, &prefix, RECORDS_MAX).await.map_err(failed)?;
        let closed = listed.iter().any(|object| object.key == evidence::manifest_key(self.plan, run));
        let new: Vec<String> =
            listed.into_iter().map(|object| object.key).filter(|key| view.is_new(&prefix, key)).collect();
        let reads = new.iter().map(|key| self.store.get(self.bucket, key, None));
        let records: Vec<_> =
            stream::iter(reads).buffered(READS_IN_FLIGHT).try_collect().await.map_err(failed)?;
        view.add(records.into_iter().flatten());
        if !closed {
            return Ok(None);
        }
        let key = evidence::manifest_key(self.plan, run);
        let bytes = self.store.get(self.bucket, &key, None).await.map_err(failed)?.unwrap_or_default();
        serde_json::from_slice(&bytes).map(Some).map_err(|error| {
            let next = "fetch it and look at it; `lifeboat runs` tells what can be read of it";
            let what = format!("the manifest s3://{}/{key} cannot be read", self.bucket);
            Failure::new(Exit::NoInput, what, next).because(&error)
        })
    }

    async fn has_stopped(&self, run: &str) -> Result<bool, Failure> {
        let asked = is_running(run, self.executions.as_ref()).await;
        asked.map(|running| running == Running::No).map_err(|error| {
            aws::step_failure(format!("could not ask Step Functions about {run} of {}", self.plan), &error)
        })
    }
}

fn ended(manifest: &Manifest) -> Report {
    Report {
        headline: format!("{}: {}", manifest.outcome, one_line(&manifest.reason)),
        details: vec![("run", manifest.run.clone()), ("closed", crate::output::moment(manifest.closed_at))],
        json: json!({
            "plan": manifest.plan,
            "run": manifest.run,
            "outcome": manifest.outcome,
            "reason": manifest.reason,
            "closed_at": manifest.closed_at,
        }),
        exit: exit(manifest.outcome),
        ..Report::default()
    }
}

fn exit(outcome: Outcome) -> Exit {
    match outcome {
        Outcome::Recovered | Outcome::StoodDown | Outcome::Refused | Outcome::HandedBack => Exit::Done,
        Outcome::Broken => Exit::Broken,
        Outcome::Unproven => Exit::Unproven,
        Outcome::Halted => Exit::Halted,
        Outcome::Superseded => Exit::Superseded,
    }
}

/// How long from `then` to `now`, in words.
fn span(then: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(then).as_secs().max(0);
    match (seconds / 3_600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_ends_with_the_outcomes_own_code() {
        for outcome in Outcome::OF_RUNS {
            assert_eq!(exit(outcome) as u8, outcome.exit_code(), "{outcome}");
        }
    }
}
