//! The lease against a store that keeps one object, loses answers, delays puts, and lets of two conditional puts one win.
//! It is a model of S3's `If-Match` and proves nothing about S3.

mod model;
mod store;

use lifeboat_ledger::lease::{Closed, LEASE_BYTES_MAX, Lease, NotAdvanced, Refused};
use lifeboat_ledger::{Hash, Holder, PenState};
use store::Store;

/// Some hash that stands for an entry.
fn some(number: u64) -> Hash {
    Hash::of(&number.to_be_bytes())
}

#[test]
fn a_holder_advances_and_acknowledges_what_is_stored() {
    let mut store = Store::new(&Lease::first("ME1", 1, "init"));
    let mut writer = store.writer(Holder::Primary, None);
    assert_eq!(writer.has_lease(), Ok(1));
    let advance = writer.advance(7, some(7)).unwrap().unwrap();
    assert_eq!((advance.key.as_str(), writer.watermark()), ("lease/ME1", 0), "nothing is stored yet");
    let etag = store.put(&advance.if_match, &advance.bytes).unwrap();
    writer.stored(advance, etag);
    assert_eq!((writer.watermark(), writer.head()), (7, some(7)));
    assert_eq!((store.lease().watermark, store.lease().head), (7, some(7)));
    let next = writer.advance(9, some(9)).unwrap().unwrap();
    assert!(store.put(&next.if_match, &next.bytes).is_some(), "it names the tag that it was given");
    assert_eq!(writer.advance(7, some(7)).unwrap(), None, "it stands there");
}

#[test]
fn an_advance_that_does_not_go_on_from_the_head_is_an_error_that_names_both() {
    let lease = Lease { watermark: 7, head: some(7), ..Lease::first("ME1", 1, "init") };
    let writer = Store::new(&lease).writer(Holder::Primary, None);
    for (through, head) in [(3, some(3)), (7, some(8)), (0, Hash::GENESIS), (0, some(1)), (9, Hash::GENESIS)]
    {
        let not = writer.advance(through, head).unwrap_err();
        let (watermark, stands, stream) = (7, some(7), "ME1".to_owned());
        assert_eq!(not, NotAdvanced::Elsewhere { stream, through, head, watermark, stands });
        for named in [head, some(7)] {
            assert!(not.to_string().contains(&named.to_string()), "{not}");
        }
    }
    let begun = Store::new(&Lease::first("ME1", 1, "init")).writer(Holder::Primary, None);
    assert!(begun.advance(0, Hash::GENESIS).is_err(), "nothing stands at 0");
}

#[test]
fn a_lost_answer_is_read_back() {
    let mut store = Store::new(&Lease::first("ME1", 1, "init"));
    let mut writer = store.writer(Holder::Primary, None);
    let advance = writer.advance(7, some(7)).unwrap().unwrap();
    store.put(&advance.if_match, &advance.bytes).unwrap();
    assert_eq!(store.put(&advance.if_match, &advance.bytes), None, "the same put again is refused");
    let (bytes, etag) = (store.bytes.clone(), store.etag());
    assert_eq!(writer.refused(advance, Some((&bytes, &etag))), Refused::Mine);
    assert_eq!((writer.watermark(), writer.has_lease()), (7, Ok(1)));
}

