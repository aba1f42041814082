//! A ledger that is fenced by leases, proven from what a delivery stream wrote: loss, late delivery, what an older holder left
//! behind its watermark, and what a process sent that did not live to acknowledge it.

mod histories;
mod lines;

use lifeboat_ledger::lease::Lease;
use lifeboat_ledger::proof::End;
use lifeboat_ledger::{Hash, Holder, PenState, Verdict};
use lines::{Line, STREAM, behind_holes, lines, object, prove};

/// Held by the first epoch, which has acknowledged `all` of these.
fn held(all: &[Line]) -> Lease {
    let (watermark, head) = all.last().map_or((0, Hash::GENESIS), |last| (last.seq, last.hash));
    Lease { watermark, head, ..Lease::first(STREAM, 1, "init") }
}

/// Taken over from there.
fn taken(all: &[Line]) -> Lease {
    held(all).taken(2, "run").unwrap()
}

/// Given to the recovery side at the end of `old`, which has acknowledged `new`, and taken over again.
fn taken_again(old: &[Line], new: &[Line]) -> Lease {
    let last = new.last().unwrap();
    let given = taken(old).given(2, "run", Holder::Recovery).unwrap();
    Lease { watermark: last.seq, head: last.hash, ..given }.taken(9, "next").unwrap()
}

#[track_caller]
fn first_finding(objects: &[Vec<u8>], lease: &Lease) -> (Verdict, Option<u64>, String) {
    let proof = prove(objects, lease, End::Closed);
    let finding = proof.findings.first().unwrap_or_else(|| panic!("no finding: {proof:?}"));
    (finding.verdict, finding.seq, finding.what.to_string())
}

#[test]
fn a_closed_stream_is_proven_through_its_watermark_and_what_lies_behind_is_void() {
    let all = lines(1, 12, 1, Hash::GENESIS);
    let proof = prove(&[object(&all[5..]), object(&all[..7])], &taken(&all[..9]), End::Closed);
    assert_eq!((proof.verdict, proof.counts.void), (Verdict::Proven, 3), "{:?}", proof.findings);
    assert_eq!(proof.counts.repeated, 2);
    let stream = &proof.streams[0];
    assert_eq!((stream.first_seq, stream.through, stream.entries, stream.head), (1, 9, 9, all[8].hash));
    assert_eq!(stream.pen.state(), &PenState::Sealed { epoch: 2, run: "run".into() });
}

#[test]
fn what_was_not_delivered_is_unproven_and_never_broken() {
    let all = lines(1, 9, 1, Hash::GENESIS);
    for (objects, seq, says) in [
        (vec![object(&all[..6])], 7, "whole through 6, but 9 was acknowledged: entry 9 with the hash"),
        (vec![object(&all[..3]), object(&all[5..])], 4, "whole through 3, but 9 was acknowledged: entry 5 "),
        (vec![object(&all[2..])], 1, "whole through 0, but 9 was acknowledged: entry 2 "),
        (vec![], 1, "whole through 0"),
    ] {
        let (verdict, at, what) = first_finding(&objects, &taken(&all));
        assert_eq!((verdict, at), (Verdict::Unproven, Some(seq)), "{what}");
        assert!(what.contains(says), "{what}");
    }
    // A stream of which nothing was acknowledged lacks nothing, and whatever was sent is void.
    let proof = prove(&[object(&all)], &taken(&[]), End::Closed);
    assert_eq!((proof.verdict, proof.streams[0].through, proof.counts.void), (Verdict::Proven, 0, 9));
}

