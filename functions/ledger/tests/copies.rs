//! Two copies of one ledger, each of which loses something between entries: what the other holds is put back byte for byte,
//! and what is lost in both, or at the end, is said. The store is a map here; its conditional put, its listings and its races are tested on the emulator.

use std::collections::{BTreeMap, BTreeSet};

use lifeboat_ledger::control::{Open, Seal};
use lifeboat_ledger::copies::{self, Judged, Line, fill, gaps, healed_key, judge, lines, patches, stretches};
use lifeboat_ledger::writer::Writer;
use lifeboat_ledger::{
    Control, Entry, Expect, Fold, Format, Holder, Layout, ObjectId, Reader, Run, Tail, Verdict, entry, slot,
};
use proptest::prelude::*;
use serde_json::json;

const STREAM: &str = "ME1";
const ALL: std::ops::RangeInclusive<u64> = 0..=u64::MAX;

/// The log, by slot.
type Slots = BTreeMap<u64, Vec<u8>>;

fn replay(slots: &Slots) -> Tail {
    let mut tail = Tail::new(STREAM);
    while let Some(bytes) = slots.get(&tail.next_seq()) {
        let slot = tail.next_seq();
        tail.absorb_segment(slot, bytes).unwrap();
    }
    tail
}

fn control(slots: &mut Slots, control: &Control) {
    let tail = replay(slots);
    slots.insert(tail.next_seq(), tail.control_segment(control));
}

fn open(epoch: u64) -> Control {
    Control::Open(Open { epoch, holder: Holder::Primary, run: format!("run-{epoch}") })
}

fn seal(epoch: u64) -> Control {
    Control::Seal(Seal { epoch, run: format!("run-{epoch}") })
}

/// Segments of so many entries each, written behind `slots` under the open epoch; `slots` is left alone.
fn written(slots: &Slots, sizes: &[usize], mark: &str) -> Slots {
    let mut writer = Writer::new("log/", replay(slots), Holder::Primary, None);
    let mut made = Slots::new();
    for size in sizes {
        let entries: Vec<_> = (0..*size).map(|number| json!({ "order": number, "mark": mark })).collect();
        let segment = writer.segment(&entries).unwrap();
        writer.stored(&segment);
        made.insert(segment.first_seq, segment.bytes);
    }
    made
}

/// A ledger whose pen changes hands once for each of `epochs`, and the slots of its control entries.
fn ledger(epochs: &[Vec<usize>]) -> (Slots, BTreeSet<u64>) {
    let (mut slots, mut controls) = (Slots::new(), BTreeSet::new());
    for (index, sizes) in epochs.iter().enumerate() {
        let epoch = index as u64 + 1;
        if index > 0 {
            controls.insert(replay(&slots).next_seq());
            control(&mut slots, &seal(epoch));
        }
        controls.insert(replay(&slots).next_seq());
        control(&mut slots, &open(epoch));
        let made = written(&slots, sizes, "original");
        slots.extend(made);
    }
    (slots, controls)
}

fn fold(slots: &Slots) -> Fold {
    let mut fold = Fold::new(Layout::Segments);
    for (first, bytes) in slots {
        let id = ObjectId::new(slot::key("log/", STREAM, *first));
        let mut reader = Reader::segment(&Format::default(), STREAM, *first, id);
        reader.push(bytes);
        fold.merge(reader.finish());
    }
    fold
}

fn verdict(slots: &Slots) -> Verdict {
    fold(slots).finish(&Expect::streams(&[STREAM.to_owned()])).0.verdict
}

fn pieces(witness: &[Vec<u8>]) -> Vec<Run> {
    let mut fold = Fold::new(Layout::Firehose);
    for (number, bytes) in witness.iter().enumerate() {
        let mut reader = Reader::delivery(&Format::default(), ObjectId::new(number.to_string()));
        reader.push(bytes);
        fold.merge(reader.finish());
    }
    assert!(fold.findings().is_empty(), "{:?}", fold.findings());
    fold.runs().cloned().collect()
}

