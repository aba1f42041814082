//! What a page says of runs that no fixture is of. Each is made of the records that its steps would have left.

use std::collections::BTreeMap;

use lifeboat_rules::Outcome;
use lifeboat_rules::evidence::verify::{Signed, verify};
use lifeboat_rules::evidence::{Account, Manifest, Phase, Record, account};
use serde_json::{Value, json};

use super::Page;
use super::dns::By;
use super::verdict::Fenced;
use crate::report::facts::{Facts, Kept, Left};

/// Two records of a step: what it asks for, and its outcome; none of one that was cut off.
fn step(name: &str, action: &str, outcome: Option<Value>) -> Vec<Record> {
    let record = |phase: &str, body: Value| {
        let step = json!({
            "run": "run-1", "plan_key": "plan/aex.json", "name": name, "entered": "2026-11-27T00:00:00Z", "attempt": 0
        });
        let record = json!({
            "phase": phase, "step": step, "at": "2026-11-27T00:00:01Z", "request_id": name, "previous": [], "body": body
        });
        serde_json::from_value(record).expect("a record")
    };
    let mut records = vec![record("intent", json!({ "action": { action: {} } }))];
    records.extend(outcome.map(|body| record("outcome", body)));
    records
}

fn result(verdict: &str) -> Option<Value> {
    Some(json!({ "result": { "verdict": verdict, "streams": [{ "stream": "ME1", "seq": 7 }] } }))
}

/// The facts of a run with these records, admitted with an objective of an hour.
fn facts(outcome: Outcome, records: Vec<Record>, change: impl Fn(&mut Account)) -> Facts {
    let named: Vec<(String, Record)> =
        records.iter().enumerate().map(|(n, record)| (format!("{n}-intent.json"), record.clone())).collect();
    let mut account = account(None, outcome, &[], &[], &named);
    change(&mut account);
    let manifest = json!({
        "plan": "aex", "run": "run-1", "outcome": outcome, "reason": "so it was", "closed_at": "2026-11-27T00:01:00Z",
        "facts": {}, "records": [],
        "admitted": {
            "id": "run-1", "mode": "failover", "plan": { "key": "plan/aex.json", "version": "1", "sha256": "0" },
            "trigger": { "kind": "alarm", "at": "2026-11-27T00:00:00Z", "alarm": "aex-primary-down" },
            "admitted_at": "2026-11-27T00:00:00Z", "deadline": "2026-11-27T01:00:00Z", "admitted_epoch": 1, "epoch": 2,
        },
    });
    let manifest: Manifest = serde_json::from_value(manifest).expect("a manifest");
    let mut verified = verify(&BTreeMap::new(), &Signed::Absent, None);
    verified.plan = Some("aex".to_owned());
    Facts {
        run: "run-1".to_owned(),
        place: "here".to_owned(),
        verified,
        pinned: None,
        manifest: Some(manifest),
        manifest_sha256: None,
        account,
        records: named
            .into_iter()
            .map(|(key, record)| Kept { key, sha256: "0".to_owned(), bytes: 1, record })
            .collect(),
        left: Left::new(),
    }
}

fn sentence(outcome: Outcome, records: Vec<Record>) -> String {
    Page::of(&facts(outcome, records, |_| ())).verdict.sentence
}

#[test]
fn what_is_not_shown_is_not_said() {
    let sealed = || step("Seal", "seal", result("Sealed"));
    for (outcome, records, says) in [
        (
            Outcome::Halted,
            vec![],
            "The run halted before it fenced the primary, and a person has to decide; it left the ledger and the traffic as they were; ",
        ),
        (
            Outcome::Halted,
            step("Seal", "seal", None),
            "The run halted while it was fencing the primary, and a person has to decide; that nothing was lost is not shown; ",
        ),
        (
            Outcome::Halted,
            sealed(),
            "The run halted after it had fenced the primary, and a person has to decide; that nothing was lost is not shown; ",
        ),
        (
            Outcome::Broken,
            [sealed(), step("Tail", "verify_tail", result("Broken"))].concat(),
            "The run found the ledger broken, and moved no traffic to the recovery side; that nothing was lost is not shown; ",
        ),
        (
            Outcome::Recovered,
            [sealed(), step("Tail", "verify_tail", result("Proven"))].concat(),
            "The system aex was brought back on the recovery side; all that was acknowledged is proven to be in the ledger, through the seals; ",
        ),
    ] {
        let said = sentence(outcome, records);
        assert!(said.starts_with(says), "{said}");
    }
    assert!(
        sentence(Outcome::Halted, step("Seal", "seal", None))
            .ends_with("it ended after 1 min, of 1 h for recovery.")
    );
}

