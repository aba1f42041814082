//! The zone: [`lifeboat_rules::dns::decide`] on one side, and on the other Route 53 as it is documented.
//!
//! A change batch is applied whole or not at all, a DELETE has to match what is there, and a CREATE fails where something is
//! (<https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeResourceRecordSets.html>).

use std::sync::LazyLock;

use lifeboat_rules::dns::records::{apply, decide};
use lifeboat_rules::dns::{Change, Flip, Found, RecordSet, wanted};
use lifeboat_rules::plan::{Record, RecordType, Side};
use lifeboat_rules::{ErrorName, Plan};

use crate::memo::{Asked, Blob};

/// What to do about the zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Move {
    /// Send this batch, a list of [`Change`].
    Batch(Blob),
    /// All is moved.
    Done,
    /// A newer epoch has moved it.
    Fenced,
    /// A person is needed.
    Halted,
}

/// Values of one record on one side: two records do not fit into one batch.
const VALUES: usize = 300;

/// Two records, each with a batch of its own.
pub fn records() -> &'static [Record] {
    static RECORDS: LazyLock<Vec<Record>> = LazyLock::new(|| {
        let values = |net: u32, record: u32| {
            (0..VALUES as u32).map(move |host| format!("10.{net}.{}.{}", record * 2 + host / 250, host % 250))
        };
        let record = |name: &str, number| Record {
            name: format!("{name}.aex.internal"),
            kind: RecordType::A,
            ttl: 5,
            primary: values(0, number).collect(),
            recovery: values(1, number).collect(),
        };
        vec![record("aapl", 0), record("msft", 1)]
    });
    &RECORDS
}

/// The zone before any run: the primary's values, and no fence.
pub fn at_first() -> Blob {
    sorted(wanted(records(), Side::Primary).into_iter().map(Found::Set).collect())
}

/// What [`decide`] says of `zone`.
pub fn next_move(plan: &Plan, side: Side, epoch: u64, zone: Blob) -> Move {
    static ASKED: LazyLock<Asked<(bool, u64, Blob), Move>> = LazyLock::new(Asked::new);
    ASKED.ask((side == Side::Primary, epoch, zone), |_| {
        match decide(plan, records(), side, epoch, &of_blob::<Vec<Found>>(zone)) {
            Ok(Flip::Done) => Move::Done,
            Ok(Flip::Changed(_)) => Move::Halted,
            Ok(Flip::Batch(batch)) => Move::Batch(to_blob(&batch.changes)),
            Err(error) if error.name == ErrorName::Fenced => Move::Fenced,
            Err(_) => Move::Halted,
        }
    })
}

/// What Route 53 makes of a batch; `None` where it refuses it.
pub fn applied(zone: Blob, batch: Blob) -> Option<Blob> {
    static ASKED: LazyLock<Asked<(Blob, Blob), Option<Blob>>> = LazyLock::new(Asked::new);
    ASKED.ask((zone, batch), |_| {
        let (mut found, changes): (Vec<Found>, Vec<Change>) = (of_blob(zone), of_blob(batch));
        let mut left: Vec<&RecordSet> = found.iter().filter_map(plain).collect();
        for change in &changes {
            match change {
                Change::Delete(set) => {
                    let at = left.iter().position(|there| *there == set)?;
                    left.remove(at);
                }
                Change::Create(set) if left.iter().any(|there| there.is_at(set)) => return None,
                Change::Create(set) => left.push(set),
            }
        }
        apply(&mut found, &changes);
        Some(sorted(found))
    })
}

/// What Route 53 would make of a batch if its creates overwrote and its deletes matched anything: for mutants.
pub fn overwritten(zone: Blob, batch: Blob) -> Blob {
    static ASKED: LazyLock<Asked<(Blob, Blob), Blob>> = LazyLock::new(Asked::new);
    ASKED.ask((zone, batch), |_| {
        let (mut found, changes): (Vec<Found>, Vec<Change>) = (of_blob(zone), of_blob(batch));
        apply(&mut found, &changes);
        sorted(found)
    })
}

/// The changes of a batch that are the fence's, or all others: for mutants.
pub fn only(batch: Blob, fence: bool) -> Blob {
    static ASKED: LazyLock<Asked<(Blob, bool), Blob>> = LazyLock::new(Asked::new);
    ASKED.ask((batch, fence), |_| {
        let mut changes: Vec<Change> = of_blob(batch);
        changes.retain(|change| (change.set().kind == "TXT") == fence);
        to_blob(&changes)
    })
}

/// The zone without its fence: for mutants.
pub fn without_fence(zone: Blob) -> Blob {
    static ASKED: LazyLock<Asked<Blob, Blob>> = LazyLock::new(Asked::new);
    ASKED.ask(zone, |_| {
        let mut found: Vec<Found> = of_blob(zone);
        found.retain(|found| found.kind() != "TXT");
        to_blob(&found)
    })
}

/// Which records a batch creates, by their place in [`records`].
pub fn touches(batch: Blob) -> Vec<usize> {
    static ASKED: LazyLock<Asked<Blob, Vec<usize>>> = LazyLock::new(Asked::new);
    ASKED.ask(batch, |_| {
        let changes: Vec<Change> = of_blob(batch);
        let creates = changes.iter().filter(|change| matches!(change, Change::Create(_)));
        let place = |change: &Change| records().iter().position(|record| record.name == change.set().name);
        creates.filter_map(place).collect()
    })
}

/// Whether every record is as `side` has it.
pub fn is_on(zone: Blob, side: Side) -> bool {
    static ASKED: LazyLock<Asked<(Blob, bool), bool>> = LazyLock::new(Asked::new);
    ASKED.ask((zone, side == Side::Primary), |_| {
        let found: Vec<Found> = of_blob(zone);
        let wanted = wanted(records(), side);
        wanted.iter().all(|wanted| found.iter().filter_map(plain).any(|set| set == wanted))
    })
}

fn plain(found: &Found) -> Option<&RecordSet> {
    match found {
        Found::Set(set) => Some(set),
        Found::Foreign { .. } => None,
    }
}

fn sorted(mut found: Vec<Found>) -> Blob {
    found.sort_by(|a, b| (a.name(), a.kind()).cmp(&(b.name(), b.kind())));
    to_blob(&found)
}

fn to_blob<T: serde::Serialize>(value: &T) -> Blob {
    Blob::of(&serde_json::to_vec(value).expect("strings and numbers always serialise"))
}

fn of_blob<T: serde::de::DeserializeOwned>(blob: Blob) -> T {
    serde_json::from_slice(&blob.bytes()).expect("it was written by this module")
}
