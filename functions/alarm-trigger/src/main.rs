//! The alarm-trigger Lambda: wiring only.

use alarm_trigger::{StateMachine, check_arn, handle};
use lifeboat_runtime::{load_config, required_env, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let machine = StateMachine {
        sfn: aws_sdk_sfn::Client::new(&load_config().await),
        arn: check_arn(required_env("STATE_MACHINE_ARN")?)?,
    };
    let plan_key = required_env("PLAN_KEY")?;
    serve(async |payload, _id| handle(&machine, &plan_key, payload).await).await
}
