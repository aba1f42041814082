//! Words: every outcome and every verdict that the definition knows exists in Rust, and the other way round.

use std::collections::{BTreeMap, BTreeSet};

use lifeboat_rules::{Outcome, outage};
use lifeboat_tests::definition::{Cause, Definition, quoted};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::holds;

#[test]
fn outcomes_are_those_of_rust() {
    holds(
        outcomes,
        &[
            ("an outcome that does not exist", |value| {
                value["States"]["Is it open?"]["Choices"][1]["Assign"]["outcome"] = json!("Cracked");
            }),
            ("one that is never reached", |value| {
                for choice in ["Was it admitted?", "Is the epoch claimed?"] {
                    value["States"][choice]["Choices"][1]["Assign"]["outcome"] = json!("Halted");
                }
            }),
            ("an end that is not told apart", |value| {
                let condition = "{% $states.input.outcome in ['Broken', 'Unproven', 'Halted'] %}";
                value["States"]["How did it end?"]["Choices"][1]["Condition"] = json!(condition);
            }),
            ("a failure that ends well", |value| {
                let both = &mut value["States"]["How did it end?"]["Choices"];
                both[1]["Next"] = json!("The run is complete");
            }),
            ("a fail state that says something else", |value| {
                value["States"]["The run could not be closed"]["Error"] = json!("Oops");
            }),
        ],
    );
}

fn outcomes(definition: &Definition) -> Vec<String> {
    let known: BTreeSet<&str> = Outcome::OF_RUNS.into_iter().map(Outcome::as_str).collect();
    let mut found = Vec::new();
    let mut assigned: BTreeSet<&str> = BTreeSet::new();
    for machine in definition.machines() {
        let reachable = machine.reachable();
        for state in machine.states.iter().filter(|state| reachable.contains(state.name)) {
            for edge in state.edges() {
                let text = edge.assigns.and_then(|assigns| assigns.get("outcome")?.as_str());
                // An expression chooses between outcomes that it quotes.
                assigned.extend(text.into_iter().flat_map(|text| {
                    if text.starts_with("{%") { quoted(text) } else { [text].into_iter().collect() }
                }));
            }
            let error = state.text("Error");
            if !error.is_empty() && !error.starts_with("{%") && !known.contains(error) {
                found.push(format!("`{}` fails as {error}, which is no outcome", state.name));
            }
        }
    }
    for name in assigned.symmetric_difference(&known) {
        let by = if known.contains(name) { "is never assigned" } else { "is assigned, and is no outcome" };
        found.push(format!("{name} {by}"));
    }
    // At its end the machine succeeds exactly where the command line's exit code is 0.
    let states = definition.states();
    let end = states.iter().find(|state| state.name == "How did it end?").expect("the last choice");
    let mut ends: BTreeMap<&str, &str> = BTreeMap::new();
    for edge in end.edges() {
        if let Cause::Condition(condition) = edge.cause {
            let kind = states.iter().find(|state| state.name == edge.to).map_or("", |state| state.kind());
            ends.extend(quoted(condition).into_iter().map(|name| (name, kind)));
        }
    }
    for outcome in Outcome::OF_RUNS {
        let wanted = if outcome.exit_code() == 0 { "Succeed" } else { "Fail" };
        let is = ends.get(outcome.as_str()).copied().unwrap_or("nothing");
        if is != wanted {
            found.push(format!("{outcome} ends in {is}, and should in {wanted}"));
        }
    }
    found
}

