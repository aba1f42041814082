//! Runs of real scenarios, decided again, as they were and with something in them changed.
//!
//! The files below `replay/` are the evidence of runs that the scenario player has played: each object's bytes, by its key. A
//! scenario leaves it in the folder of its logs, `evidence/<run>/`; `tests/src/replayed.rs` replays every one of them.

use std::collections::{BTreeMap, BTreeSet};

use lifeboat_rules::evidence::{Manifest, Phase, Record, sha256};
use lifeboat_rules::replay::{Decision, Ends, Evidence, Replay, Replayed, replay};
use lifeboat_rules::{Outcome, Plan};
use serde::Deserialize;
use serde_json::{Value, json};

const ADMIT: &str = "Admit the run";
const OUTAGE: &str = "Confirm the outage";
const CLAIM: &str = "Claim the epoch";
const LAUNCH: &str = "Launch the stacks";
const HISTORY: &str = "Verify the history";
const AGAIN: &str = "Confirm the outage again";
const SEAL: &str = "Seal the ledger";
const TAIL: &str = "Verify the tail";
const OPEN: &str = "Open the recovery side";
const WAIT: &str = "Wait until the exchange has recovered";
const FLIP: &str = "Flip the traffic";
const ANSWERS: &str = "Confirm the flip";
const LAST: &str = "Confirm recovered";
const CLOSE: &str = "Close the run";

/// Of the scenario `alarm-in-all-three-forms`: an alarm's run, by `switch`, with two streams. It was played before records named
/// those before them, and its records were given that form since: an intent names none here.
fn recovered() -> Evidence {
    read(include_str!("replay/recovered.json"))
}

fn read(json: &str) -> Evidence {
    #[derive(Deserialize)]
    struct File {
        run: String,
        objects: BTreeMap<String, String>,
    }
    let File { run, objects } = serde_json::from_str(json).expect("a fixture");
    Evidence { run, objects: objects.into_iter().map(|(key, text)| (key, text.into_bytes())).collect() }
}

fn plan(evidence: &Evidence) -> Plan {
    let (_, bytes) = evidence.objects.iter().find(|(key, _)| key.starts_with("left/plan-")).expect("a plan");
    Plan::from_json(bytes).expect("it is valid")
}

/// The records of one run, to be changed and put together again: with their digests, so that only what they say is wrong.
struct Records {
    evidence: Evidence,
}

impl Records {
    fn of(evidence: Evidence) -> Records {
        Records { evidence }
    }

    /// Changes the records of one phase of `state`.
    fn change(mut self, state: &str, phase: Phase, change: impl Fn(&mut Value)) -> Records {
        let mut renamed = BTreeMap::new();
        for bytes in self.evidence.objects.values_mut() {
            let Ok(mut record) = serde_json::from_slice::<Record>(bytes) else { continue };
            if record.step.name == state && record.phase == phase {
                let before = (record.body.clone(), sha256(bytes));
                change(&mut record.body);
                assert_ne!(record.body, before.0, "nothing of {state} is changed");
                *bytes = serde_json::to_vec(&record).expect("JSON");
                renamed.insert(before.1, sha256(bytes));
            }
        }
        for bytes in self.evidence.objects.values_mut() {
            let Ok(mut record) = serde_json::from_slice::<Record>(bytes) else { continue };
            // Those behind an outcome name the intent too; whether they chain is for `evidence verify` to say.
            if record.phase == Phase::Outcome
                && let Some(new) = record.previous.first().and_then(|old| renamed.get(old))
            {
                record.previous = vec![new.clone()];
                *bytes = serde_json::to_vec(&record).expect("JSON");
            }
        }
        self
    }

    /// Sets what one decision of `state` looked at, and where it was asked for, that as well.
    fn observe(self, state: &str, rule: &str, pointer: &str, value: Value) -> Records {
        self.change(state, Phase::Outcome, |body| {
            let decided = body["decided"].as_array_mut().expect("decisions");
            let one = decided.iter_mut().find(|one| one["rule"] == rule).expect("a decision by that rule");
            *one.pointer_mut(&format!("/observed{pointer}")).expect("what was observed") = value.clone();
        })
    }

