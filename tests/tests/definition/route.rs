//! The way of a run, as a replay knows it: where it ends by which answer is what the definition says.

use std::collections::{BTreeMap, BTreeSet};

use lifeboat_rules::replay::{Answer, leads_to, state_of, states};
use lifeboat_tests::definition::{Cause, Definition, State, quoted};
use serde_json::{Value, json};

use crate::holds;

/// A failure of these leaves the outcome as it was, or leaves none.
const NO_OUTCOME: [&str; 2] = ["Take down what this run launched", "Close the run"];

/// Whom an unproven tail leads to, where the plan lets persons approve.
const ASKED: &str = "Ask about the unproven ledger";

#[test]
fn a_replay_knows_where_each_answer_leads() {
    holds(
        answers,
        &[
            ("a verdict that ends otherwise", |value| {
                value["States"]["Is the primary down?"]["Choices"][1]["Assign"]["outcome"] = json!("Halted");
            }),
            ("one that goes on", |value| {
                let choice = &mut value["States"]["Is it open?"]["Choices"][1];
                choice.as_object_mut().expect("a choice").remove("Assign");
            }),
            ("one that is late and goes on", |value| {
                let choice = &mut value["States"]["Is the primary still down?"]["Choices"][1];
                choice["Condition"] = json!("{% $states.input.verdict = 'PrimaryDown' %}");
            }),
            ("what is worse counts less", |value| {
                let choice = &mut value["States"]["May it seal?"]["Choices"][2];
                choice["Assign"]["outcome"] = json!("Halted");
            }),
            ("an error that ends otherwise", |value| {
                value["States"]["Seal the ledger"]["Catch"][0]["Assign"]["outcome"] = json!("Halted");
            }),
            ("another last state", |value| {
                value["States"]["Confirm recovered"]["Assign"]["outcome"] = json!("Halted");
            }),
        ],
    );
}

fn answers(definition: &Definition) -> Vec<String> {
    let states = definition.states();
    let mut found = Vec::new();
    for choice in states.iter().filter(|state| state.kind() == "Choice" && state.name != "How did it end?") {
        for edge in choice.edges() {
            let Cause::Condition(condition) = edge.cause else { continue };
            // Where persons are asked, their answer leads on.
            if edge.to == ASKED && verdicts(condition).eq(["Unproven"]) {
                continue;
            }
            let ends = edge.assigns.and_then(|assigns| assigns.get("outcome")?.as_str());
            for verdict in verdicts(condition) {
                let in_time = condition.contains("in_time = true");
                let of = asked_by(&states, choice.name, condition);
                let mut answers = vec![answer(verdict, in_time)];
                // One that does not ask for the time has it either way, and comes behind the one that does.
                if !in_time && verdict != "PrimaryDown" {
                    answers.push(answer(verdict, true));
                }
                for answer in answers {
                    let known = leads_to(of, &answer).map(|outcome| outcome.as_str());
                    if known != ends {
                        found.push(format!(
                            "`{of}` {answer:?} leads to {ends:?}, a replay takes it to lead to {known:?}"
                        ));
                    }
                }
            }
        }
    }
    for task in definition.tasks() {
        let set = task.body["Assign"]["outcome"].as_str();
        if let Some(outcome) = set {
            let known = leads_to(task.name, &answer("Serving", true)).map(|outcome| outcome.as_str());
            if known != Some(outcome) {
                found.push(format!("`{}` ends as {outcome}, a replay takes it for {known:?}", task.name));
            }
        }
        for catcher in task.catchers().filter(|_| !NO_OUTCOME.contains(&task.name)) {
            let Some(outcome) = catcher["Assign"]["outcome"].as_str() else { continue };
            for error in catcher["ErrorEquals"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                let known =
                    leads_to(task.name, &Answer::Failed(error.to_owned())).map(|outcome| outcome.as_str());
                if known != Some(outcome) {
                    found.push(format!(
                        "`{}` fails with {error} as {outcome}, a replay takes it for {known:?}",
                        task.name
                    ));
                }
            }
        }
    }
    found
}

/// What the choice looks for; what a branch says of its own failure is an error of the step in it.
fn verdicts(condition: &str) -> impl Iterator<Item = &str> {
    quoted(condition).into_iter().filter(|verdict| !["Fenced", "StepFailed"].contains(verdict)).filter(
        |verdict| {
            // Both have to be so, and each by itself goes on.
            verdict.starts_with(|c: char| c.is_ascii_uppercase())
        },
    )
}

fn answer(verdict: &str, in_time: bool) -> Answer {
    Answer::Said(json!({ "verdict": verdict, "in_time": in_time }))
}

/// The task whose answer the choice reads.
fn asked_by<'a>(states: &[State<'a>], choice: &'a str, condition: &str) -> &'a str {
    let named = |name: &'static str| name;
    match choice {
        "May it seal?" if condition.contains("stacks.verdict") && !condition.contains("history.verdict") => {
            named("Launch the stacks")
        }
        "May it seal?" => named("Verify the history"),
        _ => {
            let before = states.iter().find(|state| state.text("Next") == choice);
            before.map_or(choice, |state| state.name)
        }
    }
}

#[test]
fn a_replay_knows_every_state_and_what_it_asks_for() {
    holds(
        known,
        &[
            ("a state of another name", |value| {
                let states = value["States"].as_object_mut().expect("states");
                let body = states.remove("Seal the ledger").expect("a state");
                states.insert("Close the ledger".into(), body);
            }),
            ("an action of another name", |value| {
                value["States"]["Seal the ledger"]["Arguments"]["Payload"]["action"] = json!({ "shut": {} });
            }),
        ],
    );
}

fn known(definition: &Definition) -> Vec<String> {
    let tasks = definition.tasks();
    let mut found = Vec::new();
    let names: BTreeSet<&str> = tasks.iter().map(|task| task.name).collect();
    for name in names.symmetric_difference(&states().collect()) {
        found.push(format!("`{name}` is known to one of the two alone"));
    }
    let mut asking: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for task in &tasks {
        asking.entry(task.action().unwrap_or_default()).or_default().push(task.name);
    }
    for (action, states) in asking {
        let only = if let [state] = states[..] { Some(state) } else { None };
        if state_of(action) != only {
            found.push(format!(
                "`{action}` is asked for by {states:?}, a replay knows {:?}",
                state_of(action)
            ));
        }
    }
    found
}
