//! `lifeboat failover` against the wire forms of S3 and Step Functions: what it asks for, and when it does not.
//!
//! Step Functions is a mock: that a run so started goes its way is what the scenarios show.

mod support;

use std::sync::{Arc, Mutex};

use lifeboat_rules::Outcome;
use lifeboat_rules::epoch::Cause;
use serde_json::{Value, json};
use support::world::World;
use support::{http, says};

const MACHINE: &str = "arn:aws:states:eu-central-1:111122223333:stateMachine:lifeboat-aex";
const FAILOVER: [&str; 5] = ["failover", "--reason", "the data centre is flooded", "--by", "ops"];

/// Step Functions, and the executions that were asked for.
struct Sfn {
    endpoint: String,
    started: Arc<Mutex<Vec<Value>>>,
}

impl Sfn {
    /// `refuses` names the error that a start is answered with.
    fn start(refuses: Option<&'static str>) -> Sfn {
        let started = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&started);
        let endpoint = http::serve(move |request| {
            let asked: Value = serde_json::from_slice(&request.body).expect("JSON");
            let json = "content-type: application/x-amz-json-1.0\r\n".to_owned();
            if let Some(error) = refuses {
                let body = json!({ "__type": error, "message": "it is so" });
                return (400, json, body.to_string().into_bytes());
            }
            assert_eq!(request.headers["x-amz-target"], "AWSStepFunctions.StartExecution");
            kept.lock().expect("no panic in the server").push(asked);
            let answer = json!({ "executionArn": "arn", "startDate": 1.0 });
            (200, json, answer.to_string().into_bytes())
        });
        Sfn { endpoint, started }
    }

    fn run(&self, world: &World, arguments: &[&str]) -> support::Run {
        let mut environment = world.environment();
        environment.push(("AWS_ENDPOINT_URL_SFN", &self.endpoint));
        let all = [arguments, &["--plan", "aex", "--state-machine", MACHINE]].concat();
        world.folder.lifeboat_with(&all, &environment)
    }

    fn started(&self) -> Vec<Value> {
        self.started.lock().expect("no panic in the server").clone()
    }
}

#[test]
fn a_person_starts_the_run_that_was_looked_at() {
    let (world, sfn) = (World::opened(), Sfn::start(None));
    let told = sfn.run(&world, &[&FAILOVER[..], &["--yes", "--json"]].concat()).json();
    let [started] = sfn.started().try_into().expect("one start");
    let name = started["name"].as_str().expect("a name");
    assert!(name.starts_with("by-hand-20") && name.len() <= 80, "{name}");
    assert_eq!(started["stateMachineArn"], json!(MACHINE));
    let input: Value = serde_json::from_str(started["input"].as_str().expect("text")).expect("JSON");
    assert_eq!(
        input,
        json!({
            "mode": "failover",
            "plan": { "key": "plan/aex.json", "version": world.pinned()["version"] },
            "trigger": { "kind": "operator", "by": "ops", "reason": "the data centre is flooded" },
        })
    );
    assert_eq!((&told["failover"], &told["run"], &told["input"]), (&json!("done"), &json!(name), &input));
}

#[test]
fn it_asks_and_without_a_yes_or_somebody_to_ask_nothing_starts() {
    let (world, sfn) = (World::opened(), Sfn::start(None));
    assert_eq!(sfn.run(&world, &FAILOVER).code, 64, "nobody can be asked");
    let mut environment = world.environment();
    environment.push(("AWS_ENDPOINT_URL_SFN", &sfn.endpoint));
    let all = [&FAILOVER[..], &["--plan", "aex", "--state-machine", MACHINE]].concat();
    let refused = world.folder.on_a_terminal(&all, &environment, "n\n");
    assert_eq!(refused.code, 3, "{refused:?}");
    for line in
        ["eu-west-1 to eu-central-1", "stands down if the primary is not down", "the pen of 2 streams"]
    {
        assert!(refused.out.contains(line), "{line}: {refused:?}");
    }
    assert_eq!(sfn.started(), Vec::<Value>::new());
    assert_eq!(world.folder.on_a_terminal(&all, &environment, "y\n").code, 0);
    assert_eq!(sfn.started().len(), 1);
}

#[test]
fn what_admission_would_refuse_is_not_started() {
    let (world, sfn) = (World::opened(), Sfn::start(None));
    world.json(&["maintenance", "begin", "--reason", "moving the rack", "--by", "ops"]);
    let refused = sfn.run(&world, &[&FAILOVER[..], &["--yes", "--json"]].concat());
    assert_eq!(refused.code, 3);
    says(&refused.json(), &["moving the rack", "nothing was started"]);

    let world = World::opened();
    world.claim(2, "run-2", Cause::Alarm, 86_400);
    world.fence(2);
    world.close("run-2", Outcome::Recovered, "", None);
    assert_eq!(sfn.run(&world, &[&FAILOVER[..], &["--yes"]].concat()).code, 3, "nothing to fail over to");
    assert_eq!(sfn.started(), Vec::<Value>::new());
}

#[test]
fn a_repeated_start_is_one_and_a_refused_one_says_so() {
    let world = World::opened();
    let again = Sfn::start(Some("ExecutionAlreadyExists"));
    let told = again.run(&world, &[&FAILOVER[..], &["--yes", "--json"]].concat());
    assert_eq!((told.code, &told.json()["failover"]), (0, &json!("done_already")));
    let denied = Sfn::start(Some("AccessDeniedException"));
    let told = denied.run(&world, &[&FAILOVER[..], &["--yes", "--json"]].concat());
    assert_eq!(told.code, 69, "{told:?}");
    says(&told.json(), &["could not start the run by-hand-", "AccessDenied"]);
}
