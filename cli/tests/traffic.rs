//! `lifeboat flip`, `handback` and `status` under the strategy `switch`, against the wire forms of S3 and CloudWatch: one
//! object moves the traffic, and Route 53 is not called. What this does not prove: that Route 53 follows the metric.

mod support;

use lifeboat_ledger::Holder;
use lifeboat_rules::Outcome;
use lifeboat_rules::dns::switch::{FlipObject, key};
use lifeboat_rules::epoch::Cause;
use lifeboat_rules::plan::Side;
use serde_json::{Value, json};
use support::world::{World, claim_path};
use support::{http, says};

const FLIP: [&str; 6] = ["flip", "--reason", "it serves", "--by", "ops", "--yes"];
const HANDBACK: [&str; 6] = ["handback", "--reason", "the primary is well", "--by", "ops", "--yes"];

/// A run of epoch 2 has opened the recovery side, which serves, and has halted before its flip.
fn stopped() -> World {
    let world = World::on_switch();
    let serving =
        json!({ "mode": "serving", "epoch": 2, "streams": { "ME1": { "seq": 3 }, "ME2": { "seq": 3 } } });
    let endpoint = http::serve(move |_| {
        (200, "content-type: application/json\r\n".to_owned(), serving.to_string().into_bytes())
    });
    world.folder.replace("plan.yaml", "http://10.1.0.10:8080/health", &format!("{endpoint}/health"));
    world.upload();
    world.claim(2, "run-2", Cause::Alarm, 86_400);
    world.fence(2);
    for stream in ["ME1", "ME2"] {
        world.seal(stream, 2, "run-2");
        world.open(stream, 2, Holder::Recovery, "run-2");
    }
    world.close("run-2", Outcome::Halted, "the function could not be called", None);
    world
}

/// The same run, whose flip a person has finished.
fn flipped() -> World {
    let world = stopped();
    assert_eq!(world.json(&FLIP)["flip"], json!("done"));
    world
}

fn flip_path(epoch: u64) -> String {
    format!("control/{}", key("aex", epoch))
}

#[track_caller]
fn flip(world: &World, epoch: u64) -> FlipObject {
    serde_json::from_slice(&world.s3.object(&flip_path(epoch))).expect("a flip")
}

