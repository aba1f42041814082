//! The records before and after, and the batches that changed them.

use std::collections::{BTreeMap, HashMap};

use dns_flip::{Answered, Sent};
use jiff::Timestamp;
use lifeboat_rules::Plan;
use lifeboat_rules::dns::{Change, RecordSet};
use serde::Serialize;

use super::read::Read;
use crate::report::facts::Facts;
use crate::report::model::names::{Names, Room};

/// Groups that a table has; the records of further ones are told one by one.
const GROUPS_MAX: usize = 20;
/// Bytes that the names take.
const NAMES_BYTES_MAX: usize = 150_000;

/// What the names said before, and say after.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Changes {
    /// Where that is known from.
    pub(crate) by: Option<By>,
    /// Records that change alike, the most first.
    pub(crate) groups: Vec<Group>,
    /// The records of further groups, each with its values.
    pub(crate) others: Names,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum By {
    /// What was deleted from the zone and created in it.
    Batches,
    /// What the plan says of the two sides; nothing was read from the zone.
    Plan,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Group {
    pub(crate) kind: String,
    pub(crate) before: Vec<String>,
    pub(crate) after: Vec<String>,
    pub(crate) names: Names,
}

/// A batch, and what came of it.
#[derive(Debug, Serialize)]
pub(crate) struct Batch {
    pub(crate) index: usize,
    pub(crate) of: usize,
    pub(crate) changes: usize,
    /// The key of the batch itself, in the evidence.
    pub(crate) key: String,
    /// Absent of one that was about to be sent when its call was cut off.
    pub(crate) sent_at: Option<Timestamp>,
    /// The id of the change, where Route 53 took it.
    pub(crate) change: Option<String>,
    pub(crate) answer: String,
}

/// Type, values before, values after.
type Alike = (String, Vec<String>, Vec<String>);

pub(super) fn of(facts: &Facts, read: &Read) -> Changes {
    if !facts.was_begun("flip") {
        return Changes::default();
    }
    let sent = by_batches(read);
    let (by, all) = match sent.is_empty() {
        false => (By::Batches, sent),
        true => (By::Plan, by_plan(facts)),
    };
    if all.is_empty() {
        return Changes::default();
    }
    let mut room = Room(NAMES_BYTES_MAX);
    let mut alike: Vec<(Alike, Vec<String>)> = all.into_iter().collect();
    alike.sort_by_key(|(_, names)| std::cmp::Reverse(names.len()));
    let others = alike.split_off(alike.len().min(GROUPS_MAX));
    let groups = alike.into_iter().map(|((kind, before, after), names)| Group {
        kind,
        before,
        after,
        names: Names::new(names.iter().map(|name| (name.as_str(), String::new())), &mut room),
    });
    let groups = groups.collect();
    let said = others.iter().flat_map(|((kind, before, after), names)| {
        let said = format!("{kind} {} → {}", told(before), told(after));
        names.iter().map(move |name| (name.as_str(), said.clone()))
    });
    Changes { by: Some(by), groups, others: Names::new(said, &mut room) }
}

fn told(values: &[String]) -> String {
    if values.is_empty() { "none".to_owned() } else { values.join(" ") }
}

/// What batches have deleted and created, of those that were not refused; the fence is no record of the plan.
fn by_batches(read: &Read) -> BTreeMap<Alike, Vec<String>> {
    type Values = (Vec<String>, Vec<String>);
    let refused: Vec<&str> = read
        .sent
        .iter()
        .filter(|sent| matches!(sent.answer, Answered::Refused(_)))
        .map(|sent| file_name(&sent.batch.key))
        .collect();
    let mut records: BTreeMap<(String, String), Values> = BTreeMap::new();
    let put = read.batches.iter().filter(|(key, _)| !refused.contains(&file_name(key)));
    for change in put.flat_map(|(_, batch)| &batch.changes) {
        let (Change::Delete(set) | Change::Create(set)) = change;
        let RecordSet { name, kind, values, .. } = set.clone();
        if kind == "TXT" {
            continue;
        }
        let of = records.entry((name, kind)).or_default();
        match change {
            Change::Delete(_) => of.0 = values,
            Change::Create(_) => of.1 = values,
        }
    }
    grouped(records.into_iter().map(|((name, kind), (before, after))| (name, (kind, before, after))))
}

fn by_plan(facts: &Facts) -> BTreeMap<Alike, Vec<String>> {
    let bytes = facts.left.iter().find(|(key, _)| key.starts_with("left/plan-")).map(|(_, bytes)| bytes);
    let plan = bytes.and_then(|bytes| Plan::from_json(bytes).ok());
    let records = plan.map(|plan| plan.dns.records).unwrap_or_default();
    grouped(
        records
            .into_iter()
            .map(|record| (record.name, (record.kind.to_string(), record.primary, record.recovery))),
    )
}

fn grouped(records: impl Iterator<Item = (String, Alike)>) -> BTreeMap<Alike, Vec<String>> {
    let mut alike: BTreeMap<Alike, Vec<String>> = BTreeMap::new();
    for (name, values) in records {
        alike.entry(values).or_default().push(name);
    }
    alike
}

pub(super) fn batches(read: &Read) -> Vec<Batch> {
    let came: HashMap<&str, &Sent> =
        read.sent.iter().map(|sent| (file_name(&sent.batch.key), sent)).collect();
    let mut batches: Vec<Batch> = read
        .batches
        .iter()
        .map(|(key, batch)| {
            let sent = came.get(file_name(key));
            let (change, answer) = match sent.map(|sent| &sent.answer) {
                Some(Answered::Taken(taken)) => {
                    (Some(taken.change.clone()), format!("taken, {}", taken.status))
                }
                Some(Answered::Refused(why)) => (None, format!("refused: {why}")),
                Some(Answered::Unknown { error, message }) => {
                    (None, format!("not known: {}: {message}", error.as_str()))
                }
                None => (None, "not known: its call was cut off as it was about to be sent".to_owned()),
            };
            Batch {
                index: batch.index,
                of: batch.of,
                changes: batch.changes.len(),
                sent_at: sent.map(|sent| sent.sent_at),
                change,
                answer,
                key: key.clone(),
            }
        })
        .collect();
    batches.sort_by(|one, other| {
        (one.sent_at, one.index, &one.key).cmp(&(other.sent_at, other.index, &other.key))
    });
    batches
}

/// A batch is named from the bucket's root, and kept from the run's prefix.
fn file_name(key: &str) -> &str {
    key.rsplit('/').next().unwrap_or(key)
}
