//! From JSON, or any document, to a plan.

use serde_json::Value;

use super::{Plan, Problem, shape, validate};

/// Reads and validates a document.
pub(super) fn from_value(mut value: Value) -> Result<Plan, Vec<Problem>> {
    // Malformed parts are replaced by placeholders, so that the rest can still be judged in the same pass.
    let form = shape::mend(&mut value);
    let plan: Plan = serde_json::from_value(value).map_err(|error| {
        // The shape says what serde accepts, and a test holds the two together. If they part, this refuses.
        let mut problems: Vec<Problem> = form.iter().map(|fault| fault.problem.clone()).collect();
        problems.push(Problem::new("", error.to_string()));
        problems
    })?;
    let content = validate::plan(&plan);
    let blurred = |field: &str| form.iter().any(|fault| fault.blurs(field));
    let mut problems: Vec<Problem> = form.iter().map(|fault| fault.problem.clone()).collect();
    problems.extend(content.into_iter().filter(|problem| !blurred(&problem.field)));
    if problems.is_empty() { Ok(plan) } else { Err(problems) }
}

/// Reads and validates JSON.
pub(super) fn from_json(json: &[u8]) -> Result<Plan, Vec<Problem>> {
    let value = serde_json::from_slice(json)
        .map_err(|error| vec![Problem::new("", format!("the plan is not JSON: {error}"))])?;
    let plan = from_value(value)?;
    // A `Value` keeps the last of two equal keys and is silent about it; reading into the type is not.
    serde_json::from_slice::<Plan>(json).map_err(|error| vec![Problem::new("", error.to_string())])?;
    Ok(plan)
}
