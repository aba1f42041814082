//! `lifeboat flip`, `handback` and `status` under the strategy `switch`, against the wire forms of S3 and CloudWatch: one
//! object moves the traffic, and Route 53 is not called. What this does not prove: that Route 53 follows the metric.

mod support;

use lifeboat_ledger::Holder;
use lifeboat_rules::Outcome;
use lifeboat_rules::dns::switch::{FlipObject, key};
use lifeboat_rules::epoch::Cause;
use lifeboat_rules::plan::{Side, Strategy};
use serde_json::{Value, json};
use support::world::{World, claim_path, fence_path};
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
    world.add_symbols(5_000);
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
    let traffic = &kept["facts"]["traffic"];
    assert_eq!((&traffic["kept"], &traffic["side"]), (&json!(true), &json!("recovery")));
    let warning = kept["warnings"][1].as_str().expect("a warning");
    assert!(warning.contains("nothing there is acknowledged, until `lifeboat handback`"), "{warning}");
    assert_eq!(flip(&world, 3), FlipObject { epoch: 3, run, side: Side::Recovery });
    let traffic = &world.json(&["status"])["traffic"];
    assert_eq!((&traffic["side"], &traffic["epoch"]), (&json!("recovery"), &json!(3)), "{traffic}");
    // Said again, it is kept again.
    assert_eq!(world.json(&with(&HANDBACK, &["--keep-records"]))["handback"], json!("done_already"));

    let tail = world.tail("ME1").next_seq();
    let brought = world.json(&HANDBACK);
    let run = brought["run"].as_str().expect("a name").to_owned();
    assert_eq!((&brought["handback"], &brought["epoch"]), (&json!("done"), &json!(4)));
    assert_eq!(flip(&world, 4), FlipObject { epoch: 4, run: run.clone(), side: Side::Primary });
    assert_eq!(world.cloudwatch.values(), [1.0, 1.0, 0.0]);
    let manifest = world.manifest(&run);
    assert_eq!((manifest.outcome, &manifest.facts), (Outcome::HandedBack, &brought["facts"]));
    let claim: Value = serde_json::from_slice(&world.s3.object(&claim_path(4))).expect("JSON");
    assert_eq!((&claim["run"], &claim["cause"]), (&json!(run), &json!("hand_back")));
    // Nobody has lost a pen for it, and an alarm may start a run again.
    assert_eq!(world.tail("ME1").next_seq(), tail);
    world.assert_primary_holds(3);
    assert_eq!(world.json(&["status"])["alarm"]["admitted"], json!(true));
    assert_eq!(world.json(&HANDBACK)["handback"], json!("done_already"));
}

#[test]
fn traffic_that_could_not_be_brought_is_brought_by_the_next_one() {
    let kept = || {
        let world = flipped();
        world.json(&with(&HANDBACK, &["--take-from-recovery", "--keep-records"]));
        world
    };
    for (at, text) in [
        ("control/flip/aex/", "epoch 4 is claimed, and the traffic of aex is not known to be moved"),
        ("manifest.json", "the traffic of aex is moved back, and the manifest is not known to be stored"),
    ] {
        let world = kept();
        world.s3.refuse_puts_of(at, 403);
        says(&world.ends(&HANDBACK, 3), &[text, "run the same command again", "no alarm starts a run"]);
        assert_eq!(world.json(&["status"])["alarm"]["admitted"], json!(false));
        world.s3.mend();
        let report = world.json(&HANDBACK);
        assert_eq!((&report["handback"], &report["epoch"]), (&json!("done"), &json!(5)));
        assert_eq!(flip(&world, 5).side, Side::Primary);
        world.assert_primary_holds(5);
        assert_eq!(world.json(&HANDBACK)["handback"], json!("done_already"));
    }
}

#[test]
fn a_hand_back_that_keeps_the_traffic_makes_every_older_flip_stale() {
    let world = stopped();
    let kept = world.json(&with(&HANDBACK, &["--take-from-recovery", "--keep-records"]));
    let run = kept["run"].as_str().expect("a name").to_owned();
    assert_eq!(kept["facts"]["traffic"]["side"], json!("primary"));
    assert_eq!(flip(&world, 3), FlipObject { epoch: 3, run, side: Side::Primary });
    assert_eq!((world.cloudwatch.values(), world.route53.calls()), (vec![0.0], 0));
    // The flip of the run arrives.
    let late = FlipObject { epoch: 2, run: "run-2".to_owned(), side: Side::Recovery };
    world.s3.put(&flip_path(2), &late.to_json());
    let traffic = &world.json(&["status"])["traffic"];
    assert_eq!((&traffic["side"], &traffic["epoch"]), (&json!("primary"), &json!(3)), "{traffic}");
    assert_eq!(world.json(&HANDBACK)["handback"], json!("done_already"));
}

