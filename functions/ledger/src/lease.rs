//! The lease: how an application that cannot write slots is fenced, without I/O.
//!
//! Such an application sends its entries to a delivery stream, which nobody can close. So each stream has one object more, its
//! lease, which says who may acknowledge and how far he has: the *watermark*. The holder advances the watermark by a put with
//! `If-Match`, *before* he acknowledges; a run takes the lease over by the same kind of put. Of two puts that saw the same
//! object the store lets one win, with no clock.
//!
//! 1. Read the lease; make a [`LeaseWriter`]; wait until [`LeaseWriter::has_lease`]. Go on from its watermark and its head.
//! 2. Send entries to the delivery stream, and wait until it has accepted them.
//! 3. [`LeaseWriter::advance`] to the last of them and its hash, and put what it gives, one put in flight a stream.
//! 4. On 200, [`LeaseWriter::stored`]; only now acknowledge, up to [`LeaseWriter::watermark`].
//! 5. On 412 or 404, read the lease and ask [`LeaseWriter::refused`]: one's own bytes are success (an answer was lost). Anything
//!    else means that the lease is lost: acknowledge nothing more, and begin again at 1.
//! 6. On 409, or without an answer, the same put again, byte for byte.
//! 7. About once a second, look for fence objects and tell [`LeaseWriter::saw_fence`] the newest: a courtesy, without which a
//!    holder that is quicker than the run would keep the lease from it for good.
//!
//! Invariants: the watermark never falls, and with it stands the *head*, the hash of the entry there, which by the chain
//! names every entry before it. So the lease says of each acknowledged place which entry it is, and the chain back from the head
//! is everything that was acknowledged. What was delivered and is not on it was never acknowledged, whoever sent it and however
//! late it comes: it is void.
//!
//! Why no process needs a name of its own. A process that starts within an epoch goes on from watermark and head; what its
//! predecessor sent behind them is not on its chain. Two processes that put the same bytes have the same head, and so the same
//! entries: both may acknowledge them. At the first entry in which they differ their puts differ, both name the object that
//! holds the last equal head, and the store lets one win; the other has acknowledged nothing that is not on the winner's chain.

mod writer;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Hash;
use crate::control::{Control, Holder, Open, Pen, Seal};
pub use writer::{Advance, LeaseWriter, NoLease, NotAdvanced, Refused};

/// The prefix of all leases in the log's bucket.
pub const LEASE_PREFIX: &str = "lease/";

/// The largest lease that is read, in bytes: room for thousands of changes of hands.
pub const LEASE_BYTES_MAX: usize = 1_048_576;

/// The leases of a ledger, by stream.
pub type Leases = BTreeMap<String, Lease>;

/// The key of a stream's lease.
pub fn key(stream: &str) -> String {
    format!("{LEASE_PREFIX}{stream}")
}

/// The lease of one stream, as it is stored: JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lease {
    /// The stream.
    pub stream: String,
    /// The epoch that holds it, or that has closed it; greater than zero.
    pub epoch: u64,
    /// The run of that epoch.
    pub run: String,
    /// The side that may acknowledge; `None` while it is closed.
    pub holder: Option<Holder>,
    /// The last sequence that may have been acknowledged; 0 before the first.
    pub watermark: u64,
    /// The hash of the entry at the watermark; [`Hash::GENESIS`] before the first.
    pub head: Hash,
    /// The holders before, the oldest first: which epoch was closed at which watermark.
    pub closed: Vec<Closed>,
}

/// The end of one holder's time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Closed {
    /// The epoch that held the lease until then.
    pub epoch: u64,
    /// How far it may have acknowledged.
    pub watermark: u64,
    /// The hash of the entry there; [`Hash::GENESIS`] where there is none.
    pub head: Hash,
}

/// Why an object is no lease of the stream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the lease of stream {stream}: {what}")]
pub struct BadLease {
    stream: String,
    what: String,
}

/// A newer epoch, or another run of the same one, has the lease.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the lease of stream {stream} is epoch {epoch}'s, run {run}")]
pub struct Outranked {
    /// The stream.
    pub stream: String,
    /// The epoch that has it.
    pub epoch: u64,
    /// The run that has it.
    pub run: String,
}

impl Lease {
    /// The lease that begins a stream: held by the primary, nothing acknowledged.
    pub fn first(stream: impl Into<String>, epoch: u64, run: impl Into<String>) -> Lease {
        Lease {
            stream: stream.into(),
            epoch,
            run: run.into(),
            holder: Some(Holder::Primary),
            watermark: 0,
            head: Hash::GENESIS,
            closed: Vec::new(),
        }
    }

