//! Calls a deployed Lambda as SNS does.

use aws_sdk_lambda::primitives::Blob;
use jiff::Timestamp;
use serde_json::json;

use super::Stage;
use crate::world::ACCOUNT;
use crate::world::error::{Doing as _, WorldError};

/// Tells alarm-trigger that the plan's alarm went to `ALARM` at `at`; whether it took it.
///
/// # Errors
/// Where it could not be invoked.
pub async fn tell_trigger(stage: &Stage, at: Timestamp) -> Result<bool, WorldError> {
    let (alarm, region) = (&stage.alarm, &stage.clients.region);
    let message = json!({
        "AlarmName": alarm,
        "AlarmArn": format!("arn:aws:cloudwatch:{region}:{ACCOUNT}:alarm:{alarm}"),
        "AWSAccountId": ACCOUNT,
        "Region": region,
        "NewStateValue": "ALARM",
        "NewStateReason": "Threshold Crossed",
        "StateChangeTime": at.strftime("%Y-%m-%dT%H:%M:%S%.3f+0000").to_string(),
        "OldStateValue": "OK",
    });
    let sns = json!({ "Type": "Notification", "Message": message.to_string() });
    let event = json!({ "Records": [{ "EventSource": "aws:sns", "Sns": sns }] });
    let name = format!("lifeboat-{}-alarm-trigger", stage.plan.name);
    let invoke = stage.clients.lambda.invoke().function_name(&name).payload(Blob::new(event.to_string()));
    let invoked = invoke.send().await.doing(|| format!("invoke {name}"))?;
    Ok(invoked.function_error().is_none())
}
