//! `lifeboat dns prepare` and `dns check` against the wire forms of S3, Route 53 and CloudWatch. What this does not prove is
//! said in `support`; against the emulator: `tests/tests/dns_prepare.rs`.

mod support;

use std::sync::Arc;

use lifeboat_rules::dns::switch::{FlipObject, key};
use lifeboat_rules::epoch::Cause;
use lifeboat_rules::plan::Side;
use serde_json::{Value, json};
use support::cloudwatch::Alarm;
use support::route53::Half;
use support::says;
use support::world::{GATEWAY, PRIMARY, RECOVERY, World};

const PREPARE: [&str; 3] = ["dns", "prepare", "--yes"];
const UNDO: [&str; 4] = ["dns", "prepare", "--undo", "--yes"];
const CHECK: [&str; 2] = ["dns", "check"];

/// The halves that the gateway is to have.
fn pair() -> Vec<(Half, String)> {
    let half = |identifier: &str, failover: &str, gate: Option<&str>| Half {
        identifier: identifier.to_owned(),
        failover: failover.to_owned(),
        health_check: gate.map(str::to_owned),
    };
    vec![
        (half("lifeboat-primary", "PRIMARY", Some("gate")), PRIMARY.to_owned()),
        (half("lifeboat-recovery", "SECONDARY", None), RECOVERY.to_owned()),
    ]
}

fn flip(world: &World, epoch: u64, side: Side) {
    let flip = FlipObject { epoch, run: format!("run-{epoch}"), side };
    world.s3.put(&format!("control/{}", key("aex", epoch)), &serde_json::to_vec(&flip).expect("JSON"));
}

/// A refusal that has edited nothing.
#[track_caller]
fn refused(world: &World, arguments: &[&str], code: i32, texts: &[&str]) {
    let before = world.route53.changes();
    says(&world.ends(arguments, code), texts);
    assert_eq!(world.route53.changes(), before, "nothing is edited");
}

/// Each finding's kind and place.
fn kinds(report: &Value) -> Vec<(String, String)> {
    let text = |finding: &Value, name: &str| finding[name].as_str().expect("a text").to_owned();
    let findings = report["findings"].as_array().expect("findings");
    findings.iter().map(|finding| (text(finding, "kind"), text(finding, "place"))).collect()
}

#[test]
fn records_become_pairs_once_and_plain_ones_again() {
    let world = World::on_switch();
    let done = world.json(&PREPARE);
    assert_eq!(
        (&done["prepare"], &done["to"], &done["records"], &done["batches"]),
        (&json!("done"), &json!("pairs"), &json!(1), &json!(1))
    );
    assert_eq!(world.route53.halves(GATEWAY), pair());
    assert_eq!(done["edits"][0]["changes"].as_array().expect("changes").len(), 3);
    let again = world.json(&PREPARE);
    assert_eq!(
        (&again["prepare"], &again["as_they_are_to_be"], &again["edits"]),
        (&json!("done_already"), &json!(1), &json!([]))
    );
    assert_eq!(world.route53.changes(), 1);

    let undone = world.json(&UNDO);
    assert_eq!((&undone["prepare"], &undone["to"]), (&json!("done"), &json!("plain")));
    assert!(
        undone["warnings"][0].as_str().expect("a warning").contains("no failover of aex moves these records")
    );
    assert_eq!(
        (world.route53.halves(GATEWAY).len(), world.route53.values(GATEWAY, "A")),
        (0, vec![PRIMARY.to_owned()])
    );
    assert_eq!(world.json(&UNDO)["prepare"], json!("done_already"));
}

#[test]
fn a_plan_of_the_other_strategy_needs_none_and_may_undo_them() {
    let world = World::on_switch();
    world.json(&PREPARE);
    world.folder.replace("plan.yaml", "strategy: switch\n  health_check: gate", "strategy: records");
    world.upload();
    refused(&world, &PREPARE, 65, &["has the strategy records", "strategy: switch", "--undo"]);
    let undone = world.json(&UNDO);
    assert_eq!((&undone["prepare"], undone.get("warnings")), (&json!("done"), None));
    assert_eq!(world.route53.values(GATEWAY, "A"), [PRIMARY]);
}