fn held(witness: &[Vec<u8>]) -> Vec<Line> {
    witness.iter().flat_map(|bytes| lines(&Format::default(), bytes, STREAM, &ALL)).collect()
}

fn entries(slots: &Slots) -> Vec<Entry> {
    slots
        .values()
        .flat_map(|bytes| lines(&Format::default(), bytes, STREAM, &ALL))
        .map(|line| line.entry)
        .collect()
}

fn bytes_of(slots: &Slots) -> Vec<u8> {
    slots.values().flatten().copied().collect()
}

/// Puts back what is missing between the segments, into free slots only.
fn mend_holes(slots: &mut Slots, witness: &[Vec<u8>]) {
    for hole in copies::holes(&fold(slots), &[]) {
        if let Ok(lost) = fill(&hole, held(witness)) {
            for patch in patches(&lost, 400) {
                assert!(slots.insert(patch.first_seq, patch.bytes).is_none(), "a slot was taken");
            }
        }
    }
}

/// Deliveries of the segments `sent`: in any order, so many to an object, some of them twice.
fn delivered(sent: &[Vec<u8>], order: &[usize], twice: &[usize], each: usize) -> Vec<Vec<u8>> {
    let mut records: Vec<&Vec<u8>> = sent.iter().collect();
    records.sort_by_key(|bytes| order.get(bytes.len() % order.len().max(1)).copied().unwrap_or(0));
    records.extend(twice.iter().filter_map(|at| sent.get(*at)));
    records
        .chunks(each.max(1))
        .map(|records| records.iter().flat_map(|bytes| (*bytes).clone()).collect())
        .collect()
}

