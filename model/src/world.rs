//! A state: what lies in the stores, how far everybody has come, and what is under way.

use std::collections::BTreeMap;

use lifeboat_ledger::Holder;

use crate::acting::{Acting, Actor};
use crate::ledger;
use crate::memo::Blob;
use crate::request::{Acknowledged, Request, Writing};

/// What must never happen, and is seen when it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Harm {
    /// Traffic went from where a newer epoch had moved it to where an older one wanted it.
    StaleMove,
    /// Traffic went to a side without a proof through the seal of the same epoch, or before that side had the pen.
    UnprovenMove,
    /// A control entry of an older epoch than the newest in its stream changed who may write.
    StalePen,
    /// A run that no person has started took the pen from the recovery side.
    TakenFromServing,
    /// Somebody deleted a stack that another has made.
    ForeignUndo,
    /// A run said that somebody newer acts, and nobody does.
    SupersededByNobody,
    /// Somebody said that all traffic is moved, and it is not.
    HalfMoved,
}

/// The whole state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    /// Who has claimed the epochs, from 2 on; the first is the genesis.
    pub claims: Vec<Actor>,
    /// Each stream's objects, by slot. A hole is possible where a mechanism is missing.
    pub log: Vec<Vec<Option<Blob>>>,
    /// Objects of the same slots under other keys, which is possible where a mechanism is missing.
    pub beside: Vec<(usize, usize, Blob)>,
    /// The newest fence.
    pub fenced: u64,
    /// The flips, by epoch.
    pub flips: BTreeMap<u64, Actor>,
    /// The private zone.
    pub zone: Blob,
    /// The newest epoch that has put a batch: what no store says, and the properties need.
    pub moved: u64,
    /// Who has made the stack of which epoch.
    pub stacks: BTreeMap<u64, Actor>,
    /// The manifests.
    pub manifests: BTreeMap<Actor, u8>,
    /// Everybody, as in [`Actor::ALL`], and the one who comes last.
    pub actors: Vec<Acting>,
    /// The primary's writers.
    pub primary: Vec<Writing>,
    /// Orders that the primary has answered.
    pub primary_orders: u8,
    /// The recovery sides' writers, by epoch.
    pub recovery: BTreeMap<u64, Vec<Writing>>,
    /// Orders that the recovery sides have answered.
    pub recovery_orders: u8,
    /// What clients were told is stored.
    pub acknowledged: Vec<Acknowledged>,
    /// What clients were told is not and will not be stored.
    pub refused: Vec<Blob>,
    /// Requests that whoever sent them waits for no longer.
    pub late: Vec<Request>,
    /// Faults that may still happen.
    pub faults_left: u8,
    /// What has happened and must not.
    pub harm: Option<Harm>,
}

impl World {
    /// Streams opened for the primary by the genesis, everybody waiting.
    pub fn new(streams: usize, faults: u8) -> World {
        let genesis = |stream| {
            let open = ledger::open(1, lifeboat_rules::admission::GENESIS, Holder::Primary);
            match ledger::to_append(stream, &[], 0, &open) {
                ledger::ToAppend::Put(blob) => vec![Some(blob)],
                other => unreachable!("the first open of a stream: {other:?}"),
            }
        };
        World {
            claims: Vec::new(),
            log: (0..streams).map(genesis).collect(),
            beside: Vec::new(),
            fenced: 0,
            flips: BTreeMap::new(),
            zone: crate::dns::at_first(),
            moved: 0,
            stacks: BTreeMap::new(),
            manifests: BTreeMap::new(),
            actors: vec![Acting::new(streams); Actor::ALL.len() + 1],
            primary: vec![Writing { read: 1, out: false }; streams],
            primary_orders: 0,
            recovery: BTreeMap::new(),
            recovery_orders: 0,
            acknowledged: Vec::new(),
            refused: Vec::new(),
            late: Vec::new(),
            faults_left: faults,
            harm: None,
        }
    }

    /// The newest epoch that was claimed.
    pub fn newest_epoch(&self) -> u64 {
        self.claims.len() as u64 + 1
    }

    /// Who has claimed `epoch`; `None` for the genesis, and for nobody.
    pub fn claimant(&self, epoch: u64) -> Option<Actor> {
        self.claims.get(usize::try_from(epoch.checked_sub(2)?).ok()?).copied()
    }

    /// The objects of a stream from its first slot to the first free one.
    pub fn stream(&self, stream: usize) -> Vec<Blob> {
        self.log[stream].iter().map_while(|object| *object).collect()
    }

    /// Somebody of the actors.
    pub fn acting(&self, actor: Actor) -> &Acting {
        &self.actors[actor as usize]
    }

    pub(crate) fn acting_mut(&mut self, actor: Actor) -> &mut Acting {
        &mut self.actors[actor as usize]
    }

    /// Forgets what can make no difference any more: requests that would be refused whenever they arrive.
    pub(crate) fn forget(&mut self) {
        let World { claims, log, fenced, flips, manifests, .. } = self;
        self.late.retain(|request| match request {
            Request::Claim(epoch, _) => *epoch > claims.len() as u64 + 1,
            Request::Fence(epoch) => *epoch > *fenced,
            Request::Put(stream, at, ..) => !matches!(log[*stream].get(*at), Some(Some(_))),
            Request::Flip(epoch, _) => !flips.contains_key(epoch),
            Request::Manifest(actor, _) => !manifests.contains_key(actor),
            Request::Launch(..) | Request::Undo(..) | Request::Batch(..) => true,
        });
        self.late.sort();
    }

    /// Notes what must not happen; the first is kept.
    pub(crate) fn harmed(&mut self, harm: Harm) {
        self.harm.get_or_insert(harm);
    }
}
