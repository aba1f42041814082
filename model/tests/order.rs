//! The model's steps are those of the state machine, in its order.

use std::collections::{BTreeMap, BTreeSet};

use lifeboat_model::{OF_A_RUN, Step};
use serde_json::Value;

/// The state of the definition that a step of the model belongs to. The fence and the seals are one state, and so are the
/// flip and the look behind it.
fn state(step: Step) -> &'static str {
    match step {
        Step::Claim => "Claim the epoch",
        Step::Launch => "Launch the stacks",
        Step::History => "Verify the history",
        Step::Fence | Step::Seal => "Seal the ledger",
        Step::Tail => "Verify the tail",
        Step::Open => "Open the recovery side",
        Step::Serve => "Wait until the exchange has recovered",
        Step::Flip | Step::Confirm => "Flip the traffic",
        Step::Undo => "Take down what this run launched",
        Step::Close => "Close the run",
    }
}

/// The tasks of the definition that are no step of the model, and why.
const LEFT_OUT: [(&str, &str); 11] = [
    ("Admit the run", "a run of the model begins admitted, by the same rule"),
    ("Confirm the outage", OUTAGE),
    ("Confirm the outage again", OUTAGE),
    ("Verify a shard", SHARDS),
    ("Join the shards", SHARDS),
    ("Ask before the seal", PERSONS),
    ("Count before the seal", PERSONS),
    ("Ask about the unproven ledger", PERSONS),
    ("Count about the unproven ledger", PERSONS),
    (
        "Confirm the flip",
        "it asks names and changes nothing; the model's look behind the flip is at the newest object",
    ),
    ("Confirm recovered", "it asks the application and changes nothing"),
];
const OUTAGE: &str =
    "there is no time in the model: a run may go on, or stand down, whatever the primary does";
const SHARDS: &str = "a history in shards is one history to the model";
const PERSONS: &str =
    "persons are not in the model: nothing waits for them, and no run goes past an unproven tail";

/// The names of all tasks, those within a *Parallel* or a *Map* too.
fn tasks(machine: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (name, state) in machine["States"].as_object().expect("a machine has states") {
        if state["Type"] == "Task" {
            found.insert(name.clone());
        }
        let inner = state["Branches"].as_array().into_iter().flatten().chain(state.get("ItemProcessor"));
        found.extend(inner.flat_map(tasks));
    }
    found
}

/// What can follow each state, by any transition. A branch of a *Parallel* is left for what follows the *Parallel*.
fn graph(definition: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let mut edges = BTreeMap::new();
    collect(definition, None, &mut edges);
    edges
}

fn collect(machine: &Value, behind: Option<&str>, edges: &mut BTreeMap<String, BTreeSet<String>>) {
    for (name, state) in machine["States"].as_object().expect("a machine has states") {
        let mut to: BTreeSet<String> = BTreeSet::new();
        let transitions = state["Choices"].as_array().into_iter().chain(state["Catch"].as_array()).flatten();
        let next =
            transitions.map(|transition| &transition["Next"]).chain([&state["Next"], &state["Default"]]);
        to.extend(next.filter_map(Value::as_str).map(str::to_owned));
        if state["End"] == true {
            to.extend(behind.map(str::to_owned));
        }
        let inner = state["Branches"].as_array().into_iter().flatten().chain(state.get("ItemProcessor"));
        for machine in inner {
            to.insert(machine["StartAt"].as_str().expect("a machine starts").to_owned());
            collect(machine, state["Next"].as_str().or(behind), edges);
        }
        edges.insert(name.clone(), to);
    }
}

/// Whether `to` can be come to from `from` without passing `without`.
fn reaches(edges: &BTreeMap<String, BTreeSet<String>>, from: &str, to: &str, without: Option<&str>) -> bool {
    let (mut seen, mut open) = (BTreeSet::new(), vec![from.to_owned()]);
    while let Some(state) = open.pop() {
        if Some(state.as_str()) == without || !seen.insert(state.clone()) {
            continue;
        }
        if state == to {
            return true;
        }
        open.extend(edges.get(&state).into_iter().flatten().cloned());
    }
    false
}

fn definition() -> Value {
    serde_json::from_str(include_str!("../../statemachine/failover.asl.json"))
        .expect("the definition is JSON")
}

#[test]
fn each_task_is_a_step_or_is_left_out_for_a_reason() {
    let steps = OF_A_RUN.into_iter().chain([Step::Undo]).map(|step| state(step).to_owned());
    let left_out = LEFT_OUT.iter().map(|(task, _)| (*task).to_owned());
    let (steps, left_out): (BTreeSet<_>, BTreeSet<_>) = (steps.collect(), left_out.collect());
    assert!(steps.is_disjoint(&left_out), "a task is both");
    assert_eq!(tasks(&definition()), &steps | &left_out);
}

#[test]
fn each_step_comes_only_behind_the_one_before() {
    let definition = definition();
    let edges = graph(&definition);
    let start = definition["StartAt"].as_str().expect("a machine starts");
    for step in OF_A_RUN.into_iter().chain([Step::Undo]) {
        assert!(edges.contains_key(state(step)), "{step:?}: the definition has no state `{}`", state(step));
    }
    // The launch and the history go side by side, and the seal waits for both; the run is closed from everywhere.
    let side_by_side = |a, b| (a, b) == (Step::Launch, Step::History);
    let steps = &OF_A_RUN[..OF_A_RUN.len() - 1];
    for (at, step) in steps.iter().enumerate() {
        let (before, after) = (&steps[..at], state(*step));
        assert!(reaches(&edges, start, after, None), "`{after}` cannot be come to");
        for earlier in before.iter().filter(|earlier| state(**earlier) != after) {
            if side_by_side(*earlier, *step) {
                continue;
            }
            let parallel = matches!(earlier, Step::Launch | Step::History);
            let before = if parallel { "Prepare the recovery side" } else { state(*earlier) };
            assert!(
                !reaches(&edges, start, after, Some(before)),
                "`{after}` can be come to without `{before}`, and the model has {earlier:?} before {step:?}"
            );
            assert!(!reaches(&edges, after, before, None), "`{before}` can come behind `{after}`");
        }
    }
    // Undoing is for before the seal: nothing that acts comes behind it but the close.
    for step in steps {
        assert!(!reaches(&edges, state(Step::Undo), state(*step), None), "{step:?} can come behind the undo");
    }
    assert!(reaches(&edges, state(Step::Confirm), state(Step::Close), None), "a run is closed");
}
