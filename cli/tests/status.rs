//! `lifeboat status` against the wire form of S3: what it reads, what it says, and that it stores nothing. What these do
//! not prove: that a person's role may ask Step Functions.

mod support;

use jiff::Timestamp;
use lifeboat_ledger::Holder;
use lifeboat_rules::epoch::Cause;
use lifeboat_rules::notices::Regime;
use lifeboat_rules::{Outcome, Trigger, TriggerKind};
use serde_json::{Value, json};
use support::http;
use support::world::{World, manifest_path, slot_path};

fn trigger(kind: TriggerKind, alarm: Option<&str>, by: Option<&str>) -> Trigger {
    Trigger {
        kind,
        at: Some(Timestamp::UNIX_EPOCH),
        alarm: alarm.map(str::to_owned),
        by: by.map(str::to_owned),
        reason: None,
    }
}

/// A refusal, as it lies in the evidence: the first record names who started it, the manifest does not.
fn refusal(world: &World, run: &str, reason: &str, stored_at: &str) {
    let start = json!({ "kind": "alarm", "alarm": "aex-primary-down" });
    let record = json!({ "body": { "action": { "admit": { "input": { "trigger": start } } } } });
    let key = format!("evidence/aex/{run}/2026-11-22T12:00:00Z-Admit-the-run-0-id");
    world.s3.put_at(&format!("{key}-intent.json"), record.to_string().as_bytes(), stored_at);
    world.s3.put_at(&format!("{key}-outcome.json"), b"{}", stored_at);
    world.close(run, Outcome::Refused, reason, None);
}

#[test]
fn before_anything_has_happened() {
    let world = World::opened();
    let puts = world.s3.puts();
    let status = world.json(&["status"]);
    assert_eq!(status["alarm"], json!({ "admitted": true, "verdict": "Admitted", "reason": null }));
    assert_eq!(status["by_hand"], json!({ "admitted": true, "verdict": "Admitted", "reason": null }));
    assert_eq!((&status["epoch"]["epoch"], &status["epoch"]["cause"]), (&json!(1), &json!("genesis")));
    assert_eq!((&status["fence"], &status["running"]), (&Value::Null, &json!("no")));
    let open = json!({ "open": { "epoch": 1, "holder": "primary", "run": "genesis" } });
    assert_eq!(
        status["streams"][0],
        json!({ "stream": "ME1", "last_seq": 1, "last": { "control": open }, "age_seconds": 5 })
    );
    assert_eq!(status["runs"], json!({ "list": [], "found": 0, "cut": false }));
    assert_eq!((&status["words"], &status["verification"]), (&json!([]), &Value::Null));
    assert_eq!(world.s3.puts(), puts, "it only reads");
    assert_eq!(world.s3.regions(), ["eu-central-1"]);

    let world = World::uploaded();
    let status = world.json(&["status"]);
    assert_eq!((&status["epoch"], &status["alarm"]["admitted"]), (&Value::Null, &json!(false)));
    assert!(status["alarm"]["reason"].as_str().expect("a reason").contains("lifeboat init"), "{status}");
    assert_eq!(status["streams"][0]["last"], json!("nothing"));
}

#[test]
fn a_person_reads_where_a_halted_run_has_left_the_plan() {
    let world = World::halted();
    world.write("ME2", 7);
    let run = world.run(&["status"]);
    assert_eq!((run.code, run.err.as_str()), (0, ""), "{run:?}");
    for text in [
        "aex: no alarm starts a run now\n",
        "alarm        would be refused: run run-2 (epoch 2) has fenced the primary",
        "by hand      would be admitted\n",
        "epoch        2, run run-2, started by the alarm, claimed 20",
        "fence        the newest is that of epoch 2\n",
        "maintenance  off\n",
        "anti-flap    3600 s\n",
        "the seal of epoch 2 by run run-2",
        "written under epoch 7",
        "Halted",
        "the stacks failed",
    ] {
        assert!(run.out.contains(text), "{} should say: {text}", run.out);
    }
}

