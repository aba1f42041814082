//! `lifeboat replay` against the wire form of S3, and from a folder: what it reads, what it says, and that it stores nothing.
//! The evidence is of a run that the scenario player has played.

mod support;

use std::collections::BTreeMap;

use lifeboat_rules::Outcome;
use serde::Deserialize;
use serde_json::{Value, json};
use support::world::World;
use support::{Folder, says};

const PLAYED: &str = include_str!("../../functions/rules/tests/replay/recovered.json");

#[derive(Deserialize)]
struct Played {
    run: String,
    objects: BTreeMap<String, String>,
}

fn played() -> Played {
    serde_json::from_str(PLAYED).expect("a fixture")
}

/// The plan that the run has left, in YAML, with something changed, beside templates of its names.
fn write_plan(folder: &Folder, change: impl Fn(&mut Value)) {
    let played = played();
    let (_, plan) = played.objects.iter().find(|(key, _)| key.starts_with("left/plan-")).expect("a plan");
    let mut plan: Value = serde_json::from_str(plan).expect("JSON");
    plan["stacks"] = json!([
        { "name": "cluster", "template": "infra/cluster.yaml", "depends_on": [], "parameters": {} },
        { "name": "exchange", "template": "infra/exchange.yaml", "depends_on": ["cluster"], "parameters": { "LogBucket": "l" } },
    ]);
    change(&mut plan);
    // JSON is YAML.
    folder.write("other.yaml", &plan.to_string());
}

fn put(world: &World, run: &str, objects: &BTreeMap<String, String>) {
    for (key, text) in objects {
        world.s3.put(&format!("evidence/aex/{run}/{key}"), text.as_bytes());
    }
}

/// A world with the run's evidence.
fn world() -> World {
    let (world, Played { run, objects }) = (World::opened(), played());
    put(&world, &run, &objects);
    world
}

#[test]
fn a_run_is_decided_again_from_its_evidence() {
    let world = world();
    let run = played().run;
    let puts = world.s3.puts();
    let told = world.json(&["replay"]);
    assert_eq!(
        (&told["ok"], &told["differ"], &told["not_replayable"]),
        (&json!(true), &json!(0), &json!(0)),
        "{told}"
    );
    assert!(told["agree"].as_u64().is_some_and(|agree| agree > 25), "{told}");
    assert_eq!((&told["runs"][0]["run"], &told["runs"][0]["outcome"]), (&json!(run), &json!("Recovered")));
    let first = json!({
        "state": "Admit the run", "attempt": 0, "at": told["runs"][0]["decisions"][0]["at"], "rule": "version_wanted",
        "replay": "agrees",
    });
    assert_eq!(told["runs"][0]["decisions"][0], first);
    assert_eq!(world.s3.puts(), puts, "it only reads");

    let people = world.run(&["replay", &run]);
    assert_eq!((people.code, people.err.as_str()), (0, ""), "{people:?}");
    for text in
        ["1 run: decided again, all comes out as it did", "Confirm the outage", "control_entry ME2", "agrees"]
    {
        assert!(people.out.contains(text), "{} should say: {text}", people.out);
    }
}

