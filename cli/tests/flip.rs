//! `lifeboat flip` against the wire forms of S3 and Route 53, and a health endpoint: what it does, what it refuses, and that
//! one which was stopped is finished by the next one. What these do not prove: that a resolver answers with what the zone
//! holds, and that an exchange which says that it serves does.

mod support;

use std::sync::{Arc, Mutex};

use lifeboat_ledger::Holder;
use lifeboat_rules::Outcome;
use lifeboat_rules::epoch::Cause;
use serde_json::{Value, json};
use support::http;
use support::route53::Route53;
use support::says;
use support::world::{FENCE, GATEWAY, PRIMARY, RECOVERY, World, claim_path, manifest_path, slot_path};

const FLIP: [&str; 6] =
    ["flip", "--reason", "it serves, only the records are missing", "--by", "ops", "--yes"];

fn with<'a>(flags: &[&'a str]) -> Vec<&'a str> {
    [&FLIP[..], flags].concat()
}

/// The recovery side's health endpoint.
struct Recovery {
    url: String,
    says: Arc<Mutex<Value>>,
}

impl Recovery {
    /// It serves under epoch 2, and has applied all that [`stopped`] has in the ledger.
    fn start() -> Self {
        let serving =
            json!({ "mode": "serving", "epoch": 2, "streams": { "ME1": { "seq": 4 }, "ME2": { "seq": 3 } } });
        let says = Arc::new(Mutex::new(serving));
        let shared = Arc::clone(&says);
        let endpoint = http::serve(move |_| {
            let body = shared.lock().expect("no panic in the server").to_string();
            (200, "content-type: application/json\r\n".to_owned(), body.into_bytes())
        });
        Self { url: format!("{endpoint}/health"), says }
    }

    fn says(&self, field: &str, value: Value) {
        let mut says = self.says.lock().expect("no panic in the server");
        *says.pointer_mut(field).expect("a field of it") = value;
    }
}

/// A plan whose recovery side is probed at `health`, with its ledger open for the primary.
fn opened(health: &str) -> World {
    let world = World::opened();
    world.folder.replace("plan.yaml", "http://10.1.0.10:8080/health", health);
    let upload = ["plan", "upload", "plan.yaml", "--bucket", "control"];
    let uploaded = world.folder.lifeboat_with(&upload, &world.environment());
    assert_eq!(uploaded.code, 0, "{uploaded:?}");
    world
}

/// A run of epoch 2 has opened the recovery side, which writes: ME1 ends at 4, ME2 at 3. The run has no manifest.
fn unclosed(recovery: &Recovery) -> World {
    let world = opened(&recovery.url);
    world.claim(2, "run-2", Cause::Alarm, 86_400);
    world.fence(2);
    for stream in ["ME1", "ME2"] {
        world.seal(stream, 2, "run-2");
        world.open(stream, 2, Holder::Recovery, "run-2");
    }
    world.write("ME1", 2);
    world
}

/// The same run, which has halted because the records could not be moved.
fn stopped(recovery: &Recovery) -> World {
    let world = unclosed(recovery);
    world.close("run-2", Outcome::Halted, "Route 53 did not answer", None);
    world
}

/// A flip that is refused with nothing done.
#[track_caller]
fn refused(world: &World, flags: &[&str], code: i32, texts: &[&str]) {
    let before = (world.s3.puts(), world.s3.keys(), world.route53.values(GATEWAY, "A"), world.zone_epoch());
    let failure = world.ends(&with(flags), code);
    says(&failure, texts);
    says(&failure, &["nothing was done"]);
    let after = (world.s3.puts(), world.s3.keys(), world.route53.values(GATEWAY, "A"), world.zone_epoch());
    assert_eq!(after, before);
}

#[track_caller]
fn assert_moved(world: &World) {
    assert_eq!(
        (world.route53.values(GATEWAY, "A"), world.zone_epoch()),
        (vec![RECOVERY.to_owned()], Some(2))
    );
}