    fn ask(self, state: &str, pointer: &str, value: Value) -> Records {
        self.change(state, Phase::Intent, |body| {
            *body.pointer_mut(pointer).expect("what was asked") = value.clone();
        })
    }

    fn evidence(self) -> Evidence {
        let mut evidence = self.evidence;
        let mut manifest: Manifest =
            serde_json::from_slice(&evidence.objects["manifest.json"]).expect("a manifest");
        for listed in &mut manifest.records {
            // The fixture has what a replay reads.
            if let Some(bytes) = evidence.objects.get(&listed.key) {
                listed.sha256 = sha256(bytes);
            }
        }
        evidence.objects.insert("manifest.json".into(), serde_json::to_vec(&manifest).expect("JSON"));
        evidence
    }

    fn replay(self) -> Replayed {
        replay(&self.evidence(), None)
    }
}

/// What comes out otherwise: state, rule, and how the run would have ended.
fn differing(replayed: &Replayed) -> Vec<(&str, &str, Ends)> {
    let of = |decision: &'_ Decision| match &decision.replay {
        Replay::Differs { would_have_ended, .. } => Some(*would_have_ended),
        _ => None,
    };
    replayed
        .decisions
        .iter()
        .filter_map(|one| Some((one.state.as_str(), one.rule.as_deref().unwrap_or_default(), of(one)?)))
        .collect()
}

#[track_caller]
fn assert_differs(replayed: &Replayed, state: &str, rule: &str, ends: Ends) {
    assert_eq!(replayed.damage, Vec::<String>::new());
    assert!(
        differing(replayed).contains(&(state, rule, ends)),
        "{state}, {rule} should differ and end {ends:?}: {:#?}",
        replayed.decisions
    );
}

#[test]
fn a_run_that_is_as_it_was_decides_the_same() {
    let replayed = replay(&recovered(), None);
    assert_eq!((replayed.outcome, replayed.by_hand), (Some(Outcome::Recovered), false));
    assert_eq!(replayed.damage, Vec::<String>::new());
    assert!(replayed.decisions.iter().all(|one| one.replay == Replay::Agrees), "{:#?}", replayed.decisions);
    let made: BTreeSet<(&str, &str)> = replayed
        .decisions
        .iter()
        .map(|one| (one.state.as_str(), one.rule.as_deref().unwrap_or_default()))
        .collect();
    for decision in [
        (ADMIT, "version_wanted"),
        (ADMIT, "deployed_for"),
        (ADMIT, "admission"),
        (OUTAGE, "outage"),
        (CLAIM, "claim"),
        (LAUNCH, "acting_epoch"),
        (LAUNCH, "stacks"),
        (HISTORY, "history_length"),
        (HISTORY, "findings"),
        (AGAIN, "outage"),
        (SEAL, "log_still"),
        (SEAL, "control_entry"),
        (TAIL, "tail"),
        (TAIL, "findings"),
        (OPEN, "control_entry"),
        (WAIT, "recovered"),
        (FLIP, "newest_flip"),
        (ANSWERS, "flip_confirmed"),
        (LAST, "recovered"),
        (CLOSE, "ending"),
    ] {
        assert!(made.contains(&decision), "{decision:?} is not among {made:?}");
    }
    assert_eq!(made.iter().filter(|(_, rule)| *rule == "acting_epoch").count(), 7);
}

