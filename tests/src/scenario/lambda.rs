//! Calls the deployed Lambdas as Scheduler, SNS, EventBridge and Step Functions do: by name, with a payload.

use aws_sdk_lambda::primitives::Blob;
use serde_json::{Value, json};

use super::file::{AlarmState, Form};
use crate::drill::Stage;
use crate::world::error::{Doing as _, WorldError};
use crate::world::{ACCOUNT, World};

/// Invokes `function` of the plan and waits for its answer: the result, or the name and message of its error.
///
/// # Errors
/// Where it could not be invoked, or answered with no JSON.
pub async fn invoke(
    world: &World,
    function: &str,
    payload: &Value,
) -> Result<Result<Value, String>, WorldError> {
    let what = || format!("invoke {function}");
    let invoked = world
        .clients(world.recovery())
        .lambda
        .invoke()
        .function_name(format!("lifeboat-aex-{function}"))
        .payload(Blob::new(payload.to_string()))
        .send()
        .await
        .doing(what)?;
    let answer = invoked.payload().map_or(&b"null"[..], |payload| payload.as_ref());
    let answer: Value = serde_json::from_slice(answer).doing(what)?;
    Ok(if invoked.function_error().is_some() {
        Err(answer["errorType"].as_str().unwrap_or("an error without a name").to_owned())
    } else {
        Ok(answer)
    })
}

/// What alarm-trigger is given when the plan's alarm goes to `state` at `at`.
pub fn news(stage: &Stage, world: &World, form: Form, state: AlarmState, at: jiff::Timestamp) -> Value {
    let (alarm, region, state) = (&stage.alarm, world.recovery(), state.as_str());
    let arn = format!("arn:aws:cloudwatch:{region}:{ACCOUNT}:alarm:{alarm}");
    let at = at.strftime("%Y-%m-%dT%H:%M:%S%.3f+0000").to_string();
    let reason = "Threshold Crossed";
    match form {
        Form::Sns => {
            let message = json!({
                "AlarmName": alarm, "AlarmArn": arn, "AWSAccountId": ACCOUNT, "Region": region,
                "NewStateValue": state, "NewStateReason": reason, "StateChangeTime": at, "OldStateValue": "INSUFFICIENT_DATA",
            });
            json!({ "Records": [{ "EventSource": "aws:sns", "Sns": { "Type": "Notification", "Message": message.to_string() } }] })
        }
        Form::Direct => json!({
            "source": "aws.cloudwatch", "alarmArn": arn, "accountId": ACCOUNT, "time": at, "region": region,
            "alarmData": { "alarmName": alarm, "state": { "value": state, "reason": reason, "timestamp": at } },
        }),
        Form::Eventbridge => json!({
            "version": "0", "source": "aws.cloudwatch", "detail-type": "CloudWatch Alarm State Change",
            "account": ACCOUNT, "time": at, "region": region, "resources": [arn],
            "detail": { "alarmName": alarm, "state": { "value": state, "reason": reason, "timestamp": at } },
        }),
    }
}
