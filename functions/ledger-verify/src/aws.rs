//! The calls: reading on in a stream, and the fence object.

use std::time::Duration;

use lifeboat_ledger::append::absorb;
use lifeboat_ledger::{Control, Finding, StreamProof, Tail, slot};
use lifeboat_rules::outage::LogHead;
use lifeboat_rules::plan::Ledger;
use lifeboat_rules::{ErrorName, StepError};
use lifeboat_runtime::{Head, Log, Put, Store};
use tokio::time::Instant;

/// How long a stream is followed before the whole step is tried again, in seconds: well below the function's own timeout, and
/// far more than it takes to read what was written since the history was proven.
const FOLLOW_SECONDS_MAX: u64 = 120;

/// Reads what stands behind `tail`, slot by slot: to the end, or to `awaited`, or to the first control entry that is newer.
/// Behind those two somebody may be writing as fast as this can read. Returns the sequence at which `awaited` stands, where
/// it does.
///
/// The inner error is a finding against the chain.
pub async fn read_on(
    log: &Log<'_>,
    tail: &mut Tail,
    awaited: &Control,
) -> Result<Result<Option<u64>, Finding>, StepError> {
    let until = Instant::now() + Duration::from_secs(FOLLOW_SECONDS_MAX);
    while tail.pen().newest_epoch() <= awaited.epoch() {
        if Instant::now() >= until {
            return Err(StepError::new(
                ErrorName::Transient,
                format!(
                    "stream {}: written to for {FOLLOW_SECONDS_MAX} s as fast as it is read",
                    tail.stream()
                ),
            ));
        }
        let seq = tail.next_seq();
        let key = log.key(tail.stream(), seq);
        let mut segment = log.segment(&key).await?;
        if segment.is_none() {
            // The end, or a hole? A live writer may have filled the slot between the two reads: look once more.
            match log.head(tail.stream()).await? {
                Some(head) if head.slot >= seq => {
                    segment = log.segment(&key).await?;
                    if segment.is_none() {
                        let what = format!("entries {seq} to {} are missing", head.slot - 1);
                        return Ok(Err(Finding::broken(tail.stream(), Some(seq), what)));
                    }
                }
                _ => return Ok(Ok(None)),
            }
        }
        match absorb(tail, seq, &segment.unwrap_or_default(), awaited) {
            Ok(None) => {}
            Ok(found) => return Ok(Ok(found)),
            Err(finding) => return Ok(Err(finding)),
        }
    }
    Ok(Ok(None))
}

/// The newest object of each of `streams` that has one.
///
/// # Errors
/// `Transient` where the store does not say how late it is; as [`lifeboat_runtime::aws_error`].
pub async fn heads(log: &Log<'_>, streams: &[StreamProof]) -> Result<Vec<LogHead>, StepError> {
    let mut heads = Vec::with_capacity(streams.len());
    for StreamProof { stream, .. } in streams {
        let Some(Head { slot, stored_at, read_at, .. }) = log.head(stream).await? else { continue };
        let read_at = read_at.ok_or_else(|| {
            StepError::new(ErrorName::Transient, "the store's answer carries no date".to_owned())
        })?;
        heads.push(LogHead { stream: stream.clone(), slot, stored_at, read_at });
    }
    Ok(heads)
}

/// Puts the object that makes a fast writer stop by itself.
pub async fn put_fence(store: &Store, ledger: &Ledger, epoch: u64, run: &str) -> Result<(), StepError> {
    let bytes = serde_json::to_vec(&serde_json::json!({ "epoch": epoch, "run": run }))
        .expect("this always serialises");
    match store.create(&ledger.bucket, &slot::fence_key(epoch), &bytes).await? {
        Put::Created => Ok(()),
        Put::Exists(found) => Err(StepError::fenced(format!(
            "the fence of epoch {epoch} belongs to another run: {}",
            String::from_utf8_lossy(&found)
        ))),
    }
}

/// Whether the fence of `epoch` stands.
pub async fn has_fence(store: &Store, ledger: &Ledger, epoch: u64) -> Result<bool, StepError> {
    Ok(store.get(&ledger.bucket, &slot::fence_key(epoch), None).await?.is_some())
}
