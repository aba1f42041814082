//! The `records` strategy: one batch after the other, each a compare-and-swap.
//!
//! Every batch is left whole as evidence before it is sent, and what came of each behind them ([`crate::journal`]).
//!
//! A call does as many as it has time for and then says `NotReady`; the fence in the zone says where to go on. Success is
//! this epoch's last fence and every record as wanted, in one read.

use std::time::Duration;

use lifeboat_rules::decided::Swapping;
use lifeboat_rules::dns::records::{Batch, apply};
use lifeboat_rules::dns::{Change, Fence, Flip, Found};
use lifeboat_rules::plan::{Record, Side};
use lifeboat_rules::{ErrorName, Plan, StepError};
use lifeboat_runtime::{Left, decide};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::aws::{Rejected, Zone};
use crate::journal::{Evidence, Journal};

/// How long one call goes on before it says `NotReady`, in seconds: a last request (12 s) and a read after it still end
/// before the function's own timeout (60 s), with what is left of both.
const MOVE_SECONDS: u64 = 30;
/// Refusals and failures in a row, without a batch between them, after which a call gives up.
const FAILURES_MAX: u32 = 5;
/// What is waited after the first of them, in milliseconds, and twice as much after each further one.
const FAILURE_WAIT_MILLISECONDS: u64 = 250;
/// Bytes of JSON that an answer spends on each of its two lists, for a person's eyes: all of it is in the evidence.
const TOLD_BYTES_MAX: usize = 2_000;

/// What moving the records has changed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RecordsMoved {
    /// The fence that this call found: another epoch's, whose last batch need not have been put, or this epoch's own.
    pub found: Option<Fence>,
    /// Whether an earlier call of this epoch had begun.
    pub resumed: bool,
    /// How many batches this call has put; none where an earlier one had done it all.
    pub batches: usize,
    /// How many batches there are.
    pub of: usize,
    /// How many records the plan moves.
    pub records: usize,
    /// How many of them this call has changed.
    pub changed: usize,
    /// What the zone held before of what this call has changed: the first of it, where it is much.
    pub before: Vec<Found>,
    /// What this call has changed: the first of it, where it is much.
    pub changes: Vec<Change>,
    /// Where all of it is: a list of [`crate::Sent`], each with its whole batch; `None` where this call has sent none, or
    /// nobody keeps evidence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<Left>,
}

/// What is to come about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Goal<'a> {
    pub(crate) plan: &'a Plan,
    /// Every record that the plan moves.
    pub(crate) records: &'a [Record],
    pub(crate) side: Side,
    pub(crate) epoch: u64,
}

/// Moves every record of the plan to a side, under the fences of an epoch, and leaves what was sent, whatever came of it.
///
/// # Errors
/// `NotReady` where there are batches to go; `Fenced` where a newer epoch has moved them; `Transient`, `PlanInvalid`,
/// `Defect`.
pub(crate) async fn move_records(
    zone: &Zone,
    evidence: Option<Evidence<'_>>,
    goal: Goal<'_>,
) -> Result<RecordsMoved, StepError> {
    let mut journal = Journal::new(evidence);
    let moved = put_batches(zone, &mut journal, goal).await;
    match (moved, journal.close().await) {
        (Ok(moved), left) => Ok(RecordsMoved { left: left?, ..moved }),
        (Err(error), Ok(_)) => Err(error),
        (Err(error), Err(not_left)) => {
            tracing::warn!(
                "what came of the batches could not be left, the batches themselves were: {not_left}"
            );
            Err(error)
        }
    }
}

