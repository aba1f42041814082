//! `lifeboat report`: what the page says, what the command prints, and how it ends.

mod support;

use std::fs;

use lifeboat_rules::evidence::sha256;
use lifeboat_rules::evidence::verify::{MANIFEST, SIGNATURE};
use serde_json::{Value, json};
use support::evidence::{Files, files, fingerprint, records};
use support::report::{FIXTURES, key_of, laid, place, ten_thousand};
use support::s3::S3;
use support::{Folder, Run};

/// What a page may weigh.
const PAGE_BYTES_MAX: usize = 1_000_000;
/// Makes the report of a fixture, and says what it prints and what is in the page.
fn report(folder: &Folder, place: &str, key: Option<&str>) -> (Run, String) {
    let mut arguments = vec!["--json", "report", place, "--out", "report.html", "--force"];
    arguments.extend(key.iter().flat_map(|key| ["--key", key]));
    let run = folder.lifeboat(&arguments);
    let page = fs::read_to_string(folder.path("report.html")).unwrap_or_default();
    (run, page)
}

#[test]
fn a_recovered_a_halted_a_stood_down_and_a_refused_run_are_told_in_one_sentence() {
    let folder = Folder::new();
    for (name, says) in [
        (
            "recovers",
            "The system aex was brought back on the recovery side; nothing that was acknowledged is lost; it took 17.2 s, within the objective of 2 h.",
        ),
        (
            "halted",
            "The run halted after it had fenced the primary, and a person has to decide; all that was acknowledged is proven to be in the ledger, through the seals; it ended after ",
        ),
        (
            "stood-down",
            "The run stood down before it fenced the primary; it left the ledger and the traffic as they were; it ended after ",
        ),
        (
            "refused",
            "The run was refused before it did anything; it left the ledger and the traffic as they were; it ended after ",
        ),
    ] {
        let (run, page) = report(&folder, &place(name), Some(&key_of(name)));
        assert_eq!(run.code, 0, "{name}: {}{}", run.out, run.err);
        let told = run.json();
        let sentence = told["verdict"]["sentence"].as_str().expect("a sentence");
        assert!(sentence.starts_with(says), "{name}: {sentence}");
        assert!(page.contains(sentence), "{name}: the page says otherwise");
        assert_eq!(told["evidence"]["verdict"], "authentic", "{name}");
        assert_eq!(told["file"], "report.html");
        assert!(page.contains("Automatic: nobody was asked."), "{name}");
    }
}

#[test]
fn the_exit_code_is_that_of_evidence_verify_and_broken_evidence_makes_a_page_that_says_so() {
    let folder = Folder::new();
    let (whole, key) = (files("recovers"), fingerprint());
    let (run, page) = report(&folder, &place("recovers"), None);
    assert_eq!((run.code, run.json()["evidence"]["verdict"].clone()), (2, json!("unauthenticated")));
    assert!(page.contains("no --key says whose signature"), "{page}");

    let mut open = whole.clone();
    open.retain(|key, _| key != MANIFEST && key != SIGNATURE);
    let (run, page) = report(&folder, &laid(&folder, "open", &open), Some(&key));
    assert_eq!((run.code, run.json()["evidence"]["verdict"].clone()), (2, json!("open")));
    assert!(
        page.contains(
            "The run is open: no manifest says how it ended; what it did after its last record is not known; "
        ),
        "{page}"
    );

    let mut broken = whole.clone();
    let seal = records(&whole).into_iter().find(|key| key.contains("Seal-the-ledger")).expect("a seal");
    broken.remove(&seal);
    let (run, page) = report(&folder, &laid(&folder, "broken", &broken), Some(&key));
    let told = run.json();
    assert_eq!(
        (run.code, told["evidence"]["verdict"].clone(), told["ok"].clone()),
        (1, json!("broken"), json!(false))
    );
    assert!(page.contains("By evidence that is BROKEN") && page.contains(&seal), "{page}");

    // Where not even a manifest can be read there is a page, and it names what is wrong.
    broken.insert(MANIFEST.to_owned(), b"{\"plan\":7}".to_vec());
    let (run, page) = report(&folder, &laid(&folder, "no-manifest", &broken), Some(&key));
    assert_eq!(run.code, 1, "{}", run.err);
    assert!(page.contains("it is no manifest: invalid type: integer `7`, expected a string"), "{page}");
    assert_eq!(report(&folder, "nowhere", None).0.code, 66);
}

