//! The writer of the stream: AEX's commit, over the ledger's protocol.

use std::time::{Duration, Instant};

use aex::commit::{Outcome, commit};
use aex::store::Store;
use lifeboat_ledger::writer::Writer;
use lifeboat_ledger::{Holder, Tail};
use serde_json::json;
use tokio::sync::watch;

use crate::kind::Pauses;
use crate::round::{GIVE_UP_AFTER, STREAM};

/// Between two puts of a writer that watches for fences: it may be as fast as it likes.
const FAST_LONGEST: Duration = Duration::from_millis(6);
/// Between two puts of one that does not: a put across Regions takes longer than the sealer's reads inside one, and a writer
/// that outruns the sealer is why there are fences.
const SLOW_SHORTEST: Duration = Duration::from_millis(10);
const SLOW_LONGEST: Duration = Duration::from_millis(30);
/// Its orders come in bursts of so many puts, and between two bursts is a while in which the end of the log stands still
/// for longer than a sealer needs, on a loaded machine too.
const BURST: u64 = 6;
const BETWEEN_BURSTS: Duration = Duration::from_millis(150);
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// One entry that somebody has been told is safe.
#[derive(Clone, Copy, Debug)]
pub struct Acknowledged {
    pub seq: u64,
    /// The application's own name for it.
    pub id: u64,
    pub epoch: u64,
}

/// What a writer has lived through.
#[derive(Debug, Default)]
pub struct Wrote {
    pub acknowledged: Vec<Acknowledged>,
    /// How often its slot held a control entry.
    pub refused_by_control: u32,
    /// How often it still had the pen after that: the control entry was inert.
    pub went_on: u32,
    /// How often it stopped because of a fence, before any seal.
    pub stopped_by_fence: u32,
}

/// A side that writes.
pub struct Side {
    pub holder: Holder,
    /// Of a recovery side: the epoch that it was launched under.
    pub epoch: Option<u64>,
    pub store: Store,
    pub pauses: Pauses,
    /// Whether it writes as fast as it can.
    pub fast: bool,
    /// The newest fence that this side has seen.
    pub fence: watch::Receiver<u64>,
    /// Told how many entries are acknowledged.
    pub progress: watch::Sender<usize>,
    /// Says when it is enough, of a side that nobody seals.
    pub enough: watch::Receiver<bool>,
}

impl Side {
    /// Writes until a newer epoch has taken the pen, or until it is enough. Every id is this side's own, from `first_id` on.
    pub async fn write(self, first_id: u64) -> Wrote {
        let deadline = Instant::now() + GIVE_UP_AFTER;
        let mut wrote = Wrote::default();
        let (mut id, mut step) = (first_id, 0);
        let (mut refused, mut held) = (false, 0);
        loop {
            assert!(Instant::now() < deadline, "the {} was never sealed: {wrote:?}", self.holder);
            // All memory is dropped here: what is known is what the log says.
            let mut writer = Writer::new(self.store.prefix(), self.replay().await, self.holder, self.epoch);
            writer.saw_fence(*self.fence.borrow());
            let Ok(epoch) = writer.has_pen() else {
                if writer.tail().pen().newest_epoch() > held {
                    return wrote;
                }
                // Fenced, and nobody has sealed yet: the log will say.
                tokio::time::sleep(LOOK_EVERY).await;
                continue;
            };
            held = epoch;
            wrote.went_on += u32::from(std::mem::take(&mut refused));
            loop {
                if *self.enough.borrow() {
                    return wrote;
                }
                step += 1;
                tokio::time::sleep(self.pause(step)).await;
                writer.saw_fence(*self.fence.borrow());
                if writer.has_pen().is_err() {
                    wrote.stopped_by_fence += 1;
                    break;
                }
                let ids = id..id + 1 + step % 3;
                id = ids.end;
                let entries: Vec<_> = ids.clone().map(|id| json!({ "id": id })).collect();
                let segment = writer.segment(&entries).expect("it has the pen, and the entries are good");
                match commit(&self.store, &writer, &segment, epoch, &self.fence).await {
                    Outcome::Stored => {
                        writer.stored(&segment);
                        let told = ids.zip(segment.first_seq..);
                        wrote.acknowledged.extend(told.map(|(id, seq)| Acknowledged { seq, id, epoch }));
                        self.progress.send_replace(wrote.acknowledged.len());
                    }
                    Outcome::Refused { by_writer, reason } => {
                        assert!(!by_writer, "no other writes: {reason}");
                        wrote.refused_by_control += 1;
                        refused = true;
                        break;
                    }
                    Outcome::Fenced => {
                        wrote.stopped_by_fence += 1;
                        break;
                    }
                }
            }
        }
    }

    fn pause(&self, step: u64) -> Duration {
        if self.fast {
            self.pauses.at(step, FAST_LONGEST)
        } else if step.is_multiple_of(BURST) {
            BETWEEN_BURSTS
        } else {
            SLOW_SHORTEST + self.pauses.at(step, SLOW_LONGEST - SLOW_SHORTEST)
        }
    }

    async fn replay(&self) -> Tail {
        let mut tail = Tail::new(STREAM);
        while let Some(bytes) = self.store.segment(STREAM, tail.next_seq()).await.unwrap() {
            tail.absorb_segment(tail.next_seq(), &bytes).expect("what is in the log chains");
        }
        tail
    }
}
