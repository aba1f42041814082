//! The dns-flip Lambda, deployed as dns-flip and as dns-ask: wiring only.

use dns_flip::{Asker, Gate, Mover, Scheduled, Zone, handle, keep_on_schedule};
use lifeboat_runtime::{Context, load_config, now, parse, required_env, serve};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = load_config().await;
    let context = Context::from_env(&config)?;
    let plan_key = required_env("PLAN_KEY")?;
    let zone = Zone::new(aws_sdk_route53::Client::new(&config));
    let gate = Gate { cloudwatch: aws_sdk_cloudwatch::Client::new(&config) };
    let Context { store, control_bucket, .. } = &context;
    let mover = Mover { store, control_bucket, zone: &zone, gate: &gate, evidence: None };
    let asker = Asker::new(&std::env::var("DNS_SERVER").unwrap_or_default())?;
    serve(async |payload: Value, id: String| {
        if payload.get("step").is_some() {
            let act = |request| handle(&context, mover, &asker, now, request);
            return context.step(payload, &id, act).await;
        }
        let Scheduled { .. } = parse(payload)?;
        let kept = keep_on_schedule(mover, &plan_key).await?;
        Ok(serde_json::to_value(kept).expect("strings and numbers always serialise"))
    })
    .await
}
