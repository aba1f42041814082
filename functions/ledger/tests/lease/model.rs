//! Processes of both sides, several at once and each restarted at any time, whose puts are delayed, come again, and lose their
//! answers; and runs that take the lease over. Everything that any of them acknowledged is on the chain back from the head.

use std::collections::HashMap;

use lifeboat_ledger::lease::{Advance, Lease, LeaseWriter, Refused};
use lifeboat_ledger::{Hash, Holder};
use proptest::prelude::*;

use crate::store::Store;

#[derive(Clone, Debug)]
enum Step {
    /// A process sends an entry: one of two, so that two processes may send the same.
    Send(usize, bool),
    /// It makes the put that advances through its last entry, if it waits for none.
    Advance(usize),
    /// It sends that put again, which it does as often as no answer comes.
    Again(usize),
    /// One of the puts that are under way arrives, those of processes that have ended among them; whether its answer does.
    Arrive(usize, bool),
    /// The process ends, and another one reads the lease and goes on.
    Restart(usize),
    /// A second process of the side that holds the lease starts beside the first.
    Start,
    /// A run takes the lease over, by what it has read now or before the last time.
    Take(bool),
    /// The newest taker gives it to a side, and a process of that side starts.
    Give(bool),
}

fn step() -> impl Strategy<Value = Step> {
    let who = 0..4usize;
    prop_oneof![
        6 => (who.clone(), any::<bool>()).prop_map(|(who, which)| Step::Send(who, which)),
        5 => who.clone().prop_map(Step::Advance),
        2 => who.clone().prop_map(Step::Again),
        6 => any::<(usize, bool)>().prop_map(|(put, answered)| Step::Arrive(put, answered)),
        2 => who.prop_map(Step::Restart),
        1 => Just(Step::Start),
        1 => any::<bool>().prop_map(Step::Take),
        1 => any::<bool>().prop_map(Step::Give),
    ]
}

struct Process {
    writer: LeaseWriter,
    side: Holder,
    epoch: Option<u64>,
    /// The last entry that it has sent, or the head that it goes on from.
    last: (u64, Hash),
    waits_for: Option<Advance>,
}

impl Process {
    fn start(store: &Store, side: Holder, epoch: Option<u64>) -> Process {
        let writer = store.writer(side, epoch);
        let last = (writer.watermark(), writer.head());
        Process { writer, side, epoch, last, waits_for: None }
    }
}

#[derive(Default)]
struct World {
    /// What each entry that was ever sent names as the one before it.
    sent: HashMap<Hash, Hash>,
    acknowledged: Vec<(u64, Hash)>,
    under_way: Vec<Advance>,
}

impl World {
    fn send(&mut self, process: &mut Process, which: bool) {
        let Ok(epoch) = process.writer.has_lease() else { return };
        let (seq, prev) = process.last;
        let hash = Hash::of(format!("{} {prev} {epoch} {which}", seq + 1).as_bytes());
        self.sent.insert(hash, prev);
        process.last = (seq + 1, hash);
    }

    /// A put arrives; what answers it goes to whoever waits for it, if it comes back.
    fn arrive(&mut self, put: &Advance, store: &mut Store, processes: &mut [Process], answered: bool) {
        let stored = store.put(&put.if_match, &put.bytes);
        let waiting = processes.iter_mut().find(|process| process.waits_for.as_ref() == Some(put));
        let Some(process) = waiting.filter(|_| answered) else { return };
        let put = process.waits_for.take().expect("it waits");
        match stored {
            Some(etag) => process.writer.stored(put, etag),
            None => {
                let (bytes, etag) = (store.bytes.clone(), store.etag());
                if process.writer.refused(put, Some((&bytes, &etag))) != Refused::Mine {
                    return;
                }
            }
        }
        self.acknowledged.push((process.writer.watermark(), process.writer.head()));
    }

    /// The hash at `seq` of the chain back from the lease's head.
    fn on_chain(&self, lease: &Lease, seq: u64) -> Hash {
        (seq..lease.watermark).fold(lease.head, |hash, _| self.sent[&hash])
    }
}

