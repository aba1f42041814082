//! Expressions: each parses, and what a task hands its function, evaluated, is what the function reads.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};

use lifeboat_ledger::{Hash, Pen, StreamProof};
use lifeboat_rules::recovered::Sealed;
use lifeboat_rules::{Outcome, Request, Run};
use lifeboat_tests::definition::{Cause, Definition, State, strings};
use lifeboat_tests::world::{Venv, prerequisites};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{holds, orchestrator};

/// Evaluates templates, or only parses their expressions where no bindings are given. The emulator uses this library.
const EVALUATE: &str = r"
import json, sys
import jsonata

def evaluate(node, bindings):
    if isinstance(node, str) and node.startswith('{%'):
        expression = jsonata.Jsonata(node[2:-2].strip())
        if bindings is None:
            return None
        frame = expression.create_frame()
        for name, value in bindings.items():
            frame.bind(name, value)
        return expression.evaluate(None, frame)
    if isinstance(node, dict):
        return {name: evaluate(value, bindings) for name, value in node.items()}
    if isinstance(node, list):
        return [evaluate(value, bindings) for value in node]
    return node

out = []
for template, bindings in json.load(sys.stdin):
    try:
        out.append({'value': evaluate(template, bindings)})
    except Exception as error:
        out.append({'error': f'{type(error).__name__}: {error}'})
json.dump(out, sys.stdout)
";

fn evaluate(jobs: &[(Value, Value)]) -> Vec<Result<Value, String>> {
    let found = prerequisites::look().unwrap_or_else(|missing| panic!("{missing}"));
    let venv = Venv::ensure(&found, &|line| eprintln!("{line}")).expect("the Python environment");
    let mut child = Command::new(venv.python())
        .args(["-c", EVALUATE])
        .env_remove("PYTHONPATH")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python starts");
    let jobs_json = serde_json::to_vec(jobs).expect("JSON");
    child.stdin.take().expect("a pipe").write_all(&jobs_json).expect("Python reads");
    let output = child.wait_with_output().expect("Python ends");
    assert!(output.status.success(), "{}", output.status);
    let answers: Vec<Value> = serde_json::from_slice(&output.stdout).expect("JSON comes back");
    assert_eq!(answers.len(), jobs.len());
    let result = |answer: &Value| match answer["error"].as_str() {
        Some(why) => Err(why.to_owned()),
        None => Ok(answer["value"].clone()),
    };
    answers.iter().map(result).collect()
}

#[test]
fn every_expression_is_one_line_and_parses() {
    holds(
        unparsable,
        &[
            ("no end", |value| value["States"]["A person is needed"]["Cause"] = json!("{% $states.input")),
            ("text around it", |value| value["States"]["A person is needed"]["Cause"] = json!("x {% 1 %}")),
            ("two lines", |value| value["States"]["A person is needed"]["Cause"] = json!("{% 1\n+ 1 %}")),
            ("no JSONata", |value| {
                value["States"]["A person is needed"]["Cause"] = json!("{% $states..[ %}")
            }),
            ("JSONPath", |value| value["States"]["A person is needed"]["CausePath"] = json!("$.cause")),
            ("another language", |value| value["QueryLanguage"] = json!("JSONPath")),
        ],
    );
}

fn unparsable(definition: &Definition) -> Vec<String> {
    let mut found = Vec::new();
    if definition.value["QueryLanguage"] != "JSONata" {
        found.push("the definition's language is not JSONata".into());
    }
    let all: BTreeSet<&str> = strings(&definition.value).into_iter().collect();
    for text in all.iter().filter(|text| text.starts_with('$') && !text.starts_with("${")) {
        found.push(format!("`{text}` looks like JSONPath, which is a plain string here"));
    }
    let expressions: Vec<&str> =
        all.into_iter().filter(|text| text.contains("{%") || text.contains("%}")).collect();
    for text in &expressions {
        let whole = text.strip_prefix("{% ").and_then(|rest| rest.strip_suffix(" %}"));
        if whole.is_none_or(|inner| inner.contains("{%") || inner.contains("%}") || inner.contains('\n')) {
            found.push(format!("`{text}` is not one expression in one line"));
        }
    }
    let jobs: Vec<_> = expressions.iter().map(|text| (json!(text), Value::Null)).collect();
    for (text, parsed) in expressions.iter().zip(evaluate(&jobs)) {
        found.extend(parsed.err().map(|why| format!("`{text}`: {why}")));
    }
    found
}

