//! `lifeboat handback` against the wire forms of S3 and Route 53: what it does, what it refuses, and that a hand-back which
//! was stopped at any point is finished by the next one. What these do not prove: that an exchange resumes on what is
//! opened.

mod support;

use lifeboat_ledger::Holder;
use lifeboat_rules::Outcome;
use lifeboat_rules::epoch::Cause;
use lifeboat_rules::plan::Side;
use serde_json::{Value, json};
use support::route53::Route53;
use support::s3::S3;
use support::says;
use support::world::{
    FENCE, GATEWAY, PRIMARY, RECOVERY, World, claim_path, fence_path, manifest_path, slot_path,
};

const HANDBACK: [&str; 6] = ["handback", "--reason", "the primary is well", "--by", "ops", "--yes"];

fn with<'a>(flags: &[&'a str]) -> Vec<&'a str> {
    [&HANDBACK[..], flags].concat()
}

/// A hand-back that is refused with nothing stored.
#[track_caller]
fn refused_with(world: &World, flags: &[&str], code: i32, texts: &[&str]) {
    let (puts, keys, changes) = (world.s3.puts(), world.s3.keys(), world.route53.changes());
    let failure = world.ends(&with(flags), code);
    says(&failure, texts);
    says(&failure, &["nothing was done"]);
    let now = (world.s3.puts(), world.s3.keys(), world.route53.changes());
    assert_eq!(now, (puts, keys, changes), "nothing is stored, nothing is changed");
}

/// The same before anything was ever changed in the zone.
#[track_caller]
fn refused(world: &World, flags: &[&str], code: i32, texts: &[&str]) {
    refused_with(world, flags, code, texts);
    assert_eq!(world.zone_epoch(), None, "the records are not touched");
}

#[test]
fn after_a_run_that_halted_the_primary_has_the_pen_again() {
    let world = World::halted();
    let before = world.puts().len();
    let report = world.json(&HANDBACK);
    let run = report["run"].as_str().expect("a name").to_owned();
    assert!(run.starts_with("handback-20") && run.len() == "handback-20261123T120000Z-123456".len(), "{run}");
    assert_eq!((&report["handback"], &report["epoch"]), (&json!("done"), &json!(3)));
    let sealed = json!({ "state": "sealed", "epoch": 2, "run": "run-2" });
    assert_eq!(
        report["facts"]["streams"],
        json!([
            { "stream": "ME1", "seq": 3, "taken_from": sealed },
            { "stream": "ME2", "seq": 3, "taken_from": sealed },
        ])
    );
    world.assert_primary_holds(3);

    let manifest = world.manifest(&run);
    assert_eq!((manifest.outcome, manifest.reason.as_str()), (Outcome::HandedBack, "the primary is well"));
    assert_eq!((manifest.facts["by"].as_str(), manifest.records.len()), (Some("ops"), 2));
    assert_eq!(manifest.facts, report["facts"]);
    assert_eq!(report["manifest"]["key"], json!(format!("aex/{run}/manifest.json")));
    let stored = lifeboat_rules::evidence::sha256(&world.s3.object(&manifest_path(&run)));
    assert_eq!(report["manifest"]["sha256"], json!(stored));

    let claim: Value = serde_json::from_slice(&world.s3.object(&claim_path(3))).expect("JSON");
    assert_eq!((&claim["run"], &claim["cause"]), (&json!(run), &json!("hand_back")));
    assert_eq!(
        world.puts()[before..],
        [claim_path(3), fence_path(3), slot_path("ME1", 3), slot_path("ME2", 3), manifest_path(&run)],
        "claimed first, closed last, fenced before it is opened"
    );
    let fence: Value = serde_json::from_slice(&world.s3.object(&fence_path(3))).expect("JSON");
    assert_eq!((&fence["epoch"], &fence["run"]), (&json!(3), &json!(run)));
    assert_eq!(
        (manifest.admitted.is_none(), manifest.facts["epoch"].as_u64()),
        (true, Some(3)),
        "by this a manifest is known to be about this claim"
    );
    assert_eq!(world.zone_epoch(), Some(3), "a late batch of the run is refused by this fence");
    assert_eq!(world.route53.values(GATEWAY, "A"), [PRIMARY]);

    let puts = world.s3.puts();
    let again = world.json(&HANDBACK);
    assert_eq!((&again["handback"], &again["epoch"]), (&json!("done_already"), &json!(3)));
    let again = world.run(&HANDBACK);
    assert!(
        again.out.starts_with("the primary holds the pen of aex already; nothing was done\n"),
        "{again:?}"
    );
    assert_eq!(world.s3.puts(), puts, "nothing is done twice");
}

