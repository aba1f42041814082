//! Generated histories of an application with a lease, against a reference that walks back from the head in a map of hashes:
//! restarts within an epoch, take-overs, entries that were sent and never acknowledged, deliveries that are cut anywhere, sent
//! again, lost, and come in any order. `PROPTEST_CASES` says how many.

use std::collections::HashMap;

use lifeboat_ledger::lease::Lease;
use lifeboat_ledger::proof::End;
use lifeboat_ledger::{Hash, Holder, Verdict};
use proptest::prelude::*;

use crate::lines::{Line, STREAM, behind_holes, entry, object, prove};

#[derive(Clone, Debug)]
enum Step {
    /// The process sends so many entries, one after the other.
    Send(u64),
    /// It acknowledges all but so many of those that it has sent.
    Acknowledge(u64),
    /// It ends, and another goes on from the lease; whether that one sends the same bytes as the last for a while.
    Restart { same_for: u64 },
    /// A run takes the lease over, and a process of the other side goes on.
    TakeOver,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..6u64).prop_map(Step::Send),
        3 => prop_oneof![2 => Just(0), 1 => 1..4u64].prop_map(Step::Acknowledge),
        2 => prop_oneof![2 => Just(0), 1 => 1..4u64].prop_map(|same_for| Step::Restart { same_for }),
        1 => Just(Step::TakeOver),
    ]
}

/// What an application did.
struct History {
    lease: Lease,
    /// Every entry that any process ever sent, in the order of sending.
    sent: Vec<Line>,
    /// Whether a process has sent an entry that another one had sent.
    rejoined: bool,
}

impl History {
    fn of(steps: &[Step]) -> History {
        let mut lease = Lease::first(STREAM, 1, "init");
        let mut sent: Vec<Line> = Vec::new();
        // What the process has sent behind the watermark; and the entries that it sends as its predecessor did.
        let (mut own, mut copied): (Vec<Line>, Vec<Line>) = (Vec::new(), Vec::new());
        let (mut salt, mut rejoined) = (0, false);
        for step in steps {
            match step {
                Step::Send(count) => {
                    for _ in 0..*count {
                        let (seq, prev) =
                            own.last().map_or((lease.watermark, lease.head), |last| (last.seq, last.hash));
                        let line = match copied.is_empty() {
                            true => entry(seq + 1, lease.epoch, prev, salt),
                            false => copied.remove(0),
                        };
                        own.push(line.clone());
                        sent.push(line);
                    }
                }
                Step::Acknowledge(all_but) => {
                    let count = own.len().saturating_sub(*all_but as usize);
                    if let Some(last) = own[..count].last() {
                        (lease.watermark, lease.head) = (last.seq, last.hash);
                    }
                    own.drain(..count);
                }
                Step::Restart { same_for } => {
                    copied = own.drain(..).take(*same_for as usize).collect();
                    rejoined |= !copied.is_empty();
                    salt += 1;
                }
                Step::TakeOver => {
                    let epoch = lease.epoch + 1;
                    let side = if epoch.is_multiple_of(2) { Holder::Recovery } else { Holder::Primary };
                    let taken = lease.taken(epoch, "run").unwrap();
                    lease = taken.given(epoch, "run", side).unwrap();
                    (own, copied) = (Vec::new(), Vec::new());
                    salt += 1;
                }
            }
        }
        History { lease, sent, rejoined }
    }
}

/// The reference: the entries that were delivered, by their hash.
struct Reference<'a>(HashMap<Hash, (&'a Line, Hash)>);