#[test]
fn another_observation_is_another_decision_and_may_be_another_end() {
    use Ends::{As, NotOnRecord};
    use Outcome::*;
    let stood_down = As(StoodDown);
    let (serving, now) =
        (json!({ "target": "t", "serving": true, "what": "x" }), json!("2026-11-27T22:57:59Z"));
    let other_claim = json!({ "epoch": 2, "run": "other", "at": now, "cause": "alarm" });
    let other_flip = json!({ "epoch": 3, "run": "other", "side": "primary" });
    let other_pen = json!({ "newest_epoch": 3, "state": { "state": "sealed", "epoch": 3, "run": "other" } });
    let finding = |verdict: &str| json!([{ "verdict": verdict, "stream": "ME1", "seq": 7, "what": "x" }]);
    let word = json!({ "at": now, "by": "ops", "reason": "x", "says": "maintenance_begin" });
    let alarm = json!({ "epoch": 2, "run": "r", "cause": "alarm", "at": now, "outcome": "Recovered" });
    for (state, rule, pointer, value, ends) in [
        (ADMIT, "version_wanted", "/newest", json!("v2"), NotOnRecord),
        (ADMIT, "deployed_for", "/strategy", json!("records"), As(Refused)),
        (ADMIT, "admission", "/now", json!("2026-11-27T23:58:01Z"), As(Refused)),
        (ADMIT, "admission", "/before/words/maintenance", word, As(Refused)),
        (ADMIT, "admission", "/before/fenced", json!(1), As(Refused)),
        (ADMIT, "admission", "/before/holders", json!([alarm]), As(Refused)),
        (ADMIT, "admission", "/before/holders", json!([]), As(Refused)),
        (OUTAGE, "outage", "/observations/rounds/2/answers/0", serving.clone(), As(Halted)),
        (OUTAGE, "outage", "/observations/log_after/heads/1/slot", json!(92), stood_down),
        (
            OUTAGE,
            "outage",
            "/observations/log_after/heads/0/stored_at",
            json!("2026-11-27T22:58:04Z"),
            stood_down,
        ),
        (OUTAGE, "outage", "/observations/log_before", json!({ "unreadable": "x" }), As(Halted)),
        (OUTAGE, "outage", "/observations/alarm", json!({ "other": "OK" }), As(Halted)),
        (OUTAGE, "outage", "/observations/rounds", json!([]), As(Halted)),
        (CLAIM, "claim", "/newest_version", json!("v2"), As(Refused)),
        (CLAIM, "claim", "/found", other_claim, As(Superseded)),
        (LAUNCH, "acting_epoch", "/newer", json!(3), As(Superseded)),
        (LAUNCH, "stacks", "/stacks/exchange", json!({ "failed": "ROLLBACK_COMPLETE" }), As(Halted)),
        (LAUNCH, "stacks", "/stacks/exchange", json!("creating"), NotOnRecord),
        (HISTORY, "history_length", "/new_entries", json!(200_001), NotOnRecord),
        (AGAIN, "outage", "/observations/log_after/heads/1/slot", json!(92), stood_down),
        (AGAIN, "outage", "/now", json!("2026-11-29T00:00:00Z"), As(Halted)),
        (SEAL, "acting_epoch", "/newer", json!(3), As(Superseded)),
        (SEAL, "log_still", "/heads/0/stored_at", json!("2026-11-27T22:58:10Z"), stood_down),
        (SEAL, "control_entry", "/tail/pen/newest_epoch", json!(3), As(Superseded)),
        (SEAL, "control_entry", "/tail/next_seq", json!(76), NotOnRecord),
        (TAIL, "tail", "/tail/pen/newest_epoch", json!(3), As(Superseded)),
        (TAIL, "tail", "/at", Value::Null, NotOnRecord),
        (TAIL, "tail", "/tail/next_seq", json!(75), NotOnRecord),
        (OPEN, "control_entry", "/tail/pen", other_pen, As(Superseded)),
        (WAIT, "recovered", "/health/mode", json!("replaying"), NotOnRecord),
        (WAIT, "recovered", "/health/epoch", json!(1), NotOnRecord),
        (WAIT, "recovered", "/health/streams/ME1/seq", json!(74), NotOnRecord),
        (FLIP, "newest_flip", "/newest", other_flip, As(Superseded)),
        (FLIP, "newest_flip", "/newest", Value::Null, As(Halted)),
        (ANSWERS, "flip_confirmed", "/pending", json!(1), NotOnRecord),
        (LAST, "acting_epoch", "/newer", json!(3), As(Superseded)),
    ] {
        let records = Records::of(recovered()).observe(state, rule, pointer, value.clone());
        let records = match (rule, pointer) {
            // Who asked has to have asked for that version.
            ("version_wanted", _) => records.observe(state, rule, "/wanted", json!("v1")).ask(
                ADMIT,
                "/action/admit/input/plan",
                json!({ "key": "plan/aex.json", "version": "v1" }),
            ),
            _ => records,
        };
        let ends = if rule == "version_wanted" { As(Refused) } else { ends };
        let replayed = records.replay();
        assert_differs(&replayed, state, rule, ends);
        assert_eq!(differing(&replayed).len(), 1, "{state} {rule}{pointer}: {:?}", differing(&replayed));
        assert!(replayed.differs() && replayed.is_replayable());
    }
    // What stands against a proof is in the answer.
    for (state, verdict, ends) in [(HISTORY, "Broken", Broken), (TAIL, "Unproven", Unproven)] {
        let records = Records::of(recovered()).change(state, Phase::Outcome, |body| {
            body["result"]["findings"] = finding(verdict);
        });
        assert_differs(&records.replay(), state, "findings", As(ends));
    }
}

