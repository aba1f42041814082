//! Errors: what may be tried again is, what is not caught by name is caught by `States.ALL`, and no task outlives its
//! function's own timeout.

use std::collections::BTreeSet;

use lifeboat_rules::ErrorName;
use lifeboat_rules::dns::confirm::within;
use lifeboat_rules::plan::bounds;
use lifeboat_tests::definition::{Cause, Definition, Edge, error_names, quoted};
use lifeboat_tests::given;
use serde_json::{Value, json};

use crate::{holds, orchestrator};

/// Failures of Lambda itself, after which the outcome is unknown or nothing has happened.
const LAMBDA_ERRORS: [&str; 9] = [
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.TooManyRequestsException",
    "Lambda.ClientExecutionTimeoutException",
    // Out of memory, killed, or out of time: an unknown outcome, and every effect may be done again.
    "Lambda.Unknown",
    "Runtime.ExitError",
    "Sandbox.Timedout",
    "States.Timeout",
];
/// The other names of Step Functions that the definition may match.
const STATES_ERRORS: [&str; 2] = ["States.ALL", "States.QueryEvaluationError"];

#[test]
fn every_task_is_tried_again_after_what_passes() {
    holds(
        not_retried,
        &[
            ("no retry", |value| value["States"]["Seal the ledger"]["Retry"] = json!([])),
            ("one name less", |value| {
                let names = &mut value["States"]["Seal the ledger"]["Retry"][0]["ErrorEquals"];
                names.as_array_mut().expect("names").remove(5);
            }),
            ("a retry of no attempts", |value| {
                value["States"]["Seal the ledger"]["Retry"][0]["MaxAttempts"] = json!(0);
            }),
            ("waiting with back-off", |value| {
                value["States"]["Confirm the flip"]["Retry"][0]["BackoffRate"] = json!(2);
            }),
            ("retrying what a person must see", |value| {
                let names = &mut value["States"]["Seal the ledger"]["Retry"][0]["ErrorEquals"];
                names.as_array_mut().expect("names").push(json!("PlanInvalid"));
            }),
        ],
    );
}

fn not_retried(definition: &Definition) -> Vec<String> {
    let mut found = Vec::new();
    for task in definition.tasks() {
        let mut retried: BTreeSet<&str> = BTreeSet::new();
        for retrier in task.retriers() {
            let names: Vec<&str> = error_names(retrier).collect();
            if retrier["MaxAttempts"] == 0 {
                found.push(format!("`{}` retries {names:?} no times", task.name));
            }
            if names.contains(&ErrorName::NotReady.as_str()) && retrier["BackoffRate"] != 1 {
                found.push(format!("`{}` waits with back-off, which only loses time", task.name));
            }
            retried.extend(names);
        }
        for name in std::iter::once(ErrorName::Transient.as_str()).chain(LAMBDA_ERRORS) {
            // Of a task that waits for an answer from elsewhere it says that none has come.
            let no_answer = task.is_callback() && name == "States.Timeout";
            if no_answer && retried.contains(name) {
                found.push(format!("`{}` is tried again where nobody has answered", task.name));
            }
            if !no_answer && !retried.contains(name) {
                found.push(format!("`{}` is not tried again after {name}", task.name));
            }
        }
        let fatal = [ErrorName::Fenced, ErrorName::PlanInvalid, ErrorName::InputInvalid, ErrorName::Defect];
        for name in fatal.map(ErrorName::as_str) {
            if retried.contains(name) || retried.contains("States.ALL") {
                found.push(format!("`{}` is tried again after {name}, which does not pass", task.name));
            }
        }
    }
    found
}

#[test]
fn whatever_may_say_not_ready_is_waited_for() {
    holds(
        not_waited_for,
        &[("nobody waits", |value| {
            let retriers = value["States"]["Confirm the flip"]["Retry"].as_array_mut().expect("retriers");
            retriers.remove(0);
        })],
    );
}

/// The actions whose functions say `NotReady`: each documents it where its handler lists its errors.
const WAITING: [&str; 7] =
    ["admit", "launch", "verify_tail", "tear_down", "confirm_recovered", "flip", "confirm_flip"];