#[test]
fn while_the_recovery_side_has_the_traffic_nothing_is_edited() {
    let world = World::on_switch();
    flip(&world, 2, Side::Recovery);
    for arguments in [&PREPARE[..], &UNDO[..]] {
        refused(
            &world,
            arguments,
            3,
            &["is on the recovery side since epoch 2 (run run-2)", "lifeboat handback"],
        );
    }
    flip(&world, 3, Side::Primary);
    assert_eq!(world.json(&PREPARE)["prepare"], json!("done"));
}

#[test]
fn a_flip_that_cannot_be_read_is_one_finding_and_nothing_is_edited_on_it() {
    let world = World::on_switch();
    world.json(&PREPARE);
    let object = key("aex", 1);
    world.s3.put(&format!("control/{object}"), b"{ \"epoch\": ");
    let report = world.ends(&CHECK, 3);
    assert_eq!(kinds(&report), [("epoch".to_owned(), object.clone())]);
    let finding = report["findings"][0].to_string();
    assert!(finding.contains("cannot be read") && finding.contains("lifeboat handback"), "{finding}");
    assert_eq!((&report["flip"], &report["unreadable_flip"]["key"]), (&Value::Null, &json!(object)));
    refused(&world, &UNDO, 3, &["cannot be known", &object, "lifeboat handback"]);
    flip(&world, 2, Side::Primary);
    assert_eq!(world.json(&UNDO)["prepare"], json!("done"));
}

#[test]
fn a_gate_that_is_shut_or_not_as_it_should_be_gets_no_pairs() {
    let world = World::on_switch();
    world.cloudwatch.set_alarm(Some(Alarm { state: "ALARM", ..Alarm::default() }));
    refused(&world, &PREPARE, 3, &["the alarm lifeboat-aex-traffic-on-recovery is on"]);
    world.cloudwatch.set_alarm(Some(Alarm { missing_data: "breaching", ..Alarm::default() }));
    refused(&world, &PREPARE, 3, &["the gate of aex is not as it should be", "treatment of missing data"]);
    world.cloudwatch.set_alarm(None);
    refused(&world, &PREPARE, 3, &["there is no such alarm", "foundation.yaml"]);
    // One that has had no data yet is new, and healthy.
    world.cloudwatch.set_alarm(Some(Alarm { state: "INSUFFICIENT_DATA", ..Alarm::default() }));
    assert_eq!(world.json(&PREPARE)["prepare"], json!("done"));

    let world = World::on_switch();
    world.route53.set_health_check("<Type>HTTP</Type>");
    refused(&world, &PREPARE, 3, &["it is of type HTTP", "HealthCheckId"]);
    // An undo asks nothing of the gate.
    assert_eq!(world.json(&UNDO)["prepare"], json!("done_already"));
}

#[test]
fn a_record_that_is_not_the_plans_is_left_alone_and_told() {
    let world = World::on_switch();
    world.add_symbols(3);
    world.route53.edit(GATEWAY, "A", "10.0.0.99");
    let report = world.ends(&PREPARE, 3);
    assert_eq!(
        (&report["ok"], &report["prepare"], &report["as_they_are_to_be"]),
        (&json!(false), &json!("done"), &json!(3))
    );
    assert_eq!(report["left_alone"][0]["name"], json!(GATEWAY));
    assert!(
        report["left_alone"][0]["why"].as_str().expect("why").contains("it answers 10.0.0.99"),
        "{report}"
    );
    assert_eq!(world.route53.values(GATEWAY, "A"), ["10.0.0.99"]);
    assert_eq!(world.route53.halves("s0001.md.aex.internal").len(), 2, "the others are made");
    let shown = world.run(&PREPARE);
    assert_eq!(shown.code, 3);
    for text in [
        "3 of the 4 records of aex are failover pairs; 1 are left alone",
        "mend the record in Route 53 or the plan",
    ] {
        assert!(shown.out.contains(text), "{} should say: {text}", shown.out);
    }

    let world = World::on_switch();
    world.route53.give_records_a_policy();
    let report = world.ends(&PREPARE, 3);
    assert_eq!(
        (world.route53.changes(), report["left_alone"].as_array().expect("left").len()),
        (0, 1),
        "{report}"
    );
}

