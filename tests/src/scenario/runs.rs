//! The runs of a scenario: what Step Functions and the evidence say of them.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use aws_sdk_sfn::types::{ExecutionStatus, HistoryEvent};
use jiff::Timestamp;
use lifeboat_rules::evidence::chain::is_record;
use lifeboat_rules::evidence::{Manifest, Phase, Record, manifest_key, prefix};
use serde_json::Value;

use crate::definition::Definition;
use crate::drill::Stage;
use crate::world::World;
use crate::world::error::{Doing as _, WorldError};

/// Pages of 1,000 events or executions.
const PAGES_MAX: usize = 30;
/// How alarm-trigger begins the names of its runs.
const OF_ALARM: &str = "alarm-";

/// The outcome of a run that was stopped.
pub const STOPPED: &str = "stopped by a person";

/// One execution.
#[derive(Debug, Clone)]
pub struct Execution {
    /// Its name, which is the run's.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// When it started.
    pub started_at: Timestamp,
    /// How it stands.
    pub status: ExecutionStatus,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// The outcome, or [`STOPPED`].
    pub outcome: String,
    /// Why.
    pub reason: String,
}

/// Every execution, in the order in which they started.
///
/// # Errors
/// Where the emulator does not answer.
pub async fn executions(world: &World, stage: &Stage) -> Result<Vec<Execution>, WorldError> {
    let sfn = world.clients(world.recovery()).sfn;
    let mut found = Vec::new();
    let mut pages = sfn.list_executions().state_machine_arn(&stage.state_machine_arn).into_paginator().send();
    for _ in 0..PAGES_MAX {
        let Some(page) = pages.next().await else { break };
        for execution in page.doing(|| "list the executions".to_owned())?.executions {
            found.push(Execution {
                started_at: moment(Some(&execution.start_date))?,
                name: execution.name,
                arn: execution.execution_arn,
                status: execution.status,
            });
        }
    }
    found.sort_by(|a, b| (a.started_at, &a.name).cmp(&(b.started_at, &b.name)));
    Ok(found)
}

/// What a scenario calls each of them: by its name, and `alarm-1`, `alarm-2`.. in the order of their start where an
/// alarm started it.
pub fn labels(executions: &[Execution]) -> Vec<(String, &Execution)> {
    let mut of_alarm = 0;
    executions
        .iter()
        .map(|execution| {
            let label = if is_of_alarm(&execution.name) {
                of_alarm += 1;
                format!("{OF_ALARM}{of_alarm}")
            } else {
                execution.name.clone()
            };
            (label, execution)
        })
        .collect()
}

