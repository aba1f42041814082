//! The answers that were seen.

use std::collections::BTreeMap;

use dns_flip::Receipt;
use jiff::Timestamp;
use serde::Serialize;

use crate::report::facts::Facts;
use crate::report::model::names::{Names, Room};

/// Groups that a table has; the receipts of further ones are told one by one.
const GROUPS_MAX: usize = 20;
/// Bytes that the names take.
const NAMES_BYTES_MAX: usize = 200_000;
/// Names that do not follow, as many as a page tells.
const SILENT_MAX: usize = 50;

/// All receipts, one for each name and type.
#[derive(Debug, Serialize)]
pub(crate) struct Receipts {
    pub(crate) count: usize,
    pub(crate) first_answered_at: Timestamp,
    pub(crate) last_answered_at: Timestamp,
    pub(crate) ttl_seconds_max: u32,
    pub(crate) slowest: String,
    pub(crate) slowest_milliseconds: u64,
    /// Names that answer alike, the most first.
    pub(crate) groups: Vec<Group>,
    /// The receipts of further groups, each with its values.
    pub(crate) others: Names,
    /// The objects that hold them whole.
    pub(crate) objects: Vec<Object>,
    /// What did not answer from the recovery side when it was last asked, the first of it.
    pub(crate) silent: Vec<String>,
    pub(crate) silent_count: usize,
}

#[derive(Debug, Serialize)]
pub(crate) struct Group {
    pub(crate) kind: String,
    pub(crate) values: Vec<String>,
    /// Each with how long its answer took.
    pub(crate) names: Names,
}

#[derive(Debug, Serialize)]
pub(crate) struct Object {
    pub(crate) key: String,
    pub(crate) sha256: Option<String>,
    pub(crate) resolver: String,
    pub(crate) receipts: usize,
    pub(crate) silent: usize,
}

/// `None` where no name was asked for.
pub(super) fn of(facts: &Facts, objects: &[(String, dns_flip::Receipts)]) -> Option<Receipts> {
    // The last object has those of the calls before it too.
    let mut all: BTreeMap<(&str, &str), &Receipt> = BTreeMap::new();
    for receipt in objects.iter().flat_map(|(_, object)| &object.receipts) {
        let place = all.entry((&receipt.name, &receipt.kind)).or_insert(receipt);
        if receipt.answered_at > place.answered_at {
            *place = receipt;
        }
    }
    let slowest = all.values().max_by_key(|receipt| receipt.millis)?;
    let answered = || all.values().map(|receipt| receipt.answered_at);
    let (groups, others) = grouped(all.values().copied());
    let listed = |key: &str| {
        let manifest = facts.manifest.as_ref()?;
        manifest.records.iter().find(|listed| listed.key == key).map(|listed| listed.sha256.clone())
    };
    let last = objects.iter().find(|(key, _)| key.contains("-receipts-")).or(objects.last());
    let silent = last.map(|(_, last)| last.silent.as_slice()).unwrap_or_default();
    Some(Receipts {
        count: all.len(),
        first_answered_at: answered().min()?,
        last_answered_at: answered().max()?,
        ttl_seconds_max: all.values().map(|receipt| receipt.ttl).max()?,
        slowest: slowest.name.clone(),
        slowest_milliseconds: slowest.millis,
        groups,
        others,
        silent: silent.iter().take(SILENT_MAX).cloned().collect(),
        silent_count: silent.len(),
        objects: objects
            .iter()
            .map(|(key, object)| Object {
                key: key.clone(),
                sha256: listed(key),
                resolver: object.resolver.clone(),
                receipts: object.receipts.len(),
                silent: object.silent.len(),
            })
            .collect(),
    })
}

fn grouped<'a>(all: impl Iterator<Item = &'a Receipt>) -> (Vec<Group>, Names) {
    let mut alike: BTreeMap<(&str, &[String]), Vec<&Receipt>> = BTreeMap::new();
    for receipt in all {
        alike.entry((&receipt.kind, &receipt.values)).or_default().push(receipt);
    }
    let mut alike: Vec<_> = alike.into_iter().collect();
    alike.sort_by_key(|(_, receipts)| std::cmp::Reverse(receipts.len()));
    let others = alike.split_off(alike.len().min(GROUPS_MAX));
    let mut room = Room(NAMES_BYTES_MAX);
    let groups = alike.into_iter().map(|((kind, values), receipts)| {
        let named = receipts.iter().map(|receipt| (receipt.name.as_str(), format!("{} ms", receipt.millis)));
        Group { kind: kind.to_owned(), values: values.to_vec(), names: Names::new(named, &mut room) }
    });
    let groups = groups.collect();
    let named = others.iter().flat_map(|((kind, values), receipts)| {
        let said = format!("{kind} {}", values.join(" "));
        receipts.iter().map(move |receipt| (receipt.name.as_str(), format!("{said}, {} ms", receipt.millis)))
    });
    (groups, Names::new(named, &mut room))
}
