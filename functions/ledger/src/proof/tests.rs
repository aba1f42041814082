use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::control::PenState;
use crate::finding::ObjectId;
use crate::object::{Asker, Layout, Reader};
use crate::sample::Chain;
use crate::{Format, Tail, slot};

const STREAM: &str = "ME1";

/// A copy of a ledger: keys and bytes.
type Objects = Vec<(String, Vec<u8>)>;

fn segment_key(first_seq: u64) -> String {
    slot::key("log/", STREAM, first_seq)
}

fn read(layout: Layout, (key, bytes): &(String, Vec<u8>)) -> Fold {
    let mut reader = match layout {
        Layout::Segments => {
            let (stream, slot) = slot::parse("log/", key).unwrap();
            Reader::segment(&Format::default(), stream, slot, ObjectId::new(key))
        }
        Layout::Firehose => Reader::delivery(&Format::default(), ObjectId::new(key)),
    };
    reader.push(bytes);
    reader.finish()
}

fn fold(layout: Layout, objects: &[(String, Vec<u8>)]) -> Fold {
    let mut fold = Fold::new(layout);
    objects.iter().for_each(|object| fold.merge(read(layout, object)));
    fold
}

/// Asks and answers until there is nothing to ask; how often that was.
fn settle(fold: &mut Fold, objects: &[(String, Vec<u8>)], expect: &Expect) -> usize {
    for round in 0..100 {
        let questions = fold.questions(expect);
        if questions.is_empty() {
            return round;
        }
        let mut by_object: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for question in questions {
            by_object.entry(question.piece.object.key.clone()).or_default().push(question);
        }
        for (key, questions) in by_object {
            let (_, bytes) = objects.iter().find(|(found, _)| *found == key).unwrap();
            let mut asker = Asker::new(&Format::default(), ObjectId::new(key), questions);
            asker.push(bytes);
            fold.answer(asker.finish());
        }
    }
    panic!("it asks without end");
}

fn prove(layout: Layout, objects: &[(String, Vec<u8>)], expect: &Expect) -> Proof {
    let mut fold = fold(layout, objects);
    settle(&mut fold, objects, expect);
    fold.finish(expect).0
}

fn expect() -> Expect {
    Expect::streams(&[STREAM.to_owned()])
}

/// Segments of so many lines, under no epoch.
fn segments(sizes: &[usize]) -> Objects {
    let mut chain = Chain::new(STREAM, 1);
    sizes.iter().map(|size| (segment_key(chain.next_seq), chain.lines(*size))).collect()
}

fn whats(proof: &Proof) -> Vec<(Option<u64>, &str)> {
    proof.findings.iter().map(|finding| (finding.seq, &*finding.what)).collect()
}

/// More findings than are kept: an object that could not be read is not told from one that is not there any more.
#[test]
fn what_was_only_unreadable_is_never_called_missing() {
    let objects = segments(&vec![1; 2 * fold::FINDINGS_MAX + 3]);
    let mut fold = Fold::new(Layout::Segments);
    for (object, slot) in objects.iter().zip(1u64..) {
        if slot % 2 == 1 {
            fold.merge(read(Layout::Segments, object));
        } else {
            fold.add_finding(Finding::unproven(STREAM, Some(slot), "it could not be read"));
        }
    }
    let (proof, _) = fold.finish(&expect());
    assert_eq!(proof.verdict, Verdict::Unproven, "{:?}", proof.findings.first());
    assert_eq!(proof.streams, []);
    assert!(proof.findings_count > fold::FINDINGS_MAX as u64);

    // Of another stream they say nothing.
    let mut lost = super::tests::fold(Layout::Segments, &[objects[0].clone(), objects[2].clone()]);
    for seq in 0..=fold::FINDINGS_MAX as u64 {
        lost.add_finding(Finding::unproven("ME2", Some(seq), "it could not be read"));
    }
    assert_eq!(lost.finish(&expect()).0.verdict, Verdict::Broken);
}