/// Whether an alarm started the run of this name.
pub fn is_of_alarm(name: &str) -> bool {
    // A scenario may call a run of its own `alarm-by-hand`; alarm-trigger goes on with a moment.
    name.strip_prefix(OF_ALARM).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// How the execution ended; none while it runs.
///
/// # Errors
/// Where the emulator does not answer.
pub async fn end(world: &World, execution: &Execution) -> Result<Option<End>, WorldError> {
    let sfn = world.clients(world.recovery()).sfn;
    let described = sfn.describe_execution().execution_arn(&execution.arn).send().await;
    let described = described.doing(|| format!("describe the run {}", execution.name))?;
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    Ok(match described.status() {
        ExecutionStatus::Running => None,
        ExecutionStatus::Succeeded => {
            let output: Value =
                described.output().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
            let member = |key: &str| text(output[key].as_str());
            Some(End { outcome: member("outcome"), reason: member("reason") })
        }
        ExecutionStatus::Aborted => Some(End { outcome: STOPPED.into(), reason: String::new() }),
        _ => Some(End { outcome: text(described.error()), reason: text(described.cause()) }),
    })
}

/// The names of the tasks and parallel states that the execution went into, in order.
///
/// # Errors
/// Where the emulator does not answer.
pub async fn states_entered(world: &World, execution: &Execution) -> Result<Vec<String>, WorldError> {
    let sfn = world.clients(world.recovery()).sfn;
    let mut pages =
        sfn.get_execution_history().execution_arn(&execution.arn).max_results(1_000).into_paginator().send();
    let mut entered = Vec::new();
    for _ in 0..PAGES_MAX {
        let Some(page) = pages.next().await else { break };
        let page = page.doing(|| format!("read the history of {}", execution.name))?;
        entered.extend(page.events().iter().filter_map(entered_state));
    }
    Ok(entered)
}

fn entered_state(event: &HistoryEvent) -> Option<String> {
    let kind = event.r#type().as_str();
    let acts = kind.starts_with("TaskState") || kind.starts_with("ParallelState");
    let details = event.state_entered_event_details().filter(|_| acts)?;
    Some(details.name().to_owned())
}

/// The evidence, which never changes once it is written: each record is read once.
#[derive(Debug, Default)]
pub struct Evidence {
    read: Mutex<BTreeMap<String, Record>>,
}

impl Evidence {
    /// Every record that the run has left so far, in the order of time.
    ///
    /// # Errors
    /// Where the emulator does not answer, or a record is none.
    pub async fn records(&self, world: &World, stage: &Stage, run: &str) -> Result<Vec<Record>, WorldError> {
        let s3 = world.clients(world.recovery()).s3;
        let what = || format!("read the evidence of {run}");
        let mut records = Vec::new();
        let list = s3.list_objects_v2().bucket(&stage.evidence_bucket);
        let mut pages = list.prefix(prefix(&stage.plan.name, run)).into_paginator().send();
        while let Some(page) = pages.next().await {
            for object in page.doing(what)?.contents() {
                let key = object.key().unwrap_or_default();
                // What the shards of a long history hand to one another, what a step leaves beside its records, and what
                // closes the run, is evidence, but no record of a step.
                let of_run = prefix(&stage.plan.name, run);
                if !is_record(&key[of_run.len()..]) {
                    continue;
                }
                let known = self.lock().get(key).cloned();
                let record = match known {
                    Some(record) => record,
                    None => {
                        let get = s3.get_object().bucket(&stage.evidence_bucket).key(key).send();
                        let bytes = get.await.doing(what)?.body.collect().await.doing(what)?.to_vec();
                        let record: Record = serde_json::from_slice(&bytes).doing(what)?;
                        self.lock().insert(key.to_owned(), record.clone());
                        record
                    }
                };
                records.push(record);
            }
        }
        records.sort_by_key(|record| record.at);
        name_by_action(&mut records)?;
        Ok(records)
    }

    /// When the run was closed: its manifest is the outcome of the step that closes.
    ///
    /// # Errors
    /// Where the emulator does not answer, or the manifest is none.
    pub async fn closed_at(
        &self,
        world: &World,
        stage: &Stage,
        run: &str,
    ) -> Result<Option<Timestamp>, WorldError> {
        let key = manifest_key(&stage.plan.name, run);
        let what = || format!("read {key}");
        let s3 = world.clients(world.recovery()).s3;
        let listed = s3.list_objects_v2().bucket(&stage.evidence_bucket).prefix(&key).send().await;
        if listed.doing(what)?.contents().is_empty() {
            return Ok(None);
        }
        let manifest: Manifest = serde_json::from_value(stage.evidence(world, &key).await?).doing(what)?;
        Ok(Some(manifest.closed_at))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Record>> {
        // It is whole between any two statements: a panic elsewhere does not spoil it.
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Names each record by what was asked for, where only one state asks for that: branches of a parallel state share one
/// context in the emulator, and a step that is retried may bear the name of the other branch's.
fn name_by_action(records: &mut [Record]) -> Result<(), WorldError> {
    let definition = Definition::read().doing(|| "read the definition".to_owned())?;
    let tasks = definition.tasks();
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    for record in records.iter_mut() {
        if record.phase == Phase::Intent {
            let action = record.body["action"].as_object().and_then(|action| action.keys().next());
            let mut asking = tasks.iter().filter(|task| task.action() == action.map(String::as_str));
            if let (Some(task), None) = (asking.next(), asking.next()) {
                names.insert(record.request_id.clone(), task.name.to_owned());
            }
        }
        if let Some(name) = names.get(&record.request_id) {
            record.step.name.clone_from(name);
        }
    }
    Ok(())
}

/// The names of all states in the order of a run, those of branches after the state that they are in, branch by branch.
///
/// # Errors
/// Where the definition cannot be read.
pub fn in_order() -> Result<Vec<String>, WorldError> {
    let definition = Definition::read().doing(|| "read the definition".to_owned())?;
    let machines = definition.machines();
    Ok(machines[0].in_order_with_inner(&machines).iter().map(|state| state.name.to_owned()).collect())
}

/// The names of all runs that have left evidence, those of people at the command line among them.
///
/// # Errors
/// Where the emulator does not answer.
pub async fn with_evidence(world: &World, stage: &Stage) -> Result<Vec<String>, WorldError> {
    let s3 = world.clients(world.recovery()).s3;
    let of_plan = prefix(&stage.plan.name, "");
    let of_plan = of_plan.trim_end_matches('/').to_owned() + "/";
    let list = s3.list_objects_v2().bucket(&stage.evidence_bucket).prefix(&of_plan).delimiter("/").send();
    let listed = list.await.doing(|| "list the runs in the evidence".to_owned())?;
    let prefixes = listed.common_prefixes().iter().filter_map(|common| common.prefix());
    Ok(prefixes.map(|run| run[of_plan.len()..].trim_end_matches('/').to_owned()).collect())
}

/// What came of each state in the end: the verdict of its newest outcome, or the name of its error.
pub fn verdicts(records: &[Record]) -> BTreeMap<String, String> {
    let outcomes = records.iter().filter(|record| record.phase == Phase::Outcome);
    outcomes.map(|record| (record.step.name.clone(), verdict(&record.body).to_owned())).collect()
}

/// The verdict of an outcome's body, or the name of its error.
pub fn verdict(body: &Value) -> &str {
    let error = body["error"].as_str();
    error.or_else(|| body["result"]["verdict"].as_str()).unwrap_or("an outcome without a verdict")
}

fn moment(at: Option<&aws_sdk_sfn::primitives::DateTime>) -> Result<Timestamp, WorldError> {
    let millis = at.and_then(|at| at.to_millis().ok()).unwrap_or_default();
    Timestamp::from_millisecond(millis).doing(|| "read the start of an execution".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_in_the_order_of_a_run_whichever_branch_is_faster() {
        let order = in_order().unwrap();
        let expected = [
            "Admit the run",
            "Confirm the outage",
            "Claim the epoch",
            "Prepare the recovery side",
            "Launch the stacks",
            "Verify the history",
            "Confirm the outage again",
            "Seal the ledger",
            "Verify the tail",
            "Open the recovery side",
            "Wait until the exchange has recovered",
            "Flip the traffic",
            "Confirm the flip",
            "Confirm recovered",
            "Close the run",
        ];
        let known: Vec<_> = order.iter().filter(|state| expected.contains(&state.as_str())).collect();
        assert_eq!(known, expected);
        let definition = Definition::read().unwrap();
        assert!(definition.tasks().iter().all(|task| order.iter().any(|state| state == task.name)));
    }
}