#[test]
fn stopped_between_two_batches_it_says_how_far_it_came_and_goes_on_from_there() {
    let world = World::on_switch();
    world.add_symbols(700);
    for number in 0..700 {
        world.route53.add(&format!("s{number:04}.md.aex.internal"), "A", "10.0.0.20");
    }
    world.route53.refuse_changes_from(1, Some(403));
    let failure = world.ends(&PREPARE, 69);
    says(&failure, &["333 records are failover pairs (1 batches), the others as they were", "permissions"]);
    let halves = || {
        (0..700).filter(|number| world.route53.halves(&format!("s{number:04}.md.aex.internal")).len() == 2)
    };
    assert_eq!(halves().count() + world.route53.halves(GATEWAY).len() / 2, 333);
    world.route53.refuse_changes(None);
    let done = world.json(&PREPARE);
    assert_eq!(
        (&done["prepare"], &done["batches"], done["edits"].as_array().expect("edits").len()),
        (&json!("done"), &json!(2), 701 - 333)
    );
    assert_eq!(halves().count(), 700);

    // The same of an undo, which ends half-way and is then not gone on with but taken back.
    world.route53.refuse_changes_from(1, Some(403));
    says(&world.ends(&UNDO, 69), &["records are plain records (1 batches)"]);
    world.route53.refuse_changes(None);
    world.json(&PREPARE);
    assert_eq!(halves().count(), 700);
}

#[test]
fn an_answer_that_is_lost_is_read_back() {
    let world = World::on_switch();
    world.route53.lose_answer();
    let report = world.json(&PREPARE);
    assert!(world.route53.has_lost_it());
    assert_eq!(
        (&report["prepare"], &report["batches"], &report["edits"][0]["name"]),
        (&json!("done"), &json!(1), &json!(GATEWAY))
    );
    assert_eq!((world.route53.halves(GATEWAY), world.route53.changes()), (pair(), 1));
}

#[test]
fn a_zone_that_refuses_every_batch_is_given_up() {
    let world = World::on_switch();
    world.route53.contend(GATEWAY);
    let failure = world.ends(&PREPARE, 3);
    says(&failure, &["refused 5 batches for aex.internal in a row; nothing was done", "InvalidChangeBatch"]);
    assert_eq!(world.route53.changes(), 6);
}

#[test]
fn pairs_that_a_zone_has_no_room_for_are_not_begun() {
    let world = World::on_switch();
    world.add_symbols(3);
    // The gateway's record becomes two, and three names get two each.
    world.route53.set_quota(7);
    refused(
        &world,
        &PREPARE,
        3,
        &["7 record sets more are needed, and aex.internal takes 6 more", "higher quota"],
    );
    world.route53.set_quota(8);
    assert_eq!(world.json(&PREPARE)["prepare"], json!("done"));
}

#[test]
fn who_prepares_makes_way_for_who_acts() {
    let world = Arc::new(World::on_switch());
    // The gate is looked at after the epochs were read, and before the first batch.
    let at_that_moment = Arc::clone(&world);
    world.cloudwatch.at_each_call(move || at_that_moment.claim(2, "run-2", Cause::Alarm, 0));
    refused(
        &world,
        &PREPARE,
        4,
        &["epoch 2 was claimed, or a flip put", "nothing was done", "lifeboat status --plan aex"],
    );
}

#[test]
fn without_a_yes_and_without_a_terminal_nothing_is_called() {
    let world = World::on_switch();
    let calls = (world.route53.calls(), world.cloudwatch.calls());
    let run = world.run(&["dns", "prepare"]);
    assert_eq!(run.code, 64, "{run:?}");
    assert!(run.err.contains("--yes") && run.err.contains("nothing was done"), "{run:?}");
    assert_eq!((world.route53.calls(), world.cloudwatch.calls()), calls);
}

