//! What is due to regulators after the run, by the plan that it was run under.

use lifeboat_rules::Plan;
use lifeboat_rules::evidence::sha256;
use lifeboat_rules::notices::{NO_ADVICE, Notice, notices};
use serde::Serialize;

use crate::report::facts::Facts;

/// Empty where the plan asks for no clock, or the outage was not confirmed.
#[derive(Debug, Serialize)]
pub(crate) struct Notices {
    pub(crate) no_advice: &'static str,
    pub(crate) notices: Vec<Notice>,
}

pub(super) fn of(facts: &Facts) -> Notices {
    let found = facts.manifest.as_ref().and_then(|manifest| Some(notices(&plan(facts)?, manifest)));
    Notices { no_advice: NO_ADVICE, notices: found.unwrap_or_default() }
}

/// The plan that the run was admitted under, which it has left.
fn plan(facts: &Facts) -> Option<Plan> {
    let admitted = facts.manifest.as_ref()?.admitted.as_ref()?;
    let bytes = facts.left.values().find(|bytes| sha256(bytes) == admitted.plan.sha256)?;
    Plan::from_json(bytes).ok()
}
