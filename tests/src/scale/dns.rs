//! What a flip takes under each strategy, for few names and for many: dns-flip's own handler on the local world, first to
//! flip and then to confirm, and what it called meanwhile.
//!
//! What it does not show: the time that Route 53 and CloudWatch take. Here an alarm acts at once, what is between a change
//! of the zone and other answers is not counted, and there is no limit but those that dns-flip keeps by itself.

mod stage;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dns_flip::{Action, Answer};
use lifeboat_rules::ErrorName;
use lifeboat_rules::plan::Strategy;
use serde::Serialize;

use crate::world::error::{Doing as _, WorldError};
use crate::world::proxy::Call;
use stage::Stage;

/// How long one measured part may take. With 10,000 names on a small machine each takes a minute or two.
const PART_WITHIN: Duration = Duration::from_secs(600);
/// What the state machine waits before it calls again after a `NotReady`.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What to measure.
#[derive(Clone)]
pub struct Options {
    /// How many names; each number is measured under each strategy.
    pub names: Vec<usize>,
    /// Under which strategies.
    pub strategies: Vec<Strategy>,
    /// Told each line of progress.
    pub report: Arc<dyn Fn(&str) + Send + Sync>,
}

/// One of flip and confirmation.
#[derive(Clone, Debug, Serialize)]
pub struct Part {
    /// Seconds from the first call of the function to the answer that all is done.
    pub seconds: f64,
    /// How often the function was called: once, and once more after each `NotReady`.
    pub invocations: u32,
    /// What it called, `service:Operation`, and how often.
    pub calls: BTreeMap<String, usize>,
}

/// What was measured for one strategy and one number of names.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// How traffic moves.
    pub strategy: Strategy,
    /// How many names moved, each of them asked for.
    pub names: usize,
    /// Moving the traffic.
    pub flip: Part,
    /// Asking until every name answers from the recovery side. Its questions to DNS are not among its calls.
    pub confirm: Part,
    /// Seconds of both. Between them the local DNS server reads the zone, which takes the emulator long and is not counted.
    pub confirmed_seconds: f64,
}

/// Measures one after the other, each on a world of its own.
///
/// # Errors
/// Where the local world or the zone could not be brought about, the function failed, or it took longer than ten minutes.
pub async fn run(options: &Options) -> Result<Vec<Measured>, WorldError> {
    let mut measured = Vec::new();
    for strategy in &options.strategies {
        for names in &options.names {
            measured.push(measure(*strategy, *names, &options.report).await?);
        }
    }
    Ok(measured)
}

async fn measure(
    strategy: Strategy,
    names: usize,
    report: &Arc<dyn Fn(&str) + Send + Sync>,
) -> Result<Measured, WorldError> {
    report(&format!("{strategy:?}, {names} names: filling the zone"));
    let stage = Stage::set(strategy, names, report).await?;
    report(&format!("{strategy:?}, {names} names: flipping, and asking for each"));
    let (flip, _) = part(&stage, || Action::Flip {}).await?;
    stage.served().await;
    let (confirm, answer) = part(&stage, || Action::ConfirmFlip {}).await?;
    match answer {
        Answer::FlipConfirmed(confirmed) if confirmed.names == names && confirmed.of == names => {
            let confirmed_seconds = flip.seconds + confirm.seconds;
            Ok(Measured { strategy, names, flip, confirm, confirmed_seconds })
        }
        other => {
            Err(WorldError::failed(format!("confirm {names} names"), format!("the answer is {other:?}")))
        }
    }
}

/// Calls the function as the state machine does, until it is done.
async fn part(stage: &Stage, action: impl Fn() -> Action) -> Result<(Part, Answer), WorldError> {
    let what = || format!("{:?}", action());
    let (began, before) = (Instant::now(), stage.calls().len());
    let mut invocations = 0;
    let answer = loop {
        let left = PART_WITHIN.saturating_sub(began.elapsed());
        let too_late = || WorldError::TooLate { what: what(), within: PART_WITHIN };
        let called = tokio::time::timeout(left, stage.call(action(), invocations)).await;
        invocations += 1;
        match called.map_err(|_| too_late())? {
            Ok(answer) => break answer,
            Err(error) if error.name == ErrorName::NotReady => tokio::time::sleep(AGAIN_AFTER).await,
            Err(error) => return Err(error).doing(what),
        }
    };
    let seconds = began.elapsed().as_secs_f64();
    let mut calls = BTreeMap::new();
    for record in stage.calls().split_off(before) {
        *calls.entry(operation(&record.call)).or_default() += 1;
    }
    Ok((Part { seconds, invocations, calls }, answer))
}

/// The call as AWS names it, in so far as dns-flip makes any.
fn operation(call: &Call) -> String {
    let service = match call.service.as_deref().unwrap_or("unknown") {
        "monitoring" => "cloudwatch",
        service => service,
    };
    let (path, query) = call.path.split_once('?').unwrap_or((&call.path, ""));
    let is_of_records = path.trim_end_matches('/').ends_with("/rrset");
    let operation = match (service, call.method.as_str()) {
        _ if call.operation.is_some() => call.operation.as_deref().unwrap_or_default(),
        ("s3", "GET") if query.contains("list-type=2") => "ListObjectsV2",
        ("s3", "GET") => "GetObject",
        ("s3", "PUT") => "PutObject",
        ("route53", "GET") if is_of_records => "ListResourceRecordSets",
        ("route53", "POST") if is_of_records => "ChangeResourceRecordSets",
        _ => &format!("{} {path}", call.method),
    };
    format!("{service}:{operation}")
}

/// What is not as the strategies promise: a flip by `switch` makes the same calls whatever the number of names, and under it
/// neither the flip nor its confirmation calls Route 53.
pub fn complaints(measured: &[Measured]) -> Vec<String> {
    let by_switch = || measured.iter().filter(|row| row.strategy == Strategy::Switch);
    let mut complaints = Vec::new();
    let different: BTreeSet<&BTreeMap<String, usize>> = by_switch().map(|row| &row.flip.calls).collect();
    if different.len() > 1 {
        complaints
            .push(format!("a flip by switch makes other calls for other numbers of names: {different:?}"));
    }
    for row in by_switch() {
        let called = row.flip.calls.keys().chain(row.confirm.calls.keys());
        for call in called.filter(|call| call.starts_with("route53:")) {
            complaints.push(format!("{call} is called under switch, with {} names", row.names));
        }
    }
    complaints
}

/// All of it, one line for each strategy and number of names.
pub fn table(measured: &[Measured]) -> String {
    let mut table = format!(
        "{:<8} {:>6} {:>8} {:>11}  calls from the flip to its answer; while confirming\n",
        "strategy", "names", "flip", "confirmed"
    );
    for Measured { strategy, names, flip, confirm, confirmed_seconds } in measured {
        let strategy = format!("{strategy:?}").to_lowercase();
        let _ = writeln!(
            table,
            "{strategy:<8} {names:>6} {:>6.1} s {confirmed_seconds:>9.1} s  {}; {}",
            flip.seconds,
            told(flip),
            told(confirm)
        );
    }
    table
}

fn told(part: &Part) -> String {
    let calls: Vec<String> = part.calls.iter().map(|(call, times)| format!("{times} {call}")).collect();
    let again =
        if part.invocations > 1 { format!(" in {} invocations", part.invocations) } else { String::new() };
    format!("{}{again}", calls.join(", "))
}
