use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use lifeboat_rules::{ErrorName, StepError};

/// One call, with its retries, ends well before the shortest function timeout (15 s).
const OPERATION_SECONDS_MAX: u64 = 12;
/// One attempt of a call.
const ATTEMPT_SECONDS_MAX: u64 = 4;
/// Attempts of one call, the first included. Step Functions retries on top of it.
const ATTEMPTS_MAX: u32 = 3;

/// The SDK's configuration for every client: from the environment, with retries and time limits said once.
pub async fn load_config() -> SdkConfig {
    aws_config::defaults(aws_config::BehaviorVersion::latest())
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS_MAX))
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(Duration::from_secs(2))
                .operation_attempt_timeout(Duration::from_secs(ATTEMPT_SECONDS_MAX))
                .operation_timeout(Duration::from_secs(OPERATION_SECONDS_MAX))
                .build(),
        )
        .load()
        .await
}

/// An environment variable that the deployment sets.
///
/// # Errors
/// `Defect` where it is missing or empty.
pub fn required_env(name: &str) -> Result<String, StepError> {
    std::env::var(name).ok().filter(|value| !value.is_empty()).ok_or_else(|| {
        StepError::new(
            ErrorName::Defect,
            format!(
                "environment variable {name} is not set; the function was not deployed by orchestrator.yaml"
            ),
        )
    })
}
