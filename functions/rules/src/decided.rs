//! What a step has decided by: all that a rule looked at, and what it made of it, as the step's outcome keeps them.
//!
//! A step that decides gathers what it has observed into one value ([`Observed`]), has it judged once, and acts on the
//! decision. The value is kept whole in the step's record, so the rule can be asked again from the record alone
//! ([`again`], [`crate::replay`]). What a rule reads of the plan is not kept there: the run leaves its plan once.

mod admission;
mod approval;
mod dns;
mod epoch;
mod ledger;
mod outage;
mod recovered;
mod stacks;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{ErrorName, Plan};

pub use admission::{Admitted, Asked, Deployed, Wanted};
pub use approval::Counting;
pub use dns::{Newest, Swapping, Taken, Waited, Waiting};
pub use epoch::{Acting, Claimed, Claiming};
pub use ledger::{Found, Measured, Placing, Reached, Still};
pub use outage::{Confirmed, Confirming};
pub use recovered::Serving;
pub use stacks::{Looked, Looking};

/// All that one rule looks at besides the plan.
pub trait Observed: Serialize + DeserializeOwned {
    /// The rule's name in the record.
    const RULE: &'static str;
    /// What it decides by: the [`Plan`], or nothing, `()`.
    type By: By;
    /// What the rule says.
    type Decision: Serialize;

    /// Asks the rule.
    fn decide(&self, by: &Self::By) -> Self::Decision;

    /// What the decision means to the step.
    fn ruling(decision: &Self::Decision) -> Ruling;

    /// What is decided about, where a step decides about several: a stream. A later decision by the same rule about the same
    /// takes the place of the earlier one, so that a step which waits keeps the one that it has ended with.
    fn subject(&self) -> &str {
        ""
    }

    /// Holds what was asked of the step, its intent's body, against what is here of it.
    ///
    /// # Errors
    /// The JSON pointer of what the two say differently.
    fn is_asked(&self, _request: &Value) -> Result<(), &'static str> {
        Ok(())
    }

    /// Whether it is small enough to be kept in a record.
    fn is_kept(&self) -> bool {
        true
    }
}

/// What a rule decides by, besides what was observed.
pub trait By {
    /// Takes it from the run's plan, where that is known.
    fn from_plan(plan: Option<&Plan>) -> Option<&Self>;
}

impl By for Plan {
    fn from_plan(plan: Option<&Plan>) -> Option<&Plan> {
        plan
    }
}

impl By for () {
    fn from_plan(_: Option<&Plan>) -> Option<&()> {
        Some(&())
    }
}

/// Why a rule says no, for a person. Another wording is no other decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Because {
    /// The reason.
    pub reason: String,
}

/// What a decision means to the step that made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// The step goes on.
    GoesOn,
    /// The step looks again, or ends without a verdict.
    Waits,
    /// The step answers, with these fields at the least.
    Answers(Value),
    /// The step ends with this error.
    Fails(ErrorName),
}

impl Ruling {
    fn verdict(verdict: &str) -> Ruling {
        Ruling::Answers(serde_json::json!({ "verdict": verdict }))
    }
}

/// One decision, as a record keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decided {
    /// The rule's name.
    pub rule: String,
    /// What it was about, where a step decides about several.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subject: String,
    /// What the rule looked at; absent where that was too large to be kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<Value>,
    /// What it said.
    pub decision: Value,
}

impl Decided {
    /// Of what was observed, and what the rule said to it.
    pub fn of<O: Observed>(observed: &O, decision: &O::Decision) -> Decided {
        let value =
            |result: serde_json::Result<Value>| result.expect("strings, numbers, lists and maps serialise");
        Decided {
            rule: O::RULE.into(),
            subject: observed.subject().into(),
            observed: observed.is_kept().then(|| value(serde_json::to_value(observed))),
            decision: value(serde_json::to_value(decision)),
        }
    }

    /// Adds it to what a step has decided so far.
    pub fn keep(self, decided: &mut Vec<Decided>) {
        decided.retain(|earlier| (&earlier.rule, &earlier.subject) != (&self.rule, &self.subject));
        decided.push(self);
    }
}

/// What today's rule says to what was observed then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Again {
    /// The decision.
    pub decision: Value,
    /// What it means to the step.
    pub ruling: Ruling,
}

/// Asks the rule again, from what the record has kept; `request` is the body of the step's intent.
///
/// # Errors
/// Why it cannot be asked, for a person.
pub fn again(decided: &Decided, request: &Value, plan: Option<&Plan>) -> Result<Again, String> {
    let ask = match decided.rule.as_str() {
        Wanted::RULE => of::<Wanted>,
        Deployed::RULE => of::<Deployed>,
        Asked::RULE => of::<Asked>,
        Claiming::RULE => of::<Claiming>,
        Counting::RULE => of::<Counting>,
        Acting::RULE => of::<Acting>,
        Confirming::RULE => of::<Confirming>,
        Looking::RULE => of::<Looking>,
        Measured::RULE => of::<Measured>,
        Found::RULE => of::<Found>,
        Still::RULE => of::<Still>,
        Placing::RULE => of::<Placing>,
        Reached::RULE => of::<Reached>,
        Serving::RULE => of::<Serving>,
        Taken::RULE => of::<Taken>,
        Newest::RULE => of::<Newest>,
        Swapping::RULE => of::<Swapping>,
        Waited::RULE => of::<Waited>,
        _ => return Err("this Lifeboat has no rule of that name".into()),
    };
    ask(decided, request, plan)
}

fn of<O: Observed>(decided: &Decided, request: &Value, plan: Option<&Plan>) -> Result<Again, String> {
    let observed =
        decided.observed.as_ref().ok_or("what was observed was too large to be kept in the record")?;
    let observed: O = serde_json::from_value(observed.clone())
        .map_err(|err| format!("what was observed cannot be read by this Lifeboat: {err}"))?;
    if let Err(pointer) = observed.is_asked(request) {
        return Err(format!(
            "what was decided by is not what was asked for: they differ in {pointer} of the intent"
        ));
    }
    let by = O::By::from_plan(plan).ok_or("the plan that it was decided by is not in the evidence")?;
    let decision = observed.decide(by);
    let Decided { decision: value, .. } = Decided::of(&observed, &decision);
    Ok(Again { decision: value, ruling: O::ruling(&decision) })
}

/// Whether the request says the same at `pointer`, where an absent field is what its type makes of `null` or its default.
fn same<T: DeserializeOwned + PartialEq>(
    request: &Value,
    pointer: &'static str,
    here: &T,
) -> Result<(), &'static str> {
    let there = request.pointer(pointer).cloned().unwrap_or_default();
    match serde_json::from_value::<T>(there) {
        Ok(there) if there == *here => Ok(()),
        _ => Err(pointer),
    }
}
