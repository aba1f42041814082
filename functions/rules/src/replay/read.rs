//! A run's records, put together: which outcome belongs to which intent, by which plan, and what is wrong with them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use super::Evidence;
use super::route::{Answer, CLOSE, SHARD, state_of};
use crate::Plan;
use crate::evidence::chain::is_record;
use crate::evidence::{LEFT, Manifest, Phase, Record, sha256};

const MANIFEST: &str = "manifest.json";
/// Before the digest of a plan that was left.
const PLAN: &str = "plan-";

/// Whether a replay reads the object of this key, below the run's prefix.
pub fn is_needed(key: &str) -> bool {
    key == MANIFEST || is_record(key) || plan_sha256(key).is_some()
}

fn plan_sha256(key: &str) -> Option<&str> {
    key.strip_prefix(LEFT)?.strip_prefix(PLAN)?.strip_suffix(".json")
}

/// What was read of a run.
pub(super) struct Read {
    pub(super) manifest: Option<Manifest>,
    /// In the order in which they began.
    pub(super) calls: Vec<Call>,
    pub(super) damage: Vec<String>,
    /// By their digests; why one cannot be decided by.
    plans: HashMap<String, Result<Plan, String>>,
}

/// One call of a step.
pub(super) struct Call {
    pub(super) state: String,
    pub(super) intent: Record,
    pub(super) outcome: Option<Record>,
    pub(super) answer: Answer,
}

/// What the manifest names. What came when a run was closed is vouched for by nobody, and decides nothing again.
fn listed(evidence: &Evidence) -> Option<BTreeSet<String>> {
    let manifest: Manifest = serde_json::from_slice(evidence.objects.get(MANIFEST)?).ok()?;
    Some(manifest.records.into_iter().map(|listed| listed.key).collect())
}

pub(super) fn read(evidence: &Evidence) -> Read {
    let mut damage = Vec::new();
    let (mut intents, mut outcomes) = (HashMap::new(), Vec::new());
    let vouched = listed(evidence);
    let (mut manifest, mut plans) = (None::<Manifest>, HashMap::new());
    if evidence.objects.is_empty() {
        damage.push("there is no record of this run".to_owned());
    }
    for (key, bytes) in &evidence.objects {
        if let Some(sha256) = plan_sha256(key) {
            if self::sha256(bytes) == sha256 {
                plans.insert(sha256.to_owned(), plan(bytes));
            } else {
                damage.push(format!("{key} has other bytes than its name says"));
            }
        } else if key == MANIFEST {
            match serde_json::from_slice(bytes) {
                Ok(read) => manifest = Some(read),
                Err(err) => damage.push(format!("{key} cannot be read: {err}")),
            }
        } else if is_record(key) && vouched.as_ref().is_none_or(|listed| listed.contains(key)) {
            match serde_json::from_slice::<Record>(bytes) {
                Ok(record) if record.phase == Phase::Intent => {
                    intents.insert(sha256(bytes), record);
                }
                Ok(record) => outcomes.push((key, record)),
                Err(err) => damage.push(format!("{key} cannot be read: {err}")),
            }
        }
    }
    for listed in
        manifest.iter().flat_map(|manifest| &manifest.records).filter(|listed| is_needed(&listed.key))
    {
        match evidence.objects.get(&listed.key) {
            None => damage.push(format!("{} is missing, which the manifest lists", listed.key)),
            Some(bytes) if sha256(bytes) != listed.sha256 => {
                damage.push(format!("{} has another digest than the manifest lists", listed.key));
            }
            Some(_) => {}
        }
    }
    let mut calls = Vec::new();
    for (key, outcome) in outcomes {
        match outcome.previous.first().and_then(|sha256| intents.remove(sha256)) {
            Some(intent) => calls.push(Call::new(intent, Some(outcome))),
            None => damage.push(format!("the intent that {key} names is missing, or has other bytes")),
        }
    }
    calls.extend(intents.into_values().map(|intent| Call::new(intent, None)));
    calls.sort_by_key(|call| call.intent.at);
    Read { manifest, calls, damage, plans }
}

fn plan(bytes: &[u8]) -> Result<Plan, String> {
    Plan::from_json(bytes).map_err(|problems| {
        let first = problems.first().map(ToString::to_string).unwrap_or_default();
        format!("the plan that it was decided by is not valid to this Lifeboat: {first}")
    })
}

impl Read {
    /// The plan that a step has decided by, where it has said which.
    pub(super) fn plan_of(&self, outcome: &Record) -> Option<&Result<Plan, String>> {
        self.plans.get(outcome.body.get("plan_sha256")?.as_str()?)
    }

    /// The call that closed the run.
    pub(super) fn close(&self) -> Option<&Call> {
        self.calls.iter().find(|call| call.state == CLOSE)
    }

    /// The last answer of each state before the run was closed. What came later is a repetition that changed nothing of its end.
    pub(super) fn answers(&self) -> BTreeMap<&str, Answer> {
        let before = self.calls.iter().take_while(|call| call.state != CLOSE);
        // A shard that fails is tried again, and the map as a whole is known by whether its shards were joined.
        let steps = before.filter(|call| call.state != SHARD);
        steps.map(|call| (call.state.as_str(), call.answer.clone())).collect()
    }
}

impl Call {
    fn new(intent: Record, outcome: Option<Record>) -> Call {
        let answer = match outcome.as_ref().map(|outcome| &outcome.body) {
            None => Answer::Unknown,
            Some(body) => match body.get("error").and_then(Value::as_str) {
                Some(error) => Answer::Failed(error.to_owned()),
                None => Answer::Said(body["result"].clone()),
            },
        };
        Call { state: state(&intent), intent, outcome, answer }
    }
}

/// The state that asks for what was asked, where only one does; else as the step has named it.
fn state(intent: &Record) -> String {
    let action = intent.body["action"].as_object().and_then(|action| action.keys().next());
    action.and_then(|action| state_of(action)).unwrap_or(&intent.step.name).to_owned()
}
