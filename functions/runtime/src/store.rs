//! S3 as this project uses it: objects that are created once, read back, and listed.

use std::sync::{Arc, Mutex};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::{BoxError, ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use jiff::Timestamp;
use lifeboat_rules::{ErrorName, StepError};

use crate::error::aws_error;

/// How often a put is sent again on 409 (another conditional write of the same key was under way).
pub(crate) const CONFLICT_TRIES_MAX: u32 = 5;

/// Object storage.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) s3: Client,
}

/// What came of creating an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Put {
    /// It holds the given bytes, by this put or by an earlier one whose answer was lost.
    Created,
    /// It existed with other bytes, which are these.
    Exists(Vec<u8>),
}

/// One object of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The object's key.
    pub key: String,
    /// When it was stored, by the store's clock.
    pub stored_at: Timestamp,
    /// Its size in bytes.
    pub bytes: u64,
}

/// One page of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The objects, in the order of their keys.
    pub objects: Vec<Listed>,
    /// What the keys that hold the delimiter have in common, up to and with it.
    pub prefixes: Vec<String>,
    /// Whether there is more behind it.
    pub more: bool,
    /// When the store answered, by its own clock; `None` where the answer had no readable `Date`.
    pub read_at: Option<Timestamp>,
}

impl Store {
    /// A store in the Region of `config`.
    pub fn new(config: &aws_config::SdkConfig) -> Store {
        Store { s3: Client::new(config) }
    }

    /// Reads an object, `None` where there is none. The bucket's role needs `ListBucket`, or a missing key reads as 403.
    ///
    /// # Errors
    /// As [`aws_error`].
    pub async fn get(
        &self,
        bucket: &str,
        key: &str,
        version: Option<&str>,
    ) -> Result<Option<Vec<u8>>, StepError> {
        Ok(self.get_versioned(bucket, key, version).await?.map(|(bytes, _)| bytes))
    }

    /// Reads an object and the version that it has.
    ///
    /// # Errors
    /// As [`aws_error`].
    pub async fn get_versioned(
        &self,
        bucket: &str,
        key: &str,
        version: Option<&str>,
    ) -> Result<Option<(Vec<u8>, Option<String>)>, StepError> {
        let what = || format!("read s3://{bucket}/{key}");
        let sent = self
            .s3
            .get_object()
            .bucket(bucket)
            .key(key)
            .set_version_id(version.map(str::to_owned))
            .send()
            .await;
        let answer = match sent {
            Ok(answer) => answer,
            Err(SdkError::ServiceError(err))
                if matches!(err.err().code(), Some("NoSuchKey" | "NoSuchVersion")) =>
            {
                return Ok(None);
            }
            Err(err) => return Err(aws_error(what(), err)),
        };
        let version = answer.version_id().map(str::to_owned);
        let body = answer
            .body
            .collect()
            .await
            .map_err(|err| StepError::caused(ErrorName::Transient, what(), err))?;
        Ok(Some((body.to_vec(), version)))
    }

    /// Begins to read an object of any size, `None` where there is none.
    ///
    /// # Errors
    /// As [`aws_error`].
    pub async fn get_stream(&self, bucket: &str, key: &str) -> Result<Option<Streamed>, StepError> {
        match self.s3.get_object().bucket(bucket).key(key).send().await {
            Ok(answer) => Ok(Some(Streamed {
                what: format!("read s3://{bucket}/{key}"),
                version: answer.version_id().map(str::to_owned),
                body: answer.body,
            })),
            Err(SdkError::ServiceError(err)) if err.err().code() == Some("NoSuchKey") => Ok(None),
            Err(err) => Err(aws_error(format!("read s3://{bucket}/{key}"), err)),
        }
    }

    /// Creates an object, with `If-None-Match: *`, and reads back what is there where it exists.
    ///
    /// # Errors
    /// As [`aws_error`]; after a `Transient` the outcome is unknown, and the same call again is safe.
    pub async fn create(&self, bucket: &str, key: &str, bytes: &[u8]) -> Result<Put, StepError> {
        let what = || format!("create s3://{bucket}/{key}");
        for _ in 0..CONFLICT_TRIES_MAX {
            let sent = self
                .s3
                .put_object()
                .bucket(bucket)
                .key(key)
                .if_none_match("*")
                .content_type(if key.ends_with(".ndjson") {
                    "application/x-ndjson"
                } else {
                    "application/json"
                })
                .body(ByteStream::from(bytes.to_vec()))
                .send()
                .await;
            match sent {
                Ok(_) => return Ok(Put::Created),
                Err(SdkError::ServiceError(err)) if err.raw().status().as_u16() == 412 => {
                    let found = self.get(bucket, key, None).await?.ok_or_else(|| {
                        StepError::new(
                            ErrorName::Transient,
                            format!("{}: it exists, and reading found nothing", what()),
                        )
                    })?;
                    return Ok(if found == bytes { Put::Created } else { Put::Exists(found) });
                }
                Err(SdkError::ServiceError(err))
                    if err.err().code() == Some("ConditionalRequestConflict") =>
                {
                    continue;
                }
                Err(err) => return Err(aws_error(what(), err)),
            }
        }
        Err(StepError::new(
            ErrorName::Transient,
            format!("{}: conflicting writes, {CONFLICT_TRIES_MAX} times", what()),
        ))
    }

