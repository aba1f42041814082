use proptest::prelude::*;

use super::*;
use crate::dns::Half;
use crate::plan::RecordType;

const GATE: &str = "11111111-2222-3333-4444-555555555555";
const PAIRS: To<'_> = To::Pairs { health_check: GATE };

/// A zone that takes a batch as Route 53 does: whole or not at all, deletes to the letter, creates where nothing is, no plain
/// record beside halves of the same name and type, and no half twice.
#[derive(Clone, Debug, PartialEq)]
struct Zone(Vec<Found>);

impl Zone {
    fn apply(&mut self, batch: &[Edit]) -> Result<(), String> {
        let mut next = self.0.clone();
        for change in batch.iter().flat_map(|edit| &edit.changes) {
            match change {
                Change::Delete(set) => {
                    let set = Found::Set(set.clone());
                    let at = next.iter().position(|have| *have == set);
                    next.remove(at.ok_or_else(|| format!("{set:?} is not there"))?);
                }
                Change::Create(set) => {
                    let beside = |have: &&Found| have.name() == set.name && have.kind() == set.kind;
                    let in_the_way = next.iter().filter(beside).any(|have| match have {
                        Found::Foreign { .. } => true,
                        Found::Set(have) => match (&have.half, &set.half) {
                            (Some(have), Some(half)) => {
                                have.identifier == half.identifier || have.failover == half.failover
                            }
                            _ => true,
                        },
                    });
                    if in_the_way {
                        return Err(format!("{set:?} cannot be beside what is there"));
                    }
                    next.push(Found::Set(set.clone()));
                }
            }
        }
        self.0 = next;
        Ok(())
    }

    /// What a client is told by the primary side: the plain record's values or the primary half's.
    fn answer(&self, record: &Record) -> Option<Vec<String>> {
        ByName::of(&self.0).shape(record).primary().map(|set| set.values.clone())
    }

    fn at(&self, record: &Record) -> Vec<&Found> {
        let kind = record.kind.to_string();
        let mut at: Vec<&Found> =
            self.0.iter().filter(|found| found.name() == record.name && found.kind() == kind).collect();
        at.sort_by_key(|found| format!("{found:?}"));
        at
    }
}

/// How a record stands in the zone before anybody prepares it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Start {
    Missing,
    Plain,
    OtherTtl,
    OtherValues,
    Pair,
    PrimaryHalf,
    RecoveryHalf,
    OtherGate,
    Ungated,
    GatedSecondary,
    OldRecovery,
    Weighted,
    ForeignPair,
}

const STARTS: [Start; 13] = [
    Start::Missing,
    Start::Plain,
    Start::OtherTtl,
    Start::OtherValues,
    Start::Pair,
    Start::PrimaryHalf,
    Start::RecoveryHalf,
    Start::OtherGate,
    Start::Ungated,
    Start::GatedSecondary,
    Start::OldRecovery,
    Start::Weighted,
    Start::ForeignPair,
];

impl Start {
    fn found(self, record: &Record) -> Vec<Found> {
        let [primary, recovery] = pair(record, GATE);
        let gated = |set: &RecordSet, by: Option<&str>| {
            let half = set.half.clone().map(|half| Half { health_check: by.map(str::to_owned), ..half });
            RecordSet { half, ..set.clone() }
        };
        let named = |set: &RecordSet, name: &str| {
            let half = set.half.clone().map(|half| Half { identifier: name.to_owned(), ..half });
            RecordSet { half, ..set.clone() }
        };
        let sets = match self {
            Start::Missing => vec![],
            Start::Plain => vec![plain(record)],
            Start::OtherTtl => vec![RecordSet { ttl: record.ttl + 300, ..plain(record) }],
            Start::OtherValues => vec![RecordSet { values: vec!["192.0.2.1".to_owned()], ..plain(record) }],
            Start::Pair => vec![primary, recovery],
            Start::PrimaryHalf => vec![primary],
            Start::RecoveryHalf => vec![recovery],
            Start::OtherGate => vec![gated(&primary, Some("another")), recovery],
            Start::Ungated => vec![gated(&primary, None), recovery],
            Start::GatedSecondary => vec![primary, gated(&recovery, Some(GATE))],
            Start::OldRecovery => {
                vec![primary, RecordSet { values: vec!["192.0.2.2".to_owned()], ..recovery }]
            }
            Start::ForeignPair => vec![named(&primary, "blue"), named(&recovery, "green")],
            Start::Weighted => {
                return vec![Found::Foreign {
                    name: record.name.clone(),
                    kind: record.kind.to_string(),
                    why: "is weighted".to_owned(),
                }];
            }
        };
        sets.into_iter().map(Found::Set).collect()
    }

