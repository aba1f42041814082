//! The proof from outside: ledgers are written by the writer's own protocol, then damaged, and the verdict must say so.

use lifeboat_ledger::control::{Open, Seal};
use lifeboat_ledger::writer::{NoPen, Segment, Taken, WriteError, Writer};
use lifeboat_ledger::{
    Control, Expect, Finding, Fold, Hash, Holder, PenState, Proof, Run, Tail, Verdict, slot,
};
use proptest::prelude::*;
use serde_json::{Value, json};

const PREFIX: &str = "log/";

/// A log as the store holds it, with the store's one rule: a slot is created once.
#[derive(Clone, Debug, Default)]
struct Log(std::collections::BTreeMap<u64, Vec<u8>>);

impl Log {
    fn create(&mut self, slot: u64, bytes: Vec<u8>) -> Result<(), Vec<u8>> {
        match self.0.get(&slot) {
            Some(found) => Err(found.clone()),
            None => {
                self.0.insert(slot, bytes);
                Ok(())
            }
        }
    }

    fn replay(&self, stream: &str) -> Tail {
        let mut tail = Tail::new(stream);
        for (slot, bytes) in &self.0 {
            tail.absorb_segment(*slot, bytes).unwrap();
        }
        tail
    }

    fn append(&mut self, stream: &str, control: &Control) -> u64 {
        let tail = self.replay(stream);
        self.create(tail.next_seq(), tail.control_segment(control)).unwrap();
        tail.next_seq()
    }

    fn writer(&self, stream: &str, side: Holder, epoch: Option<u64>) -> Writer {
        Writer::new(PREFIX, self.replay(stream), side, epoch)
    }

    fn proof(&self, stream: &str) -> Proof {
        self.proof_in_order(stream, self.0.keys().copied().collect(), 1)
    }

    /// The proof with the objects in any order, over so many folds.
    fn proof_in_order(&self, stream: &str, order: Vec<u64>, folds: usize) -> Proof {
        let mut parts = vec![Fold::default(); folds];
        for (index, slot) in order.into_iter().enumerate() {
            let object = slot::key(PREFIX, stream, slot);
            parts[index % folds].add(Run::of_segment(stream, slot, &object, &self.0[&slot]));
        }
        let mut whole = Fold::default();
        parts.into_iter().for_each(|part| whole.merge(part));
        whole.finish(&Expect::streams(&[stream.to_owned()])).0
    }
}

fn open(epoch: u64, holder: Holder, run: &str) -> Control {
    Control::Open(Open { epoch, holder, run: run.into() })
}

fn seal(epoch: u64, run: &str) -> Control {
    Control::Seal(Seal { epoch, run: run.into() })
}

fn orders(count: usize) -> Vec<Value> {
    (0..count).map(|number| json!({ "order": number, "text": "ünïcode \" and \n more" })).collect()
}

/// A ledger of `sizes` segments by the primary, opened at 1.
fn ledger(stream: &str, sizes: &[usize]) -> Log {
    let mut log = Log::default();
    log.append(stream, &open(1, Holder::Primary, "genesis"));
    let mut writer = log.writer(stream, Holder::Primary, None);
    for size in sizes {
        let segment = writer.segment(&orders(*size)).unwrap();
        log.create(segment.first_seq, segment.bytes.clone()).unwrap();
        writer.stored(&segment);
    }
    log
}

fn put(log: &mut Log, writer: &mut Writer, segment: &Segment) -> Taken {
    match log.create(segment.first_seq, segment.bytes.clone()) {
        Ok(()) => Taken::Mine,
        Err(found) => writer.slot_taken(segment, &found),
    }
}

fn worst(proof: &Proof) -> &Finding {
    &proof.findings[0]
}

