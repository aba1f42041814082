//! `lifeboat plan upload` and `lifeboat init` against S3's wire form: what they store, twice, and how they fail.

mod support;

use lifeboat_ledger::{Holder, PenState, Tail};
use lifeboat_rules::Plan;
use serde_json::{Value, json};
use support::s3::S3;
use support::{Folder, Run};

const UPLOAD: [&str; 5] = ["plan", "upload", "plan.yaml", "--control-bucket", "control"];
const INIT: [&str; 4] = ["init", "plan.yaml", "--control-bucket", "control"];
const EPOCH_1: &str = "control/epoch/aex/00000000000000000001";
const ME1: &str = "aex-log/log/ME1/00000000000000000001.ndjson";
const ME2: &str = "aex-log/log/ME2/00000000000000000001.ndjson";

fn run(folder: &Folder, s3: &S3, arguments: &[&str]) -> Run {
    folder.lifeboat_with(arguments, &s3.environment())
}

#[track_caller]
fn json(folder: &Folder, s3: &S3, arguments: &[&str]) -> Value {
    let run = run(folder, s3, &[arguments, &["--json"]].concat());
    assert_eq!(run.code, 0, "{run:?}");
    run.json()
}

#[test]
fn an_uploaded_plan_is_what_the_lambdas_read() {
    let (folder, s3) = (Folder::new(), S3::start());
    let report = json(&folder, &s3, &UPLOAD);
    let stored = s3.object("control/plan/aex.json");
    let plan = Plan::from_json(&stored).expect("the Lambdas accept it");
    assert_eq!(plan.canonical_json(), stored);
    assert_eq!(report["digest"], json!(plan.digest()));
    assert_eq!((&report["key"], &report["version"]), (&json!("plan/aex.json"), &json!("v3")));
    for stack in &plan.stacks {
        let template = String::from_utf8(s3.object(&format!("control/{}", stack.template))).expect("text");
        assert!(template.contains("Resources:"), "{template}");
    }
    assert_eq!(s3.puts().last().map(String::as_str), Some("control/plan/aex.json"), "templates come first");
    assert_eq!(s3.regions(), ["eu-central-1"], "only the recovery Region is called");
    let checked = folder.lifeboat(&["plan", "check", "plan.yaml", "--json"]).json();
    assert_eq!(checked["digest"], report["digest"], "check says what upload will store");
}

#[test]
fn a_list_is_stored_by_its_content_and_the_plan_names_it() {
    let (folder, s3) = (Folder::with_names("AAPL\nMSFT\n"), S3::start());
    let report = json(&folder, &s3, &UPLOAD);
    let plan = Plan::from_json(&s3.object("control/plan/aex.json")).expect("the Lambdas accept it");
    let key = &plan.dns.names[0].list;
    assert_eq!(report["lists"], json!([key]));
    assert_eq!(s3.object(&format!("control/{key}")), b"AAPL\nMSFT\n");
    assert_eq!(s3.puts().last().map(String::as_str), Some("control/plan/aex.json"), "lists come first");
    let checked = folder.lifeboat(&["plan", "check", "plan.yaml", "--json"]).json();
    assert_eq!(checked["digest"], report["digest"], "check says what upload will store");
    let again = run(&folder, &s3, &UPLOAD);
    assert!(again.out.contains("0 new, 1 there already"), "{again:?}");
}

#[test]
fn uploading_twice_stores_no_template_again() {
    let (folder, s3) = (Folder::new(), S3::start());
    let first = json(&folder, &s3, &UPLOAD);
    let before = s3.keys();
    let second = run(&folder, &s3, &UPLOAD);
    assert!(second.out.contains("templates  0 new, 2 there already"), "{second:?}");
    assert_eq!(s3.keys(), before);
    assert!(second.out.contains(first["digest"].as_str().expect("a digest")), "{second:?}");
}

#[test]
fn a_plan_with_a_problem_is_not_uploaded() {
    let (folder, s3) = (Folder::spoilt("ttl: 5", "ttl: 500"), S3::start());
    assert_eq!(run(&folder, &s3, &UPLOAD).code, 65);
    assert!(s3.regions().is_empty(), "nothing was called");
}

#[test]
fn a_bucket_without_versions_is_said_to_be_one() {
    let (folder, s3) = (Folder::new(), S3::start());
    s3.unversioned();
    let report = json(&folder, &s3, &UPLOAD);
    assert_eq!(report["version"], Value::Null);
    assert!(report["warnings"][0].as_str().expect("a warning").contains("keeps no versions"), "{report}");
}

#[test]
fn the_region_can_be_chosen() {
    let (folder, s3) = (Folder::new(), S3::start());
    json(&folder, &s3, &[&UPLOAD[..], &["--region", "eu-west-3"]].concat());
    assert_eq!(s3.regions(), ["eu-west-3"]);
}

