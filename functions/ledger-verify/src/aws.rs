//! The calls: reading on in a stream, and the fence object.

use lifeboat_ledger::{Control, Finding, Tail, slot};
use lifeboat_rules::StepError;
use lifeboat_rules::plan::Ledger;
use lifeboat_runtime::{Log, Put, Store};

/// Reads everything behind `tail`, slot by slot. Returns the sequence at which `awaited` stands, where it does.
///
/// The inner error is a finding against the chain.
pub async fn read_on(
    log: &Log<'_>,
    tail: &mut Tail,
    awaited: &Control,
) -> Result<Result<Option<u64>, Finding>, StepError> {
    let mut at = None;
    loop {
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
                _ => return Ok(Ok(at)),
            }
        }
        let bytes = segment.unwrap_or_default();
        match absorb(tail, seq, &bytes, awaited) {
            Ok(found) => at = at.or(found),
            Err(finding) => return Ok(Err(finding)),
        }
    }
}

/// Verifies one segment as the next, and says whether `awaited` is in it.
pub fn absorb(tail: &mut Tail, seq: u64, bytes: &[u8], awaited: &Control) -> Result<Option<u64>, Finding> {
    let entries = tail.absorb_segment(seq, bytes)?;
    Ok(entries.iter().find(|(entry, _)| entry.control.as_ref() == Some(awaited)).map(|(entry, _)| entry.seq))
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