#[test]
fn a_person_reads_what_was_done() {
    let world = World::halted();
    let run = world.run(&HANDBACK);
    assert_eq!((run.code, run.err.as_str()), (0, ""), "{run:?}");
    for text in [
        "the primary of aex in eu-west-1 holds the pen\n",
        "epoch     3, run handback-",
        "opened    ME1 at 3, ME2 at 3\n",
        "records   0 of 1 changed, in one batch\n",
        "stacks that a run has launched",
    ] {
        assert!(run.out.contains(text), "{} should say: {text}", run.out);
    }
}

#[test]
fn after_a_failover_the_pen_is_taken_from_the_recovery_side_on_a_word_of_its_own() {
    let world = World::opened();
    world.claim(2, "run-2", Cause::Alarm, 86_400);
    world.fence(2);
    for stream in ["ME1", "ME2"] {
        world.seal(stream, 2, "run-2");
        world.open(stream, 2, Holder::Recovery, "run-2");
        world.write(stream, 2);
    }
    world.close("run-2", Outcome::Recovered, "", None);
    let zone = [("gateway.aex.internal", "A", "5", &[RECOVERY][..])];
    let world = World { route53: support::route53::Route53::start(&zone), ..world };
    refused(&world, &[], 3, &["holds the pen of ME1 (epoch 2), ME2 (epoch 2)", "--take-from-recovery"]);

    let report = world.json(&with(&["--take-from-recovery"]));
    let taken_from = json!({ "state": "open", "epoch": 2, "holder": "recovery" });
    assert_eq!(report["facts"]["streams"][0], json!({ "stream": "ME1", "seq": 5, "taken_from": taken_from }));
    assert_eq!(report["facts"]["traffic"]["changes"].as_array().map(Vec::len), Some(3), "{report}");
    world.assert_primary_holds(3);
    assert_eq!((world.route53.values(GATEWAY, "A"), world.zone_epoch()), (vec![PRIMARY.to_owned()], Some(3)));
}

/// Both with a fence of an earlier epoch in the zone and without any.
#[test]
fn records_that_are_kept_get_a_fence_and_the_batch_of_a_stopped_run_that_comes_late_is_refused() {
    for fenced in [false, true] {
        let mut zone: Vec<(&str, &str, &str, &[&str])> = vec![(GATEWAY, "A", "5", &[PRIMARY])];
        if fenced {
            zone.push((FENCE, "TXT", "60", &["\"1/1of1/0123456789abcdef\""]));
        }
        let world = World { route53: Route53::start(&zone), ..World::halted() };
        let plan = world.plan();
        let late = world.route53.decide(&plan, Side::Recovery, 2);
        let report = world.json(&with(&["--keep-records"]));
        let kept = &report["facts"]["traffic"];
        assert_eq!((&kept["kept"], &kept["fence"]["epoch"]), (&json!(true), &json!(3)), "{report}");
        assert_eq!(
            (world.zone_epoch(), world.route53.values(GATEWAY, "A")),
            (Some(3), vec![PRIMARY.to_owned()])
        );
        world.assert_primary_holds(3);

        assert!(!world.route53.takes(&plan, &late), "it deletes what is not there any more");
        assert_eq!(
            (world.zone_epoch(), world.route53.values(GATEWAY, "A")),
            (Some(3), vec![PRIMARY.to_owned()])
        );
        assert_eq!(world.json(&HANDBACK)["handback"], json!("done_already"));
    }
    // The same batch is taken where nobody has put a fence: what is refused above is refused for that.
    let world = World::halted();
    let plan = world.plan();
    let late = world.route53.decide(&plan, Side::Recovery, 2);
    assert!(world.route53.takes(&plan, &late));
    assert_eq!(world.route53.values(GATEWAY, "A"), [RECOVERY]);
}

