//! What is decided about the ledger: from what was read of it, not from its entries, which are in no record.

use lifeboat_ledger::append::{self, Next, Sealed, proven_through_seal};
use lifeboat_ledger::control::Seal;
use lifeboat_ledger::{Control, Finding, StreamProof, Tail, Verdict};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Because, Observed, Ruling, same};
use crate::outage::{LogHead, written_to};
use crate::{ErrorName, Plan};

/// How much there is to read of a history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// Entries since the newest checkpoints, by their numbers.
    pub new_entries: u64,
}

impl Observed for Measured {
    const RULE: &'static str = "history_length";
    type By = Plan;
    /// Whether it is shared out over many calls.
    type Decision = bool;

    fn decide(&self, plan: &Plan) -> bool {
        self.new_entries > u64::from(plan.limits.shard_entries)
    }

    fn ruling(sharded: &bool) -> Ruling {
        if *sharded { Ruling::verdict("Sharded") } else { Ruling::GoesOn }
    }
}

/// What stands against a proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Found {
    /// The findings that the answer names, the worst among them.
    pub findings: Vec<Finding>,
}

impl Observed for Found {
    const RULE: &'static str = "findings";
    type By = ();
    type Decision = Verdict;

    fn decide(&self, (): &()) -> Verdict {
        Finding::worst(&self.findings)
    }

    fn ruling(verdict: &Verdict) -> Ruling {
        Ruling::Answers(json!({ "verdict": verdict }))
    }
}

/// The newest object of every stream, in the same breath as the fence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Still {
    /// Of every stream that has one.
    pub heads: Vec<LogHead>,
}

impl Observed for Still {
    const RULE: &'static str = "log_still";
    type By = Plan;
    /// Which stream was written to, if one was.
    type Decision = Option<Because>;

    fn decide(&self, plan: &Plan) -> Option<Because> {
        written_to(&self.heads, plan.probe.log_still_seconds).map(|reason| Because { reason })
    }

    fn ruling(advancing: &Option<Because>) -> Ruling {
        match advancing {
            Some(_) => Ruling::verdict("Advancing"),
            None => Ruling::GoesOn,
        }
    }
}

/// A control entry at the end of a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Placing {
    /// Where the stream ended, and who had the pen.
    pub tail: Tail,
    /// What was to be put.
    pub control: Control,
}

impl Observed for Placing {
    const RULE: &'static str = "control_entry";
    type By = ();
    type Decision = Next;

    fn decide(&self, (): &()) -> Next {
        append::next(&self.tail, &self.control)
    }

    fn ruling(next: &Next) -> Ruling {
        match next {
            Next::Put { .. } => Ruling::GoesOn,
            Next::Outranked { .. } => Ruling::Fails(ErrorName::Fenced),
            Next::WouldNotCount(_) => Ruling::verdict("HalfDone"),
        }
    }

    fn subject(&self) -> &str {
        self.tail.stream()
    }

    fn is_asked(&self, request: &Value) -> Result<(), &'static str> {
        same(request, "/run/epoch", &Some(self.control.epoch()))
    }
}

/// How far a stream was read behind its history, and where it was found to be sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reached {
    /// The history.
    pub before: StreamProof,
    /// Where the reading ended.
    pub tail: Tail,
    /// The sequence at which the run's seal stands, where it does.
    pub at: Option<u64>,
    /// The run's seal.
    pub seal: Seal,
}

impl Observed for Reached {
    const RULE: &'static str = "tail";
    type By = ();
    type Decision = Sealed;

    fn decide(&self, (): &()) -> Sealed {
        proven_through_seal(&self.before, &self.tail, self.at, &self.seal)
    }

    fn ruling(sealed: &Sealed) -> Ruling {
        match sealed {
            Sealed::TakenOver => Ruling::Fails(ErrorName::Fenced),
            // The whole verdict is that of all streams' findings.
            Sealed::Proven(_) | Sealed::Not(_) => Ruling::GoesOn,
        }
    }

    fn subject(&self) -> &str {
        &self.before.stream
    }

    fn is_asked(&self, request: &Value) -> Result<(), &'static str> {
        const HISTORY: &str = "/action/verify_tail/history";
        let history = request.pointer(HISTORY).and_then(Value::as_array).ok_or(HISTORY)?;
        let is_this = |proof: &Value| StreamProof::deserialize(proof).is_ok_and(|proof| proof == self.before);
        if !history.iter().any(is_this) {
            return Err(HISTORY);
        }
        same(request, "/run/epoch", &Some(self.seal.epoch))
    }
}
