//! One stream of the log, read and verified from its beginning.

use aex::store::Store;
use lifeboat_ledger::{Control, Tail};

use crate::world::error::{Doing as _, WorldError};

/// A reader of one stream.
#[derive(Debug)]
pub struct Replica {
    store: Store,
    tail: Tail,
    controls: Vec<Control>,
    entries: u64,
}

impl Replica {
    /// At the beginning.
    pub fn new(store: Store, stream: &str) -> Replica {
        Replica { store, tail: Tail::new(stream), controls: Vec::new(), entries: 0 }
    }

    /// Reads to the end.
    ///
    /// # Errors
    /// Where something does not chain, or was written by somebody who had no right to.
    pub async fn read_on(&mut self) -> Result<(), WorldError> {
        let stream = self.tail.stream().to_owned();
        let what = || format!("read the stream {stream}");
        while let Some(bytes) = self.store.segment(&stream, self.tail.next_seq()).await.doing(what)? {
            let entries = self.tail.absorb_segment(self.tail.next_seq(), &bytes).doing(what)?;
            for (entry, _) in entries {
                match entry.control {
                    Some(control) => self.controls.push(control),
                    None => self.entries += 1,
                }
            }
        }
        Ok(())
    }

    /// Where it stands.
    pub fn tail(&self) -> &Tail {
        &self.tail
    }

    /// Every control entry so far, in order.
    pub fn controls(&self) -> &[Control] {
        &self.controls
    }

    /// How many entries of the application there are.
    pub fn entries(&self) -> u64 {
        self.entries
    }
}