impl<'a> Reference<'a> {
    fn new(delivered: &[&'a Line]) -> Reference<'a> {
        let prev = |line: &Line| {
            let json: serde_json::Value = serde_json::from_str(&line.text).unwrap();
            Hash::from_hex(json["prev"].as_str().unwrap()).unwrap()
        };
        Reference(delivered.iter().map(|line| (line.hash, (*line, prev(line)))).collect())
    }

    /// The entries from `head` back to the first; `None` where one of them was not delivered.
    fn chain(&self, watermark: u64, mut head: Hash) -> Option<Vec<Hash>> {
        let mut chain = Vec::new();
        for seq in (1..=watermark).rev() {
            let (line, prev) = self.0.get(&head)?;
            assert_eq!(line.seq, seq);
            chain.push(head);
            head = *prev;
        }
        assert_eq!(head, Hash::GENESIS);
        Some(chain)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    /// Proven is said if and only if the whole chain back from the head was delivered, and of exactly that chain; `Broken` is
    /// never said of an application that keeps the protocol. What is void is counted.
    #[test]
    fn proven_is_the_chain_back_from_the_head_and_nothing_else(
        steps in prop::collection::vec(step(), 1..24),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 1..12usize), 0..24),
        whole in any::<bool>(),
        order in any::<prop::sample::Index>(),
        lost in prop::collection::vec(any::<prop::sample::Index>(), 0..3),
    ) {
        let History { lease, sent, rejoined } = History::of(&steps);
        let mut deliveries: Vec<Vec<Line>> = Vec::new();
        for (from, size) in &cuts {
            let from = if sent.is_empty() { 0 } else { from.index(sent.len()) };
            deliveries.push(sent[from..(from + size).min(sent.len())].to_vec());
        }
        if whole {
            deliveries.extend(sent.chunks(5).map(<[Line]>::to_vec));
        }
        for index in &lost {
            if !deliveries.is_empty() {
                deliveries.swap_remove(index.index(deliveries.len()));
            }
        }
        if !deliveries.is_empty() {
            let by = order.index(deliveries.len());
            deliveries.rotate_left(by);
        }
        let objects: Vec<Vec<u8>> = deliveries.iter().map(|lines| object(lines)).collect();
        let delivered: Vec<&Line> = deliveries.iter().flatten().collect();
        let reference = Reference::new(&delivered);
        let chain = reference.chain(lease.watermark, lease.head);

        let closed = lease.taken(lease.epoch + 1, "next").unwrap();
        let proof = prove(&objects, &closed, End::Closed);
        let expected = if chain.is_some() { Verdict::Proven } else { Verdict::Unproven };
        prop_assert_eq!(proof.verdict, expected, "{:?}", proof.findings);
        if let Some(chain) = &chain {
            let stream = &proof.streams[0];
            prop_assert_eq!((stream.through, stream.head), (lease.watermark, lease.head));
            let void = delivered.iter().filter(|line| !chain.contains(&line.hash)).count() as u64;
            prop_assert!(proof.counts.void >= void, "{} of {void}", proof.counts.void);
            if !rejoined {
                prop_assert_eq!(proof.counts.void, void);
            }
            let counted = lease.watermark + proof.counts.void + proof.counts.repeated;
            prop_assert_eq!(proof.counts.entries, counted);
        } else {
            let whole = proof.findings[0].seq.unwrap() - 1;
            prop_assert!(whole < lease.watermark);
        }

        // Before it is closed: never more than was acknowledged, never less than an older holder's complete chain, and all of
        // it where that was delivered.
        let proof = prove(&objects, &lease, End::Open);
        prop_assert_eq!(proof.verdict, Verdict::Proven, "{:?}", proof.findings);
        let stream = &proof.streams[0];
        prop_assert_eq!(stream.through == lease.watermark, chain.is_some());
        prop_assert!(stream.through <= lease.watermark);
        prop_assert!(reference.chain(stream.through, stream.head).is_some(), "it was delivered");
        for older in &lease.closed {
            let complete = reference.chain(older.watermark, older.head).is_some();
            prop_assert!(!complete || stream.through >= older.watermark);
        }

        // A hole is seen as soon as something acknowledged behind it was delivered that lies further than all that is void; and
        // none is seen where everything that was ever sent has come.
        let holes = behind_holes(&objects, &lease);
        let of_all: Vec<&Line> = sent.iter().collect();
        let acknowledged = Reference::new(&of_all).chain(lease.watermark, lease.head).expect("it was sent");
        let came = |line: &Line| reference.0.contains_key(&line.hash);
        let on_chain = |line: &&&Line| acknowledged.contains(&line.hash);
        let furthest = delivered.iter().filter(on_chain).map(|line| line.seq).max().unwrap_or(0);
        let void = delivered.iter().filter(|line| !on_chain(line)).map(|line| line.seq).max().unwrap_or(0);
        let lacks = of_all.iter().filter(on_chain).any(|line| line.seq < furthest && !came(line));
        prop_assert!(!(lacks && void < furthest && holes.is_empty()), "{} lies behind a hole", furthest);
        prop_assert!(!of_all.iter().all(|line| came(line)) || holes.is_empty(), "{:?}", holes);
    }
}