#[test]
fn verdicts_are_those_of_rust() {
    holds(
        verdicts,
        &[
            ("a verdict that no Lambda gives", |value| {
                let condition = json!("{% $states.input.verdict = 'Opend' %}");
                value["States"]["Is it open?"]["Choices"][0]["Condition"] = condition;
            }),
            ("a verdict that is not told apart", |value| {
                value["States"]["Is it sealed?"]["Choices"].as_array_mut().expect("choices").remove(2);
            }),
            ("one of a list", |value| {
                let condition = "{% $states.input.verdict in ['PrimaryUnreachable'] %}";
                value["States"]["Is the primary down?"]["Choices"][1]["Condition"] = json!(condition);
            }),
            ("within a branch", |value| {
                let verify = &mut value["States"]["Prepare the recovery side"]["Branches"][1]["States"];
                let condition = json!("{% $states.input.verdict = 'Shardet' %}");
                verify["Is the history short?"]["Choices"][0]["Condition"] = condition;
            }),
            ("of a branch", |value| {
                value["States"]["May it seal?"]["Choices"].as_array_mut().expect("choices").remove(3);
            }),
            ("an action that nobody answers", |value| {
                value["States"]["Flip the traffic"]["Arguments"]["Payload"]["action"] = json!({ "flop": {} });
            }),
            ("an action that is never asked for", |value| {
                value["States"]["Flip the traffic"]["Arguments"]["Payload"]["action"] =
                    json!({ "confirm_flip": {} });
            }),
        ],
    );
}

/// What each action may answer. The verdicts of each function's answers together are held against this below.
const ANSWERS: [(&str, &str, &[&str]); 17] = [
    ("RunControlArn", "admit", &["Admitted", "Refused"]),
    ("RunControlArn", "claim_epoch", &["Claimed", "Refused"]),
    ("RunControlArn", "ask", &["Asked"]),
    ("RunControlArn", "count", &["Waiting", "Approved", "Declined", "Unanswered"]),
    ("RunControlArn", "close", &["Closed"]),
    (
        "HealthCheckArn",
        "confirm_outage",
        &["PrimaryDown", "PrimaryUnreachable", "PrimaryHealthy", "ObserversDisagree", "DataMissing"],
    ),
    ("HealthCheckArn", "confirm_recovered", &["Serving"]),
    ("StackLaunchArn", "launch", &["StacksReady", "StacksFailed", "StacksLate"]),
    ("StackLaunchArn", "tear_down", &["StacksGone"]),
    ("LedgerVerifyArn", "verify_history", &["Proven", "Unproven", "Broken", "Sharded"]),
    ("LedgerVerifyArn", "verify_shard", &["Read"]),
    ("LedgerVerifyArn", "join_shards", &["Proven", "Unproven", "Broken"]),
    ("LedgerVerifyArn", "seal", &["Sealed", "Advancing", "HalfDone", "Unproven", "Broken"]),
    ("LedgerVerifyArn", "verify_tail", &["Proven", "Unproven", "Broken"]),
    ("LedgerVerifyArn", "open", &["Opened", "HalfDone"]),
    ("DnsFlipArn", "flip", &["Flipped"]),
    ("DnsAskArn", "confirm_flip", &["FlipConfirmed", "FlipUnconfirmed"]),
];

/// After a task the machine must tell its verdicts apart, all of them and no others. A task with one verdict, or one
/// whose outcome is already settled, leads on without a choice.
fn verdicts(definition: &Definition) -> Vec<String> {
    let mut found = Vec::new();
    let mut asked: BTreeSet<&str> = BTreeSet::new();
    let mut awaited: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for machine in definition.machines() {
        for task in machine.states.iter().filter(|state| state.kind() == "Task") {
            let answers = ANSWERS.iter().find(|(function, action, _)| {
                Some(*function) == task.function() && Some(*action) == task.action()
            });
            let Some((_, action, answers)) = answers else {
                found.push(format!("`{}` asks {:?} for {:?}", task.name, task.function(), task.action()));
                continue;
            };
            asked.insert(action);
            // A branch turns its errors into verdicts, which are told apart with the others.
            if let Some(choice) = machine.within.and_then(|parallel| choice_after(definition, parallel)) {
                let verdicts = task.catchers().filter_map(|catcher| catcher["Output"]["verdict"].as_str());
                awaited.entry(choice).or_default().extend(verdicts);
            }
            if answers.len() > 1 {
                // A branch may tell some of them apart itself; what it does not, it hands on.
                let inner = machine.within.and_then(|_| choice_after(definition, task.name));
                let told_inside: BTreeSet<&str> =
                    inner.into_iter().flat_map(|choice| told(definition, choice)).collect();
                let (inside, outside): (Vec<&str>, Vec<&str>) =
                    answers.iter().copied().partition(|answer| told_inside.contains(answer));
                if let Some(choice) = inner {
                    awaited.entry(choice).or_default().extend(inside);
                }
                match choice_after(definition, machine.within.unwrap_or(task.name)) {
                    Some(choice) => awaited.entry(choice).or_default().extend(outside),
                    None => found.push(format!("no choice follows `{}`", task.name)),
                }
            }
        }
    }
    for (_, action, _) in &ANSWERS {
        if !asked.contains(action) {
            found.push(format!("`{action}` is never asked for"));
        }
    }
    for state in definition.states().iter().filter(|state| state.kind() == "Choice") {
        // The close answers with the outcome, which has a check of its own.
        let Some(awaited) = awaited.get(state.name) else { continue };
        let told = told(definition, state.name);
        for name in told.symmetric_difference(awaited) {
            let why =
                if told.contains(name) { "is told apart, and never given" } else { "falls to the default" };
            found.push(format!("`{}`: {name} {why}", state.name));
        }
    }
    found
}

