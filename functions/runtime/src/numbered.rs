//! Objects that are named by a number: `<prefix><20 digits><suffix>`, as the slots of a stream and its checkpoints are.
//!
//! Keys sort as the numbers do, so the greatest is found by doubling and then halving a step, one page of up to 1,000
//! objects at each. With 1,000,000 objects that takes 16 pages where a listing takes 1,000 (`tests/tests/store.rs`
//! counts), and one page where a number close to the end is known.

use std::ops::RangeInclusive;

use jiff::Timestamp;
use lifeboat_rules::{ErrorName, StepError};

use crate::store::{Listed, Page, Store};

/// How many pages a search may take: twice as many as halve 64 bits, though no search needs half of that.
const SEARCH_PAGES_MAX: u32 = 128;

/// How many pages of a search may hold nothing but keys that are no numbers of the row: strays, which are paged over.
const STRAY_PAGES_MAX: u32 = 128;

/// A row of numbered objects.
#[derive(Clone, Debug)]
pub(crate) struct Numbered<'a> {
    pub store: &'a Store,
    pub bucket: &'a str,
    /// With the slash at the end.
    pub prefix: String,
    pub suffix: &'static str,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its number.
    pub number: u64,
    /// The object.
    pub object: Listed,
    /// When the store said so, by its own clock; `None` where it did not.
    pub read_at: Option<Timestamp>,
}

impl Numbered<'_> {
    /// The object with the greatest number in `range`, `None` where there is none. The search begins
    /// at the start of the range: 0, or a number that something is known to be at.
    ///
    /// # Errors
    /// As [`crate::aws_error`]; `Transient` where the end was not found in the pages that a search may take.
    pub async fn greatest(&self, range: RangeInclusive<u64>) -> Result<Option<Found>, StepError> {
        let mut newest: Option<Found> = None;
        // Nothing of the range lies behind `beyond`, once that is known.
        let mut beyond = None::<u64>;
        // How many numbers the last page spans, and how far the next doubling leaps.
        let (mut span, mut leap) = (1u64, 1u64);
        let end = *range.end();
        let mut stray_pages = STRAY_PAGES_MAX;
        for _ in 0..SEARCH_PAGES_MAX {
            let after = match (&newest, beyond) {
                (None, _) => range.start().checked_sub(1),
                (Some(newest), None) => Some(newest.number.saturating_add(leap).min(end)),
                // What is left fits into a page, as far as the last one shows.
                (Some(newest), Some(beyond)) if beyond - newest.number <= span => Some(newest.number),
                (Some(newest), Some(beyond)) => Some(newest.number + (beyond - newest.number) / 2),
            };
            let page = self.page_with(&range, after, &mut stray_pages).await?;
            let reaches_end = !page.more || page.objects.last().is_some_and(|last| last.key >= self.key(end));
            let mut of_range = page.objects.into_iter().filter_map(|object| {
                let number = self.parse(&object.key)?;
                range.contains(&number).then_some((number, object))
            });
            match (of_range.next(), newest.as_ref().map(|newest| newest.number)) {
                (Some(first), _) => {
                    let smallest = first.0;
                    let (number, object) = of_range.next_back().unwrap_or(first);
                    newest = Some(Found { number, object, read_at: page.read_at });
                    if reaches_end {
                        return Ok(newest);
                    }
                    span = (number - smallest).max(1);
                    leap = leap.max(span).saturating_mul(4);
                }
                (None, None) => return Ok(None),
                (None, Some(number)) if after == Some(number) => return Ok(newest),
                (None, Some(_)) => beyond = after,
            }
        }
        Err(self.no_end(SEARCH_PAGES_MAX))
    }

    /// The first page behind the number `after`, or from the first number on, that holds an object of `range`; the last one
    /// where none does. A page may be full of keys that are no numbers, and is no end then.
    async fn page_with(
        &self,
        range: &RangeInclusive<u64>,
        after: Option<u64>,
        stray_pages: &mut u32,
    ) -> Result<Page, StepError> {
        let mut after = match after {
            Some(number) => self.key(number),
            // The character before the digits.
            None => format!("{}/", self.prefix),
        };
        loop {
            let page = self.store.page(self.bucket, &self.prefix, Some(&after), None).await?;
            let of_range =
                |object: &Listed| self.parse(&object.key).is_some_and(|number| range.contains(&number));
            match page.objects.last() {
                Some(last)
                    if page.more
                        && last.key < self.key(*range.end())
                        && !page.objects.iter().any(of_range) =>
                {
                    after.clone_from(&last.key);
                }
                _ => return Ok(page),
            }
            *stray_pages = stray_pages.checked_sub(1).ok_or_else(|| self.no_end(STRAY_PAGES_MAX))?;
        }
    }

    fn no_end(&self, pages: u32) -> StepError {
        let what = format!("s3://{}/{}: the end was not found in {pages} pages", self.bucket, self.prefix);
        StepError::new(ErrorName::Transient, what)
    }

    fn key(&self, number: u64) -> String {
        format!("{}{number:020}{}", self.prefix, self.suffix)
    }

    pub(crate) fn parse(&self, key: &str) -> Option<u64> {
        let digits = key.strip_prefix(&self.prefix)?.strip_suffix(self.suffix)?;
        let number = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
        if number { digits.parse().ok() } else { None }
    }
}