#[test]
fn records_that_were_kept_on_the_recovery_side_are_brought_after_the_pen_by_the_next_one() {
    let zone: [(&str, &str, &str, &[&str]); 1] = [(GATEWAY, "A", "5", &[RECOVERY])];
    let world = World { route53: Route53::start(&zone), ..World::halted() };
    let report = world.json(&with(&["--keep-records"]));
    let warning = report["warnings"][1].as_str().expect("a warning");
    assert!(
        warning.contains("until `lifeboat handback` without --keep-records moves them back"),
        "{warning}"
    );
    assert_eq!(
        (world.zone_epoch(), world.route53.values(GATEWAY, "A")),
        (Some(3), vec![RECOVERY.to_owned()])
    );
    assert_eq!(world.json(&["status"])["traffic"]["side"], json!("recovery"));

    let tail = world.tail("ME1").next_seq();
    let brought = world.json(&HANDBACK);
    assert_eq!((&brought["handback"], &brought["epoch"]), (&json!("done"), &json!(4)));
    let was = brought["facts"]["traffic_was"].as_str().expect("where");
    assert_eq!(was, "not on the primary with 1 of 1 records");
    assert_eq!((world.zone_epoch(), world.route53.values(GATEWAY, "A")), (Some(4), vec![PRIMARY.to_owned()]));
    // Nobody has lost a pen for it.
    assert_eq!(world.tail("ME1").next_seq(), tail);
    world.assert_primary_holds(3);
    assert_eq!(world.json(&HANDBACK)["handback"], json!("done_already"));
}

#[test]
fn the_pen_is_given_back_without_route_53_and_it_is_said_what_that_leaves_open() {
    let zone: [(&str, &str, &str, &[&str]); 2] =
        [(GATEWAY, "A", "5", &[PRIMARY]), (FENCE, "TXT", "60", &["\"1/1of1/0123456789abcdef\""])];
    let world = World { route53: Route53::start(&zone), ..World::halted() };
    world.route53.refuse_reads(Some(403));
    let report = world.json(&with(&["--keep-records"]));
    let traffic = &report["facts"]["traffic"];
    assert_eq!((&traffic["kept"], &traffic["fence"]), (&json!(true), &Value::Null));
    assert!(traffic["why"].as_str().expect("why").contains("AccessDenied"), "{traffic}");
    let warning = report["warnings"][1].as_str().expect("a warning");
    assert!(warning.contains("arrives late could still move them"), "{warning}");
    world.assert_primary_holds(3);
    refused_with(&world, &[], 69, &["could not see where the traffic of aex is"]);

    // Once Route 53 answers the fence is made good for, though no record is to be moved.
    world.route53.refuse_reads(None);
    let brought = world.json(&HANDBACK);
    assert_eq!((&brought["handback"], &brought["epoch"]), (&json!("done"), &json!(4)));
    let was = brought["facts"]["traffic_was"].as_str().expect("where");
    assert!(was.contains("the fence of epoch 3 is not in aex.internal"), "{was}");
    assert_eq!(world.zone_epoch(), Some(4));
    assert_eq!(world.json(&HANDBACK)["handback"], json!("done_already"));
}

