//! Whether a start would be admitted now, by the rule that run-control asks.

use jiff::Timestamp;
use lifeboat_rules::admission::{Admission, Before, admit};
use lifeboat_rules::{Plan, StepError, Trigger, TriggerKind};
use lifeboat_runtime::Store;
use run_control::Executions;
use serde::Serialize;

use crate::aws;
use crate::failure::Failure;

/// What is known of the execution of the newest holder's run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Running {
    /// It has ended: it left a manifest, or Step Functions says so.
    No,
    /// Step Functions says that it is going on.
    Yes,
    /// It has no manifest, and Step Functions was not asked.
    NotAsked,
}

impl Running {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Running::No => "no",
            Running::Yes => "yes",
            Running::NotAsked => "not_asked",
        }
    }
}

/// What earlier runs and people have left, and what follows from it for the next start.
pub(crate) struct Standing {
    pub(crate) before: Before,
    pub(crate) running: Running,
    /// What an alarm of this moment would be told.
    pub(crate) alarm: Told,
    /// What a person would be told who starts a run by hand.
    pub(crate) by_hand: Told,
}

/// What a start would be told.
#[derive(Debug, Serialize)]
pub(crate) struct Told {
    pub(crate) admitted: bool,
    verdict: &'static str,
    reason: Option<String>,
}

impl Told {
    fn of(admission: Admission) -> Self {
        let (verdict, reason) = match admission {
            Admission::Admitted { .. } => ("Admitted", None),
            Admission::NotYet { reason } => ("NotYet", Some(reason)),
            Admission::Refused { reason } => ("Refused", Some(reason)),
        };
        Self { admitted: reason.is_none(), verdict, reason }
    }

    /// For a person.
    pub(crate) fn text(&self) -> String {
        let would = match self.verdict {
            "Admitted" => "would be admitted",
            "NotYet" => "would wait",
            _ => "would be refused",
        };
        self.reason.as_ref().map_or_else(|| would.to_owned(), |reason| format!("{would}: {reason}"))
    }
}

pub(crate) async fn read(
    store: &Store,
    control: &str,
    evidence: &str,
    plan: &Plan,
    executions: Option<&(Executions, &str)>,
) -> Result<Standing, Failure> {
    let now = lifeboat_runtime::now();
    let mut running = Running::No;
    let ask = async |run: &str| {
        running = is_running(run, executions).await?;
        Ok(running != Running::No)
    };
    let before = run_control::before(store, control, evidence, plan, now, ask).await.map_err(|error| {
        aws::step_failure(format!("could not read what earlier runs of {} have left", plan.name), &error)
    })?;
    Ok(Standing {
        alarm: told(plan, TriggerKind::Alarm, &before, now),
        by_hand: told(plan, TriggerKind::Operator, &before, now),
        running,
        before,
    })
}

fn told(plan: &Plan, kind: TriggerKind, before: &Before, now: Timestamp) -> Told {
    let trigger = Trigger { kind, at: Some(now), alarm: None, by: None, reason: None };
    Told::of(admit(plan, &trigger, before, now))
}

/// Asks Step Functions, where it can be asked, whether the execution named `run` is going on.
pub(crate) async fn is_running(
    run: &str,
    executions: Option<&(Executions, &str)>,
) -> Result<Running, StepError> {
    let Some((executions, machine)) = executions else {
        return Ok(Running::NotAsked);
    };
    // The name of an execution of this machine; which one does not matter.
    let own = format!("{}:any", machine.replacen(":stateMachine:", ":execution:", 1));
    Ok(if executions.is_running(&own, run).await? { Running::Yes } else { Running::No })
}