    /// Reads the lease of `stream`.
    ///
    /// # Errors
    /// Not JSON, a field too many or too few, larger than [`LEASE_BYTES_MAX`], another stream's, or one whose history does not
    /// grow: epochs strictly, watermarks never down, one head at one watermark, and 64 zeros before the first entry alone.
    pub fn parse(stream: &str, bytes: &[u8]) -> Result<Lease, BadLease> {
        let bad = |what: String| BadLease { stream: stream.to_owned(), what };
        if bytes.len() > LEASE_BYTES_MAX {
            return Err(bad(format!("{} bytes; the limit is {LEASE_BYTES_MAX}", bytes.len())));
        }
        let lease: Lease = serde_json::from_slice(bytes).map_err(|err| bad(err.to_string()))?;
        if lease.stream != stream {
            return Err(bad(format!("it is the lease of stream `{}`", lease.stream)));
        }
        if lease.epoch == 0 {
            return Err(bad("epoch 0".into()));
        }
        let held = lease.held();
        let history: Vec<&Closed> = lease.closed.iter().chain([&held]).collect();
        for Closed { epoch, watermark, head } in &history {
            if (*watermark == 0) != (*head == Hash::GENESIS) {
                return Err(bad(format!("epoch {epoch} has the head {head} at the watermark {watermark}")));
            }
        }
        for pair in history.windows(2) {
            let (before, after) = (pair[0], pair[1]);
            if before.epoch >= after.epoch || before.watermark > after.watermark {
                return Err(bad(format!("epoch {} follows epoch {}", after.epoch, before.epoch)));
            }
            if before.watermark == after.watermark && before.head != after.head {
                let (watermark, one, other) = (before.watermark, before.head, after.head);
                return Err(bad(format!("it has two heads at the watermark {watermark}: {one} and {other}")));
            }
        }
        let closes = lease.closed.last().filter(|_| lease.holder.is_none());
        if closes.is_some_and(|last| last.watermark != lease.watermark) {
            return Err(bad("it is closed, and its watermark is not the last holder's".into()));
        }
        Ok(lease)
    }

    /// The bytes to store.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings and numbers always serialise")
    }

    /// The lease as `run` takes it over under `epoch`: closed, at the watermark that it has. Taken by the same run already, it
    /// is returned as it is.
    ///
    /// # Errors
    /// [`Outranked`] where the lease's epoch is not older, unless it is this very run's.
    pub fn taken(&self, epoch: u64, run: &str) -> Result<Lease, Outranked> {
        if self.is_of(epoch, run) && self.holder.is_none() {
            return Ok(self.clone());
        }
        if epoch <= self.epoch {
            return Err(self.outranked());
        }
        let mut closed = self.closed.clone();
        if self.holder.is_some() {
            closed.push(self.held());
        }
        Ok(Lease { epoch, run: run.to_owned(), holder: None, closed, ..self.clone() })
    }

    /// The lease as `run`, which has taken it under `epoch`, gives it to `side`. Given by the same run already, it is
    /// returned as it is, however far its holder has come.
    ///
    /// # Errors
    /// [`Outranked`] where the lease is not this run's.
    pub fn given(&self, epoch: u64, run: &str, side: Holder) -> Result<Lease, Outranked> {
        if !self.is_of(epoch, run) || self.holder.is_some_and(|holder| holder != side) {
            return Err(self.outranked());
        }
        Ok(Lease { holder: Some(side), ..self.clone() })
    }

    /// The epoch that was entitled to write `seq`; `None` where the lease is closed and the place lies behind its watermark.
    pub fn writer_of(&self, seq: u64) -> Option<u64> {
        let before = self.closed.get(self.closed.partition_point(|closed| closed.watermark < seq));
        before.map(|closed| closed.epoch).or_else(|| self.holder.map(|_| self.epoch))
    }

    /// The end of the time of `epoch`, if it held the lease and does no more.
    pub(crate) fn closed_of(&self, epoch: u64) -> Option<&Closed> {
        self.closed.binary_search_by_key(&epoch, |closed| closed.epoch).ok().map(|at| &self.closed[at])
    }

    /// The holders that were closed at `watermark`.
    pub(crate) fn closed_at(&self, watermark: u64) -> impl Iterator<Item = &Closed> {
        let from = self.closed.partition_point(|closed| closed.watermark < watermark);
        self.closed[from..].iter().take_while(move |closed| closed.watermark == watermark)
    }

    /// Who may write now, as a [`Pen`] that was given or taken by a control entry would have it.
    pub fn pen(&self) -> Pen {
        let (epoch, run) = (self.epoch, self.run.clone());
        let mut pen = Pen::default();
        pen.apply(&match self.holder {
            Some(holder) => Control::Open(Open { epoch, holder, run }),
            None => Control::Seal(Seal { epoch, run }),
        });
        pen
    }

    /// The newest holder's time, as it would be closed now.
    fn held(&self) -> Closed {
        Closed { epoch: self.epoch, watermark: self.watermark, head: self.head }
    }

    fn is_of(&self, epoch: u64, run: &str) -> bool {
        self.epoch == epoch && self.run == run
    }

    fn outranked(&self) -> Outranked {
        Outranked { stream: self.stream.clone(), epoch: self.epoch, run: self.run.clone() }
    }
}