#[test]
fn segments_that_follow_are_one_run_in_any_order() {
    let mut objects = segments(&[2, 3, 1, 4, 2]);
    let whole = fold(Layout::Segments, &objects);
    assert_eq!(whole.runs().count(), 1, "memory does not grow with the ledger");
    objects.reverse();
    assert_eq!(fold(Layout::Segments, &objects), whole);
    objects.swap(0, 3);
    assert_eq!(fold(Layout::Segments, &objects), whole);
    let proof = whole.finish(&expect()).0;
    assert_eq!(
        (proof.verdict, proof.streams[0].entries, proof.streams[0].through),
        (Verdict::Proven, 12, 12)
    );
    assert_eq!((proof.counts.objects, proof.counts.entries, proof.counts.repeated), (5, 12, 0));
    assert!(proof.linked);
}

#[test]
fn every_gap_is_named_at_its_first_sequence() {
    let mut objects = segments(&[2, 3, 1, 4, 2]);
    objects.remove(3);
    objects.remove(1);
    let proof = prove(Layout::Segments, &objects, &expect());
    assert_eq!(
        whats(&proof),
        [(Some(3), "entries 3 to 5 are missing"), (Some(7), "entries 7 to 10 are missing")]
    );
    assert_eq!(proof.findings[0].object, Some(segment_key(6)));
    assert!(proof.streams.is_empty());
}

#[test]
fn what_an_object_is_blamed_for_is_not_told_twice() {
    // The last line of the second segment is damaged, and the fourth segment could not be read.
    let mut objects = segments(&[2, 3, 1, 4, 2]);
    let bytes = &mut objects[1].1;
    let at = bytes.len() - 2;
    bytes[at] = b'x';
    objects.remove(3);
    let mut fold = fold(Layout::Segments, &objects);
    fold.add_finding(
        Finding::unproven(STREAM, Some(7), "it could not be read").in_object(&segment_key(7), 0),
    );
    let proof = fold.finish(&expect()).0;
    let at: Vec<_> = proof.findings.iter().map(|finding| (finding.verdict, finding.seq)).collect();
    assert_eq!(at, [(Verdict::Broken, Some(5)), (Verdict::Unproven, Some(7))]);
    // A hole that nothing explains is told beside it, and outranks what could not be read.
    let mut holes = segments(&[2, 3, 1, 4, 2]);
    holes.remove(3);
    holes.remove(1);
    let mut fold = super::tests::fold(Layout::Segments, &holes);
    fold.add_finding(
        Finding::unproven(STREAM, Some(7), "it could not be read").in_object(&segment_key(7), 0),
    );
    let proof = fold.finish(&expect()).0;
    assert_eq!((proof.verdict, proof.findings[0].seq, proof.findings.len()), (Verdict::Broken, Some(3), 2));
}

#[test]
fn sequences_that_are_held_twice_are_named_by_their_slot() {
    let mut objects = segments(&[2, 3, 1]);
    let mut other = Chain::new(STREAM, 1);
    other.lines(3);
    objects.push((segment_key(4), other.lines(2)));
    let proof = prove(Layout::Segments, &objects, &expect());
    assert_eq!(whats(&proof), [(Some(4), "entries 4 to 5 are held by more than one object")]);
    assert_eq!(proof.findings[0].object, Some(segment_key(4)));
    assert_eq!(proof.counts.repeated, 2);
}

