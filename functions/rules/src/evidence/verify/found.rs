//! What is wrong with the objects of a run: one look for each of the things that are held against one another.

use std::collections::{BTreeMap, BTreeSet};

use super::super::account::action;
use super::super::chain::{FIRST, is_record};
use super::super::{Manifest, Phase, Record, record_key};
use super::{MANIFEST, Object, SIGNATURE, Signed, Wrong};

#[derive(Default)]
pub(super) struct Found(pub(super) Vec<Wrong>);

impl Found {
    pub(super) fn wrong(&mut self, key: &str, what: impl Into<String>) {
        self.0.push(Wrong { key: key.to_owned(), what: what.into() });
    }

    pub(super) fn read_records(&mut self, objects: &BTreeMap<String, Object>) -> Vec<(String, Record)> {
        let mut records = Vec::new();
        for (key, object) in objects.iter().filter(|(key, _)| is_record(key)) {
            match serde_json::from_slice(object.content().unwrap_or_default()) {
                Ok(record) => records.push((key.clone(), record)),
                Err(err) => self.wrong(key, format!("it is no record: {err}")),
            }
        }
        records
    }

    pub(super) fn read_manifest(&mut self, objects: &BTreeMap<String, Object>) -> Option<Manifest> {
        let bytes = objects.get(MANIFEST)?.content().unwrap_or_default();
        serde_json::from_slice(bytes)
            .map_err(|err| self.wrong(MANIFEST, format!("it is no manifest: {err}")))
            .ok()
    }

    /// A record's own words say under which key it was stored, and of which run it is.
    pub(super) fn look_at_names(&mut self, records: &[(String, Record)], plan: &str, run: &str) {
        for (key, record) in records {
            let step = &record.step;
            if step.run != run || step.plan_name().ok() != Some(plan) {
                self.wrong(
                    key,
                    format!("it is of the run {} by {}, and not of {run}", step.run, step.plan_key),
                );
                continue;
            }
            let stored = record_key(step, record.phase, &record.request_id).unwrap_or_default();
            let belongs = stored.rsplit('/').next().unwrap_or_default();
            if belongs != key {
                self.wrong(key, format!("by what it says it belongs at {belongs}"));
            }
        }
    }

    /// Every record but the first names what came before it, and what it names is there.
    pub(super) fn look_at_chain(&mut self, objects: &BTreeMap<String, Object>, records: &[(String, Record)]) {
        let by_digest: BTreeMap<&str, &(String, Record)> = records
            .iter()
            .filter_map(|record| Some((objects.get(&record.0)?.sha256.as_str(), record)))
            .collect();
        let mut followed: BTreeSet<&str> = BTreeSet::new();
        for (key, record) in records {
            let before: Vec<_> =
                record.previous.iter().map(|sha256| (sha256, by_digest.get(sha256.as_str()))).collect();
            for (sha256, _) in before.iter().filter(|(_, before)| before.is_none()) {
                self.wrong(
                    key,
                    format!("it follows a record with the SHA-256 {sha256}, which is not there as it was"),
                );
            }
            match record.phase {
                // A run begins with its admission, which may have been tried twice at once; one that could not even record that
                // begins with its close.
                Phase::Intent
                    if before.is_empty()
                        && action(record) != Some(FIRST)
                        && !(action(record) == Some("close") && is_all_close(records)) =>
                {
                    self.wrong(
                        key,
                        "it follows nothing, and is not the run's admission: what came before is missing",
                    );
                }
                Phase::Intent => {}
                Phase::Outcome => {
                    let intent = match before[..] {
                        [(_, Some((_, intent)))] if intent.phase == Phase::Intent => Some(intent),
                        [(_, None)] => continue,
                        _ => None,
                    };
                    if !intent.is_some_and(|intent| {
                        intent.step == record.step && intent.request_id == record.request_id
                    }) {
                        self.wrong(key, "it does not follow the intent of its own call");
                    }
                    if !followed.insert(&record.request_id) {
                        self.wrong(key, "its call has another outcome as well");
                    }
                }
            }
        }
    }

    /// The manifest names everything that is there, and everything that it names is there as it was. Returns what came late: a
    /// call that was still at work when the run was closed leaves its outcome behind the manifest.
    pub(super) fn look_at_list(
        &mut self,
        objects: &BTreeMap<String, Object>,
        records: &[(String, Record)],
        manifest: &Manifest,
    ) -> Vec<String> {
        let mut listed: BTreeSet<&str> = BTreeSet::new();
        for entry in &manifest.records {
            if !listed.insert(&entry.key) {
                self.wrong(MANIFEST, format!("it names {} twice", entry.key));
            }
            match objects.get(&entry.key) {
                None => self.wrong(&entry.key, "the manifest names it, and it is missing"),
                Some(object) if object.sha256 != entry.sha256 || object.bytes != entry.bytes => self.wrong(
                    &entry.key,
                    format!(
                        "it was changed: {} bytes with the SHA-256 {}, where the manifest names {} with {}",
                        object.bytes, object.sha256, entry.bytes, entry.sha256
                    ),
                ),
                Some(_) => {}
            }
        }
        let (closing, mut late) = ([MANIFEST, SIGNATURE], Vec::new());
        for key in
            objects.keys().filter(|key| !closing.contains(&key.as_str()) && !listed.contains(key.as_str()))
        {
            if self.is_late(key, records, &listed) {
                late.push(key.clone());
            } else {
                self.wrong(
                    key,
                    "the manifest does not name it: it was added, or written after the run was closed",
                );
            }
        }
        late
    }

