//! What the run makes of an answer: read from its evidence, since whoever answers a token is told only that it has arrived.

use std::collections::BTreeSet;
use std::time::Duration;

use lifeboat_rules::approval::Count;
use lifeboat_rules::evidence::{Record, prefix};
use lifeboat_runtime::Store;

use crate::aws;
use crate::exit::Exit;
use crate::failure::Failure;

const LOOK_EVERY: Duration = Duration::from_millis(500);
const LOOKS: u32 = 120;
const RECORDS_MAX: usize = 20_000;

/// A run's records of counts; those that were there before the answer was sent are not read.
pub(super) struct Records<'a> {
    store: &'a Store,
    bucket: &'a str,
    prefix: String,
    before: BTreeSet<String>,
}

impl<'a> Records<'a> {
    pub(super) async fn before(
        store: &'a Store,
        bucket: &'a str,
        plan: &str,
        run: &str,
    ) -> Result<Records<'a>, Failure> {
        let mut records = Records { store, bucket, prefix: prefix(plan, run), before: BTreeSet::new() };
        records.before = records.keys().await?;
        Ok(records)
    }

    async fn keys(&self) -> Result<BTreeSet<String>, Failure> {
        let listed = self
            .store
            .list(self.bucket, &self.prefix, RECORDS_MAX)
            .await
            .map_err(|error| self.unread(&error))?;
        let counts = |key: &String| key.contains("-Count-") && key.ends_with("-outcome.json");
        Ok(listed.into_iter().map(|listed| listed.key).filter(counts).collect())
    }

    /// What the run makes of a decision, once it has counted it.
    pub(super) async fn wait(&self, decision: &str) -> Result<Count, Failure> {
        for _ in 0..LOOKS {
            if let Some(count) = self.find(decision).await? {
                return Ok(count);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let what = "the answer has arrived, and the run has not said within a minute what it makes of it";
        Err(Failure::new(
            Exit::TryAgain,
            what,
            "see with `lifeboat status`; the same answer again does no harm",
        ))
    }

    /// The count of a decision, by its text; none where it is not counted yet. An attempt that failed is tried again by the run.
    pub(super) async fn find(&self, decision: &str) -> Result<Option<Count>, Failure> {
        for key in self.keys().await?.difference(&self.before) {
            let intent = self.record(&key.replace("-outcome.json", "-intent.json")).await?;
            let is_of = |intent: &Record| {
                intent.body["action"]["count"]["submission"]["sent"]["decision"] == decision
            };
            if !intent.as_ref().is_some_and(is_of) {
                continue;
            }
            let outcome = self.record(key).await?;
            let count =
                outcome.and_then(|outcome| serde_json::from_value(outcome.body["result"].clone()).ok());
            if count.is_some() {
                return Ok(count);
            }
        }
        Ok(None)
    }

    async fn record(&self, key: &str) -> Result<Option<Record>, Failure> {
        let bytes = self.store.get(self.bucket, key, None).await.map_err(|error| self.unread(&error))?;
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    fn unread(&self, error: &lifeboat_rules::StepError) -> Failure {
        aws::step_failure(
            format!("could not read the records of s3://{}/{}", self.bucket, self.prefix),
            error,
        )
    }
}