#[test]
fn runs_are_told_newest_first_with_who_and_why() {
    let world = World::opened();
    refusal(
        &world,
        "alarm-a",
        "the trigger is 400.000 s old; the limit is 300 s",
        "2026-11-20T12:00:00.000Z",
    );
    world.s3.put_at("evidence/aex/by-hand/2026-11-21T12:00:00Z-x.json", b"{}", "2026-11-21T12:00:00.000Z");
    world.close(
        "by-hand",
        Outcome::Halted,
        "it\nhalted",
        Some(trigger(TriggerKind::Operator, None, Some("kim"))),
    );
    world.s3.put_at("evidence/aex/open/2026-11-22T12:00:00Z-x.json", b"{}", "2026-11-22T12:00:00.000Z");
    // Another plan's, whose name begins like this one's.
    world.s3.put("evidence/aex-two/other/manifest.json", b"{}");
    world.s3.put_at(&manifest_path("spoilt"), b"not JSON", "2026-11-19T12:00:00.000Z");

    let runs = world.json(&["status"])["runs"].clone();
    let names: Vec<&str> = runs["list"]
        .as_array()
        .expect("runs")
        .iter()
        .map(|run| run["run"].as_str().expect("a name"))
        .collect();
    assert_eq!((names, &runs["found"]), (vec!["open", "by-hand", "alarm-a", "spoilt"], &json!(4)));
    assert_eq!(runs["list"][0]["state"], json!("open"));
    assert_eq!(
        (&runs["list"][1]["started_by"]["by"], &runs["list"][1]["outcome"]),
        (&json!("kim"), &json!("Halted"))
    );
    assert_eq!(
        runs["list"][2],
        json!({
            "run": "alarm-a", "began_at": "2026-11-20T12:00:00Z", "closed_at": "1970-01-01T00:00:00Z",
            "started_by": { "kind": "alarm", "alarm": "aex-primary-down" }, "state": "closed",
            "outcome": "Refused", "reason": "the trigger is 400.000 s old; the limit is 300 s",
        })
    );
    assert_eq!(runs["list"][3]["state"], json!("unreadable"));

    let people = world.run(&["status"]).out;
    let row = people.lines().find(|line| line.contains("alarm-a")).expect("a row");
    let cells: Vec<&str> = row.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
    assert_eq!(
        cells,
        [
            "2026-11-20 12:00:00Z",
            "alarm-a",
            "alarm aex-primary-down",
            "Refused",
            "the trigger is 400.000 s old; the limit is 300 s"
        ]
    );
    assert!(people.contains("it halted"), "a reason keeps to its row: {people}");
    assert!(people.contains("its manifest cannot be read"), "{people}");

    let two = world.json(&["status", "--runs", "2"]);
    assert_eq!(two["runs"]["list"].as_array().map(Vec::len), Some(2));
    assert!(two["warnings"][0].as_str().expect("a warning").contains("2 older runs are left out"), "{two}");
    assert_eq!(world.run(&["status", "--runs", "0"]).code, 64);
}

#[test]
fn a_listing_that_is_cut_says_so() {
    let world = World::opened();
    for number in 0..50_001 {
        world.s3.put(&format!("evidence/aex/run-{:03}/{number:06}.json", number / 1_000), b"{}");
    }
    let status = world.json(&["status", "--runs", "1"]);
    assert_eq!((&status["runs"]["cut"], &status["runs"]["found"]), (&json!(true), &json!(50)));
    let warnings = status["warnings"].to_string();
    assert!(warnings.contains("more than 50000 objects: runs whose names come after run-049"), "{warnings}");
}

#[test]
fn a_run_without_a_manifest_is_taken_to_be_going_on() {
    let world = World::opened();
    world.claim(2, "run-2", Cause::Operator, 86_400);
    let status = world.json(&["status"]);
    let reason = "run run-2 (epoch 2) is under way";
    assert_eq!(status["running"], json!("not_asked"));
    assert_eq!(status["alarm"], json!({ "admitted": false, "verdict": "NotYet", "reason": reason }));
    assert_eq!(world.run(&["status", "--check"]).code, 3);
    assert_eq!(status["by_hand"]["reason"], json!("run run-2 (epoch 2) is under way"));
    assert!(status["warnings"][0].as_str().expect("a warning").contains("--state-machine asks"), "{status}");
    assert_eq!(world.run(&["status", "--state-machine", "aex"]).code, 64);
}