/// A failover under a plan with three symbols more, which is closed or was stopped.
fn moved_with_symbols(outcome: Option<Outcome>) -> World {
    let world = World::opened();
    world.add_symbols(3);
    world.claim(2, "run-2", Cause::Alarm, 86_400);
    world.fence(2);
    for stream in ["ME1", "ME2"] {
        world.seal(stream, 2, "run-2");
        world.open(stream, 2, Holder::Recovery, "run-2");
    }
    match outcome {
        Some(outcome) => world.close("run-2", outcome, "", None),
        // What a stopped run leaves: records of the steps that it came to, each with the run as it was admitted.
        None => {
            let intent =
                json!({ "phase": "intent", "body": { "run": { "id": "run-2", "plan": world.pinned() } } });
            let key = "2026-11-23T12:00:00Z-Confirm-the-outage-0-x-intent.json";
            world.s3.put(&format!("evidence/aex/run-2/{key}"), intent.to_string().as_bytes());
        }
    }
    let names = ["s0000.md.aex.internal", "s0001.md.aex.internal", "s0002.md.aex.internal"];
    let mut zone: Vec<(&str, &str, &str, &[&str])> = vec![(GATEWAY, "A", "5", &[RECOVERY])];
    zone.extend(names.map(|name| (name, "A", "30", &["10.1.0.20"][..])));
    zone.push((FENCE, "TXT", "60", &["\"2/1of1/0123456789abcdef\""]));
    World { route53: Route53::start(&zone), ..world }
}

#[test]
fn a_plan_that_would_leave_names_behind_hands_nothing_back_and_is_not_uploaded() {
    for outcome in [Some(Outcome::Recovered), Some(Outcome::Halted), None] {
        let world = moved_with_symbols(outcome);
        let moved_by = world.s3.object("control/plan/aex.json");
        let version = world.s3.version("control/plan/aex.json");
        let flags = ["--take-from-recovery", "--run-is-over"];

        // By an upload it does not come so far.
        let rule = "  names:\n    - { name: \"{symbol}.md.aex.internal\", list: symbols.txt, type: A, ttl: 30, primary: \
                    [10.0.0.20], recovery: [10.1.0.20] }\n";
        world.folder.replace("plan.yaml", rule, "");
        let (puts, upload) = (world.s3.puts(), ["plan", "upload", "plan.yaml", "--json"]);
        let refused = world.folder.lifeboat_with(&upload, &world.environment());
        assert_eq!(refused.code, 3, "{refused:?}");
        let failure = refused.json();
        says(
            &failure,
            &["4 of 4 records are not on the primary", "nothing was stored", "`lifeboat handback`"],
        );
        says(
            &failure,
            &["taken out: s0000.md.aex.internal A, s0001.md.aex.internal A, s0002.md.aex.internal A"],
        );
        assert_eq!(world.s3.puts(), puts);

        world.smuggle(|plan| plan.dns.names.clear());
        let (puts, changes) = (world.s3.puts(), world.route53.changes());
        let failure = world.ends(&with(&flags), 3);
        let copy = format!("--copy-source 'control/plan/aex.json?versionId={version}'");
        says(
            &failure,
            &["run run-2 (epoch 2) went by another version of the plan aex", "nothing was done", &copy],
        );
        says(&failure, &["taken out: s0000.md.aex.internal A"]);
        assert_eq!((world.s3.puts(), world.route53.changes()), (puts, changes));

        // The way out that was named.
        world.s3.put("control/plan/aex.json", &moved_by);
        let report = world.json(&with(&flags));
        assert_eq!(report["facts"]["traffic"]["changed"], json!(4), "{report}");
        assert_eq!(world.route53.values("s0002.md.aex.internal", "A"), ["10.0.0.20"]);
        // And with the traffic back the plan is taken.
        world.upload();
        assert_eq!(world.json(&HANDBACK)["handback"], json!("done_already"));
    }
}

