//! What went wrong, what was tried again, and what is not known.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use lifeboat_rules::ErrorName;
use lifeboat_rules::evidence::Phase;
use serde::Serialize;

use crate::report::facts::{Facts, Kept};

/// As many as a page tells; the appendix has every record.
const TOLD_MAX: usize = 200;

#[derive(Debug, Serialize)]
pub(crate) struct Trouble {
    /// In the order in which it happened.
    pub(crate) items: Vec<Item>,
    pub(crate) items_count: usize,
    /// Calls that were made again, by state: waiting is one of the reasons, and no trouble.
    pub(crate) again: Vec<Again>,
}

/// What happened at a step, so often without anything else between.
#[derive(Debug, Serialize)]
pub(crate) struct Item {
    pub(crate) first_at: Timestamp,
    pub(crate) last_at: Timestamp,
    pub(crate) times: u64,
    pub(crate) state: String,
    /// The error's name; `None` of a call that left no outcome.
    pub(crate) error: Option<String>,
    pub(crate) what: String,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Again {
    pub(crate) state: String,
    pub(crate) calls: u64,
    /// How many of them said that there is still something to wait for.
    pub(crate) waits: u64,
    /// How many failed.
    pub(crate) failed: u64,
    /// How many left no outcome.
    pub(crate) unknown: u64,
}

pub(super) fn of(facts: &Facts) -> Trouble {
    let unknown: BTreeSet<&str> = facts.account.unknown.iter().map(String::as_str).collect();
    let mut items: Vec<Item> = Vec::new();
    for item in facts.records.iter().filter_map(|kept| item(kept, &unknown)) {
        match items.last_mut().filter(|last| last.is_like(&item)) {
            Some(last) => (last.last_at, last.times) = (item.last_at, last.times + 1),
            None => items.push(item),
        }
    }
    let mut again: BTreeMap<&str, Again> = BTreeMap::new();
    for kept in &facts.records {
        let state = kept.record.step.name.as_str();
        let of = again.entry(state).or_insert_with(|| Again {
            state: state.to_owned(),
            calls: 0,
            waits: 0,
            failed: 0,
            unknown: 0,
        });
        of.calls += u64::from(kept.record.phase == Phase::Intent);
        of.unknown += u64::from(unknown.contains(kept.key.as_str()));
        match kept.error() {
            Some((name, _)) if name == ErrorName::NotReady.as_str() => of.waits += 1,
            Some(_) => of.failed += 1,
            None => {}
        }
    }
    Trouble {
        items_count: items.len(),
        items: items.into_iter().take(TOLD_MAX).collect(),
        again: again.into_values().filter(|of| of.waits + of.failed + of.unknown > 0).collect(),
    }
}

fn item(kept: &Kept, unknown: &BTreeSet<&str>) -> Option<Item> {
    let (error, what) = match kept.error() {
        Some((name, _)) if name == ErrorName::NotReady.as_str() => return None,
        Some((name, message)) => (Some(name.to_owned()), message.to_owned()),
        None if unknown.contains(kept.key.as_str()) => (
            None,
            "it was begun, and no outcome is recorded: what came of it is not known from here".to_owned(),
        ),
        None => return None,
    };
    let (at, state) = (kept.record.at, kept.record.step.name.clone());
    Some(Item { first_at: at, last_at: at, times: 1, state, error, what })
}

impl Item {
    fn is_like(&self, other: &Item) -> bool {
        (&self.state, &self.error, &self.what) == (&other.state, &other.error, &other.what)
    }
}