    /// Whether `to` leaves it alone.
    fn is_left_alone(self, to: To<'_>) -> bool {
        match self {
            Start::Weighted | Start::ForeignPair => true,
            Start::OtherValues => to != To::Plain,
            Start::Missing => to == To::Plain,
            _ => false,
        }
    }
}

fn record(index: usize, values: usize) -> Record {
    let values_of =
        |side: usize| (0..values).map(move |value| format!("10.{side}.{}.{}", index % 250, value + 1));
    Record {
        name: format!("s{index:05}.md.aex.internal"),
        kind: RecordType::A,
        ttl: 5,
        primary: values_of(0).collect(),
        recovery: values_of(1).collect(),
    }
}

fn zone(records: &[Record], starts: &[Start]) -> Zone {
    let stranger = RecordSet::new("other.aex.internal", "A", 300, ["192.0.2.9".to_owned()]);
    let mut zone = vec![Found::Set(stranger)];
    zone.extend(records.iter().zip(starts).flat_map(|(record, start)| start.found(record)));
    Zone(zone)
}

/// Applies batches until `stop`, and holds after each that no name has lost or changed its answer from the primary side.
fn run(zone: &mut Zone, to: To<'_>, records: &[Record], stop: usize) -> Prepared {
    let prepared = prepare(to, records, &zone.0);
    for batch in prepared.batches.iter().take(stop) {
        assert!(Size::of(&batch.iter().flat_map(|edit| edit.changes.clone()).collect::<Vec<_>>()).fits());
        let before: Vec<_> = records.iter().map(|record| zone.answer(record)).collect();
        zone.apply(batch).expect("a batch from a fresh read fits the zone");
        for (record, before) in records.iter().zip(before) {
            let after = zone.answer(record);
            match before {
                Some(before) => assert_eq!(after, Some(before), "{}", record.name),
                // What the primary side had no answer for gets the plan's.
                None => assert!(after.is_none() || after == Some(plain(record).values), "{}", record.name),
            }
        }
        // The same batch again, whose answer was lost, changes nothing.
        let unchanged = zone.clone();
        assert!(zone.apply(batch).is_err());
        assert_eq!(*zone, unchanged);
    }
    prepared
}

fn assert_ended(zone: &Zone, to: To<'_>, records: &[Record], first: &Zone) {
    let ended = prepare(to, records, &zone.0);
    assert_eq!(ended.batches, Vec::<Vec<Edit>>::new());
    assert_eq!(ended.done + ended.left_alone.len(), records.len());
    for (record, left) in records
        .iter()
        .filter_map(|record| Some((record, ended.left_alone.iter().find(|left| left.name == record.name)?)))
    {
        assert_eq!(zone.at(record), first.at(record), "{} is left alone: {}", left.name, left.why);
    }
    assert_eq!(zone.0[0], first.0[0], "another name's record is nobody's business here");
}

