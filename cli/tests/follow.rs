//! `lifeboat status --follow` and `lifeboat runs`, by what runs leave in S3.

mod support;

use std::io::{BufRead, BufReader};

use lifeboat_rules::Outcome;
use lifeboat_rules::epoch::Cause;
use serde_json::{Value, json};
use support::world::World;

fn record(world: &World, run: &str, number: u32, state: &str, phase: &str, body: Value) {
    let at = format!("2026-11-27T10:00:{number:02}Z");
    let step = json!({ "run": run, "plan_key": "plan/aex.json", "name": state, "entered": at, "attempt": 0 });
    let record = json!({ "phase": phase, "step": step, "at": at, "request_id": "id", "body": body });
    let key = format!("evidence/aex/{run}/{at}-{}-0-id-{phase}.json", state.replace(' ', "-"));
    world.s3.put(&key, record.to_string().as_bytes());
}

#[test]
fn a_run_is_told_as_its_evidence_comes_and_ends_with_its_code() {
    let world = World::opened();
    // One that is closed is nothing to follow.
    record(&world, "run-1", 0, "Admit the run", "intent", json!({}));
    world.close("run-1", Outcome::StoodDown, "the primary serves", None);
    let follow = ["status", "--plan", "aex", "--follow"];
    let mut child = world.folder.start(&follow, &world.environment());
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut next = || lines.next().expect("a line").expect("text");

    record(&world, "run-2", 1, "Admit the run", "intent", json!({}));
    assert_eq!(next(), "     0.0 s  Admit the run  begins");
    record(&world, "run-2", 3, "Admit the run", "outcome", json!({ "result": { "verdict": "Admitted" } }));
    assert_eq!(next(), "     2.0 s  Admit the run  Admitted");
    let error = json!({ "error": "PlanInvalid", "message": "probe.attempts: is 0" });
    record(&world, "run-2", 4, "Confirm the outage", "outcome", error);
    assert_eq!(next(), "     3.0 s  Confirm the outage  PlanInvalid: probe.attempts: is 0");
    world.close("run-2", Outcome::Halted, "PlanInvalid in Confirm the outage", None);
    assert_eq!(next(), "Halted: PlanInvalid in Confirm the outage");
    assert_eq!(child.wait().expect("it ends").code(), Some(3));
}

#[test]
fn for_a_machine_each_event_is_a_line_and_the_end_the_last() {
    let world = World::opened();
    record(&world, "run-2", 1, "Admit the run", "intent", json!({}));
    world.close("run-2", Outcome::StoodDown, "PrimaryHealthy", None);
    let run = world.run(&["status", "--follow", "--run", "run-2", "--json"]);
    assert_eq!(run.code, 0, "{run:?}");
    let lines: Vec<Value> = run.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(
        lines[0],
        json!({ "at": "2026-11-27T10:00:01Z", "seconds": 0.0, "state": "Admit the run", "what": "begins" })
    );
    assert_eq!((&lines[1]["outcome"], &lines[1]["ok"]), (&json!("StoodDown"), &json!(true)));
    assert_eq!(lines.len(), 2);
}

#[test]
fn a_run_that_was_stopped_is_not_waited_for_for_ever() {
    let world = World::opened();
    record(&world, "run-2", 1, "Admit the run", "intent", json!({}));
    let endpoint = support::http::serve(|_| {
        let answer =
            json!({ "executionArn": "arn", "stateMachineArn": "arn", "status": "ABORTED", "startDate": 1.0 });
        (200, "content-type: application/x-amz-json-1.0\r\n".to_owned(), answer.to_string().into_bytes())
    });
    let mut environment = world.environment();
    environment.extend([
        ("AWS_ENDPOINT_URL_SFN", endpoint.as_str()),
        ("LIFEBOAT_STATE_MACHINE", "arn:aws:states:eu-central-1:111122223333:stateMachine:lifeboat-aex"),
    ]);
    let run =
        world.folder.lifeboat_with(&["status", "--plan", "aex", "--follow", "--run", "run-2"], &environment);
    assert_eq!(run.code, 3, "{run:?}");
    assert!(run.err.contains("it was stopped, or failed"), "{run:?}");
}

#[test]
fn the_runs_on_record_are_listed_newest_first() {
    let world = World::opened();
    world.claim(2, "run-2", Cause::Alarm, 86_400);
    world.close("run-2", Outcome::Halted, "the stacks failed", None);
    record(&world, "run-3", 1, "Admit the run", "intent", json!({}));
    let told = world.json(&["runs"]);
    let runs = told["runs"]["list"].as_array().expect("runs");
    let told: Vec<_> =
        runs.iter().map(|run| (run["run"].as_str().unwrap(), run["state"].as_str().unwrap())).collect();
    assert_eq!(told.len(), 2);
    assert!(told.contains(&("run-2", "closed")) && told.contains(&("run-3", "open")), "{told:?}");
    let person = world.run(&["runs", "--runs", "1"]);
    assert!(person.out.starts_with("2 runs of aex have left evidence\n"), "{person:?}");
    assert!(person.out.contains("note: 1 older runs are left out"), "{person:?}");
}
