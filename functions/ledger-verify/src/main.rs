//! The ledger-verify Lambda: wiring only.

use ledger_verify::checkpoint::{Bounds, Scheduled, extend_on_schedule};
use ledger_verify::{Metrics, handle};
use lifeboat_runtime::{Context, load_config, parse, required_env, serve};
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = load_config().await;
    let context = Context::from_env(&config)?;
    let metrics = Metrics {
        cloudwatch: aws_sdk_cloudwatch::Client::new(&config),
        namespace: required_env("METRIC_NAMESPACE")?,
    };
    let plan_key = required_env("PLAN_KEY")?;
    serve(async |payload: Value, id: String| {
        if payload.get("step").is_some() {
            return context.step(payload, &id, |request| handle(&context, request)).await;
        }
        let Scheduled { action: _ } = parse(payload)?;
        let made_by = format!("ledger-verify on schedule, request {id}");
        let bounds = Bounds::default();
        let extended = extend_on_schedule(&context, &metrics, &plan_key, bounds, &made_by).await?;
        Ok(json!(extended))
    })
    .await
}