#[test]
fn a_failover_in_the_chain() {
    let mut log = ledger("ME1", &[3, 2]);
    let mut old = log.writer("ME1", Holder::Primary, None);
    let late = old.segment(&orders(1)).unwrap();
    let sealed_at = log.append("ME1", &seal(2, "run"));
    assert_eq!(sealed_at, 7);
    // The old primary wakes up: its slot is taken, it learns by what, and has acknowledged nothing.
    let Taken::LostPen(reason) = put(&mut log, &mut old, &late) else { panic!("it was sealed") };
    assert_eq!(reason, "slot 7 of stream ME1 holds the seal of epoch 2 by run run");
    let back = log.writer("ME1", Holder::Primary, None);
    assert!(matches!(back.has_pen(), Err(NoPen::NotOpen { .. })));

    log.append("ME1", &open(2, Holder::Recovery, "run"));
    let proof = log.proof("ME1");
    assert_eq!(proof.verdict, Verdict::Proven, "{:?}", proof.findings);
    assert_eq!(proof.streams[0].pen.state(), &PenState::Open { epoch: 2, holder: Holder::Recovery });
    assert_eq!((proof.streams[0].entries, proof.streams[0].through), (8, 8));

    // Only the recovery side of this very epoch may go on.
    assert!(log.writer("ME1", Holder::Recovery, Some(3)).has_pen().is_err());
    assert!(log.writer("ME1", Holder::Primary, None).has_pen().is_err());
    let mut new = log.writer("ME1", Holder::Recovery, Some(2));
    let segment = new.segment(&orders(2)).unwrap();
    assert_eq!(put(&mut log, &mut new, &segment), Taken::Mine);
    assert_eq!(log.proof("ME1").verdict, Verdict::Proven);
}

#[test]
fn a_lost_answer_is_read_back_as_success() {
    let mut log = ledger("ME1", &[1]);
    let mut writer = log.writer("ME1", Holder::Primary, None);
    let segment = writer.segment(&orders(4)).unwrap();
    log.create(segment.first_seq, segment.bytes.clone()).unwrap();
    assert_eq!(put(&mut log, &mut writer, &segment), Taken::Mine);
}

#[test]
fn a_fence_stops_an_older_pen_and_no_newer_one() {
    let mut log = ledger("ME1", &[1]);
    let mut writer = log.writer("ME1", Holder::Primary, None);
    writer.saw_fence(1);
    assert_eq!(writer.has_pen(), Ok(1));
    writer.saw_fence(2);
    assert_eq!(writer.has_pen(), Err(NoPen::Fenced { stream: "ME1".into(), own: 1, fence: 2 }));
    log.append("ME1", &seal(2, "run"));
    log.append("ME1", &open(2, Holder::Recovery, "run"));
    let mut recovery = log.writer("ME1", Holder::Recovery, Some(2));
    recovery.saw_fence(2);
    assert_eq!(recovery.has_pen(), Ok(2));
}

#[test]
fn a_stale_seal_is_inert_and_chained_past() {
    let mut log = ledger("ME1", &[2]);
    log.append("ME1", &seal(42, "new"));
    log.append("ME1", &open(42, Holder::Recovery, "new"));
    log.append("ME1", &seal(41, "stale"));
    let mut writer = log.writer("ME1", Holder::Recovery, Some(42));
    assert_eq!(writer.has_pen(), Ok(42));
    let segment = writer.segment(&orders(1)).unwrap();
    assert_eq!(put(&mut log, &mut writer, &segment), Taken::Mine);
    assert_eq!(log.proof("ME1").verdict, Verdict::Proven);
}

#[test]
fn entries_that_nobody_was_entitled_to_write_are_named() {
    // A writer that ignores the protocol forges an entry behind the seal, well chained and all.
    for (epoch, says) in
        [(json!(1), "written under epoch 1 after the seal of epoch 2"), (Value::Null, "without an epoch")]
    {
        let mut log = ledger("ME1", &[2]);
        log.append("ME1", &seal(2, "run"));
        let tail = log.replay("ME1");
        let mut line = json!({ "stream": "ME1", "seq": tail.next_seq(), "prev": tail.head() });
        if !epoch.is_null() {
            line["epoch"] = epoch;
        }
        log.create(tail.next_seq(), format!("{line}\n").into_bytes()).unwrap();
        let proof = log.proof("ME1");
        assert_eq!((proof.verdict, worst(&proof).seq), (Verdict::Broken, Some(5)));
        assert!(worst(&proof).what.contains(says), "{}", worst(&proof));
        assert!(tail.clone().absorb_segment(5, &log.0[&5]).is_err(), "a replay refuses it as well");
    }
}

#[test]
fn a_gap_is_named_by_stream_and_sequence() {
    let mut log = ledger("ME1", &[3, 4, 2]);
    log.0.remove(&5);
    let proof = log.proof("ME1");
    assert_eq!(proof.verdict, Verdict::Broken);
    assert!(proof.streams.is_empty(), "nothing is built on a broken stream");
    assert!(worst(&proof).to_string().starts_with("stream ME1, sequence 5"), "{}", worst(&proof));
    assert!(worst(&proof).what.contains("entries 5 to 8 are missing"), "{}", worst(&proof));
}