/// The recovery side is built anew under other addresses while the traffic is there. What the plan says of it then is not what
/// the records say; they are not on the primary all the same.
#[test]
fn an_upload_is_refused_by_where_the_records_are_and_not_by_what_the_plan_says_of_the_recovery_side() {
    let world = moved_with_symbols(Some(Outcome::Recovered));
    world.folder.replace("plan.yaml", "recovery: [10.1.0.20]", "recovery: [10.1.9.20]");
    world.folder.replace("plan.yaml", "recovery: [10.1.0.10]", "recovery: [10.1.9.10]");
    world.upload();
    let rule = "  names:\n    - { name: \"{symbol}.md.aex.internal\", list: symbols.txt, type: A, ttl: 30, primary: \
                [10.0.0.20], recovery: [10.1.9.20] }\n";
    world.folder.replace("plan.yaml", rule, "");
    let puts = world.s3.puts();
    let refused =
        world.folder.lifeboat_with(&["plan", "upload", "plan.yaml", "--json"], &world.environment());
    assert_eq!(refused.code, 3, "{refused:?}");
    says(&refused.json(), &["4 of 4 records are not on the primary", "taken out: s0000.md.aex.internal A"]);
    assert_eq!(world.s3.puts(), puts);
}

#[test]
fn a_pen_can_be_given_back_by_a_changed_plan_that_keeps_the_records_and_it_is_said() {
    let world = moved_with_symbols(Some(Outcome::Recovered));
    world.smuggle(|plan| plan.dns.names.clear());
    let report = world.json(&with(&["--take-from-recovery", "--keep-records"]));
    let warnings = report["warnings"].to_string();
    assert!(
        warnings.contains("run run-2 (epoch 2) went by another version of the plan: taken out: s0000"),
        "{warnings}"
    );
    world.assert_primary_holds(3);
    // It is not forgotten: what was kept is brought back by the plan that moved it, or not at all.
    refused_with(&world, &[], 3, &["went by another version of the plan aex", "s0000.md.aex.internal A"]);
}

#[test]
fn of_a_run_that_moved_nothing_and_of_more_names_nobody_asks() {
    // It was sealed and never opened: no traffic was moved by its plan.
    let world = World::halted();
    world.smuggle(|plan| plan.dns.zone_id = "ZOTHER".to_owned());
    assert_eq!(world.json(&with(&["--keep-records"]))["handback"], json!("done"));

    let world = moved_with_symbols(Some(Outcome::Recovered));
    world.smuggle(|plan| plan.probe.attempts += 1);
    let report = world.json(&with(&["--take-from-recovery"]));
    assert_eq!(report["facts"]["traffic"]["changed"], json!(4), "another plan, and the same names");

    // Where the version is gone it is said, and the pen is not held up for it.
    let world = moved_with_symbols(None);
    world.smuggle(|plan| plan.dns.names.clear());
    let gone =
        json!({ "body": { "run": { "plan": { "key": "plan/aex.json", "version": "v99", "sha256": "0" } } } });
    let key = "evidence/aex/run-2/2026-11-23T12:00:00Z-Confirm-the-outage-0-x-intent.json";
    world.s3.put(key, gone.to_string().as_bytes());
    let report = world.json(&with(&["--take-from-recovery", "--run-is-over"]));
    let warnings = report["warnings"].to_string();
    assert!(
        warnings.contains("which version of the plan run run-2 (epoch 2) went by is not known"),
        "{warnings}"
    );
}

#[test]
fn a_run_without_a_manifest_may_be_going_on() {
    for cause in [Cause::Alarm, Cause::Operator] {
        let world = World::opened();
        world.claim(2, "run-2", cause, 60);
        refused(
            &world,
            &[],
            3,
            &["run run-2 (epoch 2) of aex has no manifest", "describe-execution", "--run-is-over"],
        );
        // It has sealed nothing, but might still: under epoch 3 its seal will count for nothing.
        let report = world.json(&with(&["--run-is-over"]));
        assert_eq!((&report["handback"], &report["facts"]["run_is_over"]), (&json!("done"), &json!(true)));
        world.assert_primary_holds(3);
        world.seal("ME1", 2, "run-2");
        world.assert_primary_holds(3);
    }
}

