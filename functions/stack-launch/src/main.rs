//! The stack-launch Lambda: wiring only.

use lifeboat_runtime::{Context, load_config, now, required_env, serve};
use stack_launch::{Stacks, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = load_config().await;
    let context = Context::from_env(&config)?;
    let stacks = Stacks {
        cloudformation: aws_sdk_cloudformation::Client::new(&config),
        control_bucket: context.control_bucket.clone(),
        region: required_env("AWS_REGION")?,
        role_arn: required_env("STACK_ROLE_ARN").ok(),
    };
    serve(async |payload, id: String| {
        context.step(payload, &id, |request| handle(&context, &stacks, now, request)).await
    })
    .await
}
