//! Where the state machine goes by the answers of its steps, as far as that decides how a run ends. A test holds it against
//! the definition (`tests/tests/definition/route.rs`).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::Outcome;

/// What came of a step, as the state machine sees it.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// A result.
    Said(Value),
    /// An error, by its name.
    Failed(String),
    /// Nobody knows: it left no outcome.
    Unknown,
}

impl Answer {
    pub(super) fn tell(&self) -> Value {
        match self {
            Answer::Said(result) => json!({ "verdict": result["verdict"] }),
            Answer::Failed(error) => json!({ "error": error }),
            Answer::Unknown => Value::Null,
        }
    }
}

/// The states that ask no rule of what they saw.
pub(super) const ASKS_NO_RULE: [&str; 2] = [SHARD, CLOSE];
const LAUNCH: &str = "Launch the stacks";
const HISTORY: &str = "Verify the history";
pub(super) const SHARD: &str = "Verify a shard";
const JOIN: &str = "Join the shards";
const TAKE_DOWN: &str = "Take down what this run launched";
pub(super) const CLOSE: &str = "Close the run";
const BEFORE: [&str; 3] = ["Admit the run", "Confirm the outage", "Claim the epoch"];
const BEHIND: [&str; 10] = [
    SEAL_LEAVE,
    AGAIN,
    "Seal the ledger",
    TAIL,
    TAIL_LEAVE,
    "Open the recovery side",
    "Wait until the exchange has recovered",
    "Flip the traffic",
    "Confirm the flip",
    LAST,
];
const ASKING: [&str; 2] = ["Ask before the seal", "Ask about the unproven ledger"];
const SEAL_LEAVE: &str = "Count before the seal";
const TAIL: &str = "Verify the tail";
const TAIL_LEAVE: &str = "Count about the unproven ledger";
const AGAIN: &str = "Confirm the outage again";
const LAST: &str = "Confirm recovered";

/// Every state that calls a Lambda, as far as is known here.
pub fn states() -> impl Iterator<Item = &'static str> {
    let prepared = [LAUNCH, HISTORY, SHARD, JOIN];
    BEFORE.into_iter().chain(prepared).chain(ASKING).chain(BEHIND).chain([TAKE_DOWN, CLOSE])
}

/// The state that asks for this action, where only one does.
pub fn state_of(action: &str) -> Option<&'static str> {
    Some(match action {
        "admit" => BEFORE[0],
        "claim_epoch" => BEFORE[2],
        "launch" => LAUNCH,
        "verify_history" => HISTORY,
        "verify_shard" => SHARD,
        "join_shards" => JOIN,
        "seal" => BEHIND[2],
        "verify_tail" => TAIL,
        "open" => BEHIND[5],
        "flip" => BEHIND[7],
        "confirm_flip" => BEHIND[8],
        "tear_down" => TAKE_DOWN,
        "close" => CLOSE,
        _ => return None,
    })
}

/// How a run ends by one answer of `state`; `None` where it goes on.
pub fn leads_to(state: &str, answer: &Answer) -> Option<Outcome> {
    let result = match answer {
        Answer::Said(result) => result,
        Answer::Failed(error) if error == "Fenced" => return Some(Outcome::Superseded),
        Answer::Failed(_) | Answer::Unknown => return Some(Outcome::Halted),
    };
    match result["verdict"].as_str().unwrap_or_default() {
        "PrimaryDown" if state == AGAIN && result["in_time"] != true => Some(Outcome::Halted),
        "Serving" if state == LAST => Some(Outcome::Recovered),
        "Admitted" | "PrimaryDown" | "Claimed" | "StacksReady" | "Sharded" | "Proven" | "Waiting"
        | "Approved" | "Sealed" | "Opened" | "Serving" | "Flipped" | "FlipConfirmed" => None,
        "Declined" | "Unanswered" if state == TAIL_LEAVE => Some(Outcome::Unproven),
        "Declined" => Some(Outcome::StoodDown),
        "Refused" => Some(Outcome::Refused),
        "PrimaryHealthy" | "PrimaryUnreachable" | "Advancing" => Some(Outcome::StoodDown),
        "Broken" => Some(Outcome::Broken),
        "Unproven" => Some(Outcome::Unproven),
        _ => Some(Outcome::Halted),
    }
}

/// How a run ends by the last answer of each of its states; `None` where all of them go on.
pub(super) fn end(answers: &BTreeMap<&str, Answer>) -> Option<Outcome> {
    // Whoever asks for a run that another has overtaken says so; whatever else comes of asking, what is counted decides.
    let is_fenced =
        |state: &str| answers.get(state).is_some_and(|answer| *answer == Answer::Failed("Fenced".to_owned()));
    if ASKING.into_iter().any(is_fenced) {
        return Some(Outcome::Superseded);
    }
    // Behind an unproven tail two persons may let the run go on.
    let is_asked = |state: &str| state == TAIL && answers.contains_key(TAIL_LEAVE);
    let leads = |state: &&str| match answers.get(state).and_then(|answer| leads_to(state, answer)) {
        Some(Outcome::Unproven) if is_asked(state) => None,
        end => end,
    };
    let outcome = BEFORE
        .iter()
        .find_map(leads)
        .or_else(|| prepared(answers))
        .or_else(|| BEHIND.iter().find_map(leads))?;
    let is_left = answers.get(TAKE_DOWN).is_some_and(|answer| !matches!(answer, Answer::Said(_)));
    // It cannot stand down while something of it is left.
    Some(if outcome == Outcome::StoodDown && is_left { Outcome::Halted } else { outcome })
}

/// Stacks and history are waited for, whatever comes of either, and what is worst counts.
fn prepared(answers: &BTreeMap<&str, Answer>) -> Option<Outcome> {
    const WORST_FIRST: [Outcome; 4] =
        [Outcome::Superseded, Outcome::Broken, Outcome::Unproven, Outcome::Halted];
    let is_sharded =
        |answer: &&Answer| matches!(answer, Answer::Said(result) if result["verdict"] == "Sharded");
    let joined =
        answers.get(HISTORY).filter(is_sharded).map(|_| answers.get(JOIN).unwrap_or(&Answer::Unknown));
    let ends = [
        answers.get(LAUNCH).and_then(|answer| leads_to(LAUNCH, answer)),
        answers.get(HISTORY).and_then(|answer| leads_to(HISTORY, answer)),
        joined.and_then(|answer| leads_to(JOIN, answer)),
    ];
    WORST_FIRST.into_iter().find(|worst| ends.contains(&Some(*worst)))
}
