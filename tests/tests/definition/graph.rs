//! The graph: every way leads somewhere, every state can be reached, and no run outgrows its history.

use std::collections::{BTreeMap, BTreeSet};

use lifeboat_rules::approval::REFUSALS_MAX;
use lifeboat_rules::plan::bounds;
use lifeboat_tests::definition::{Definition, Machine, State, strings};
use serde_json::{Value, json};

use crate::holds;

/// What Step Functions keeps of one execution.
const HISTORY_EVENTS_MAX: u64 = 25_000;
/// An attempt at a task is scheduled, started, and succeeds or fails.
const EVENTS_AN_ATTEMPT: u64 = 3;
/// A state is entered and left; a branch is begun and ended beside that.
const EVENTS_A_STATE: u64 = 4;
/// A map run is started, and succeeds or fails.
const EVENTS_A_MAP_RUN: u64 = 2;
/// Attempts where a retrier does not say (the States Language's own default).
const ATTEMPTS_DEFAULT: u64 = 3;

#[test]
fn every_way_leads_to_a_state() {
    holds(
        dangling,
        &[
            ("a next", |value| value["States"]["Begin"]["Next"] = json!("Nowhere")),
            ("a default", |value| value["States"]["Was it admitted?"]["Default"] = json!("Nowhere")),
            ("a choice", |value| {
                value["States"]["Was it admitted?"]["Choices"][0]["Next"] = json!("Nowhere")
            }),
            ("a catch", |value| value["States"]["Admit the run"]["Catch"][2]["Next"] = json!("Nowhere")),
            ("a start", |value| value["StartAt"] = json!("Nowhere")),
            ("out of a branch", |value| {
                let launch = &mut value["States"]["Prepare the recovery side"]["Branches"][0]["States"];
                launch["Launch the stacks"]["Next"] = json!("Close the run");
            }),
            ("no way out", |value| remove(&mut value["States"]["Begin"], "Next")),
            ("a choice without a default", |value| {
                remove(&mut value["States"]["Is it open?"], "Default");
            }),
        ],
    );
}

fn dangling(definition: &Definition) -> Vec<String> {
    let mut found = Vec::new();
    for machine in definition.machines() {
        let names: BTreeSet<&str> = machine.states.iter().map(|state| state.name).collect();
        if !names.contains(machine.start) {
            found.push(format!("the start `{}` is no state", machine.start));
        }
        for state in &machine.states {
            let edges = state.edges();
            for edge in &edges {
                if !names.contains(edge.to) {
                    found.push(format!("`{}` leads to `{}`, which is no state", state.name, edge.to));
                }
            }
            let ends = matches!(state.kind(), "Succeed" | "Fail") || state.body["End"] == true;
            if ends
                != edges.iter().all(|edge| matches!(edge.cause, lifeboat_tests::definition::Cause::Catch(_)))
            {
                found.push(format!("`{}` must either end or lead on", state.name));
            }
            if state.kind() == "Choice" && state.body["Default"].is_null() {
                found.push(format!(
                    "`{}` has no default: an unknown answer would be States.NoChoiceMatched",
                    state.name
                ));
            }
        }
    }
    found
}

#[test]
fn every_state_can_be_reached_and_says_what_it_is_for() {
    holds(
        unreachable,
        &[
            ("a detour around a state", |value| {
                value["States"]["Seal the ledger"]["Next"] = json!("Open the recovery side");
            }),
            ("a state in a branch that nobody enters", |value| {
                let launch = &mut value["States"]["Prepare the recovery side"]["Branches"][0]["States"];
                launch["Idle"] = json!({ "Type": "Pass", "Comment": "x", "End": true });
            }),
            ("no comment", |value| remove(&mut value["States"]["Begin"], "Comment")),
        ],
    );
}

fn unreachable(definition: &Definition) -> Vec<String> {
    let mut found = Vec::new();
    for machine in definition.machines() {
        let reached = machine.reachable();
        for state in &machine.states {
            if !reached.contains(state.name) {
                found.push(format!("`{}` cannot be reached", state.name));
            }
            if state.text("Comment").is_empty() {
                found.push(format!("`{}` has no comment", state.name));
            }
        }
    }
    found
}

