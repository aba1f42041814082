//! The signature under a decision: a request for STS that says whose it is, with the decision's digest in a signed header.

use std::time::SystemTime;

use aws_config::SdkConfig;
use aws_sdk_s3::config::ProvideCredentials as _;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use lifeboat_rules::evidence::sha256;
use run_control::{CONTENT_TYPE, DECISION_HEADER, GET_CALLER_IDENTITY, Proof, Submission};

/// Why a decision could not be signed.
pub type Unsigned = Box<dyn std::error::Error + Send + Sync>;

/// Signs the text of a decision, for STS in `region`. STS takes the signature for a quarter of an hour.
///
/// # Errors
/// Where there are no credentials.
pub async fn submission(config: &SdkConfig, region: &str, text: &str) -> Result<Submission, Unsigned> {
    let provider = config.credentials_provider().ok_or("no credentials are configured")?;
    let credentials = provider.provide_credentials().await?;
    let token = credentials.session_token().map(str::to_owned);
    let identity = credentials.into();
    let url = endpoint(config, region);
    let host = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest).trim_end_matches('/').to_owned();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("sts")
        .time(now())
        .settings(SigningSettings::default())
        .build()?
        .into();
    let digest = sha256(text.as_bytes());
    let headers =
        [("host", host.as_str()), ("content-type", CONTENT_TYPE), (DECISION_HEADER, digest.as_str())];
    let body = SignableBody::Bytes(GET_CALLER_IDENTITY.as_bytes());
    let request =
        SignableRequest::new("POST", format!("{}/", url.trim_end_matches('/')), headers.into_iter(), body);
    let (instructions, _) = sign(request?, &params)?.into_parts();
    let header = |name: &str| {
        let of_name = |(found, _): &(&str, &str)| found.eq_ignore_ascii_case(name);
        instructions.headers().find(of_name).map(|(_, value)| value.to_owned())
    };
    let (Some(authorization), Some(date)) = (header("authorization"), header("x-amz-date")) else {
        return Err("a signature without its headers".into());
    };
    Ok(Submission { decision: text.to_owned(), proof: Proof { host, authorization, date, token } })
}

/// STS in `region`; what is configured instead of AWS, where something is.
fn endpoint(config: &SdkConfig, region: &str) -> String {
    let own = std::env::var("AWS_ENDPOINT_URL_STS").ok().or_else(|| config.endpoint_url().map(str::to_owned));
    own.unwrap_or_else(|| format!("https://sts.{region}.amazonaws.com"))
}

#[expect(clippy::disallowed_methods, reason = "a signature is of its moment")]
fn now() -> SystemTime {
    SystemTime::now()
}
