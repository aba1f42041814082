//! The lease against a store that keeps one object, loses answers, delays puts, and lets of two conditional puts one win.
//! It is a model of S3's `If-Match` and proves nothing about S3.

use lifeboat_ledger::lease::{Closed, LEASE_BYTES_MAX, Lease, LeaseWriter, Refused};
use lifeboat_ledger::{Holder, PenState};
use proptest::prelude::*;

/// One object with an entity tag, compared and replaced.
struct Store {
    bytes: Vec<u8>,
    version: u64,
}

impl Store {
    fn new(lease: &Lease) -> Store {
        Store { bytes: lease.to_bytes(), version: 1 }
    }

    fn etag(&self) -> String {
        self.version.to_string()
    }

    fn put(&mut self, if_match: &str, bytes: &[u8]) -> Option<String> {
        if self.etag() != if_match {
            return None;
        }
        self.bytes = bytes.to_vec();
        self.version += 1;
        Some(self.etag())
    }

    fn lease(&self) -> Lease {
        Lease::parse("ME1", &self.bytes).unwrap()
    }

    fn writer(&self, side: Holder, epoch: Option<u64>) -> LeaseWriter {
        LeaseWriter::new(self.lease(), self.etag(), side, epoch)
    }

    fn replace(&mut self, lease: &Lease) {
        let etag = self.etag();
        self.put(&etag, &lease.to_bytes()).unwrap();
    }
}

#[test]
fn a_holder_advances_and_acknowledges_what_is_stored() {
    let mut store = Store::new(&Lease::first("ME1", 1, "init"));
    let mut writer = store.writer(Holder::Primary, None);
    assert_eq!(writer.has_lease(), Ok(1));
    let advance = writer.advance(7).unwrap().unwrap();
    assert_eq!((advance.key.as_str(), writer.watermark()), ("lease/ME1", 0), "nothing is stored yet");
    let etag = store.put(&advance.if_match, &advance.bytes).unwrap();
    writer.stored(advance, etag);
    assert_eq!((writer.watermark(), store.lease().watermark), (7, 7));
    let next = writer.advance(9).unwrap().unwrap();
    assert!(store.put(&next.if_match, &next.bytes).is_some(), "it names the tag that it was given");
    assert_eq!(writer.advance(7).unwrap(), None);
    assert_eq!(writer.advance(3).unwrap(), None, "it never falls");
}

#[test]
fn a_lost_answer_is_read_back() {
    let mut store = Store::new(&Lease::first("ME1", 1, "init"));
    let mut writer = store.writer(Holder::Primary, None);
    let advance = writer.advance(7).unwrap().unwrap();
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
    let late = writer.advance(7).unwrap().unwrap();
    store.replace(&store.lease().taken(2, "run-a").unwrap());
    assert_eq!(store.put(&late.if_match, &late.bytes), None);
    let (bytes, etag) = (store.bytes.clone(), store.etag());
    let Refused::Lost(why) = writer.refused(late, Some((&bytes, &etag))) else { panic!("it was refused") };
    assert_eq!(why, "stream ME1: epoch 2, run run-a, has closed it");
    assert_eq!(writer.watermark(), 0);
    assert!(writer.advance(8).unwrap_err().to_string().contains("closed by epoch 2"));
    let mut gone = store.writer(Holder::Primary, None);
    assert!(gone.has_lease().is_err());
    store.replace(&store.lease().given(2, "run-a", Holder::Recovery).unwrap());
    assert!(store.writer(Holder::Primary, None).has_lease().is_err(), "it is the other side's");
    assert!(store.writer(Holder::Recovery, Some(3)).has_lease().is_err(), "it is another epoch's");
    assert_eq!(store.writer(Holder::Recovery, Some(2)).has_lease(), Ok(2));
    let advance = Store::new(&Lease::first("ME1", 1, "init"))
        .writer(Holder::Primary, None)
        .advance(1)
        .unwrap()
        .unwrap();
    assert_eq!(gone.refused(advance, None), Refused::Lost("the lease of stream ME1 is gone".into()));
}

#[test]
fn of_two_processes_that_are_the_same_side_one_ends() {
    let mut store = Store::new(&Lease::first("ME1", 1, "init"));
    let (mut one, mut two) = (store.writer(Holder::Primary, None), store.writer(Holder::Primary, None));
    let (first, second) = (one.advance(7).unwrap().unwrap(), two.advance(8).unwrap().unwrap());
    let etag = store.put(&first.if_match, &first.bytes).unwrap();
    one.stored(first, etag);
    assert_eq!(store.put(&second.if_match, &second.bytes), None);
    let (bytes, etag) = (store.bytes.clone(), store.etag());
    let Refused::Lost(why) = two.refused(second, Some((&bytes, &etag))) else { panic!("it was refused") };
    assert!(why.contains("another writer of the primary has advanced it to 7"), "{why}");
    assert!(two.has_lease().unwrap_err().to_string().contains("end one of the two"));
}

