//! The run-control Lambda: wiring only.

use lifeboat_runtime::{Context, load_config, now, serve};
use run_control::handle;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let context = Context::from_env(&load_config().await)?;
    serve(async |payload, id: String| {
        context.step(payload, &id, |request| handle(&context, now, request)).await
    })
    .await
}
