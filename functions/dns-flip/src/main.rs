//! The dns-flip Lambda: wiring only.

use dns_flip::{Asker, Zone, handle};
use lifeboat_runtime::{Context, load_config, now, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = load_config().await;
    let context = Context::from_env(&config)?;
    let zone = Zone { route53: aws_sdk_route53::Client::new(&config) };
    let asker = Asker::new(&std::env::var("DNS_SERVER").unwrap_or_default())?;
    serve(async |payload, id: String| {
        context.step(payload, &id, |request| handle(&context, &zone, &asker, now, request)).await
    })
    .await
}
