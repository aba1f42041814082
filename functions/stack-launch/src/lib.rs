//! *stack-launch*: launches the plan's stacks in the recovery Region, waits for them, says which resource is to blame
//! where one fails, and takes down again what this run launched.
//!
//! Invariant: a stack bears its run's epoch in its name and its run in a tag; nothing else is ever touched.

mod aws;

use std::time::Duration;

use jiff::Timestamp;
use lifeboat_rules::decided::{Looked, Looking};
use lifeboat_rules::stacks::{Diagnosis, Observed, diagnose};
use lifeboat_rules::{Plan, Request, Run, StepError};
use lifeboat_runtime::{Context, decide};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

pub use aws::Stacks;

/// How long one call waits before it says `NotReady`, in seconds. Well below the function's own timeout (45 s).
const WAIT_SECONDS: u64 = 20;
/// How often it looks, in milliseconds: one `DescribeStacks` for all stacks.
const POLL_MILLISECONDS: u64 = 1_000;

/// What can be asked of this function.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// Create what is missing, in dependency order, and wait for all.
    Launch {},
    /// Delete what this run created, and wait until it is gone.
    TearDown {},
}

/// What came of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "verdict")]
pub enum Answer {
    /// Every stack is complete.
    StacksReady {
        /// Their full names.
        stacks: Vec<String>,
    },
    /// A stack failed.
    StacksFailed {
        /// The first of the diagnoses in one sentence.
        reason: String,
        /// One for each failed stack.
        diagnoses: Vec<Diagnosis>,
    },
    /// They were not complete in the plan's time, or before the run's deadline.
    StacksLate {
        /// What was waited for.
        reason: String,
    },
    /// Nothing of this run is left.
    StacksGone {},
}

/// Handles one call.
///
/// # Errors
/// `NotReady` while stacks are being made or deleted; `Fenced` where a stack of this epoch's name is another run's;
/// `Transient`, `PlanInvalid`, `InputInvalid`, `Defect`.
pub async fn handle(
    context: &Context,
    stacks: &Stacks,
    now: fn() -> Timestamp,
    request: Request<Action>,
) -> Result<Answer, StepError> {
    let run = request.run()?;
    let plan = context.plan(&run.plan).await?;
    let epoch = context.acting_epoch(&plan.name, run).await?;
    match &request.action {
        Action::Launch {} => {
            let entered: Timestamp = request.step.entered.parse().map_err(|err| {
                StepError::input_invalid("step.entered", format_args!("no timestamp: {err}"))
            })?;
            launch(stacks, &plan, run, epoch, entered, now).await
        }
        Action::TearDown {} => tear_down(stacks, &plan, run, epoch).await,
    }
}

async fn launch(
    stacks: &Stacks,
    plan: &Plan,
    run: &Run,
    epoch: u64,
    entered: Timestamp,
    now: fn() -> Timestamp,
) -> Result<Answer, StepError> {
    let until = Instant::now() + Duration::from_secs(WAIT_SECONDS);
    loop {
        let observed = stacks.observe(plan, run, epoch).await?;
        let seen = Looking { stacks: observed, entered, deadline: run.deadline, now: now() };
        match decide(plan, &seen) {
            Looked::Ready => {
                let stacks = plan.stacks.iter().map(|stack| plan.stack_name(&stack.name, epoch)).collect();
                return Ok(Answer::StacksReady { stacks });
            }
            Looked::Failed(failed) => {
                let mut diagnoses = Vec::new();
                for stack in failed {
                    let name = plan.stack_name(&stack, epoch);
                    let events = stacks.events(&name).await?;
                    diagnoses.push(diagnose(&name, events));
                }
                let Diagnosis { stack, resource, kind, reason } = &diagnoses[0];
                let reason = format!("stack {stack}: {resource} ({kind}): {reason}");
                return Ok(Answer::StacksFailed { reason, diagnoses });
            }
            Looked::Late { reason, .. } => return Ok(Answer::StacksLate { reason }),
            Looked::Create { stacks: missing, reason } => {
                if Instant::now() >= until {
                    return Err(StepError::not_ready(reason));
                }
                let created = !missing.is_empty();
                for stack in plan.stacks.iter().filter(|stack| missing.contains(&stack.name)) {
                    stacks.create(plan, run, epoch, stack).await?;
                }
                if !created {
                    tokio::time::sleep(Duration::from_millis(POLL_MILLISECONDS)).await;
                }
            }
        }
    }
}

async fn tear_down(stacks: &Stacks, plan: &Plan, run: &Run, epoch: u64) -> Result<Answer, StepError> {
    let until = Instant::now() + Duration::from_secs(WAIT_SECONDS);
    loop {
        let observed = stacks.observe(plan, run, epoch).await?;
        let state = |name: &str| observed.get(name).unwrap_or(&Observed::Missing);
        let standing: Vec<_> =
            plan.stacks.iter().filter(|stack| *state(&stack.name) != Observed::Missing).collect();
        if standing.is_empty() {
            return Ok(Answer::StacksGone {});
        }
        if Instant::now() >= until {
            let names: Vec<_> = standing.iter().map(|stack| stack.name.as_str()).collect();
            return Err(StepError::not_ready(format!("still there: {}", names.join(", "))));
        }
        for stack in &standing {
            // What others depend on goes last.
            let needed = standing.iter().any(|other| other.depends_on.contains(&stack.name));
            if !needed && *state(&stack.name) != Observed::Deleting {
                stacks.delete(&plan.stack_name(&stack.name, epoch)).await?;
            }
        }
        tokio::time::sleep(Duration::from_millis(POLL_MILLISECONDS)).await;
    }
}
