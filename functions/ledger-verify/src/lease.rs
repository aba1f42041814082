//! A ledger of an application that cannot write slots: what closes and opens each stream is its lease, and what is proven is
//! what its delivery stream wrote. The same questions and answers as with segments, so that a run and a hand-back have one
//! path.
//!
//! - *History*: each stream as far as its entries follow each other. That the newest have not come yet is no finding; that a
//!   place stays empty long after something behind it was delivered is.
//! - *Seal*: the lease is taken over, at the watermark that it has. From then on the old holder acknowledges nothing.
//! - *Tail*: everything that was delivered, read afresh, up to the watermarks. What is missing may still be delivered: as long
//!   as the plan waits for it that is `NotReady`, and then `Unproven`.
//! - *Open*: the lease is given to the recovery side; *hand back*: it is taken over, proven likewise, and given
//!   to the primary.
//!
//! Invariant: a lease changes only by a put that names the one that was read. A stale run's is refused by the store, or by
//! the epoch that it finds.

mod delivered;

use std::time::Duration;

use lifeboat_ledger::lease::{self, Lease, Leases, Outranked};
use lifeboat_ledger::proof::{End, Proof};
use lifeboat_ledger::{Finding, Holder, StreamProof, Verdict};
use lifeboat_rules::plan::LeasePlan;
use lifeboat_rules::recovered::Sealed;
use lifeboat_rules::{ErrorName, Plan, StepError};
use lifeboat_runtime::{Log, Put, Replace, Store, Tagged};
use tokio::time::Instant;

use crate::{Answer, aws, unknown_stream};
use delivered::Delivered;

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

/// Makes the lease of `stream`, held by the primary: the beginning of its ledger. One that `run` has made already stays as it
/// is, however far its holder has come.
///
/// # Errors
/// `Fenced` where the stream has another lease; as [`lifeboat_runtime::aws_error`].
pub async fn first(
    store: &Store,
    plan: &Plan,
    stream: &str,
    epoch: u64,
    run: &str,
) -> Result<Lease, StepError> {
    let first = Lease::first(stream, epoch, run);
    let found = match store.create(&plan.ledger.bucket, &lease::key(stream), &first.to_bytes()).await? {
        Put::Created => first,
        Put::Exists(found) => Lease::parse(stream, &found)
            .map_err(|bad| StepError::caused(ErrorName::Defect, "make the first lease", bad))?,
    };
    if (found.epoch, found.run.as_str(), found.holder) != (epoch, run, Some(Holder::Primary)) {
        let (epoch, run) = (found.epoch, found.run);
        return Err(StepError::fenced(format!("stream {stream}: epoch {epoch}, run {run}, has the lease")));
    }
    Ok(found)
}

/// Proves every stream as far as it was delivered without a gap.
pub(crate) async fn history(store: &Store, plan: &Plan, wait: &LeasePlan) -> Result<Answer, StepError> {
    let log = Log::new(store, &plan.ledger);
    // Before the deliveries: what a later holder sends is then newer than the leases, and not taken for a stranger's.
    let (read, mut findings) = read_all(&log).await?;
    let leases: Leases = read.iter().map(|read| (read.lease.stream.clone(), read.lease.clone())).collect();
    let streams: Vec<String> = leases.keys().cloned().collect();
    let mut delivered = Delivered::new(&log, leases);
    delivered.read_on().await?;
    let (mut proof, _) = delivered.judge(&streams, End::Open).await?;
    // Nothing could fence the writer of such a stream, so nothing is fenced at all.
    let strangers = proof.streams.iter().filter(|proof| !streams.contains(&proof.stream));
    findings.extend(strangers.map(|proof| no_lease(&proof.stream)));
    for Read { lease, tagged } in &read {
        let Some(through) =
            proof.streams.iter().find(|proof| proof.stream == lease.stream).map(|proof| proof.through)
        else {
            continue;
        };
        let (Some(first), Some(read_at)) = (delivered.first_behind(&lease.stream, through), tagged.read_at)
        else {
            continue;
        };
        let late = read_at.duration_since(first).as_secs();
        if late > i64::from(wait.delivery_wait_seconds_max) {
            let what = format!(
                "it was not delivered, though entries behind it were, {late} s ago; the plan waits {} s",
                wait.delivery_wait_seconds_max
            );
            findings.push(Finding::unproven(&lease.stream, Some(through + 1), what));
        }
    }
    proof.findings.append(&mut findings);
    Ok(answer(proof, delivered.objects()))
}

