//! The run-control Lambda: wiring only.

use lifeboat_runtime::{Context, load_config, now, serve};
use run_control::{Executions, deployed, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = load_config().await;
    let context = Context::from_env(&config)?;
    let deployed = deployed()?;
    let executions = Executions { sfn: aws_sdk_sfn::Client::new(&config) };
    serve(async |payload, id: String| {
        context.step(payload, &id, |request| handle(&context, &executions, &deployed, now, request)).await
    })
    .await
}
