//! The two rules outside the state machine: one pages for every execution that did not succeed, the other tells of an alarm that
//! led to no failover. By the emulator's own matching of event patterns.
//!
//! What this does not prove: that Step Functions sends these events; they are as its documentation has them.

use lifeboat_rules::Outcome;
use lifeboat_tests::template;
use lifeboat_tests::world::{World, WorldOptions, clients, places};
use run_control::Answer;
use serde_json::{Value, json};

const MACHINE: &str = "StateMachine";

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_failed_timed_out_or_was_stopped_pages() {
    let world = World::start(WorldOptions::default()).await.expect("a world");
    let orchestrator =
        template::read(&places::repository().join("infra/orchestrator.yaml")).expect("a template");
    let rule = &orchestrator["Resources"]["RunFailed"]["Properties"];
    assert_eq!(rule["Targets"], json!([{ "Id": "operator", "Arn": "OperatorTopic" }]));
    assert_eq!(rule["State"], Value::Null, "a rule is on where nothing else is said");
    let topic = &orchestrator["Resources"]["OperatorTopicPolicy"]["Properties"]["PolicyDocument"];
    let of_rules = &topic["Statement"][0];
    assert_eq!(of_rules["Principal"], json!({ "Service": "events.amazonaws.com" }));
    let let_in = of_rules["Condition"]["ArnEquals"]["aws:SourceArn"].as_array().expect("a list");
    assert!(let_in.contains(&json!("RunFailed.Arn")), "{let_in:?}");

    // Whoever has started it, and whatever its output was.
    let pattern = &rule["EventPattern"];
    for name in ["alarm-20261123T142508Z-0123456789ab", "by-hand-20261123T142508Z"] {
        for status in ["FAILED", "TIMED_OUT", "ABORTED"] {
            let event = event(name, status, Outcome::Halted);
            assert!(matches(&world, pattern, &event).await, "{event}");
        }
        for status in ["RUNNING", "SUCCEEDED", "PENDING_REDRIVE"] {
            let event = event(name, status, Outcome::Recovered);
            assert!(!matches(&world, pattern, &event).await, "{event}");
        }
        let mut of_another = event(name, "FAILED", Outcome::Halted);
        of_another["detail"]["stateMachineArn"] = json!("AnotherMachine");
        assert!(!matches(&world, pattern, &of_another).await, "{of_another}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_told_of_an_alarm_that_led_to_nothing_and_of_no_other_success() {
    let world = World::start(WorldOptions::default()).await.expect("a world");
    let orchestrator =
        template::read(&places::repository().join("infra/orchestrator.yaml")).expect("a template");
    let pattern = &orchestrator["Resources"]["AlarmWithoutFailover"]["Properties"]["EventPattern"];
    assert_eq!(pattern["detail"]["stateMachineArn"], json!([MACHINE]), "a reference reads as its name");
    for outcome in [Outcome::Refused, Outcome::StoodDown] {
        let event = event("alarm-20261123T142508Z-0123456789ab", "SUCCEEDED", outcome);
        assert!(matches(&world, pattern, &event).await, "{event}");
    }
    for (name, status, outcome) in [
        ("alarm-20261123T142508Z-0123456789ab", "SUCCEEDED", Outcome::Recovered),
        // The rule on failed runs tells of this one.
        ("alarm-20261123T142508Z-0123456789ab", "FAILED", Outcome::Refused),
        ("by-hand-20261123T142508Z", "SUCCEEDED", Outcome::Refused),
    ] {
        let event = event(name, status, outcome);
        assert!(!matches(&world, pattern, &event).await, "{event}");
    }
}

/// As Step Functions tells of an execution's end
/// (<https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html>).
fn event(name: &str, status: &str, outcome: Outcome) -> Value {
    let output = Answer::Closed {
        outcome,
        reason: "a test of what is Refused".into(),
        manifest: format!("aex/{name}/manifest.json"),
        sha256: "00".repeat(32),
        unsigned: None,
        not_told: None,
    };
    json!({
        "version": "0",
        "id": "315c1398-40ff-a850-213b-158f73e60175",
        "detail-type": "Step Functions Execution Status Change",
        "source": "aws.states",
        "account": clients::ACCOUNT,
        "time": "2026-11-23T14:25:08Z",
        "region": "eu-central-1",
        "resources": [],
        "detail": {
            "executionArn": format!("arn:aws:states:eu-central-1:{}:execution:lifeboat-aex:{name}", clients::ACCOUNT),
            "stateMachineArn": MACHINE,
            "name": name,
            "status": status,
            "output": serde_json::to_string(&output).expect("JSON"),
        },
    })
}

async fn matches(world: &World, pattern: &Value, event: &Value) -> bool {
    let (pattern, event) = (pattern.to_string(), event.to_string());
    let args = ["events", "test-event-pattern", "--event-pattern", &pattern, "--event", &event];
    let answer = world.venv().aws(&world.endpoint(), world.recovery(), &args).await.expect("the aws command");
    answer["Result"].as_bool().expect("a result")
}