#[test]
fn an_open_stream_is_whole_as_far_as_what_was_delivered_agrees_and_never_past_its_watermark() {
    let all = lines(1, 9, 1, Hash::GENESIS);
    let other = [all[5].spaced(all[4].hash)];
    for (objects, through) in [
        (vec![object(&all[..3]), object(&all[5..7])], 3),
        (vec![object(&all)], 8),
        (vec![object(&all[2..])], 0),
        (vec![], 0),
        // Two of one place, neither of which was acknowledged as far as can be told.
        (vec![object(&all[..5]), object(&all[5..7]), object(&other)], 5),
        // Sent again.
        (vec![object(&all[..5]), object(&all[3..7])], 7),
    ] {
        let proof = prove(&objects, &held(&all[..8]), End::Open);
        assert_eq!((proof.verdict, proof.counts.void), (Verdict::Proven, 0), "{:?}", proof.findings);
        let head = if through == 0 { Hash::GENESIS } else { all[through - 1].hash };
        assert_eq!((proof.streams[0].through, proof.streams[0].head), (through as u64, head));
        assert_eq!(proof.streams[0].pen.state(), &PenState::Open { epoch: 1, holder: Holder::Primary });
    }
}

#[test]
fn a_hole_is_told_before_the_head_has_come_and_what_is_void_neither_hides_nor_feigns_one() {
    let died = lines(1, 15, 1, Hash::GENESIS);
    let first = died[14].spaced(died[13].hash);
    let went_on = [vec![first.clone()], lines(16, 30, 1, first.hash)].concat();
    // What the successor put in the place of the void entry 15 is lost; its head, 30, is still to come.
    let hidden = [object(&died), object(&went_on[1..4])];
    assert_eq!(behind_holes(&hidden, &held(&went_on)), [16]);
    assert_eq!(prove(&hidden, &held(&went_on), End::Open).streams[0].through, 15);
    // Where nothing is acknowledged there nothing is missing, and where it has come neither.
    assert_eq!(behind_holes(&hidden, &held(&died[..14])), [] as [u64; 0]);
    assert_eq!(behind_holes(&[object(&died), object(&went_on[..4])], &held(&went_on)), [] as [u64; 0]);
    // Of two that were sent by the process which died only the second was accepted: both are void, and the rest is there.
    let lacking = [object(&died[..14]), object(&lines(16, 16, 1, died[14].hash)), object(&went_on[..4])];
    assert_eq!(behind_holes(&lacking, &held(&went_on)), [] as [u64; 0]);
    // The same, and what acknowledged entries hang on is lost all the same.
    let both = [&lacking[..], &[object(&went_on[6..9])]].concat();
    assert_eq!(behind_holes(&both, &held(&went_on)), [21]);
}

#[test]
fn of_two_branches_the_one_that_the_head_names_is_proven_and_the_other_is_void() {
    let all = lines(1, 9, 1, Hash::GENESIS);
    // A process sent on through 15 and died; the next went on from 9, and came to 12.
    let died = lines(10, 15, 1, all[8].hash);
    let next = vec![died[0].spaced(all[8].hash)];
    let next = [next.clone(), lines(11, 12, 1, next[0].hash)].concat();
    let together = [object(&all), object(&died), object(&next)];
    let one_object = [together.concat()];
    for objects in [&together[..], &one_object] {
        let proof = prove(objects, &taken(&next), End::Closed);
        assert_eq!((proof.verdict, proof.counts.void), (Verdict::Proven, 6), "{:?}", proof.findings);
        assert_eq!((proof.streams[0].through, proof.streams[0].head), (12, next[2].hash));
        let proof = prove(objects, &held(&next), End::Open);
        assert_eq!((proof.streams[0].through, proof.counts.void), (12, 6), "before it is closed as well");
    }
    // The branch alone, though it is longer than what was acknowledged, proves nothing.
    let (verdict, seq, what) = first_finding(&together[..2], &taken(&next));
    assert_eq!((verdict, seq), (Verdict::Unproven, Some(10)), "{what}");
    // And had the first one's put come before it died, the other is void.
    let proof = prove(&together, &taken(&died[..3]), End::Closed);
    assert_eq!((proof.verdict, proof.streams[0].head), (Verdict::Proven, died[2].hash));
    assert_eq!(proof.counts.void, 3 + 3);
}

