//! What a round is like. Every combination comes once in [`Kind::COUNT`] rounds, so that each interleaving which matters
//! is made to happen and not hoped for; what is left to chance is only when, within it, each put meets the others.

use std::time::Duration;

use sha2::{Digest, Sha256};

/// The course of a round.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// Who comes first.
    pub order: Order,
    /// Whose answers are lost.
    pub lost: Lost,
    /// Whether the writer looks for fences. Where it does not, only the seal in its slot stops it.
    pub writer_watches: bool,
    /// How the stale sealer goes about it.
    pub stale: Manner,
}

/// Who comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The stale seal is put before the run of epoch 42 comes.
    StaleFirst,
    /// The stale sealer comes after the seal of epoch 42.
    StaleAfter,
    /// Both at once.
    Together,
    /// The stale sealer wakes when epoch 42 has been opened for the recovery side, which trades.
    StaleAwakes,
}

/// Whose answers are lost on their way. The calls themselves are done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// None.
    Nothing,
    /// The writer's first.
    OfWriter,
    /// Every answer to a put of the sealer of epoch 42: it can know only by reading.
    OfNew,
    /// Every answer to a put of the stale sealer.
    OfStale,
}

/// How the stale sealer goes about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// As this project's own code does, which puts nothing that would not count.
    Ours,
    /// Puts its seal at the end of the log, whatever stands before it.
    Blind,
}

const ORDERS: [Order; 4] = [Order::StaleFirst, Order::StaleAfter, Order::Together, Order::StaleAwakes];
const LOSSES: [Lost; 4] = [Lost::Nothing, Lost::OfWriter, Lost::OfNew, Lost::OfStale];
const MANNERS: [Manner; 2] = [Manner::Ours, Manner::Blind];
const WATCHES: [bool; 2] = [false, true];

impl Kind {
    /// How many there are.
    pub const COUNT: u64 = (ORDERS.len() * LOSSES.len() * MANNERS.len() * WATCHES.len()) as u64;

    /// The kind of a round.
    pub fn of(round: u64) -> Kind {
        let mut rest = round as usize;
        let mut next = |choices: usize| {
            let choice = rest % choices;
            rest /= choices;
            choice
        };
        Kind {
            order: ORDERS[next(ORDERS.len())],
            lost: LOSSES[next(LOSSES.len())],
            stale: MANNERS[next(MANNERS.len())],
            writer_watches: WATCHES[next(WATCHES.len())],
        }
    }
}

/// The pauses of one actor in one round: each depends on nothing but round, actor and step, so a round's delays can be had
/// again whichever way its tasks are scheduled.
#[derive(Clone, Copy, Debug)]
pub struct Pauses {
    round: u64,
    actor: &'static str,
}

impl Pauses {
    /// Those of `actor`.
    pub fn new(round: u64, actor: &'static str) -> Pauses {
        Pauses { round, actor }
    }

    /// The pause at `step`, shorter than `longest`.
    pub fn at(self, step: u64, longest: Duration) -> Duration {
        let digest = Sha256::digest(format!("{}/{}/{step}", self.round, self.actor));
        longest * u32::from(digest[0]) / 256
    }
}
