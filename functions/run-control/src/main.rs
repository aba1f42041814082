//! The run-control Lambda: wiring only.

use lifeboat_runtime::{Context, load_config, now, serve};
use run_control::{Executions, Orchestrator, Signer, handle};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = load_config().await;
    let context = Context::from_env(&config)?;
    let orchestrator = Orchestrator::from_env()?;
    let executions = Executions { sfn: aws_sdk_sfn::Client::new(&config) };
    let signer = Signer::from_env(&config)?;
    serve(async |payload: Value, id: String| {
        let closes = payload["action"].get("close").is_some();
        let handler = |request| handle(&context, &executions, &signer, &orchestrator, now, request);
        match closes {
            true => context.closing_step(payload, &id, handler).await,
            false => context.step(payload, &id, handler).await,
        }
    })
    .await
}
