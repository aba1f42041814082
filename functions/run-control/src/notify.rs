//! Telling people, by SNS. A text that cannot be sent stops no run and holds none up for long: why nobody was told is in the
//! answer, and in the log.

use std::time::Duration;

use aws_sdk_sns::Client;
use aws_sdk_sns::error::DisplayErrorContext;
use jiff::Timestamp;
use lifeboat_rules::notification::{Notification, Text};

/// All attempts at one text together, in seconds. A function that closes a run (its own timeout is 30 s) may have waited for
/// its signature before.
const TELL_SECONDS_MAX: u64 = 3;

/// A topic that people have subscribed to.
#[derive(Clone, Debug)]
pub struct Topic {
    /// SNS in the recovery Region.
    pub sns: Client,
    /// The topic's ARN.
    pub arn: String,
}

impl Topic {
    /// Reads the topic's ARN from the environment that `orchestrator.yaml` sets; `None` where it is empty or not set, and then
    /// no call is made.
    pub fn from_env(config: &aws_config::SdkConfig) -> Option<Topic> {
        let arn = std::env::var("NOTIFY_TOPIC_ARN").ok().filter(|arn| !arn.is_empty())?;
        Some(Topic { sns: Client::new(config), arn })
    }
}

/// Tells people, and returns why they were not told, where they were not. A step that is called again tells again.
pub async fn notify(
    topic: Option<&Topic>,
    notification: &Notification<'_>,
    now: Timestamp,
) -> Option<String> {
    let Topic { sns, arn } = topic?;
    let Text { subject, message } = notification.text(now);
    let sending = sns.publish().topic_arn(arn).subject(&subject).message(message).send();
    let why = match tokio::time::timeout(Duration::from_secs(TELL_SECONDS_MAX), sending).await {
        Ok(Ok(_)) => return None,
        Ok(Err(err)) => DisplayErrorContext(err).to_string(),
        Err(_) => format!("no answer in {TELL_SECONDS_MAX} s"),
    };
    tracing::error!("{subject}: {arn} was not told: {why}");
    Some(format!("{arn} was not told of it: {why}"))
}