#[test]
fn step_functions_is_asked_whether_the_run_goes_on() {
    const MACHINE: &str = "arn:aws:states:eu-central-1:111122223333:stateMachine:aex-failover";
    let run_2 = format!("{}:run-2", MACHINE.replace("stateMachine", "execution"));
    for (status, running, alarm, by_hand) in
        [("RUNNING", "yes", "NotYet", "Refused"), ("ABORTED", "no", "Refused", "Admitted")]
    {
        let world = World::opened();
        world.claim(2, "run-2", Cause::Alarm, 86_400);
        let expected = run_2.clone();
        let endpoint = http::serve(move |request| {
            let asked: Value = serde_json::from_slice(&request.body).expect("JSON");
            assert_eq!(asked["executionArn"], json!(expected));
            let answer = json!({
                "executionArn": expected, "stateMachineArn": MACHINE, "status": status, "startDate": 1.0,
            });
            (200, "content-type: application/x-amz-json-1.0\r\n".to_owned(), answer.to_string().into_bytes())
        });
        let mut environment = world.environment();
        environment
            .extend([("AWS_ENDPOINT_URL_SFN", endpoint.as_str()), ("LIFEBOAT_STATE_MACHINE", MACHINE)]);
        let told = world.folder.lifeboat_with(&["status", "--plan", "aex", "--json"], &environment).json();
        assert_eq!(told["running"], json!(running), "{told}");
        assert_eq!(
            (&told["alarm"]["verdict"], &told["by_hand"]["verdict"]),
            (&json!(alarm), &json!(by_hand))
        );
        assert_eq!(told["warnings"], Value::Null, "{told}");
    }
}

#[test]
fn check_is_for_monitoring() {
    assert_eq!(World::opened().run(&["status", "--check"]).code, 0);
    let world = World::halted();
    assert_eq!(world.run(&["status"]).code, 0);
    let status = world.ends(&["status", "--check"], 3);
    assert_eq!((&status["ok"], &status["alarm"]["admitted"]), (&json!(false), &json!(false)));
    assert_eq!(world.ends(&["status", "--check", "--verify"], 3)["verification"]["verdict"], json!("Proven"));

    world.s3.refuse_gets_of(&slot_path("ME1", 1), 403);
    assert_eq!(
        world.ends(&["status", "--check", "--verify"], 2)["verification"]["verdict"],
        json!("Unproven")
    );
    world.s3.mend();
    world.s3.put(&slot_path("ME1", 3), b"{}\n");
    let broken = world.ends(&["status", "--check", "--verify"], 1);
    assert_eq!((&broken["ok"], &broken["verification"]["findings_count"]), (&json!(false), &json!(1)));
    assert_eq!(
        broken["streams"][0]["last"]["unreadable"]["why"].as_str().map(|why| why.contains("missing")),
        Some(true)
    );
    assert_eq!(world.run(&["status", "--verify"]).code, 0, "without --check it was only asked to tell");
}

#[test]
fn only_the_whole_proof_says_who_holds_the_pen() {
    let world = World::halted();
    // Inert: it is older than the seal before it.
    world.open("ME1", 1, Holder::Primary, "somebody");
    let status = world.json(&["status", "--verify"]);
    let last = &status["streams"][0]["last"]["control"]["open"];
    assert_eq!((&last["epoch"], &last["run"]), (&json!(1), &json!("somebody")));
    let pen = &status["verification"]["streams"][0]["pen"]["state"];
    assert_eq!(*pen, json!({ "state": "sealed", "epoch": 2, "run": "run-2" }));
    let people = world.run(&["status", "--verify"]).out;
    assert!(people.contains("ME1 through 3: sealed by run run-2 under epoch 2"), "{people}");
}

#[test]
fn what_cannot_be_read_fails_with_its_place() {
    let (word, claim) = ("control/word/aex/00000000000000000001", "control/epoch/aex/00000000000000000001");
    for (path, says) in [(word, "what was said about aex"), (claim, "what earlier runs of aex have left")] {
        let world = World::opened();
        world.s3.put(path, b"no JSON");
        let failure = world.ends(&["status"], 69);
        assert!(failure["error"]["what"].as_str().expect("what").contains(says), "{failure}");
        assert!(failure["error"]["cause"].as_str().expect("a cause").contains("0000001"), "{failure}");
    }
}