#[test]
fn a_fence_without_a_seal_is_handed_back_too() {
    let world = World::opened();
    world.claim(2, "run-2", Cause::Alarm, 86_400);
    world.fence(2);
    world.close("run-2", Outcome::Halted, "no seal was put", None);
    assert_eq!(world.json(&HANDBACK)["handback"], json!("done"));
    world.assert_primary_holds(3);
}

#[test]
fn where_the_pen_was_never_taken_nothing_is_done() {
    let world = World::opened();
    let puts = world.s3.puts();
    assert_eq!(world.json(&HANDBACK)["handback"], json!("done_already"));
    world.claim(2, "run-2", Cause::Alarm, 60);
    world.close("run-2", Outcome::StoodDown, "it came back", None);
    assert_eq!(world.json(&HANDBACK)["handback"], json!("done_already"));
    assert_eq!(world.s3.puts(), puts);
    refused(&World::uploaded(), &[], 3, &["no epoch was ever claimed", "lifeboat init"]);
}

#[test]
fn a_ledger_that_is_not_whole_is_given_to_nobody() {
    let world = World::halted();
    world.s3.put(&slot_path("ME1", 2), b"{\"stream\":\"ME1\",\"seq\":2}\n");
    refused(&world, &[], 1, &["is broken", "stream ME1, sequence 2", "00000000000000000002.ndjson"]);

    let world = World::halted();
    world.s3.refuse_gets_of("log/ME2/", 403);
    refused(&world, &[], 2, &["could not be proven", "stream ME2", "could not be read"]);

    let world = World::halted();
    world.folder.replace("plan.yaml", "[ME1, ME2]", "[ME1, ME2, ME3]");
    let environment = world.s3.environment();
    let upload = ["plan", "upload", "plan.yaml", "--bucket", "control"];
    assert_eq!(world.folder.lifeboat_with(&upload, &environment).code, 0);
    refused(&world, &[], 2, &["stream ME3: no entries at all"]);
}

#[test]
fn records_that_could_not_be_moved_are_found_out_before_anything_is_done() {
    let world = World::halted();
    world.route53.refuse_reads(Some(403));
    refused(&world, &[], 69, &["the traffic of aex could not be moved", "--keep-records"]);
    world.route53.refuse_reads(None);
    world.route53.give_records_a_policy();
    refused(&world, &[], 65, &["has a routing policy", "--keep-records"]);

    let zone: [(&str, &str, &str, &[&str]); 2] = [
        ("gateway.aex.internal", "A", "5", &[RECOVERY]),
        ("_lifeboat-epoch.aex.internal", "TXT", "60", &["\"9/1of1/0123456789abcdef\""]),
    ];
    let world = World { route53: support::route53::Route53::start(&zone), ..World::halted() };
    let puts = world.s3.puts();
    let failure = world.ends(&HANDBACK, 4);
    says(&failure, &["nothing was done", "epoch 9", "lifeboat status --plan aex"]);
    assert_eq!((world.s3.puts(), world.zone_epoch()), (puts, Some(9)));
}

#[test]
fn without_a_yes_and_without_a_terminal_nothing_is_called() {
    let world = World::halted();
    let regions = world.s3.regions();
    let run = world.run(&["handback", "--reason", "x"]);
    assert_eq!(run.code, 64, "{run:?}");
    assert!(run.err.contains("--yes") && run.err.contains("nothing was done"), "{run:?}");
    for wrong in [&["handback", "--yes"][..], &["handback", "--yes", "--reason", ""]] {
        assert_eq!(world.run(wrong).code, 64, "a hand-back has a reason: {wrong:?}");
    }
    assert_eq!(world.s3.regions(), regions);
}