/// The verdicts that a choice tells apart.
fn told<'a>(definition: &'a Definition, choice: &str) -> BTreeSet<&'a str> {
    let states = definition.states();
    let edges = states.iter().filter(|state| state.name == choice).flat_map(|state| state.edges());
    let conditions = edges.filter_map(|edge| match edge.cause {
        Cause::Condition(condition) => Some(quoted(condition)),
        _ => None,
    });
    conditions.flatten().collect()
}

/// The first choice on the way from a state, with nothing but states that compute in between.
fn choice_after<'a>(definition: &'a Definition, name: &str) -> Option<&'a str> {
    let states = definition.states();
    let mut at = states.iter().find(|state| state.name == name)?;
    loop {
        let next = at.body["Next"].as_str()?;
        at = states.iter().find(|state| state.name == next)?;
        match at.kind() {
            "Choice" => return Some(at.name),
            "Pass" => {}
            _ => return None,
        }
    }
}

#[test]
fn the_answers_are_those_of_the_functions() {
    let verdicts = |function: &str| -> BTreeSet<String> {
        let of = ANSWERS.iter().filter(|(name, ..)| *name == function);
        of.flat_map(|(_, _, verdicts)| verdicts.iter().map(|name| (*name).to_owned())).collect()
    };
    let actions = |function: &str| -> BTreeSet<String> {
        ANSWERS
            .iter()
            .filter(|(name, ..)| *name == function)
            .map(|(_, action, _)| (*action).to_owned())
            .collect()
    };
    let tagged = json!({ "verdict": "?" });
    assert_eq!(verdicts("RunControlArn"), names::<run_control::Answer>(&tagged));
    assert_eq!(verdicts("StackLaunchArn"), names::<stack_launch::Answer>(&tagged));
    assert_eq!(verdicts("LedgerVerifyArn"), names::<ledger_verify::Answer>(&tagged));
    // One binary, deployed twice: outside the network to act, inside to ask.
    let both = |of: &dyn Fn(&str) -> BTreeSet<String>| &of("DnsFlipArn") | &of("DnsAskArn");
    assert_eq!(both(&verdicts), names::<dns_flip::Answer>(&tagged));
    let mut health = names::<outage::Verdict>(&json!("?"));
    assert_eq!(health.len(), outage::Verdict::ALL.len());
    health.extend(names::<health_check::Serving>(&json!("?")));
    assert_eq!(verdicts("HealthCheckArn"), health);

    let external = json!({ "?": {} });
    assert_eq!(actions("RunControlArn"), names::<run_control::Action>(&external));
    assert_eq!(actions("HealthCheckArn"), names::<health_check::Action>(&external));
    assert_eq!(actions("StackLaunchArn"), names::<stack_launch::Action>(&external));
    assert_eq!(actions("LedgerVerifyArn"), names::<ledger_verify::Action>(&external));
    assert_eq!(both(&actions), names::<dns_flip::Action>(&external));
}

/// The names of an enum, which serde lists when it is given one that does not exist.
fn names<T: DeserializeOwned>(unknown: &Value) -> BTreeSet<String> {
    let Err(error) = serde_json::from_value::<T>(unknown.clone()) else { panic!("`?` was taken for a name") };
    let error = error.to_string();
    let (_, expected) = error.split_once("expected ").unwrap_or_else(|| panic!("no list of names: {error}"));
    expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}
