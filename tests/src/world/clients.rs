//! SDK clients for one Region of the local world.

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider};

use std::time::Duration;

/// The emulator takes any key; these are the ones that everybody uses with it.
pub const ACCESS_KEY: &str = "test";
/// The secret that goes with it.
pub const SECRET_KEY: &str = "test";
/// The account that the emulator gives to these keys.
pub const ACCOUNT: &str = "000000000000";

/// Clients of one Region. None of them reads the environment or a profile: a person's own account is never touched.
#[derive(Debug, Clone)]
pub struct Clients {
    /// For a client of a service that is not below: `aws_sdk_x::Client::new(&clients.config)`.
    pub config: SdkConfig,
    /// The Region.
    pub region: String,
    /// CloudFormation.
    pub cloudformation: aws_sdk_cloudformation::Client,
    /// CloudWatch.
    pub cloudwatch: aws_sdk_cloudwatch::Client,
    /// ECS.
    pub ecs: aws_sdk_ecs::Client,
    /// Lambda.
    pub lambda: aws_sdk_lambda::Client,
    /// Route 53.
    pub route53: aws_sdk_route53::Client,
    /// S3, by path style: the emulator has one name for all buckets.
    pub s3: aws_sdk_s3::Client,
    /// Step Functions.
    pub sfn: aws_sdk_sfn::Client,
}

impl Clients {
    /// Clients that call `endpoint` and sign for `region`.
    pub fn new(endpoint: &str, region: &str) -> Self {
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(endpoint)
            .region(Region::new(region.to_owned()))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
                ACCESS_KEY,
                SECRET_KEY,
                None,
                None,
                "local world",
            )))
            // On loopback a retry hides a fault that a test wants to see; two tries forgive a dropped connection.
            .retry_config(RetryConfig::standard().with_max_attempts(2))
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(Duration::from_secs(2))
                    .operation_timeout(Duration::from_secs(60))
                    .build(),
            )
            .build();
        Self::of(config)
    }

    /// Clients of this configuration.
    pub fn of(config: SdkConfig) -> Self {
        let region = config.region().map(ToString::to_string).unwrap_or_default();
        let s3 = aws_sdk_s3::config::Builder::from(&config).force_path_style(true).build();
        Self {
            region,
            cloudformation: aws_sdk_cloudformation::Client::new(&config),
            cloudwatch: aws_sdk_cloudwatch::Client::new(&config),
            ecs: aws_sdk_ecs::Client::new(&config),
            lambda: aws_sdk_lambda::Client::new(&config),
            route53: aws_sdk_route53::Client::new(&config),
            s3: aws_sdk_s3::Client::from_conf(s3),
            sfn: aws_sdk_sfn::Client::new(&config),
            config,
        }
    }
}
