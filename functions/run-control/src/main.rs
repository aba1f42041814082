//! The run-control Lambda: wiring only.

use lifeboat_runtime::{Context, load_config, now, serve};
use run_control::{Control, Executions, Identities, Orchestrator, Private, Signer, handle};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = load_config().await;
    let context = Context::from_env(&config)?;
    let control = Control {
        executions: Executions { sfn: aws_sdk_sfn::Client::new(&config) },
        signer: Signer::from_env(&config)?,
        identities: Identities::new(&config),
        orchestrator: Orchestrator::from_env(&config)?,
    };
    serve(async |mut payload: Value, id: String| {
        let closes = payload["action"].get("close").is_some();
        let private = Private::take(&mut payload);
        let handler = |request| handle(&context, &control, now, private, request);
        match closes {
            true => context.closing_step(payload, &id, handler).await,
            false => context.step(payload, &id, handler).await,
        }
    })
    .await
}
