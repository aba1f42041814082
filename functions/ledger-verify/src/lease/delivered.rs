//! What was delivered of a ledger with leases: every object, each read once, and judged as often as it takes.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use lifeboat_ledger::lease::Leases;
use lifeboat_ledger::object::{Layout, Question};
use lifeboat_ledger::proof::{End, Expect, Proof};
use lifeboat_ledger::{Fold, ObjectId};
use lifeboat_rules::StepError;
use lifeboat_runtime::Log;

use crate::delivery::{self, FOLDERS, GETS_IN_FLIGHT, is_folder};

/// How often what two objects hold twice is asked for. Each time halves what is left of an overlap, which is a number of 64
/// bits.
const QUESTIONS_MAX: u32 = 66;

/// How much of a ledger is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Objects.
    pub objects: usize,
    /// Bytes, by the sizes in the listing.
    pub bytes: u64,
    /// Bytes of the entries in them, decompressed.
    pub decoded: u64,
}

/// What one call proves before the seal. Behind it, one call has to read everything twice, for its entries and for its
/// answers, within the function's 300 s; half of that is to spare. That leaves 75 s for each reading: at 75 MB a second, which is
/// what is assumed of a function and S3, and at 32 objects at once that take 30 ms each
/// (`functions/ledger/SCALE.md`; none of it was measured on AWS). What is compressed takes as long as its decompression, too: one
/// core that decompresses and proves 0.3 GB a second, as the one of `functions/ledger/BENCHMARK.md`, comes to 22 GB in 75 s.
pub const READ_MAX: Bound = Bound { objects: 80_000, bytes: 5_600_000_000, decoded: 22_000_000_000 };

/// From how many hundredths of a bound on it is said that it comes near.
const NEAR_PERCENT: u128 = 80;

impl Bound {
    /// Everything: behind the seal, where the history before it had a bound; and on a person's machine, who may stop it.
    pub(crate) const NONE: Bound = Bound { objects: usize::MAX, bytes: u64::MAX, decoded: u64::MAX };

    /// What is said of a ledger below `place` that is larger.
    pub(super) fn refusal(self, place: &str) -> String {
        let Bound { objects, bytes, decoded } = self;
        format!(
            "{place} holds more than {objects} deliveries, {bytes} bytes, or {decoded} bytes decompressed, which is what one call can read behind the seal: no run goes on from it, and the commands on a person's machine do; {ANEW}"
        )
    }

    /// What is said of `size` where it comes near to this bound.
    fn nearly(self, size: Bound) -> Option<String> {
        let percent = |size: u128, bound: u128| size.saturating_mul(100) / bound.max(1);
        let percent = percent(size.objects as u128, self.objects as u128)
            .max(percent(size.bytes.into(), self.bytes.into()))
            .max(percent(size.decoded.into(), self.decoded.into()));
        let Bound { objects, bytes, decoded } = size;
        (percent >= NEAR_PERCENT).then(|| {
            format!(
                "{objects} deliveries, {bytes} bytes, {decoded} decompressed, are {percent} % of what a run can read: beyond that no run goes on from them; {ANEW}, while there is time"
            )
        })
    }
}

/// What a person does about a ledger that is too large.
const ANEW: &str =
    "begin the streams anew, under other names below another prefix, or write slots, which have checkpoints";

/// What was delivered, as far as it was read.
pub(super) struct Delivered<'a> {
    log: &'a Log<'a>,
    leases: Leases,
    fold: Fold,
    /// When each object was stored, by the store's clock.
    read: BTreeMap<String, Timestamp>,
    /// How large they are together, in bytes, by the listing.
    bytes: u64,
}

