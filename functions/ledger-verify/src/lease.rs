//! A ledger of an application that cannot write slots: what closes and opens each stream is its lease, and what is proven is
//! what its delivery stream wrote. The same questions and answers as with segments, so that a run and a hand-back have one
//! path.
//!
//! - *History*: each stream back from its lease's head, or, where the newest have not come yet, as far as what came agrees,
//!   which is no finding. That something acknowledged has not come within the plan's wait is one.
//! - *Seal*: the lease is taken over, at the watermark that it has. From then on the old holder acknowledges nothing.
//! - *Tail*: everything that was delivered, read afresh, back from the heads. What is missing may still be delivered: as long
//!   as the plan waits for it that is `NotReady`, and then `Unproven`.
//! - *Open*: the lease is given to the recovery side; *hand back*: it is taken over, proven likewise, and given
//!   to the primary.
//!
//! Invariant: a lease changes only by a put that names the one that was read. A stale run's is refused by the store, or by
//! the epoch that it finds.

mod change;
mod delivered;

use std::time::Duration;

use jiff::Timestamp;
use lifeboat_ledger::lease::{Lease, Leases, Outranked};
use lifeboat_ledger::proof::{End, Proof};
use lifeboat_ledger::{Finding, StreamProof, Verdict};
use lifeboat_rules::plan::LeasePlan;
use lifeboat_rules::{ErrorName, Plan, StepError};
use lifeboat_runtime::{Log, Store, Tagged};
use tokio::time::Instant;

pub use change::first;
pub(crate) use change::{hand_back, open, seal};
use delivered::Delivered;
pub use delivered::{Bound, READ_MAX};

use crate::{Answer, unknown_stream};

/// How often one call looks for what is still to be delivered, in seconds.
const LOOK_SECONDS: u64 = 5;
/// How long one call waits for it, in seconds.
const WAIT_SECONDS_MAX: u64 = 20;

/// A lease as it was read.
struct Read {
    lease: Lease,
    tagged: Tagged,
}

impl Read {
    /// How long the lease has stood as it is, by the store's clock.
    fn age_seconds(&self) -> Result<i64, StepError> {
        let read_at = self.tagged.read_at.ok_or_else(|| {
            StepError::new(ErrorName::Transient, "the store's answer carries no date".to_owned())
        })?;
        Ok(read_at.duration_since(self.tagged.stored_at).as_secs())
    }
}

/// Proves every stream back from the newest head that is old enough to have been delivered whole, as far as what was
/// delivered agrees. What is more than `bound` is refused: a tail of that size could not be proven behind the seal.
///
/// # Errors
/// `Transient`, `Defect`.
pub async fn history(
    store: &Store,
    plan: &Plan,
    wait: &LeasePlan,
    bound: Bound,
) -> Result<Answer, StepError> {
    Ok(look(store, plan, wait, bound).await?.answer)
}

/// What a look at the ledger gave.
pub(crate) struct Looked {
    /// What it proves.
    pub(crate) answer: Answer,
    /// How old the newest delivery is, by the store's clock, in seconds; 0 where everything acknowledged was delivered. `None` where
    /// that is not known: nothing was delivered at all, or more than is read.
    pub(crate) lag_seconds: Option<u64>,
    /// What is said where the ledger comes near to the bound: no reason against a run.
    pub(crate) nearly: Option<String>,
}

/// As [`history`].
pub(crate) async fn look(
    store: &Store,
    plan: &Plan,
    wait: &LeasePlan,
    bound: Bound,
) -> Result<Looked, StepError> {
    let log = Log::new(store, &plan.ledger);
    // Before the deliveries: nothing that they lack was acknowledged only after they were read.
    let (read, mut findings) = read_all(&log).await?;
    let leases = by_stream(&read);
    let streams: Vec<String> = leases.keys().cloned().collect();
    let mut delivered = Delivered::new(&log, leases);
    if !delivered.read_on(bound).await? {
        let place = format!("s3://{}/{}", log.bucket(), log.prefix());
        let finding = Finding::unproven("", None, bound.refusal(&place));
        let answer = Answer::of(finding.verdict, vec![], vec![finding], delivered.objects());
        return Ok(Looked { answer, lag_seconds: None, nearly: None });
    }
    let mut proof = delivered.judge(&streams, End::Open).await?;
    // Nothing could fence the writer of such a stream, so nothing is fenced at all.
    let strangers = proof.streams.iter().filter(|proof| !streams.contains(&proof.stream));
    findings.extend(strangers.map(|proof| no_lease(&proof.stream)));
    let behind_holes = delivered.behind_holes(&streams);
    let mut is_whole = true;
    for read in &read {
        let through = proof.streams.iter().find(|proof| proof.stream == read.lease.stream);
        let through = through.map(|proof| proof.through);
        is_whole &= through == Some(read.lease.watermark);
        if let Some(through) = through {
            findings.extend(late(read, through, behind_holes.get(&read.lease.stream), wait)?);
        }
    }
    let read_at = read.iter().filter_map(|read| read.tagged.read_at).max();
    let age = |newest: Timestamp| Some(read_at?.duration_since(newest).as_secs().max(0).unsigned_abs());
    let lag_seconds = if is_whole { Some(0) } else { delivered.newest().and_then(age) };
    proof.findings.append(&mut findings);
    Ok(Looked { answer: answer(proof, delivered.objects()), lag_seconds, nearly: delivered.nearly(bound) })
}