#[test]
fn a_holder_that_was_closed_acknowledges_nothing_more() {
    let mut store = Store::new(&Lease::first("ME1", 1, "init"));
    let mut writer = store.writer(Holder::Primary, None);
    let late = writer.advance(7, some(7)).unwrap().unwrap();
    store.replace(&store.lease().taken(2, "run-a").unwrap());
    assert_eq!(store.put(&late.if_match, &late.bytes), None);
    let (bytes, etag) = (store.bytes.clone(), store.etag());
    let Refused::Lost(why) = writer.refused(late, Some((&bytes, &etag))) else { panic!("it was refused") };
    assert_eq!(why, "stream ME1: epoch 2, run run-a, has closed it");
    assert_eq!(writer.watermark(), 0);
    assert!(writer.advance(8, some(8)).unwrap_err().to_string().contains("closed by epoch 2"));
    let mut gone = store.writer(Holder::Primary, None);
    assert!(gone.has_lease().is_err());
    store.replace(&store.lease().given(2, "run-a", Holder::Recovery).unwrap());
    assert!(store.writer(Holder::Primary, None).has_lease().is_err(), "it is the other side's");
    assert!(store.writer(Holder::Recovery, Some(3)).has_lease().is_err(), "it is another epoch's");
    assert_eq!(store.writer(Holder::Recovery, Some(2)).has_lease(), Ok(2));
    let advance = Store::new(&Lease::first("ME1", 1, "init"))
        .writer(Holder::Primary, None)
        .advance(1, some(1))
        .unwrap()
        .unwrap();
    assert_eq!(gone.refused(advance, None), Refused::Lost("the lease of stream ME1 is gone".into()));
}

#[test]
fn a_holder_that_saw_a_newer_fence_advances_nothing_until_it_has_a_lease_as_new() {
    let mut store = Store::new(&Lease::first("ME1", 4, "init"));
    let mut writer = store.writer(Holder::Primary, None);
    for own_or_older in [3, 4] {
        writer.saw_fence(own_or_older);
        assert_eq!(writer.has_lease(), Ok(4));
    }
    writer.saw_fence(5);
    writer.saw_fence(1);
    let not = writer.advance(7, some(7)).unwrap_err().to_string();
    assert_eq!(not, "stream ME1: epoch 4 is fenced by epoch 5");
    // The fence bars no epoch from its own on.
    store.replace(&store.lease().taken(5, "handback").unwrap());
    store.replace(&store.lease().given(5, "handback", Holder::Primary).unwrap());
    let mut given = store.writer(Holder::Primary, None);
    given.saw_fence(5);
    assert_eq!(given.has_lease(), Ok(5));
}

#[test]
fn of_two_processes_that_are_the_same_side_one_ends_where_their_entries_differ() {
    let mut store = Store::new(&Lease::first("ME1", 1, "init"));
    let (mut one, mut two) = (store.writer(Holder::Primary, None), store.writer(Holder::Primary, None));
    // As long as they put the same bytes they acknowledge the same entries.
    let (first, second) =
        (one.advance(7, some(7)).unwrap().unwrap(), two.advance(7, some(7)).unwrap().unwrap());
    let etag = store.put(&first.if_match, &first.bytes).unwrap();
    one.stored(first, etag);
    assert_eq!(store.put(&second.if_match, &second.bytes), None);
    let (bytes, etag) = (store.bytes.clone(), store.etag());
    assert_eq!(two.refused(second, Some((&bytes, &etag))), Refused::Mine);
    assert_eq!((two.watermark(), two.head()), (one.watermark(), one.head()));
    // The same place, and another entry there: one of the two loses, and has acknowledged nothing of it.
    let (first, second) =
        (one.advance(9, some(9)).unwrap().unwrap(), two.advance(9, some(90)).unwrap().unwrap());
    let etag = store.put(&first.if_match, &first.bytes).unwrap();
    one.stored(first, etag);
    assert_eq!(store.put(&second.if_match, &second.bytes), None);
    let (bytes, etag) = (store.bytes.clone(), store.etag());
    let Refused::Lost(why) = two.refused(second, Some((&bytes, &etag))) else { panic!("it was refused") };
    assert!(why.contains("another writer of the primary has advanced it to 9"), "{why}");
    assert!(two.has_lease().unwrap_err().to_string().contains("end one of the two"));
    // Whoever starts now goes on from the entry of the one that won.
    assert_eq!(store.writer(Holder::Primary, None).head(), some(9));
}

