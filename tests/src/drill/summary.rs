//! What a drill came to: measured, by the client's memory, and written as `summary.json`.

use std::collections::BTreeMap;
use std::path::Path;

use aex::client::{Kill, Reconciliation};
use jiff::Timestamp;
use lifeboat_rules::evidence::Record;
use serde::Serialize;
use serde_json::Value;

use super::follow::Phase;
use super::{Options, Sabotage, Seen, seconds};
use crate::world::error::{Doing as _, WorldError};
use crate::world::places;

/// The verdict of a drill, and the numbers under it.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// The name of the local run, and of its folder.
    pub drill: String,
    /// What was sabotaged, if anything.
    pub sabotage: Option<String>,
    /// How the run ended.
    pub outcome: String,
    /// Why.
    pub reason: String,
    /// The run's mode.
    pub mode: String,
    /// The epoch that it claimed; none where it claimed none.
    pub epoch: Option<u64>,
    /// `Proven`, `Unproven`, `Broken`; none where the run did not get as far.
    pub ledger_verdict: Option<String>,
    /// How far the witness was compared with the log, in words; none where the plan has no witness.
    pub witness: Option<String>,
    /// Distinct client order ids that were acknowledged before the strike.
    pub acknowledged: usize,
    /// Sent before the strike and unanswered.
    pub in_doubt: usize,
    /// Of `acknowledged`, how many the recovered exchange's public query knows, at the same place. This and the
    /// next three are none where the exchange could not be asked.
    pub recovered: Option<usize>,
    /// Acknowledged, and not there.
    pub lost: Option<usize>,
    /// Accepted more than once, over both sides, resends included.
    pub duplicated: Option<usize>,
    /// Acknowledged, and the exchange gave no answer about it.
    pub unanswered: Option<usize>,
    /// From the strike to the first acknowledgement of an order that was first sent after it.
    pub rto_seconds: Option<f64>,
    /// From the strike to the alarm.
    pub detection_seconds: Option<f64>,
    /// From the alarm to the first new acknowledgement, less the union of `not_counted`.
    pub orchestrator_seconds: Option<f64>,
    /// What `orchestrator_seconds` leaves out: not Lifeboat's time, or time that the plan asks for.
    pub not_counted: Vec<Interval>,
    /// The states of the run.
    pub phases: Vec<PhaseSeconds>,
    /// What the drill checked.
    pub checks: Vec<Check>,
}

/// A stretch of time, in seconds from the strike.
#[derive(Debug, Clone, Serialize)]
pub struct Interval {
    /// What it is.
    pub what: String,
    /// Its beginning.
    pub from: f64,
    /// Its end.
    pub to: f64,
}

/// How long a state took.
#[derive(Debug, Clone, Serialize)]
pub struct PhaseSeconds {
    /// The state.
    pub name: String,
    /// From entered to left.
    pub seconds: f64,
}

/// One thing that had to be so.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    /// What had to be so.
    pub what: String,
    /// Whether it was.
    pub holds: bool,
    /// What was found.
    pub found: String,
}

impl Check {
    /// A check, with what was found.
    pub fn new(what: &str, holds: bool, found: impl Into<String>) -> Check {
        Check { what: what.to_owned(), holds, found: found.into() }
    }
}

impl Summary {
    /// Whether everything was as it had to be.
    pub fn holds(&self) -> bool {
        self.checks.iter().all(|check| check.holds)
    }

    /// The run's exit code; 70 where a check does not hold.
    pub fn exit_code(&self) -> u8 {
        let outcome =
            lifeboat_rules::Outcome::OF_RUNS.into_iter().find(|outcome| outcome.as_str() == self.outcome);
        match outcome {
            Some(outcome) if self.holds() => outcome.exit_code(),
            _ => 70,
        }
    }

