//! A ledger that is fenced by leases, proven from what a delivery stream wrote: loss, late delivery, and what an older holder
//! left behind its watermark.

use std::sync::Arc;

use lifeboat_ledger::lease::{Lease, Leases};
use lifeboat_ledger::object::{Asker, Layout, Reader};
use lifeboat_ledger::proof::{End, Expect, Proof};
use lifeboat_ledger::{Fold, Format, Hash, Holder, ObjectId, PenState, Verdict};
use proptest::prelude::*;

const STREAM: &str = "ME1";

/// Lines `first..=last` under `epoch`, chained behind `head`; each with its hash.
fn lines(first: u64, last: u64, epoch: u64, mut head: Hash) -> Vec<(Vec<u8>, Hash)> {
    (first..=last)
        .map(|seq| {
            let line = format!(r#"{{"stream":"{STREAM}","seq":{seq},"prev":"{head}","epoch":{epoch}}}"#);
            head = Hash::of(line.as_bytes());
            ((line + "\n").into_bytes(), head)
        })
        .collect()
}

/// A delivery of those lines.
fn object(lines: &[(Vec<u8>, Hash)]) -> Vec<u8> {
    lines.iter().flat_map(|(line, _)| line.clone()).collect()
}

fn held(watermark: u64) -> Lease {
    Lease { watermark, ..Lease::first(STREAM, 1, "init") }
}

fn taken(watermark: u64) -> Lease {
    held(watermark).taken(2, "run").unwrap()
}

/// The judgement of such deliveries under `lease`, and how many entries were void.
fn prove(objects: &[Vec<u8>], lease: &Lease, end: End) -> (Proof, u64) {
    let leases: Arc<Leases> = Arc::new([(STREAM.to_owned(), lease.clone())].into());
    let expect = Expect { leases: (*leases).clone(), end, ..Expect::default() };
    let mut fold = Fold::new(Layout::Firehose);
    for (number, bytes) in objects.iter().enumerate() {
        let mut reader =
            Reader::delivery(&Format::default(), ObjectId::new(number.to_string())).under(&leases);
        reader.push(bytes);
        fold.merge(reader.finish());
    }
    for _ in 0..100 {
        let questions = fold.questions(&expect);
        if questions.is_empty() {
            let written = serde_json::to_vec(&fold).unwrap();
            assert_eq!(serde_json::from_slice::<Fold>(&written).unwrap(), fold, "it can be handed on");
            let void = fold.void();
            return (fold.finish(&expect).0, void);
        }
        for question in questions {
            let id = (*question.piece.object).clone();
            let at: usize = id.key.parse().unwrap();
            let mut asker = Asker::new(&Format::default(), id, vec![question]).under(&leases);
            asker.push(&objects[at]);
            fold.answer(asker.finish());
        }
    }
    panic!("it asks without end");
}

fn first_finding(proof: &Proof) -> (Verdict, Option<u64>, String) {
    let finding = proof.findings.first().unwrap_or_else(|| panic!("no finding: {proof:?}"));
    (finding.verdict, finding.seq, finding.what.to_string())
}

#[test]
fn a_closed_stream_is_proven_through_its_watermark_and_what_lies_behind_is_void() {
    let all = lines(1, 12, 1, Hash::GENESIS);
    let (proof, void) = prove(&[object(&all[5..]), object(&all[..7])], &taken(9), End::Closed);
    assert_eq!((proof.verdict, void), (Verdict::Proven, 3), "{:?}", proof.findings);
    let stream = &proof.streams[0];
    assert_eq!((stream.first_seq, stream.through, stream.entries, stream.head), (1, 9, 9, all[8].1));
    assert_eq!(stream.pen.state(), &PenState::Sealed { epoch: 2, run: "run".into() });
}

#[test]
fn what_was_not_delivered_is_unproven_and_never_broken() {
    let all = lines(1, 9, 1, Hash::GENESIS);
    for (objects, seq, says) in [
        (vec![object(&all[..6])], 7, "ends at 6, but 9 was acknowledged"),
        (vec![object(&all[..3]), object(&all[5..])], 4, "entries 4 to 5 are missing"),
        (vec![object(&all[2..])], 3, "begins at 3"),
    ] {
        let (verdict, at, what) = first_finding(&prove(&objects, &taken(9), End::Closed).0);
        assert_eq!((verdict, at), (Verdict::Unproven, Some(seq)), "{what}");
        assert!(what.contains(says), "{what}");
    }
    let (verdict, _, what) = first_finding(&prove(&[], &taken(9), End::Closed).0);
    assert_eq!(verdict, Verdict::Unproven, "{what}");
    // A stream of which nothing was acknowledged lacks nothing.
    let (proof, _) = prove(&[], &taken(0), End::Closed);
    assert_eq!((proof.verdict, proof.streams[0].through), (Verdict::Proven, 0));
}

#[test]
fn an_open_stream_is_whole_as_far_as_its_entries_follow() {
    let all = lines(1, 9, 1, Hash::GENESIS);
    for (objects, through) in [
        (vec![object(&all[..3]), object(&all[5..])], 3),
        (vec![object(&all)], 9),
        (vec![object(&all[2..])], 0),
        (vec![], 0),
    ] {
        let (proof, void) = prove(&objects, &held(8), End::Open);
        assert_eq!((proof.verdict, void), (Verdict::Proven, 0), "{:?}", proof.findings);
        assert_eq!(proof.streams[0].through, through);
        assert_eq!(proof.streams[0].pen.state(), &PenState::Open { epoch: 1, holder: Holder::Primary });
    }
}

#[test]
fn a_fork_below_the_watermark_is_broken() {
    let all = lines(1, 9, 1, Hash::GENESIS);
    let mut other = all[4].clone();
    other.0.insert(other.0.len() - 2, b' ');
    let (verdict, seq, what) =
        first_finding(&prove(&[object(&all), other.0.clone()], &taken(9), End::Closed).0);
    assert_eq!((verdict, seq), (Verdict::Broken, Some(5)), "{what}");
    assert!(what.contains("a fork"), "{what}");
    // The same behind the watermark was never acknowledged.
    let (proof, void) = prove(&[object(&all), other.0], &taken(4), End::Closed);
    assert_eq!((proof.verdict, void), (Verdict::Proven, 6), "{:?}", proof.findings);
}

#[test]
fn the_next_holder_writes_on_from_the_watermark_past_what_is_void() {
    let old = lines(1, 12, 1, Hash::GENESIS);
    let new = lines(10, 15, 2, old[8].1);
    let given = taken(9).given(2, "run", Holder::Recovery).unwrap();
    let lease = Lease { watermark: 15, ..given }.taken(3, "next").unwrap();
    let (proof, void) = prove(&[object(&new), object(&old)], &lease, End::Closed);
    assert_eq!((proof.verdict, void), (Verdict::Proven, 3), "{:?}", proof.findings);
    assert_eq!((proof.streams[0].through, proof.streams[0].head), (15, new[5].1));
}

#[test]
fn whoever_did_not_hold_the_lease_there_is_found() {
    let old = lines(1, 9, 1, Hash::GENESIS);
    let given = Lease { watermark: 15, ..taken(9).given(2, "run", Holder::Recovery).unwrap() };
    let lease = given.taken(4, "next").unwrap();
    for (epoch, verdict, says) in [
        (3, Verdict::Broken, "written under epoch 3, which did not hold the lease there"),
        (5, Verdict::Unproven, "newer than the lease as it was read"),
    ] {
        let foreign = lines(10, 15, epoch, old[8].1);
        let found = first_finding(&prove(&[object(&old), object(&foreign)], &lease, End::Closed).0);
        assert_eq!((found.0, found.1), (verdict, Some(10)), "{}", found.2);
        assert!(found.2.contains(says), "{}", found.2);
    }
    // A later epoch in a place that an older one has acknowledged.
    let usurped = lines(9, 9, 2, old[7].1);
    let found = first_finding(&prove(&[object(&old[..8]), object(&usurped)], &lease, End::Closed).0);
    assert_eq!((found.0, found.1), (Verdict::Broken, Some(9)), "{}", found.2);
    let bare = format!("{{\"stream\":\"{STREAM}\",\"seq\":1,\"prev\":\"{}\"}}\n", Hash::GENESIS);
    let found = first_finding(&prove(&[bare.into_bytes()], &lease, End::Closed).0);
    assert_eq!((found.0, found.2.contains("without an epoch")), (Verdict::Broken, true), "{}", found.2);
}

proptest! {
    /// Two holders, what the first left behind its watermark, deliveries that are cut anywhere, sent again, lost, in any
    /// order. Proven is said if and only if every acknowledged entry was delivered; and `Broken` never.
    #[test]
    fn proven_is_said_exactly_where_everything_acknowledged_was_delivered(
        first in 0..12u64,
        left in 0..5u64,
        second in 0..12u64,
        cuts in prop::collection::vec((0..24usize, 1..8usize), 0..16),
        whole in any::<bool>(),
        order in any::<prop::sample::Index>(),
    ) {
        let old = lines(1, first + left, 1, Hash::GENESIS);
        let head = first.checked_sub(1).map_or(Hash::GENESIS, |last| old[last as usize].1);
        let new = lines(first + 1, first + second, 2, head);
        let given = taken(first).given(2, "run", Holder::Recovery).unwrap();
        let lease = Lease { watermark: first + second, ..given }.taken(3, "next").unwrap();
        // All that was ever sent, in the order of sending; the acknowledged ones are those that are not void.
        let sent: Vec<_> = old.iter().chain(&new).cloned().collect();
        let mut delivered = vec![false; sent.len()];
        let mut objects = Vec::new();
        let mut deliver = |from: usize, until: usize| {
            let (from, until) = (from.min(sent.len()), until.min(sent.len()));
            delivered[from..until].fill(true);
            objects.push(object(&sent[from..until]));
        };
        cuts.iter().for_each(|(from, size)| deliver(*from, from + size));
        if whole {
            deliver(0, sent.len());
        }
        if !objects.is_empty() {
            let by = order.index(objects.len());
            objects.rotate_left(by);
        }
        let acknowledged = |at: usize| (at as u64) < first || at as u64 >= first + left;
        let lost = (0..sent.len()).any(|at| acknowledged(at) && !delivered[at]);
        let (proof, _) = prove(&objects, &lease, End::Closed);
        let expected = if lost { Verdict::Unproven } else { Verdict::Proven };
        prop_assert_eq!(proof.verdict, expected, "{:?}", proof.findings);
        if !lost {
            prop_assert_eq!(proof.streams[0].through, first + second);
        }
    }
}