/// Nothing is left to do, and nothing is done.
#[track_caller]
fn assert_done_already(world: &World) {
    let puts = world.s3.puts();
    let again = world.json(&FLIP);
    assert_eq!(
        (&again["flip"], &again["epoch"], &again["finishes"]),
        (&json!("done_already"), &json!(2), &json!("run-2"))
    );
    assert_eq!(world.s3.puts(), puts, "nothing is stored");
    assert_moved(world);
}

#[test]
fn a_run_that_has_opened_the_recovery_side_is_finished_under_its_own_epoch() {
    let recovery = Recovery::start();
    let world = stopped(&recovery);
    let before = world.puts().len();
    let report = world.json(&FLIP);
    let run = report["run"].as_str().expect("a name").to_owned();
    assert_eq!(run, "flip-e2", "whoever asks how epoch 2 has ended looks under this name");
    assert_eq!(
        (&report["flip"], &report["epoch"], &report["finishes"]),
        (&json!("done"), &json!(2), &json!("run-2"))
    );
    assert_moved(&world);

    assert_eq!(world.puts()[before..], [manifest_path(&run)], "nothing is claimed, nothing is opened");
    let manifest = world.manifest(&run);
    assert_eq!((manifest.outcome, manifest.admitted.is_none()), (Outcome::Recovered, true));
    assert_eq!(manifest.reason, "it serves, only the records are missing");
    assert_eq!((manifest.facts["by"].as_str(), manifest.facts["epoch"].as_u64()), (Some("ops"), Some(2)));
    assert_eq!(manifest.facts["health"]["streams"]["ME1"]["seq"], json!(4));
    let changes = &manifest.facts["traffic"]["changes"];
    assert_eq!(
        changes.as_array().map(Vec::len),
        Some(3),
        "the fence, and one record deleted and created: {changes}"
    );
    assert_eq!(manifest.facts, report["facts"]);
    let stored = lifeboat_rules::evidence::sha256(&world.s3.object(&manifest_path(&run)));
    assert_eq!(report["manifest"]["sha256"], json!(stored));

    assert_done_already(&world);
    let again = world.run(&FLIP);
    let headline = "the traffic of aex is moved to the recovery side already; nothing was done\n";
    assert!(again.out.starts_with(headline), "{again:?}");
}

#[test]
fn a_person_reads_what_was_done() {
    let recovery = Recovery::start();
    let run = stopped(&recovery).run(&FLIP);
    assert_eq!((run.code, run.err.as_str()), (0, ""), "{run:?}");
    for text in [
        "the traffic of aex is moved to the recovery side in eu-central-1\n",
        "epoch     2, of run run-2\n",
        "records   1 of 1 changed, in one batch\n",
        "manifest  aex/flip-e2/manifest.json\n",
        "see that gateway.aex.internal answers",
    ] {
        assert!(run.out.contains(text), "{} should say: {text}", run.out);
    }
}

#[test]
fn a_run_that_recovered_has_left_nothing_to_do() {
    let recovery = Recovery::start();
    let world = stopped(&recovery);
    assert_eq!(world.json(&FLIP)["flip"], json!("done"));
    let zone = Route53::start(&[
        (GATEWAY, "A", "5", &[RECOVERY]),
        (FENCE, "TXT", "60", &[&world.route53.values(FENCE, "TXT")[0]]),
    ]);
    let world = World { route53: zone, ..unclosed(&recovery) };
    world.close("run-2", Outcome::Recovered, "", None);
    assert_done_already(&world);
}