    /// Writes `summary.json` whole into the run's folder, then puts it in place as the newest.
    ///
    /// # Errors
    /// Where the target folder cannot be written.
    pub fn write(&self, run: &Path) -> Result<(), WorldError> {
        let what = || format!("write {}", run.join("summary.json").display());
        let mut bytes = serde_json::to_vec_pretty(self).doing(what)?;
        bytes.push(b'\n');
        std::fs::write(run.join("summary.json"), &bytes).doing(what)?;
        let folder = places::target()?.join("drill");
        let whole = folder.join(format!(".summary-{}", self.drill));
        std::fs::write(&whole, &bytes).doing(what)?;
        std::fs::rename(&whole, folder.join("summary.json")).doing(what)
    }
}

/// Measures, asks the exchange for every order that the client remembers, and adds the verdict to the checks.
pub(crate) async fn summarise(
    seen: &Seen<'_>,
    options: &Options,
    kill: &Kill,
    mut checks: Vec<Check>,
    queries_in_flight: usize,
) -> Result<Summary, WorldError> {
    let Seen { world, stage, client, struck_at, alarm_at, execution, .. } = seen;
    let key = lifeboat_rules::evidence::manifest_key("aex", &execution.name);
    let manifest = stage.evidence(world, &key).await?;
    // Only an exchange that serves can be asked, and a run that went wrong may have left none: then nothing is known, and
    // nothing holds.
    let serves = checks.iter().all(|check| check.holds);
    let reconciled = if serves { Some(client.reconcile(queries_in_flight).await) } else { None };
    let asked = |what: &str, holds: &dyn Fn(&Reconciliation) -> (bool, String)| {
        let (holds, found) = reconciled.as_ref().map_or((false, "not asked".to_owned()), holds);
        Check::new(what, holds, found)
    };
    checks.push(asked("every acknowledged order is there", &|found| {
        (
            found.lost.is_empty() && found.unanswered.is_empty(),
            format!("{} lost, {} unanswered", found.lost.len(), found.unanswered.len()),
        )
    }));
    checks.push(asked("no order was accepted twice", &|found| {
        (found.duplicated.is_empty(), format!("{} duplicated", found.duplicated.len()))
    }));
    checks.push(asked(
        "every order that was acknowledged before the strike was asked for and found",
        &|found| {
            // An answer that was on its way at the strike may be noted a moment after it: the later count is the whole one.
            let all = found.recovered == found.acknowledged && found.acknowledged >= kill.acknowledged;
            (all, format!("{} of {}", found.recovered, found.acknowledged))
        },
    ));
    checks.push(asked("no order was called wrong", &|found| {
        (found.refused.is_empty(), format!("{} refused", found.refused.len()))
    }));
    checks.push(Check::new(
        "the manifest says the same outcome",
        manifest["outcome"] == execution.outcome.as_str(),
        manifest["outcome"].to_string(),
    ));

    let first_ack = match options.sabotage {
        None | Some(Sabotage::Zombie) => client.first_new_order_ack_after_kill().map(|ack| ack.wall),
        Some(_) => None,
    };
    let from_alarm = alarm_at.unwrap_or(execution.started_at);
    let epoch = manifest["admitted"]["epoch"].as_u64();
    let not_counted = match (first_ack, epoch) {
        (Some(first_ack), Some(epoch)) => not_counted(seen, first_ack, epoch).await?,
        _ => vec![],
    };
    let orchestrator_seconds = first_ack.map(|first_ack| {
        let window = (seconds(*struck_at, from_alarm), seconds(*struck_at, first_ack));
        window.1 - window.0 - union_within(&not_counted, window)
    });
    let verdict = |fact: &str| manifest["facts"][fact]["verdict"].as_str().map(str::to_owned);
    Ok(Summary {
        drill: world.run().name().to_owned(),
        sabotage: options.sabotage.map(|sabotage| format!("{sabotage:?}")),
        outcome: execution.outcome.clone(),
        reason: execution.reason.clone(),
        mode: manifest["admitted"]["mode"].as_str().unwrap_or("none").to_owned(),
        epoch,
        ledger_verdict: verdict("tail").or_else(|| verdict("history")),
        witness: witness(seen).await?,
        acknowledged: reconciled.as_ref().map_or(kill.acknowledged, |found| found.acknowledged),
        in_doubt: kill.in_doubt,
        recovered: reconciled.as_ref().map(|found| found.recovered),
        lost: reconciled.as_ref().map(|found| found.lost.len()),
        duplicated: reconciled.as_ref().map(|found| found.duplicated.len()),
        unanswered: reconciled.as_ref().map(|found| found.unanswered.len()),
        rto_seconds: first_ack.map(|at| seconds(*struck_at, at)),
        detection_seconds: alarm_at.map(|at| seconds(*struck_at, at)),
        orchestrator_seconds,
        not_counted,
        phases: phases(seen).await?,
        checks,
    })
}

