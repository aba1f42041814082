//! The scheduled probe behind the alarm: every minute it looks a few times, and writes a point of the metric each
//! time that it sees anything.

use std::time::Duration;

use jiff::Timestamp;
use lifeboat_rules::outage::{self, LogReading, Observations};
use lifeboat_rules::{ErrorName, Plan, StepError};
use lifeboat_runtime::{Context, Store};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{Alarm, observe};

/// What the schedule sends.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scheduled {
    /// Always `probe`.
    pub action: ProbeAction,
    /// How often to look in this call, 1 to 12.
    pub rounds: u32,
    /// Seconds from one look to the next, 1 to 60.
    pub interval_seconds: u32,
}

/// The one action of a scheduled call.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeAction {
    /// Look at the primary and write the metric.
    Probe,
}

/// The last round begins before this many seconds have passed: before the next call is due, and with time left for its
/// own probe before the function's timeout (75 s).
const SECONDS_MAX: u32 = 59;

/// Looks `rounds` times and writes the metric each time.
///
/// # Errors
/// `InputInvalid` by field; `PlanInvalid`; `Transient` and `Defect` where the plan cannot be read.
pub async fn probe_on_schedule(
    context: &Context,
    alarm: &Alarm,
    http: &reqwest::Client,
    now: fn() -> Timestamp,
    plan_key: &str,
    scheduled: Scheduled,
) -> Result<Value, StepError> {
    let Scheduled { rounds, interval_seconds, .. } = scheduled;
    if !(1..=12).contains(&rounds) {
        return Err(StepError::input_invalid("rounds", "1 to 12"));
    }
    if !(1..=60).contains(&interval_seconds) || (rounds - 1) * interval_seconds >= SECONDS_MAX {
        return Err(StepError::input_invalid(
            "interval_seconds",
            format_args!("1 to 60, and all rounds in less than {SECONDS_MAX} s"),
        ));
    }
    let bytes = context.store.get(&context.control_bucket, plan_key, None).await?;
    let bytes = bytes
        .ok_or_else(|| StepError::new(ErrorName::PlanInvalid, format!("{plan_key} was never uploaded")))?;
    let plan = Context::read_plan(&bytes)?;
    let start = Instant::now();
    let mut verdicts = Vec::new();
    for round in 0..rounds {
        tokio::time::sleep_until(start + Duration::from_secs(u64::from(round * interval_seconds))).await;
        let log_before = reading(&context.store, &plan).await;
        let rounds = vec![observe::round(http, &plan, now()).await];
        // One look, one round: how many it takes to believe it is the alarm's business. While the primary answers,
        // reading the log once suffices.
        let log_after = if !rounds[0].failed(&plan.probe) {
            log_before.clone()
        } else {
            reading(&context.store, &plan).await
        };
        let observations = Observations { rounds, log_before, log_after, alarm: None };
        let (verdict, reason) = outage::judge(&plan.probe, 1, &observations);
        tracing::info!(?verdict, reason, "probed the primary");
        if let Some(down) = verdict.point()
            && let Err(err) = alarm.put_metric(&plan.name, down).await
        {
            // The next look writes its own point; giving up the rest of the minute would make it worse.
            tracing::error!("{err}");
        }
        verdicts.push(verdict);
    }
    Ok(json!({ "verdicts": verdicts }))
}

/// One look at the log. On schedule the next look is the retry.
async fn reading(store: &Store, plan: &Plan) -> LogReading {
    observe::log(store, plan).await.unwrap_or_else(|err| LogReading::Unreadable(err.to_string()))
}