#[test]
fn nothing_is_overwritten_without_force_and_a_runs_name_leads_to_no_other_folder() {
    let folder = Folder::new();
    let place = place("recovers");
    assert_eq!(folder.lifeboat(&["report", &place, "--key", &fingerprint()]).code, 0);
    assert!(folder.path("recovers.html").is_file());
    folder.write("recovers.html", "mine");
    let refused = folder.lifeboat(&["--json", "report", &place]);
    assert_eq!(refused.code, 73);
    assert!(
        refused.json()["error"]["next"].as_str().is_some_and(|next| next.contains("--force")),
        "{}",
        refused.out
    );
    assert_eq!(fs::read_to_string(folder.path("recovers.html")).expect("it is there"), "mine");
    assert_eq!(folder.lifeboat(&["report", &place, "--force", "--key", &fingerprint()]).code, 0);

    let mut elsewhere = Files::new();
    let manifest = String::from_utf8(files("refused")[MANIFEST].clone()).expect("text");
    elsewhere.insert(
        MANIFEST.to_owned(),
        manifest.replace("\"run\": \"refused\"", "\"run\": \"../../../x/<b>\"").into_bytes(),
    );
    let run = folder.lifeboat(&["--json", "report", &laid(&folder, "elsewhere", &elsewhere)]);
    assert_eq!(run.json()["file"], "..-..-..-x--b-.html", "{}", run.out);
    let page = fs::read_to_string(folder.path("..-..-..-x--b-.html")).expect("the page");
    assert!(page.contains("../../../x/&lt;b&gt;") && !page.contains("<b>"), "a name is text");
}

#[test]
fn what_people_said_is_in_the_page_and_what_cannot_be_read_is_named() {
    let folder = Folder::new();
    let mut all = files("halted");
    let mut manifest: Value = serde_json::from_slice(&all[MANIFEST]).expect("a manifest");
    manifest["facts"]["approvals"] = json!([
        { "question": "seal", "decision": "approve", "principal": "arn:aws:iam::1:role/<ops>", "reason": "go", "at": "2026-11-28T02:22:20Z" },
        { "question": "unproven", "decision": "expired", "principal": "the plan", "reason": "0 of 2 had agreed", "at": "2026-11-28T02:22:30Z" },
        { "question": "seal" },
    ]);
    all.insert(MANIFEST.to_owned(), serde_json::to_vec(&manifest).expect("JSON"));
    let receipts = "left/2026-11-28T02:22:30.000Z-Confirm-the-flip-0-receipts-0123456789abcdef.json";
    all.insert(receipts.to_owned(), b"{\"resolver\":1}".to_vec());
    let (run, page) = report(&folder, &laid(&folder, "asked", &all), None);
    let told = run.json();
    assert_eq!(told["decided"]["approvals"].as_array().map(Vec::len), Some(2), "{}", run.out);
    assert_eq!(told["decided"]["approvals"][1]["decision"], "expired");
    assert_eq!(told["decided"]["approvals_unread"], json!(["facts.approvals[2]: missing field `decision`"]));
    assert!(
        told["dns"]["unread"][0].as_str().is_some_and(|why| why.starts_with(receipts)),
        "{}",
        told["dns"]["unread"]
    );
    assert!(
        page.contains("arn:aws:iam::1:role/&lt;ops&gt;")
            && page.contains("not answered by enough in time")
            && !page.contains("nobody was asked"),
        "{page}"
    );
}