async fn put_batches(
    zone: &Zone,
    journal: &mut Journal<'_>,
    goal: Goal<'_>,
) -> Result<RecordsMoved, StepError> {
    let Goal { plan, records, side, epoch } = goal;
    let until = Instant::now() + Duration::from_secs(MOVE_SECONDS);
    let comment = format!("lifeboat {} epoch {epoch}", plan.name);
    let (mut progress, mut failures, mut looked_twice) = (Progress::default(), Failures::default(), false);
    let mut seen = Swapping { records: records.to_vec(), side, epoch, found: Vec::new() };
    'read: loop {
        match zone.read(plan, records).await {
            Ok(found) => seen.found = found,
            Err(error) => {
                failures.wait(error, until).await?;
                continue;
            }
        }
        progress.begin(Fence::find(plan, &seen.found)?);
        loop {
            let batch = match decide(plan, &seen)? {
                Flip::Batch(batch) => batch,
                Flip::Done => return Ok(progress.told(records, epoch, Fence::find(plan, &seen.found)?)),
                // A newer run may have begun between the fence's page and the records': a second read tells.
                Flip::Changed(_) if !looked_twice => {
                    looked_twice = true;
                    continue 'read;
                }
                Flip::Changed(changed) => return Err(changed_since(epoch, &changed)),
            };
            // One batch at least in each call, however long the read took: so a slow Route 53 is slow and no standstill.
            if Instant::now() >= until && progress.has_put() {
                let mine = Fence::find(plan, &seen.found)?.filter(|fence| fence.epoch == epoch);
                let (in_place, of) = (mine.map_or(0, |fence| fence.index), batch.fence.of);
                return Err(StepError::not_ready(format!("{in_place} of {of} batches are in place")));
            }
            match journal.send(zone, &plan.dns.zone_id, &comment, &batch).await {
                Ok(Ok(_)) => {
                    failures = Failures::default();
                    apply(&mut seen.found, &batch.changes);
                    let is_last = batch.fence.index == batch.fence.of;
                    progress.put(batch);
                    if is_last && Instant::now() >= until {
                        return Err(StepError::not_ready("all batches are in place, and not yet read back"));
                    }
                    if is_last {
                        continue 'read;
                    }
                }
                // Somebody was faster, or this very batch was applied and its answer was lost: a fresh read tells.
                Ok(Err(Rejected(why))) => {
                    let what = format!("the zone {} is not as it was read: {why}", plan.dns.zone);
                    failures.wait(StepError::new(ErrorName::Transient, what), until).await?;
                    continue 'read;
                }
                Err(error) => {
                    failures.wait(error, until).await?;
                    continue 'read;
                }
            }
        }
    }
}

fn changed_since(epoch: u64, changed: &[String]) -> StepError {
    let mut names = changed.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
    if changed.len() > 5 {
        names += &format!(" and {} more", changed.len() - 5);
    }
    StepError::new(
        ErrorName::PlanInvalid,
        format!(
            "epoch {epoch} has moved all records, and somebody has changed {names} since: find out who and why, put back the \
             plan's values in Route 53 by hand, and call again"
        ),
    )
}

/// What has gone wrong since the last batch.
#[derive(Default)]
struct Failures {
    count: u32,
}

impl Failures {
    /// Waits before the next try, longer each time; gives `error` back where trying again does not mend it, or has not
    /// until now.
    async fn wait(&mut self, error: StepError, until: Instant) -> Result<(), StepError> {
        if error.name != ErrorName::Transient || self.count == FAILURES_MAX || Instant::now() >= until {
            return Err(error);
        }
        tokio::time::sleep(Duration::from_millis(FAILURE_WAIT_MILLISECONDS << self.count)).await;
        self.count += 1;
        Ok(())
    }
}

/// What a call has done so far.
#[derive(Default)]
struct Progress {
    /// The fence that the first read saw, once there was one.
    found: Option<Option<Fence>>,
    batches: usize,
    changed: usize,
    before: Told<Found>,
    changes: Told<Change>,
}

impl Progress {
    fn begin(&mut self, found: Option<Fence>) {
        self.found.get_or_insert(found);
    }

    fn has_put(&self) -> bool {
        self.batches > 0
    }

    fn put(&mut self, batch: Batch) {
        self.batches += 1;
        for change in batch.changes {
            match &change {
                Change::Delete(set) => self.before.tell(Found::Set(set.clone())),
                // The fence is no record of the plan.
                Change::Create(set) => self.changed += usize::from(set.kind != "TXT"),
            }
            self.changes.tell(change);
        }
    }

    fn told(self, records: &[Record], epoch: u64, last: Option<Fence>) -> RecordsMoved {
        let found = self.found.flatten();
        RecordsMoved {
            resumed: found.as_ref().is_some_and(|found| found.epoch == epoch && found.index < found.of),
            found,
            batches: self.batches,
            of: last.map_or(0, |last| last.of),
            records: records.len(),
            changed: self.changed,
            before: self.before.items,
            changes: self.changes.items,
            left: None,
        }
    }
}

/// The first of what there is, as much as an answer may hold.
struct Told<T> {
    items: Vec<T>,
    bytes: usize,
}

impl<T> Default for Told<T> {
    fn default() -> Told<T> {
        Told { items: Vec::new(), bytes: 0 }
    }
}

impl<T: Serialize> Told<T> {
    fn tell(&mut self, item: T) {
        self.bytes += serde_json::to_vec(&item).map_or(TOLD_BYTES_MAX, |json| json.len() + 1);
        if self.bytes <= TOLD_BYTES_MAX {
            self.items.push(item);
        }
    }
}
