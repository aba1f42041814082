//! Follows one execution of the state machine, a line for each state.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use aws_sdk_sfn::types::{ExecutionStatus, HistoryEvent};
use jiff::Timestamp;
use serde_json::Value;

use super::{Stage, seconds};
use crate::world::World;
use crate::world::error::{Doing as _, WorldError};

const LOOK_EVERY: Duration = Duration::from_millis(100);
/// From the alarm to the execution: SNS and one Lambda, which Lambda may retry once.
const START_WITHIN: Duration = Duration::from_secs(30);
/// Pages of 1,000 events.
const PAGES_MAX: usize = 30;

/// One state, from when it was entered to when it was left.
#[derive(Debug, Clone)]
pub struct Phase {
    /// The state's name.
    pub name: String,
    /// When it was entered.
    pub from: Timestamp,
    /// When it was left.
    pub to: Timestamp,
}

/// An execution that has ended.
#[derive(Debug, Clone)]
pub struct Execution {
    /// Its name, which is the run's.
    pub name: String,
    /// When it started.
    pub started_at: Timestamp,
    /// The states that do something, in the order in which they were left.
    pub phases: Vec<Phase>,
    /// The run's outcome.
    pub outcome: String,
    /// The run's reason.
    pub reason: String,
}

impl Execution {
    /// Waits for the first execution of the stage's state machine, and follows it to its end.
    ///
    /// # Errors
    /// `TooLate`, or an end that says no outcome.
    pub async fn follow(
        world: &World,
        stage: &Stage,
        within: Duration,
        report: &(dyn Fn(&str) + Send + Sync),
    ) -> Result<Execution, WorldError> {
        let sfn = world.clients(world.recovery()).sfn;
        let deadline = Instant::now() + within;
        let started_by = Instant::now() + START_WITHIN;
        let late = |what: &str, within| WorldError::TooLate { what: what.to_owned(), within };
        let (arn, name, started_at) = loop {
            let listed = sfn.list_executions().state_machine_arn(&stage.state_machine_arn).send().await;
            let listed = listed.doing(|| "list the executions".to_owned())?;
            // The newest comes first; the run that is drilled is the first that there was.
            if let Some(first) = listed.executions().last() {
                let started = Timestamp::from_millisecond(first.start_date().to_millis().unwrap_or(0));
                let started = started.doing(|| "read the start of the execution".to_owned())?;
                break (first.execution_arn().to_owned(), first.name().to_owned(), started);
            }
            if Instant::now() > started_by {
                return Err(late("wait for the state machine to be started", START_WITHIN));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        };
        report(&format!("run {name}"));
        let mut told = 0;
        loop {
            let described = sfn.describe_execution().execution_arn(&arn).send().await;
            let described = described.doing(|| "describe the execution".to_owned())?;
            let running = *described.status() == ExecutionStatus::Running;
            let phases = phases(&history(&sfn, &arn).await?);
            for phase in &phases[told.min(phases.len())..] {
                report(&format!(
                    "  {:>6.1} s  {:<40} {:>5.1} s",
                    seconds(started_at, phase.to),
                    phase.name,
                    seconds(phase.from, phase.to)
                ));
            }
            told = phases.len();
            if !running {
                let failed = *described.status() != ExecutionStatus::Succeeded;
                let output: Value =
                    described.output().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
                let text = |key: &str| output[key].as_str().map(str::to_owned);
                let outcome = if failed { described.error().map(str::to_owned) } else { text("outcome") };
                let reason = if failed { described.cause().map(str::to_owned) } else { text("reason") };
                let outcome = outcome.ok_or_else(|| {
                    WorldError::failed("read the outcome", format!("{:?}: {output}", described.status()))
                })?;
                return Ok(Execution {
                    name,
                    started_at,
                    phases,
                    outcome,
                    reason: reason.unwrap_or_default(),
                });
            }
            if Instant::now() > deadline {
                return Err(late(&format!("wait for the end of the run {name}"), within));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// The first visit of a state.
    pub fn phase(&self, name: &str) -> Option<&Phase> {
        self.phases.iter().find(|phase| phase.name == name)
    }
}

async fn history(sfn: &aws_sdk_sfn::Client, arn: &str) -> Result<Vec<HistoryEvent>, WorldError> {
    let mut events = Vec::new();
    let mut pages = sfn.get_execution_history().execution_arn(arn).max_results(1_000).into_paginator().send();
    for _ in 0..PAGES_MAX {
        let Some(page) = pages.next().await else { break };
        events.extend(page.doing(|| "read the history of the execution".to_owned())?.events);
    }
    Ok(events)
}

/// Tasks and the Parallel, from entered to left, in the order in which they were left. (Choices and Passes take no time.)
fn phases(events: &[HistoryEvent]) -> Vec<Phase> {
    let mut entered: BTreeMap<String, Timestamp> = BTreeMap::new();
    let mut phases = Vec::new();
    for event in events {
        let at = Timestamp::from_millisecond(event.timestamp().to_millis().unwrap_or(0))
            .unwrap_or(Timestamp::UNIX_EPOCH);
        let kind = event.r#type().as_str();
        if !kind.starts_with("TaskState") && !kind.starts_with("ParallelState") {
            continue;
        }
        if let Some(details) = event.state_entered_event_details() {
            entered.insert(details.name().to_owned(), at);
        }
        if let Some(details) = event.state_exited_event_details()
            && let Some(from) = entered.remove(details.name())
        {
            phases.push(Phase { name: details.name().to_owned(), from, to: at });
        }
    }
    phases
}