#[test]
fn on_a_terminal_a_person_is_asked_and_told_what_will_be_done() {
    let ask = |world: &World, answer: &str| {
        let run = world.on_a_terminal(&["handback", "--reason", "it is well", "--by", "ops"], answer);
        for text in [
            "This gives the pen of aex back to the primary in eu-west-1:",
            "epoch    3, after 2 (run run-2, Halted)",
            "opens    ME2, which is sealed by run run-2 under epoch 2, at 3",
            "records  1 to the primary's values, in aex.internal",
            "word     ops: it is well",
            "Go on? [y/N] ",
        ] {
            assert!(run.out.contains(text), "{run:?} should say: {text}");
        }
        run
    };
    let world = World::halted();
    let puts = world.s3.puts();
    let declined = ask(&world, "\n");
    assert_eq!(declined.code, 3, "{declined:?}");
    assert!(declined.out.contains("it was not agreed to; nothing was done"), "{declined:?}");
    assert_eq!(world.s3.puts(), puts);
    let agreed = ask(&world, "y\n");
    assert_eq!(agreed.code, 0, "{agreed:?}");
    assert!(agreed.out.contains("the primary of aex in eu-west-1 holds the pen"), "{agreed:?}");
    world.assert_primary_holds(3);
}

#[test]
fn whoever_is_newer_wins() {
    let world = World::halted();
    let other = json!({ "epoch": 3, "run": "run-3", "at": "2026-11-23T12:00:00Z", "cause": "operator" });
    world.s3.put_unlisted(&claim_path(3), other.to_string().as_bytes());
    refused(&world, &[], 4, &["somebody else has claimed epoch 3", "epoch 3 is held by run run-3"]);

    // It comes between the claim and the second stream.
    let world = World::halted();
    let seal =
        world.tail("ME2").control_segment(&lifeboat_ledger::Control::Seal(lifeboat_ledger::control::Seal {
            epoch: 9,
            run: "run-9".to_owned(),
        }));
    world.s3.put_unlisted(&slot_path("ME2", 3), &seal);
    let failure = world.ends(&HANDBACK, 4);
    says(&failure, &["epoch 3 is claimed, and not every stream is open", "epoch 9 holds it"]);
    assert_eq!(world.zone_epoch(), None);
    assert!(!world.s3.keys().iter().any(|key| key.starts_with("evidence/aex/handback-")));
}

/// Runs a hand-back into trouble, then another one that finishes it.
#[track_caller]
fn stopped_then_finished(trouble: impl Fn(&S3, &World), code: i32, texts: &[&str], epoch: u64) {
    let world = World::halted();
    trouble(&world.s3, &world);
    let failure = world.ends(&HANDBACK, code);
    says(&failure, texts);
    let standing = world.json(&["status"]);
    assert_eq!(standing["alarm"]["admitted"], json!(false), "no alarm acts on half a hand-back: {standing}");
    if code == 3 {
        says(&failure, &["until a hand-back has finished, no alarm starts a run"]);
        let warning = standing["warnings"][0].as_str().expect("a warning");
        assert!(warning.contains("was not finished: `lifeboat handback` again"), "{standing}");
    }

    world.s3.mend();
    world.route53.refuse_changes(None);
    let report = world.json(&HANDBACK);
    assert_eq!((&report["handback"], &report["epoch"]), (&json!("done"), &json!(epoch)));
    world.assert_primary_holds(epoch);
    assert_eq!(
        (world.zone_epoch(), world.route53.values(GATEWAY, "A")),
        (Some(epoch), vec![PRIMARY.to_owned()])
    );
    let run = report["run"].as_str().expect("a name");
    assert_eq!(world.manifest(run).outcome, Outcome::HandedBack);
    assert_eq!(world.json(&["status"])["alarm"]["admitted"], json!(true));
    assert_eq!(world.json(&HANDBACK)["handback"], json!("done_already"));
}

