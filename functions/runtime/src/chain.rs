//! The records of a step: stored once, each naming those before it.

use std::cmp::Reverse;

use futures::{StreamExt, stream};
use jiff::Timestamp;
use lifeboat_rules::evidence::chain::{FIRST, Heads, is_record, read_max};
use lifeboat_rules::evidence::{Phase, Record, prefix, record_key, sha256};
use lifeboat_rules::{Request, Step, StepError};
use serde_json::Value;

use crate::clock;
use crate::serve::Context;
use crate::store::{Listed, Put};

/// Records read at once.
const READS_IN_FLIGHT: usize = 16;
/// Records that one run may leave; a bound against a listing that never ends.
const RECORDS_MAX: usize = 20_000;

/// What both records of a step say.
pub(crate) struct Begun<'a> {
    pub(crate) step: Step,
    epoch: Option<u64>,
    request_id: &'a str,
}

impl<'a> Begun<'a> {
    pub(crate) fn of<A>(request: &Request<A>, request_id: &'a str) -> Begun<'a> {
        let epoch = request.run.as_ref().and_then(|run| run.epoch);
        Begun { step: request.step.clone(), epoch, request_id }
    }
}

impl Context {
    /// Stores the intent of a step, behind all that the run has recorded so far, and returns its digest.
    ///
    /// # Errors
    /// `Transient` where it is not known to be stored; `InputInvalid` where the step names no plan; `Defect`.
    pub(crate) async fn intent(&self, begun: &Begun<'_>, request: Value) -> Result<String, StepError> {
        let action = request["action"].as_object().and_then(|action| action.keys().next());
        let (heads, s3_at) = self.heads(&begun.step, action.map_or("", String::as_str)).await?;
        self.record(begun, Phase::Intent, heads, s3_at, request).await
    }

    /// Stores the outcome of a step, behind its intent.
    ///
    /// # Errors
    /// As [`Context::intent`].
    pub(crate) async fn outcome(
        &self,
        begun: &Begun<'_>,
        body: Value,
        intent: String,
    ) -> Result<String, StepError> {
        self.record(begun, Phase::Outcome, vec![intent], None, body).await
    }

    /// The heads of the run's chain, and S3's clock. One record that cannot be read does not end a failover: it is passed over,
    /// and named by the manifest alone. Where none can be read there is nothing to name, and only what begins a run may do that.
    async fn heads(&self, step: &Step, action: &str) -> Result<(Vec<String>, Option<Timestamp>), StepError> {
        let bucket = &self.evidence_bucket;
        let (records, s3_at) = self.records_of(&prefix(step.plan_name()?, &step.run)).await?;
        let (mut heads, mut unread) = (Heads::default(), None);
        for some in records[..records.len().min(read_max(action))].chunks(READS_IN_FLIGHT) {
            if heads.is_behind(some[0].stored_at) {
                break;
            }
            let reads = stream::iter(some).map(|record| self.store.get(bucket, &record.key, None));
            let read: Vec<_> = reads.buffered(READS_IN_FLIGHT).collect().await;
            for (record, read) in some.iter().zip(read) {
                let gone = || StepError::defect(format!("evidence {} was listed and is gone", record.key));
                match read.and_then(|bytes| bytes.ok_or_else(gone)) {
                    Ok(bytes) => heads.read(record.stored_at, &bytes),
                    Err(err) => {
                        tracing::warn!(key = record.key, "passed over: {err}");
                        unread = Some(err);
                    }
                }
            }
        }
        let found = heads.found();
        match unread {
            Some(err) if found.is_empty() && action != FIRST => Err(err),
            _ => Ok((found, s3_at)),
        }
    }

    /// The records of a run, the newest first, and S3's clock when it had told of all of them.
    async fn records_of(&self, prefix: &str) -> Result<(Vec<Listed>, Option<Timestamp>), StepError> {
        let mut objects: Vec<Listed> = Vec::new();
        loop {
            let after = objects.last().map(|last| last.key.clone());
            // What lies in a folder below the run is no record.
            let page = self.store.page(&self.evidence_bucket, prefix, after.as_deref(), Some("/")).await?;
            // Behind the records, which begin with a year, there are folders and the manifest.
            let more = page.more && !page.objects.is_empty();
            objects.extend(page.objects);
            if objects.len() > RECORDS_MAX {
                return Err(StepError::defect(format!("{prefix} holds more than {RECORDS_MAX} records")));
            }
            if !more {
                objects.retain(|object| object.key.strip_prefix(prefix).is_some_and(is_record));
                objects.sort_by_key(|object| Reverse((object.stored_at, object.key.clone())));
                return Ok((objects, page.read_at));
            }
        }
    }

    /// Stores one record and returns its digest.
    async fn record(
        &self,
        begun: &Begun<'_>,
        phase: Phase,
        previous: Vec<String>,
        s3_at: Option<Timestamp>,
        body: Value,
    ) -> Result<String, StepError> {
        let Begun { step, epoch, request_id } = begun;
        let key = record_key(step, phase, request_id)?;
        let record = Record {
            phase,
            step: step.clone(),
            epoch: *epoch,
            at: clock::now(),
            s3_at,
            request_id: (*request_id).to_owned(),
            previous,
            body,
        };
        let bytes = serde_json::to_vec(&record).expect("a record is strings, numbers and JSON values");
        match self.store.create(&self.evidence_bucket, &key, &bytes).await? {
            Put::Created => Ok(sha256(&bytes)),
            Put::Exists(_) => Err(StepError::defect(format!("evidence {key} exists with other content"))),
        }
    }
}
