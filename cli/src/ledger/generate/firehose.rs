//! The objects of a delivery stream: whatever came within five minutes, streams mixed, at least once, in no order that
//! could be relied upon.

use super::Spec;
use super::chain::Chain;
use super::fault::{self, BOM, Fault, Injected, Mark, Placed};
use super::random::Random;
use super::schedule::{Schedule, Step};

/// When the first object was delivered, and how long each was buffered, in seconds: 2026-01-01.
const BEGAN_AT: i64 = 1_767_225_600;
const BUFFER_SECONDS: i64 = 300;
/// Entries that are sent together.
const BURST_ENTRIES_MAX: u64 = 64;
/// One burst in so many changes places with the one before it.
const SWAPPED_ONE_IN: u64 = 8;
/// One burst in so many comes with the next object.
const CARRIED_ONE_IN: u64 = 16;

/// What is still to be delivered.
pub(super) struct Deliveries {
    chains: Vec<Chain>,
    schedules: Vec<Schedule>,
    objects: usize,
    next: usize,
    random: Random,
    repeats_percent: u64,
    suffix: &'static str,
    /// Bursts of earlier objects that come with this one.
    carried: Vec<Burst>,
    /// Bursts that come with the last one.
    held: Vec<Burst>,
    placed: Vec<Placed>,
    injected: Vec<Injected>,
}

/// Lines that arrive together.
#[derive(Clone)]
struct Burst {
    stream: usize,
    bytes: Vec<u8>,
    /// The fault in it, and where that shows.
    mark: Option<(Fault, Mark)>,
}

impl Deliveries {
    pub(super) fn new(
        spec: &Spec,
        chains: Vec<Chain>,
        schedules: Vec<Schedule>,
        placed: Vec<Placed>,
    ) -> Deliveries {
        Deliveries {
            chains,
            schedules,
            objects: spec.objects as usize,
            next: 0,
            random: Random::new(spec.seed ^ 0xde11_5e2e),
            repeats_percent: u64::from(spec.repeats_percent),
            suffix: spec.compression.suffix(),
            carried: Vec::new(),
            held: Vec::new(),
            placed,
            injected: Vec::new(),
        }
    }

    pub(super) fn chains(&self) -> &[Chain] {
        &self.chains
    }

    pub(super) fn injected(&self) -> &[Injected] {
        &self.injected
    }

    /// Key, bytes, and whether the object is to be corrupted once it is compressed.
    pub(super) fn next(&mut self) -> Option<(String, Vec<u8>, bool)> {
        let index = self.next;
        if index == self.objects {
            return None;
        }
        self.next += 1;
        let is_last = self.next == self.objects;
        let placed = self.placed.iter().find(|placed| placed.group == index).copied();

        let mut of_streams: Vec<Vec<Burst>> =
            (0..self.chains.len()).map(|stream| self.write(stream, index, placed)).collect();
        let mut bursts = std::mem::take(&mut self.carried);
        // What is left of the streams, one burst of a stream drawn at a time: mixed, each in its own order.
        of_streams.iter_mut().for_each(|of_stream| of_stream.reverse());
        while of_streams.iter().any(|of_stream| !of_stream.is_empty()) {
            of_streams.retain(|of_stream| !of_stream.is_empty());
            let drawn = self.random.below(of_streams.len() as u64) as usize;
            bursts.extend(of_streams[drawn].pop());
        }
        let bursts = if is_last { bursts } else { self.carry(bursts) };
        let mut bursts = self.disturb(bursts);
        if is_last {
            bursts.append(&mut self.held);
        }
        let key = key(index, self.suffix);
        let bytes = self.join(bursts, &key, placed);
        Some((key, bytes, placed.is_some_and(|placed| placed.fault == Fault::Corrupt)))
    }

