//! The log's bucket. Every call is bounded in time and made once: whoever calls decides what an unknown outcome means.

use std::borrow::Cow;
use std::error::Error;
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use lifeboat_ledger::decode::decoded;
use lifeboat_ledger::slot;

/// The largest segment that is decoded, in bytes: a commit is far smaller.
const SEGMENT_BYTES_MAX: usize = 256 << 20;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const CALL_TIMEOUT: Duration = Duration::from_secs(4);
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The configuration of both SDK clients. The SDK's own retries are off: a put must be tried again for as long as it
/// takes and judged by its outcome, which [`crate::commit`] does in plain sight.
pub async fn sdk_config(region: &str) -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(CALL_TIMEOUT)
        .operation_timeout(CALL_TIMEOUT)
        .build();
    aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new(region.to_owned()))
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts)
        .load()
        .await
}

/// The log's bucket.
#[derive(Clone, Debug)]
pub struct Store {
    client: Client,
    bucket: String,
    prefix: String,
}

/// What became of a conditional put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Put {
    /// The slot was free and is ours.
    Stored,
    /// The slot is taken, by whatever a read of it shows.
    Taken,
    /// 409, an error or no answer: stored or not, nobody knows. The same put again will tell.
    Unknown(String),
}

/// A call that did not succeed. It says nothing about what the bucket holds.
#[derive(Debug, thiserror::Error)]
#[error("{call}: {detail}")]
pub struct StoreError {
    call: String,
    detail: String,
}

impl Store {
    /// The bucket, reached by path where `config` names an endpoint of its own.
    pub fn new(config: &SdkConfig, bucket: impl Into<String>, prefix: impl Into<String>) -> Store {
        let by_path = config.endpoint_url().is_some();
        let client =
            Client::from_conf(aws_sdk_s3::config::Builder::from(config).force_path_style(by_path).build());
        Store { client, bucket: bucket.into(), prefix: prefix.into() }
    }

    /// The prefix of the log's keys.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Puts `bytes` at `key` if nothing is there.
    pub async fn put(&self, key: &str, bytes: Vec<u8>) -> Put {
        let put = self.client.put_object().bucket(&self.bucket).key(key).if_none_match("*");
        match put.body(ByteStream::from(bytes)).content_type("application/x-ndjson").send().await {
            Ok(_) => Put::Stored,
            Err(err) if status(&err) == Some(412) => Put::Taken,
            Err(err) => Put::Unknown(detail(&err)),
        }
    }

    /// The lines in the slot `first_seq` of `stream`, if there is an object. One that is compressed is decoded; one that does
    /// not decode is handed on as it is, and whoever reads its first line finds that it is no entry.
    ///
    /// # Errors
    /// The bucket did not say.
    pub async fn segment(&self, stream: &str, first_seq: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let key = slot::key(&self.prefix, stream, first_seq);
        let failed = |detail: String| StoreError { call: format!("get {key}"), detail };
        let object = match self.client.get_object().bucket(&self.bucket).key(&key).send().await {
            Ok(object) => object,
            Err(err) if err.code() == Some("NoSuchKey") => return Ok(None),
            Err(err) => return Err(failed(detail(&err))),
        };
        match tokio::time::timeout(BODY_TIMEOUT, object.body.collect()).await {
            Ok(Ok(body)) => {
                let bytes = body.to_vec();
                Ok(Some(decoded(&bytes, SEGMENT_BYTES_MAX).map(Cow::into_owned).unwrap_or(bytes)))
            }
            Ok(Err(err)) => Err(failed(err.to_string())),
            Err(_) => Err(failed(format!("the body took longer than {BODY_TIMEOUT:?}"))),
        }
    }

    /// The slots of `stream` that are taken from `from_seq` on, in order, at most a page of them.
    ///
    /// # Errors
    /// The bucket did not say.
    pub async fn slots(&self, stream: &str, from_seq: u64) -> Result<Vec<u64>, StoreError> {
        let under = slot::stream_prefix(&self.prefix, stream);
        let before = (from_seq > 1).then(|| slot::key(&self.prefix, stream, from_seq - 1));
        let keys = self.list(&under, before).await?;
        Ok(keys.iter().filter_map(|key| slot::parse(&self.prefix, key)).map(|(_, seq)| seq).collect())
    }

    /// The newest epoch that has a fence object, if it is newer than `seen`.
    ///
    /// # Errors
    /// The bucket did not say.
    pub async fn fence_after(&self, seen: u64) -> Result<Option<u64>, StoreError> {
        let keys = self.list(slot::FENCE_PREFIX, Some(slot::fence_key(seen))).await?;
        Ok(keys.iter().filter_map(|key| slot::parse_fence(key)).max())
    }

    async fn list(&self, under: &str, after: Option<String>) -> Result<Vec<String>, StoreError> {
        let list = self.client.list_objects_v2().bucket(&self.bucket).prefix(under).set_start_after(after);
        let page = list
            .send()
            .await
            .map_err(|err| StoreError { call: format!("list {under}"), detail: detail(&err) })?;
        Ok(page.contents().iter().filter_map(|object| object.key().map(String::from)).collect())
    }
}

fn status<E>(err: &SdkError<E>) -> Option<u16> {
    err.raw_response().map(|response| response.status().as_u16())
}

/// What went wrong, in one line: the service's own words, or the chain of causes where it never spoke.
pub(crate) fn detail<E: ProvideErrorMetadata + Error + 'static>(err: &SdkError<E>) -> String {
    if let (Some(status), Some(code)) = (status(err), err.code()) {
        return format!("{status} {code}: {}", err.message().unwrap_or_default());
    }
    let causes = std::iter::successors(Some(err as &dyn Error), |cause| (*cause).source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
