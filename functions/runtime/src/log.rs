//! The segments copy of a ledger in the store.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use jiff::Timestamp;
use lifeboat_ledger::decode::decoded;
use lifeboat_ledger::{checkpoint, slot};
use lifeboat_rules::StepError;
use lifeboat_rules::plan::Ledger;

use crate::numbered::{Found, Numbered};
use crate::store::{Listed, Page, Store};

/// How many streams a log may have; a bound against a listing that never ends.
pub(crate) const STREAMS_MAX: usize = 10_000;

/// The largest segment that is decoded as a whole, in bytes: one commit of a writer is far smaller, and a compressed one of
/// this size would still fit into the smallest function that reads segments so.
const SEGMENT_BYTES_MAX: usize = 128 * 1024 * 1024;

/// The log of one plan.
#[derive(Clone, Copy, Debug)]
pub struct Log<'a> {
    store: &'a Store,
    ledger: &'a Ledger,
}

/// The newest object of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its slot: the first sequence that it holds.
    pub slot: u64,
    /// When it was stored, by the store's clock.
    pub stored_at: Timestamp,
    /// When the store said so, by the same clock; `None` where it did not.
    pub read_at: Option<Timestamp>,
}

impl<'a> Log<'a> {
    /// The log that `ledger` names.
    pub fn new(store: &'a Store, ledger: &'a Ledger) -> Log<'a> {
        Log { store, ledger }
    }

    /// The streams of the plan and of the listing (of leases, where the plan has them), so that none escapes because nobody
    /// wrote it down.
    ///
    /// # Errors
    /// As [`crate::aws_error`].
    pub async fn streams(&self) -> Result<Vec<String>, StepError> {
        let mut streams = self.ledger.streams.clone();
        if self.ledger.lease.is_some() {
            streams.extend(self.leased().await?);
            streams.sort();
            streams.dedup();
            return Ok(streams);
        }
        let mut after: Option<String> = None;
        loop {
            let page = self
                .store
                .page(&self.ledger.bucket, &self.ledger.prefix, after.as_deref(), Some("/"))
                .await?;
            for common in &page.prefixes {
                let stream = common.strip_prefix(&self.ledger.prefix).unwrap_or(common).trim_end_matches('/');
                if !streams.iter().any(|known| known == stream) {
                    streams.push(stream.to_owned());
                }
            }
            if streams.len() > STREAMS_MAX {
                return Err(StepError::defect(format!("the log has more than {STREAMS_MAX} streams")));
            }
            // `StartAfter` with a common prefix itself would return that prefix again.
            after = page.prefixes.iter().max().map(|last| format!("{last}\u{10FFFF}"));
            if !page.more || after.is_none() {
                streams.sort();
                return Ok(streams);
            }
        }
    }

    /// Every segment of `stream`, in the order of their slots.
    ///
    /// # Errors
    /// As [`crate::aws_error`]; `Defect` where there are more than `segments_max`.
    pub async fn segments(&self, stream: &str, segments_max: usize) -> Result<Vec<Listed>, StepError> {
        let prefix = slot::stream_prefix(&self.ledger.prefix, stream);
        self.store.list(&self.ledger.bucket, &prefix, segments_max).await
    }

    /// The newest object of `stream`, found without listing the stream. With leases it is the lease, and its watermark the
    /// slot.
    ///
    /// # Errors
    /// As [`crate::aws_error`].
    pub async fn head(&self, stream: &str) -> Result<Option<Head>, StepError> {
        if self.ledger.lease.is_some() {
            return self.leased_head(stream).await;
        }
        self.greatest(stream, 0..=u64::MAX).await
    }

    /// As [`Log::head`], but searched for from `slot` on: one page where `slot` is among the last thousand. `None` where there
    /// is nothing at `slot` or behind it.
    ///
    /// # Errors
    /// As [`crate::aws_error`].
    pub async fn head_from(&self, stream: &str, slot: u64) -> Result<Option<Head>, StepError> {
        self.greatest(stream, slot..=u64::MAX).await
    }

    /// The object of `stream` with the greatest slot up to `seq`: the one that would hold the entry `seq`.
    ///
    /// # Errors
    /// As [`crate::aws_error`].
    pub async fn at_or_before(&self, stream: &str, seq: u64) -> Result<Option<Head>, StepError> {
        self.greatest(stream, 0..=seq).await
    }

    /// One page of up to 1,000 objects of `stream` whose slots come after `slot`; from the first on where that is `None`.
    /// Keys that are no slots are among them.
    ///
    /// # Errors
    /// As [`crate::aws_error`].
    pub async fn page(&self, stream: &str, after: Option<u64>) -> Result<Page, StepError> {
        let after = after.map(|slot| self.key(stream, slot));
        let prefix = slot::stream_prefix(&self.ledger.prefix, stream);
        self.store.page(&self.ledger.bucket, &prefix, after.as_deref(), None).await
    }

    /// The checkpoint of `stream` with the greatest sequence up to `through`.
    ///
    /// # Errors
    /// As [`crate::aws_error`].
    pub async fn checkpoint_through(&self, stream: &str, through: u64) -> Result<Option<Found>, StepError> {
        self.numbered(checkpoint::stream_prefix(stream), checkpoint::SUFFIX).greatest(0..=through).await
    }

    /// Object storage.
    pub fn store(&self) -> &'a Store {
        self.store
    }

    /// The bucket of the log, its fences and its checkpoints.
    pub fn bucket(&self) -> &'a str {
        &self.ledger.bucket
    }

    /// The key prefix of the segments, with the slash at the end.
    pub fn prefix(&self) -> &'a str {
        &self.ledger.prefix
    }

    /// The decoded lines of one segment, `None` where there is none. An object whose compression is damaged, or that would
    /// fill the memory, is handed on as it is: whoever reads its first line finds that it is no entry.
    ///
    /// # Errors
    /// As [`crate::aws_error`].
    pub async fn segment(&self, key: &str) -> Result<Option<Vec<u8>>, StepError> {
        let Some(bytes) = self.store.get(&self.ledger.bucket, key, None).await? else { return Ok(None) };
        let plain = match decoded(&bytes, SEGMENT_BYTES_MAX) {
            Ok(Cow::Owned(plain)) => Some(plain),
            Ok(Cow::Borrowed(_)) | Err(_) => None,
        };
        Ok(Some(plain.unwrap_or(bytes)))
    }

    /// The slot and key behind `seq`.
    pub fn key(&self, stream: &str, seq: u64) -> String {
        slot::key(&self.ledger.prefix, stream, seq)
    }

    async fn greatest(&self, stream: &str, range: RangeInclusive<u64>) -> Result<Option<Head>, StepError> {
        let found = self
            .numbered(slot::stream_prefix(&self.ledger.prefix, stream), slot::SUFFIX)
            .greatest(range)
            .await?;
        Ok(found.map(|found| Head {
            slot: found.number,
            stored_at: found.object.stored_at,
            read_at: found.read_at,
        }))
    }

    fn numbered(&self, prefix: String, suffix: &'static str) -> Numbered<'a> {
        Numbered { store: self.store, bucket: &self.ledger.bucket, prefix, suffix }
    }
}
