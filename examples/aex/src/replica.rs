//! What the stored entries of one stream amount to.
//!
//! A replica reads whole segments and nothing else. The recovery side builds it by replay; the serving side keeps it up
//! by reading back, through this same code, every segment that the store has taken. The public sees only replicas, so
//! nothing that is not stored can be seen.

use lifeboat_ledger::{Finding, PenState, Tail};

use crate::engine::{Diverged, Engine};
use crate::event::Event;

/// A verified position in one stream, and the engine that its entries make.
#[derive(Clone, Debug)]
pub struct Replica {
    tail: Tail,
    engine: Engine,
}

/// Why a segment was not taken. The replica is not to be used after one.
#[derive(Debug, thiserror::Error)]
pub enum ReplicaFault {
    /// The ledger itself is broken here.
    #[error("the ledger is broken: {0}")]
    Broken(Finding),
    /// An entry's own fields are none of this application's.
    #[error("entry {seq} is none of this exchange's: {source}")]
    Unreadable {
        /// The entry.
        seq: u64,
        /// Why it could not be read.
        source: serde_json::Error,
    },
    /// This engine is not the one that wrote the log.
    #[error("the replay diverges: {0}")]
    Diverged(#[from] Diverged),
    /// A segment ends within an order.
    #[error("the segment that ends at {seq} lacks fills of its last order")]
    Unsettled {
        /// The last entry of the segment.
        seq: u64,
    },
}

impl Replica {
    /// A replica of nothing yet.
    pub fn new(stream: &str, symbols: &[String]) -> Replica {
        Replica { tail: Tail::new(stream), engine: Engine::new(symbols.iter().cloned()) }
    }

    /// Takes the segment at slot `first_seq`, which must be the next one.
    ///
    /// # Errors
    /// See [`ReplicaFault`].
    pub fn absorb(&mut self, first_seq: u64, bytes: &[u8]) -> Result<(), ReplicaFault> {
        let entries = self.tail.absorb_segment(first_seq, bytes).map_err(ReplicaFault::Broken)?;
        for (entry, line) in entries {
            if entry.control.is_some() {
                continue;
            }
            let seq = entry.seq;
            let event: Event = serde_json::from_slice(&bytes[line])
                .map_err(|source| ReplicaFault::Unreadable { seq, source })?;
            self.engine.replay(seq, event)?;
        }
        if self.engine.is_settled() { Ok(()) } else { Err(ReplicaFault::Unsettled { seq: self.through() }) }
    }

    /// Where the stream ends, as far as this replica has read.
    pub fn tail(&self) -> &Tail {
        &self.tail
    }

    /// The engine that the entries make.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The last sequence that was applied; 0 before the first.
    pub fn through(&self) -> u64 {
        self.tail.next_seq() - 1
    }

    /// The epoch for which the stream is open, if it is.
    pub fn open_epoch(&self) -> Option<u64> {
        match self.tail.pen().state() {
            PenState::Open { epoch, .. } => Some(*epoch),
            PenState::Unopened | PenState::Sealed { .. } => None,
        }
    }
}