#[test]
fn what_was_tried_again_and_what_is_not_known_is_told() {
    let folder = Folder::new();
    let (run, _) = report(&folder, &place("recovers"), None);
    let trouble = run.json()["trouble"].clone();
    assert_eq!(
        trouble["again"],
        json!([{ "state": "Claim the epoch", "calls": 2, "waits": 0, "failed": 0, "unknown": 1 }])
    );
    assert_eq!(
        (trouble["items_count"].clone(), trouble["items"][0]["error"].clone()),
        (json!(1), Value::Null)
    );
    let (run, _) = report(&folder, &place("halted"), None);
    let trouble = run.json()["trouble"].clone();
    let open = trouble["again"]
        .as_array()
        .expect("a list")
        .iter()
        .find(|of| of["state"] == "Open the recovery side");
    assert_eq!(open.expect("the open was tried again")["failed"], 6, "{trouble}");
    let item = &trouble["items"][0];
    assert_eq!((item["error"].clone(), item["times"].clone()), (json!("Transient"), json!(6)), "{trouble}");
}

#[test]
fn records_before_and_after_and_their_batches_are_told() {
    let folder = Folder::new();
    let (run, _) = report(&folder, &place("by-records"), Some(&key_of("by-records")));
    let dns = run.json()["dns"].clone();
    assert_eq!((dns["strategy"].clone(), dns["changes"]["by"].clone()), (json!("records"), json!("batches")));
    let group = &dns["changes"]["groups"][0];
    assert_eq!(
        (group["before"].clone(), group["after"].clone()),
        (json!(["127.0.1.1"]), json!(["127.0.2.1"]))
    );
    assert_eq!(
        (group["names"]["count"].clone(), group["names"]["suffix"].clone()),
        (json!(7), json!(".aex.internal"))
    );
    let batch = &dns["batches"][0];
    assert!(batch["answer"].as_str().is_some_and(|answer| answer.starts_with("taken")), "{batch}");
    assert!(batch["change"].is_string() && batch["sent_at"].is_string(), "{batch}");
    assert_eq!(
        (dns["receipts"]["count"].clone(), dns["receipts"]["objects"][0]["receipts"].clone()),
        (json!(7), json!(7))
    );
}

#[test]
fn runs_side_by_side_have_their_rto_rpo_and_the_worth_of_their_signatures() {
    let folder = Folder::new();
    for (name, _) in FIXTURES {
        laid(&folder, &format!("fetched/{name}"), &files(name));
    }
    fs::create_dir_all(folder.path("fetched/still-open")).expect("a folder");
    let key = key_of("by-records");
    let all = |arguments: &[&str]| {
        folder.lifeboat(&[&["--json", "report", "fetched", "--all", "--force"], arguments].concat())
    };
    let run = all(&[]);
    assert_eq!(run.code, 0, "{}{}", run.out, run.err);
    let told = run.json();
    assert_eq!((told["file"].clone(), told["plan"].clone()), (json!("aex-runs.html"), json!("aex")));
    let runs = told["runs"].as_array().expect("a list").clone();
    let one = |name: &str| {
        runs.iter().find(|run| run["run"] == name).unwrap_or_else(|| panic!("{name} is not told")).clone()
    };
    assert_eq!(
        (one("recovers")["rto_milliseconds"].clone(), one("recovers")["lost_entries"].clone()),
        (json!(17_196), json!(0))
    );
    assert_eq!(
        (one("halted")["rto_milliseconds"].clone(), one("halted")["lost_entries"].clone()),
        (Value::Null, Value::Null)
    );
    assert_eq!(one("still-open")["outcome"], Value::Null);
    assert_eq!(one("halted")["signature"]["verdict"], "not_pinned");
    let begins: Vec<&str> = runs.iter().filter_map(|run| run["began_at"].as_str()).collect();
    assert!(begins.len() == 5 && begins.is_sorted(), "{begins:?}");
    // Two of them were signed elsewhere, by another key.
    let run = all(&["--key", &key]);
    assert_eq!(run.code, 1, "{}", run.out);
    let worth = |name: &str| {
        run.json()["runs"].as_array().and_then(|runs| runs.iter().find(|run| run["run"] == name).cloned())
    };
    assert_eq!(worth("halted").expect("it is told")["signature"]["verdict"], "by_the_key");
    assert_eq!(worth("refused").expect("it is told")["signature"]["verdict"], "wrong");
    assert_eq!(folder.lifeboat(&["report", "--all"]).code, 64);
    assert_eq!(folder.lifeboat(&["report"]).code, 64);
}

