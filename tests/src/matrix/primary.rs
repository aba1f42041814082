//! The primary: it trades before the run, and tries to go on after it.

use std::collections::BTreeMap;

use aex::commit::{Outcome, commit};
use aex::store::Store;
use lifeboat_ledger::Holder;
use lifeboat_ledger::writer::Writer;
use serde_json::json;
use tokio::sync::watch;

use crate::light::{Replica, Stage};
use crate::world::error::{Doing as _, WorldError};

/// Entries in one segment.
const ENTRIES_A_SEGMENT: u64 = 2;

/// The exchange in the primary Region, as far as the ledger knows of it.
pub(super) struct Primary {
    store: Store,
    writers: Vec<Writer>,
    /// What it was told is stored, by key: every entry in it is acknowledged.
    acknowledged: BTreeMap<String, Vec<u8>>,
}

impl Primary {
    /// Reads the log of each stream, which is open for it.
    pub(super) async fn begin(stage: &Stage) -> Result<Primary, WorldError> {
        let mut primary =
            Primary { store: stage.store(), writers: Vec::new(), acknowledged: BTreeMap::new() };
        primary.resume(stage).await?;
        Ok(primary)
    }

    /// Drops what it has in memory and follows the log from its beginning, as it does after it has lost the pen.
    pub(super) async fn resume(&mut self, stage: &Stage) -> Result<(), WorldError> {
        self.writers.clear();
        for stream in &stage.plan.ledger.streams {
            let mut replica = Replica::new(self.store.clone(), stream);
            replica.read_on().await?;
            let prefix = self.store.prefix().to_owned();
            self.writers.push(Writer::new(prefix, replica.tail().clone(), Holder::Primary, None));
        }
        Ok(())
    }

    /// Puts one more segment into each stream, by what it knows of the log; whether each was stored. Nobody else is asked, as
    /// by a primary that has slept.
    pub(super) async fn put(&mut self) -> Result<Vec<bool>, WorldError> {
        let mut stored = Vec::new();
        for writer in &mut self.writers {
            let Ok(epoch) = writer.has_pen() else {
                stored.push(false);
                continue;
            };
            let next = writer.tail().next_seq();
            let entries: Vec<_> =
                (next..next + ENTRIES_A_SEGMENT).map(|order| json!({ "order": order })).collect();
            let segment = writer.segment(&entries).doing(|| "make a segment".to_owned())?;
            let (_fences, fence) = watch::channel(0);
            let outcome = commit(&self.store, writer, &segment, epoch, &fence).await;
            stored.push(outcome == Outcome::Stored);
            if outcome == Outcome::Stored {
                writer.stored(&segment);
                self.acknowledged.insert(segment.key, segment.bytes);
            }
        }
        Ok(stored)
    }

    /// What it was told is stored, by key.
    pub(super) fn acknowledged(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.acknowledged
    }
}
