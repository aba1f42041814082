//! The holder's half of the lease.

use super::{Lease, key};
use crate::Hash;
use crate::control::Holder;

/// Why a writer may not acknowledge now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stream {stream}: {stood}")]
pub struct NoLease {
    stream: String,
    stood: String,
}

/// Why the watermark is not advanced.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAdvanced {
    /// Another has the lease.
    #[error(transparent)]
    NoLease(#[from] NoLease),
    /// It stands further, or there with another entry: whoever asks goes on from something else than the lease says.
    #[error(
        "stream {stream}: asked to advance to entry {through} with the hash {head}, but the watermark stands at {watermark} with the head {stands}: go on from there"
    )]
    Elsewhere {
        /// The stream.
        stream: String,
        /// Where to it was asked to advance.
        through: u64,
        /// The hash that was given for it.
        head: Hash,
        /// Where the watermark stands.
        watermark: u64,
        /// The hash of the entry there.
        stands: Hash,
    },
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
    fence: u64,
    lost: bool,
}

impl LeaseWriter {
    /// A writer for `side` that has read `lease` with `etag`. A recovery side gives the `epoch` that it was launched under; the
    /// primary, of which there is only one, gives none.
    pub fn new(lease: Lease, etag: impl Into<String>, side: Holder, epoch: Option<u64>) -> LeaseWriter {
        LeaseWriter { lease, etag: etag.into(), side, epoch, fence: 0, lost: false }
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
            Some(_) if self.fence > *epoch => format!("epoch {epoch} is fenced by epoch {}", self.fence),
            Some(_) if self.lost => "another process advances it as well; end one of the two".to_owned(),
            Some(_) => return Ok(*epoch),
        };
        Err(NoLease { stream: stream.clone(), stood })
    }

    /// Notes that a fence object of `epoch` exists: from now on the holder of an older one advances nothing, and who takes the
    /// lease over is not beaten to it each time.
    pub fn saw_fence(&mut self, epoch: u64) {
        self.fence = self.fence.max(epoch);
    }

    /// How far this writer may acknowledge: the watermark that is stored.
    pub fn watermark(&self) -> u64 {
        self.lease.watermark
    }

    /// The hash of the entry at [`Self::watermark`], which the next entry names in its `prev`.
    pub fn head(&self) -> Hash {
        self.lease.head
    }

    /// The put that advances the watermark to the entry `through` with the hash `head`, which the delivery stream has accepted
    /// with all between it and the watermark; `None` where it stands there already.
    ///
    /// # Errors
    /// As [`Self::has_lease`]. An entry before the watermark, another one at it, or none: sequence 0, or the hash of 64 zeros.
    pub fn advance(&self, through: u64, head: Hash) -> Result<Option<Advance>, NotAdvanced> {
        self.has_lease()?;
        let Lease { stream, watermark, head: stands, .. } = &self.lease;
        let is_entry = through > 0 && head != Hash::GENESIS;
        if is_entry && (through, head) == (*watermark, *stands) {
            return Ok(None);
        }
        if !is_entry || through <= *watermark {
            let (stream, watermark, stands) = (stream.clone(), *watermark, *stands);
            return Err(NotAdvanced::Elsewhere { stream, through, head, watermark, stands });
        }
        let lease = Lease { watermark: through, head, ..self.lease.clone() };
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
