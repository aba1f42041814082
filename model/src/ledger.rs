//! The ledger's rules, asked of a stream as it lies in the store.

use std::sync::{Arc, LazyLock};

use lifeboat_ledger::append::{self, Next, Sealed};
use lifeboat_ledger::chain::Run;
use lifeboat_ledger::control::{Open, Seal};
use lifeboat_ledger::proof::{End, Expect};
use lifeboat_ledger::writer::{Taken, Writer};
use lifeboat_ledger::{Control, Fold, Holder, Pen, StreamProof, Tail, Verdict, slot};

use crate::memo::{Asked, Blob};

const PREFIX: &str = "log/";

/// The name of a stream.
pub fn name(stream: usize) -> String {
    format!("ME{}", stream + 1)
}

/// Objects of a stream from its first slot on, without a hole. In the model each holds one entry, so the slot of an object
/// is its place here.
pub type Prefix = Vec<Blob>;

type Read = Result<Arc<Tail>, Arc<str>>;

/// The position behind `objects`: what [`Tail::absorb_segment`] makes of one after the other.
///
/// # Errors
/// The finding against the chain.
pub fn tail(stream: usize, objects: &[Blob]) -> Read {
    static ASKED: LazyLock<Asked<(usize, Prefix), Read>> = LazyLock::new(Asked::new);
    ASKED.ask((stream, objects.to_vec()), |_| {
        let Some((last, before)) = objects.split_last() else {
            return Ok(Arc::new(Tail::new(name(stream))));
        };
        let mut tail = (*tail(stream, before)?).clone();
        match tail.absorb_segment(objects.len() as u64, &last.bytes()) {
            Ok(_) => Ok(Arc::new(tail)),
            Err(finding) => Err(finding.to_string().into()),
        }
    })
}

/// Who has the pen behind `objects`, as far as they chain.
pub fn pen(stream: usize, objects: &[Blob]) -> Pen {
    match (tail(stream, objects), objects.split_last()) {
        (Ok(tail), _) => tail.pen().clone(),
        (Err(_), Some((_, before))) => pen(stream, before),
        (Err(_), None) => Pen::default(),
    }
}

/// The proof of a stream from its beginning, by the fold that verifies a ledger.
pub fn proof(stream: usize, objects: &[Blob]) -> Result<Arc<StreamProof>, Verdict> {
    type Proven = Result<Arc<StreamProof>, Verdict>;
    static ASKED: LazyLock<Asked<(usize, Prefix), Proven>> = LazyLock::new(Asked::new);
    ASKED.ask((stream, objects.to_vec()), |_| {
        let name = name(stream);
        let mut fold = Fold::default();
        for (object, seq) in objects.iter().zip(1..) {
            fold.add(Run::of_segment(&name, seq, &slot::key(PREFIX, &name, seq), &object.bytes()));
        }
        let expect = Expect { end: End::Open, ..Expect::streams(&[name]) };
        let (proof, _) = fold.finish(&expect);
        match (proof.verdict, proof.streams.into_iter().next()) {
            (Verdict::Proven, Some(proof)) => Ok(Arc::new(proof)),
            (verdict, _) => Err(verdict.max(Verdict::Unproven)),
        }
    })
}

/// The seal of an epoch.
pub fn seal(epoch: u64, run: &str) -> Control {
    Control::Seal(Seal { epoch, run: run.to_owned() })
}

/// The open of an epoch.
pub fn open(epoch: u64, run: &str, holder: Holder) -> Control {
    Control::Open(Open { epoch, holder, run: run.to_owned() })
}

/// What whoever appends does who has read a stream up to somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToAppend {
    /// His entry is there already.
    Done,
    /// Put this.
    Put(Blob),
    /// A newer epoch has the stream, or another run of the same one.
    Outranked,
    /// Stop: it would not count, or what was read does not chain.
    Stop,
}