fn sizes() -> impl Strategy<Value = Vec<Vec<usize>>> {
    prop::collection::vec(prop::collection::vec(1_usize..4, 1..6), 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Losses anywhere but at the end, in both copies.
    #[test]
    fn what_one_copy_holds_is_put_back_in_the_other(
        epochs in sizes(),
        lose in prop::collection::vec(any::<bool>(), 40),
        undelivered in prop::collection::vec(0_u8..4, 40),
        order in prop::collection::vec(0_usize..8, 1..8),
        twice in prop::collection::vec(0_usize..20, 0..6),
        each in 1_usize..5,
    ) {
        let (original, controls) = ledger(&epochs);
        let last = *original.keys().next_back().unwrap();
        let sent: Vec<(u64, Vec<u8>)> = original
            .iter()
            .filter(|(slot, _)| !controls.contains(slot))
            .zip(&undelivered)
            .filter(|(_, fate)| **fate > 0)
            .map(|((slot, bytes), _)| (*slot, bytes.clone()))
            .collect();
        let in_witness: BTreeSet<u64> = sent.iter().map(|(slot, _)| *slot).collect();
        let sent: Vec<Vec<u8>> = sent.into_iter().map(|(_, bytes)| bytes).collect();
        let mut witness = delivered(&sent, &order, &twice, each);
        let kept: Slots = original
            .iter()
            .zip(&lose)
            .filter(|((slot, _), lost)| **slot == 1 || **slot == last || !**lost)
            .map(|((slot, bytes), _)| (*slot, bytes.clone()))
            .collect();

        // A hole is put back if the witness holds all of it, which it never does of a control entry.
        let mut mended = kept.clone();
        mend_holes(&mut mended, &witness);
        let mut whole = true;
        let mut expected = kept.clone();
        let mut hole: Vec<u64> = Vec::new();
        for slot in original.keys() {
            if !kept.contains_key(slot) {
                hole.push(*slot);
                continue;
            }
            if hole.iter().all(|lost| in_witness.contains(lost)) {
                expected.extend(hole.iter().map(|lost| (*lost, original[lost].clone())));
            } else {
                whole = false;
            }
            hole.clear();
        }
        prop_assert_eq!(bytes_of(&mended), bytes_of(&expected));
        prop_assert_eq!(verdict(&mended), if whole { Verdict::Proven } else { Verdict::Broken });
        if whole {
            prop_assert_eq!(bytes_of(&mended), bytes_of(&original));
        }

        // The witness: what the log holds between what was delivered, and is no control entry, is put back too.
        let held_by_log = entries(&mended);
        for stretch in stretches(pieces(&witness)) {
            let found = held_by_log.iter().find(|entry| entry.seq == stretch.last_seq);
            prop_assert!(found.is_none_or(|entry| entry.hash == stretch.last_hash));
        }
        let ranges = |witness: &[Vec<u8>]| {
            pieces(witness).into_iter().map(|piece| piece.first_seq..=piece.last_seq).collect::<Vec<_>>()
        };
        let floor = ranges(&witness).iter().map(|range| *range.start()).min().unwrap_or(0);
        let data: Vec<Line> = mended
            .values()
            .flat_map(|bytes| lines(&Format::default(), bytes, STREAM, &ALL))
            .filter(|line| line.entry.control.is_none())
            .collect();
        for gap in gaps(floor, ranges(&witness)) {
            let missing = data.iter().filter(|line| gap.contains(&line.entry.seq));
            witness.extend(patches(missing, 400).into_iter().map(|patch| patch.bytes));
        }
        let covered = ranges(&witness);
        let greatest = covered.iter().map(|range| *range.end()).max().unwrap_or(0);
        for line in data.iter().filter(|line| line.entry.seq >= floor && line.entry.seq < greatest) {
            prop_assert!(covered.iter().any(|range| range.contains(&line.entry.seq)), "{}", line.entry.seq);
        }
    }

    /// An old primary goes on by itself and sends what it cannot put: void from the seal on, and a fork before it.
    #[test]
    fn a_branch_is_void_behind_the_seal_and_a_fork_before_it(
        before in prop::collection::vec(1_usize..4, 1..5),
        after in prop::collection::vec(1_usize..4, 0..4),
        branch in prop::collection::vec(1_usize..4, 1..5),
        fork_at in 0_usize..5,
    ) {
        let (common, _) = ledger(&[before]);
        let mut log = common.clone();
        let sealed_at = replay(&log).next_seq();
        control(&mut log, &seal(2));
        control(&mut log, &open(2));
        let made = written(&log, &after, "new");
        log.extend(made);
        let end = replay(&log);

        let void: Vec<Line> = written(&common, &branch, "old").values()
            .flat_map(|bytes| lines(&Format::default(), bytes, STREAM, &ALL)).collect();
        let sent: Vec<Line> =
            held(&common.values().skip(1).cloned().collect::<Vec<_>>()).into_iter().chain(void.clone()).collect();
        let object = ObjectId::new("witness/1");
        let expected = Judged {
            same: (sent.len() - void.len()) as u64,
            void: void.len() as u64,
            ..Judged::default()
        };
        prop_assert_eq!(judge(&entries(&log), Some(&end), &object, &sent), expected);

        // The same branch from a place before the seal was by right, and is another history.
        let slots: Vec<u64> = common.keys().copied().collect();
        let from = slots[1 + fork_at % (slots.len() - 1)];
        let base: Slots = common.range(..from).map(|(slot, bytes)| (*slot, bytes.clone())).collect();
        let other: Vec<Line> = written(&base, &branch, "old").values()
            .flat_map(|bytes| lines(&Format::default(), bytes, STREAM, &ALL)).collect();
        let judged = judge(&entries(&log), Some(&end), &object, &other);
        let fork = judged.fork.expect("two histories");
        prop_assert_eq!((fork.seq, fork.verdict), (Some(from), Verdict::Broken));
        prop_assert_eq!(judged.same, 0);
        let behind = other.iter().filter(|line| line.entry.seq >= sealed_at).count() as u64;
        prop_assert_eq!(judged.void, behind);
    }
}

#[test]
fn a_damaged_or_unreadable_segment_is_no_hole() {
    let (original, _) = ledger(&[vec![2, 3, 2]]);
    let witness: Vec<Vec<u8>> = original.values().skip(1).cloned().collect();
    let middle = *original.keys().nth(2).unwrap();
    // Cut off in its second entry: a slot inside another's place must not be made.
    let mut cut = original.clone();
    let bytes = cut.get_mut(&middle).unwrap();
    bytes.truncate(bytes.len() - 200);
    assert_eq!(copies::holes(&fold(&cut), &[]), []);
    mend_holes(&mut cut, &witness);
    assert_eq!((cut.len(), verdict(&cut)), (original.len(), Verdict::Broken));
    // Gone altogether, it is one.
    cut.remove(&middle);
    let holes = copies::holes(&fold(&cut), &[]);
    assert_eq!(holes.iter().map(|hole| hole.missing.clone()).collect::<Vec<_>>(), [middle..=middle + 2]);
}

#[test]
fn a_hole_behind_a_proven_prefix_is_one_too() {
    let (original, _) = ledger(&[vec![2, 3, 2]]);
    let slots: Vec<u64> = original.keys().copied().collect();
    let prefix: Slots = original.range(..slots[2]).map(|(slot, bytes)| (*slot, bytes.clone())).collect();
    let base = fold(&prefix).finish(&Expect::streams(&[STREAM.to_owned()])).0.streams;
    let rest: Slots = original.range(slots[3]..).map(|(slot, bytes)| (*slot, bytes.clone())).collect();
    let holes = copies::holes(&fold(&rest), &base);
    assert_eq!(holes.len(), 1);
    let witness: Vec<Vec<u8>> = original.values().skip(1).cloned().collect();
    let lost = fill(&holes[0], held(&witness)).unwrap();
    assert_eq!(patches(&lost, usize::MAX)[0].bytes, original[&slots[2]]);
    // One line of another history among them, and none of the rest fits.
    let foreign: Vec<Line> =
        held(&witness).into_iter().filter(|line| line.entry.seq != slots[2] + 1).collect();
    assert_eq!(fill(&holes[0], foreign), Err(slots[2] + 1));
    // They fit the entry behind them, and not the one before.
    let before = copies::Hole { before: lifeboat_ledger::Hash::GENESIS, ..holes[0].clone() };
    assert_eq!(fill(&before, held(&witness)), Err(0));
}

#[test]
fn an_epoch_that_nobody_had_opened_is_void_in_the_log_and_stands_behind_its_end() {
    let (original, _) = ledger(&[vec![2, 2]]);
    let end = replay(&original);
    let start = Slots::from([(1, original[&1].clone())]);
    let object = ObjectId::new("witness/1");
    // Another history from the beginning on, two of whose six entries lie behind the end.
    let with_epoch = |epoch: u64| -> Vec<Line> {
        held(&written(&start, &[2, 2, 2], "foreign").into_values().collect::<Vec<_>>())
            .into_iter()
            .map(|line| {
                let text = String::from_utf8(line.bytes).unwrap();
                let bytes = text.replace("\"epoch\":1", &format!("\"epoch\":{epoch}")).into_bytes();
                Line { entry: entry::parse(&bytes).unwrap(), bytes, offset: line.offset }
            })
            .collect()
    };
    let newer = judge(&entries(&original), Some(&end), &object, &with_epoch(7));
    assert_eq!(newer, Judged { void: 4, beyond: 2, ..Judged::default() });
    // Under the epoch that is open, it is a fork.
    let same = judge(&entries(&original), Some(&end), &object, &with_epoch(1));
    assert_eq!((same.void, same.beyond, same.fork.map(|fork| fork.seq)), (0, 2, Some(Some(2))));
    // What is read of the log may end before a seal that its end knows of.
    let mut sealed = original.clone();
    control(&mut sealed, &seal(2));
    let behind: Vec<Line> = with_epoch(1).into_iter().filter(|line| line.entry.seq == 7).collect();
    let judged = judge(&entries(&original), Some(&replay(&sealed)), &object, &behind);
    assert_eq!(judged, Judged { void: 1, ..Judged::default() });
}

#[test]
fn a_line_that_is_no_entry_is_passed_over_and_offsets_go_on() {
    let (original, _) = ledger(&[vec![2]]);
    let segment = &original[&2];
    let bytes = [b"no entry\n".as_slice(), segment, b"{\"cut\":"].concat();
    let found = lines(&Format::default(), &bytes, STREAM, &ALL);
    assert_eq!(found.iter().map(|line| line.entry.seq).collect::<Vec<_>>(), [2, 3]);
    for line in found {
        let at = line.offset as usize;
        assert_eq!(&bytes[at..at + line.bytes.len()], line.bytes);
    }
    assert_eq!(lines(&Format::default(), &bytes, "ME2", &ALL), []);
    assert_eq!(lines(&Format::default(), &bytes, STREAM, &(3..=3)).len(), 1);
}

#[test]
fn a_place_that_the_log_does_not_hold_is_not_behind_its_end() {
    let (original, _) = ledger(&[vec![2, 2, 2]]);
    let end = replay(&original);
    let mut holed = original.clone();
    holed.remove(&4);
    let sent = held(&original.values().skip(1).cloned().collect::<Vec<_>>());
    let expected = Judged { same: 4, unanswered: 2, ..Judged::default() };
    assert_eq!(judge(&entries(&holed), Some(&end), &ObjectId::new("witness/1"), &sent), expected);
    // The same entries, where the log ends before them.
    let shorter = Slots::from([(1, original[&1].clone()), (2, original[&2].clone())]);
    let expected = Judged { same: 2, beyond: 4, ..Judged::default() };
    let end = replay(&shorter);
    assert_eq!(judge(&entries(&shorter), Some(&end), &ObjectId::new("witness/1"), &sent), expected);
}

#[test]
fn stretches_join_what_follows_and_nothing_else() {
    let (original, _) = ledger(&[vec![2, 2, 2]]);
    let other = written(&Slots::from([(1, original[&1].clone())]), &[2, 2], "other");
    let deliver = |slots: &[&Vec<u8>]| slots.iter().map(|bytes| (*bytes).clone()).collect::<Vec<_>>();
    // Two histories, the second from the middle of the first on, and the first piece twice.
    let witness = deliver(&[&original[&6], &original[&2], &original[&4], &other[&4], &original[&2]]);
    let found: Vec<_> = stretches(pieces(&witness))
        .into_iter()
        .map(|stretch| (stretch.first_seq, stretch.last_seq, stretch.pieces.len()))
        .collect();
    assert_eq!(found, [(2, 7, 3), (4, 5, 1)]);
}

#[test]
fn gaps_are_what_nothing_covers() {
    assert_eq!(gaps(3, [5..=9, 6..=7, 12..=12, 1..=2]), [3..=4, 10..=11]);
    assert_eq!(gaps(3, []), []);
    assert_eq!(gaps(0, [0..=u64::MAX]), []);
}

#[test]
fn an_object_that_is_put_back_is_whole_consecutive_lines() {
    let (original, _) = ledger(&[vec![2, 2]]);
    let mut all = held(&original.values().cloned().collect::<Vec<_>>());
    let length = all[1].bytes.len() + 1;
    let places = |lines: &[Line], bytes_max: usize| {
        patches(lines, bytes_max).iter().map(|patch| (patch.first_seq, patch.last_seq)).collect::<Vec<_>>()
    };
    assert_eq!(places(&all[1..], 2 * length), [(2, 3), (4, 5)]);
    assert_eq!(places(&all[1..], 1), [(2, 2), (3, 3), (4, 4), (5, 5)]);
    all.remove(2);
    assert_eq!(places(&all, usize::MAX), [(1, 2), (4, 5)]);
}

#[test]
fn what_was_put_back_lies_beside_the_deliveries() {
    assert_eq!(healed_key("witness/", "ME1", 7), "witness/healed/ME1/00000000000000000007.ndjson");
    assert!("witness/2026/11/23/21/x" < healed_key("witness/", "ME1", 7).as_str());
}
