//! The ledger-verify Lambda: wiring only.

use lifeboat_runtime::{Context, load_config, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let context = Context::from_env(&load_config().await)?;
    serve(async |payload, id: String| {
        context.step(payload, &id, |request| ledger_verify::handle(&context, request)).await
    })
    .await
}