fn not_waited_for(definition: &Definition) -> Vec<String> {
    let mut found = Vec::new();
    for task in definition.tasks() {
        let waits = task
            .retriers()
            .any(|retrier| error_names(retrier).any(|name| name == ErrorName::NotReady.as_str()));
        let should = task.action().is_some_and(|action| WAITING.contains(&action));
        if waits != should {
            found.push(format!("`{}`: waits for NotReady: {waits}, should: {should}", task.name));
        }
    }
    found
}

#[test]
fn the_tries_of_the_confirmation_outlast_the_time_that_it_gives_names() {
    let gives_up_early = |definition: &Definition| -> Vec<String> {
        let tasks = definition.tasks();
        let task = tasks.iter().find(|task| task.action() == Some("confirm_flip")).expect("the task");
        let waits = |retrier: &&Value| error_names(retrier).any(|name| name == ErrorName::NotReady.as_str());
        let waiting = task.retriers().find(waits);
        let tries = waiting.and_then(|retrier| retrier["MaxAttempts"].as_i64()).unwrap_or_default();
        // The plan with the most names and the longest time to live; a call that says `NotReady` has asked for 20 s.
        let mut plan = given::plan();
        plan.dns.records[0].ttl = *bounds::TTL_SECONDS.end();
        let longest = within(&plan, bounds::RECORDS_MAX);
        let enough = tries * 21 > longest;
        if enough { vec![] } else { vec![format!("{tries} tries are over before {longest} s are")] }
    };
    holds(
        gives_up_early,
        &[("twenty tries", |value| {
            value["States"]["Confirm the flip"]["Retry"][0]["MaxAttempts"] = json!(20);
        })],
    );
}

#[test]
fn every_error_is_caught() {
    holds(
        not_caught,
        &[
            ("no catch", |value| value["States"]["Verify the tail"]["Catch"] = json!([])),
            ("no catch in a branch", |value| {
                let branch = &mut value["States"]["Prepare the recovery side"]["Branches"][0];
                branch["States"]["Launch the stacks"]["Catch"] = json!([]);
            }),
            ("no catch around a shard", |value| shards(value)["Catch"] = json!([])),
            ("a catch that lets a failed shard pass", |value| {
                shards(value)["ToleratedFailureCount"] = json!(1);
            }),
            ("only some names", |value| {
                value["States"]["Verify the tail"]["Catch"].as_array_mut().expect("catchers").pop();
            }),
            ("Fenced is like all others", |value| {
                value["States"]["Seal the ledger"]["Catch"].as_array_mut().expect("catchers").remove(0);
            }),
            ("Fenced is not Superseded", |value| {
                value["States"]["Seal the ledger"]["Catch"][0]["Assign"]["outcome"] = json!("Halted");
            }),
            ("a fenced run deletes", |value| {
                value["States"]["Seal the ledger"]["Catch"][0]["Next"] =
                    json!("Take down what this run launched");
            }),
            ("a branch that is fenced deletes", |value| {
                value["States"]["May it seal?"]["Choices"][0]["Next"] =
                    json!("Take down what this run launched");
            }),
            ("all before some", |value| {
                value["States"]["Seal the ledger"]["Catch"].as_array_mut().expect("catchers").reverse();
            }),
        ],
    );
}

