//! The health-check Lambda: wiring only.

use health_check::{Alarm, Scheduled, handle, probe_on_schedule};
use lifeboat_runtime::{Context, load_config, now, parse, required_env, serve};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = load_config().await;
    let context = Context::from_env(&config)?;
    let alarm = Alarm {
        cloudwatch: aws_sdk_cloudwatch::Client::new(&config),
        name: required_env("ALARM_NAME")?,
        namespace: required_env("METRIC_NAMESPACE")?,
    };
    let plan_key = required_env("PLAN_KEY")?;
    // Probes go straight to the address in the plan, and a redirect is an answer, not a way.
    let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build()?;
    serve(async |payload: Value, id: String| {
        if payload.get("step").is_some() {
            return context.step(payload, &id, |request| handle(&context, &alarm, &http, now, request)).await;
        }
        let scheduled: Scheduled = parse(payload)?;
        probe_on_schedule(&context, &alarm, &http, now, &plan_key, scheduled).await
    })
    .await
}