#[test]
fn another_plan_tells_which_runs_would_have_ended_otherwise() {
    let world = world();
    write_plan(&world.folder, |_| {});
    assert_eq!(world.run(&["replay", "--as-if", "other.yaml"]).code, 0);
    write_plan(&world.folder, |plan| plan["probe"]["log_still_seconds"] = json!(6));
    let told = world.ends(&["replay", "--as-if", "other.yaml"], 1);
    assert_eq!((&told["ok"], &told["runs_otherwise"]), (&json!(false), &json!(1)), "{told}");
    let decisions = told["runs"][0]["decisions"].as_array().expect("decisions");
    let differs = decisions.iter().find(|one| one["replay"] == "differs").expect("one that differs");
    assert_eq!((&differs["state"], &differs["rule"]), (&json!("Confirm the outage"), &json!("outage")));
    assert_eq!(differs["recorded"]["verdict"], json!("PrimaryDown"));
    assert_eq!(differs["today"]["verdict"], json!("PrimaryUnreachable"));
    assert_eq!(differs["would_have_ended"], json!({ "as": "StoodDown" }));
    let people = world.run(&["replay", "--as-if", "other.yaml"]);
    assert_eq!(people.code, 1);
    for text in [
        "1 run: 1 would have decided otherwise, as if the plan had been",
        "PrimaryUnreachable",
        "ended as StoodDown",
    ] {
        assert!(people.out.contains(text), "{} should say: {text}", people.out);
    }
    // A plan that cannot be used is told as everywhere.
    world.folder.write("other.yaml", "version: 1\n");
    assert_eq!(world.run(&["replay", "--as-if", "other.yaml"]).code, 65);
}

#[test]
fn of_many_runs_those_that_cannot_be_replayed_are_named() {
    let world = world();
    let Played { run, mut objects } = played();
    // A person's act, which leaves a manifest alone, is no run.
    world.close("handback-e3", Outcome::HandedBack, "the primary is repaired", None);
    assert_eq!(world.json(&["replay"])["runs"][1]["by_hand"], json!(true));

    let torn =
        objects.keys().find(|key| key.contains("-Seal-the-ledger-0-") && key.ends_with("outcome.json"));
    let torn = torn.expect("a record").clone();
    objects.get_mut(&torn).expect("it").truncate(100);
    put(&world, "torn", &objects);
    let told = world.ends(&["replay"], 2);
    assert_eq!((&told["runs_not_replayable"], &told["runs_otherwise"]), (&json!(1), &json!(0)), "{told}");
    assert!(told["warnings"].to_string().contains(&format!("torn: {torn} cannot be read")), "{told}");
    let people = world.run(&["replay"]);
    assert!(people.out.contains("3 runs: 1 could not be replayed"), "{}", people.out);

    let told = world.ends(&["replay", "no-such-run", &run], 2);
    assert!(told["warnings"].to_string().contains("no-such-run: there is no record of this run"), "{told}");
    assert_eq!(told["runs"].as_array().map(Vec::len), Some(2));
    assert_eq!(World::opened().ends(&["replay"], 2)["runs"], json!([]));
}

#[test]
fn evidence_that_was_fetched_is_replayed_without_aws() {
    let (folder, Played { run, objects }) = (Folder::new(), played());
    for (key, text) in &objects {
        folder.write(&format!("aex/{run}/{key}"), text);
        folder.write(&format!("aex/twin/{key}"), text);
    }
    let of_plan = folder.lifeboat(&["replay", "aex", "--json"]);
    assert_eq!(of_plan.code, 0, "{of_plan:?}");
    let runs: Vec<Value> =
        of_plan.json()["runs"].as_array().expect("runs").iter().map(|run| run["run"].clone()).collect();
    assert_eq!(runs, [json!(run), json!("twin")]);
    let one = folder.lifeboat(&["replay", &format!("aex/{run}"), "--json"]);
    assert_eq!((one.code, &one.json()["runs"][0]["run"]), (0, &json!(run)), "{one:?}");

    let missing = folder.lifeboat(&["replay", "nowhere", "--json"]);
    assert_eq!(missing.code, 66);
    says(&missing.json(), &["could not read nowhere", "--plan"]);
}

#[test]
fn what_was_typed_has_to_name_something() {
    let folder = Folder::new();
    for wrong in [&["replay"][..], &["replay", "--plan", "aex"], &["replay", "--plan", ""]] {
        assert_eq!(folder.lifeboat(wrong).code, 64, "{wrong:?}");
    }
    let help = folder.lifeboat(&["replay", "--help"]);
    assert_eq!(help.code, 0);
    for text in ["lifeboat replay --plan aex", "--as-if", "1   some come out otherwise"] {
        assert!(help.out.contains(text), "{} should say: {text}", help.out);
    }
}