#[test]
fn of_an_open_run_no_more_is_said_than_its_records_say() {
    let mut facts = facts(Outcome::Halted, step("Confirm", "confirm_outage", result("PrimaryDown")), |_| ());
    facts.manifest = None;
    let page = Page::of(&facts);
    assert!(
        page.verdict.sentence.contains("what it did after its last record is not known"),
        "{}",
        page.verdict.sentence
    );
    for words in [&page.fence.words, &page.dns.words[0]] {
        assert!(words.starts_with("No record says") && words.ends_with("that need not be all."), "{words}");
    }
}

#[test]
fn a_late_recovery_and_a_loss_are_told_as_such() {
    let late = facts(Outcome::Recovered, vec![], |account| {
        account.rto = serde_json::from_value(json!({
            "from": "2026-11-27T00:00:00Z", "to": "2026-11-27T01:30:00Z", "milliseconds": 5_400_000,
            "deadline": "2026-11-27T01:00:00Z", "met": false,
        }))
        .expect("an RTO");
        account.rpo =
            serde_json::from_value(json!({ "objective_entries": 0, "lost_entries": 2 })).expect("an RPO");
    });
    let page = Page::of(&late);
    assert_eq!(
        page.verdict.sentence,
        "The system aex was brought back on the recovery side; 2 entries that were acknowledged are lost; it took 1 h 30 min, later \
         than the objective of 1 h."
    );
    assert_eq!(page.verdict.tone, super::Tone::Warning);
    assert_eq!((page.timeline.objective_milliseconds, page.lost_entries), (Some(3_600_000), Some(2)));
}

#[test]
fn the_fence_says_where_the_pen_changed_hands_and_where_that_is_not_known() {
    let both = [step("Seal", "seal", result("Sealed")), step("Open", "open", result("Opened"))].concat();
    let fence = Page::of(&facts(Outcome::Recovered, both, |_| ())).fence;
    assert_eq!((fence.fenced, fence.epoch), (Fenced::Yes, Some(2)));
    assert_eq!((fence.streams[0].sealed_seq, fence.streams[0].opened_seq), (Some(7), Some(7)));
    assert!(fence.words.contains("Then the pen was given to the recovery side"), "{}", fence.words);
    let fence = Page::of(&facts(Outcome::Halted, step("Seal", "seal", None), |_| ())).fence;
    assert_eq!(fence.fenced, Fenced::Unknown);
    let fence = Page::of(&facts(Outcome::Halted, step("Seal", "seal", result("Sealed")), |_| ())).fence;
    assert!(fence.words.contains("neither side acknowledges"), "{}", fence.words);
}

#[test]
fn a_broken_ledger_is_told_with_what_was_found() {
    let examined = json!({ "result": {
        "verdict": "Broken", "reason": "1 finding", "streams": [], "findings_count": 1, "objects": 3, "entries": 5, "proven_before": 4,
        "findings": [{ "verdict": "Broken", "stream": "ME1", "seq": 42, "what": "entry 42 is missing" }],
    }});
    let ledger =
        Page::of(&facts(Outcome::Broken, step("History", "verify_history", Some(examined)), |_| ())).ledger;
    assert_eq!((ledger.findings_count, ledger.findings[0].seq), (1, Some(42)));
    assert!(ledger.words[0].starts_with("The ledger is broken"), "{:?}", ledger.words);
    assert!(ledger.words[1].starts_with("4 entries of these were proven before"), "{:?}", ledger.words);
    assert_eq!((ledger.proofs.len(), ledger.proofs[0].verdict.as_str()), (1, "Broken"));
}

/// A batch that moves one name, as dns-flip leaves it.
fn batch(name: &str) -> Vec<u8> {
    let set = |value: &str| json!({ "name": name, "kind": "A", "ttl": 2, "values": [value] });
    let fence =
        json!({ "name": "_lifeboat-epoch.aex", "kind": "TXT", "ttl": 60, "values": ["\"2/1of1/0\""] });
    let changes = json!([{ "DELETE": set("10.0.0.1") }, { "CREATE": set("10.1.0.1") }, { "CREATE": fence }]);
    let batch = json!({ "zone_id": "Z", "comment": "c", "index": 1, "of": 1, "changes": changes });
    serde_json::to_vec(&batch).expect("JSON")
}