#[test]
fn a_decision_that_was_recorded_otherwise_is_told() {
    // Everything that a decision says and that is no word for a person.
    let words = ["reason", "message", "what"];
    let mut tried = 0;
    for bytes in recovered().objects.values() {
        let Ok(record) = serde_json::from_slice::<Record>(bytes) else { continue };
        let decided = record.body["decided"].as_array().cloned().unwrap_or_default();
        for (index, one) in decided.iter().enumerate() {
            for leaf in leaves(&one["decision"]) {
                if words.iter().any(|word| leaf.ends_with(word)) {
                    continue;
                }
                let pointer = format!("/decided/{index}/decision{leaf}");
                let replayed = Records::of(recovered())
                    .change(&record.step.name, Phase::Outcome, |body| {
                        let value = body.pointer_mut(&pointer).expect("a leaf");
                        *value = json!({ "not": value.clone() });
                    })
                    .replay();
                assert!(
                    differing(&replayed).iter().any(|(state, ..)| *state == record.step.name),
                    "{} {pointer}",
                    record.step.name
                );
                tried += 1;
            }
        }
    }
    assert!(tried > 40, "{tried}");
}

/// JSON pointers of everything that holds nothing further.
fn leaves(value: &Value) -> Vec<String> {
    let below = |name: &str, value: &Value| {
        leaves(value).into_iter().map(move |leaf| format!("/{name}{leaf}")).collect::<Vec<_>>()
    };
    match value {
        Value::Object(fields) => fields.iter().flat_map(|(name, value)| below(name, value)).collect(),
        Value::Array(items) => {
            items.iter().enumerate().flat_map(|(at, value)| below(&at.to_string(), value)).collect()
        }
        _ => vec![String::new()],
    }
}

#[test]
fn an_answer_that_does_not_follow_from_its_decision_is_told() {
    for (state, pointer, value) in [
        (ADMIT, "/result/verdict", json!("Refused")),
        (ADMIT, "/result/run/deadline", json!("2027-01-01T00:00:00Z")),
        (ADMIT, "/result/run/admitted_epoch", json!(7)),
        (ADMIT, "/result/run/fenced_epoch", json!(7)),
        (OUTAGE, "/result/verdict", json!("PrimaryHealthy")),
        (OUTAGE, "/result/in_time", json!(false)),
        (CLAIM, "/result/run/epoch", json!(3)),
        (LAUNCH, "/result/verdict", json!("StacksLate")),
        (HISTORY, "/result/verdict", json!("Broken")),
        (TAIL, "/result/verdict", json!("Unproven")),
        (WAIT, "/result/verdict", json!("Idle")),
        (ANSWERS, "/result/verdict", json!("FlipUnconfirmed")),
    ] {
        let replayed = Records::of(recovered())
            .change(state, Phase::Outcome, |body| {
                *body.pointer_mut(pointer).expect("an answer") = value.clone()
            })
            .replay();
        assert!(differing(&replayed).iter().any(|(of, ..)| *of == state), "{state}{pointer}: {replayed:#?}");
    }
    let fenced = Records::of(recovered())
        .change(OUTAGE, Phase::Outcome, |body| {
            body.as_object_mut().expect("a body").remove("result");
            body["error"] = json!("Fenced");
        })
        .replay();
    assert!(differing(&fenced).iter().any(|(state, ..)| *state == OUTAGE));
}

