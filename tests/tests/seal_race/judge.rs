//! What the log holds in the end, and whether that is right.

use std::collections::BTreeMap;

use lifeboat_ledger::control::{Open, Seal};
use lifeboat_ledger::{Control, Expect, Fold, Holder, PenState, Run, Tail, Verdict, slot};
use lifeboat_rules::plan::Ledger;
use lifeboat_runtime::{Log, Store};
use serde_json::Value;

use crate::kind::{Kind, Manner, Order};
use crate::round::{NEW, STALE, STREAM};
use crate::sealer::Sealing;
use crate::writer::{Acknowledged, Wrote};

/// No round writes more objects.
const SEGMENTS_MAX: usize = 100_000;

/// What became of each actor.
pub struct Ended {
    pub primary: Wrote,
    pub recovery: Option<Wrote>,
    pub stale: Sealing,
    /// The slots whose put lost its answer, with the origin of the put.
    pub lost: Vec<(String, u64)>,
}

/// The whole stream, in order.
pub struct Chain {
    entries: Vec<Line>,
    pen: PenState,
}

/// One entry.
struct Line {
    seq: u64,
    says: Says,
}

enum Says {
    Control(Control),
    Data { id: u64, epoch: Option<u64> },
}

impl Chain {
    /// Reads the stream back, from the emulator itself, twice: every object by the fold that gives the proof, and entry by
    /// entry for what follows.
    pub async fn read(store: &Store, ledger: &Ledger) -> Chain {
        let log = Log::new(store, ledger);
        let (mut fold, mut tail, mut entries) = (Fold::default(), Tail::new(STREAM), Vec::new());
        for object in log.segments(STREAM, SEGMENTS_MAX).await.unwrap() {
            let (_, seq) = slot::parse(&ledger.prefix, &object.key).expect("nothing but slots");
            let bytes = log.segment(&object.key).await.unwrap().expect("what is listed can be read");
            fold.add(Run::of_segment(STREAM, seq, &object.key, &bytes));
            for (entry, line) in tail.absorb_segment(seq, &bytes).expect("it chains") {
                let says = entry.control.map_or_else(
                    || {
                        let own: Value = serde_json::from_slice(&bytes[line]).unwrap();
                        Says::Data { id: own["id"].as_u64().unwrap(), epoch: entry.epoch }
                    },
                    Says::Control,
                );
                entries.push(Line { seq: entry.seq, says });
            }
        }
        let (proof, _) = fold.finish(&Expect::streams(&[STREAM.to_owned()]));
        assert_eq!(proof.verdict, Verdict::Proven, "{:?}", proof.findings);
        Chain { entries, pen: proof.streams[0].pen.state().clone() }
    }

    /// Where the seal of `epoch` stands. None stands twice.
    fn seal(&self, epoch: u64) -> Option<u64> {
        let mut at = self.entries.iter().filter_map(|line| match &line.says {
            Says::Control(Control::Seal(Seal { epoch: found, .. })) if *found == epoch => Some(line.seq),
            _ => None,
        });
        let first = at.next();
        assert_eq!(at.next(), None, "the seal of epoch {epoch} stands twice");
        first
    }
}

/// How often each thing happened that a round can show.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    rounds: u32,
    acknowledged: usize,
    /// The stale seal counted, and that of epoch 42 counted over it.
    stale_first: u32,
    /// The stale sealer came after, and put nothing.
    stale_after_and_absent: u32,
    /// The stale seal was put after, and is inert.
    stale_after_and_inert: u32,
    /// Of the rounds in which both came at once: the stale seal came first, or not.
    together_stale_first: u32,
    together_stale_after: u32,
    /// The writer found a control entry in its slot.
    writer_refused: u32,
    /// The writer stopped at a fence, before any seal.
    writer_fenced: u32,
    /// A writer found an inert seal in its slot, still had the pen, and went on.
    writer_went_on: u32,
    /// A put was done whose answer was lost, and whose outcome was found by reading.
    writer_lost_answer: u32,
    new_lost_answer: u32,
    stale_lost_answer: u32,
}

impl Seen {
    /// Adds what another round showed.
    pub fn add(&mut self, other: &Seen) {
        self.rounds += other.rounds;
        self.acknowledged += other.acknowledged;
        self.stale_first += other.stale_first;
        self.stale_after_and_absent += other.stale_after_and_absent;
        self.stale_after_and_inert += other.stale_after_and_inert;
        self.together_stale_first += other.together_stale_first;
        self.together_stale_after += other.together_stale_after;
        self.writer_refused += other.writer_refused;
        self.writer_fenced += other.writer_fenced;
        self.writer_went_on += other.writer_went_on;
        self.writer_lost_answer += other.writer_lost_answer;
        self.new_lost_answer += other.new_lost_answer;
        self.stale_lost_answer += other.stale_lost_answer;
    }

    /// A race in which something never happened has not shown what comes of it.
    pub fn assert_each_happened(&self) {
        for (what, times) in [
            ("the stale seal counts first", self.stale_first),
            ("the stale sealer comes after and puts nothing", self.stale_after_and_absent),
            ("the stale seal is put after and is inert", self.stale_after_and_inert),
            ("the writer is refused by a seal", self.writer_refused),
            ("the writer stops at a fence", self.writer_fenced),
            ("a writer goes on past an inert seal", self.writer_went_on),
            ("the writer's answer is lost", self.writer_lost_answer),
            ("the answer to the seal of epoch 42 is lost", self.new_lost_answer),
            ("the answer to the stale seal is lost", self.stale_lost_answer),
        ] {
            assert!(times > 0, "it never happened that {what}: {self:#?}");
        }
    }
}