#[test]
fn a_hand_back_outruns_a_flip_that_nobody_has_claimed_whatever_it_says() {
    let foreign = FlipObject { epoch: 9, run: "somebody".to_owned(), side: Side::Primary };
    let unlike = FlipObject { epoch: 8, ..foreign.clone() };
    for (bytes, was) in [
        (foreign.to_json(), "of an epoch that nobody has claimed: the newest is 1"),
        (
            FlipObject { side: Side::Recovery, ..foreign }.to_json(),
            "of an epoch that nobody has claimed: the newest is 1",
        ),
        (unlike.to_json(), "flip/aex/00000000000000000009 is no flip object"),
        (b"{}".to_vec(), "flip/aex/00000000000000000009 is no flip object"),
    ] {
        // The primary has the pen: nobody loses it.
        let world = World::on_switch();
        world.s3.put(&flip_path(9), &bytes);
        let report = world.json(&HANDBACK);
        assert_eq!((&report["handback"], &report["epoch"]), (&json!("done"), &json!(10)));
        assert!(report["facts"]["traffic_was"].as_str().expect("where").contains(was), "{report}");
        assert_eq!((flip(&world, 10).side, world.cloudwatch.values()), (Side::Primary, vec![0.0]));
        world.assert_primary_holds(1);
        assert_eq!(world.json(&HANDBACK)["handback"], json!("done_already"));
        assert_eq!(world.json(&["status"])["traffic"]["side"], json!("primary"));

        // It has not: it is given back under that epoch.
        let world = stopped();
        world.s3.put(&flip_path(9), &bytes);
        let ask = ["handback", "--reason", "x", "--by", "ops", "--take-from-recovery"];
        let asked = world.on_a_terminal(&ask, "\n").out;
        for text in [
            "epoch    10, after 2 (run run-2, Halted)",
            "beyond   the flip of epoch 9, which nobody has claimed",
        ] {
            assert!(asked.contains(text), "{asked} should say: {text}");
        }
        let report = world.json(&with(&HANDBACK, &["--take-from-recovery"]));
        assert_eq!((&report["handback"], &report["epoch"]), (&json!("done"), &json!(10)));
        assert_eq!(flip(&world, 10).side, Side::Primary);
        world.assert_primary_holds(10);
    }
}

/// A run that was admitted under the newest epoch claims its successor while a person reads the question. The hand-back, which goes
/// beyond a foreign flip, meets it there.
#[test]
fn a_hand_back_beyond_a_foreign_flip_meets_a_run_that_was_admitted_before_it() {
    let foreign = FlipObject { epoch: 9, run: "somebody".to_owned(), side: Side::Primary };
    let claim = |epoch: u64| {
        json!({ "epoch": epoch, "run": "run-x", "at": "2026-11-23T12:00:00Z", "cause": "operator" })
            .to_string()
    };
    for (world, successor) in [(World::on_switch(), 2), (stopped(), 3)] {
        world.s3.put(&flip_path(9), &foreign.to_json());
        let tail = world.tail("ME1").next_seq();
        world.s3.put_unlisted(&claim_path(successor), claim(successor).as_bytes());
        let puts = world.s3.puts();
        let failure = world.ends(&with(&HANDBACK, &["--take-from-recovery"]), 4);
        let claimed = format!("somebody else has claimed epoch {successor} meanwhile; nothing was done");
        says(&failure, &[&claimed, "run-x"]);
        assert_eq!((world.s3.puts(), world.tail("ME1").next_seq()), (puts, tail));
    }
    // Another is admitted under that successor, and claims the next before the epoch beyond the flip is claimed.
    for (world, successor) in [(World::on_switch(), 2), (stopped(), 3)] {
        world.s3.put(&flip_path(9), &foreign.to_json());
        let tail = world.tail("ME1").next_seq();
        world.s3.put_together_with(
            &claim_path(successor),
            &claim_path(successor + 1),
            claim(successor + 1).as_bytes(),
        );
        let failure = world.ends(&with(&HANDBACK, &["--take-from-recovery"]), 4);
        let by = format!("epoch {} is held by run run-x", successor + 1);
        says(
            &failure,
            &[
                "somebody else has begun to act meanwhile; epoch 10 is claimed, and nothing else was done",
                &by,
            ],
        );
        assert!(!world.s3.keys().contains(&flip_path(10)));
        assert_eq!(world.tail("ME1").next_seq(), tail);
        // Once that run has ended there is a way on.
        let over = ["--take-from-recovery", "--run-is-over"];
        assert_eq!(world.json(&with(&HANDBACK, &over))["handback"], json!("done"));
        assert_eq!(flip(&world, 11).side, Side::Primary);
    }
}