/// Reads `objects` and decides what to do about `control`: [`append::absorb`] of each behind the first `from`, as the Lambda
/// that resumes from a proof, then [`append::next`].
pub fn to_append(stream: usize, objects: &[Blob], from: usize, control: &Control) -> ToAppend {
    type Key = (usize, Prefix, usize, String);
    static ASKED: LazyLock<Asked<Key, ToAppend>> = LazyLock::new(Asked::new);
    ASKED.ask((stream, objects.to_vec(), from, control.to_string()), |_| {
        let Ok(proven) = tail(stream, &objects[..from.min(objects.len())]) else { return ToAppend::Stop };
        let mut tail = (*proven).clone();
        for object in &objects[from.min(objects.len())..] {
            let seq = tail.next_seq();
            match append::absorb(&mut tail, seq, &object.bytes(), control) {
                Ok(Some(_)) => return ToAppend::Done,
                Ok(None) => {}
                Err(_) => return ToAppend::Stop,
            }
        }
        match append::next(&tail, control) {
            Next::Put { bytes, .. } => ToAppend::Put(Blob::of(&bytes)),
            Next::Outranked { .. } => ToAppend::Outranked,
            Next::WouldNotCount(_) => ToAppend::Stop,
        }
    })
}

/// What proving the tail behind a history of `from` objects comes to: [`append::proven_through_seal`].
pub fn proven_through(stream: usize, objects: &[Blob], from: usize, epoch: u64, run: &str) -> Sealed {
    let found = |finding: Arc<str>| {
        Sealed::Not(lifeboat_ledger::Finding::broken(&name(stream), None, finding.as_ref()))
    };
    let Ok(before) = proof(stream, &objects[..from]) else { return found("no history".into()) };
    let own = Seal { epoch, run: run.to_owned() };
    let awaited = Control::Seal(own.clone());
    let (mut tail, mut at) = (Tail::resume(&before), None);
    for object in &objects[from..] {
        let seq = tail.next_seq();
        match append::absorb(&mut tail, seq, &object.bytes(), &awaited) {
            Ok(None) => {}
            Ok(Some(seq)) => {
                at = Some(seq);
                break;
            }
            Err(finding) => return Sealed::Not(finding),
        }
    }
    append::proven_through_seal(&before, &tail, at, &own)
}

/// What an application's writer puts next, behind `objects`; `None` where it has no pen.
pub fn segment(stream: usize, objects: &[Blob], side: Holder, epoch: Option<u64>, order: u8) -> Option<Blob> {
    type Key = (usize, Prefix, bool, Option<u64>, u8);
    static ASKED: LazyLock<Asked<Key, Option<Blob>>> = LazyLock::new(Asked::new);
    ASKED.ask((stream, objects.to_vec(), side == Holder::Primary, epoch, order), |_| {
        let writer = writer(stream, objects, side, epoch)?;
        let entry = serde_json::json!({ "by": side, "order": order });
        writer.segment(&[entry]).ok().map(|segment| Blob::of(&segment.bytes))
    })
}

/// What a writer makes of a 412: its own bytes, or somebody else's.
pub fn is_mine(
    stream: usize,
    objects: &[Blob],
    side: Holder,
    epoch: Option<u64>,
    order: u8,
    found: Blob,
) -> bool {
    let Some(writer) = writer(stream, objects, side, epoch) else { return false };
    let entry = serde_json::json!({ "by": side, "order": order });
    let Ok(segment) = writer.segment(&[entry]) else { return false };
    writer.slot_taken(&segment, &found.bytes()) == Taken::Mine
}

/// Whether a writer that has read `objects` may write.
pub fn has_pen(stream: usize, objects: &[Blob], side: Holder, epoch: Option<u64>) -> bool {
    writer(stream, objects, side, epoch).is_some_and(|writer| writer.has_pen().is_ok())
}

fn writer(stream: usize, objects: &[Blob], side: Holder, epoch: Option<u64>) -> Option<Writer> {
    let tail = (*tail(stream, objects).ok()?).clone();
    Some(Writer::new(PREFIX, tail, side, epoch))
}
