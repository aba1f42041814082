//! Rounds of questions, at a pace that a resolver bears.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use lifeboat_rules::dns::RecordSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::Receipt;
use crate::ask::{Asker, QUESTIONS_IN_FLIGHT};

/// A slice of time, in which no more is asked than may be in flight at once. A VPC's resolver drops what comes over 1,024
/// packets a second from one network interface:
/// <https://docs.aws.amazon.com/whitepapers/latest/hybrid-cloud-dns-options-for-vpc/constraints.html>.
/// No second has more than eleven slices, 880 questions.
const SLICE: Duration = Duration::from_millis(100);
/// Between two rounds of the same questions.
const PAUSE: Duration = Duration::from_millis(200);
/// The most characters that are told of a name that does not answer as it should.
const TOLD_CHARS_MAX: usize = 300;

/// One call's questions and what has come of them.
pub(super) struct Asking<'a> {
    asker: &'a Asker,
    now: fn() -> Timestamp,
    until: Instant,
    /// Of the names that answer from the recovery side.
    pub(super) receipts: Vec<Receipt>,
    /// What was told last of each of the others, by name and type.
    silent: BTreeMap<(String, String), String>,
}

impl<'a> Asking<'a> {
    pub(super) fn new(asker: &'a Asker, now: fn() -> Timestamp, until: Instant) -> Asking<'a> {
        Asking { asker, now, until, receipts: Vec::new(), silent: BTreeMap::new() }
    }

    /// Asks for a few again and again, until one answers from the recovery side or the time is over; whether one has.
    pub(super) async fn any(&mut self, few: Vec<RecordSet>) -> bool {
        loop {
            self.round(few.clone()).await;
            if !self.receipts.is_empty() || !self.pauses().await {
                return !self.receipts.is_empty();
            }
        }
    }

    /// Asks for each until it answers from the recovery side, or the time is over. Returns those that do not.
    pub(super) async fn all(&mut self, mut pending: Vec<RecordSet>) -> Vec<RecordSet> {
        loop {
            pending = self.round(pending).await;
            if pending.is_empty() || !self.pauses().await {
                return pending;
            }
        }
    }

    /// The receipts, and what is told of each name that does not answer as it should.
    pub(super) fn told(self) -> (Vec<Receipt>, Vec<String>) {
        (self.receipts, self.silent.into_values().collect())
    }

    /// Asks for each once, as long as there is time. Returns those that did not answer from the recovery side or were not
    /// asked for.
    async fn round(&mut self, pending: Vec<RecordSet>) -> Vec<RecordSet> {
        let mut still = Vec::new();
        let mut slices = pending.chunks(QUESTIONS_IN_FLIGHT);
        for slice in slices.by_ref() {
            let next = Instant::now() + SLICE;
            for (record, asked) in slice.iter().zip(self.asker.ask_all(slice, self.now).await) {
                let place = (record.name.clone(), record.kind.clone());
                match asked {
                    Ok(receipt) if receipt.values == record.values => {
                        self.silent.remove(&place);
                        self.receipts.push(receipt);
                    }
                    other => {
                        self.silent.insert(place, told(record, other));
                        still.push(record.clone());
                    }
                }
            }
            sleep_until(next).await;
            if Instant::now() >= self.until {
                break;
            }
        }
        still.extend(slices.flatten().cloned());
        still
    }

    /// Waits before the next round; false where the time is over.
    async fn pauses(&self) -> bool {
        let goes_on = Instant::now() < self.until;
        if goes_on {
            sleep(PAUSE).await;
        }
        goes_on
    }
}

fn told(record: &RecordSet, asked: Result<Receipt, String>) -> String {
    let told = match asked {
        Ok(receipt) => format!("{} {} answers {}", record.name, record.kind, receipt.values.join(" ")),
        Err(why) => format!("{} {}: {why}", record.name, record.kind),
    };
    told.chars().take(TOLD_CHARS_MAX).collect()
}