/// The flip of a stopped run arrives while the streams are opened, after the person was asked.
#[test]
fn traffic_is_kept_where_the_person_was_told_that_it_is() {
    let world = stopped();
    let ask = ["handback", "--reason", "x", "--by", "ops", "--take-from-recovery", "--keep-records"];
    let asked = world.on_a_terminal(&ask, "\n").out;
    let told = "traffic  stays with the primary, by flip/aex/00000000000000000003";
    assert!(asked.contains(told), "{asked} should say: {told}");
    let late = FlipObject { epoch: 2, run: "run-2".to_owned(), side: Side::Recovery };
    world.s3.put_together_with(&fence_path(3), &flip_path(2), &late.to_json());
    let kept = world.json(&with(&HANDBACK, &["--take-from-recovery", "--keep-records"]));
    assert_eq!(flip(&world, 2).side, Side::Recovery, "it has come");
    assert_eq!((&kept["facts"]["traffic"]["side"], flip(&world, 3).side), (&json!("primary"), Side::Primary));
    assert_eq!(world.cloudwatch.values(), [0.0]);
}

#[test]
fn where_nobody_knows_what_is_in_force_nothing_is_kept() {
    let world = stopped();
    world.s3.put(&flip_path(2), b"{}");
    let puts = world.s3.puts();
    let failure = world.ends(&with(&HANDBACK, &["--take-from-recovery", "--keep-records"]), 69);
    says(
        &failure,
        &["it cannot be told where the traffic of aex is; nothing was done", "is not a flip object"],
    );
    says(&failure, &["leave --keep-records out"]);
    assert_eq!(world.s3.puts(), puts);
    // An object that is none and whose epoch is older than the pen's is in nobody's way.
    world.s3.put(&flip_path(1), b"{}");
    assert_eq!(world.json(&with(&HANDBACK, &["--take-from-recovery"]))["epoch"], json!(3));
    assert_eq!(flip(&world, 3).side, Side::Primary);
}

#[test]
fn no_epoch_is_claimed_that_leaves_none_after_it() {
    let world = World::on_switch();
    for last in [1 << 52, u64::MAX] {
        world.s3.put(&flip_path(last), b"{}");
        let puts = world.s3.puts();
        let failure = world.ends(&HANDBACK, 3);
        says(&failure, &["no epoch is left to claim", "nothing was done", &key("aex", last)]);
        assert_eq!(world.s3.puts(), puts);
    }
}

#[test]
fn another_strategy_than_the_one_that_moved_the_traffic_is_refused_on_both_ways() {
    let by_records = |plan: &mut lifeboat_rules::Plan| {
        plan.dns.strategy = Strategy::Records;
        plan.dns.health_check = None;
    };
    let changed = ["went by another version of the plan aex", "`dns.strategy` was switch and is records"];

    // Forward: the run that is to be finished has opened the recovery side by the switch.
    let world = stopped();
    world.smuggle(by_records);
    let (puts, calls) = (world.s3.puts(), world.route53.changes());
    says(&world.ends(&FLIP, 3), &changed);
    assert_eq!((world.s3.puts(), world.route53.changes()), (puts, calls));

    // Back, and by an upload it does not come so far.
    let world = flipped();
    let strategy = ("strategy: switch\n  health_check: gate", "strategy: records");
    world.folder.replace("plan.yaml", strategy.0, strategy.1);
    let puts = world.s3.puts();
    let upload = world.folder.lifeboat_with(&["plan", "upload", "plan.yaml", "--json"], &world.environment());
    assert_eq!(upload.code, 3, "{upload:?}");
    let since = "the traffic is on the recovery side since epoch 2 (run-2)";
    says(&upload.json(), &[since, "nothing was stored", "`dns.strategy` was switch and is records"]);
    assert_eq!(world.s3.puts(), puts);

    world.smuggle(by_records);
    let puts = world.s3.puts();
    says(&world.ends(&with(&HANDBACK, &["--take-from-recovery"]), 3), &changed);
    assert_eq!(world.s3.puts(), puts);

    // An upload that changes nothing of it is taken, and any is once the traffic is back.
    world.folder.replace("plan.yaml", strategy.1, strategy.0);
    world.smuggle(|plan| {
        plan.dns.strategy = Strategy::Switch;
        plan.dns.health_check = Some("gate".to_owned());
    });
    world.folder.replace("plan.yaml", "ttl: 5", "ttl: 6");
    world.upload();
    world.json(&with(&HANDBACK, &["--take-from-recovery"]));
    world.folder.replace("plan.yaml", strategy.0, strategy.1);
    world.upload();
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
