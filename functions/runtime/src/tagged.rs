//! Objects that change: read with their entity tag, replaced with `If-Match`.
//!
//! Of two replacements that saw the same object the store lets one win
//! (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html>).

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use jiff::Timestamp;
use lifeboat_rules::{ErrorName, StepError};

use crate::error::aws_error;
use crate::store::{AnswerDate, CONFLICT_TRIES_MAX, Store};

/// An object, and which one it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tagged {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Its entity tag, as `If-Match` wants it.
    pub etag: String,
    /// When it was stored, by the store's clock.
    pub stored_at: Timestamp,
    /// When the store said so, by the same clock; `None` where its answer had no readable `Date`.
    pub read_at: Option<Timestamp>,
}

/// What came of replacing an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replace {
    /// It holds the given bytes, by this put or by an earlier one whose answer was lost.
    Replaced,
    /// It is another one than was seen, which is this; `None` where it is gone.
    Differs(Option<Tagged>),
}

impl Store {
    /// Reads an object with its tag, `None` where there is none.
    ///
    /// # Errors
    /// As [`aws_error`]; `Transient` where the store did not say which object it is.
    pub async fn get_tagged(&self, bucket: &str, key: &str) -> Result<Option<Tagged>, StepError> {
        let what = || format!("read s3://{bucket}/{key}");
        let date = AnswerDate::default();
        let sent =
            self.s3.get_object().bucket(bucket).key(key).customize().interceptor(date.clone()).send().await;
        let answer = match sent {
            Ok(answer) => answer,
            Err(SdkError::ServiceError(err)) if err.err().code() == Some("NoSuchKey") => return Ok(None),
            Err(err) => return Err(aws_error(what(), err)),
        };
        let named = answer.e_tag().map(str::to_owned);
        let stored =
            answer.last_modified().and_then(|at| Timestamp::from_millisecond(at.to_millis().ok()?).ok());
        let (Some(etag), Some(stored_at)) = (named, stored) else {
            return Err(StepError::new(ErrorName::Transient, format!("{}: an incomplete answer", what())));
        };
        let body = answer
            .body
            .collect()
            .await
            .map_err(|err| StepError::caused(ErrorName::Transient, what(), err))?;
        Ok(Some(Tagged { bytes: body.to_vec(), etag, stored_at, read_at: date.take() }))
    }

    /// Replaces the object that has the tag `etag`, and reads back what is there where it is another one by now.
    ///
    /// # Errors
    /// As [`aws_error`]; after a `Transient` the outcome is unknown, and the same call again is safe.
    pub async fn replace(
        &self,
        bucket: &str,
        key: &str,
        etag: &str,
        bytes: &[u8],
    ) -> Result<Replace, StepError> {
        let what = || format!("replace s3://{bucket}/{key}");
        for _ in 0..CONFLICT_TRIES_MAX {
            let sent = self
                .s3
                .put_object()
                .bucket(bucket)
                .key(key)
                .if_match(etag)
                .content_type("application/json")
                .body(ByteStream::from(bytes.to_vec()))
                .send()
                .await;
            match sent {
                Ok(_) => return Ok(Replace::Replaced),
                // 404: there is nothing to replace.
                Err(SdkError::ServiceError(err)) if matches!(err.raw().status().as_u16(), 404 | 412) => {
                    if err.err().code() == Some("NoSuchBucket") {
                        return Err(aws_error(what(), SdkError::ServiceError(err)));
                    }
                    let found = self.get_tagged(bucket, key).await?;
                    let mine = found.as_ref().is_some_and(|found| found.bytes == bytes);
                    return Ok(if mine { Replace::Replaced } else { Replace::Differs(found) });
                }
                Err(SdkError::ServiceError(err))
                    if err.err().code() == Some("ConditionalRequestConflict") => {}
                Err(err) => return Err(aws_error(what(), err)),
            }
        }
        Err(StepError::new(
            ErrorName::Transient,
            format!("{}: conflicting writes, {CONFLICT_TRIES_MAX} times", what()),
        ))
    }
}