#[test]
fn a_stream_without_entries_is_unproven() {
    let (proof, _) = Fold::default().finish(&Expect::streams(&["ME9".into()]));
    assert_eq!((proof.verdict, worst(&proof).stream.as_str()), (Verdict::Unproven, "ME9"));
}

#[test]
fn segments_that_lie_are_broken() {
    let log = ledger("ME1", &[3]);
    let good = &log.0[&2];
    let text = String::from_utf8(good.clone()).unwrap();
    let read = |bytes: &[u8], first| Run::of_segment("ME1", first, "o", bytes);
    assert!(read(good, 2).is_ok());
    for (bytes, first, says) in [
        (Vec::new(), 2, "the object is empty"),
        (good[..good.len() - 1].to_vec(), 2, "no newline"),
        (good.clone(), 3, "entry 2 stands where 3 comes next"),
        (text.replace("ME1", "ME2").into_bytes(), 2, "of stream `ME2` in an object of `ME1`"),
        (text.replacen("\"order\":1", "\"order\":9", 1).into_bytes(), 2, "`prev` is"),
        (text.replacen('\n', "\n\n", 1).into_bytes(), 2, "EOF"),
        (format!("\u{feff}{text}").into_bytes(), 2, "byte-order mark"),
        (format!("{{\"x\":\"{}\"}}\n", "y".repeat(70_000)).into_bytes(), 2, "the limit is 65536"),
    ] {
        let finding = read(&bytes, first).unwrap_err();
        assert!(finding.what.contains(says), "{finding} should say: {says}");
        assert_eq!(finding.verdict, Verdict::Broken);
    }
    let last = format!(r#"{{"stream":"ME1","seq":{},"prev":"{}"}}"#, u64::MAX, Hash::GENESIS) + "\n";
    assert!(read(last.as_bytes(), u64::MAX).unwrap_err().what.contains("largest 64-bit number"));
}

#[test]
fn a_writer_refuses_what_the_format_reserves() {
    let log = ledger("ME1", &[1]);
    let writer = log.writer("ME1", Holder::Primary, None);
    for (entries, says) in [
        (vec![json!({ "prev": 1 })], "`prev` belongs to the format"),
        (vec![json!([])], "not an object"),
        (vec![json!({ "x": "y".repeat(70_000) })], "too long"),
        (vec![], "at least one entry"),
    ] {
        let err: WriteError = writer.segment(&entries).unwrap_err();
        assert!(err.to_string().contains(says), "{err}");
    }
    assert_eq!(writer.segment(&[json!({})]).unwrap().first_seq, 3);
}

proptest! {
    /// Any order of the objects, over any number of folds, gives the same proof.
    #[test]
    fn the_fold_does_not_care_for_order_or_split(
        sizes in proptest::collection::vec(1usize..6, 1..12),
        seed in any::<u64>(),
        folds in 1usize..5,
        damage in proptest::option::of(any::<proptest::sample::Index>()),
    ) {
        let mut log = ledger("ME1", &sizes);
        if let Some(index) = damage {
            let slot = *index.get(&log.0.keys().copied().collect::<Vec<_>>());
            log.0.remove(&slot);
        }
        let mut order: Vec<u64> = log.0.keys().copied().collect();
        order.sort_by_key(|slot| slot.wrapping_mul(seed | 1).rotate_left(17));
        prop_assert_eq!(log.proof_in_order("ME1", order, folds), log.proof("ME1"));
    }

    /// One flipped bit anywhere but in the last entry's own fields is found: the last entry is held by the seal alone.
    #[test]
    fn a_flipped_bit_is_found(
        sizes in proptest::collection::vec(1usize..4, 1..6),
        object in any::<proptest::sample::Index>(),
        byte in any::<proptest::sample::Index>(),
        bit in 0u8..8,
    ) {
        let mut log = ledger("ME1", &sizes);
        log.append("ME1", &seal(2, "run"));
        let slots: Vec<u64> = log.0.keys().copied().collect();
        let slot = *object.get(&slots[..slots.len() - 1]);
        let bytes = log.0.get_mut(&slot).unwrap();
        let at = byte.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert_eq!(log.proof("ME1").verdict, Verdict::Broken);
    }
}