#[test]
fn an_epoch_that_is_no_runs_is_refused() {
    let recovery = Recovery::start();
    let world = opened(&recovery.url);
    let primary = ["the primary of aex holds the pen: there is no run to finish", "start a run by hand"];
    refused(&world, &[], 3, &primary);
    world.claim(2, "handback-x", Cause::HandBack, 60);
    refused(&world, &["--run-is-over"], 3, &primary);

    // Opened for the recovery side by nobody knows whom, and by what was not a run.
    let world = opened(&recovery.url);
    let no_run = ["holds the pen under epoch 2, which no run has claimed", "handback --take-from-recovery"];
    for stream in ["ME1", "ME2"] {
        world.open(stream, 2, Holder::Recovery, "somebody");
    }
    refused(&world, &[], 3, &no_run);
    world.claim(2, "handback-x", Cause::HandBack, 60);
    refused(&world, &["--run-is-over"], 3, &no_run);
    assert_eq!(world.route53.calls(), 0);
    refused(&World::uploaded(), &[], 3, &["no epoch was ever claimed", "lifeboat init"]);
}

#[test]
fn a_run_without_a_manifest_may_be_going_on() {
    let recovery = Recovery::start();
    let world = unclosed(&recovery);
    refused(
        &world,
        &[],
        3,
        &["run run-2 (epoch 2) of aex has no manifest", "describe-execution", "--run-is-over"],
    );
    let report = world.json(&with(&["--run-is-over"]));
    assert_eq!((&report["flip"], &report["facts"]["run_is_over"]), (&json!("done"), &json!(true)));
    assert_moved(&world);
}

#[test]
fn a_ledger_that_is_not_whole_gets_no_traffic() {
    let recovery = Recovery::start();
    let world = stopped(&recovery);
    world.s3.put(&slot_path("ME1", 2), b"{\"stream\":\"ME1\",\"seq\":2}\n");
    refused(&world, &[], 1, &["is broken", "stream ME1, sequence 2"]);

    let world = stopped(&recovery);
    world.s3.refuse_gets_of("log/ME2/", 403);
    refused(&world, &[], 2, &["could not be proven", "stream ME2", "could not be read"]);
}

#[test]
fn a_side_that_does_not_hold_every_stream_under_this_epoch_gets_no_traffic() {
    let recovery = Recovery::start();
    refused(
        &World::halted(),
        &[],
        3,
        &[
            "does not hold every stream under one epoch: ME1 is sealed by run run-2 under epoch 2, ME2 is sealed",
            "`lifeboat handback`",
            "start a new run by hand",
        ],
    );

    let world = opened(&recovery.url);
    world.claim(2, "run-2", Cause::Operator, 60);
    world.seal("ME1", 2, "run-2");
    world.open("ME1", 2, Holder::Recovery, "run-2");
    world.close("run-2", Outcome::Halted, "half of it", None);
    refused(
        &world,
        &[],
        3,
        &["ME2 is open for the primary under epoch 1", "`lifeboat handback --take-from-recovery`"],
    );

    // A hand-back that has come half-way, and somebody who has opened one stream alone.
    for holder in [Holder::Primary, Holder::Recovery] {
        let world = stopped(&recovery);
        world.claim(3, "handback-x", Cause::HandBack, 60);
        world.open("ME1", 3, holder, "handback-x");
        let me1 = format!("ME1 is open for the {holder} under epoch 3");
        refused(&world, &[], 3, &[&me1, "ME2 is open for the recovery under epoch 2"]);
    }
}