    /// All objects below `prefix`, in the order of their keys.
    ///
    /// # Errors
    /// As [`aws_error`]; `Defect` where there are more than `objects_max`.
    pub async fn list(
        &self,
        bucket: &str,
        prefix: &str,
        objects_max: usize,
    ) -> Result<Vec<Listed>, StepError> {
        let mut objects: Vec<Listed> = Vec::new();
        loop {
            let page = self.page(bucket, prefix, objects.last().map(|last| last.key.as_str()), None).await?;
            objects.extend(page.objects);
            if objects.len() > objects_max {
                return Err(StepError::defect(format!(
                    "s3://{bucket}/{prefix} holds more than {objects_max} objects"
                )));
            }
            if !page.more {
                return Ok(objects);
            }
        }
    }

    /// One page of up to 1,000 objects below `prefix` whose keys come after `after`.
    ///
    /// # Errors
    /// As [`aws_error`].
    pub async fn page(
        &self,
        bucket: &str,
        prefix: &str,
        after: Option<&str>,
        delimiter: Option<&str>,
    ) -> Result<Page, StepError> {
        let date = AnswerDate::default();
        let answer = self
            .s3
            .list_objects_v2()
            .bucket(bucket)
            .prefix(prefix)
            .set_start_after(after.map(str::to_owned))
            .set_delimiter(delimiter.map(str::to_owned))
            .customize()
            .interceptor(date.clone())
            .send()
            .await
            .map_err(|err| aws_error(format!("list s3://{bucket}/{prefix}"), err))?;
        let objects = answer
            .contents()
            .iter()
            .map(|object| {
                let listed = || {
                    let stored_at = object.last_modified()?;
                    Some(Listed {
                        key: object.key()?.to_owned(),
                        stored_at: Timestamp::from_millisecond(stored_at.to_millis().ok()?).ok()?,
                        bytes: u64::try_from(object.size()?).ok()?,
                    })
                };
                listed().ok_or_else(|| {
                    StepError::new(
                        ErrorName::Transient,
                        format!("list s3://{bucket}/{prefix}: an incomplete answer"),
                    )
                })
            })
            .collect::<Result<_, _>>()?;
        let prefixes =
            answer.common_prefixes().iter().filter_map(|common| common.prefix()).map(str::to_owned).collect();
        let read_at = date.take();
        Ok(Page { objects, prefixes, more: answer.is_truncated() == Some(true), read_at })
    }
}

/// An object that is being read.
#[derive(Debug)]
pub struct Streamed {
    /// Its version, where the bucket keeps any.
    pub version: Option<String>,
    what: String,
    body: ByteStream,
}

impl Streamed {
    /// Hands on what comes, piece by piece, to the end: no more than a piece is held.
    ///
    /// # Errors
    /// `Transient` where the body ends too early: what was handed on until then is a beginning of the object.
    pub async fn for_each(&mut self, mut take: impl FnMut(&[u8])) -> Result<(), StepError> {
        while let Some(piece) = self.body.next().await {
            let piece =
                piece.map_err(|err| StepError::caused(ErrorName::Transient, self.what.clone(), err))?;
            take(&piece);
        }
        Ok(())
    }
}

/// Keeps the `Date` of an answer: the store's own clock, so that an object's age needs no clock of ours.
#[derive(Clone, Debug, Default)]
pub(crate) struct AnswerDate(Arc<Mutex<Option<Timestamp>>>);

impl AnswerDate {
    /// The date of the answer, once it has come.
    pub(crate) fn take(&self) -> Option<Timestamp> {
        self.0.lock().expect("nothing panics while it holds this lock").take()
    }
}

impl Intercept for AnswerDate {
    fn name(&self) -> &'static str {
        "AnswerDate"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date").and_then(|date| {
            let at =
                aws_smithy_types::DateTime::from_str(date, aws_smithy_types::date_time::Format::HttpDate)
                    .ok()?;
            Timestamp::from_second(at.secs()).ok()
        });
        *self.0.lock().expect("nothing panics while it holds this lock") = date;
        Ok(())
    }
}
