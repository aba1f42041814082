//! `lifeboat plan schema`: the form of a plan, for editors.

use lifeboat_rules::Plan;
use serde_json::json;

use crate::output::Report;

pub(crate) fn run() -> Report {
    let schema = Plan::schema();
    Report { text: Some(format!("{schema:#}\n")), json: json!({ "schema": schema }), ..Report::default() }
}
