//! The lease: how an application that cannot write slots is fenced, without I/O.
//!
//! Such an application sends its entries to a delivery stream, which nobody can close. So each stream has one object more, its
//! lease, which says who may acknowledge and how far he has: the *watermark*. The holder advances the watermark by a put with
//! `If-Match`, *before* he acknowledges; a run takes the lease over by the same kind of put. Of two puts that saw the same
//! object the store lets one win, with no clock.
//!
//! 1. Read the lease; make a [`LeaseWriter`]; wait until [`LeaseWriter::has_lease`].
//! 2. Send entries to the delivery stream, and wait until it has accepted them.
//! 3. [`LeaseWriter::advance`] to the last of them, and put what it gives, one put in flight a stream.
//! 4. On 200, [`LeaseWriter::stored`]; only now acknowledge, up to [`LeaseWriter::watermark`].
//! 5. On 412 or 404, read the lease and ask [`LeaseWriter::refused`]: one's own bytes are success (an answer was lost). Anything
//!    else means that the lease is lost: acknowledge nothing more, and begin again at 1.
//! 6. On 409, or without an answer, the same put again, byte for byte.
//!
//! Invariants: the watermark never falls. It is an upper bound of everything acknowledged, so a ledger that is whole
//! through it lost nothing. What an older epoch wrote behind the watermark at which it was closed was never
//! acknowledged, and is void ([`Lease::is_void`]), however late it is delivered.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::control::{Control, Holder, Open, Pen, Seal};

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
}

/// How an entry stands to the lease of its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its epoch held the lease there.
    Entitled,
    /// It was never acknowledged: see [`Lease::is_void`].
    Void,
    /// Its epoch is newer than the lease that was read.
    Newer,
    /// Nobody was entitled to write it.
    Foreign,
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
            closed: Vec::new(),
        }
    }

    /// Reads the lease of `stream`.
    ///
    /// # Errors
    /// Not JSON, a field too many or too few, larger than [`LEASE_BYTES_MAX`], another stream's, or one whose history does not
    /// grow: epochs strictly, watermarks never down.
    pub fn parse(stream: &str, bytes: &[u8]) -> Result<Lease, BadLease> {
        let bad = |what: String| BadLease { stream: stream.to_owned(), what };
        if bytes.len() > LEASE_BYTES_MAX {
            return Err(bad(format!("{} bytes; the limit is {LEASE_BYTES_MAX}", bytes.len())));
        }
        let lease: Lease = serde_json::from_slice(bytes).map_err(|err| bad(err.to_string()))?;
        if lease.stream != stream {
            return Err(bad(format!("it is the lease of stream `{}`", lease.stream)));
        }
        let held = Closed { epoch: lease.epoch, watermark: lease.watermark };
        let history: Vec<&Closed> = lease.closed.iter().chain([&held]).collect();
        for pair in history.windows(2) {
            let closes = pair[1] == &held && lease.holder.is_none();
            if pair[0].epoch >= pair[1].epoch || pair[0].watermark > pair[1].watermark {
                return Err(bad(format!("epoch {} follows epoch {}", pair[1].epoch, pair[0].epoch)));
            }
            if closes && pair[0].watermark != pair[1].watermark {
                return Err(bad("it is closed, and its watermark is not the last holder's".into()));
            }
        }
        if lease.epoch == 0 {
            return Err(bad("epoch 0".into()));
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
            closed.push(Closed { epoch: self.epoch, watermark: self.watermark });
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

    /// Whether an entry was never acknowledged: written under an epoch that was closed before its place.
    pub fn is_void(&self, seq: u64, epoch: u64) -> bool {
        self.closed.iter().any(|closed| closed.epoch == epoch && seq > closed.watermark)
    }

    /// How an entry stands to the lease. `None` for the epoch of an entry that carries none.
    pub fn standing(&self, seq: u64, epoch: Option<u64>) -> Standing {
        match epoch {
            Some(epoch) if self.is_void(seq, epoch) => Standing::Void,
            Some(epoch) if epoch > self.epoch => Standing::Newer,
            Some(epoch) if self.writer_of(seq) == Some(epoch) => Standing::Entitled,
            _ => Standing::Foreign,
        }
    }

    /// The epoch that was entitled to write `seq`; `None` where the lease is closed and the place lies behind its watermark.
    pub fn writer_of(&self, seq: u64) -> Option<u64> {
        let before = self.closed.iter().find(|closed| seq <= closed.watermark);
        before.map(|closed| closed.epoch).or_else(|| self.holder.map(|_| self.epoch))
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

    fn is_of(&self, epoch: u64, run: &str) -> bool {
        self.epoch == epoch && self.run == run
    }

    fn outranked(&self) -> Outranked {
        Outranked { stream: self.stream.clone(), epoch: self.epoch, run: self.run.clone() }
    }
}

/// Why a writer may not acknowledge now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stream {stream}: {stood}")]
pub struct NoLease {
    stream: String,
    stood: String,
}

/// A put that advances the watermark; the same bytes and condition at each try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advance {
    /// The object's key.
    pub key: String,
    /// The object's bytes.
    pub bytes: Vec<u8>,
    /// What to send as `If-Match`.
    pub if_match: String,
    lease: Lease,
}

/// What a refused put means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The lease holds the put's own bytes: it was stored, and the answer was lost.
    Mine,
    /// The lease is somebody else's, who is named. Nothing of the put was or will be stored.
    Lost(String),
}

