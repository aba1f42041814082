//! *health-check*: observes the primary and the recovered side, and says what a rule makes of it. On schedule it writes
//! the metric behind the alarm.
//!
//! Invariant: no observation needs the primary Region's API or Route 53's.

mod aws;
mod observe;
mod scheduled;

use std::time::Duration;

use jiff::Timestamp;
use lifeboat_rules::decided::{self, Confirmed, Confirming};
use lifeboat_rules::outage;
use lifeboat_rules::recovered::{Health, Sealed};
use lifeboat_rules::{Request, StepError, TriggerKind};
use lifeboat_runtime::{Context, decide};
use serde::{Deserialize, Serialize};

pub use aws::Alarm;
pub use observe::health;
pub use scheduled::{Scheduled, probe_on_schedule};

/// How long one call waits for the recovered side before it says `NotReady`, in seconds. Well below the function's own
/// timeout, and long enough to keep the history of the execution short.
const WAIT_SECONDS: u64 = 20;

/// What a step can ask of this function.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// Is the primary down?
    ConfirmOutage {},
    /// Does the recovered side serve, through everything that was sealed?
    ConfirmRecovered {
        /// Where each stream was sealed.
        sealed: Vec<Sealed>,
    },
}

/// What came of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Answer {
    /// Of `ConfirmOutage`.
    Outage {
        /// What the rule makes of the observations.
        verdict: outage::Verdict,
        /// Why, for a person.
        reason: String,
        /// Whether the run's deadline is still to come: past it, a run that has not sealed stands down.
        in_time: bool,
    },
    /// Of `ConfirmRecovered`.
    Recovered {
        /// Always `Serving`; anything less is `NotReady`.
        verdict: Serving,
        /// What the application said of itself.
        health: Health,
    },
}

/// The verdict on a recovered side that serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Serving {
    /// It acknowledges, under this run's epoch, and has applied everything through the seals.
    Serving,
}

/// Handles one step.
///
/// # Errors
/// `NotReady` while the recovered side does not serve; `Fenced` where a newer epoch was claimed; `Transient`, `PlanInvalid`, `InputInvalid`, `Defect`.
pub async fn handle(
    context: &Context,
    alarm: &Alarm,
    http: &reqwest::Client,
    now: fn() -> Timestamp,
    request: Request<Action>,
) -> Result<Answer, StepError> {
    let run = request.run()?;
    let plan = context.plan(&run.plan).await?;
    match &request.action {
        Action::ConfirmOutage {} => {
            // The alarm that started the run, which may be one that the owner composed of several.
            let named = run.trigger.alarm.as_deref().unwrap_or(&alarm.name);
            let alarm = (run.trigger.kind == TriggerKind::Alarm).then_some((alarm, named));
            let observations = observe::outage(&context.store, http, &plan, alarm, now).await?;
            let (fenced_epoch, deadline) = (run.fenced_epoch, run.deadline);
            let seen = Confirming { observations, fenced_epoch, deadline, now: now() };
            let Confirmed { verdict, reason, in_time } = decide(&plan, &seen);
            Ok(Answer::Outage { verdict, reason, in_time })
        }
        Action::ConfirmRecovered { sealed } => {
            let epoch = context.acting_epoch(&plan.name, run).await?;
            let until = tokio::time::Instant::now() + Duration::from_secs(WAIT_SECONDS);
            loop {
                let health = observe::health(http, &plan).await;
                let judged = health.and_then(|health| {
                    let seen = decided::Serving { health, epoch, sealed: sealed.clone() };
                    decide(&(), &seen).map(|()| seen.health)
                });
                match judged {
                    Ok(health) => return Ok(Answer::Recovered { verdict: Serving::Serving, health }),
                    Err(err) if tokio::time::Instant::now() >= until => return Err(err),
                    Err(_) => tokio::time::sleep(Duration::from_millis(250)).await,
                }
            }
        }
    }
}
