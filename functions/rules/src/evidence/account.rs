//! What the records of a run come to: how long each phase took, and which record says what.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::cost::{CostEstimate, cost_estimate};
use super::{LEFT, Listed, Phase, Record, slug};
use crate::{Outcome, Run};

/// The records of a run, read together. Records are named by their keys below the run's prefix; their digests are in the list.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// The states that the run went into, in that order.
    pub phases: Vec<PhaseTime>,
    /// Intents without an outcome: what came of them is not known.
    pub unknown: Vec<String>,
    /// What was seen of the primary, each time that it was looked at.
    pub observations: Vec<String>,
    /// The proofs of the ledger: its history, its tail.
    pub ledger_proof: Vec<String>,
    /// The seals, which close the ledger to the primary, and the opens.
    pub fence_proof: Vec<String>,
    /// How the traffic moved: the records, and the batches and receipts that were left beside them.
    pub dns: Vec<String>,
    /// What the recovered side said of itself.
    pub recovered: Vec<String>,
    /// The stacks, as far as they were told of.
    pub stacks: Stacks,
    /// The time for recovery, of a run that recovered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rto: Option<Rto>,
    /// What was lost, of a run that recovered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rpo: Option<Rpo>,
    /// What it has cost, by list price and as far as that can be counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_estimate: Option<CostEstimate>,
}

/// One visit of a state; all shards of a history are one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhaseTime {
    /// The state's name.
    pub state: String,
    /// What it asked its function for.
    pub action: String,
    /// When it was entered, by the clock of Step Functions.
    pub began_at: Timestamp,
    /// When its last record was made, by its Lambda's clock.
    pub ended_at: Timestamp,
    /// Between the two, to the millisecond.
    pub milliseconds: i64,
    /// How often its function was called.
    pub calls: u64,
    /// What it came to in the end: a verdict, or an error's name; `None` where that is not known.
    pub verdict: Option<String>,
}

/// The stacks of the recovery side.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stacks {
    /// Complete at some time, by their full names.
    pub launched: Vec<String>,
    /// What was left standing: the stacks of a run that began to launch them and has not seen them all gone. One that it could
    /// not make may be among them.
    pub left_standing: Vec<String>,
}

/// The time for recovery against its objective.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rto {
    /// The run's start: the moment at which the alarm changed, or a person started the run.
    pub from: Timestamp,
    /// The last time that the recovered side was seen to serve.
    pub to: Timestamp,
    /// Between the two.
    pub milliseconds: i64,
    /// The run's deadline, by the plan's objective.
    pub deadline: Timestamp,
    /// Whether `to` is not after it.
    pub met: bool,
}

/// What was lost against the objective, which is nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rpo {
    /// Acknowledged entries that may be lost.
    pub objective_entries: u64,
    /// Acknowledged entries that are: none, by a tail that is proven through the seals, and by what the recovered side says
    /// to have applied.
    pub lost_entries: u64,
}

/// Reads the records of a run together. `stacks` are the full names of those that it was to launch, none where these are not
/// known; `listed` is everything that it has left, `records` those among them that are records.
pub fn account(
    run: Option<&Run>,
    outcome: Outcome,
    stacks: &[String],
    listed: &[Listed],
    records: &[(String, Record)],
) -> Account {
    let action_of: BTreeMap<&str, &str> = records
        .iter()
        .filter(|(_, record)| record.phase == Phase::Intent)
        .filter_map(|(_, record)| Some((record.request_id.as_str(), action(record)?)))
        .collect();
    let action_of = |record: &Record| action_of.get(record.request_id.as_str()).copied().unwrap_or_default();
    let outcomes = |actions: &[&str]| -> Vec<String> {
        let of = |(_, record): &&(String, Record)| {
            record.phase == Phase::Outcome && actions.contains(&action_of(record))
        };
        records.iter().filter(of).map(|(key, _)| key.clone()).collect()
    };
    let phases = phases(records, &action_of);
    let mut dns = outcomes(&["flip", "confirm_flip"]);
    let moved = phases.iter().filter(|phase| ["flip", "confirm_flip"].contains(&phase.action.as_str()));
    let beside: Vec<String> = moved.map(|phase| format!("-{}-", slug(&phase.state))).collect();
    let is_left = |key: &str| key.starts_with(LEFT) && beside.iter().any(|state| key.contains(state));
    dns.extend(listed.iter().filter(|listed| is_left(&listed.key)).map(|listed| listed.key.clone()));
    let recovered = run.filter(|_| outcome == Outcome::Recovered);
    Account {
        unknown: unknown(records),
        observations: outcomes(&["confirm_outage"]),
        ledger_proof: outcomes(&["verify_history", "join_shards", "verify_tail"]),
        fence_proof: outcomes(&["seal", "open"]),
        recovered: outcomes(&["confirm_recovered"]),
        stacks: told_of(stacks, records, &action_of),
        rto: recovered.and_then(|run| rto(run, &phases)),
        rpo: recovered.and_then(|_| rpo(&phases)),
        cost_estimate: Some(cost_estimate(listed, records)),
        dns,
        phases,
    }
}

