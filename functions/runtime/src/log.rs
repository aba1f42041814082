//! The segments copy of a ledger in the store.

use jiff::Timestamp;
use lifeboat_ledger::slot;
use lifeboat_rules::plan::Ledger;
use lifeboat_rules::{ErrorName, StepError};

use crate::store::{Listed, Page, Store};

/// How many streams a log may have; a bound against a listing that never ends.
const STREAMS_MAX: usize = 10_000;

/// How many reads the search for a stream's end may take: doubling and halving over 64 bits, twice over.
const SEARCH_MAX: u32 = 256;

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

    /// The streams of the plan and of the listing, so that none escapes because nobody wrote it down.
    ///
    /// # Errors
    /// As [`crate::aws_error`].
    pub async fn streams(&self) -> Result<Vec<String>, StepError> {
        let mut streams = self.ledger.streams.clone();
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

    /// The newest object of `stream`, without listing the stream: slots sort as numbers, so the end is found by
    /// doubling and then halving the step. A page holds 1,000 objects, and most searches end with the first page that
    /// has nothing behind it.
    ///
    /// # Errors
    /// As [`crate::aws_error`].
    pub async fn head(&self, stream: &str) -> Result<Option<Head>, StepError> {
        let mut newest: Option<Head> = None;
        let (mut step, mut beyond) = (1u64, None::<u64>);
        // Something lies behind `newest` (its page said so) and nothing behind `beyond`, so each read narrows the search.
        for _ in 0..SEARCH_MAX {
            let from = newest.as_ref().map_or(0, |head| head.slot);
            let after = match beyond {
                None if newest.is_none() => 0,
                None => from.saturating_add(step),
                Some(beyond) => from + (beyond - from) / 2,
            };
            let page = self.page_after(stream, after).await?;
            match self.last_of(stream, &page) {
                Some(head) if !page.more => return Ok(Some(head)),
                Some(head) => {
                    newest = Some(head);
                    step = step.saturating_mul(4);
                }
                None if newest.is_none() => return Ok(None),
                None => beyond = Some(after),
            }
        }
        Err(StepError::new(
            ErrorName::Transient,
            format!("stream {stream}: its end was not found in {SEARCH_MAX} reads"),
        ))
    }

    /// The bytes of one segment, `None` where there is none.
    ///
    /// # Errors
    /// As [`crate::aws_error`].
    pub async fn segment(&self, key: &str) -> Result<Option<Vec<u8>>, StepError> {
        self.store.get(&self.ledger.bucket, key, None).await
    }

    /// The slot and key behind `seq`.
    pub fn key(&self, stream: &str, seq: u64) -> String {
        slot::key(&self.ledger.prefix, stream, seq)
    }

    async fn page_after(&self, stream: &str, slot: u64) -> Result<Page, StepError> {
        let prefix = slot::stream_prefix(&self.ledger.prefix, stream);
        self.store.page(&self.ledger.bucket, &prefix, Some(&self.key(stream, slot)), None).await
    }

    fn last_of(&self, stream: &str, page: &Page) -> Option<Head> {
        page.objects.iter().rev().find_map(|object| match slot::parse(&self.ledger.prefix, &object.key) {
            Some((found, slot)) if found == stream => {
                Some(Head { slot, stored_at: object.stored_at, read_at: page.read_at })
            }
            _ => None,
        })
    }
}