/// What was acknowledged behind `through` and has not come within the plan's wait, by what can be told before the lease is
/// taken over: the lease has stood for longer, or something came that long ago that goes on from an entry which did not
/// (`behind_hole`: when, and the entry's sequence). The second can be wrong as long as nobody has come further than a process
/// which died when the delivery stream had accepted an entry and not the one before it: then a person is asked once more than needed.
fn late(
    read: &Read,
    through: u64,
    behind_hole: Option<&(Timestamp, u64)>,
    wait: &LeasePlan,
) -> Result<Option<Finding>, StepError> {
    let Lease { stream, watermark, .. } = &read.lease;
    if through >= *watermark {
        return Ok(None);
    }
    let wait_seconds = wait.delivery_wait_seconds_max;
    let is_late = |seconds: i64| seconds >= i64::from(wait_seconds);
    let stood = read.age_seconds()?;
    let (seq, why) = if is_late(stood) {
        let what =
            format!("not everything through {watermark} was delivered, which was acknowledged {stood} s ago");
        (through.saturating_add(1), what)
    } else {
        let ago = behind_hole.zip(read.tagged.read_at);
        match ago.map(|((stored_at, seq), now)| (*seq, now.duration_since(*stored_at).as_secs())) {
            Some((seq, ago)) if is_late(ago) => {
                (seq, format!("it was not delivered, though what goes on from it was, {ago} s ago"))
            }
            _ => return Ok(None),
        }
    };
    Ok(Some(Finding::unproven(stream, Some(seq), format!("{why}; the plan waits {wait_seconds} s"))))
}

/// Proves everything that was delivered, through the watermarks at which this run has taken the leases over.
pub(crate) async fn tail(
    store: &Store,
    plan: &Plan,
    wait: &LeasePlan,
    (epoch, run): (u64, &str),
    history: &[StreamProof],
) -> Result<Answer, StepError> {
    no_streams(history)?;
    let log = Log::new(store, &plan.ledger);
    let (mut read, mut against) = read_all(&log).await?;
    against.extend(unknown_stream(&log, history).await?);
    for Read { lease, .. } in &read {
        if lease.epoch > epoch {
            return Err(fenced(lease.taken(epoch, run).expect_err("its epoch is newer")));
        }
        if !is_taken(lease, epoch, run) {
            against.push(Finding::unproven(&lease.stream, None, "its lease was not taken over by this run"));
        }
    }
    let leases = by_stream(&read);
    let streams: Vec<String> = leases.keys().cloned().collect();
    let mut delivered = Delivered::new(&log, leases);
    let until = Instant::now() + Duration::from_secs(WAIT_SECONDS_MAX);
    loop {
        delivered.read_on(Bound::NONE).await?;
        let mut proof = delivered.judge(&streams, End::Closed).await?;
        let is_late = proof.verdict == Verdict::Unproven && against.is_empty();
        // The lease that was taken over last: what its holder had just sent may take the longest to come.
        let ages = read.iter().map(Read::age_seconds).collect::<Result<Vec<_>, _>>()?;
        let age = ages.into_iter().min().unwrap_or(0);
        if !is_late || age >= i64::from(wait.delivery_wait_seconds_max) {
            proof.findings.append(&mut against);
            return Ok(answer(proof, delivered.objects()));
        }
        if Instant::now() + Duration::from_secs(LOOK_SECONDS) > until {
            let worst = proof.findings.first().map(ToString::to_string).unwrap_or_default();
            return Err(StepError::not_ready(format!(
                "not everything acknowledged was delivered, {age} s after the leases were taken over; the plan waits {} s. {worst}",
                wait.delivery_wait_seconds_max
            )));
        }
        tokio::time::sleep(Duration::from_secs(LOOK_SECONDS)).await;
        // For their age alone: whoever takes one over now has a newer epoch, and what this run opens is refused.
        read = read_all(&log).await?.0;
    }
}

/// Every lease, with the streams of the plan that have none.
async fn read_all(log: &Log<'_>) -> Result<(Vec<Read>, Vec<Finding>), StepError> {
    let (mut read, mut findings) = (Vec::new(), Vec::new());
    for stream in log.streams().await? {
        match log.lease(&stream).await? {
            Some((lease, tagged)) => read.push(Read { lease, tagged }),
            None => findings.push(no_lease(&stream)),
        }
    }
    Ok((read, findings))
}

fn by_stream(read: &[Read]) -> Leases {
    read.iter().map(|read| (read.lease.stream.clone(), read.lease.clone())).collect()
}

fn no_lease(stream: &str) -> Finding {
    Finding::unproven(stream, None, "it has no lease: nothing says how far it was acknowledged")
}

/// Whether `run` has closed it under `epoch`.
fn is_taken(lease: &Lease, epoch: u64, run: &str) -> bool {
    lease.holder.is_none() && lease.epoch == epoch && lease.run == run
}

fn fenced(outranked: Outranked) -> StepError {
    StepError::fenced(outranked.to_string())
}

fn no_streams(streams: &[StreamProof]) -> Result<(), StepError> {
    match streams {
        [] => Err(StepError::input_invalid("action", "no streams: was the history proven?")),
        _ => Ok(()),
    }
}

fn answer(mut proof: Proof, objects: u64) -> Answer {
    proof.findings.sort();
    let verdict = proof.verdict.max(Finding::worst(&proof.findings));
    Answer::of(verdict, proof.streams, proof.findings, objects).with_void(proof.counts.void)
}
