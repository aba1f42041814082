//! What the leave of a person is counted by.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Observed, Ruling, same};
use crate::Plan;
use crate::approval::{Came, Count, Counted, Question, Verdict, count};

/// A question, and what has come in for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counting {
    /// The question.
    pub question: Question,
    /// The decisions of the run that count so far.
    pub so_far: Vec<Counted>,
    /// What has come in.
    pub came: Came,
    /// The counting Lambda's clock.
    pub now: Timestamp,
}

impl Observed for Counting {
    const RULE: &'static str = "approval";
    type By = Plan;
    type Decision = Count;

    fn decide(&self, plan: &Plan) -> Count {
        match &plan.approval {
            Some(approval) => count(approval, &self.question, &self.so_far, &self.came, self.now),
            // A run asks only by a plan that has such a rule.
            None => Count {
                verdict: Verdict::Unanswered,
                approvals: self.so_far.clone(),
                refused: None,
                reason: "the plan lets nobody approve".into(),
            },
        }
    }

    fn ruling(count: &Count) -> Ruling {
        Ruling::Answers(serde_json::json!({ "verdict": count.verdict, "approvals": count.approvals }))
    }

    fn is_asked(&self, request: &Value) -> Result<(), &'static str> {
        same(request, "/run/epoch", &Some(self.question.epoch))?;
        same(request, "/action/count/question/about", &self.question.about)
    }
}