#[test]
fn only_a_newer_epoch_takes_it_and_only_its_taker_gives_it() {
    let held = Lease { watermark: 9, head: some(9), ..Lease::first("ME1", 1, "init") };
    assert!(held.taken(1, "run-a").is_err(), "an epoch that is not newer");
    assert!(held.given(1, "run-a", Holder::Recovery).is_err(), "never taken");
    let closed = held.taken(2, "run-a").unwrap();
    assert_eq!((closed.holder, closed.watermark, closed.head), (None, 9, some(9)));
    assert_eq!(closed.closed, [Closed { epoch: 1, watermark: 9, head: some(9) }]);
    assert_eq!(closed.taken(2, "run-a").unwrap(), closed, "done already");
    assert!(closed.taken(2, "run-b").is_err(), "another run of the same epoch");
    assert!(closed.given(2, "run-b", Holder::Recovery).is_err());
    let given = closed.given(2, "run-a", Holder::Recovery).unwrap();
    assert_eq!(given.given(2, "run-a", Holder::Recovery).unwrap(), given, "done already");
    assert!(given.given(2, "run-a", Holder::Primary).is_err(), "it has been given");
    assert!(given.taken(2, "run-a").is_err(), "it has been given: to take it back needs a newer epoch");
    let again = closed.taken(3, "run-c").unwrap();
    assert_eq!(again.closed, closed.closed, "nobody held it in between");
    assert_eq!([1, 9, 10].map(|seq| given.writer_of(seq)), [Some(1), Some(1), Some(2)]);
    assert_eq!([9, 10].map(|seq| closed.writer_of(seq)), [Some(1), None]);
    assert_eq!(closed.pen().state(), &PenState::Sealed { epoch: 2, run: "run-a".into() });
    assert_eq!(given.pen().state(), &PenState::Open { epoch: 2, holder: Holder::Recovery });
}

#[test]
fn a_lease_that_makes_no_sense_is_refused() {
    let held = Lease { watermark: 9, head: some(9), ..Lease::first("ME1", 1, "init") };
    let lease = held.taken(2, "run-a").unwrap();
    let text = String::from_utf8(lease.to_bytes()).unwrap();
    assert_eq!(Lease::parse("ME1", text.as_bytes()).unwrap(), lease);
    for (from, to, says) in [
        ("ME1", "ME2", "stream `ME2`"),
        (r#""epoch":2"#, r#""epoch":1"#, "epoch 1 follows epoch 1"),
        (r#""holder":null,"watermark":9"#, r#""holder":null,"watermark":8"#, "follows"),
        (r#""holder":null,"watermark":9"#, r#""holder":null,"watermark":10"#, "not the last holder's"),
        (r#""holder":null,"watermark":9"#, r#""holder":null,"watermark":0"#, "at the watermark 0"),
        (
            &format!(r#""head":"{}","closed""#, some(9)),
            &format!(r#""head":"{}","closed""#, some(8)),
            "two heads",
        ),
        (
            &format!(r#""head":"{}"}}"#, some(9)),
            &format!(r#""head":"{}"}}"#, Hash::GENESIS),
            "epoch 1 has the head 000",
        ),
        (&format!(r#","head":"{}""#, some(9)), "", "missing field `head`"),
        (r#""run":"run-a","#, "", "missing field `run`"),
        (r#"{"stream""#, r#"{"x":1,"stream""#, "unknown field"),
        (r#"{"stream""#, r#"{"epoch":2,"stream""#, "duplicate field"),
        (r#""holder":null,"watermark":9"#, r#""holder":null,"watermark":-9"#, "invalid value"),
    ] {
        let damaged = text.replacen(from, to, 1);
        assert_ne!(damaged, text, "{from}");
        let says_so = Lease::parse("ME1", damaged.as_bytes()).unwrap_err().to_string();
        assert!(says_so.contains(says), "{damaged}: {says_so}");
    }
    let zero = String::from_utf8(Lease::first("ME1", 0, "init").to_bytes()).unwrap();
    assert!(Lease::parse("ME1", zero.as_bytes()).is_err());
    assert!(Lease::parse("ME1", &vec![b' '; LEASE_BYTES_MAX + 1]).unwrap_err().to_string().contains("limit"));
}