/// Takes every lease over.
pub(crate) async fn seal(
    store: &Store,
    plan: &Plan,
    epoch: u64,
    run: &str,
    history: &[StreamProof],
) -> Result<Answer, StepError> {
    no_streams(history)?;
    let log = Log::new(store, &plan.ledger);
    let (read, findings) = read_all(&log).await?;
    for Read { lease, .. } in &read {
        lease.taken(epoch, run).map_err(fenced)?;
    }
    let begun = read.iter().any(|read| is_taken(&read.lease, epoch, run));
    if !begun && !aws::has_fence(store, &plan.ledger, epoch).await? {
        if let Some(finding) = findings.into_iter().next().or(unknown_stream(&log, history).await?) {
            return Ok(Answer::of(finding.verdict, vec![], vec![finding], 0));
        }
        // The last look, in the same breath as the fence: the primary may have come back since it was confirmed to be down.
        if let Some(reason) = aws::advancing(&log, history, plan.probe.log_still_seconds).await? {
            return Ok(Answer::Advancing { reason });
        }
    }
    aws::put_fence(store, &plan.ledger, epoch, run).await?;
    Ok(match change_all(&log, plan, history, |lease| lease.taken(epoch, run)).await? {
        (streams, None) => Answer::Sealed { streams },
        (streams, Some(finding)) => Answer::half_done("sealed", streams, history.len(), &finding),
    })
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
    let leases: Leases = read.iter().map(|read| (read.lease.stream.clone(), read.lease.clone())).collect();
    let streams: Vec<String> = leases.keys().cloned().collect();
    let mut delivered = Delivered::new(&log, leases);
    let until = Instant::now() + Duration::from_secs(WAIT_SECONDS_MAX);
    loop {
        delivered.read_on().await?;
        let (mut proof, _) = delivered.judge(&streams, End::Closed).await?;
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

/// Gives every lease, which this run has taken over, to `side`.
pub(crate) async fn open(
    store: &Store,
    plan: &Plan,
    side: Holder,
    (epoch, run): (u64, &str),
    sealed: &[StreamProof],
) -> Result<Answer, StepError> {
    no_streams(sealed)?;
    let log = Log::new(store, &plan.ledger);
    Ok(match change_all(&log, plan, sealed, |lease| lease.given(epoch, run, side)).await? {
        (streams, None) => Answer::Opened { streams },
        (streams, Some(finding)) => Answer::half_done("open", streams, sealed.len(), &finding),
    })
}

/// Takes every lease over under `epoch`, proves what was delivered through the watermarks, and gives the leases to the primary
/// if it is all there: nobody goes on from a ledger that is not whole.
pub(crate) async fn hand_back(
    store: &Store,
    plan: &Plan,
    wait: &LeasePlan,
    (epoch, run): (u64, &str),
    history: &[StreamProof],
) -> Result<Answer, StepError> {
    no_streams(history)?;
    let log = Log::new(store, &plan.ledger);
    // One is given only after all were taken over and proven.
    let proven_before = read_all(&log).await?.0.iter().any(|read| is_given(&read.lease, epoch, run));
    aws::put_fence(store, &plan.ledger, epoch, run).await?;
    if !proven_before {
        if let (streams, Some(finding)) =
            change_all(&log, plan, history, |lease| lease.taken(epoch, run)).await?
        {
            return Ok(Answer::half_done("taken over", streams, history.len(), &finding));
        }
        match tail(store, plan, wait, (epoch, run), history).await? {
            Answer::Proven(_) => {}
            not_whole => return Ok(not_whole),
        }
    }
    open(store, plan, Holder::Primary, (epoch, run), history).await
}

/// Changes the lease of each stream, one after the other.
async fn change_all(
    log: &Log<'_>,
    plan: &Plan,
    streams: &[StreamProof],
    change: impl Fn(&Lease) -> Result<Lease, Outranked>,
) -> Result<(Vec<Sealed>, Option<Finding>), StepError> {
    let mut done = Vec::new();
    for StreamProof { stream, .. } in streams {
        match self::change(log, plan, stream, &change).await? {
            Ok(lease) => done.push(Sealed { stream: stream.clone(), seq: lease.watermark }),
            Err(finding) => return Ok((done, Some(finding))),
        }
    }
    Ok((done, None))
}

/// Replaces the lease of `stream` by what `change` makes of it, as often as its holder is quicker, within the plan's bound.
async fn change(
    log: &Log<'_>,
    plan: &Plan,
    stream: &str,
    change: &impl Fn(&Lease) -> Result<Lease, Outranked>,
) -> Result<Result<Lease, Finding>, StepError> {
    let (tries_max, key) = (plan.limits.seal_tries_max, lease::key(stream));
    for _ in 0..tries_max {
        let Some((found, tagged)) = log.lease(stream).await? else {
            return Ok(Err(no_lease(stream)));
        };
        let changed = change(&found).map_err(fenced)?;
        if changed == found {
            return Ok(Ok(found));
        }
        match log.store().replace(log.bucket(), &key, &tagged.etag, &changed.to_bytes()).await? {
            Replace::Replaced => return Ok(Ok(changed)),
            // Read again: the holder has advanced it, or somebody else has it.
            Replace::Differs(_) => {}
        }
    }
    Err(StepError::new(
        ErrorName::Transient,
        format!("stream {stream}: its holder advanced the lease {tries_max} times in a row"),
    ))
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

fn no_lease(stream: &str) -> Finding {
    Finding::unproven(stream, None, "it has no lease: nothing says how far it was acknowledged")
}

/// Whether `run` has closed it under `epoch`.
fn is_taken(lease: &Lease, epoch: u64, run: &str) -> bool {
    lease.holder.is_none() && lease.epoch == epoch && lease.run == run
}

/// Whether `run` has given it to the primary under `epoch`.
fn is_given(lease: &Lease, epoch: u64, run: &str) -> bool {
    lease.holder == Some(Holder::Primary) && lease.epoch == epoch && lease.run == run
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
    let verdict = proof.findings.first().map_or(proof.verdict, |worst| worst.verdict);
    Answer::of(verdict, proof.streams, proof.findings, objects)
}