fn run(steps: Vec<Step>) -> Result<usize, TestCaseError> {
    let mut store = Store::new(&Lease::first("ME1", 1, "init"));
    let mut world = World::default();
    let mut processes = vec![Process::start(&store, Holder::Primary, None)];
    let (mut epoch, mut stale, mut highest) = (1, (store.lease(), store.etag()), 0);
    for step in steps {
        let count = processes.len();
        match step {
            Step::Send(who, which) => world.send(&mut processes[who % count], which),
            Step::Advance(who) => {
                let process = &mut processes[who % count];
                if process.waits_for.is_none() && process.last.0 > process.writer.watermark() {
                    process.waits_for = process.writer.advance(process.last.0, process.last.1).ok().flatten();
                    world.under_way.extend(process.waits_for.clone());
                }
            }
            Step::Again(who) => world.under_way.extend(processes[who % count].waits_for.clone()),
            Step::Arrive(put, answered) => {
                if !world.under_way.is_empty() {
                    let put = world.under_way.swap_remove(put % world.under_way.len());
                    world.arrive(&put, &mut store, &mut processes, answered);
                }
            }
            Step::Restart(who) => {
                let process = &mut processes[who % count];
                *process = Process::start(&store, process.side, process.epoch);
            }
            Step::Start => {
                let lease = store.lease();
                if let Some(side) = lease.holder
                    && count < 4
                {
                    let of = (side == Holder::Recovery).then_some(lease.epoch);
                    processes.push(Process::start(&store, side, of));
                }
            }
            Step::Take(from_stale) => {
                let (seen, etag) = if from_stale { stale.clone() } else { (store.lease(), store.etag()) };
                if let Ok(taken) = seen.taken(epoch + 1, "run")
                    && store.put(&etag, &taken.to_bytes()).is_some()
                {
                    epoch += 1;
                }
                stale = (store.lease(), store.etag());
            }
            Step::Give(to_recovery) => {
                let side = if to_recovery { Holder::Recovery } else { Holder::Primary };
                if let Ok(given) = store.lease().given(epoch, "run", side)
                    && store.lease().holder.is_none()
                {
                    store.replace(&given);
                    processes.push(Process::start(&store, side, to_recovery.then_some(epoch)));
                }
            }
        }
        let lease = store.lease();
        prop_assert!(lease.watermark >= highest, "the watermark has fallen");
        highest = lease.watermark;
        for (seq, hash) in &world.acknowledged {
            prop_assert!(*seq <= lease.watermark, "{seq} was acknowledged in {lease:?}");
            prop_assert_eq!(world.on_chain(&lease, *seq), *hash, "entry {} in {:?}", seq, lease);
        }
    }
    Ok(world.acknowledged.len())
}

proptest! {
    #[test]
    fn all_that_was_acknowledged_is_on_the_chain_back_from_the_head(
        steps in prop::collection::vec(step(), 1..120),
    ) {
        run(steps)?;
    }
}

/// Two processes of one side have each sent another entry 1 and a put for it: whatever comes next, in every order of five steps.
#[test]
fn every_order_of_a_crash_two_branches_and_late_puts_keeps_what_was_acknowledged() {
    let begin = [Step::Start, Step::Send(0, false), Step::Send(1, true), Step::Advance(0), Step::Advance(1)];
    let next = [
        Step::Arrive(0, true),
        Step::Arrive(0, false),
        Step::Arrive(1, true),
        Step::Again(0),
        Step::Restart(0),
        Step::Send(0, false),
        Step::Advance(0),
        Step::Take(false),
    ];
    let (depth, mut most) = (5, 0);
    for number in 0..next.len().pow(depth) {
        let steps = (0..depth).map(|place| next[number / next.len().pow(place) % next.len()].clone());
        let steps: Vec<Step> = begin.iter().cloned().chain(steps).collect();
        most = most.max(run(steps.clone()).unwrap_or_else(|why| panic!("{steps:?}: {why}")));
    }
    assert_eq!(most, 2, "one wins, and goes on");
}