/// What an intent asks for.
pub(super) fn action(record: &Record) -> Option<&str> {
    record.body["action"].as_object()?.keys().next().map(String::as_str)
}

/// What an outcome says.
fn verdict(record: &Record) -> Option<String> {
    let said = record.body["result"]["verdict"].as_str().or_else(|| record.body["error"].as_str());
    said.map(str::to_owned)
}

fn phases<'a>(records: &'a [(String, Record)], action_of: &impl Fn(&'a Record) -> &'a str) -> Vec<PhaseTime> {
    let mut visits: BTreeMap<(&str, &str, &str), Vec<&Record>> = BTreeMap::new();
    for (_, record) in records {
        let action = action_of(record);
        // Shards run side by side, hundreds of them.
        let entered = if action == "verify_shard" { "" } else { record.step.entered.as_str() };
        visits.entry((entered, record.step.name.as_str(), action)).or_default().push(record);
    }
    let mut phases: Vec<PhaseTime> = visits
        .into_iter()
        .filter_map(|((_, state, action), mut records)| {
            records.sort_by_key(|record| (record.at, record.phase == Phase::Outcome));
            let entered = records.iter().filter_map(|record| record.step.entered.parse().ok()).min();
            let (first, last) = (records.first()?, records.last()?);
            let began_at = entered.unwrap_or(first.at);
            Some(PhaseTime {
                state: state.to_owned(),
                action: action.to_owned(),
                began_at,
                ended_at: last.at,
                milliseconds: milliseconds(began_at, last.at),
                calls: records.iter().filter(|record| record.phase == Phase::Intent).count() as u64,
                verdict: verdict(last),
            })
        })
        .collect();
    phases.sort_by(|one, other| (one.began_at, &one.state).cmp(&(other.began_at, &other.state)));
    phases
}

/// The intents that no outcome follows.
pub(super) fn unknown(records: &[(String, Record)]) -> Vec<String> {
    let ended: BTreeSet<&str> = records
        .iter()
        .filter(|(_, record)| record.phase == Phase::Outcome)
        .map(|(_, record)| record.request_id.as_str())
        .collect();
    let begun = records.iter().filter(|(_, record)| record.phase == Phase::Intent);
    // The close's own is followed by the manifest.
    let open = begun
        .filter(|(_, record)| action(record) != Some("close") && !ended.contains(record.request_id.as_str()));
    open.map(|(key, _)| key.clone()).collect()
}

fn told_of<'a>(
    planned: &[String],
    records: &'a [(String, Record)],
    action_of: &impl Fn(&'a Record) -> &'a str,
) -> Stacks {
    let of = |action: &str, said: &str| {
        records.iter().map(|(_, record)| record).rfind(|record| {
            record.phase == Phase::Outcome
                && action_of(record) == action
                && record.body["result"]["verdict"] == said
        })
    };
    let ready = of("launch", "StacksReady").and_then(|record| record.body["result"]["stacks"].as_array());
    let launched: Vec<String> =
        ready.into_iter().flatten().filter_map(|name| name.as_str()).map(str::to_owned).collect();
    let began = records.iter().any(|(_, record)| action_of(record) == "launch");
    let left_standing = match of("tear_down", "StacksGone") {
        None if began && !planned.is_empty() => planned.to_vec(),
        None => launched.clone(),
        Some(_) => vec![],
    };
    Stacks { launched, left_standing }
}

fn rto(run: &Run, phases: &[PhaseTime]) -> Option<Rto> {
    let to = phases
        .iter()
        .filter(|phase| phase.action == "confirm_recovered")
        .map(|phase| phase.ended_at)
        .max()?;
    let from = run.began_at();
    let (milliseconds, deadline) = (milliseconds(from, to), run.deadline);
    Some(Rto { from, to, milliseconds, deadline, met: to <= deadline })
}

fn rpo(phases: &[PhaseTime]) -> Option<Rpo> {
    let came_to = |action: &str, verdict: &str| {
        let of = phases.iter().rfind(|phase| phase.action == action);
        of.is_some_and(|phase| phase.verdict.as_deref() == Some(verdict))
    };
    let nothing_lost = came_to("verify_tail", "Proven") && came_to("confirm_recovered", "Serving");
    nothing_lost.then_some(Rpo { objective_entries: 0, lost_entries: 0 })
}

fn milliseconds(from: Timestamp, to: Timestamp) -> i64 {
    to.as_millisecond() - from.as_millisecond()
}
