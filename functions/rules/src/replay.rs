//! A past run, decided again: each decision that its evidence keeps is asked for again of today's rules, and where one comes
//! out otherwise, how the run would have ended by it.
//!
//! It reads the records and nothing else. What a rule did not decide (an answer of AWS, who was first to put an object) is
//! taken as it was; what the records do not hold (the entries of the ledger) is said, and never guessed.

mod read;
mod route;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use crate::decided::{Again, Decided, Found, Observed, Ruling, again};
use crate::evidence::Record;
use crate::{ErrorName, Outcome, Plan};
use read::{Call, Read};

pub use read::is_needed;
pub use route::{Answer, leads_to, state_of, states};

/// A run's evidence, as far as it [`is_needed`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The run.
    pub run: String,
    /// Its objects, by their keys below the run's prefix.
    pub objects: BTreeMap<String, Vec<u8>>,
}

/// A run, decided again.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Replayed {
    /// The run.
    pub run: String,
    /// How it ended, by its manifest; `None` where it has none.
    pub outcome: Option<Outcome>,
    /// A person's act at the command line, a hand-back or a flip: it leaves a manifest, and no step to decide again.
    pub by_hand: bool,
    /// Every decision, in the order in which they were made, and each step without one.
    pub decisions: Vec<Decision>,
    /// What of the evidence is missing, changed or cannot be read.
    pub damage: Vec<String>,
}

/// One decision, and today's.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Decision {
    /// The state.
    pub state: String,
    /// How many retries came before.
    pub attempt: u32,
    /// When the step began, by its Lambda's clock.
    pub at: Timestamp,
    /// The rule; `None` for a step that has asked none.
    pub rule: Option<String>,
    /// What it was about, where the step has decided about several.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subject: String,
    /// What came of asking it again.
    #[serde(flatten)]
    pub replay: Replay,
}

/// What came of asking a rule again.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "replay", rename_all = "snake_case")]
pub enum Replay {
    /// Today's rules say the same.
    Agrees,
    /// They do not.
    Differs {
        /// What the record has.
        recorded: Value,
        /// What today's rules say.
        today: Value,
        /// How the run would have ended by that.
        would_have_ended: Ends,
    },
    /// It cannot be asked again.
    NotReplayable {
        /// What the record lacks.
        why: String,
    },
}

/// How a run ends by the answers of its steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Ends {
    /// As this.
    #[serde(rename = "as")]
    As(Outcome),
    /// It goes on behind what is on record.
    #[serde(rename = "not_on_record")]
    NotOnRecord,
}

/// The name under which the run's end is judged, as a decision like the others.
const ENDING: &str = "ending";

impl Replayed {
    /// How many decisions agree, differ, and cannot be asked for again.
    pub fn counts(&self) -> [usize; 3] {
        let count = |is: fn(&Replay) -> bool| self.decisions.iter().filter(|one| is(&one.replay)).count();
        [
            count(|replay| matches!(replay, Replay::Agrees)),
            count(|replay| matches!(replay, Replay::Differs { .. })),
            count(|replay| matches!(replay, Replay::NotReplayable { .. })),
        ]
    }

    /// Whether any decision comes out otherwise.
    pub fn differs(&self) -> bool {
        self.counts()[1] > 0
    }

    /// Whether the run can be replayed: its evidence is whole, and some rule could be asked again. That the run ended where its
    /// steps' answers lead is none.
    pub fn is_replayable(&self) -> bool {
        let asked = |one: &Decision| {
            one.rule.as_deref() != Some(ENDING) && !matches!(one.replay, Replay::NotReplayable { .. })
        };
        self.damage.is_empty() && (self.by_hand || self.decisions.iter().any(asked))
    }
}

/// Decides a run again, by the plan that it has left, or, `as_if` that had been the plan, by another one.
pub fn replay(evidence: &Evidence, as_if: Option<&Plan>) -> Replayed {
    let read = read::read(evidence);
    let mut decisions: Vec<Decision> =
        read.calls.iter().flat_map(|call| of_call(call, &read, as_if)).collect();
    decisions.extend(ending(&read));
    decisions.sort_by_key(|decision| decision.at);
    Replayed {
        run: evidence.run.clone(),
        outcome: read.manifest.as_ref().map(|manifest| manifest.outcome),
        by_hand: read
            .manifest
            .as_ref()
            .is_some_and(|manifest| read.calls.is_empty() && manifest.admitted.is_none()),
        decisions,
        damage: read.damage,
    }
}

/// What one call has decided, again.
fn of_call(call: &Call, read: &Read, as_if: Option<&Plan>) -> Vec<Decision> {
    let one = |rule: Option<&Decided>, replay| Decision {
        state: call.state.clone(),
        attempt: call.intent.step.attempt,
        at: call.intent.at,
        rule: rule.map(|decided| decided.rule.clone()),
        subject: rule.map(|decided| decided.subject.clone()).unwrap_or_default(),
        replay,
    };
    let lacks = |why: String| vec![one(None, Replay::NotReplayable { why })];
    let Some(outcome) = &call.outcome else {
        if call.state == route::CLOSE && read.manifest.is_some() {
            // Its outcome is the manifest, which `ending` judges.
            return vec![];
        }
        return lacks("it has left no outcome: what came of it is not on record".into());
    };
    let decided = match decided(outcome) {
        Ok(decided) => decided,
        Err(why) => return lacks(why),
    };
    if decided.is_empty() {
        return match &call.answer {
            Answer::Failed(error) => lacks(format!("it ended with {error} before a rule was asked")),
            _ if route::ASKS_NO_RULE.contains(&call.state.as_str()) => vec![],
            _ => lacks(
                "its record keeps nothing that it has decided by: an older Lifeboat has written it".into(),
            ),
        };
    }
    let plan = as_if.map(Ok).or_else(|| read.plan_of(outcome).map(Result::as_ref));
    let last = decided.len() - 1;
    let judged = decided.iter().enumerate().map(|(index, kept)| {
        let asked = match plan {
            Some(Err(why)) => again(kept, &call.intent.body, None).map_err(|_| why.clone()),
            Some(Ok(plan)) => again(kept, &call.intent.body, Some(plan)),
            None => again(kept, &call.intent.body, None),
        };
        let replay = match asked {
            Err(why) => Replay::NotReplayable { why },
            Ok(today) if without_words(&today.decision) != without_words(&kept.decision) => {
                differs(kept.decision.clone(), today, call, read)
            }
            // The step has answered by what it decided last.
            Ok(today) if index == last && !follows(&call.answer, &today.ruling) => {
                differs(call.answer.tell(), today, call, read)
            }
            Ok(_) => Replay::Agrees,
        };
        one(Some(kept), replay)
    });
    judged.collect()
}