#[test]
fn a_plan_without_regimes_has_no_clocks() {
    let status = World::halted().json(&["status"]);
    assert_eq!((&status["notices"], &status["warnings"]), (&Value::Null, &Value::Null));
}

/// The manifest of a run that recovered, as if it had been years ago: all that a person files is overdue, whoever filed it.
#[test]
fn what_is_due_after_a_confirmed_outage_is_told_with_its_facts() {
    let world = World::opened();
    world.smuggle(|plan| plan.regulation = vec![Regime::RegSci, Regime::Dora]);
    assert_eq!(world.json(&["status"])["notices"], Value::Null, "nothing was confirmed");

    let manifest =
        include_str!("fixtures/evidence/recovers/manifest.json").replace("\"2026-11-2", "\"2020-11-2");
    world.s3.put_at(&manifest_path("recovers"), manifest.as_bytes(), "2020-11-27T23:02:41.000Z");
    // What came later had no outage to confirm.
    refusal(&world, "alarm-a", "the anti-flap window", "2020-11-28T12:00:00.000Z");
    let notices = world.json(&["status"])["notices"].clone();
    assert_eq!(notices["run"], json!("recovers"));
    assert_eq!(notices["confirmed_at"], json!("2020-11-27T23:02:30.786542375Z"));
    assert!(notices["no_advice"].as_str().expect("a sentence").contains("no legal advice"));
    let states: Vec<&str> = notices["notices"]
        .as_array()
        .expect("notices")
        .iter()
        .map(|notice| notice["state"].as_str().expect("a state"))
        .collect();
    assert_eq!(
        states,
        ["at_once", "met", "not_known", "overdue", "not_known", "overdue", "overdue", "overdue"]
    );
    let written = &notices["notices"][3];
    assert_eq!(written["regime"], json!("reg_sci"));
    assert_eq!(written["due"], json!({ "when": "by", "at": "2020-11-28T23:02:30.786542375Z" }));
    assert_eq!(written["source"], json!("17 CFR 242.1002(b)(2)"));
    let lost = json!({
        "what": "was anything lost", "value": "0 acknowledged entries, by a ledger proven through its seals",
    });
    assert!(written["facts"].as_array().expect("facts").contains(&lost), "{written}");

    let people = world.run(&["status"]).out;
    for text in [
        "counted from the outage that run recovers confirmed at 2020-11-27 23:02:30Z",
        "2020-11-28 23:02:30Z",
        "OVERDUE, unless filed",
        "no legal advice",
    ] {
        assert!(people.contains(text), "{people} should say: {text}");
    }
}

#[test]
fn the_clocks_of_a_run_under_way_run_from_its_own_record() {
    let world = World::opened();
    world.smuggle(|plan| plan.regulation = vec![Regime::Dora]);
    let now = lifeboat_runtime::now();
    let record = |verdict: &str| {
        json!({
            "phase": "outcome",
            "step": {
                "run": "alarm-a", "plan_key": "plan/aex.json", "name": "Confirm the outage", "entered": now, "attempt": 0,
            },
            "at": now, "request_id": "id", "previous": [], "body": { "result": { "verdict": verdict } },
        })
    };
    let key = format!("evidence/aex/alarm-a/{now}-Confirm-the-outage-0-id-outcome.json");
    world.s3.put(&key, record("DataMissing").to_string().as_bytes());
    assert_eq!(world.json(&["status"])["notices"], Value::Null);
    world.s3.put(&key, record("PrimaryDown").to_string().as_bytes());
    let notices = world.json(&["status"])["notices"].clone();
    assert_eq!((&notices["run"], &notices["confirmed_at"]), (&json!("alarm-a"), &json!(now)));
    let states: Vec<&Value> =
        notices["notices"].as_array().expect("notices").iter().map(|notice| &notice["state"]).collect();
    assert_eq!(states, [&json!("pending"); 3]);
}