#[test]
fn substitutions_are_those_of_the_template() {
    let template = orchestrator();
    let given = &template["Resources"]["StateMachine"]["Properties"]["DefinitionSubstitutions"];
    let given: BTreeSet<&str> =
        given.as_object().expect("substitutions").keys().map(String::as_str).collect();
    holds(
        |definition| {
            let mut used = BTreeSet::new();
            for text in strings(&definition.value) {
                used.extend(text.split("${").skip(1).filter_map(|rest| Some(rest.split_once('}')?.0)));
            }
            let differ = used.symmetric_difference(&given);
            differ.map(|name| format!("${{{name}}} is used or given, but not both")).collect()
        },
        &[
            ("one that is not given", |value| {
                value["States"]["Close the run"]["Arguments"]["FunctionName"] = json!("${CloseArn}");
            }),
            ("one that is not used", |value| {
                let text = value.to_string().replace("${DnsFlipArn}", "x");
                *value = serde_json::from_str(&text).expect("still JSON");
            }),
        ],
    );
}

#[test]
fn what_a_task_hands_over_is_what_its_function_reads() {
    holds(
        unreadable,
        &[
            ("an action with a field too many", |value| {
                value["States"]["Flip the traffic"]["Arguments"]["Payload"]["action"] =
                    json!({ "flip": { "x": 1 } });
            }),
            ("streams of the wrong kind", |value| {
                let action = &mut value["States"]["Open the recovery side"]["Arguments"]["Payload"]["action"];
                action["open"]["sealed"] = json!("{% $sealed %}");
            }),
            ("no run", |value| {
                let payload = &mut value["States"]["Seal the ledger"]["Arguments"]["Payload"];
                payload.as_object_mut().expect("an object").remove("run");
            }),
            ("a step without its attempt", |value| {
                let step = &mut value["States"]["Seal the ledger"]["Arguments"]["Payload"]["step"];
                step.as_object_mut().expect("an object").remove("attempt");
            }),
            ("a start without its input", |value| {
                let action = &mut value["States"]["Admit the run"]["Arguments"]["Payload"]["action"];
                action["admit"]["input"] = json!("{% $states.input.trigger %}");
            }),
            ("a shard without its number", |value| {
                let shards = &mut value["States"]["Prepare the recovery side"]["Branches"][1]["States"];
                let shard = &mut shards["Verify the shards"]["ItemProcessor"]["States"]["Verify a shard"];
                shard["Arguments"]["Payload"]["action"]["verify_shard"]["shard"] =
                    json!("{% $states.input %}");
            }),
            ("a join of nothing", |value| {
                let shards = &mut value["States"]["Prepare the recovery side"]["Branches"][1]["States"];
                let action = &mut shards["Join the shards"]["Arguments"]["Payload"]["action"];
                action["join_shards"]["shards"] = json!("{% $states.input[0] %}");
            }),
            ("a failure that the close cannot read", |value| {
                let catch = &mut value["States"]["Seal the ledger"]["Catch"][2];
                catch["Assign"]["failure"]["cause"] = json!(7);
            }),
        ],
    );
}

fn unreadable(definition: &Definition) -> Vec<String> {
    let tasks = definition.tasks();
    let jobs: Vec<_> = tasks
        .iter()
        .map(|task| (task.body["Arguments"]["Payload"].clone(), bindings(task, json!(failure("Fenced")))))
        .collect();
    let mut found = Vec::new();
    for (task, payload) in tasks.iter().zip(evaluate(&jobs)) {
        found.extend(
            payload
                .and_then(|payload| read(task, payload))
                .err()
                .map(|why| format!("`{}`: {why}", task.name)),
        );
    }
    found.extend(unreadable_failures(definition));
    found
}

/// What catchers make of an error, which need not have a cause, is what the close reads.
fn unreadable_failures(definition: &Definition) -> Vec<String> {
    let states = definition.states();
    let mut names = Vec::new();
    let mut jobs = Vec::new();
    for state in &states {
        for edge in state.edges().iter().filter(|edge| matches!(edge.cause, Cause::Catch(_))) {
            let Some(failure) = edge.assigns.and_then(|assigns| assigns.get("failure")) else { continue };
            for error in [json!({ "Error": "Fenced", "Cause": "{}" }), json!({ "Error": "States.Timeout" })] {
                let mut bound = bindings(state, Value::Null);
                bound["states"]["errorOutput"] = error;
                names.push(state.name);
                jobs.push((failure.clone(), bound));
            }
        }
    }
    // A catch may keep the failure that there was, or none: the close takes that as well.
    let read = |value: Value| {
        serde_json::from_value::<Option<run_control::Failure>>(value).map_err(|why| why.to_string())
    };
    let read = names.iter().zip(evaluate(&jobs)).map(|(name, value)| (name, value.and_then(read)));
    read.filter_map(|(name, read)| Some(format!("`{name}` catches: {}", read.err()?))).collect()
}