#[test]
fn a_run_and_all_runs_are_read_from_the_bucket() {
    let folder = Folder::new();
    let s3 = S3::start();
    for name in ["recovers", "refused"] {
        for (key, bytes) in files(name) {
            s3.put(&format!("aex-evidence/aex/{name}/{key}"), &bytes);
        }
    }
    let from = ["--plan", "aex", "--evidence-bucket", "aex-evidence", "--key"];
    let key = fingerprint();
    let run = folder.lifeboat_with(
        &[&["--json", "report", "recovers", "--region", "eu-central-1"], &from[..], &[&key]].concat(),
        &s3.environment(),
    );
    assert_eq!(run.code, 0, "{}{}", run.out, run.err);
    assert_eq!(run.json()["evidence"]["place"], "s3://aex-evidence/aex/recovers/");
    assert_eq!(run.json()["dns"]["receipts"]["count"], 7);
    let run = folder.lifeboat_with(
        &[&["--json", "report", "--all", "--region", "eu-central-1"], &from[..], &[&key]].concat(),
        &s3.environment(),
    );
    assert_eq!(
        (run.code, run.json()["runs"].as_array().map(Vec::len)),
        (0, Some(2)),
        "{}{}",
        run.out,
        run.err
    );
}

#[test]
fn ten_thousand_receipts_make_a_page_of_less_than_a_megabyte() {
    let folder = Folder::new();
    let (all, key) = ten_thousand();
    let (run, page) = report(&folder, &laid(&folder, "many", &all), Some(&key));
    assert_eq!(run.code, 0, "{}", run.out.chars().take(2_000).collect::<String>());
    let told = run.json();
    assert_eq!(
        (told["dns"]["receipts"]["count"].clone(), told["dns"]["batches"].as_array().map(Vec::len)),
        (json!(10_000), Some(10))
    );
    for list in
        [&told["dns"]["receipts"]["groups"][0]["names"], &told["dns"]["changes"]["groups"][0]["names"]]
    {
        assert_eq!(
            (list["count"].clone(), list["names"].as_array().map(Vec::len)),
            (json!(10_000), Some(10_000))
        );
    }
    assert!(page.contains("sym09999 9 ms") && page.contains("C0000000000009"), "names and batches are told");
    assert!(page.len() < PAGE_BYTES_MAX, "{} bytes", page.len());
}

#[test]
fn the_facts_for_notices_are_told_where_the_plan_asks_for_its_clocks() {
    let folder = Folder::new();
    let (_, page) = report(&folder, &place("by-records"), None);
    assert!(!page.contains("Facts for notices"), "its plan asks for none");

    let mut all = files("by-records");
    let key = all.keys().find(|key| key.starts_with("left/plan-")).cloned().expect("the plan");
    let mut plan: Value = serde_json::from_slice(&all[&key]).expect("a plan");
    plan["regulation"] = json!(["reg_sci", "dora"]);
    let bytes = serde_json::to_vec(&plan).expect("JSON");
    let mut manifest: Value = serde_json::from_slice(&all[MANIFEST]).expect("a manifest");
    manifest["admitted"]["plan"]["sha256"] = json!(sha256(&bytes));
    all.insert(key, bytes);
    all.insert(MANIFEST.to_owned(), serde_json::to_vec(&manifest).expect("JSON"));
    let (run, page) = report(&folder, &laid(&folder, "asks", &all), None);
    let told = run.json();
    let due = told["notices"]["notices"].as_array().unwrap_or_else(|| panic!("{told}"));
    assert_eq!(due.iter().filter(|notice| notice["regime"] == "dora").count(), 3, "{due:?}");
    assert!(page.contains("no legal advice") && page.contains("17 CFR 242.1002(b)(2)"));
    assert_eq!(page.matches("To be written into:").count(), 2, "the facts are told once for each regime");
    assert!(page.contains("0 acknowledged entries, by a ledger proven through its seals"));
}
