//! `lifeboat acknowledge` and `lifeboat maintenance` against the wire form of S3: what they say, once.

mod support;

use lifeboat_rules::epoch::Cause;
use lifeboat_rules::{Outcome, word};
use serde_json::{Value, json};
use support::world::World;

const ACKNOWLEDGE: [&str; 5] = ["acknowledge", "--reason", "the rack is replaced", "--by", "ops"];
const BEGIN: [&str; 6] = ["maintenance", "begin", "--reason", "moving the rack", "--by", "ops"];
const END: [&str; 6] = ["maintenance", "end", "--reason", "the rack is moved", "--by", "duty"];

fn word(world: &World, number: u64) -> Value {
    serde_json::from_slice(&world.s3.object(&format!("control/{}", word::key("aex", number)))).expect("JSON")
}

fn words(world: &World) -> usize {
    world.s3.keys().iter().filter(|key| key.starts_with("control/word/")).count()
}

#[test]
fn maintenance_is_begun_once_and_ended_once() {
    let world = World::opened();
    let never = world.json(&END);
    assert_eq!(never["maintenance"], json!({ "on": false, "change": "done_already", "since": null }));

    let begun = world.json(&BEGIN);
    assert_eq!(
        (&begun["maintenance"]["on"], &begun["maintenance"]["change"]),
        (&json!(true), &json!("done"))
    );
    let first = word(&world, 1);
    assert_eq!(
        (&first["says"], &first["by"], &first["reason"]),
        (&json!("maintenance_begin"), &json!("ops"), &json!("moving the rack"))
    );
    assert_eq!(begun["maintenance"]["since"], first);
    let refused = world.json(&["status"])["alarm"]["reason"].as_str().expect("a reason").to_owned();
    assert!(refused.contains("ops: moving the rack"), "{refused}");

    let again = world.json(&["maintenance", "begin", "--reason", "again", "--by", "another"]);
    assert_eq!(again["maintenance"], json!({ "on": true, "change": "done_already", "since": first }));
    let again = world.run(&BEGIN);
    assert!(
        again.out.starts_with("aex is in maintenance already; nothing was said\n  since   20"),
        "{again:?}"
    );
    assert!(again.out.contains("  by      ops\n  reason  moving the rack\n"), "{again:?}");
    assert_eq!(words(&world), 1);

    let ended = world.json(&END);
    assert_eq!(
        (&ended["maintenance"]["on"], &ended["maintenance"]["change"]),
        (&json!(false), &json!("done"))
    );
    assert_eq!(world.json(&["status"])["alarm"]["admitted"], json!(true));
    let again = world.json(&END);
    assert_eq!(
        again["maintenance"],
        json!({ "on": false, "change": "done_already", "since": word(&world, 2) })
    );
    assert_eq!(words(&world), 2);

    assert_eq!(world.json(&BEGIN)["maintenance"]["change"], json!("done"), "it can be begun anew");
}

#[test]
fn an_acknowledgement_names_what_it_covers_and_lets_the_next_alarm_act() {
    let world = World::halted();
    // A failover of a quarter of an hour ago, handed back since.
    world.claim(2, "run-2", Cause::Alarm, 900);
    world.claim(3, "back-3", Cause::HandBack, 600);
    world.close("back-3", Outcome::HandedBack, "", None);
    let refused = world.json(&["status"])["alarm"]["reason"].as_str().expect("a reason").to_owned();
    assert!(
        refused.contains("run run-2 (epoch 2) failed over at") && refused.contains("acknowledge"),
        "{refused}"
    );

    let report = world.json(&ACKNOWLEDGE);
    assert_eq!((&report["acknowledge"], &report["epoch"]), (&json!("done"), &json!(3)));
    assert_eq!(report["covers"].as_array().map(Vec::len), Some(1), "{report}");
    assert_eq!(
        (&report["covers"][0]["run"], &report["covers"][0]["outcome"]),
        (&json!("run-2"), &json!("Halted"))
    );
    assert_eq!(word(&world, 1)["says"], json!({ "acknowledge": { "epoch": 3 } }));
    assert_eq!(report["word"], word(&world, 1));
    assert_eq!(world.json(&["status"])["alarm"]["admitted"], json!(true));

    let again = world.json(&["acknowledge", "--reason", "again", "--by", "another"]);
    assert_eq!((&again["acknowledge"], &again["word"]), (&json!("done_already"), &word(&world, 1)));
    assert_eq!(words(&world), 1);

    // What is acknowledged is not covered a second time.
    world.claim(4, "run-4", Cause::Alarm, 60);
    world.close("run-4", Outcome::Recovered, "", None);
    let next = world.run(&ACKNOWLEDGE);
    assert!(next.out.contains("through epoch 4 are acknowledged\n"), "{next:?}");
    assert!(next.out.contains("covers  run run-4 (epoch 4, 20") && !next.out.contains("run-2"), "{next:?}");
}

#[test]
fn what_is_no_automatic_failover_in_the_window_is_not_covered() {
    let world = World::halted();
    world.claim(3, "run-3", Cause::Operator, 60);
    world.close("run-3", Outcome::Halted, "", None);
    world.claim(4, "run-4", Cause::Alarm, 30);
    world.close("run-4", Outcome::StoodDown, "", None);
    let report = world.json(&ACKNOWLEDGE);
    assert_eq!((&report["epoch"], &report["covers"]), (&json!(4), &json!([])));

    let failure = World::uploaded().ends(&ACKNOWLEDGE, 3);
    assert!(failure["error"].to_string().contains("lifeboat init"), "{failure}");
}

#[test]
fn a_word_that_could_not_be_stored_was_not_said() {
    for (arguments, says) in [
        (&BEGIN[..], "could not begin the maintenance of aex"),
        (&ACKNOWLEDGE[..], "could not acknowledge the failovers of aex through epoch 1"),
    ] {
        let world = World::opened();
        world.s3.refuse_puts_of("control/word/", 403);
        let failure = world.ends(arguments, 69);
        assert!(failure["error"]["what"].as_str().expect("what").contains(says), "{failure}");
        assert_eq!(words(&world), 0);
        world.s3.mend();
        world.s3.refuse_gets_of("control/plan/", 403);
        assert_eq!(world.ends(arguments, 69)["ok"], json!(false));
    }
    let world = World::opened();
    for nameless in [["acknowledge", "--by", "ops"], ["maintenance", "begin", "--yes"]] {
        assert_eq!(world.run(&nameless).code, 64, "a word has a reason: {nameless:?}");
    }
}

#[test]
fn who_is_not_said_is_the_login_name() {
    let world = World::opened();
    world.json(&BEGIN[..4]);
    let by = word(&world, 1)["by"].as_str().expect("a name").to_owned();
    let id = std::process::Command::new("id").arg("-un").output().expect("id runs");
    assert_eq!(by, String::from_utf8(id.stdout).expect("UTF-8").trim());
}
