//! Reaching AWS as the AWS command line does, and saying what to do when it cannot be reached.

use std::error::Error;
use std::future::Future;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::config::{ProvideCredentials, SharedCredentialsProvider};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use lifeboat_rules::{ErrorName, StepError};

use crate::args::AwsArgs;
use crate::exit::Exit;
use crate::failure::Failure;

const CREDENTIALS: &str = "give them as for the AWS command line: environment, or --profile. For single sign-on: \
                           `aws sso login`, then `eval \"$(aws configure export-credentials --format env)\"`";

const CONNECT_SECONDS_MAX: u64 = 5;
const ATTEMPT_SECONDS_MAX: u64 = 30;
const ATTEMPTS_MAX: u32 = 3;

/// Runs a command that calls AWS.
pub(crate) fn block_on<T>(command: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| no_event_loop(&error))?.block_on(command)
}

/// Runs a command that calls AWS and keeps `threads` processors busy besides.
pub(crate) fn block_on_threads<T>(
    threads: usize,
    command: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build();
    runtime.map_err(|error| no_event_loop(&error))?.block_on(command)
}

fn no_event_loop(error: &std::io::Error) -> Failure {
    let next = "look at its limits (`ulimit -a`)";
    Failure::new(Exit::TryAgain, "this machine gives no event loop", next).because(error)
}

/// How to reach AWS. The Region is the one that was asked for, then `home`, then the configured one: the buckets are
/// where the plan says, whatever Region a person works in by default.
pub(crate) async fn config(args: &AwsArgs, home: Option<&str>) -> Result<SdkConfig, Failure> {
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS_MAX))
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(Duration::from_secs(CONNECT_SECONDS_MAX))
                .operation_attempt_timeout(Duration::from_secs(ATTEMPT_SECONDS_MAX))
                .build(),
        );
    if let Some(region) = args.region.as_deref().or(home) {
        loader = loader.region(Region::new(region.to_owned()));
    }
    if let Some(profile) = &args.profile {
        loader = loader.profile_name(profile);
    }
    let config = loader.load().await;
    if config.region().is_none() {
        let next = "say --region, the plan's recovery Region, or set AWS_REGION";
        return Err(Failure::new(Exit::Refused, "no Region is configured", next));
    }
    // Asked for once and before anything is called: a missing credential is told as such, not as a failed call.
    let what = "no AWS credentials were found";
    let provider =
        config.credentials_provider().ok_or_else(|| Failure::new(Exit::Refused, what, CREDENTIALS))?;
    let credentials = provider
        .provide_credentials()
        .await
        .map_err(|error| Failure::new(Exit::Refused, what, CREDENTIALS).because(&error))?;
    Ok(config.into_builder().credentials_provider(SharedCredentialsProvider::new(credentials)).build())
}

/// A client for S3.
pub(crate) fn s3(config: &SdkConfig) -> Client {
    // An endpoint of one's own seldom resolves a name for each bucket.
    let own_endpoint = config.endpoint_url().is_some() || std::env::var_os("AWS_ENDPOINT_URL_S3").is_some();
    Client::from_conf(aws_sdk_s3::config::Builder::from(config).force_path_style(own_endpoint).build())
}

/// A client for Route 53.
pub(crate) fn route53(config: &SdkConfig) -> aws_sdk_route53::Client {
    aws_sdk_route53::Client::new(config)
}

/// A client for CloudWatch in `region`: an alarm is where it is, whatever Region a person works in.
pub(crate) fn cloudwatch(config: &SdkConfig, region: &str) -> aws_sdk_cloudwatch::Client {
    let region = aws_sdk_cloudwatch::config::Region::new(region.to_owned());
    aws_sdk_cloudwatch::Client::from_conf(
        aws_sdk_cloudwatch::config::Builder::from(config).region(region).build(),
    )
}

/// The state machine's executions.
pub(crate) fn executions(config: &SdkConfig) -> run_control::Executions {
    run_control::Executions { sfn: aws_sdk_sfn::Client::new(config) }
}

/// Whether a conditional put lost to what is there already.
pub(crate) fn exists_already<E>(error: &SdkError<E, HttpResponse>) -> bool {
    error.raw_response().is_some_and(|response| response.status().as_u16() == 412)
}

/// Says what a failed call means and what to do; `what` says what was attempted, and on what.
pub(crate) fn failure<E>(what: String, error: SdkError<E, HttpResponse>) -> Failure
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let status = error.raw_response().map(|response| response.status().as_u16());
    let (exit, next) = match (&error, status) {
        (SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) | SdkError::ResponseError(_), _) => (
            Exit::TryAgain,
            "check the network, --region and AWS_ENDPOINT_URL; the same command again is safe",
        ),
        (_, Some(401 | 403)) => (
            Exit::Refused,
            "ask for the permission that is named, or choose another --profile; a bucket of another account \
             answers like this too",
        ),
        (_, Some(404)) => {
            (Exit::Refused, "check the bucket's name (outputs of the foundation stack) and --region")
        }
        (_, Some(301 | 307 | 400)) => (Exit::Refused, "check --region: the bucket may be in another one"),
        (_, Some(429 | 500..)) => (Exit::TryAgain, "wait a little; the same command again is safe"),
        _ => (Exit::Refused, "see the cause"),
    };
    let code = error.code().map(str::to_owned);
    let message = error.message().map(str::to_owned);
    let failure = Failure::new(exit, what, next);
    match (code, message) {
        (Some(code), Some(message)) => Failure { cause: Some(format!("{code}: {message}")), ..failure },
        _ => failure.because(&error),
    }
}

/// The same for what the Lambdas' own code says.
pub(crate) fn step_failure(what: String, error: &StepError) -> Failure {
    let (exit, next) = match error.name {
        ErrorName::Transient | ErrorName::NotReady => (
            Exit::TryAgain,
            "check the network, --region and AWS_ENDPOINT_URL; the same command again is safe",
        ),
        ErrorName::Fenced => (
            Exit::Halted,
            "somebody newer has acted on this ledger: find out which run it was before anything else is done",
        ),
        ErrorName::PlanInvalid => {
            (Exit::PlanInvalid, "mend the plan, then store it again with `lifeboat plan upload`")
        }
        ErrorName::InputInvalid | ErrorName::Defect => (
            Exit::Refused,
            "check credentials and permissions, the buckets' names and --region; if they are right, the cause is \
             a fault of the log itself or of Lifeboat",
        ),
    };
    Failure::new(exit, what, next).because(error)
}