#[test]
fn the_next_holder_writes_on_from_the_head_past_what_is_void() {
    let old = lines(1, 12, 1, Hash::GENESIS);
    let new = lines(10, 15, 2, old[8].hash);
    let proof = prove(&[object(&new), object(&old)], &taken_again(&old[..9], &new), End::Closed);
    assert_eq!((proof.verdict, proof.counts.void), (Verdict::Proven, 3), "{:?}", proof.findings);
    assert_eq!((proof.streams[0].through, proof.streams[0].head), (15, new[5].hash));
}

#[test]
fn whoever_did_not_hold_the_lease_there_is_found_on_the_chain_and_void_beside_it() {
    let old = lines(1, 12, 1, Hash::GENESIS);
    let foreign = lines(10, 15, 3, old[8].hash);
    let lease = taken_again(&old[..9], &foreign);
    let (verdict, seq, what) = first_finding(&[object(&old[..9]), object(&foreign)], &lease);
    assert_eq!((verdict, seq), (Verdict::Broken, Some(10)), "{what}");
    assert!(what.contains("written under epoch 3, which did not hold the lease there"), "{what}");
    let rightful = lines(10, 15, 2, old[8].hash);
    let objects = [object(&old[..9]), object(&foreign), object(&rightful)];
    let proof = prove(&objects, &taken_again(&old[..9], &rightful), End::Closed);
    assert_eq!((proof.verdict, proof.counts.void), (Verdict::Proven, 6), "{:?}", proof.findings);

    // A holder that went on from what the one before it had not acknowledged: the place of the first of those is named.
    let behind = lines(13, 15, 2, old[11].hash);
    let whole = object(&old);
    let lease = taken_again(&old[..9], &behind);
    let proof = prove(&[whole.clone(), object(&behind)], &lease, End::Closed);
    let finding = &proof.findings[0];
    assert_eq!((finding.verdict, finding.seq), (Verdict::Broken, Some(10)), "{finding}");
    assert_eq!(finding.offset, Some(object(&old[..9]).len() as u64));
    // A later epoch in a place that an older one has acknowledged.
    let usurped = lines(9, 15, 2, old[7].hash);
    let (verdict, seq, what) =
        first_finding(&[object(&old[..8]), object(&usurped)], &taken_again(&old[..9], &usurped));
    assert_eq!((verdict, seq), (Verdict::Broken, Some(9)), "{what}");
    let bare = Line::new(&format!(r#"{{"stream":"{STREAM}","seq":1,"prev":"{}"}}"#, Hash::GENESIS), 1);
    let (verdict, _, what) = first_finding(&[object(std::slice::from_ref(&bare))], &taken(&[bare]));
    assert_eq!((verdict, what.contains("without an epoch")), (Verdict::Broken, true), "{what}");
}

#[test]
fn what_an_older_holder_acknowledged_is_on_the_chain_or_the_ledger_is_broken() {
    let old = lines(1, 9, 1, Hash::GENESIS);
    // The new holder goes on from 9 all right, but from another entry 9 of the same epoch.
    let other = old[8].spaced(old[7].hash);
    let new = lines(10, 15, 2, other.hash);
    let objects = [object(&old), object(&[other]), object(&new)];
    for lacking in [3, 2] {
        let (verdict, seq, what) = first_finding(&objects[3 - lacking..], &taken_again(&old, &new));
        assert_eq!((verdict, seq), (Verdict::Broken, Some(9)), "{what}");
        assert!(what.contains("epoch 1 was closed at 9 with the head"), "{what}");
    }
}

#[test]
fn a_chain_that_does_not_begin_with_the_first_entry_is_broken() {
    for (first, prev) in [(2, Hash::GENESIS), (1, Hash::of(b"something"))] {
        let all = lines(first, 5, 1, prev);
        let (verdict, seq, what) = first_finding(&[object(&all)], &taken(&all));
        assert_eq!((verdict, seq), (Verdict::Broken, Some(first)), "{what}");
        assert!(what.contains(&format!("begins at {first}")), "{what}");
    }
}