#[test]
fn refusals_and_silence_have_their_codes() {
    let folder = Folder::new();
    for (status, code, exit) in [
        (403, "AccessDenied", 69),
        (404, "NoSuchBucket", 69),
        (400, "AuthorizationHeaderMalformed", 69),
        (503, "SlowDown", 75),
    ] {
        for arguments in [&UPLOAD[..], &INIT] {
            let s3 = S3::start();
            s3.refuse(status, code);
            let run = run(&folder, &s3, &[arguments, &["--json"]].concat());
            let failure = run.json();
            assert_eq!(run.code, exit, "{failure}");
            assert!(failure["error"]["cause"].as_str().expect("a cause").contains(code), "{failure}");
            assert!(failure["error"]["what"].as_str().expect("what").contains("s3://control/"), "{failure}");
        }
    }
    // A port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a port");
    let endpoint = format!("http://{free}");
    let nobody = [
        ("AWS_ENDPOINT_URL", endpoint.as_str()),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
    ];
    for arguments in [&UPLOAD[..], &INIT] {
        assert_eq!(folder.lifeboat_with(arguments, &nobody).code, 75);
        let nameless = folder.lifeboat_with(arguments, &nobody[..1]);
        assert_eq!(nameless.code, 69, "no credentials: {nameless:?}");
        assert!(nameless.err.contains("credentials"), "{nameless:?}");
    }
}

#[test]
fn init_claims_the_first_epoch_and_opens_every_stream_once() {
    let (folder, s3) = (Folder::new(), S3::start());
    json(&folder, &s3, &UPLOAD);
    let report = json(&folder, &s3, &INIT);
    assert_eq!(
        report,
        json!({
            "ok": true,
            "plan": "aex",
            "epoch": { "number": 1, "claim": "done" },
            "streams": [{ "stream": "ME1", "open": "done" }, { "stream": "ME2", "open": "done" }],
        })
    );
    let claim: Value = serde_json::from_slice(&s3.object(EPOCH_1)).expect("JSON");
    assert_eq!((&claim["epoch"], &claim["run"]), (&json!(1), &json!("genesis")));
    for (stream, path) in [("ME1", ME1), ("ME2", ME2)] {
        let mut tail = Tail::new(stream);
        tail.absorb_segment(1, &s3.object(path)).expect("it chains");
        assert_eq!(*tail.pen().state(), PenState::Open { epoch: 1, holder: Holder::Primary });
    }

    let puts = s3.puts();
    let again = run(&folder, &s3, &INIT);
    assert_eq!(again.code, 0);
    assert!(again.out.starts_with("the ledger of aex is already open\n"), "{again:?}");
    assert_eq!(s3.puts(), puts, "nothing was stored");
    let named =
        json(&folder, &s3, &["init", "--plan", "aex", "--bucket", "control", "--region", "eu-central-1"]);
    assert_eq!(named["streams"][0]["open"], json!("done_already"));
}

#[test]
fn init_goes_on_where_it_was_stopped() {
    let (folder, s3) = (Folder::spoilt("[ME1, ME2]", "[ME1]"), S3::start());
    json(&folder, &s3, &INIT);
    folder.replace("plan.yaml", "[ME1]", "[ME1, ME2]");
    let report = json(&folder, &s3, &INIT);
    assert_eq!(report["epoch"]["claim"], json!("done_already"));
    assert_eq!(report["streams"][0]["open"], json!("done_already"));
    assert_eq!(report["streams"][1]["open"], json!("done"));
    assert!(report["warnings"][0].as_str().expect("a warning").contains("lifeboat plan upload"), "{report}");
}

#[test]
fn init_leaves_to_a_person_what_is_not_a_beginning() {
    let folder = Folder::new();

    let s3 = S3::start();
    let claim = br#"{"epoch":1,"run":"somebody","at":"2026-11-23T12:00:00Z","cause":"operator"}"#;
    s3.put(EPOCH_1, claim);
    let held = run(&folder, &s3, &INIT);
    assert_eq!(held.code, 3, "{held:?}");
    assert!(held.err.contains("epoch 1 is held by run somebody"), "{held:?}");
    assert_eq!(s3.puts(), [""; 0]);

    let s3 = S3::start();
    s3.put(ME2, b"{\"stream\":\"ME2\",\"seq\":1}\n");
    let foreign = run(&folder, &s3, &INIT);
    assert_eq!(foreign.code, 3, "{foreign:?}");
    assert!(foreign.err.contains("stream ME2 begins with something else"), "{foreign:?}");

    let s3 = S3::start();
    json(&Folder::spoilt("[ME1, ME2]", "[ME1]"), &s3, &INIT);
    s3.put("control/epoch/aex/00000000000000000002", b"{}");
    let late = run(&folder, &s3, &INIT);
    assert_eq!(late.code, 3, "{late:?}");
    assert!(late.err.contains("stream ME2 is new, but epoch 2 has been claimed"), "{late:?}");

    let s3 = S3::start();
    let nameless =
        run(&folder, &s3, &["init", "--plan", "aex", "--bucket", "control", "--region", "eu-central-1"]);
    assert_eq!(nameless.code, 66, "{nameless:?}");
}
