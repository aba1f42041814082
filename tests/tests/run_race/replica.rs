//! The log, read and verified from its beginning.

use aex::store::Store;
use lifeboat_ledger::{Control, Tail};

/// A reader of one stream.
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

    /// Reads to the end. What does not chain, or was written by somebody who had no right to, ends the test.
    pub async fn read_on(&mut self) {
        let stream = self.tail.stream().to_owned();
        while let Some(bytes) = self.store.segment(&stream, self.tail.next_seq()).await.unwrap() {
            let entries = self.tail.absorb_segment(self.tail.next_seq(), &bytes).expect("the log is whole");
            for (entry, _) in entries {
                match entry.control {
                    Some(control) => self.controls.push(control),
                    None => self.entries += 1,
                }
            }
        }
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
