//! Starting runs and following them to their end.

use std::time::{Duration, Instant};

use aws_sdk_cloudwatch::types::StateValue;
use aws_sdk_sfn::types::ExecutionStatus;
use serde_json::{Value, json};

use super::Stage;
use crate::world::error::{Doing as _, WorldError};

const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How a run ended.
#[derive(Clone, Debug)]
pub struct End {
    /// The run.
    pub name: String,
    /// Its outcome, or the error that its execution failed with.
    pub outcome: String,
    /// Why, in its own words.
    pub reason: String,
}

/// Starts a run as a person does.
///
/// # Errors
/// Where the emulator does not take it.
pub async fn by_hand(stage: &Stage, name: &str, why: &str) -> Result<(), WorldError> {
    let input = json!({
        "mode": "failover",
        "plan": { "key": stage.plan_key() },
        "trigger": { "kind": "operator", "by": stage.plan.name, "reason": why },
    });
    let start = stage.clients.sfn.start_execution().state_machine_arn(&stage.state_machine_arn);
    let sent = start.name(name).input(input.to_string()).send().await;
    sent.doing(|| format!("start the run {name}")).map(drop)
}

/// Puts the alarm into `ALARM`, from `OK`: its action is what the template says.
///
/// # Errors
/// Where the emulator does not answer.
pub async fn fire_alarm(stage: &Stage) -> Result<(), WorldError> {
    for state in [StateValue::Ok, StateValue::Alarm] {
        set_alarm(stage, &stage.alarm, state).await?;
    }
    Ok(())
}

/// Puts an alarm into a state.
///
/// # Errors
/// Where the emulator does not answer.
pub async fn set_alarm(stage: &Stage, alarm: &str, state: StateValue) -> Result<(), WorldError> {
    let set = stage.clients.cloudwatch.set_alarm_state().alarm_name(alarm).state_value(state);
    let sent = set.state_reason("a test").send().await;
    sent.doing(|| format!("set the alarm {alarm}")).map(drop)
}

/// The names of all executions, the newest first.
///
/// # Errors
/// Where the emulator does not answer.
pub async fn names(stage: &Stage) -> Result<Vec<String>, WorldError> {
    let listed = stage.clients.sfn.list_executions().state_machine_arn(&stage.state_machine_arn).send().await;
    let listed = listed.doing(|| "list the executions".to_owned())?;
    Ok(listed.executions().iter().map(|execution| execution.name().to_owned()).collect())
}

/// Waits for a run that an alarm started and that is none of `known`; none where none has come in time.
///
/// # Errors
/// Where the emulator does not answer.
pub async fn of_alarm(
    stage: &Stage,
    known: &[String],
    within: Duration,
) -> Result<Option<String>, WorldError> {
    let deadline = Instant::now() + within;
    loop {
        let found = names(stage).await?;
        if let Some(name) = found.into_iter().find(|name| is_of_alarm(name) && !known.contains(name)) {
            return Ok(Some(name));
        }
        if Instant::now() > deadline {
            return Ok(None);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Whether the alarm started the run of this name.
pub fn is_of_alarm(name: &str) -> bool {
    name.starts_with("alarm-")
}

/// Waits until a run has ended.
///
/// # Errors
/// Where it has not in time, or the emulator does not answer.
pub async fn follow(stage: &Stage, name: &str, within: Duration) -> Result<End, WorldError> {
    let deadline = Instant::now() + within;
    loop {
        if let Some(end) = end(stage, name).await? {
            return Ok(end);
        }
        if Instant::now() > deadline {
            return Err(WorldError::TooLate { what: format!("wait for the end of the run {name}"), within });
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// How a run ended; none while it goes on.
///
/// # Errors
/// Where the emulator does not answer.
pub async fn end(stage: &Stage, name: &str) -> Result<Option<End>, WorldError> {
    let what = || format!("ask about the run {name}");
    let arn = format!("{}:{name}", stage.state_machine_arn.replace(":stateMachine:", ":execution:"));
    let found = stage.clients.sfn.describe_execution().execution_arn(arn).send().await.doing(what)?;
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let (outcome, reason) = match found.status() {
        ExecutionStatus::Running => return Ok(None),
        ExecutionStatus::Succeeded => {
            let output: Value = serde_json::from_str(found.output().unwrap_or_default()).doing(what)?;
            (text(output["outcome"].as_str()), text(output["reason"].as_str()))
        }
        _ => (text(found.error()), text(found.cause())),
    };
    Ok(Some(End { name: name.to_owned(), outcome, reason }))
}