#[test]
fn what_was_decided_by_has_to_be_what_was_asked_for() {
    for (state, pointer, value) in [
        (ADMIT, "/action/admit/input/trigger/at", json!("2026-11-27T22:58:00Z")),
        (OUTAGE, "/run/deadline", json!("2027-01-01T00:00:00Z")),
        (OUTAGE, "/run/fenced_epoch", json!(1)),
        (CLAIM, "/run/admitted_epoch", json!(7)),
        (LAUNCH, "/run/epoch", json!(7)),
        (LAUNCH, "/run/deadline", json!("2027-01-01T00:00:00Z")),
        (SEAL, "/run/epoch", json!(7)),
        (TAIL, "/action/verify_tail/history/0/through", json!(1)),
        (WAIT, "/action/confirm_recovered/sealed/0/seq", json!(1)),
        (FLIP, "/run/id", json!("other")),
        (ANSWERS, "/step/entered", json!("2026-11-27T22:58:00Z")),
    ] {
        let replayed = Records::of(recovered()).ask(state, pointer, value).replay();
        let lacks = |one: &Decision| match &one.replay {
            Replay::NotReplayable { why } => why.contains("not what was asked for"),
            _ => false,
        };
        assert!(
            replayed.decisions.iter().any(|one| one.state == state && lacks(one)),
            "{state}{pointer}: {replayed:#?}"
        );
    }
}

#[test]
fn another_plan_shows_which_runs_would_have_ended_otherwise() {
    let evidence = recovered();
    assert!(!replay(&evidence, Some(&plan(&evidence))).differs());
    type Change = fn(&mut Plan);
    let stood_down = Ends::As(Outcome::StoodDown);
    let changes: [(&str, Change, (&str, &str, Ends)); 5] = [
        // At the first look it had stood still for five seconds.
        (
            "a log that has to be still for longer",
            |plan| plan.probe.log_still_seconds = 6,
            (OUTAGE, "outage", stood_down),
        ),
        (
            "more rounds than there were",
            |plan| plan.probe.consecutive_failures = Some(4),
            (OUTAGE, "outage", Ends::As(Outcome::Halted)),
        ),
        (
            "a shorter objective",
            |plan| plan.objectives.rto_seconds = 60,
            (ADMIT, "admission", Ends::NotOnRecord),
        ),
        (
            "a stack more",
            |plan| {
                let another = plan.stacks[0].clone();
                plan.stacks.push(lifeboat_rules::plan::Stack { name: "another".into(), ..another });
            },
            (LAUNCH, "stacks", Ends::NotOnRecord),
        ),
        (
            "smaller shards",
            |plan| plan.limits.shard_entries = 100,
            (HISTORY, "history_length", Ends::NotOnRecord),
        ),
    ];
    for (what, change, expected) in changes {
        let mut other = plan(&evidence);
        change(&mut other);
        let replayed = replay(&evidence, Some(&other));
        assert!(differing(&replayed).contains(&expected), "{what}: {:?}", differing(&replayed));
    }
}