#[test]
fn the_longest_run_fits_in_its_history() {
    holds(
        too_long,
        &[
            ("much more waiting", |value| {
                let wait = &mut value["States"]["Wait until the exchange has recovered"];
                wait["Retry"][0]["MaxAttempts"] = json!(8_000);
            }),
            ("much more waiting in a branch", |value| {
                let launch = &mut value["States"]["Prepare the recovery side"]["Branches"][0]["States"];
                launch["Launch the stacks"]["Retry"][0]["MaxAttempts"] = json!(8_000);
            }),
            ("much more waiting in a map", |value| {
                let shards = &mut value["States"]["Prepare the recovery side"]["Branches"][1]["States"];
                let shard = &mut shards["Verify the shards"]["ItemProcessor"]["States"]["Verify a shard"];
                shard["Retry"][0]["MaxAttempts"] = json!(9_000);
            }),
            ("a map within the run", |value| {
                let shards = &mut value["States"]["Prepare the recovery side"]["Branches"][1]["States"];
                shards["Verify the shards"]["ItemProcessor"]["ProcessorConfig"]["Mode"] = json!("INLINE");
            }),
            ("questions in a hurry", |value| {
                value["States"]["Ask before the seal"]["TimeoutSeconds"] = json!(5);
            }),
            ("a loop", |value| {
                value["States"]["Is it sealed?"]["Choices"][1]["Next"] = json!("Seal the ledger")
            }),
        ],
    );
}

/// The longest way through the states, each with all the attempts that its retriers grant.
fn too_long(definition: &Definition) -> Vec<String> {
    fn longest<'a>(
        machine: &Machine<'a>,
        state: State<'a>,
        all: &[Machine<'a>],
        above: &mut Vec<&'a str>,
        known: &mut BTreeMap<&'a str, u64>,
    ) -> Result<u64, String> {
        if let Some(events) = known.get(state.name) {
            return Ok(*events);
        }
        // A question is asked again until its time is over: its rounds are counted where they begin.
        if above.contains(&state.name) && state.is_callback() {
            return Ok(0);
        }
        if above.contains(&state.name) {
            return Err(format!("`{}` comes back to itself: its rounds are not counted", state.name));
        }
        above.push(state.name);
        let attempts: u64 = 1 + state
            .retriers()
            .map(|retrier| retrier["MaxAttempts"].as_u64().unwrap_or(ATTEMPTS_DEFAULT))
            .sum::<u64>();
        let mut events =
            EVENTS_A_STATE + if state.kind() == "Task" { attempts * EVENTS_AN_ATTEMPT } else { 0 };
        if state.is_callback() {
            let seconds = state.body["TimeoutSeconds"].as_u64().ok_or("a question without a time")?;
            let asked = u64::from(*bounds::APPROVAL_WAIT_SECONDS.end()).div_ceil(seconds);
            // What does not count is a round as well. In each the question is put, its answers are counted, and told apart.
            let rounds = asked + REFUSALS_MAX as u64 + 2;
            events += rounds * (3 * EVENTS_A_STATE + 2 * EVENTS_AN_ATTEMPT);
        }
        for branch in all.iter().filter(|inner| inner.within == Some(state.name)) {
            let inner = from_start(branch, all)?;
            match (state.kind(), state.is_distributed()) {
                // Each item is an execution with a history of its own.
                ("Map", true) if inner < HISTORY_EVENTS_MAX => events += EVENTS_A_MAP_RUN,
                ("Map", true) => return Err(format!("a child of `{}` can have {inner} events", state.name)),
                ("Map", false) => {
                    return Err(format!("`{}` has each of its items in this history", state.name));
                }
                _ => events += inner,
            }
        }
        let mut after = 0;
        for next in state.edges().iter().filter_map(|edge| machine.state(edge.to)) {
            after = after.max(longest(machine, next, all, above, known)?);
        }
        above.pop();
        known.insert(state.name, events + after);
        Ok(events + after)
    }
    fn from_start<'a>(machine: &Machine<'a>, all: &[Machine<'a>]) -> Result<u64, String> {
        let start = machine.state(machine.start).ok_or("no start")?;
        longest(machine, start, all, &mut Vec::new(), &mut BTreeMap::new())
    }
    let machines = definition.machines();
    match from_start(&machines[0], &machines) {
        Err(why) => vec![why],
        Ok(events) if events >= HISTORY_EVENTS_MAX => {
            vec![format!("a run can have {events} events; an execution ends at {HISTORY_EVENTS_MAX}")]
        }
        Ok(_) => vec![],
    }
}