    /// A stream's share of the object `index`.
    fn write(&mut self, stream: usize, index: usize, placed: Option<Placed>) -> Vec<Burst> {
        let chain = &mut self.chains[stream];
        let (mut bursts, mut extra) = (Vec::new(), None);
        for step in &self.schedules[stream].groups[index] {
            let mut bytes = Vec::new();
            let Step::Data { entries } = step else {
                chain.control(&mut bytes, *step);
                bursts.push(Burst { stream, bytes, mark: None });
                continue;
            };
            if let Some(placed) = placed.filter(|placed| placed.stream == stream) {
                let first = Mark { seq: chain.next_seq(), offset: 0 };
                let mark = match placed.fault {
                    Fault::Fork => {
                        (0..placed.line).for_each(|_| chain.data(&mut bytes));
                        let (mut fork, mut other) = (chain.forked(), Vec::new());
                        let mark = Mark { seq: fork.next_seq(), offset: 0 };
                        fork.data(&mut other);
                        (placed.line..*entries).for_each(|_| chain.data(&mut bytes));
                        extra = Some(Burst { stream, bytes: other, mark: Some((Fault::Fork, mark)) });
                        None
                    }
                    Fault::Bom | Fault::Corrupt | Fault::Late | Fault::Truncate => {
                        (0..*entries).for_each(|_| chain.data(&mut bytes));
                        let last = Mark { seq: chain.next_seq() - 1, offset: 0 };
                        Some(if placed.fault == Fault::Truncate { last } else { first })
                    }
                    _ => fault::write(chain, &mut bytes, *entries, &placed),
                };
                let burst = Burst { stream, bytes, mark: mark.map(|mark| (placed.fault, mark)) };
                if placed.fault == Fault::Late {
                    self.held.push(burst)
                } else {
                    bursts.push(burst)
                }
                bursts.extend(extra.take());
                continue;
            }
            let mut left = *entries;
            while left > 0 {
                let count = (1 + self.random.below(BURST_ENTRIES_MAX)).min(left);
                let mut bytes = Vec::new();
                (0..count).for_each(|_| chain.data(&mut bytes));
                bursts.push(Burst { stream, bytes, mark: None });
                left -= count;
            }
        }
        bursts
    }

    /// Keeps some bursts for the next object. One with a fault stays: its place was decided.
    fn carry(&mut self, bursts: Vec<Burst>) -> Vec<Burst> {
        let (mut stay, mut carried) = (Vec::new(), Vec::new());
        for burst in bursts {
            let goes = burst.mark.is_none() && self.random.below(CARRIED_ONE_IN) == 0;
            if goes { carried.push(burst) } else { stay.push(burst) }
        }
        self.carried = carried;
        stay
    }

    /// Repeats some bursts and lets some change places.
    fn disturb(&mut self, bursts: Vec<Burst>) -> Vec<Burst> {
        let mut disturbed: Vec<Burst> = Vec::with_capacity(bursts.len());
        for burst in bursts {
            let repeated = burst.mark.is_none() && self.random.below(100) < self.repeats_percent;
            let again = repeated.then(|| burst.clone());
            disturbed.push(burst);
            disturbed.extend(again);
            let end = disturbed.len();
            if end >= 2 && self.random.below(SWAPPED_ONE_IN) == 0 {
                disturbed.swap(end - 2, end - 1);
            }
        }
        disturbed
    }

    /// Makes one object of its bursts, and notes where its fault shows.
    fn join(&mut self, mut bursts: Vec<Burst>, key: &str, placed: Option<Placed>) -> Vec<u8> {
        let fault = placed.map(|placed| placed.fault);
        let is_marked = |burst: &Burst| burst.mark.is_some_and(|(found, _)| Some(found) == fault);
        let mut bytes = Vec::new();
        if fault == Some(Fault::Bom) {
            bytes.extend(BOM);
            bursts.sort_by_key(|burst| !is_marked(burst));
        }
        if fault == Some(Fault::Truncate) {
            bursts.sort_by_key(is_marked);
        }
        for Burst { stream, bytes: of_burst, mark } in bursts {
            if let Some((fault, mark)) = mark {
                let (seq, offset) = match fault {
                    Fault::Corrupt => (None, 0),
                    Fault::Bom => (Some(mark.seq), 0),
                    _ => (Some(mark.seq), bytes.len() + mark.offset),
                };
                self.injected.push(Injected {
                    fault,
                    stream: self.chains[stream].stream().to_owned(),
                    seq,
                    object: key.to_owned(),
                    offset: offset as u64,
                });
            }
            bytes.extend(of_burst);
        }
        if fault == Some(Fault::Truncate) {
            let offset = fault::truncate(&mut bytes);
            if let Some(last) = self.injected.last_mut() {
                last.offset = offset as u64;
            }
        }
        bytes
    }
}

/// `2026/01/01/00/log-1-2026-01-01-00-05-00-<number>`, as a delivery stream names them.
fn key(index: usize, suffix: &str) -> String {
    let at = jiff::Timestamp::from_second(BEGAN_AT + BUFFER_SECONDS * index as i64)
        .unwrap_or(jiff::Timestamp::MAX);
    format!("{}-{index:08}{suffix}", at.strftime("%Y/%m/%d/%H/log-1-%Y-%m-%d-%H-%M-%S"))
}