fn not_caught(definition: &Definition) -> Vec<String> {
    let mut found = Vec::new();
    let surroundings = definition.surroundings();
    let states = definition.states();
    for task in definition.tasks() {
        let own = task.catchers().next().is_some();
        let outer =
            surroundings.get(task.name).and_then(|name| states.iter().find(|state| state.name == *name));
        // A child of a map has nobody beside it that would have to be waited for: it fails, and the map with it.
        let in_map = outer.is_some_and(|outer| outer.kind() == "Map");
        if in_map && outer.is_some_and(|outer| outer.body["ToleratedFailureCount"] != 0) {
            found.push(format!("`{}`: one that fails for good must fail the map", task.name));
        }
        if outer.is_some() && !own && !in_map {
            found
                .push(format!("`{}`: its branch would fail, and the other one not be waited for", task.name));
        }
        let catching = if own { &task } else { outer.unwrap_or(&task) };
        let names: Vec<&str> = catching.catchers().flat_map(error_names).collect();
        if names.last() != Some(&"States.ALL") {
            found.push(format!(
                "`{}`: the last catch must be of States.ALL, which nothing may follow",
                task.name
            ));
        }
        // States.ALL is documented to match it; the emulator and older engines do not, and it costs a line.
        if !names.contains(&"States.QueryEvaluationError") {
            found.push(format!("`{}` does not catch States.QueryEvaluationError", task.name));
        }
        // What closes or undoes a run holds no epoch that could be fenced, and a shard is only read.
        let acts = !matches!(task.action(), Some("close" | "tear_down" | "verify_shard"));
        let fenced = catching
            .catchers()
            .find(|catcher| error_names(catcher).any(|name| name == ErrorName::Fenced.as_str()));
        // In a branch it becomes a verdict, so that the other branch is waited for; the choice behind them closes the run.
        let closed = |catcher: &Value| {
            catcher["Output"]["verdict"] == "Fenced" && fenced_verdict_closes(definition)
                || catcher["Assign"]["outcome"] == "Superseded" && catcher["Next"] == "Close the run"
        };
        match fenced {
            Some(catcher) if closed(catcher) => {}
            Some(_) => found.push(format!(
                "`{}`: a fenced run is Superseded and closed, and touches nothing more",
                task.name
            )),
            None if acts => found.push(format!("`{}` does not catch Fenced", task.name)),
            None => {}
        }
    }
    found
}

/// Whether a branch's `Fenced` ends as Superseded, without anything being undone.
fn fenced_verdict_closes(definition: &Definition) -> bool {
    let states = definition.states();
    let quotes = |edge: &Edge<'_>| match edge.cause {
        Cause::Condition(condition) => quoted(condition).contains(&"Fenced"),
        _ => false,
    };
    let told: Vec<_> = states.iter().flat_map(|state| state.edges()).filter(quotes).collect();
    let closes = |edge: &Edge<'_>| {
        edge.to == "Close the run"
            && edge.assigns.is_some_and(|assigns| assigns.get("outcome") == Some(&json!("Superseded")))
    };
    !told.is_empty() && told.iter().all(closes)
}

#[test]
fn every_error_name_is_known() {
    holds(
        unknown_names,
        &[
            ("a name that no Lambda says", |value| {
                value["States"]["Seal the ledger"]["Catch"][0]["ErrorEquals"] = json!(["FENCED"]);
            }),
            ("a misspelt name of Lambda's", |value| {
                value["States"]["Seal the ledger"]["Retry"][0]["ErrorEquals"][1] = json!("Lambda.ServiceErr");
            }),
        ],
    );
    // The other way round: what the machine may do by name, it does; the rest is caught by States.ALL.
    let definition = crate::definition();
    let matched = all_names(&definition);
    for name in ErrorName::ALL {
        let by_name = matches!(name, ErrorName::Transient | ErrorName::NotReady | ErrorName::Fenced);
        assert_eq!(matched.contains(name.as_str()), by_name, "{name:?}");
    }
}

/// The map over the shards of a long history.
fn shards(value: &mut Value) -> &mut Value {
    &mut value["States"]["Prepare the recovery side"]["Branches"][1]["States"]["Verify the shards"]
}

#[test]
fn a_throttled_shard_waits_for_its_turn() {
    holds(
        impatient,
        &[
            ("as soon as any other error", |value| {
                let shard = &mut shards(value)["ItemProcessor"]["States"]["Verify a shard"];
                shard["Retry"].as_array_mut().expect("retriers").remove(0);
            }),
            ("too few tries", |value| {
                let shard = &mut shards(value)["ItemProcessor"]["States"]["Verify a shard"];
                shard["Retry"][0]["MaxAttempts"] = json!(5);
            }),
            ("more at once than an account has by default", |value| {
                shards(value)["MaxConcurrency"] = json!(1_000);
            }),
        ],
    );
}