#[test]
fn a_link_is_checked_between_objects() {
    let mut objects = segments(&[2, 3]);
    let mut other = Chain::new(STREAM, 1);
    other.line(r#","forged":1"#);
    other.lines(1);
    objects[1].1 = other.lines(3);
    let proof = prove(Layout::Segments, &objects, &expect());
    assert_eq!((proof.findings[0].seq, proof.findings.len()), (Some(3), 1));
    assert!(proof.findings[0].what.starts_with("`prev` is"), "{}", proof.findings[0]);
    // A history begins with zeros, at whatever sequence.
    let proof = prove(Layout::Segments, &objects[1..], &expect());
    assert!(proof.findings[0].what.contains("begins at 3 with a `prev` that is not 64 zeros"));
    let mut late = Chain::new(STREAM, 9);
    let proof = prove(Layout::Segments, &[(segment_key(9), late.lines(2))], &expect());
    assert_eq!((proof.verdict, proof.streams[0].first_seq), (Verdict::Proven, 9));
}

#[test]
fn a_prefix_that_was_proven_is_joined_to() {
    let objects = segments(&[2, 3, 1, 4]);
    let (before, behind) = objects.split_at(2);
    let base = prove(Layout::Segments, before, &expect()).streams;
    let from = Expect { from: base.clone(), ..expect() };
    let whole = prove(Layout::Segments, &objects, &expect());
    assert_eq!(prove(Layout::Segments, behind, &from).streams, whole.streams);
    assert_eq!(prove(Layout::Segments, &[], &from).streams, base, "nothing new is nothing wrong");
    // What is left out behind it, what it already holds, and another history.
    let gap = prove(Layout::Segments, &behind[1..], &from);
    assert_eq!(whats(&gap), [(Some(6), "entry 6 is missing")]);
    let twice = prove(Layout::Segments, &objects[1..], &from);
    assert_eq!((twice.findings[0].seq, twice.findings.len(), twice.counts.repeated), (Some(3), 1, 3));
    let forged =
        Expect { from: vec![StreamProof { head: crate::Hash::GENESIS, ..base[0].clone() }], ..expect() };
    assert_eq!(prove(Layout::Segments, behind, &forged).findings[0].seq, Some(6));
    // The pen goes on where the prefix left it.
    let mut chain = Chain::new(STREAM, 1);
    let sealed = prove(Layout::Segments, &[(segment_key(1), chain.seal(2))], &expect()).streams;
    let late = [(segment_key(2), chain.lines_under(1, 1))];
    let proof = prove(Layout::Segments, &late, &Expect { from: sealed, ..expect() });
    assert_eq!(whats(&proof), [(Some(2), "written under epoch 1 after the seal of epoch 2")]);
}

#[test]
fn a_watermark_beyond_the_end_is_a_loss() {
    let objects = segments(&[2, 3]);
    let at =
        |watermark: u64| Expect { watermarks: BTreeMap::from([(STREAM.to_owned(), watermark)]), ..expect() };
    for (watermark, verdict) in [(0, Verdict::Proven), (5, Verdict::Proven), (6, Verdict::Broken)] {
        assert_eq!(prove(Layout::Segments, &objects, &at(watermark)).verdict, verdict, "{watermark}");
    }
    let proof = prove(Layout::Segments, &objects, &at(9));
    assert_eq!(whats(&proof), [(Some(6), "the stream ends at 5, but 9 was acknowledged")]);
    assert_eq!(prove(Layout::Segments, &[], &at(1)).verdict, Verdict::Broken);
    assert_eq!(prove(Layout::Segments, &[], &at(0)).verdict, Verdict::Unproven);
    // A last object that could not be read explains a short end.
    let mut fold = fold(Layout::Segments, &objects);
    fold.add_finding(
        Finding::unproven(STREAM, Some(6), "it could not be read").in_object(&segment_key(6), 0),
    );
    assert_eq!(fold.finish(&at(9)).0.verdict, Verdict::Unproven);
}

#[test]
fn a_ledger_that_is_taken_for_whole_needs_a_seal_or_a_watermark() {
    let closed = Expect { end: End::Closed, ..expect() };
    let mut chain = Chain::new(STREAM, 1);
    let mut objects = vec![(segment_key(1), [chain.open(1), chain.lines_under(1, 2)].concat())];
    let proof = prove(Layout::Segments, &objects, &closed);
    assert_eq!((proof.verdict, proof.findings[0].seq), (Verdict::Unproven, None));
    assert_eq!(proof.streams.len(), 1, "it is whole as far as it reaches");
    let marked = Expect { watermarks: BTreeMap::from([(STREAM.to_owned(), 3)]), ..closed.clone() };
    assert_eq!(prove(Layout::Segments, &objects, &marked).verdict, Verdict::Proven);
    assert_eq!(prove(Layout::Segments, &objects, &expect()).verdict, Verdict::Proven);
    // A seal, and an inert control entry behind it, end the stream; an open goes on.
    for (next, verdict) in [
        (chain.seal(2), Verdict::Proven),
        (chain.seal(1), Verdict::Proven),
        (chain.open(3), Verdict::Unproven),
    ] {
        let first =
            objects.iter().map(|(_, bytes)| bytes.split_inclusive(|b| *b == b'\n').count()).sum::<usize>()
                + 1;
        objects.push((segment_key(first as u64), next));
        assert_eq!(prove(Layout::Segments, &objects, &closed).verdict, verdict);
    }
}

#[test]
fn who_was_not_entitled_to_write_is_named_where_it_stands() {
    let mut chain = Chain::new(STREAM, 1);
    let bytes = [
        chain.open(1),
        chain.lines_under(1, 2),
        chain.lines_under(7, 3),
        chain.seal(2),
        chain.lines_under(1, 1),
    ]
    .concat();
    let object = (segment_key(1), bytes.clone());
    let proof = prove(Layout::Segments, &[object], &expect());
    assert_eq!(
        whats(&proof),
        [
            (Some(4), "written under epoch 7 while epoch 1 was open for the primary"),
            (Some(8), "written under epoch 1 after the seal of epoch 2"),
        ]
    );
    let line = bytes.split_inclusive(|byte| *byte == b'\n').take(3).map(<[u8]>::len).sum::<usize>();
    assert_eq!(
        (proof.findings[0].object.as_ref(), proof.findings[0].offset),
        (Some(&segment_key(1)), Some(line as u64))
    );
    // Epochs that change with every entry cost no memory: the first change is enough to find them.
    let mut chain = Chain::new(STREAM, 1);
    let bytes = [chain.open(1)]
        .into_iter()
        .chain((0..1_000).map(|n| chain.lines_under(n % 3, 1)))
        .collect::<Vec<_>>()
        .concat();
    let fold = fold(Layout::Segments, &[(segment_key(1), bytes)]);
    assert_eq!(fold.runs().next().unwrap().spans.len(), 3);
    assert_eq!(fold.finish(&expect()).0.verdict, Verdict::Broken);
}

#[test]
fn the_top_of_the_sequences_overflows_nowhere() {
    let mut chain = Chain::new(STREAM, u64::MAX - 3);
    let objects = [(segment_key(u64::MAX - 3), chain.lines(2)), (segment_key(u64::MAX - 1), chain.lines(1))];
    let (proof, tails) = fold(Layout::Segments, &objects).finish(&expect());
    assert_eq!((proof.verdict, proof.streams[0].through), (Verdict::Proven, u64::MAX - 1));
    assert_eq!(tails[0].next_seq(), u64::MAX);
    let last = format!(r#"{{"stream":"ME1","seq":{},"prev":"{}"}}"#, u64::MAX, chain.head) + "\n";
    assert!(tails[0].clone().absorb_segment(u64::MAX, last.as_bytes()).is_err());
    let with_last = [&objects[..], &[(segment_key(u64::MAX), last.into_bytes())]].concat();
    let proof = prove(Layout::Segments, &with_last, &expect());
    assert!(proof.findings[0].what.contains("no entry could follow"), "{:?}", proof.findings);
    // What is read back may hold anything.
    let base = StreamProof {
        through: u64::MAX,
        entries: u64::MAX,
        ..prove(Layout::Segments, &objects, &expect()).streams.remove(0)
    };
    assert_eq!(Tail::resume(&base).next_seq(), u64::MAX);
    assert_eq!(
        prove(Layout::Segments, &objects, &Expect { from: vec![base], ..expect() }).verdict,
        Verdict::Broken
    );
    let mut from_zero = Chain::new(STREAM, 0);
    assert_eq!(
        prove(Layout::Segments, &[(segment_key(0), from_zero.lines(2))], &expect()).streams[0].entries,
        2
    );
}

#[test]
fn a_ledger_without_links_is_proven_to_lack_nothing_and_says_so() {
    let mut format = Format::default();
    (format.names.prev, format.names.seq) = (None, "n".into());
    let line = |n: u64, text: &str| format!("{{\"stream\":\"ME1\",\"n\":{n},\"prev\":\"{text}\"}}\n");
    let fold_of = |layout, objects: &[(u64, String)]| {
        let mut fold = Fold::new(layout);
        for (slot, bytes) in objects {
            let id = ObjectId::new(segment_key(*slot));
            let mut reader = match layout {
                Layout::Segments => Reader::segment(&format, STREAM, *slot, id),
                Layout::Firehose => Reader::delivery(&format, id),
            };
            reader.push(bytes.as_bytes());
            fold.merge(reader.finish());
        }
        fold
    };
    let (a, b) = (line(1, "a") + &line(2, "b"), line(3, "c"));
    let proof = fold_of(Layout::Segments, &[(3, b.clone()), (1, a.clone())]).finish(&expect()).0;
    assert_eq!((proof.verdict, proof.linked, proof.streams[0].entries), (Verdict::Proven, false, 3));
    let proof = fold_of(Layout::Segments, &[(1, a.clone()), (4, line(4, "d"))]).finish(&expect()).0;
    assert_eq!(whats(&proof), [(Some(3), "entry 3 is missing")]);
    // Repeated deliveries are compared entry by entry: no link vouches for those before the last.
    let many =
        |changed: u64| (1..=40).map(|n| line(n, if n == changed { "x" } else { "a" })).collect::<String>();
    for changed in [0, 1, 17, 40] {
        let objects = [(1, many(0)), (2, many(changed))];
        let mut fold = fold_of(Layout::Firehose, &objects);
        for _ in 0..20 {
            let questions = fold.questions(&expect());
            for question in questions {
                let (_, bytes) =
                    objects.iter().find(|(slot, _)| segment_key(*slot) == question.piece.object.key).unwrap();
                let mut asker = Asker::new(&format, ObjectId::clone(&question.piece.object), vec![question]);
                asker.push(bytes.as_bytes());
                fold.answer(asker.finish());
            }
        }
        let proof = fold.finish(&expect()).0;
        let fork = proof.findings.first().map(|finding| finding.seq.unwrap());
        assert_eq!(fork, (changed > 0).then_some(changed), "{:?}", proof.findings);
        assert_eq!(proof.counts.repeated, 40);
    }
}

#[test]
fn repeats_are_counted_and_a_fork_is_found_at_its_first_entry() {
    let (mut one, mut other) = (Chain::new(STREAM, 1), Chain::new(STREAM, 1));
    let (a, b) = (one.lines(5), one.lines(20));
    other.lines(5);
    let b_again = b.clone();
    let part: Vec<u8> = b.split_inclusive(|byte| *byte == b'\n').skip(3).take(8).collect::<Vec<_>>().concat();
    let objects = vec![
        ("w/1".to_owned(), [&a[..], &b].concat()),
        ("w/2".to_owned(), b_again),
        ("w/0".to_owned(), part),
    ];
    let mut fold = fold(Layout::Firehose, &objects);
    assert!(!fold.questions(&expect()).is_empty());
    let unanswered = fold.clone().finish(&expect()).0;
    assert_eq!(unanswered.verdict, Verdict::Unproven, "what was not compared is no proof");
    assert_eq!(settle(&mut fold, &objects, &expect()), 1);
    let proof = fold.finish(&expect()).0;
    assert_eq!((proof.verdict, proof.counts.repeated, proof.streams[0].through), (Verdict::Proven, 28, 25));

    // The same up to 11, another history from 12 on.
    for cut in [0, 6, 19] {
        let mut other = Chain::new(STREAM, 6);
        other.head = crate::Hash::of(a.split(|byte| *byte == b'\n').nth(4).unwrap());
        let mut forged = other.lines(cut);
        let forged_at = forged.len();
        forged.extend(other.line(r#","forged":true"#));
        forged.extend(other.lines(19 - cut));
        let objects = vec![objects[0].clone(), ("w/3".to_owned(), forged)];
        let proof = prove(Layout::Firehose, &objects, &expect());
        let fork = &proof.findings[0];
        assert_eq!((fork.verdict, fork.seq), (Verdict::Broken, Some(6 + cut as u64)), "{fork}");
        assert_eq!((fork.object.as_deref(), fork.offset), (Some("w/3"), Some(forged_at as u64)));
        assert!(fork.what.contains("object w/1"), "{fork}");
    }
}

#[test]
fn a_question_that_cannot_be_answered_is_unproven_and_not_asked_again() {
    let mut chain = Chain::new(STREAM, 1);
    let bytes = chain.lines(5);
    let part = bytes.split_inclusive(|byte| *byte == b'\n').take(3).collect::<Vec<_>>().concat();
    let mut fold = fold(Layout::Firehose, &[("w/1".into(), bytes), ("w/2".into(), part)]);
    let questions = fold.questions(&expect());
    fold.answer(questions.into_iter().map(|question| question.unanswered()));
    assert_eq!(fold.questions(&expect()), []);
    assert_eq!(fold.finish(&expect()).0.verdict, Verdict::Unproven);
}

#[test]
fn a_delivery_joins_a_proven_prefix_and_may_repeat_it() {
    let mut chain = Chain::new(STREAM, 1);
    let (a, b) = (chain.lines(6), chain.lines(4));
    let base = prove(Layout::Firehose, &[("w/1".into(), a.clone())], &expect()).streams;
    let from = Expect { from: base, ..expect() };
    for objects in [
        vec![("w/2".to_owned(), b.clone())],
        vec![("w/2".to_owned(), [&a[..], &b].concat())],
        vec![("w/1".to_owned(), a.clone()), ("w/2".to_owned(), b.clone())],
    ] {
        let proof = prove(Layout::Firehose, &objects, &from);
        assert_eq!(
            (proof.verdict, proof.streams[0].through, proof.streams[0].entries),
            (Verdict::Proven, 10, 10)
        );
    }
    let mut forged = Chain::new(STREAM, 1);
    forged.line(r#","forged":1"#);
    let proof = prove(Layout::Firehose, &[("w/2".into(), forged.lines(9))], &from);
    assert_eq!((proof.verdict, proof.findings[0].seq), (Verdict::Broken, Some(6)));
}

#[test]
fn what_is_missing_from_a_delivery_may_be_in_an_object_that_could_not_be_read() {
    let mut chain = Chain::new(STREAM, 1);
    let (a, _, c) = (chain.lines(2), chain.lines(2), chain.lines(2));
    let mut fold = fold(Layout::Firehose, &[("w/1".into(), a), ("w/3".into(), c)]);
    assert_eq!(fold.clone().finish(&expect()).0.findings[0].verdict, Verdict::Broken);
    fold.add_finding(Finding::unproven("", None, "it could not be read").in_object("w/2", 0));
    let proof = fold.clone().finish(&expect()).0;
    assert_eq!((proof.verdict, proof.findings.len()), (Verdict::Unproven, 2));
    let watermarks = BTreeMap::from([("ME9".to_owned(), 4)]);
    assert_eq!(fold.finish(&Expect { watermarks, ..Expect::default() }).0.verdict, Verdict::Unproven);
}

#[test]
fn findings_are_bounded_and_counted() {
    let lines = b"nothing\n".repeat(3 * FINDINGS_MAX);
    let objects: Objects = (0..3).map(|n| (format!("w/{n}"), lines.clone())).collect();
    let forward = fold(Layout::Firehose, &objects);
    let mut backward = Fold::new(Layout::Firehose);
    objects.iter().rev().for_each(|object| backward.merge(read(Layout::Firehose, object)));
    assert_eq!(forward, backward);
    let proof = forward.finish(&Expect::default()).0;
    assert_eq!((proof.findings.len(), proof.findings_count), (FINDINGS_MAX, 9 * FINDINGS_MAX as u64));
    assert!(proof.findings.is_sorted());
    assert_eq!((proof.findings[0].object.as_deref(), proof.findings[0].offset), (Some("w/0"), Some(0)));
}

#[test]
fn a_fold_is_read_back_as_it_was_written_and_nonsense_is_refused() {
    let objects = segments(&[2, 3, 1]);
    let whole = fold(Layout::Segments, &objects[..2]);
    let text = serde_json::to_string(&whole).unwrap();
    assert_eq!(serde_json::from_str::<Fold>(&text).unwrap(), whole);
    for (from, to) in
        [("\"last_seq\":5", "\"last_seq\":18446744073709551615"), ("\"last_seq\":5", "\"last_seq\":0")]
    {
        let changed = text.replace(from, to);
        assert_ne!(changed, text);
        assert!(serde_json::from_str::<Fold>(&changed).unwrap_err().to_string().contains("is none"));
    }
}

#[test]
#[should_panic(expected = "a fold has one layout")]
fn layouts_are_not_mixed() {
    Fold::new(Layout::Segments).merge(Fold::new(Layout::Firehose));
}

#[test]
fn an_open_and_its_writers_are_judged_in_a_delivery_that_holds_the_control_entries() {
    let mut chain = Chain::new(STREAM, 1);
    let bytes = [chain.open(1), chain.lines_under(1, 2), chain.seal(2)].concat();
    let proof = prove(Layout::Firehose, &[("w/1".into(), bytes.clone())], &expect());
    assert!(matches!(proof.streams[0].pen.state(), PenState::Sealed { epoch: 2, .. }));
    let late = chain.lines_under(1, 1);
    let proof = prove(Layout::Firehose, &[("w/1".into(), [bytes, late].concat())], &expect());
    assert_eq!(proof.findings[0].seq, Some(5));
    // Without them nobody can say who had the pen.
    let mut chain = Chain::new(STREAM, 1);
    let bytes = [chain.lines_under(1, 2), chain.lines_under(2, 2)].concat();
    assert_eq!(prove(Layout::Firehose, &[("w/1".into(), bytes)], &expect()).verdict, Verdict::Proven);
}

/// Objects of two histories that share their beginning, cut anywhere, left out and repeated: whatever may be wrong with the
/// place of an object in its ledger.
fn damaged() -> impl Strategy<Value = Objects> {
    let cut = (0usize..24, 1usize..7, any::<bool>());
    (proptest::collection::vec(cut, 0..9), 0usize..24, 0u64..3).prop_map(|(cuts, fork, epochs)| {
        let history = |forged: bool| {
            let mut chain = Chain::new(STREAM, 1);
            let line = |n: usize| match (forged && n == fork, n % 5) {
                (true, _) => r#","forged":1"#.to_owned(),
                (_, 0) => {
                    format!(r#","control":{{"open":{{"epoch":{},"holder":"primary","run":"r"}}}}"#, n / 5 + 1)
                }
                (_, _) => format!(r#","epoch":{}"#, (n as u64 / 5).saturating_sub(epochs / 2) + 1),
            };
            (0..24).map(|n| chain.line(&line(n))).collect::<Vec<_>>()
        };
        let histories = [history(false), history(true)];
        let objects = cuts.into_iter().map(|(first, count, forged)| {
            let lines = &histories[usize::from(forged)][first..(first + count).min(24)];
            (segment_key(first as u64 + 1), lines.concat())
        });
        objects.collect()
    })
}

proptest! {
    /// However the objects are ordered and the work is split, the proof is the same, to the last word.
    #[test]
    fn neither_order_nor_split_changes_the_proof(
        objects in damaged(),
        firehose in any::<bool>(),
        order in any::<u64>(),
        parts in 1usize..5,
        written in any::<bool>(),
        base in proptest::option::of(1usize..20),
    ) {
        let layout = if firehose { Layout::Firehose } else { Layout::Segments };
        let objects: Objects = objects.into_iter().enumerate()
            // A delivery may be repeated under another key, but a key is one object.
            .map(|(n, (key, bytes))| if firehose { (format!("w/{n}"), bytes) } else { (key, bytes) })
            .collect();
        let mut expect = expect();
        if let Some(count) = base {
            let mut chain = Chain::new(STREAM, 1);
            expect.from = prove(Layout::Segments, &[(segment_key(1), chain.lines(count))], &expect).streams;
        }
        let mut shuffled: Vec<_> = objects.iter().enumerate().collect();
        shuffled.sort_by_key(|(n, _)| (*n as u64 + 1).wrapping_mul(order | 1).rotate_left(23));
        let mut folds = vec![Fold::new(layout); parts];
        for (n, (_, object)) in shuffled.into_iter().enumerate() {
            folds[n % parts].merge(read(layout, object));
        }
        let mut merged = Fold::new(layout);
        for part in folds {
            merged.merge(match written {
                true => serde_json::from_slice(&serde_json::to_vec(&part).unwrap()).unwrap(),
                false => part,
            });
        }
        settle(&mut merged, &objects, &expect);
        let proof = merged.finish(&expect).0;
        prop_assert_eq!(&proof, &prove(layout, &objects, &expect));
        prop_assert_eq!(proof.verdict == Verdict::Proven, proof.streams.len() == 1 && proof.findings.is_empty());
    }
}