proptest! {
    /// Stopped after any batch, and then continued or undone, and undone after that.
    #[test]
    fn stopped_anywhere_it_is_continued_or_undone_and_no_answer_changes(
        starts in prop::collection::vec(prop::sample::select(&STARTS[..]), 1..60),
        values in 1usize..60,
        stop in 0usize..12,
        go_on: bool,
    ) {
        let records: Vec<Record> = (0..starts.len()).map(|index| record(index, values)).collect();
        let first = zone(&records, &starts);
        let mut zone = first.clone();
        let prepared = run(&mut zone, PAIRS, &records, stop);
        let left: Vec<&str> = prepared.left_alone.iter().map(|left| left.name.as_str()).collect();
        let expected: Vec<&str> = records
            .iter()
            .zip(&starts)
            .filter(|(_, start)| start.is_left_alone(PAIRS))
            .map(|(record, _)| record.name.as_str())
            .collect();
        prop_assert_eq!(left, expected);
        if go_on {
            run(&mut zone, PAIRS, &records, usize::MAX);
            assert_ended(&zone, PAIRS, &records, &first);
        }
        run(&mut zone, To::Plain, &records, stop);
        run(&mut zone, To::Plain, &records, usize::MAX);
        for (record, start) in records.iter().zip(&starts) {
            let shape = ByName::of(&zone.0).shape(record).primary().cloned();
            match start {
                // Those that were never prepared are not made up by an undo.
                Start::Missing if !go_on => {}
                Start::Weighted | Start::ForeignPair => prop_assert_eq!(zone.at(record), first.at(record)),
                Start::OtherValues => prop_assert_eq!(zone.at(record), first.at(record)),
                _ => {
                    let plain = plain(record);
                    let ttl = shape.as_ref().map(|set| set.ttl);
                    let expected = RecordSet { ttl: ttl.unwrap_or(plain.ttl), ..plain };
                    prop_assert_eq!(shape, Some(expected), "{} {:?}", &record.name, start);
                }
            }
        }
    }

    /// Somebody edits a record after the look: its batch is refused whole, and a fresh look leaves the record alone.
    #[test]
    fn an_edit_in_between_refuses_the_batch(count in 1usize..40, edited in 0usize..40) {
        let edited = edited % count;
        let records: Vec<Record> = (0..count).map(|index| record(index, 3)).collect();
        let mut zone = zone(&records, &vec![Start::Plain; count]);
        let prepared = prepare(PAIRS, &records, &zone.0);
        let at = zone.0.iter().position(|found| found.name() == records[edited].name).unwrap();
        zone.0[at] = Start::OtherValues.found(&records[edited]).remove(0);
        let before = zone.clone();
        prop_assert!(zone.apply(&prepared.batches[0]).is_err());
        prop_assert_eq!(&zone, &before);
        let again = run(&mut zone, PAIRS, &records, usize::MAX);
        prop_assert_eq!(again.left_alone.len(), 1);
        prop_assert_eq!(zone.at(&records[edited]), before.at(&records[edited]));
    }
}

#[test]
fn ten_thousand_names_take_batches_of_333_and_each_is_full() {
    let records: Vec<Record> = (0..10_000).map(|index| record(index, 1)).collect();
    let zone = zone(&records, &vec![Start::Plain; records.len()]);
    let prepared = prepare(PAIRS, &records, &zone.0);
    // A delete and two creates are three values of a thousand.
    let sizes: Vec<usize> = prepared.batches.iter().map(Vec::len).collect();
    assert_eq!((sizes.len(), sizes[0], sizes[30]), (31, 333, 10));
    assert_eq!(prepared.edits().count(), 10_000);
}

#[test]
fn characters_fill_a_batch_as_values_do() {
    let mut long = record(0, 1);
    long.kind = RecordType::Cname;
    let name = |side: char| vec![side.to_string().repeat(60) + &format!(".{}", "x".repeat(60)).repeat(3)];
    (long.primary, long.recovery) = (name('p'), name('r'));
    let records: Vec<Record> =
        (0..100).map(|index| Record { name: format!("s{index}.aex.internal"), ..long.clone() }).collect();
    let zone = zone(&records, &vec![Start::Plain; records.len()]);
    let sizes: Vec<usize> = prepare(PAIRS, &records, &zone.0).batches.iter().map(Vec::len).collect();
    // Three values of 243 characters each.
    assert_eq!(sizes, [43, 43, 14]);
}

