//! The objects of a writer: stream after stream, slot after slot.

use std::collections::VecDeque;

use super::chain::Chain;
use super::fault::{self, BOM, Fault, Injected, Placed};
use super::schedule::{Schedule, Step};

/// Entries that a writer puts behind the seal before it notices.
const AFTER_SEAL_ENTRIES: u64 = 3;

/// What is still to be written.
pub(super) struct Segments {
    chains: Vec<Chain>,
    /// Stream, group, step; the next is in front.
    steps: VecDeque<(usize, usize, Step)>,
    placed: Vec<Placed>,
    injected: Vec<Injected>,
    /// A fault that shows in the next segment of its stream.
    shows_next: Option<Injected>,
    /// Objects that stand beside the one that was written last, each with its key.
    beside: VecDeque<(String, Vec<u8>)>,
}

impl Segments {
    pub(super) fn new(chains: Vec<Chain>, schedules: Vec<Schedule>, placed: Vec<Placed>) -> Segments {
        let mut steps = VecDeque::new();
        for (stream, Schedule { groups }) in schedules.into_iter().enumerate() {
            let behind = groups.len();
            for (group, of_group) in groups.into_iter().enumerate() {
                steps.extend(of_group.into_iter().map(|step| (stream, group, step)));
            }
            if placed.iter().any(|placed| (placed.stream, placed.group) == (stream, behind)) {
                steps.push_back((stream, behind, Step::Data { entries: AFTER_SEAL_ENTRIES }));
            }
        }
        let (injected, beside) = (Vec::new(), VecDeque::new());
        Segments { chains, steps, placed, injected, shows_next: None, beside }
    }

    pub(super) fn chains(&self) -> &[Chain] {
        &self.chains
    }

    pub(super) fn injected(&self) -> &[Injected] {
        &self.injected
    }

    /// Key, bytes, and whether the object is to be corrupted once it is compressed.
    pub(super) fn next(&mut self) -> Option<(String, Vec<u8>, bool)> {
        loop {
            if let Some((key, bytes)) = self.beside.pop_front() {
                return Some((key, bytes, false));
            }
            let (stream, group, step) = self.steps.pop_front()?;
            let chain = &mut self.chains[stream];
            let key = slot(chain.stream(), chain.next_seq());
            let placed = self.placed.iter().find(|placed| (placed.stream, placed.group) == (stream, group));
            let mut bytes = Vec::new();
            match (step, placed.copied()) {
                (Step::Data { entries }, Some(placed)) => match self.faulty(entries, placed) {
                    Some(bytes) => return Some((key, bytes, placed.fault == Fault::Corrupt)),
                    None => continue,
                },
                (Step::Data { entries }, None) => (0..entries).for_each(|_| chain.data(&mut bytes)),
                (control, _) => chain.control(&mut bytes, control),
            }
            if let Some(shown) = self.shows_next.take() {
                self.injected.push(Injected { object: key.clone(), ..shown });
            }
            return Some((key, bytes, false));
        }
    }

    /// The next segment with its fault, `None` where the fault is that there is none.
    fn faulty(&mut self, entries: u64, placed: Placed) -> Option<Vec<u8>> {
        let chain = &mut self.chains[placed.stream];
        let mut shows = Injected {
            fault: placed.fault,
            stream: chain.stream().to_owned(),
            seq: Some(chain.next_seq()),
            object: slot(chain.stream(), chain.next_seq()),
            offset: 0,
        };
        let mut bytes = Vec::new();
        match placed.fault {
            Fault::Bom | Fault::AfterSeal | Fault::Corrupt => {
                if placed.fault == Fault::Bom {
                    bytes.extend(BOM);
                }
                (0..entries).for_each(|_| chain.data(&mut bytes));
            }
            Fault::Fork => {
                (0..placed.line).for_each(|_| chain.data(&mut bytes));
                let (mut fork, mut other) = (chain.forked(), Vec::new());
                (shows.seq, shows.object) = (Some(fork.next_seq()), slot(fork.stream(), fork.next_seq()));
                for _ in placed.line..entries {
                    chain.data(&mut bytes);
                    fork.data(&mut other);
                }
                self.beside.push_back((shows.object.clone(), other));
            }
            Fault::LostObject => {
                (0..entries).for_each(|_| chain.data(&mut bytes));
                self.shows_next = Some(shows);
                return None;
            }
            Fault::Truncate => {
                (0..entries).for_each(|_| chain.data(&mut bytes));
                shows.offset = fault::truncate(&mut bytes) as u64;
                shows.seq = Some(chain.next_seq() - 1);
            }
            Fault::Empty => {
                (0..entries).for_each(|_| chain.data(&mut bytes));
                bytes.clear();
            }
            Fault::Stray => {
                (0..entries).for_each(|_| chain.data(&mut bytes));
                (shows.seq, shows.object) = (None, format!("{}/notes.txt", chain.stream()));
                self.beside.push_back((shows.object.clone(), b"not a segment\n".to_vec()));
            }
            _ => {
                let mark = fault::write(chain, &mut bytes, entries, &placed)?;
                (shows.seq, shows.offset) = (Some(mark.seq), mark.offset as u64);
            }
        }
        self.injected.push(shows);
        Some(bytes)
    }
}

fn slot(stream: &str, first_seq: u64) -> String {
    format!("{stream}/{first_seq:020}.ndjson")
}