#[test]
fn newer_epochs_that_came_to_nothing_are_in_nobodys_way() {
    let recovery = Recovery::start();
    let world = stopped(&recovery);
    world.claim(3, "run-3", Cause::Operator, 60);
    world.close("run-3", Outcome::StoodDown, "the log advances", None);
    world.claim(4, "handback-x", Cause::HandBack, 30);
    let asked = world.on_a_terminal(&["flip", "--reason", "it serves", "--by", "ops"], "\n");
    for text in [
        "epoch    2, of run run-2 (Halted)",
        "newer    4, of handback-x (no manifest), holds no stream",
        "newer    3, of run-3 (StoodDown), holds no stream",
    ] {
        assert!(asked.out.contains(text), "{asked:?} should say: {text}");
    }
    let report = world.json(&FLIP);
    assert_eq!(
        (&report["flip"], &report["epoch"], &report["finishes"], &report["run"]),
        (&json!("done"), &json!(2), &json!("run-2"), &json!("flip-e2"))
    );
    assert_eq!(report["facts"]["newer"][1]["run"], json!("run-3"));
    assert_done_already(&world);

    // The run of that epoch counts as one that has recovered, so that nobody fails over from the side that serves.
    let status = world.json(&["status"]);
    let holder = status["holders"].as_array().expect("holders").iter().find(|holder| holder["epoch"] == 2);
    assert_eq!(holder.expect("a holder of epoch 2")["outcome"], json!("Recovered"));
    for start in ["alarm", "by_hand"] {
        let reason = status[start]["reason"].as_str().expect("a reason");
        assert!(reason.contains("the recovery side holds the pen since run run-2 (epoch 2)"), "{status}");
    }
    let listed = status["runs"]["list"].as_array().expect("runs").iter().find(|run| run["run"] == "flip-e2");
    let listed = listed.expect("the flip is listed");
    assert_eq!(
        (&listed["started_by"], &listed["outcome"]),
        (&json!({ "kind": "flip", "by": "ops" }), &json!("Recovered"))
    );
    let people = world.run(&["status"]).out;
    let row = people.lines().find(|line| line.contains("flip-e2")).expect("a row");
    assert!(row.contains("  ops  ") && row.contains("it serves, only the records are missing"), "{row}");
}

#[test]
fn a_newer_run_that_may_be_going_on_refuses_it() {
    let recovery = Recovery::start();
    let world = stopped(&recovery);
    world.claim(3, "run-3", Cause::Operator, 60);
    let open = ["run run-3 (epoch 3) of aex has no manifest", "--run-is-over"];
    refused(&world, &[], 3, &open);
    // It is not forgotten behind a newer one that has ended.
    world.claim(4, "run-4", Cause::Operator, 30);
    world.close("run-4", Outcome::StoodDown, "the log advances", None);
    refused(&world, &[], 3, &open);
    // A manifest of that name which is about another epoch says nothing about this one.
    let manifest = json!({ "outcome": "Halted", "admitted": { "admitted_epoch": 8 }, "facts": {} });
    world.s3.put(&manifest_path("run-3"), manifest.to_string().as_bytes());
    refused(&world, &[], 3, &open);
    assert_eq!(world.json(&with(&["--run-is-over"]))["flip"], json!("done"));
    assert_moved(&world);
}

#[test]
fn a_recovery_side_that_was_fenced_since_gets_no_traffic() {
    let recovery = Recovery::start();
    let world = stopped(&recovery);
    world.claim(3, "handback-x", Cause::HandBack, 60);
    world.fence(3);
    let fenced = [
        "epoch 3 has fenced the recovery side of aex, which writes nothing more under epoch 2",
        "start a new run by hand",
        "`lifeboat handback --take-from-recovery`",
    ];
    refused(&world, &["--run-is-over"], 3, &fenced);

    // Nor is it said to be well where the records were moved before.
    let world = stopped(&recovery);
    world.json(&FLIP);
    world.fence(3);
    refused(&world, &[], 3, &fenced);
}

#[test]
fn a_recovery_side_that_does_not_serve_all_of_it_under_this_epoch_gets_no_traffic() {
    let recovery = Recovery::start();
    let world = stopped(&recovery);
    for (field, wrong, right, text) in [
        ("/mode", json!("replaying"), json!("serving"), "says `replaying`"),
        ("/epoch", json!(1), json!(2), "serves under epoch Some(1)"),
        ("/streams/ME1/seq", json!(3), json!(4), "stream ME1: applied through 3"),
    ] {
        recovery.says(field, wrong);
        refused(
            &world,
            &[],
            3,
            &["the recovery side of aex is not seen to serve under epoch 2", text, &recovery.url],
        );
        recovery.says(field, right);
    }
    assert_eq!(world.json(&FLIP)["flip"], json!("done"));

    // Port 9 of the loopback is nobody's here.
    let nobody = Recovery { url: "http://127.0.0.1:9/health".to_owned(), ..recovery };
    refused(&stopped(&nobody), &[], 3, &["not seen to serve", "http://127.0.0.1:9/health"]);
}