/// What the last verification of the run said of the witness.
async fn witness(seen: &Seen<'_>) -> Result<Option<String>, WorldError> {
    let Seen { world, stage, execution, .. } = seen;
    let prefix = lifeboat_rules::evidence::prefix("aex", &execution.name);
    let s3 = world.clients(world.recovery()).s3;
    let mut pages =
        s3.list_objects_v2().bucket(&stage.evidence_bucket).prefix(prefix).into_paginator().send();
    let mut said: Option<(Timestamp, String)> = None;
    while let Some(page) = pages.next().await {
        let page = page.doing(|| "list the evidence".to_owned())?;
        let keys = page.contents().iter().filter_map(|object| object.key());
        for key in keys.filter(|key| key.ends_with("-outcome.json")) {
            let record: Record = serde_json::from_value(stage.evidence(world, key).await?)
                .doing(|| format!("read the evidence {key}"))?;
            if let Some(reason) = record.body["result"]["witness"]["reason"].as_str()
                && said.as_ref().is_none_or(|(at, _)| *at < record.at)
            {
                said = Some((record.at, reason.to_owned()));
            }
        }
    }
    Ok(said.map(|(_, reason)| reason))
}

/// The states of the execution, and within the Parallel those of its branches: the emulator's history has no events of a
/// branch, so these are taken from the evidence, from the state's entry to its last outcome.
async fn phases(seen: &Seen<'_>) -> Result<Vec<PhaseSeconds>, WorldError> {
    let Seen { world, stage, execution, .. } = seen;
    let mut phases = execution.phases.clone();
    let prefix = lifeboat_rules::evidence::prefix("aex", &execution.name);
    let s3 = world.clients(world.recovery()).s3;
    let mut pages =
        s3.list_objects_v2().bucket(&stage.evidence_bucket).prefix(prefix).into_paginator().send();
    let mut branches: BTreeMap<String, Phase> = BTreeMap::new();
    while let Some(page) = pages.next().await {
        let page = page.doing(|| "list the evidence".to_owned())?;
        for key in page
            .contents()
            .iter()
            .filter_map(|object| object.key())
            .filter(|key| key.ends_with("-outcome.json"))
        {
            let record: Record = serde_json::from_value(stage.evidence(world, key).await?)
                .doing(|| format!("read the evidence {key}"))?;
            if execution.phase(&record.step.name).is_some() {
                continue;
            }
            let from =
                record.step.entered.parse().doing(|| format!("read `entered` of the evidence {key}"))?;
            let name = record.step.name;
            let phase = branches.entry(name.clone()).or_insert(Phase { name, from, to: record.at });
            phase.to = phase.to.max(record.at);
        }
    }
    phases.extend(branches.into_values());
    phases.sort_by_key(|phase| phase.from);
    Ok(phases
        .into_iter()
        .map(|phase| PhaseSeconds { seconds: seconds(phase.from, phase.to), name: phase.name })
        .collect())
}

