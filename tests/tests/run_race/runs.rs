//! Starting runs and following them to their end.

use std::time::{Duration, Instant};

use aws_sdk_sfn::types::ExecutionStatus;
use futures::future::join_all;
use serde_json::{Value, json};

use crate::stage::Stage;

const LOOK_EVERY: Duration = Duration::from_millis(50);
/// From the alarm to the execution: SNS and one Lambda.
const START_WITHIN: Duration = Duration::from_secs(30);

/// What starts the two runs of a round.
#[derive(Clone, Copy, Debug)]
pub enum Starts {
    /// Two people, at the same moment.
    TwoPeople,
    /// A person and the alarm, at the same moment. The alarm's way is the longer one.
    PersonAndAlarm,
    /// The alarm, through SNS and alarm-trigger, and a person as soon as its run is there.
    AlarmFirst,
}

impl Starts {
    /// Each of them in turn.
    pub fn of(round: u32) -> Starts {
        match round % 3 {
            1 => Starts::TwoPeople,
            2 => Starts::PersonAndAlarm,
            _ => Starts::AlarmFirst,
        }
    }
}

/// How a run ended.
#[derive(Debug)]
pub struct End {
    pub name: String,
    pub outcome: String,
    pub reason: String,
}

/// Starts the two runs of a round, and returns their names.
pub async fn start_two(stage: &Stage, round: u32, starts: Starts) -> [String; 2] {
    let hand = |which: &str| by_hand(stage, format!("by-hand-{round}-{which}"));
    match starts {
        Starts::TwoPeople => tokio::join!(hand("a"), hand("b")).into(),
        Starts::PersonAndAlarm => tokio::join!(hand("a"), alarm(stage)).into(),
        Starts::AlarmFirst => {
            let of_alarm = alarm(stage).await;
            [of_alarm, hand("b").await]
        }
    }
}

async fn by_hand(stage: &Stage, name: String) -> String {
    let input = json!({
        "mode": "failover",
        "plan": { "key": stage.plan_key() },
        "trigger": { "kind": "operator", "by": "the race", "reason": "the primary Region is gone" },
    });
    let start = stage.clients.sfn.start_execution().state_machine_arn(&stage.state_machine_arn);
    start.name(&name).input(input.to_string()).send().await.unwrap();
    name
}

async fn names(stage: &Stage) -> Vec<String> {
    let sfn = &stage.clients.sfn;
    let listed = sfn.list_executions().state_machine_arn(&stage.state_machine_arn).send().await.unwrap();
    listed.executions().iter().map(|execution| execution.name().to_owned()).collect()
}

/// Lets the alarm fire, and waits until its run is there. (Executions are listed the newest first.)
async fn alarm(stage: &Stage) -> String {
    let known = names(stage).await;
    stage.fire_alarm().await;
    let deadline = Instant::now() + START_WITHIN;
    loop {
        let found = names(stage).await;
        if let Some(name) = found.into_iter().find(|name| is_of_alarm(name) && !known.contains(name)) {
            return name;
        }
        assert!(Instant::now() < deadline, "the alarm started no run within {START_WITHIN:?}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Whether the alarm started the run of this name.
pub fn is_of_alarm(name: &str) -> bool {
    name.starts_with("alarm-")
}

/// Waits until all have ended.
pub async fn follow(stage: &Stage, names: &[String], within: Duration) -> Vec<End> {
    let deadline = Instant::now() + within;
    join_all(names.iter().map(async |name| {
        loop {
            if let Some(end) = end(stage, name).await {
                return end;
            }
            assert!(Instant::now() < deadline, "run {name} did not end within {within:?}");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }))
    .await
}

async fn end(stage: &Stage, name: &str) -> Option<End> {
    let arn = format!("{}:{name}", stage.state_machine_arn.replace(":stateMachine:", ":execution:"));
    let found = stage.clients.sfn.describe_execution().execution_arn(arn).send().await.unwrap();
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let (outcome, reason) = match found.status() {
        ExecutionStatus::Running => return None,
        ExecutionStatus::Succeeded => {
            let output: Value = serde_json::from_str(found.output().unwrap_or_default()).unwrap();
            (text(output["outcome"].as_str()), text(output["reason"].as_str()))
        }
        _ => (text(found.error()), text(found.cause())),
    };
    Some(End { name: name.to_owned(), outcome, reason })
}
