//! The plan as the Lambdas have it: in the control bucket, by its name.

use lifeboat_rules::Plan;
use lifeboat_rules::plan::Record;
use lifeboat_runtime::{Context, Store};

use crate::aws;
use crate::exit::Exit;
use crate::failure::Failure;

/// The key of a plan in the control bucket.
pub(crate) fn plan_key(name: &str) -> String {
    format!("plan/{name}.json")
}

/// Reads an uploaded plan.
pub(crate) async fn uploaded(store: &Store, control: &str, name: &str) -> Result<Plan, Failure> {
    let key = plan_key(name);
    let what = || format!("could not read the plan s3://{control}/{key}");
    let bytes = store.get(control, &key, None).await.map_err(|error| aws::step_failure(what(), &error))?;
    let bytes = bytes.ok_or_else(|| no_such_plan(control, &key))?;
    Context::read_plan(&bytes).map_err(|error| aws::step_failure(what(), &error))
}

/// Every record that an uploaded plan moves, those by rules too.
pub(crate) async fn records(store: &Store, control: &str, plan: &Plan) -> Result<Vec<Record>, Failure> {
    lifeboat_runtime::records(store, control, plan).await.map_err(|error| {
        let what = format!("could not read the names of the plan {} in s3://{control}", plan.name);
        aws::step_failure(what, &error)
    })
}

pub(crate) fn no_such_plan(control: &str, key: &str) -> Failure {
    Failure::new(
        Exit::NoInput,
        format!("there is no plan s3://{control}/{key}"),
        "store it with `lifeboat plan upload FILE`, or check --plan and --control-bucket",
    )
}
