//! The call to Step Functions.

use aws_sdk_sfn::Client;
use lifeboat_rules::StepError;
use lifeboat_runtime::aws_error;
use serde_json::Value;

/// The state machine.
#[derive(Clone, Debug)]
pub struct StateMachine {
    /// Step Functions in the recovery Region.
    pub sfn: Client,
    /// The state machine's ARN.
    pub arn: String,
}

impl StateMachine {
    /// Starts an execution; `false` where one of that name exists.
    pub async fn start(&self, name: &str, input: &Value) -> Result<bool, StepError> {
        let sent = self
            .sfn
            .start_execution()
            .state_machine_arn(&self.arn)
            .name(name)
            .input(input.to_string())
            .send()
            .await;
        match sent {
            Ok(_) => Ok(true),
            Err(err) if err.as_service_error().is_some_and(|err| err.is_execution_already_exists()) => {
                Ok(false)
            }
            Err(err) => Err(aws_error(format!("start the execution {name}"), err)),
        }
    }
}