#[test]
fn on_a_terminal_a_person_is_shown_the_difference_and_asked() {
    let world = World::on_switch();
    let declined = world.on_a_terminal(&["dns", "prepare"], "\n");
    assert_eq!((declined.code, world.route53.changes()), (3, 0), "{declined:?}");
    for text in [
        "This makes failover pairs of 1 of the 1 records of aex in aex.internal, in 1 batches:",
        "  gateway.aex.internal A",
        "    - 5 s: 10.0.0.10",
        "    + 5 s, lifeboat-primary, gated by gate: 10.0.0.10",
        "    + 5 s, lifeboat-recovery: 10.1.0.10",
        "No name changes its answer. Go on? [y/N] ",
        "it was not agreed to; nothing was done",
    ] {
        assert!(declined.out.contains(text), "{declined:?} should say: {text}");
    }
    assert_eq!(world.on_a_terminal(&["dns", "prepare"], "y\n").code, 0);
    assert_eq!(world.route53.halves(GATEWAY), pair());
}

#[test]
fn names_that_get_an_answer_are_named_before_and_after() {
    let world = World::on_switch();
    world.add_symbols(2);
    let asked = world.on_a_terminal(&["dns", "prepare"], "\n");
    for text in [
        "2 of them have no record for the primary side now, and get one, which changes what they answer:",
        "s0000.md.aex.internal A, s0001.md.aex.internal A. No other name changes its answer. Go on? [y/N] ",
    ] {
        assert!(asked.out.contains(text), "{asked:?} should say: {text}");
    }
    let done = world.json(&PREPARE);
    let new = json!(["s0000.md.aex.internal A", "s0001.md.aex.internal A"]);
    assert_eq!((&done["new_answers"], done["edits"].as_array().expect("edits").len()), (&new, 3));
    assert_eq!(world.json(&UNDO)["new_answers"], json!([]));
}

#[test]
fn values_that_route_53_spells_otherwise_are_deleted_to_the_letter() {
    let world = World::on_switch();
    let gateway =
        "{ name: gateway.aex.internal, type: A, ttl: 5, primary: [10.0.0.10], recovery: [10.1.0.10] }";
    let more = "\n    - { name: md.aex.internal, type: CNAME, ttl: 5, primary: [a.example.com], recovery: [b.example.com] }\
                \n    - { name: v6.aex.internal, type: AAAA, ttl: 5, primary: [\"2001:db8::a\"], recovery: [\"2001:db8::b\"] }";
    world.folder.replace("plan.yaml", gateway, &format!("{gateway}{more}"));
    world.upload();
    world.route53.add("md.aex.internal", "CNAME", "A.Example.COM.");
    world.route53.add("v6.aex.internal", "AAAA", "2001:0DB8:0:0:0:0:0:000A");
    let done = world.json(&PREPARE);
    assert_eq!((&done["prepare"], &done["new_answers"]), (&json!("done"), &json!([])));
    for name in ["md.aex.internal", "v6.aex.internal"] {
        assert_eq!(world.route53.halves(name).len(), 2, "{name}");
    }
}

#[test]
fn a_sound_zone_passes_the_check_and_nothing_is_edited() {
    let world = World::on_switch();
    assert_eq!(kinds(&world.ends(&CHECK, 3)), [("not_prepared".to_owned(), format!("{GATEWAY} A"))]);
    world.json(&PREPARE);
    let changes = world.route53.changes();
    let report = world.json(&[&CHECK[..], &["--vpc", "vpc-1"]].concat());
    assert_eq!((&report["findings"], &report["strategy"]), (&json!([]), &json!("switch")));
    let shown = world.run(&CHECK);
    assert_eq!(shown.code, 0, "{shown:?}");
    for text in
        ["the records of aex are ready for a flip", "1 of the plan, among 2 sets of aex.internal", "vpc-1"]
    {
        assert!(shown.out.contains(text), "{} should say: {text}", shown.out);
    }
    assert_eq!(world.route53.changes(), changes);
}