#[test]
fn a_newer_fence_refuses_it() {
    let recovery = Recovery::start();
    let fence: [(&str, &str, &str, &[&str]); 2] =
        [(GATEWAY, "A", "5", &[PRIMARY]), (FENCE, "TXT", "60", &["\"3/1of1/0123456789abcdef\""])];
    let world = World { route53: Route53::start(&fence), ..stopped(&recovery) };
    refused(&world, &[], 4, &["epoch 3", "lifeboat status --plan aex"]);
    assert_eq!(world.zone_epoch(), Some(3));
}

#[test]
fn a_record_that_was_changed_after_the_flip_is_told_and_left_alone() {
    let recovery = Recovery::start();
    let world = stopped(&recovery);
    world.json(&FLIP);
    world.route53.edit(GATEWAY, "A", PRIMARY);
    refused(&world, &[], 3, &["somebody has changed gateway.aex.internal A since", "lifeboat handback"]);
}

#[test]
fn an_epoch_that_is_claimed_while_the_person_thinks_refuses_it() {
    let recovery = Recovery::start();
    let world = Arc::new(stopped(&recovery));
    // The recovery side is asked after the epochs were read, and before the records are moved.
    let (endpoint, at_that_moment) = (recovery.says, Arc::clone(&world));
    let url = http::serve(move |_| {
        at_that_moment.claim(3, "handback-x", Cause::HandBack, 0);
        let body = endpoint.lock().expect("no panic in the server").to_string();
        (200, String::new(), body.into_bytes())
    });
    world.folder.replace("plan.yaml", &recovery.url, &url);
    let upload = ["plan", "upload", "plan.yaml", "--bucket", "control"];
    assert_eq!(world.folder.lifeboat_with(&upload, &world.environment()).code, 0);
    let failure = world.ends(&FLIP, 4);
    says(&failure, &["somebody else has begun to act meanwhile; nothing was done", "epoch 3 is claimed"]);
    assert_eq!(world.zone_epoch(), None);
    assert!(world.s3.keys().contains(&claim_path(3)));
}

#[test]
fn without_a_yes_and_without_a_terminal_nothing_is_called() {
    let recovery = Recovery::start();
    let world = stopped(&recovery);
    let regions = world.s3.regions();
    let run = world.run(&["flip", "--reason", "x"]);
    assert_eq!(run.code, 64, "{run:?}");
    assert!(run.err.contains("--yes") && run.err.contains("nothing was done"), "{run:?}");
    assert_eq!(world.run(&["flip", "--yes"]).code, 64, "a flip has a reason");
    assert_eq!((world.s3.regions(), world.route53.calls()), (regions, 0));
}

#[test]
fn on_a_terminal_a_person_is_asked_and_told_what_will_be_done() {
    let recovery = Recovery::start();
    let world = stopped(&recovery);
    let ask = |answer: &str| {
        let run = world.on_a_terminal(&["flip", "--reason", "it serves", "--by", "ops"], answer);
        for text in [
            "This moves the traffic of aex to the recovery side in eu-central-1:",
            "epoch    2, of run run-2 (Halted)",
            &format!("serves   {}", recovery.url),
            "records  1 to the recovery side's values, in aex.internal",
            "word     ops: it serves",
            "Go on? [y/N] ",
        ] {
            assert!(run.out.contains(text), "{run:?} should say: {text}");
        }
        run
    };
    let declined = ask("\n");
    assert_eq!((declined.code, world.zone_epoch()), (3, None), "{declined:?}");
    assert!(declined.out.contains("it was not agreed to; nothing was done"), "{declined:?}");
    assert_eq!(ask("y\n").code, 0);
    assert_moved(&world);
}

