//! `lifeboat evidence`, on what runs of the local world have left: in a folder, and in a bucket.

mod support;

use std::fs;

use lifeboat_rules::Outcome;
use lifeboat_rules::evidence::chain::is_record;
use lifeboat_rules::evidence::cost::Counted;
use lifeboat_rules::evidence::verify::{MANIFEST, SIGNATURE};
use lifeboat_rules::evidence::{Account, Manifest, Phase, Record, account};
use serde_json::json;
use support::evidence::{Files, files, fingerprint, fixture, late_outcome, records};
use support::s3::S3;
use support::{Folder, Run};

/// Files in a folder of their own, and the command beside them.
fn beside(files: &Files) -> Folder {
    let folder = Folder::new();
    for (key, bytes) in files {
        let path = folder.path("run").join(key);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, bytes).expect("a file");
    }
    folder
}

/// Verifies, and says the exit code and the verdict.
fn verdict(folder: &Folder, place: &str, key: Option<&str>) -> (i32, String) {
    let mut arguments = vec!["--json", "evidence", "verify", place];
    arguments.extend(key.iter().flat_map(|key| ["--key", key]));
    let run: Run = folder.lifeboat(&arguments);
    (run.code, run.json()["verdict"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn a_runs_evidence_is_authentic_by_the_key_that_was_pinned_and_by_no_other() {
    let folder = Folder::new();
    let of = |name: &str| fixture(name).to_str().expect("a path").to_owned();
    let (key, other) = (fingerprint(), "0".repeat(64));
    for name in ["recovers", "refused"] {
        let place = of(name);
        assert_eq!(verdict(&folder, &place, Some(&key)), (0, "authentic".into()), "{name}");
        assert_eq!(verdict(&folder, &place, Some(&key.to_uppercase())), (0, "authentic".into()), "{name}");
        assert_eq!(verdict(&folder, &place, None), (2, "unauthenticated".into()), "{name}");
        assert_eq!(verdict(&folder, &place, Some(&other)), (1, "broken".into()), "{name}");
    }
    // What is not known is said, and is no fault.
    let run = folder.lifeboat(&["evidence", "verify", &of("recovers"), "--key", &key]);
    assert!(run.out.contains("Claim-the-epoch-0-") && run.out.contains("is not known"), "{}", run.out);
}

#[test]
fn what_is_wrong_is_told_with_its_key() {
    let (whole, key) = (files("recovers"), fingerprint());
    let seal = records(&whole).into_iter().find(|key| key.contains("Seal-the-ledger")).expect("a seal");
    let tells = |files: &Files, object: &str, what: &str| {
        let folder = beside(files);
        let run = folder.lifeboat(&["--json", "evidence", "verify", "run", "--key", &key]);
        assert_eq!(run.code, 1, "{}", run.out);
        let told = run.json();
        let wrong = told["wrong"].as_array().expect("a list").clone();
        let is_so = |wrong: &serde_json::Value| {
            wrong["key"] == object && wrong["what"].as_str().is_some_and(|told| told.contains(what))
        };
        assert!(wrong.iter().any(is_so), "{object}: {what}: {wrong:#?}");
    };
    let mut edited = whole.clone();
    let text =
        String::from_utf8(edited[&seal].clone()).expect("text").replace("\"attempt\":0", "\"attempt\":1");
    edited.insert(seal.clone(), text.into_bytes());
    tells(&edited, &seal, "it was changed");
    tells(&edited, &seal, "it belongs at");

    let mut removed = whole.clone();
    removed.remove(&seal);
    tells(&removed, &seal, "it is missing");

    let mut added = whole.clone();
    let foreign = records(&files("refused")).remove(0);
    added.insert(foreign.clone(), files("refused")[&foreign].clone());
    tells(&added, &foreign, "it was added");
    tells(&added, &foreign, "it is of the run refused");

    let mut manifest = whole.clone();
    let text = String::from_utf8(manifest[MANIFEST].clone()).expect("text").replace("Recovered", "StoodDown");
    manifest.insert(MANIFEST.to_owned(), text.into_bytes());
    tells(&manifest, SIGNATURE, "it signs another manifest");
    tells(&manifest, MANIFEST, "no record asks for a close with this outcome");
}

#[test]
fn a_manifest_accounts_for_the_run_as_its_records_do() {
    let files = files("recovers");
    let manifest: Manifest = serde_json::from_slice(&files[MANIFEST]).expect("a manifest");
    let read = |key: &String| Some((key.clone(), serde_json::from_slice(files.get(key)?).ok()?));
    let all: Vec<(String, Record)> = files.keys().filter(|key| is_record(key)).filter_map(read).collect();
    let stacks = ["aex-cluster-e3", "aex-exchange-e3"].map(str::to_owned);
    let told = account(manifest.admitted.as_ref(), Outcome::Recovered, &stacks, &manifest.records, &all);
    let cost = told.cost_estimate.clone().expect("an estimate");
    // What was written before there was an estimate has none.
    assert_eq!(manifest.account, Some(Account { cost_estimate: None, ..told.clone() }));
    let counted: Vec<(Counted, u64)> = cost.items.iter().map(|item| (item.of, item.count)).collect();
    // 15 calls, of which one was cut off and one closed the run: 9.8 s of 256 MB, and the verifier's 0.9 s of 1,769 MB.
    assert_eq!(
        counted,
        [
            (Counted::LambdaGbMilliseconds, 4_067),
            (Counted::LambdaInvocations, 15),
            (Counted::StateTransitions, 15),
            (Counted::S3Puts, manifest.records.len() as u64 + 2),
            (Counted::KmsRequests, 2),
        ]
    );
    assert_eq!(cost.nanodollars, cost.items.iter().map(|item| item.nanodollars).sum::<u64>());
    assert!(
        (500_000..2_000_000).contains(&cost.nanodollars),
        "a run costs about a tenth of a cent: {cost:?}"
    );
    let states: Vec<&str> = told.phases.iter().map(|phase| phase.state.as_str()).collect();
    assert_eq!(states.len(), 14, "{states:?}");
    assert_eq!((states[0], states[6], states[13]), ("Admit the run", "Seal the ledger", "Close the run"));
    let claim = told.phases.iter().find(|phase| phase.action == "claim_epoch").expect("a claim");
    assert_eq!((claim.calls, claim.verdict.as_deref()), (2, Some("Claimed")));
    assert!(told.rto.as_ref().is_some_and(|rto| rto.met && rto.milliseconds > 0 && rto.to <= rto.deadline));
    assert_eq!(told.rpo.as_ref().map(|rpo| rpo.lost_entries), Some(0));
    assert_eq!(told.stacks.left_standing, ["aex-cluster-e3", "aex-exchange-e3"]);
    assert!(
        told.dns.iter().any(|key| key.starts_with("left/") && key.contains("receipts")),
        "{:?}",
        told.dns
    );
    let named = [&told.observations, &told.ledger_proof, &told.fence_proof, &told.recovered];
    assert!(named.into_iter().all(|keys| keys.len() == 2 && keys.iter().all(|key| files.contains_key(key))));
    // Of a run that did not recover neither is said.
    let halted = account(manifest.admitted.as_ref(), Outcome::Halted, &stacks, &manifest.records, &all);
    assert_eq!((halted.rto, halted.rpo), (None, None));
    // What a launch has begun may stand, whether it came to an end or not; where none has begun nothing does.
    let left_by = |is_there: &dyn Fn(&Record) -> bool| {
        let some: Vec<_> = all.iter().filter(|(_, record)| is_there(record)).cloned().collect();
        account(None, Outcome::Halted, &stacks, &manifest.records, &some).stacks.left_standing
    };
    let launches = |record: &Record| record.step.name == "Launch the stacks";
    assert_eq!(left_by(&|record| !(launches(record) && record.phase == Phase::Outcome)), stacks);
    assert_eq!(left_by(&|record| !launches(record)), Vec::<String>::new());
}

#[test]
fn an_outcome_that_comes_when_the_run_is_closed_is_vouched_for_by_nobody_and_changes_nothing() {
    let (whole, key) = (files("recovers"), fingerprint());
    let judged = |files: &Files| {
        let folder = beside(files);
        let verified = folder.lifeboat(&["--json", "evidence", "verify", "run", "--key", &key]);
        let shown = folder.lifeboat(&["--json", "evidence", "show", "run"]).json();
        (verified.code, verified.json(), shown)
    };
    let (_, before, shown_before) = judged(&whole);
    let (late, outcome) =
        late_outcome(&whole, "Claim-the-epoch-0-", json!({ "result": { "verdict": "Fenced" } }));
    let mut files = whole.clone();
    files.insert(late.clone(), serde_json::to_vec(&outcome).expect("JSON"));
    let (code, after, shown) = judged(&files);
    assert_eq!((code, &after["verdict"], &after["late"]), (2, &json!("authentic"), &json!([late])));
    for fact in ["unknown", "records", "left", "outcome", "wrong"] {
        assert_eq!(after[fact], before[fact], "{fact}");
    }
    assert_eq!(
        (&shown["account"], &shown["manifest"]),
        (&shown_before["account"], &shown_before["manifest"])
    );
    let told = beside(&files).lifeboat(&["evidence", "verify", "run", "--key", &key]).out;
    assert!(told.contains("Late, and vouched for by nobody") && told.contains(&late), "{told}");

    // It has to follow the very intent of its call; whatever else comes was added.
    let elsewhere = Record { previous: vec!["0".repeat(64)], ..outcome.clone() };
    let nowhere = Record { previous: vec![], ..outcome };
    for forged in [elsewhere, nowhere] {
        files.insert(late.clone(), serde_json::to_vec(&forged).expect("JSON"));
        let (code, after, _) = judged(&files);
        assert_eq!((code, &after["late"]), (1, &json!([])), "{after}");
    }
}

#[test]
fn without_a_manifest_a_run_is_open_and_a_call_that_was_cut_off_is_told() {
    let mut files = files("recovers");
    files.remove(MANIFEST);
    files.remove(SIGNATURE);
    let all = records(&files);
    let outcome = all.iter().position(|key| key.contains("Seal-the-ledger") && key.ends_with("outcome.json"));
    for key in &all[outcome.expect("a seal")..] {
        files.remove(key);
    }
    let folder = beside(&files);
    let run = folder.lifeboat(&["--json", "evidence", "verify", "run", "--key", &fingerprint()]);
    assert_eq!((run.code, run.json()["verdict"].as_str()), (2, Some("open")), "{}", run.out);
    let unknown = run.json()["unknown"].to_string();
    assert!(unknown.contains("Seal-the-ledger-0-"), "{unknown}");
    let shown = folder.lifeboat(&["evidence", "show", "run"]);
    assert!(shown.code == 0 && shown.out.contains("the run is open"), "{}", shown.out);
    // From the middle of it nothing can be taken.
    let middle = records(&files).remove(2);
    fs::remove_file(folder.path("run").join(middle)).expect("it is there");
    assert_eq!(verdict(&folder, "run", None), (1, "broken".into()));
}

#[test]
fn a_run_in_the_bucket_is_listed_shown_fetched_and_verified() {
    let (s3, folder, key) = (S3::start(), Folder::new(), fingerprint());
    for name in ["recovers", "refused"] {
        for (object, bytes) in files(name) {
            s3.put(&format!("evidence/aex/{name}/{object}"), &bytes);
        }
    }
    let mut environment = s3.environment().to_vec();
    environment.push(("LIFEBOAT_EVIDENCE_BUCKET", "evidence"));
    let lifeboat = |arguments: &[&str]| folder.lifeboat_with(arguments, &environment);

    let listed = lifeboat(&["evidence", "list", "--plan", "aex", "--region", "eu-central-1"]);
    for name in ["recovers", "refused"] {
        assert!(listed.code == 0 && listed.out.contains(name), "{}{}", listed.out, listed.err);
    }
    let of_run = |command: &str, more: &[&str]| {
        let mut arguments = vec!["evidence", command, "recovers"];
        arguments.extend(more);
        arguments.extend(["--plan", "aex", "--region", "eu-central-1"]);
        lifeboat(&arguments)
    };
    let shown = of_run("show", &[]);
    assert!(shown.code == 0 && shown.out.contains("Seal the ledger"), "{}{}", shown.out, shown.err);
    assert_eq!(of_run("verify", &["--key", &key]).code, 0);
    let fetched = of_run("fetch", &["./fetched"]);
    assert_eq!(fetched.code, 0, "{}", fetched.err);
    // Offline, and every byte as it was.
    assert_eq!(verdict(&folder, "fetched", Some(&key)), (0, "authentic".into()));
    for (object, bytes) in files("recovers") {
        assert!(fs::read(folder.path("fetched").join(&object)).expect("a file") == bytes, "{object}");
    }
    assert_eq!(of_run("fetch", &["./fetched"]).code, 73, "evidence is not mixed with anything");

    // A run that is another's under its name.
    for (object, bytes) in files("refused") {
        s3.put(&format!("evidence/aex/other/{object}"), &bytes);
    }
    let other = lifeboat(&[
        "evidence",
        "verify",
        "other",
        "--plan",
        "aex",
        "--key",
        &key,
        "--region",
        "eu-central-1",
    ]);
    assert!(other.code == 1 && other.out.contains("other was asked for"), "{}", other.out);
    let none = lifeboat(&["evidence", "verify", "none", "--plan", "aex", "--region", "eu-central-1"]);
    assert_eq!(none.code, 66, "{}", none.err);
}

#[test]
fn wrong_usage_is_64_and_no_such_folder_66() {
    let folder = Folder::new();
    assert_eq!(folder.lifeboat(&["evidence", "verify", "run", "--key", "short"]).code, 64);
    assert_eq!(folder.lifeboat(&["evidence", "verify"]).code, 64);
    assert_eq!(folder.lifeboat(&["evidence", "verify", "nothing"]).code, 66);
    fs::create_dir(folder.path("empty")).expect("a folder");
    assert_eq!(folder.lifeboat(&["evidence", "verify", "empty"]).code, 66);
    for command in ["list", "show", "fetch", "verify"] {
        let help = folder.lifeboat(&["evidence", command, "--help"]);
        assert!(help.code == 0 && help.out.contains("Examples:") && help.out.contains("Exit codes:"));
    }
    assert!(files("recovers").keys().any(|key| !is_record(key) && key.starts_with("left/")));
}