#[test]
fn each_planted_fault_is_found() {
    let sound = || {
        let world = World::on_switch();
        world.json(&PREPARE);
        world
    };
    let alarm = |alarm: Alarm| move |world: &World| world.cloudwatch.set_alarm(Some(alarm.clone()));
    type Plant = Box<dyn Fn(&World)>;
    let faults: [(Plant, &str, &str); 9] = [
        (
            Box::new(|world| world.route53.add("old.aex.internal", "A", PRIMARY)),
            "outside_the_plan",
            "old.aex.internal A",
        ),
        (Box::new(|world| world.route53.edit(GATEWAY, "A", "10.0.0.99")), "values", "gateway.aex.internal A"),
        (Box::new(|world| world.route53.is_public()), "zone", "zone Z0123456789"),
        (
            Box::new(|world| {
                world.route53.set_health_check(&world.health_check("<Disabled>true</Disabled>"))
            }),
            "health_check",
            "health check gate",
        ),
        (
            Box::new(|world| {
                world.route53.set_health_check(&world.health_check("<Inverted>true</Inverted>"))
            }),
            "health_check",
            "health check gate",
        ),
        (
            Box::new(alarm(Alarm { statistic: "Average", ..Alarm::default() })),
            "alarm",
            "lifeboat-aex-traffic-on-recovery",
        ),
        (
            Box::new(alarm(Alarm { state: "ALARM", ..Alarm::default() })),
            "alarm",
            "lifeboat-aex-traffic-on-recovery",
        ),
        (Box::new(|world| world.cloudwatch.set_alarm(None)), "alarm", "lifeboat-aex-traffic-on-recovery"),
        (Box::new(|world| flip(world, 7, Side::Primary)), "epoch", "flip/aex/00000000000000000007"),
    ];
    for (plant, kind, place) in faults {
        let world = sound();
        plant(&world);
        assert_eq!(kinds(&world.ends(&CHECK, 3)), [(kind.to_owned(), place.to_owned())]);
    }
    let world = sound();
    let report = world.ends(&[&CHECK[..], &["--vpc", "vpc-9"]].concat(), 3);
    assert_eq!(kinds(&report), [("network".to_owned(), "vpc-9".to_owned())]);
    assert!(report["findings"][0]["next"].as_str().expect("next").contains("associate-vpc-with-hosted-zone"));
}

#[test]
fn a_check_of_plain_records_asks_for_no_gate() {
    let world = World::opened();
    let report = world.json(&CHECK);
    assert_eq!((&report["strategy"], &report["findings"]), (&json!("records"), &json!([])));
    assert_eq!(world.cloudwatch.calls(), 0);
    world.route53.edit(GATEWAY, "A", "10.0.0.99");
    assert_eq!(kinds(&world.ends(&CHECK, 3)), [("values".to_owned(), format!("{GATEWAY} A"))]);
}

#[test]
fn many_findings_of_a_kind_are_counted_for_a_person_and_told_in_json() {
    let world = World::on_switch();
    world.add_symbols(30);
    world.route53.add("old.aex.internal", "A", PRIMARY);
    let report = world.ends(&CHECK, 3);
    assert_eq!(kinds(&report).iter().filter(|(kind, _)| kind == "missing").count(), 30);
    let shown = world.run(&CHECK);
    assert_eq!(shown.out.matches("it is not in the zone").count(), 10, "{}", shown.out);
    for text in [
        "32 things about the records of aex",
        "20 more of the kind \"missing\"; --json tells of all",
        "old.aex.internal A",
    ] {
        assert!(shown.out.contains(text), "{} should say: {text}", shown.out);
    }
}

#[test]
fn what_cannot_be_read_is_told_with_what_to_do() {
    let world = World::on_switch();
    world.route53.refuse_reads(Some(403));
    says(&world.ends(&CHECK, 69), &["could not read the hosted zone Z0123456789", "permission"]);
    refused(&world, &PREPARE, 69, &["could not read the health check gate", "permission"]);
}