#[test]
fn a_dns_answer_that_is_lost_is_read_back() {
    let recovery = Recovery::start();
    let world = stopped(&recovery);
    world.route53.lose_answer();
    let report = world.json(&FLIP);
    assert!(world.route53.has_lost_it());
    assert_eq!((&report["flip"], &report["facts"]["traffic"]["changes"]), (&json!("done"), &json!([])));
    assert_eq!(world.manifest(report["run"].as_str().expect("a name")).outcome, Outcome::Recovered);
    assert_done_already(&world);
}

#[test]
fn the_manifest_is_the_first_flips_whoever_comes_second() {
    let recovery = Recovery::start();
    let world = stopped(&recovery);
    world.s3.lose_answer_of("manifest.json");
    assert_eq!(world.json(&FLIP)["flip"], json!("done"));
    assert!(world.s3.has_suffered());
    let first = world.s3.object(&manifest_path("flip-e2"));

    // Two at once: the other one has just closed, and this one has not seen the records moved.
    let world = stopped(&recovery);
    world.s3.put(&manifest_path("flip-e2"), &first);
    let report = world.json(&FLIP);
    let sha256 = lifeboat_rules::evidence::sha256(&first);
    assert_eq!((&report["flip"], &report["manifest"]["sha256"]), (&json!("done"), &json!(sha256)));
    assert_eq!(world.s3.object(&manifest_path("flip-e2")), first);
    assert_done_already(&world);
}

#[test]
fn stopped_at_any_point_it_is_finished_by_the_next_one() {
    let recovery = Recovery::start();
    let finish = |world: &World| {
        let report = world.json(&FLIP);
        assert_eq!(report["flip"], json!("done"));
        assert_eq!(world.manifest(report["run"].as_str().expect("a name")).outcome, Outcome::Recovered);
        assert_done_already(world);
    };
    let world = stopped(&recovery);
    world.route53.refuse_reads(Some(403));
    refused(&world, &[], 69, &["the traffic of aex could not be moved", "run the same command again"]);
    world.route53.refuse_reads(None);
    finish(&world);

    let world = stopped(&recovery);
    world.route53.refuse_changes(Some(403));
    says(&world.ends(&FLIP, 69), &["the traffic of aex could not be moved", "check credentials"]);
    assert_eq!((world.zone_epoch(), world.route53.values(GATEWAY, "A")), (None, vec![PRIMARY.to_owned()]));
    world.route53.refuse_changes(Some(500));
    let failure = world.ends(&FLIP, 75);
    says(&failure, &["whether the traffic of aex is moved is not known", "the same command again is safe"]);
    world.route53.refuse_changes(None);
    finish(&world);

    let world = stopped(&recovery);
    world.s3.refuse_puts_of("manifest.json", 403);
    let failure = world.ends(&FLIP, 3);
    says(
        &failure,
        &["is moved under epoch 2, and the manifest is not known to be stored", "leaves the manifest"],
    );
    assert_moved(&world);
    world.s3.mend();
    finish(&world);
}

#[test]
fn what_a_flip_has_sent_is_its_own_evidence_and_not_that_of_the_closed_run() {
    let world = stopped(&Recovery::start());
    let told = world.json(&FLIP);
    let below = |run: &str| {
        let prefix = format!("evidence/aex/{run}/");
        world.s3.keys().into_iter().filter(|path| path.starts_with(&prefix)).count()
    };
    assert_eq!(below("run-2"), 1, "the manifest, and nothing since");
    assert_eq!(told["run"], json!("flip-e2"));
    assert_eq!(world.manifest("flip-e2").records.len(), below("flip-e2") - 1);
    assert!(below("flip-e2") > 1, "the batch is left");
    assert_eq!(world.wrong("flip-e2"), Vec::<String>::new());
}