#[test]
fn stopped_at_any_point_it_is_finished_by_the_next_one() {
    let epoch_3 = "epoch/aex/00000000000000000003";
    stopped_then_finished(
        |s3, _| s3.refuse_puts_of(epoch_3, 403),
        69,
        &["could not claim epoch 3; nothing was done"],
        3,
    );
    for stream in ["aex-log/fence/", "log/ME1/", "log/ME2/"] {
        stopped_then_finished(
            |s3, _| s3.refuse_puts_of(stream, 403),
            3,
            &["epoch 3 is claimed, and not every stream is open for the primary", stream],
            4,
        );
    }
    stopped_then_finished(
        |_, world| world.route53.refuse_changes(Some(403)),
        3,
        &["the ledger is open for the primary under epoch 3", "the traffic of aex is not moved"],
        4,
    );
    stopped_then_finished(
        |s3, _| s3.refuse_puts_of("manifest.json", 403),
        3,
        &["the manifest is not known to be stored", "evidence/aex/handback-"],
        4,
    );
}

#[test]
fn a_stream_that_appears_after_the_proof_is_not_opened_over() {
    let world = World::halted();
    // Nothing is put before the claim; it appears with that.
    world.s3.put_together_with("epoch/aex/", &slot_path("ME3", 1), b"{}\n");
    let failure = world.ends(&HANDBACK, 3);
    says(
        &failure,
        &[
            "epoch 3 is claimed, and not every stream is open for the primary",
            "stream ME3",
            "it has appeared since",
            "run the same command again",
        ],
    );
    assert!(!world.s3.keys().contains(&fence_path(3)), "nothing is fenced, nothing is opened");
    assert_eq!((world.tail("ME1").next_seq(), world.zone_epoch()), (3, None));
}

#[test]
fn a_manifest_that_is_about_another_epoch_finishes_no_hand_back() {
    let world = World::halted();
    let run = world.json(&HANDBACK)["run"].as_str().expect("a name").to_owned();
    assert_eq!(world.json(&["status"])["epoch"]["outcome"], json!("HandedBack"));
    let mut manifest = world.manifest(&run);
    manifest.facts["epoch"] = json!(2);
    world.s3.put(&manifest_path(&run), &serde_json::to_vec(&manifest).expect("JSON"));
    assert_eq!(world.json(&["status"])["epoch"]["outcome"], Value::Null);
    // So the primary does not count as holding the pen for good: it is handed back once more.
    let again = world.json(&HANDBACK);
    assert_eq!((&again["handback"], &again["epoch"]), (&json!("done"), &json!(4)));
}

#[test]
fn what_is_not_known_to_be_done_is_said_to_be_unknown() {
    stopped_then_finished(
        |s3, _| s3.refuse_puts_of("epoch/aex/00000000000000000003", 503),
        75,
        &["whether epoch 3 is claimed is not known"],
        3,
    );
    stopped_then_finished(
        |_, world| world.route53.refuse_changes(Some(500)),
        3,
        &["whether the traffic of aex is moved is not known"],
        4,
    );
}

#[test]
fn an_answer_that_is_lost_is_read_back() {
    for at in ["epoch/aex/", "aex-log/fence/", "log/ME2/", "manifest.json"] {
        let world = World::halted();
        world.s3.lose_answer_of(at);
        let report = world.json(&HANDBACK);
        assert!(world.s3.has_suffered(), "{at}");
        assert_eq!((&report["handback"], &report["epoch"]), (&json!("done"), &json!(3)), "{at}");
        world.assert_primary_holds(3);
        assert_eq!(world.tail("ME2").next_seq(), 4, "opened once");
        assert_eq!(world.manifest(report["run"].as_str().expect("a name")).outcome, Outcome::HandedBack);
    }
}