#[test]
fn a_refused_batch_has_changed_nothing_and_one_that_was_cut_off_is_not_known() {
    let mut facts = facts(Outcome::Halted, step("Flip", "flip", None), |_| ());
    let sent = json!([{
        "batch": { "key": "aex/run-1/left/t-Flip-0-batch-1of1-a.json", "sha256": "0", "bytes": 1 }, "index": 1, "of": 1,
        "sent_at": "2026-11-27T00:00:02Z", "answered_at": "2026-11-27T00:00:03Z", "answer": { "refused": "it is not as it was" },
    }]);
    facts.left = Left::from([
        ("left/t-Flip-0-batch-1of1-a.json".to_owned(), batch("refused.aex")),
        ("left/t-Flip-1-batch-1of1-b.json".to_owned(), batch("cut-off.aex")),
        ("left/t-Flip-0-batches-c.json".to_owned(), serde_json::to_vec(&sent).expect("JSON")),
    ]);
    let dns = Page::of(&facts).dns;
    assert_eq!((dns.changes.by, dns.changes.groups.len()), (Some(By::Batches), 1));
    let group = &dns.changes.groups[0];
    assert_eq!((group.names.names.join(" "), group.kind.as_str()), ("cut-off".to_owned(), "A"));
    assert_eq!((group.before.join(""), group.after.join("")), ("10.0.0.1".to_owned(), "10.1.0.1".to_owned()));
    let answers: Vec<&str> = dns.batches.iter().map(|batch| batch.answer.as_str()).collect();
    assert_eq!(
        answers,
        ["not known: its call was cut off as it was about to be sent", "refused: it is not as it was"]
    );
    assert!(dns.words[0].contains("no record says that it was moved"), "{:?}", dns.words);
}

#[test]
fn before_and_after_are_the_plans_where_no_record_was_edited() {
    let mut facts = facts(Outcome::Recovered, step("Flip", "flip", None), |_| ());
    let plan = include_bytes!("../../../../functions/rules/tests/plan.json");
    facts.left = Left::from([("left/plan-0.json".to_owned(), plan.to_vec())]);
    let changes = Page::of(&facts).dns.changes;
    assert_eq!((changes.by, changes.groups.len()), (Some(By::Plan), 2));
    // Without a flip there is no after.
    facts.records.clear();
    assert_eq!(Page::of(&facts).dns.changes.by, None);
}

#[test]
fn the_newest_receipt_of_a_name_counts_and_what_is_silent_is_told() {
    let mut facts = facts(Outcome::Halted, vec![], |_| ());
    let receipt = |name: &str, at: &str, value: &str| json!({ "name": name, "kind": "A", "values": [value], "ttl": 5, "asked_at": at, "answered_at": at, "millis": 4 });
    let (early, late) = ("2026-11-27T00:00:10Z", "2026-11-27T00:00:20Z");
    let first = json!({ "resolver": "system", "receipts": [receipt("a.aex", early, "10.0.0.1"), receipt("b.aex", early, "10.1.0.1")] });
    let last = json!({ "resolver": "system", "receipts": [receipt("a.aex", late, "10.1.0.1")], "silent": ["c.aex A: no answer"] });
    facts.left = Left::from([
        ("left/t-Confirm-0-answered-a.json".to_owned(), serde_json::to_vec(&first).expect("JSON")),
        ("left/t-Confirm-1-receipts-b.json".to_owned(), serde_json::to_vec(&last).expect("JSON")),
    ]);
    let receipts = Page::of(&facts).dns.receipts.expect("there are some");
    assert_eq!((receipts.count, receipts.groups.len(), receipts.objects.len()), (2, 1, 2));
    assert_eq!(receipts.groups[0].names.names, ["a 4 ms", "b 4 ms"]);
    assert_eq!((receipts.silent_count, receipts.silent[0].as_str()), (1, "c.aex A: no answer"));
    assert_eq!(receipts.last_answered_at.to_string(), late);
}

#[test]
fn a_record_that_is_too_long_for_a_page_is_told_in_short() {
    let long = json!({ "result": { "verdict": "Done", "reason": "x".repeat(20_000) } });
    let records =
        Page::of(&facts(Outcome::Halted, step("Long", "seal", Some(long)), |_| ())).appendix.records;
    assert_eq!((records[0].phase, records[0].short.as_str()), (Phase::Intent, "asks for seal"));
    assert!(records[0].json.is_some() && records[1].json.is_none());
    assert_eq!(records[1].short.chars().count(), 161, "{}", records[1].short);
}
