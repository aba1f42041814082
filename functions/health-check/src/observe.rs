//! Observations, without judgement.

use std::time::Duration;

use futures::future::{join_all, try_join_all};
use jiff::Timestamp;
use lifeboat_rules::outage::{LogHead, LogReading, Observations, Probe, Round, moved, still_seconds};
use lifeboat_rules::recovered::Health;
use lifeboat_rules::{ErrorName, Plan, StepError};
use lifeboat_runtime::{Log, Store};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::aws::Alarm;

/// The largest health document that is read, in bytes.
const HEALTH_BYTES_MAX: usize = 65_536;

/// Observes the primary for the plan's confirmation window: the log, then the rounds of probes, then the log again once it
/// could have been still for the plan's time; and `alarm` by its name, where one started the run.
///
/// # Errors
/// `Transient` where AWS did not answer just now: another attempt may see what this one could not. What a repetition does
/// not mend (a permission that is missing) is an observation of its own, [`LogReading::Unreadable`].
pub async fn outage(
    store: &Store,
    http: &reqwest::Client,
    plan: &Plan,
    alarm: Option<(&Alarm, &str)>,
    now: fn() -> Timestamp,
) -> Result<Observations, StepError> {
    let log_before = log(store, plan).await?;
    let mut rounds = Vec::new();
    let start = Instant::now();
    for attempt in 0..plan.probe.attempts {
        let due = start + Duration::from_secs(u64::from(attempt) * u64::from(plan.probe.interval_seconds));
        tokio::time::sleep_until(due).await;
        rounds.push(round(http, plan, now()).await);
    }
    let mut log_after = log(store, plan).await?;
    let last_failed = rounds.last().is_some_and(|round| round.failed(&plan.probe));
    if let LogReading::Heads(heads) = &log_after {
        let short = i64::from(plan.probe.log_still_seconds) - still_seconds(heads);
        // Wait out the rest of the plan's time only where it could make a difference. The store's clock counts whole
        // seconds, hence one more.
        let stands = matches!(&log_before, LogReading::Heads(before) if !moved(before, heads));
        if last_failed && stands && short > 0 {
            tokio::time::sleep(Duration::from_secs(short.unsigned_abs() + 1)).await;
            log_after = log(store, plan).await?;
        }
    }
    let alarm = match alarm {
        Some((alarms, name)) => Some(alarms.read(name).await?),
        None => None,
    };
    Ok(Observations { rounds, log_before, log_after, alarm })
}

/// One round: every target of the primary, at the same time.
pub async fn round(http: &reqwest::Client, plan: &Plan, at: Timestamp) -> Round {
    let timeout = Duration::from_secs(u64::from(plan.probe.timeout_seconds));
    let answers = join_all(plan.probe.primary.iter().map(async |target| {
        let (serving, what) = match target.strip_prefix("tcp://") {
            Some(address) => connect(address, timeout).await,
            None => ask(http, target, timeout).await,
        };
        Probe { target: target.clone(), serving, what }
    }));
    Round { at, answers: answers.await }
}

/// Whether a health endpoint says that it serves.
async fn ask(http: &reqwest::Client, url: &str, timeout: Duration) -> (bool, String) {
    match http.get(url).timeout(timeout).send().await {
        Ok(answer) => (answer.status().is_success(), format!("HTTP {}", answer.status().as_u16())),
        Err(err) => (false, innermost(&err)),
    }
}

/// Whether a connection is accepted. It is closed again at once; nothing is sent.
async fn connect(address: &str, timeout: Duration) -> (bool, String) {
    match tokio::time::timeout(timeout, TcpStream::connect(address)).await {
        Ok(Ok(_)) => (true, "connected".into()),
        Ok(Err(err)) => (false, err.to_string()),
        Err(_) => (false, format!("no connection within {} s", timeout.as_secs())),
    }
}

/// The newest object of every stream.
///
/// # Errors
/// `Transient` where the store did not answer just now.
pub async fn log(store: &Store, plan: &Plan) -> Result<LogReading, StepError> {
    let log = Log::new(store, &plan.ledger);
    let heads = async {
        try_join_all(log.streams().await?.into_iter().map(async |stream| {
            let head = log.head(&stream).await?;
            Ok::<_, StepError>((stream, head))
        }))
        .await
    };
    match heads.await {
        Err(err) if err.name == ErrorName::Transient => Err(err),
        Err(err) => Ok(LogReading::Unreadable(err.to_string())),
        Ok(heads) => {
            let complete = heads
                .into_iter()
                .map(|(stream, head)| {
                    let head = head.ok_or_else(|| format!("stream {stream} has no entries"))?;
                    let read_at = head.read_at.ok_or("the store's answer carries no date")?;
                    Ok(LogHead { stream, slot: head.slot, stored_at: head.stored_at, read_at })
                })
                .collect::<Result<Vec<_>, String>>();
            Ok(complete.map_or_else(LogReading::Unreadable, LogReading::Heads))
        }
    }
}

/// What the recovered side says of itself; whatever its HTTP status, since it explains itself while it does not serve.
///
/// # Errors
/// `NotReady` where it does not answer, or not with a health document.
pub async fn health(http: &reqwest::Client, plan: &Plan) -> Result<Health, StepError> {
    let timeout = Duration::from_secs(u64::from(plan.probe.timeout_seconds));
    let not_ready = |why: String| StepError::not_ready(format!("{}: {why}", plan.probe.recovery));
    let mut answer = http
        .get(&plan.probe.recovery)
        .timeout(timeout)
        .send()
        .await
        .map_err(|err| not_ready(innermost(&err)))?;
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|err| not_ready(innermost(&err)))? {
        body.extend_from_slice(&chunk);
        if body.len() > HEALTH_BYTES_MAX {
            return Err(not_ready(format!("its answer is longer than {HEALTH_BYTES_MAX} bytes")));
        }
    }
    serde_json::from_slice(&body).map_err(|err| not_ready(format!("its answer is no health document: {err}")))
}

/// The cause at the bottom: `error sending request` says nothing, `Connection refused` does.
fn innermost(err: &dyn std::error::Error) -> String {
    let mut cause = err;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