/// The holder of one lease: tells what to put, and how far to acknowledge.
#[derive(Clone, Debug)]
pub struct LeaseWriter {
    lease: Lease,
    etag: String,
    side: Holder,
    epoch: Option<u64>,
    lost: bool,
}

impl LeaseWriter {
    /// A writer for `side` that has read `lease` with `etag`. A recovery side gives the `epoch` that it was launched under; the
    /// primary, of which there is only one, gives none.
    pub fn new(lease: Lease, etag: impl Into<String>, side: Holder, epoch: Option<u64>) -> LeaseWriter {
        LeaseWriter { lease, etag: etag.into(), side, epoch, lost: false }
    }

    /// The epoch to write under.
    ///
    /// # Errors
    /// The reason why this writer may not acknowledge.
    pub fn has_lease(&self) -> Result<u64, NoLease> {
        let Lease { stream, epoch, run, holder, .. } = &self.lease;
        let stood = match holder {
            None => format!("closed by epoch {epoch}, run {run}"),
            Some(holder) if *holder != self.side || self.epoch.is_some_and(|own| own != *epoch) => {
                format!("held by the {holder} under epoch {epoch}")
            }
            Some(_) if self.lost => "another process advances it as well; end one of the two".to_owned(),
            Some(_) => return Ok(*epoch),
        };
        Err(NoLease { stream: stream.clone(), stood })
    }

    /// How far this writer may acknowledge: the watermark that is stored.
    pub fn watermark(&self) -> u64 {
        self.lease.watermark
    }

    /// The put that advances the watermark to `through`, which the delivery stream has accepted; `None` where it stands there
    /// already.
    ///
    /// # Errors
    /// As [`Self::has_lease`].
    pub fn advance(&self, through: u64) -> Result<Option<Advance>, NoLease> {
        self.has_lease()?;
        if through <= self.lease.watermark {
            return Ok(None);
        }
        let lease = Lease { watermark: through, ..self.lease.clone() };
        Ok(Some(Advance {
            key: key(&lease.stream),
            bytes: lease.to_bytes(),
            if_match: self.etag.clone(),
            lease,
        }))
    }

    /// Moves to `advance`, which the store has taken as `etag`.
    pub fn stored(&mut self, advance: Advance, etag: impl Into<String>) {
        (self.lease, self.etag) = (advance.lease, etag.into());
    }

    /// Judges a refusal (412, or 404) by what the lease holds now, `None` where there is none. After `Mine` the writer stands
    /// where the put has moved it; after `Lost` it has read what stands there, and [`Self::has_lease`] says who holds it.
    pub fn refused(&mut self, advance: Advance, found: Option<(&[u8], &str)>) -> Refused {
        let stream = advance.lease.stream.clone();
        if let Some((bytes, etag)) = found
            && bytes == advance.bytes
        {
            self.stored(advance, etag);
            return Refused::Mine;
        }
        self.lost = true;
        let Some((bytes, etag)) = found else {
            return Refused::Lost(format!("the lease of stream {stream} is gone"));
        };
        match Lease::parse(&stream, bytes) {
            Ok(lease) => {
                let why = match lease.holder {
                    None => format!("epoch {}, run {}, has closed it", lease.epoch, lease.run),
                    Some(holder) if lease.epoch == advance.lease.epoch => {
                        format!("another writer of the {holder} has advanced it to {}", lease.watermark)
                    }
                    Some(holder) => format!("the {holder} holds it under epoch {}", lease.epoch),
                };
                (self.lease, self.etag) = (lease, etag.to_owned());
                Refused::Lost(format!("stream {stream}: {why}"))
            }
            Err(bad) => Refused::Lost(bad.to_string()),
        }
    }
}