fn with<'a>(command: &[&'a str], flags: &[&'a str]) -> Vec<&'a str> {
    [command, flags].concat()
}

#[test]
fn a_flip_by_hand_is_the_runs_own_object_and_calls_no_route_53() {
    let world = stopped();
    let report = world.json(&FLIP);
    assert_eq!(
        (&report["flip"], &report["epoch"], &report["finishes"], &report["run"]),
        (&json!("done"), &json!(2), &json!("run-2"), &json!("flip-e2"))
    );
    assert_eq!(flip(&world, 2), FlipObject { epoch: 2, run: "run-2".to_owned(), side: Side::Recovery });
    assert_eq!((world.cloudwatch.values(), world.route53.calls()), (vec![1.0], 0));
    let traffic = &report["facts"]["traffic"];
    assert_eq!(
        (&traffic["strategy"], &traffic["key"], &traffic["published"]["value"]),
        (&json!("switch"), &json!(key("aex", 2)), &json!(1.0))
    );
    assert_eq!(world.manifest("flip-e2").outcome, Outcome::Recovered);
    let puts = world.s3.puts();
    assert_eq!(world.json(&FLIP)["flip"], json!("done_already"));
    assert_eq!(world.s3.puts(), puts);

    let shown = stopped().run(&FLIP).out;
    for text in [
        "the traffic of aex is moved to the recovery side in eu-central-1\n",
        "traffic   moved by flip/aex/00000000000000000002, published\n",
        "Route 53 follows the flip within about two minutes",
        "see that gateway.aex.internal answers from the recovery side",
    ] {
        assert!(shown.contains(text), "{shown} should say: {text}");
    }
}

#[test]
fn a_person_is_told_by_what_the_traffic_moves() {
    let asked = stopped().on_a_terminal(&["flip", "--reason", "it serves", "--by", "ops"], "\n");
    assert_eq!(asked.code, 3);
    assert!(
        asked.out.contains("  traffic  to the recovery side, by flip/aex/00000000000000000002"),
        "{asked:?}"
    );
}

#[test]
fn thousands_of_names_are_not_listed() {
    let world = stopped();
    let list: String = (0..5_000).map(|number| format!("s{number:04}\n")).collect();
    world.folder.write("symbols.txt", &list);
    world.folder.replace(
        "plan.yaml",
        "  records:\n",
        "  names:\n    - { name: \"{symbol}.md.aex.internal\", list: symbols.txt, type: A, ttl: 30, primary: [10.0.0.20], \
         recovery: [10.1.0.20] }\n  records:\n",
    );
    world.upload();
    let report = world.json(&FLIP);
    let warning = report["warnings"][0].as_str().expect("a warning");
    assert!(warning.contains("up to 30 s"), "{warning}");
    assert!(warning.contains("gateway.aex.internal, {symbol}.md.aex.internal answer from"), "{warning}");
    assert!(warning.len() < 300, "{warning}");
}

#[test]
fn an_answer_that_is_lost_is_read_back_and_a_metric_that_is_not_taken_is_the_keepers() {
    let world = stopped();
    world.s3.lose_answer_of("flip/aex/");
    assert_eq!(world.json(&FLIP)["flip"], json!("done"));
    assert!(world.s3.has_suffered());

    let world = stopped();
    world.cloudwatch.refuse();
    let report = world.json(&FLIP);
    assert_eq!((&report["flip"], &report["facts"]["traffic"]["published"]), (&json!("done"), &Value::Null));
    assert_eq!(flip(&world, 2).side, Side::Recovery);
    let shown = stopped_without_cloudwatch().run(&FLIP).out;
    assert!(shown.contains("not published yet: the keeper does it within a minute"), "{shown}");
}

fn stopped_without_cloudwatch() -> World {
    let world = stopped();
    world.cloudwatch.refuse();
    world
}

#[test]
fn a_newer_flip_refuses_it() {
    let world = stopped();
    let newer = FlipObject { epoch: 3, run: "run-3".to_owned(), side: Side::Primary };
    world.s3.put(&flip_path(3), &newer.to_json());
    let failure = world.ends(&FLIP, 4);
    says(
        &failure,
        &[
            "the traffic of aex could not be moved; nothing was done",
            "run-3 has moved the traffic under epoch 3",
        ],
    );
    assert!(!world.s3.keys().contains(&flip_path(2)));
    assert_eq!(world.cloudwatch.calls(), 0);
}

#[test]
fn a_hand_back_moves_the_traffic_under_its_own_epoch() {
    let world = flipped();
    let report = world.json(&with(&HANDBACK, &["--take-from-recovery"]));
    let run = report["run"].as_str().expect("a name").to_owned();
    assert_eq!((&report["epoch"], &report["facts"]["traffic"]["strategy"]), (&json!(3), &json!("switch")));
    assert_eq!(flip(&world, 3), FlipObject { epoch: 3, run, side: Side::Primary });
    assert_eq!(flip(&world, 2).side, Side::Recovery, "what was is kept");
    assert_eq!((world.cloudwatch.values(), world.route53.calls()), (vec![1.0, 0.0], 0));
    world.assert_primary_holds(3);
    assert_eq!(world.json(&HANDBACK)["handback"], json!("done_already"));
}

#[test]
fn traffic_that_was_kept_where_it_was_is_brought_after_the_pen_by_the_next_one() {
    let world = flipped();
    let kept = world.json(&with(&HANDBACK, &["--take-from-recovery", "--keep-records"]));
    let run = kept["run"].as_str().expect("a name").to_owned();
    assert_eq!(kept["facts"]["traffic"], json!({ "kept": true }));
    let warning = kept["warnings"][1].as_str().expect("a warning");
    assert!(warning.contains("nothing there is acknowledged, until `lifeboat handback`"), "{warning}");
    assert!(!world.s3.keys().contains(&flip_path(3)));
    let traffic = &world.json(&["status"])["traffic"];
    assert_eq!((&traffic["side"], &traffic["epoch"]), (&json!("recovery"), &json!(2)), "{traffic}");
    // Said again, it is kept again.
    assert_eq!(world.json(&with(&HANDBACK, &["--keep-records"]))["handback"], json!("done_already"));

    let tail = world.tail("ME1").next_seq();
    let brought = world.json(&HANDBACK);
    assert_eq!(
        (&brought["handback"], &brought["epoch"], &brought["facts"]["finishes"]),
        (&json!("done"), &json!(3), &json!(run))
    );
    assert_eq!(flip(&world, 3), FlipObject { epoch: 3, run, side: Side::Primary });
    assert_eq!(world.cloudwatch.values(), [1.0, 0.0]);
    let manifest = world.manifest(brought["run"].as_str().expect("a name"));
    assert_eq!((manifest.outcome, &manifest.facts), (Outcome::HandedBack, &brought["facts"]));
    // Nobody has lost a pen for it.
    assert_eq!((world.tail("ME1").next_seq(), world.s3.keys().contains(&claim_path(4))), (tail, false));
    world.assert_primary_holds(3);
    assert_eq!(world.json(&HANDBACK)["handback"], json!("done_already"));
}

#[test]
fn status_says_by_which_strategy_and_where_the_traffic_is() {
    let world = stopped();
    let traffic = &world.json(&["status"])["traffic"];
    assert_eq!(
        *traffic,
        json!({ "strategy": "switch", "side": "primary", "epoch": null, "reason": "on the primary; nobody has flipped" })
    );
    world.json(&FLIP);
    let shown = world.run(&["status"]).out;
    assert!(shown.contains("  traffic      switch: on the recovery side since epoch 2 (run-2)\n"), "{shown}");
    assert_eq!(world.route53.calls(), 0);
    // What is no flip is said, and the rest of the status with it.
    world.s3.put(&flip_path(9), b"{}");
    let traffic = &world.json(&["status"])["traffic"];
    assert!(traffic["reason"].as_str().expect("a reason").starts_with("not known: "), "{traffic}");
}

#[test]
fn status_reads_the_fence_of_records() {
    let world = World::halted();
    let traffic = |world: &World| world.json(&["status"])["traffic"].clone();
    assert_eq!(traffic(&world)["reason"], json!("where the records point; nobody has flipped"));
    world.json(&HANDBACK);
    let now = traffic(&world);
    assert_eq!(
        (&now["strategy"], &now["side"], &now["epoch"]),
        (&json!("records"), &json!("primary"), &json!(3))
    );
    world.route53.refuse_reads(Some(403));
    let now = traffic(&world);
    assert_eq!(now["side"], Value::Null);
    assert!(now["reason"].as_str().expect("a reason").contains("AccessDenied"), "{now}");
}
