//! Questions to the log: what stands at a place.

use std::ops::RangeInclusive;

use futures::{StreamExt, TryStreamExt, stream};
use lifeboat_ledger::copies::{self, Line};
use lifeboat_ledger::{Format, Hash};
use lifeboat_rules::{ErrorName, StepError};
use lifeboat_runtime::Log;

/// How many segments before a place are read until one holds an entry of data, which names the epoch there. Control entries
/// are segments of their own, and a run puts two of them.
const SEGMENTS_BACK_MAX: usize = 16;
/// Segments in flight at once.
const GETS_IN_FLIGHT: usize = 32;

/// Reads lines from the log.
#[derive(Clone, Copy)]
pub(super) struct Authority<'a> {
    pub(super) log: &'a Log<'a>,
}

impl Authority<'_> {
    /// The hash of the entry `seq`; `None` where the log holds no such entry.
    ///
    /// Where a segment ends with it, as it does where the application hands on whole segments, that is one read: the next one
    /// names it.
    pub(super) async fn hash_at(&self, stream: &str, seq: u64) -> Result<Option<Hash>, StepError> {
        let next = self.segment(stream, seq + 1).await?;
        if let Some(first) = next.first()
            && first.entry.seq == seq + 1
        {
            return Ok(first.entry.prev);
        }
        let Some(head) = self.log.at_or_before(stream, seq).await? else { return Ok(None) };
        let lines = self.segment(stream, head.slot).await?;
        Ok(lines.into_iter().find(|line| line.entry.seq == seq).map(|line| line.entry.hash))
    }

    /// The log's lines from a place where the newest epoch is known, at or before `range`, to its end.
    pub(super) async fn lines(
        &self,
        stream: &str,
        range: &RangeInclusive<u64>,
    ) -> Result<Vec<Line>, StepError> {
        let (mut slot, mut before) = (*range.start(), Vec::new());
        for _ in 0..SEGMENTS_BACK_MAX {
            let Some(head) = self.log.at_or_before(stream, slot).await? else { break };
            let mut lines = self.segment(stream, head.slot).await?;
            lines.retain(|line| line.entry.seq <= *range.end());
            let known =
                lines.iter().any(|line| line.entry.control.is_none() && line.entry.seq < *range.start());
            lines.append(&mut before);
            before = lines;
            slot = head.slot.saturating_sub(1);
            if known || head.slot == 0 {
                break;
            }
        }
        // And what lies behind the segment that holds the beginning of the range.
        let slots = self.slots(stream, range, usize::MAX).await?;
        let held: Vec<Vec<Line>> = stream::iter(slots.into_iter().filter(|slot| slot > range.start()))
            .map(|slot| self.segment(stream, slot))
            .buffered(GETS_IN_FLIGHT)
            .try_collect()
            .await?;
        Ok(before.into_iter().chain(held.into_iter().flatten()).collect())
    }

    /// The slots of the segments that hold a part of `range`, in order, `slots_max` at most.
    pub(super) async fn slots(
        &self,
        stream: &str,
        range: &RangeInclusive<u64>,
        slots_max: usize,
    ) -> Result<Vec<u64>, StepError> {
        let mut after = self.log.at_or_before(stream, *range.start()).await?.map(|head| head.slot);
        let mut slots: Vec<u64> = after.into_iter().collect();
        loop {
            let page = self.log.page(stream, after).await?;
            let listed: Vec<u64> = page
                .objects
                .iter()
                .filter_map(|object| lifeboat_ledger::slot::parse(self.log.prefix(), &object.key))
                .map(|(_, slot)| slot)
                .collect();
            slots.extend(listed.iter().filter(|slot| *slot <= range.end()));
            slots.truncate(slots_max);
            match listed.last() {
                Some(last) if page.more && last <= range.end() && slots.len() < slots_max => {
                    after = Some(*last);
                }
                _ => return Ok(slots),
            }
        }
    }

    /// The lines of the segment at `slot`; none where there is no such segment, or where it cannot be read: what is wrong with
    /// it is the proof's to say.
    pub(super) async fn segment(&self, stream: &str, slot: u64) -> Result<Vec<Line>, StepError> {
        match self.log.segment(&self.log.key(stream, slot)).await {
            Ok(bytes) => {
                Ok(copies::lines(&Format::default(), &bytes.unwrap_or_default(), stream, &(0..=u64::MAX)))
            }
            Err(err) if err.name == ErrorName::Transient => Err(err),
            Err(_) => Ok(Vec::new()),
        }
    }
}
