//! What changes leases: the first of each stream, and the puts by which a run takes them over and gives them to a side.

use std::time::Duration;

use lifeboat_ledger::lease::{self, Lease, Outranked};
use lifeboat_ledger::{Finding, Holder, StreamProof};
use lifeboat_rules::decided::{Because, Still};
use lifeboat_rules::plan::LeasePlan;
use lifeboat_rules::recovered::Sealed;
use lifeboat_rules::{ErrorName, Plan, StepError};
use lifeboat_runtime::{Log, Put, Replace, Store, decide};

use super::{Read, fenced, is_taken, no_lease, no_streams, read_all, tail};
use crate::{Answer, aws, unknown_stream};

/// Between two tries to change a lease: fifty of them, which a plan allows if it does not say otherwise, last longer than the
/// second in which a holder is to see the fence.
const AGAIN_AFTER: Duration = Duration::from_millis(50);

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
        let heads = aws::heads(&log, history).await?;
        if let Some(Because { reason }) = decide(plan, &Still { heads }) {
            return Ok(Answer::Advancing { reason });
        }
    }
    aws::put_fence(store, &plan.ledger, epoch, run).await?;
    Ok(match change_all(&log, plan, history, |lease| lease.taken(epoch, run)).await? {
        (streams, None) => Answer::Sealed { streams },
        (streams, Some(finding)) => Answer::half_done("sealed", streams, history.len(), &finding),
    })
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

/// Replaces the lease of `stream` by what `change` makes of it, as often as its holder is quicker, within the plan's bound. A
/// holder that is nearer to the lease may be quicker each time, until it sees the fence that was put before.
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
            Replace::Differs(_) => tokio::time::sleep(AGAIN_AFTER).await,
        }
    }
    Err(StepError::new(
        ErrorName::Transient,
        format!("stream {stream}: its holder advanced the lease {tries_max} times in a row"),
    ))
}

/// Whether `run` has given it to the primary under `epoch`.
fn is_given(lease: &Lease, epoch: u64, run: &str) -> bool {
    lease.holder == Some(Holder::Primary) && lease.epoch == epoch && lease.run == run
}