/// Time that is CloudFormation's, the exchange's, the plan's or the resolvers', and not Lifeboat's.
async fn not_counted(seen: &Seen<'_>, first_ack: Timestamp, epoch: u64) -> Result<Vec<Interval>, WorldError> {
    let Seen { world, stage, struck_at, execution, .. } = seen;
    let interval = |what: String, from: Timestamp, to: Timestamp| Interval {
        what,
        from: seconds(*struck_at, from),
        to: seconds(*struck_at, to),
    };
    let mut intervals = Vec::new();
    let cloudformation = world.clients(world.recovery()).cloudformation;
    for stack in &stage.plan.stacks {
        let name = stage.plan.stack_name(&stack.name, epoch);
        let described = cloudformation.describe_stack_events().stack_name(&name).send().await;
        let described = described.doing(|| format!("read the events of {name}"))?;
        let at = |status: &str| {
            let events = described.stack_events().iter();
            let own = events.filter(|event| event.logical_resource_id() == Some(name.as_str()));
            let times = own
                .filter(|event| event.resource_status().is_some_and(|found| found.as_str() == status))
                .filter_map(|event| Timestamp::from_millisecond(event.timestamp()?.to_millis().ok()?).ok());
            times.min()
        };
        if let (Some(from), Some(to)) = (at("CREATE_IN_PROGRESS"), at("CREATE_COMPLETE")) {
            intervals.push(interval(format!("CloudFormation makes {name}"), from, to));
        }
    }
    for container in
        world.standin().containers().iter().filter(|container| container.region == world.recovery())
    {
        let at = |event: &str| logged_at(&container.log, event);
        if let (Some(from), Some(to)) = (at("started"), at("recovered")) {
            intervals.push(interval("AEX starts and replays the ledger".into(), from, to));
        }
    }
    let probe = &stage.plan.probe;
    let window = jiff::SignedDuration::from_secs(i64::from((probe.attempts - 1) * probe.interval_seconds));
    for name in ["Confirm the outage", "Confirm the outage again"] {
        if let Some(phase) = execution.phase(name) {
            let to = phase.from.checked_add(window).unwrap_or(phase.to).min(phase.to);
            intervals.push(interval(format!("the plan's confirmation window ({name})"), phase.from, to));
        }
    }
    if let Some(flip) = execution.phase("Flip the traffic") {
        let ttl = stage.plan.dns.records.iter().map(|record| record.ttl).max().unwrap_or(0);
        let to = flip
            .to
            .checked_add(jiff::SignedDuration::from_secs(i64::from(ttl)))
            .unwrap_or(first_ack)
            .min(first_ack);
        intervals.push(interval("DNS TTL".into(), flip.to, to.max(flip.to)));
    }
    Ok(intervals)
}

/// When a container's log first says `event`.
pub(crate) fn logged_at(log: &Path, event: &str) -> Option<Timestamp> {
    let text = std::fs::read_to_string(log).ok()?;
    text.lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find_map(|line| (line["event"] == event).then(|| line["ts"].as_str()?.parse().ok()).flatten())
}

/// How much of `window` the union of the intervals covers.
fn union_within(intervals: &[Interval], window: (f64, f64)) -> f64 {
    let mut clipped: Vec<(f64, f64)> = intervals
        .iter()
        .map(|interval| (interval.from.max(window.0), interval.to.min(window.1)))
        .filter(|(from, to)| from < to)
        .collect();
    clipped.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut covered, mut reached) = (0.0, f64::NEG_INFINITY);
    for (from, to) in clipped {
        covered += (to - from.max(reached)).max(0.0);
        reached = reached.max(to);
    }
    covered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_intervals_are_taken_off_once_and_only_inside_the_window() {
        let interval = |from, to| Interval { what: String::new(), from, to };
        let intervals = [
            interval(0.0, 2.0),
            interval(1.0, 3.0),
            interval(5.0, 6.0),
            interval(5.5, 5.6),
            interval(9.0, 20.0),
        ];
        assert_eq!(union_within(&intervals, (1.0, 10.0)), 2.0 + 1.0 + 1.0);
        assert_eq!(union_within(&[], (1.0, 10.0)), 0.0);
        assert_eq!(union_within(&[interval(3.0, 2.0)], (0.0, 10.0)), 0.0);
    }
}
