//! What is told of each run, and what its signature is worth.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use lifeboat_rules::evidence::Manifest;
use lifeboat_rules::evidence::verify::{MANIFEST, Object, SIGNATURE, Signed};
use lifeboat_rules::{Outcome, TriggerKind};
use serde::Serialize;

use super::read::{Found, One};
use crate::evidence::signature;

#[derive(Debug, Serialize)]
pub(crate) struct Runs {
    /// The plan, where all of them are of one.
    pub(crate) plan: Option<String>,
    pub(crate) place: String,
    /// In the order of their begin.
    #[serde(rename = "runs")]
    pub(crate) list: Vec<Seen>,
    pub(crate) notes: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Seen {
    pub(crate) run: String,
    pub(crate) plan: Option<String>,
    /// The alarm, the person's start, or the first phase; of a person's command when it was done.
    pub(crate) began_at: Option<Timestamp>,
    pub(crate) started_by: Option<String>,
    /// `None` of an open run, and where the manifest cannot be read.
    pub(crate) outcome: Option<Outcome>,
    pub(crate) reason: String,
    /// Of a run that recovered.
    pub(crate) rto_milliseconds: Option<i64>,
    pub(crate) rto_met: Option<bool>,
    pub(crate) objective_milliseconds: Option<i64>,
    /// Of a run that recovered and showed it.
    pub(crate) lost_entries: Option<u64>,
    pub(crate) signature: Signature,
}

/// What the signature of a manifest is worth. Its records are not looked at here.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub(crate) enum Signature {
    /// It is by the key that was given.
    ByTheKey,
    /// It is one, and no key was given to hold it against.
    NotPinned { by: String },
    /// There is none.
    Absent,
    /// It is none of this manifest, or by another key than the one that was given.
    Wrong { why: String },
}

impl Runs {
    pub(super) fn of(found: Found, pinned: Option<&str>) -> Runs {
        let mut list: Vec<Seen> = found.runs.iter().map(|one| seen(one, pinned)).collect();
        list.sort_by(|one, other| (one.began_at, &one.run).cmp(&(other.began_at, &other.run)));
        let plans: BTreeSet<&String> = list.iter().filter_map(|run| run.plan.as_ref()).collect();
        let one = plans.first().filter(|_| plans.len() == 1).map(|plan| (*plan).clone());
        Runs { plan: found.plan.or(one), place: found.place, list, notes: found.notes }
    }
}

fn seen(one: &One, pinned: Option<&str>) -> Seen {
    let open = Seen {
        run: one.run.clone(),
        plan: None,
        began_at: None,
        started_by: None,
        outcome: None,
        reason: "open: it has no manifest".to_owned(),
        rto_milliseconds: None,
        rto_met: None,
        objective_milliseconds: None,
        lost_entries: None,
        signature: judge(one, pinned),
    };
    let Some(bytes) = &one.manifest else { return open };
    let manifest: Manifest = match serde_json::from_slice(bytes) {
        Ok(manifest) => manifest,
        Err(err) => return Seen { reason: format!("its {MANIFEST} cannot be read: {err}"), ..open },
    };
    let (account, admitted) = (manifest.account.as_ref(), manifest.admitted.as_ref());
    let rto = account.and_then(|account| account.rto.as_ref());
    let first = account.and_then(|account| account.phases.first()).map(|phase| phase.began_at);
    let trigger = admitted.map(|run| &run.trigger);
    let started_by = trigger.and_then(|trigger| match trigger.kind {
        TriggerKind::Alarm => trigger.alarm.as_ref().map(|alarm| format!("alarm {alarm}")),
        TriggerKind::Operator => trigger.by.clone(),
    });
    Seen {
        began_at: Some(trigger.and_then(|trigger| trigger.at).or(first).unwrap_or(manifest.closed_at)),
        started_by: started_by.or_else(|| manifest.facts["by"].as_str().map(str::to_owned)),
        outcome: Some(manifest.outcome),
        rto_milliseconds: rto.map(|rto| rto.milliseconds),
        rto_met: rto.map(|rto| rto.met),
        objective_milliseconds: admitted
            .map(|run| run.deadline.as_millisecond() - run.admitted_at.as_millisecond()),
        lost_entries: account.and_then(|account| account.rpo.as_ref()).map(|rpo| rpo.lost_entries),
        run: manifest.run,
        plan: Some(manifest.plan),
        reason: manifest.reason,
        ..open
    }
}

fn judge(one: &One, pinned: Option<&str>) -> Signature {
    let named = [(MANIFEST, &one.manifest), (SIGNATURE, &one.signature)];
    let objects: BTreeMap<String, Object> = named
        .into_iter()
        .filter_map(|(key, bytes)| Some((key.to_owned(), Object::new(key, bytes.clone()?))))
        .collect();
    match (signature::check(&objects), pinned) {
        (Signed::Absent, _) => Signature::Absent,
        (Signed::Wrong { why }, _) => Signature::Wrong { why },
        (Signed::By { fingerprint }, Some(pinned)) if pinned.eq_ignore_ascii_case(&fingerprint) => {
            Signature::ByTheKey
        }
        (Signed::By { fingerprint }, Some(_)) => {
            Signature::Wrong { why: format!("another key has signed: its fingerprint is {fingerprint}") }
        }
        (Signed::By { fingerprint: by }, None) => Signature::NotPinned { by },
    }
}