/// Judges a round, and says what it showed.
pub fn judge(kind: Kind, chain: &Chain, ended: Ended) -> Seen {
    let first_seal = read_in_order(kind, chain);
    let seal = chain.seal(NEW).expect("the seal of epoch 42 stands");
    let stale = chain.seal(STALE);

    // The end: sealed by epoch 42, or opened by it.
    match (&chain.pen, kind.order) {
        (PenState::Open { epoch: NEW, holder: Holder::Recovery }, Order::StaleAwakes) => {}
        (PenState::Sealed { epoch: NEW, run }, _) if run.starts_with("new-") => {}
        (pen, _) => panic!("{kind:?}: the pen is {pen:?}"),
    }

    // The stale sealer: what it was told is what stands, and ours puts nothing that would not count.
    match (ended.stale, stale) {
        (Sealing::Stands(told), Some(at)) => assert_eq!(told, at, "{kind:?}"),
        (Sealing::Fenced, None) => {}
        (told, at) => panic!("{kind:?}: the stale sealer was told {told:?}, and its seal stands at {at:?}"),
    }
    let stale_after = stale.is_none_or(|at| at > seal);
    if kind.stale == Manner::Ours && stale_after {
        assert_eq!(stale, None, "{kind:?}");
    }
    match kind.order {
        Order::StaleFirst => assert!(!stale_after, "{kind:?}"),
        Order::StaleAfter | Order::StaleAwakes => assert!(stale_after, "{kind:?}"),
        Order::Together => {}
    }

    // Nothing lost, and nothing of the primary's acknowledged beyond the first seal that counts.
    let data: BTreeMap<u64, (u64, Option<u64>)> = chain
        .entries
        .iter()
        .filter_map(|line| match line.says {
            Says::Data { id, epoch } => Some((line.seq, (id, epoch))),
            Says::Control(_) => None,
        })
        .collect();
    let recovered = ended.recovery.as_ref().map_or(&[][..], |wrote| &wrote.acknowledged);
    for Acknowledged { seq, id, epoch } in ended.primary.acknowledged.iter().chain(recovered) {
        assert_eq!(data.get(seq), Some(&(*id, Some(*epoch))), "{kind:?}: acknowledged at {seq}");
    }
    for Acknowledged { seq, .. } in &ended.primary.acknowledged {
        assert!(*seq < first_seal, "{kind:?}: {seq} was acknowledged, and the seal stands at {first_seal}");
    }

    let lost = |origin: &str, seq: Option<u64>| {
        u32::from(seq.is_some_and(|seq| ended.lost.iter().any(|(of, at)| of == origin && *at == seq)))
    };
    let written = ended.lost.iter().find(|(of, _)| of == "primary").map(|(_, at)| *at);
    let acknowledged = |seq: &u64| ended.primary.acknowledged.iter().any(|one| one.seq == *seq);
    let writers = || [Some(&ended.primary), ended.recovery.as_ref()].into_iter().flatten();
    let together = kind.order == Order::Together;
    Seen {
        rounds: 1,
        acknowledged: ended.primary.acknowledged.len() + recovered.len(),
        stale_first: u32::from(!stale_after),
        stale_after_and_absent: u32::from(stale.is_none()),
        stale_after_and_inert: u32::from(stale_after && stale.is_some()),
        together_stale_first: u32::from(together && !stale_after),
        together_stale_after: u32::from(together && stale_after),
        writer_refused: writers().map(|wrote| wrote.refused_by_control).sum(),
        writer_fenced: writers().map(|wrote| wrote.stopped_by_fence).sum(),
        writer_went_on: writers().map(|wrote| wrote.went_on).sum(),
        writer_lost_answer: lost("primary", written.filter(acknowledged)),
        new_lost_answer: lost("new", Some(seal)),
        stale_lost_answer: lost("stale", stale),
    }
}

/// Reads the chain by the rule as the design has it, in other words than the ledger's, and returns where the first seal
/// that counts stands.
fn read_in_order(kind: Kind, chain: &Chain) -> u64 {
    let (mut newest, mut writes, mut sealed_by) = (0, None, None);
    let mut first_seal = None;
    for (index, Line { seq, says }) in chain.entries.iter().enumerate() {
        assert_eq!(*seq, index as u64 + 1, "{kind:?}: a hole");
        match says {
            Says::Control(Control::Seal(Seal { epoch, run })) if *epoch > newest => {
                (newest, writes, sealed_by) = (*epoch, None, Some((*epoch, run)));
                first_seal = first_seal.or(Some(*seq));
            }
            Says::Control(Control::Open(Open { epoch, run, .. }))
                if *epoch > newest || sealed_by == Some((*epoch, run)) =>
            {
                (newest, writes, sealed_by) = (*epoch, Some(*epoch), None);
            }
            Says::Control(inert) => assert_eq!(inert.epoch(), STALE, "{kind:?}: {inert} is inert"),
            Says::Data { epoch, .. } => {
                assert!(
                    writes.is_some() && *epoch == writes,
                    "{kind:?}: {seq} is of epoch {epoch:?}, and {writes:?} writes"
                );
            }
        }
    }
    first_seal.expect("a seal counts")
}