/// What a record has decided by; what stands against a proof is in the answer itself.
fn decided(outcome: &Record) -> Result<Vec<Decided>, String> {
    let kept = outcome.body.get("decided").cloned().unwrap_or_else(|| json!([]));
    let mut decided: Vec<Decided> = serde_json::from_value(kept)
        .map_err(|err| format!("what it has decided by cannot be read by this Lifeboat: {err}"))?;
    let result = &outcome.body["result"];
    if let (Some(findings), Some(verdict)) = (result.get("findings"), result.get("verdict")) {
        decided.push(Decided {
            rule: Found::RULE.into(),
            subject: String::new(),
            observed: Some(json!({ "findings": findings })),
            decision: verdict.clone(),
        });
    }
    Ok(decided)
}

fn differs(recorded: Value, today: Again, call: &Call, read: &Read) -> Replay {
    let answer = match &today.ruling {
        Ruling::Answers(result) => Some(Answer::Said(result.clone())),
        // One that waits is asked again, and what it would have seen then nobody knows.
        Ruling::Fails(ErrorName::NotReady | ErrorName::Transient) | Ruling::GoesOn | Ruling::Waits => None,
        Ruling::Fails(error) => Some(Answer::Failed(error.as_str().into())),
    };
    let goes_on = |answer: &Answer| leads_to(&call.state, answer).is_none();
    // Where both go on, what comes after would have been handed something else.
    let answer = answer.filter(|answer| !(goes_on(answer) && goes_on(&call.answer)));
    let ends = answer.and_then(|answer| {
        let mut answers = read.answers();
        answers.insert(call.state.as_str(), answer);
        route::end(&answers)
    });
    Replay::Differs {
        recorded,
        today: today.decision,
        would_have_ended: ends.map_or(Ends::NotOnRecord, Ends::As),
    }
}

/// Whether a step that ended in `answer` has ended as its last decision says.
fn follows(answer: &Answer, ruling: &Ruling) -> bool {
    match (ruling, answer) {
        (Ruling::GoesOn, _) | (Ruling::Waits, Answer::Failed(_)) => true,
        (Ruling::Answers(fields), Answer::Said(result)) => has(result, fields),
        // Something outside has failed after the decision.
        (Ruling::Answers(_), Answer::Failed(error)) => {
            ![ErrorName::NotReady, ErrorName::Fenced].iter().any(|name| name.as_str() == error)
        }
        (Ruling::Fails(name), Answer::Failed(error)) => {
            [*name, ErrorName::Transient, ErrorName::Defect].iter().any(|name| name.as_str() == error)
        }
        _ => false,
    }
}

/// Whether `value` has all of `fields`, and as they are.
fn has(value: &Value, fields: &Value) -> bool {
    match (value, fields) {
        (Value::Object(value), Value::Object(fields)) => {
            fields.iter().all(|(name, field)| value.get(name).is_some_and(|value| has(value, field)))
        }
        (value, field) => value == field,
    }
}

/// The decision without what is said to a person: another wording is no other decision.
fn without_words(decision: &Value) -> Value {
    const WORDS: [&str; 3] = ["reason", "message", "what"];
    match decision {
        Value::Object(fields) => fields
            .iter()
            .filter(|(name, _)| !WORDS.contains(&name.as_str()))
            .map(|(name, field)| (name.clone(), without_words(field)))
            .collect(),
        Value::Array(items) => items.iter().map(without_words).collect(),
        other => other.clone(),
    }
}

/// How the run ended, held against where the definition goes by its steps' answers. `None` where it was not closed.
fn ending(read: &Read) -> Option<Decision> {
    let close = read.close()?;
    let asked = &close.intent.body["action"]["close"]["outcome"];
    // A state that ended by itself (a task that ran out of time, an expression) says no verdict: that is what a run begins with.
    let ends = route::end(&read.answers()).unwrap_or(Outcome::Halted);
    let manifest = read.manifest.as_ref().map(|manifest| manifest.outcome);
    let agrees = *asked == json!(ends) && manifest.is_none_or(|outcome| outcome == ends);
    let replay = if agrees {
        Replay::Agrees
    } else if !read.damage.is_empty() {
        Replay::NotReplayable { why: "not every step of it can be read".into() }
    } else {
        Replay::Differs {
            recorded: json!({ "close": asked, "manifest": manifest }),
            today: json!(ends),
            would_have_ended: Ends::As(ends),
        }
    };
    Some(Decision {
        state: close.state.clone(),
        attempt: close.intent.step.attempt,
        at: close.intent.at,
        rule: Some(ENDING.into()),
        subject: String::new(),
        replay,
    })
}