#[test]
fn the_end_follows_from_the_steps() {
    let closed =
        |change: fn(&mut Value)| Records::of(recovered()).change(CLOSE, Phase::Intent, change).replay();
    let halted = closed(|body| body["action"]["close"]["outcome"] = json!("Halted"));
    assert_differs(&halted, CLOSE, "ending", Ends::As(Outcome::Recovered));

    let mut evidence = recovered();
    let mut manifest: Value = serde_json::from_slice(&evidence.objects["manifest.json"]).expect("a manifest");
    manifest["outcome"] = json!("StoodDown");
    evidence.objects.insert("manifest.json".into(), serde_json::to_vec(&manifest).expect("JSON"));
    assert_differs(&replay(&evidence, None), CLOSE, "ending", Ends::As(Outcome::Recovered));

    // A last step that never ended.
    let open = Records::of(recovered())
        .change(LAST, Phase::Outcome, |body| *body = json!({ "error": "NotReady", "message": "x" }))
        .replay();
    assert_differs(&open, CLOSE, "ending", Ends::As(Outcome::Halted));
}

#[test]
fn another_wording_is_no_other_decision() {
    let replayed = Records::of(recovered())
        .change(OUTAGE, Phase::Outcome, |body| {
            body["decided"][0]["decision"]["reason"] = json!("as it was said in those days");
        })
        .replay();
    assert!(!replayed.differs(), "{:?}", differing(&replayed));
}

#[test]
fn what_is_missing_or_damaged_is_said() {
    let nothing = replay(&Evidence { run: "run-1".into(), objects: BTreeMap::new() }, None);
    assert!(!nothing.is_replayable() && nothing.damage[0].contains("no record"), "{nothing:?}");

    let key_of = |phase: &str, state: &str| {
        let (state, end) = (state.replace(' ', "-"), format!("{phase}.json"));
        let is_it = |key: &&String| key.contains(&format!("-{state}-0-")) && key.ends_with(&end);
        recovered().objects.keys().find(is_it).expect("a record").clone()
    };
    type Damage = fn(&mut BTreeMap<String, Vec<u8>>, &str);
    let damages: [(String, Damage, &str); 5] = [
        (
            key_of("intent", SEAL),
            |objects, key| drop(objects.remove(key)),
            "is missing, which the manifest lists",
        ),
        (
            key_of("outcome", SEAL),
            |objects, key| objects.get_mut(key).expect("it").push(b' '),
            "another digest",
        ),
        (
            key_of("outcome", SEAL),
            |objects, key| objects.get_mut(key).expect("it").truncate(100),
            "cannot be read",
        ),
        (key_of("intent", SEAL), |objects, key| objects.get_mut(key).expect("it").push(b' '), "other bytes"),
        (
            recovered().objects.keys().find(|key| key.starts_with("left/")).expect("a plan").clone(),
            |objects, key| objects.get_mut(key).expect("it").push(b' '),
            "other bytes than its name says",
        ),
    ];
    for (key, damage, says) in damages {
        let mut evidence = recovered();
        damage(&mut evidence.objects, &key);
        let replayed = replay(&evidence, None);
        assert!(!replayed.is_replayable(), "{says}");
        assert!(replayed.damage.iter().any(|told| told.contains(says)), "{says}: {:?}", replayed.damage);
    }

    // A run that goes on, or was stopped: what there is of it is decided again.
    let mut open = recovered();
    open.objects.remove("manifest.json");
    open.objects.retain(|key, _| !key.contains("Close-the-run") && *key != key_of("outcome", LAST));
    let replayed = replay(&open, None);
    assert_eq!((replayed.outcome, replayed.is_replayable(), replayed.differs()), (None, true, false));
    let last = replayed.decisions.last().expect("decisions");
    assert!(matches!(&last.replay, Replay::NotReplayable { why } if why.contains("no outcome")), "{last:?}");

    // Of an older Lifeboat.
    let mut old = recovered();
    for bytes in old.objects.values_mut() {
        let Ok(mut record) = serde_json::from_slice::<Record>(bytes) else { continue };
        record.body.as_object_mut().expect("a body").remove("decided");
        *bytes = serde_json::to_vec(&record).expect("JSON");
    }
    let replayed = Records::of(old).replay();
    assert!(replayed.decisions.iter().any(|one| matches!(
        &one.replay,
        Replay::NotReplayable { why } if why.contains("an older Lifeboat")
    )));
}