#[test]
fn only_a_newer_epoch_takes_it_and_only_its_taker_gives_it() {
    let held = Lease { watermark: 9, ..Lease::first("ME1", 1, "init") };
    assert!(held.taken(1, "run-a").is_err(), "an epoch that is not newer");
    assert!(held.given(1, "run-a", Holder::Recovery).is_err(), "never taken");
    let closed = held.taken(2, "run-a").unwrap();
    assert_eq!((closed.holder, closed.watermark), (None, 9));
    assert_eq!(closed.closed, [Closed { epoch: 1, watermark: 9 }]);
    assert_eq!(closed.taken(2, "run-a").unwrap(), closed, "done already");
    assert!(closed.taken(2, "run-b").is_err(), "another run of the same epoch");
    assert!(closed.given(2, "run-b", Holder::Recovery).is_err());
    let given = closed.given(2, "run-a", Holder::Recovery).unwrap();
    assert_eq!(given.given(2, "run-a", Holder::Recovery).unwrap(), given, "done already");
    assert!(given.given(2, "run-a", Holder::Primary).is_err(), "it has been given");
    assert!(given.taken(2, "run-a").is_err(), "it has been given: to take it back needs a newer epoch");
    let again = closed.taken(3, "run-c").unwrap();
    assert_eq!(again.closed, closed.closed, "nobody held it in between");
    assert!(given.is_void(10, 1) && !given.is_void(9, 1) && !given.is_void(10, 2));
    assert_eq!([1, 9, 10].map(|seq| given.writer_of(seq)), [Some(1), Some(1), Some(2)]);
    assert_eq!([9, 10].map(|seq| closed.writer_of(seq)), [Some(1), None]);
    assert_eq!(closed.pen().state(), &PenState::Sealed { epoch: 2, run: "run-a".into() });
    assert_eq!(given.pen().state(), &PenState::Open { epoch: 2, holder: Holder::Recovery });
}

#[test]
fn a_lease_that_makes_no_sense_is_refused() {
    let lease = Lease { watermark: 9, ..Lease::first("ME1", 1, "init") }.taken(2, "run-a").unwrap();
    let text = String::from_utf8(lease.to_bytes()).unwrap();
    assert_eq!(Lease::parse("ME1", text.as_bytes()).unwrap(), lease);
    for (from, to, says) in [
        ("ME1", "ME2", "stream `ME2`"),
        (r#""epoch":2"#, r#""epoch":1"#, "epoch 1 follows epoch 1"),
        (r#""watermark":9,"closed""#, r#""watermark":8,"closed""#, "follows"),
        (r#""watermark":9,"closed""#, r#""watermark":10,"closed""#, "not the last holder's"),
        (r#""run":"run-a","#, "", "missing field `run`"),
        (r#"{"stream""#, r#"{"x":1,"stream""#, "unknown field"),
        (r#"{"stream""#, r#"{"epoch":2,"stream""#, "duplicate field"),
        (r#""watermark":9,"closed""#, r#""watermark":-9,"closed""#, "invalid value"),
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

#[derive(Clone, Debug)]
enum Step {
    /// The writer of this place makes a put that advances by so many entries, if it has none in flight.
    Advance(usize, u64),
    /// Its put reaches the store; whether the answer comes back.
    Arrive(usize, bool),
    /// A run takes the lease over from what it read at some earlier time.
    Take(bool),
    /// The newest taker gives it to the recovery side, or back to the primary, and a writer of that side starts.
    Give(bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..3usize, 1..5u64).prop_map(|(who, by)| Step::Advance(who, by)),
        4 => (0..3usize, any::<bool>()).prop_map(|(who, answered)| Step::Arrive(who, answered)),
        1 => any::<bool>().prop_map(Step::Take),
        1 => any::<bool>().prop_map(Step::Give),
    ]
}

proptest! {
    /// However puts are delayed, repeated and their answers lost: what a writer acknowledged is at or below the watermark
    /// at which its epoch was closed, and the watermark never falls.
    #[test]
    fn the_watermark_is_an_upper_bound_of_what_was_acknowledged(steps in prop::collection::vec(step(), 1..80)) {
        let mut store = Store::new(&Lease::first("ME1", 1, "init"));
        let start = |store: &Store, side, epoch| (store.writer(side, epoch), None);
        let mut writers = vec![start(&store, Holder::Primary, None)];
        let mut acknowledged: Vec<(u64, u64)> = Vec::new();
        let (mut epoch, mut stale, mut highest) = (1, (store.lease(), store.etag()), 0);
        for step in steps {
            match step {
                Step::Advance(who, by) => {
                    let count = writers.len();
                    let (writer, in_flight) = &mut writers[who % count];
                    if in_flight.is_none() {
                        *in_flight = writer.advance(writer.watermark() + by).ok().flatten();
                    }
                }
                Step::Arrive(who, answered) => {
                    let count = writers.len();
                    let (writer, in_flight) = &mut writers[who % count];
                    let Some(advance) = in_flight.take() else { continue };
                    let under = writer.has_lease().ok();
                    match (store.put(&advance.if_match, &advance.bytes), answered) {
                        (Some(etag), true) => {
                            writer.stored(advance, etag);
                            acknowledged.push((under.unwrap(), writer.watermark()));
                        }
                        (Some(_), false) => *in_flight = Some(advance),
                        (None, _) => {
                            let (bytes, etag) = (store.bytes.clone(), store.etag());
                            if writer.refused(advance, Some((&bytes, &etag))) == Refused::Mine {
                                acknowledged.push((under.unwrap(), writer.watermark()));
                            }
                        }
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
                        writers.push(start(&store, side, to_recovery.then_some(epoch)));
                    }
                }
            }
            let now = store.lease();
            prop_assert!(now.watermark >= highest);
            highest = now.watermark;
            for (epoch, through) in &acknowledged {
                prop_assert!(*through <= now.watermark);
                prop_assert!(!now.is_void(*through, *epoch), "{through} of epoch {epoch} in {now:?}");
            }
        }
    }
}