#[test]
fn every_variable_is_set_before_it_is_read() {
    holds(
        unset,
        &[
            ("not set at the beginning", |value| remove(&mut value["States"]["Begin"]["Assign"], "facts")),
            ("not set by the step before", |value| {
                remove(&mut value["States"]["Verify the tail"]["Assign"], "proven");
            }),
            ("read in a child of a map", |value| {
                let shards = &mut value["States"]["Prepare the recovery side"]["Branches"][1]["States"];
                let shard = &mut shards["Verify the shards"]["ItemProcessor"]["States"]["Verify a shard"];
                shard["Arguments"]["Payload"]["run"] = json!("{% $run %}");
            }),
            ("read in a branch", |value| {
                let launch = &mut value["States"]["Prepare the recovery side"]["Branches"][0]["States"];
                launch["Launch the stacks"]["Arguments"]["Payload"]["run"] = json!("{% $history %}");
            }),
        ],
    );
}

/// A variable that is read without having been set ends a run by `States.QueryEvaluationError`, in the worst place.
fn unset(definition: &Definition) -> Vec<String> {
    let machines = definition.machines();
    let own = &machines[0];
    let surroundings = definition.surroundings();
    let distributed: BTreeSet<&str> = definition
        .states()
        .into_iter()
        .filter(|state| state.is_distributed())
        .map(|state| state.name)
        .collect();
    let mut set: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::from([(own.start, BTreeSet::new())]);
    let mut found = Vec::new();
    // In the order of a run, what is set on every way to a state is known once the state's turn comes.
    for state in own.in_order() {
        let before = set.get(state.name).cloned().unwrap_or_default();
        let inner = machines.iter().filter(|inner| {
            inner.within.is_some_and(|within| within_or_above(within, state.name, &surroundings))
        });
        for reader in std::iter::once(state).chain(inner.flat_map(|branch| branch.states.iter().copied())) {
            // What is within a state is read state by state.
            let mut body = reader.body.clone();
            remove(&mut body, "Branches");
            remove(&mut body, "ItemProcessor");
            let alone = surroundings.get(reader.name).is_some_and(|outer| distributed.contains(outer));
            for name in strings(&body).into_iter().flat_map(variables) {
                if alone {
                    found.push(format!("`{}` reads ${name}, which no child of a map sees", reader.name));
                } else if !before.contains(name.as_str()) {
                    found.push(format!(
                        "`{}` reads ${name}, which is not set on every way to it",
                        reader.name
                    ));
                }
            }
        }
        for edge in state.edges() {
            let mut after = before.clone();
            after.extend(edge.assigns.into_iter().flat_map(|assigns| assigns.keys().map(String::as_str)));
            let target = set.entry(edge.to).or_insert_with(|| after.clone());
            *target = target.intersection(&after).copied().collect();
        }
    }
    found
}

/// Whether `name` is `outer`, or stands within it at any depth.
fn within_or_above(name: &str, outer: &str, surroundings: &BTreeMap<&str, &str>) -> bool {
    name == outer || surroundings.get(name).is_some_and(|above| within_or_above(above, outer, surroundings))
}

/// The variables that an expression reads: `$name`, but neither `$states` nor a call.
fn variables(text: &str) -> Vec<String> {
    if !text.starts_with("{%") {
        return vec![];
    }
    // What is quoted is no code.
    let code: String = text.split('\'').step_by(2).collect();
    code.split('$')
        .skip(1)
        .filter_map(|rest| {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            let (name, after) = rest.split_at(end);
            (!name.is_empty() && name != "states" && !after.starts_with('(')).then(|| name.to_owned())
        })
        .collect()
}

fn remove(value: &mut Value, field: &str) {
    if let Some(fields) = value.as_object_mut() {
        fields.remove(field);
    }
}