#[test]
fn a_record_that_no_batch_can_swap_is_left_alone() {
    let records = [record(0, 334)];
    let mut zone = zone(&records, &[Start::Plain]);
    let prepared = run(&mut zone, PAIRS, &records, usize::MAX);
    assert!(prepared.left_alone[0].why.contains("1002 values"), "{prepared:?}");
    assert!(prepared.left_alone[0].next.contains("1000 values"), "{prepared:?}");
}

#[test]
fn a_name_with_a_record_of_another_type_in_the_way_is_left_alone() {
    let records = [record(0, 1)];
    let cname = RecordSet::new(&records[0].name, "CNAME", 5, ["pair.aex.internal".to_owned()]);
    let txt = RecordSet::new(&records[0].name, "TXT", 5, ["\"x\"".to_owned()]);
    let found = [Found::Set(cname)];
    let prepared = prepare(PAIRS, &records, &found);
    assert!(prepared.left_alone[0].why.contains("type CNAME already"), "{prepared:?}");
    assert_eq!(prepare(PAIRS, &records, &[Found::Set(txt)]).batches.len(), 1);
}

#[test]
fn what_is_left_alone_says_why_and_what_to_do() {
    for (start, to, why, next) in [
        (Start::Weighted, PAIRS, "it is weighted", "take it away"),
        (Start::ForeignPair, To::Plain, "somebody else's, \"blue\"", "take it away"),
        (
            Start::OtherValues,
            PAIRS,
            "it answers 192.0.2.1, and the plan's primary is 10.0.0.1",
            "mend the record",
        ),
        (Start::Missing, To::Plain, "it is not in the zone", "nothing to undo"),
    ] {
        let records = [record(0, 1)];
        let prepared = prepare(to, &records, &zone(&records, &[start]).0);
        assert!(prepared.batches.is_empty());
        let left = &prepared.left_alone[0];
        assert!(left.why.contains(why) && left.next.contains(next), "{left:?}");
    }
}

#[test]
fn a_name_that_gets_an_answer_is_told_from_those_that_keep_theirs() {
    for start in STARTS {
        for to in [PAIRS, To::Plain] {
            let records = [record(0, 1)];
            let mut zone = zone(&records, &[start]);
            let before = zone.answer(&records[0]);
            let prepared = run(&mut zone, to, &records, usize::MAX);
            let gives = prepared.edits().any(Edit::gives_an_answer);
            assert_eq!(gives, zone.answer(&records[0]) != before, "{start:?} {to:?}");
        }
    }
}

#[test]
fn a_delete_sends_what_was_listed_and_an_undo_puts_it_back_so() {
    let mut record = record(0, 1);
    record.kind = RecordType::Cname;
    (record.primary, record.recovery) = (vec!["pair.aex.internal".into()], vec!["pair2.aex.internal".into()]);
    let listed = vec!["Pair.AEX.internal.".to_owned()];
    let found = [Found::Set(RecordSet::as_listed(&record.name, "CNAME", 300, listed.clone()))];
    let prepared = prepare(PAIRS, std::slice::from_ref(&record), &found);
    let edit = prepared.edits().next().expect("an edit");
    assert!(matches!(&edit.changes[0], Change::Delete(set) if set.sent() == listed), "{edit:?}");
    let made = edit.changes[1..].iter().map(Change::set);
    assert!(made.clone().all(|set| set.sent() == set.values), "{edit:?}");

    let half = made.clone().next().expect("the primary half").clone();
    let found = [Found::Set(RecordSet { listed: Some(listed.clone()), ..half })];
    let undone = prepare(To::Plain, &[record], &found);
    let edit = undone.edits().next().expect("an edit");
    assert!(edit.changes.iter().all(|change| change.set().sent() == listed), "{edit:?}");
}