/// Reads a payload as the task's function does, and asks for the run where the function will.
fn read(task: &State<'_>, payload: Value) -> Result<(), String> {
    fn request<A: DeserializeOwned>(payload: Value) -> Result<Request<A>, String> {
        serde_json::from_value(payload).map_err(|why| why.to_string())
    }
    fn with_run<A: DeserializeOwned>(payload: Value) -> Result<(), String> {
        request::<A>(payload)?.run().map(drop).map_err(|why| why.to_string())
    }
    match task.function() {
        Some("RunControlArn") => {
            let request = request::<run_control::Action>(payload)?;
            match request.action {
                run_control::Action::Admit { .. } | run_control::Action::Close { .. } => Ok(()),
                _ => request.run().map(drop).map_err(|why| why.to_string()),
            }
        }
        Some("HealthCheckArn") => with_run::<health_check::Action>(payload),
        Some("StackLaunchArn") => with_run::<stack_launch::Action>(payload),
        Some("LedgerVerifyArn") => {
            let request = request::<ledger_verify::Action>(payload)?;
            match request.action {
                // It finds the run in the set of shards.
                ledger_verify::Action::VerifyShard { .. } => Ok(()),
                _ => request.run().map(drop).map_err(|why| why.to_string()),
            }
        }
        Some("DnsFlipArn" | "DnsAskArn") => with_run::<dns_flip::Action>(payload),
        other => Err(format!("{other:?} is no function of ours")),
    }
}

/// What a run knows in the middle, each value in the form in which Rust writes it. One stream only: a list of one must
/// stay a list.
fn bindings(state: &State<'_>, failure: Value) -> Value {
    let trigger = json!({ "kind": "operator", "by": "somebody", "reason": "a test" });
    let at = "2026-01-02T03:04:05.678Z";
    let run: Run = serde_json::from_value(json!({
        "id": "run-1",
        "mode": "failover",
        "plan": { "key": "plan/aex.json", "version": "v1", "sha256": "0" },
        "trigger": trigger,
        "admitted_at": at,
        "deadline": at,
        "admitted_epoch": 1,
        "epoch": 2,
    }))
    .expect("a run");
    let stream = "ME1".to_owned();
    let proof = StreamProof {
        stream: stream.clone(),
        first_seq: 1,
        through: 9,
        head: Hash::GENESIS,
        entries: 9,
        pen: Pen::default(),
    };
    let input = json!({ "mode": "failover", "plan": { "key": "plan/aex.json" }, "trigger": trigger });
    let shard = json!({ "run": "run-1", "shards": "0123456789abcdef", "shard": 3 });
    let before = match state.action() {
        Some("verify_shard") => shard,
        Some("join_shards") => json!([shard]),
        _ => input.clone(),
    };
    json!({
        "states": {
            "context": {
                "Execution": {
                    "Id": "arn:aws:states:eu-central-1:000000000000:execution:lifeboat-aex:run-1",
                    "Name": "run-1", "StartTime": at, "Input": input,
                },
                "State": { "Name": state.name, "EnteredTime": at, "RetryCount": 0 },
                "Task": { "Token": "a token" },
            },
            "input": before,
        },
        "run": run,
        "outcome": Outcome::Recovered,
        "reason": "a test",
        "failure": failure,
        "closing": failure,
        "facts": { "outage": { "verdict": "PrimaryDown", "reason": "a test" }, "tail": { "verdict": "Proven", "reason": "a test" } },
        "asked_at": at,
        "approvals": [],
        "submission": null,
        "unasked": null,
        "history": [proof.clone()],
        "proven": [proof],
        "sealed": [Sealed { stream, seq: 10 }],
    })
}

fn failure(error: &str) -> run_control::Failure {
    run_control::Failure { state: "Seal the ledger".into(), error: error.into(), cause: Some("{}".into()) }
}