/// What Lambda runs at once in an account, by default; the others of the account have to live as well.
const LAMBDA_CONCURRENCY: u64 = 1_000;
/// With a wait of 10 s from one try to the next this is as long as a shard in front may take, with its own retries.
const THROTTLED_TRIES_MIN: u64 = 50;

fn impatient(definition: &Definition) -> Vec<String> {
    let mut found = Vec::new();
    for map in definition.states().into_iter().filter(|state| state.kind() == "Map") {
        match map.body["MaxConcurrency"].as_u64() {
            Some(at_once) if (1..=LAMBDA_CONCURRENCY / 4).contains(&at_once) => {}
            other => found.push(format!("`{}` runs {other:?} at once", map.name)),
        }
        let machines = definition.machines();
        let inner = machines.iter().filter(|machine| machine.within == Some(map.name));
        for task in inner.flat_map(|machine| machine.states.iter()).filter(|state| state.kind() == "Task") {
            let throttled = task
                .retriers()
                .find(|retrier| error_names(retrier).any(|name| name == "Lambda.TooManyRequestsException"));
            if throttled
                .is_none_or(|retrier| retrier["MaxAttempts"].as_u64().unwrap_or(0) < THROTTLED_TRIES_MIN)
            {
                found.push(format!("`{}` does not wait for its turn", task.name));
            }
        }
    }
    found
}

fn all_names(definition: &Definition) -> BTreeSet<&str> {
    let states = definition.states();
    states.iter().flat_map(|state| state.retriers().chain(state.catchers())).flat_map(error_names).collect()
}

fn unknown_names(definition: &Definition) -> Vec<String> {
    let ours = ErrorName::ALL.map(ErrorName::as_str);
    let known =
        |name: &str| ours.contains(&name) || LAMBDA_ERRORS.contains(&name) || STATES_ERRORS.contains(&name);
    all_names(definition)
        .into_iter()
        .filter(|name| !known(name))
        .map(|name| format!("{name} is matched, and nobody says it"))
        .collect()
}

#[test]
fn every_task_waits_longer_than_its_function_may_run() {
    let template = orchestrator();
    holds(
        |definition| outlived(definition, &template),
        &[
            ("no timeout", |value| {
                value["States"]["Seal the ledger"].as_object_mut().expect("a state").remove("TimeoutSeconds");
            }),
            ("as long as the function's", |value| {
                value["States"]["Seal the ledger"]["TimeoutSeconds"] = json!(300);
            }),
            ("as long, in a branch", |value| {
                let launch = &mut value["States"]["Prepare the recovery side"]["Branches"][0]["States"];
                launch["Launch the stacks"]["TimeoutSeconds"] = json!(45);
            }),
            ("a function that is not deployed", |value| {
                value["States"]["Seal the ledger"]["Arguments"]["FunctionName"] = json!("${NobodyArn}");
            }),
            ("the machine has no backstop", |value| {
                value.as_object_mut().expect("an object").remove("TimeoutSeconds");
            }),
        ],
    );
}

fn outlived(definition: &Definition, template: &Value) -> Vec<String> {
    let mut found = Vec::new();
    if definition.value["TimeoutSeconds"].as_u64().is_none() {
        found.push("the definition has no timeout of its own".into());
    }
    for task in definition.tasks() {
        let name = task.function().unwrap_or_default();
        let given = &template["Resources"]["StateMachine"]["Properties"]["DefinitionSubstitutions"][name];
        let resource = given.as_str().and_then(|arn| arn.strip_suffix(".Arn")).unwrap_or_default();
        let own = template["Resources"][resource]["Properties"]["Timeout"].as_u64();
        let (Some(own), Some(task_seconds)) = (own, task.body["TimeoutSeconds"].as_u64()) else {
            found.push(format!("`{}`: it or its function `{name}` has no timeout", task.name));
            continue;
        };
        // A task's timeout does not stop its function: the function must have given up before.
        if task_seconds <= own {
            found
                .push(format!("`{}` gives up after {task_seconds} s, its function after {own} s", task.name));
        }
    }
    found
}
