//! The evidence of the `records` strategy: every batch whole, left before it is sent, and after it what came of each.
//!
//! A batch that was left and is in no list of what came of them was about to be sent when its call was cut off.

use jiff::Timestamp;
use lifeboat_rules::dns::Change;
use lifeboat_rules::dns::records::Batch;
use lifeboat_rules::{ErrorName, Step, StepError};
use lifeboat_runtime::{Context, Left};
use serde::{Deserialize, Serialize};

use crate::aws::{Accepted, Rejected, Zone};

/// Where evidence goes, and beside the records of which step.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// The buckets.
    pub context: &'a Context,
    /// The attempt that moves the traffic.
    pub step: &'a Step,
    /// The clock of whoever sends.
    pub now: fn() -> Timestamp,
}

/// A batch, whole, as it is left before it is sent: what it deletes is what the zone held before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sending {
    /// The zone's id.
    pub zone_id: String,
    /// The comment that the change bears in Route 53.
    pub comment: String,
    /// The batch's number, from 1.
    pub index: usize,
    /// How many batches there are.
    pub of: usize,
    /// The changes to the letter, the fence's own among them.
    pub changes: Vec<Change>,
}

/// A batch that was sent, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// The batch itself, a [`Sending`].
    pub batch: Left,
    /// Its number, from 1.
    pub index: usize,
    /// How many batches there are.
    pub of: usize,
    /// When it was sent, by the sender's clock.
    pub sent_at: Timestamp,
    /// When the answer came, or none was waited for any longer, by the sender's clock.
    pub answered_at: Timestamp,
    /// What Route 53 said.
    pub answer: Answered,
}

/// What Route 53 said of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answered {
    /// It has taken it.
    Taken(Accepted),
    /// It has refused the whole of it, and why, with the id of the request.
    Refused(String),
    /// Something else, or nothing: the zone's next read tells.
    Unknown {
        /// The error's name.
        error: ErrorName,
        /// What is known of it, with the id of the request where there was an answer.
        message: String,
    },
}

/// What one call has sent.
pub(crate) struct Journal<'a> {
    evidence: Option<Evidence<'a>>,
    sent: Vec<Sent>,
}

impl<'a> Journal<'a> {
    pub(crate) fn new(evidence: Option<Evidence<'a>>) -> Journal<'a> {
        Journal { evidence, sent: Vec::new() }
    }

    /// Leaves a batch, sends it, and notes what came of it.
    ///
    /// # Errors
    /// As [`Context::leave`], and nothing was sent then; as [`Zone::change`].
    pub(crate) async fn send(
        &mut self,
        zone: &Zone,
        zone_id: &str,
        comment: &str,
        batch: &Batch,
    ) -> Result<Result<Accepted, Rejected>, StepError> {
        let Some(Evidence { context, step, now }) = self.evidence else {
            return zone.change(zone_id, comment, &batch.changes).await;
        };
        let (index, of) = (batch.fence.index, batch.fence.of);
        let sending = Sending {
            zone_id: zone_id.to_owned(),
            comment: comment.to_owned(),
            index,
            of,
            changes: batch.changes.clone(),
        };
        let left = context.leave(step, &format!("batch-{index}of{of}"), &sending).await?;
        let sent_at = now();
        let outcome = zone.change(zone_id, comment, &batch.changes).await;
        let answer = match &outcome {
            Ok(Ok(accepted)) => Answered::Taken(accepted.clone()),
            Ok(Err(Rejected(why))) => Answered::Refused(why.clone()),
            Err(error) => Answered::Unknown { error: error.name, message: error.to_string() },
        };
        self.sent.push(Sent { batch: left, index, of, sent_at, answered_at: now(), answer });
        outcome
    }

    /// Leaves what came of each batch; `None` where none was sent, or nothing is left at all.
    ///
    /// # Errors
    /// As [`Context::leave`].
    pub(crate) async fn close(self) -> Result<Option<Left>, StepError> {
        match self.evidence {
            Some(Evidence { context, step, .. }) if !self.sent.is_empty() => {
                Ok(Some(context.leave(step, "batches", &self.sent).await?))
            }
            _ => Ok(None),
        }
    }
}