impl<'a> Delivered<'a> {
    /// Nothing yet, to be judged under `leases`.
    pub(super) fn new(log: &'a Log<'a>, leases: Leases) -> Delivered<'a> {
        Delivered { log, leases, fold: Fold::new(Layout::Firehose), read: BTreeMap::new(), bytes: 0 }
    }

    /// Reads every object that was not read before, and says whether that was all: what goes beyond `bound` is left. A delivered
    /// object never changes.
    ///
    /// # Errors
    /// `Transient`; as [`lifeboat_runtime::aws_error`] where the deliveries cannot be listed.
    pub(super) async fn read_on(&mut self, bound: Bound) -> Result<bool, StepError> {
        let Delivered { log, fold, read, bytes, .. } = self;
        let mut after: Option<String> = None;
        loop {
            let page = log.store().page(log.bucket(), log.prefix(), after.as_deref(), None).await?;
            after = page.objects.last().map(|object| object.key.clone());
            let mut new = Vec::new();
            for object in page.objects {
                if is_delivery(log.prefix(), &object.key) && !read.contains_key(&object.key) {
                    *bytes = bytes.saturating_add(object.bytes);
                    new.push(object);
                }
            }
            if read.len() + new.len() > bound.objects || *bytes > bound.bytes {
                return Ok(false);
            }
            let mut parts = stream::iter(new)
                .map(async |object| {
                    let part = delivery::read(log, &object.key).await?;
                    Ok::<_, StepError>((object, part))
                })
                .buffer_unordered(GETS_IN_FLIGHT);
            while let Some((object, part)) = parts.try_next().await? {
                fold.merge(part);
                read.insert(object.key, object.stored_at);
                if fold.bytes() > bound.decoded {
                    return Ok(false);
                }
            }
            if !page.more {
                return Ok(true);
            }
        }
    }

    /// Judges what was read so far.
    ///
    /// # Errors
    /// `Transient` where an object could not be read again now.
    pub(super) async fn judge(&mut self, streams: &[String], end: End) -> Result<Proof, StepError> {
        let expect = self.expect(streams, end);
        for _ in 0..QUESTIONS_MAX {
            let questions = self.fold.questions(&expect);
            if questions.is_empty() {
                break;
            }
            let mut by_object: BTreeMap<Arc<ObjectId>, Vec<Question>> = BTreeMap::new();
            for question in questions {
                by_object.entry(Arc::clone(&question.piece.object)).or_default().push(question);
            }
            let mut answers = stream::iter(by_object)
                .map(async |(object, questions)| delivery::ask(self.log, &object, questions).await)
                .buffer_unordered(GETS_IN_FLIGHT);
            while let Some(answers) = answers.try_next().await? {
                self.fold.answer(answers);
            }
        }
        Ok(self.fold.clone().finish(&expect).0)
    }

    fn expect(&self, streams: &[String], end: End) -> Expect {
        Expect { leases: self.leases.clone(), end, ..Expect::streams(streams) }
    }

    /// Of each stream the oldest delivery, by its time, that begins behind a hole in what was acknowledged: with the sequence of the
    /// entry that it goes on from, which no delivery holds. To be asked after [`Self::judge`], which finds what takes a second look.
    pub(super) fn behind_holes(&self, streams: &[String]) -> BTreeMap<String, (Timestamp, u64)> {
        let expect = self.expect(streams, End::Open);
        let mut oldest: BTreeMap<String, (Timestamp, u64)> = BTreeMap::new();
        for run in self.fold.behind_holes(&expect) {
            let Some(stored_at) = self.read.get(&run.at.object.key) else { continue };
            let found = (*stored_at, run.first_seq.saturating_sub(1));
            oldest.entry(run.stream.clone()).and_modify(|known| *known = found.min(*known)).or_insert(found);
        }
        oldest
    }

    /// What is said where as much as was read comes near to `bound`.
    pub(super) fn nearly(&self, bound: Bound) -> Option<String> {
        bound.nearly(Bound { objects: self.read.len(), bytes: self.bytes, decoded: self.fold.bytes() })
    }

    /// When the newest delivery was stored, by the store's clock.
    pub(super) fn newest(&self) -> Option<Timestamp> {
        self.read.values().max().copied()
    }

    /// How many objects were read.
    pub(super) fn objects(&self) -> u64 {
        self.fold.objects()
    }
}

/// Whether `key` lies where Firehose delivers: what it could not process, and whatever else lies beside it, does not.
fn is_delivery(prefix: &str, key: &str) -> bool {
    let Some(rest) = key.strip_prefix(prefix) else { return false };
    let mut parts = rest.split('/');
    FOLDERS.iter().all(|digits| parts.next().is_some_and(|part| is_folder(part, *digits)))
        && parts.next().is_some()
}

#[cfg(test)]
mod tests {
    use super::{Bound, is_delivery};

    #[test]
    fn a_ledger_that_comes_near_to_its_bound_in_any_measure_is_told_before_it_is_refused() {
        let bound = Bound { objects: 100, bytes: 1_000, decoded: 10_000 };
        let far = Bound { objects: 79, bytes: 799, decoded: 7_999 };
        assert_eq!(bound.nearly(far), None);
        for near in
            [Bound { objects: 80, ..far }, Bound { bytes: 800, ..far }, Bound { decoded: 8_000, ..far }]
        {
            let said = bound.nearly(near).expect("it comes near");
            assert!(said.contains("are 80 % of what a run can read"), "{said}");
        }
        assert_eq!(Bound::NONE.nearly(Bound { decoded: u64::MAX / 2, ..bound }), None);
    }

    #[test]
    fn only_firehoses_dated_folders_hold_deliveries() {
        assert!(is_delivery("witness/", "witness/2026/11/23/20/aex-1-2026"));
        for key in [
            "witness/2026/11/23/20",
            "witness/failed/2026/11/23/20/x",
            "log/2026/11/23/20/x",
            "witness/2026/11/3/20/x",
        ] {
            assert!(!is_delivery("witness/", key), "{key}");
        }
    }
}
