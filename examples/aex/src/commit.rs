//! One segment into one slot: the same put again until its outcome is known.

use lifeboat_ledger::entry;
use lifeboat_ledger::writer::{Segment, Taken, Writer};
use serde_json::json;
use tokio::sync::watch;

use crate::backoff::Backoff;
use crate::log;
use crate::store::{Put, Store};

/// What became of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the log. Now it may become visible.
    Stored,
    /// Somebody else has the slot.
    Refused {
        /// What was found in it.
        reason: String,
        /// Whether it was another writer's entries, not a control entry.
        by_writer: bool,
    },
    /// A run of this newer epoch is about to seal, and the outcome is still unknown. Reading the log on will tell.
    Fenced,
}

/// Puts `segment` until its outcome is known. While the bucket does not answer this goes on and nobody is answered:
/// an order is acknowledged when its entry is safe in the other Region, and not a moment before.
pub async fn commit(
    store: &Store,
    writer: &Writer,
    segment: &Segment,
    epoch: u64,
    fence: &watch::Receiver<u64>,
) -> Outcome {
    let mut backoff = Backoff::default();
    let mut tries = 0u64;
    loop {
        let trouble = match store.put(&segment.key, segment.bytes.clone()).await {
            Put::Stored => return Outcome::Stored,
            Put::Unknown(detail) => detail,
            Put::Taken => match store.segment(writer.tail().stream(), segment.first_seq).await {
                Ok(Some(found)) => return judge(writer, segment, &found),
                Ok(None) => "taken, and then nothing is there".into(),
                Err(err) => err.to_string(),
            },
        };
        tries += 1;
        // The first one, and then ever fewer: an outage of hours must not fill the log of the process.
        if tries.is_power_of_two() {
            log::event("put_unknown", &json!({ "key": segment.key, "tries": tries, "detail": trouble }));
        }
        if *fence.borrow() > epoch {
            return Outcome::Fenced;
        }
        tokio::time::sleep(backoff.step()).await;
    }
}

fn judge(writer: &Writer, segment: &Segment, found: &[u8]) -> Outcome {
    match writer.slot_taken(segment, found) {
        Taken::Mine => Outcome::Stored,
        Taken::LostPen(reason) => {
            let line = found.split(|byte| *byte == b'\n').next().unwrap_or_default();
            let by_writer = entry::parse(line).is_ok_and(|entry| entry.control.is_none());
            Outcome::Refused { reason, by_writer }
        }
    }
}