    /// Whether it is the outcome of an intent that the manifest names. That it is of this run, stored under its own name, and follows
    /// the intent of its own call, was looked at before.
    fn is_late(&self, key: &str, records: &[(String, Record)], listed: &BTreeSet<&str>) -> bool {
        let Some((_, record)) = records.iter().find(|(of, _)| of == key) else { return false };
        let intent = record_key(&record.step, Phase::Intent, &record.request_id).unwrap_or_default();
        record.phase == Phase::Outcome
            && intent.rsplit('/').next().is_some_and(|intent| listed.contains(intent))
            && !self.0.iter().any(|wrong| wrong.key == key)
    }

    /// A run of the state machine is closed by a step, whose intent says what the manifest says; a person's command has no
    /// records.
    pub(super) fn look_at_close(&mut self, records: &[(String, Record)], manifest: &Manifest) {
        let asked = records
            .iter()
            .filter(|(_, record)| record.phase == Phase::Intent && action(record) == Some("close"))
            .map(|(_, record)| &record.body["action"]["close"]);
        let asked: Vec<_> = asked.collect();
        let fits = |asked: &&serde_json::Value| {
            asked["outcome"] == manifest.outcome.as_str() && asked["facts"] == manifest.facts
        };
        if !records.is_empty() && !asked.iter().any(fits) {
            self.wrong(MANIFEST, "no record asks for a close with this outcome and these facts");
        }
    }

    /// The fingerprint of whoever signed.
    pub(super) fn look_at_signature(
        &mut self,
        objects: &BTreeMap<String, Object>,
        signed: &Signed,
        pinned: Option<&str>,
    ) -> Option<String> {
        if !objects.contains_key(MANIFEST) {
            return None;
        }
        match signed {
            Signed::Absent => None,
            Signed::Wrong { why } => {
                self.wrong(SIGNATURE, why.clone());
                None
            }
            Signed::By { fingerprint } => {
                match pinned {
                    Some(pinned) if !pinned.eq_ignore_ascii_case(fingerprint) => {
                        self.wrong(
                        SIGNATURE,
                        format!("another key has signed: its fingerprint is {fingerprint}, and {pinned} was given"),
                    );
                        None
                    }
                    _ => Some(fingerprint.clone()),
                }
            }
        }
    }
}

/// Whether nothing was recorded but that the run was closed.
fn is_all_close(records: &[(String, Record)]) -> bool {
    records.iter().all(|(_, record)| action(record) == Some("close"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::{manifest_key, prefix, signature_key};

    #[test]
    fn the_names_in_a_folder_are_those_in_the_bucket() {
        let below = |key: String| key.strip_prefix(&prefix("aex", "run-1")).map(str::to_owned);
        assert_eq!(below(manifest_key("aex", "run-1")).as_deref(), Some(MANIFEST));
        assert_eq!(below(signature_key("aex", "run-1")).as_deref(), Some(SIGNATURE));
    }

    /// An intent for `action` that follows nothing.
    fn first(action: &str) -> (String, Record) {
        let step = serde_json::json!({
            "run": "run-1", "plan_key": "plan/aex.json", "name": action, "entered": "2026-11-27T00:00:00Z", "attempt": 0
        });
        let record = serde_json::json!({
            "phase": "intent", "step": step, "at": "2026-11-27T00:00:00Z", "request_id": action, "previous": [],
            "body": { "action": { action: {} } },
        });
        (action.to_owned(), serde_json::from_value(record).expect("a record"))
    }

    #[test]
    fn a_close_follows_nothing_only_where_nothing_else_was_recorded() {
        let found = |records: &[(String, Record)]| {
            let object = |(key, record): &(String, Record)| {
                let bytes = serde_json::to_vec(record).expect("JSON");
                (key.clone(), Object::new("x-intent.json", bytes))
            };
            let mut findings = Found::default();
            findings.look_at_chain(&records.iter().map(object).collect(), records);
            findings.0.len()
        };
        assert_eq!(found(&[first("close")]), 0, "a start that could not be read is closed, and no more");
        assert_eq!(found(&[first("admit")]), 0);
        assert_eq!(found(&[first("admit"), first("close")]), 1, "what came before the close is missing");
        assert_eq!(found(&[first("seal")]), 1);
    }
}
