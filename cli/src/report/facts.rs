//! What lies in a run's evidence, read and not judged: a page is made of this alone.

use std::collections::BTreeMap;

use lifeboat_rules::Outcome;
use lifeboat_rules::evidence::chain::is_record;
use lifeboat_rules::evidence::verify::{MANIFEST, Object, Verified};
use lifeboat_rules::evidence::{Account, Manifest, Phase, Record, account, sha256};
use serde_json::Value;

use crate::evidence::place::Evidence;

/// What is beside the records of a run, by key: see [`lifeboat_rules::evidence::LEFT`].
pub(super) type Left = BTreeMap<String, Vec<u8>>;

/// All that a page is made of.
pub(super) struct Facts {
    pub(super) run: String,
    /// Where the evidence was read.
    pub(super) place: String,
    pub(super) verified: Verified,
    /// The fingerprint that the user holds.
    pub(super) pinned: Option<String>,
    /// Absent of an open run, and where it cannot be read.
    pub(super) manifest: Option<Manifest>,
    pub(super) manifest_sha256: Option<String>,
    /// What the records come to, by the manifest, or by themselves where there is none.
    pub(super) account: Account,
    /// The records that can be read, in the order in which they were made.
    pub(super) records: Vec<Kept>,
    pub(super) left: Left,
}

/// A record as it is kept.
pub(super) struct Kept {
    pub(super) key: String,
    pub(super) sha256: String,
    pub(super) bytes: usize,
    pub(super) record: Record,
}

impl Facts {
    /// Reads the objects of a run, and what was left beside its records.
    pub(super) fn gather(
        run: String,
        evidence: &Evidence,
        verified: Verified,
        pinned: Option<String>,
        left: Left,
    ) -> Facts {
        let content = evidence.objects.get(MANIFEST).and_then(Object::content);
        let manifest: Option<Manifest> = content.and_then(|bytes| serde_json::from_slice(bytes).ok());
        let keep = |(key, object): (&String, &Object)| {
            let bytes = object.content()?;
            let record = serde_json::from_slice(bytes).ok()?;
            Some(Kept { key: key.clone(), sha256: sha256(bytes), bytes: bytes.len(), record })
        };
        // What came late is vouched for by nobody, and changes nothing that is told.
        let vouched = |key: &str| is_record(key) && !verified.late.iter().any(|late| late == key);
        let mut records: Vec<Kept> =
            evidence.objects.iter().filter(|(key, _)| vouched(key)).filter_map(keep).collect();
        // Of one moment: an intent before its outcome.
        records.sort_by_key(|kept| (kept.record.at, kept.record.phase == Phase::Outcome));
        let told = manifest.as_ref().and_then(|manifest| manifest.account.clone());
        let by_itself = || {
            let all: Vec<_> = records.iter().map(|kept| (kept.key.clone(), kept.record.clone())).collect();
            // Of a run that is open nothing is known of its end, and of a person's command there are no records.
            account(None, Outcome::Halted, &[], &[], &all)
        };
        Facts {
            run,
            place: evidence.place.clone(),
            verified,
            pinned,
            manifest_sha256: content.map(sha256),
            account: told.unwrap_or_else(by_itself),
            manifest,
            records,
            left,
        }
    }

    /// A person's command has no admission and no records: it finishes what a run has left.
    pub(super) fn is_by_a_person(&self) -> bool {
        self.records.is_empty() && self.manifest.as_ref().is_some_and(|manifest| manifest.admitted.is_none())
    }

    /// The records of calls that asked for one of these, with what each asked for.
    fn of<'a>(&'a self, phase: Phase, actions: &'a [&'a str]) -> impl DoubleEndedIterator<Item = &'a Kept> {
        let asked: BTreeMap<&str, &str> = self
            .records
            .iter()
            .filter(|kept| kept.record.phase == Phase::Intent)
            .filter_map(|kept| Some((kept.record.request_id.as_str(), kept.action()?)))
            .collect();
        self.records.iter().filter(move |kept| {
            kept.record.phase == phase
                && asked.get(kept.record.request_id.as_str()).is_some_and(|action| actions.contains(action))
        })
    }

    /// What came of the calls that asked for one of these, in the order in which it came.
    pub(super) fn outcomes<'a>(
        &'a self,
        actions: &'a [&'a str],
    ) -> impl DoubleEndedIterator<Item = &'a Kept> {
        self.of(Phase::Outcome, actions)
    }

    /// Whether anything was ever to be done of this kind.
    pub(super) fn was_begun(&self, action: &str) -> bool {
        self.begun(action) > 0
    }

    /// How many calls were to do something of this kind.
    pub(super) fn begun(&self, action: &str) -> usize {
        self.of(Phase::Intent, &[action]).count()
    }

    /// Whether a call that asked for `action` came to this verdict.
    pub(super) fn came_to(&self, action: &str, verdict: &str) -> bool {
        self.outcomes(&[action]).any(|kept| kept.verdict() == Some(verdict))
    }
}

impl Kept {
    /// What an intent asks for.
    pub(super) fn action(&self) -> Option<&str> {
        self.record.body["action"].as_object()?.keys().next().map(String::as_str)
    }

    /// What a step gave back.
    pub(super) fn result(&self) -> &Value {
        &self.record.body["result"]
    }

    pub(super) fn verdict(&self) -> Option<&str> {
        self.result()["verdict"].as_str()
    }

    /// The error of a step that gave none, and what it says.
    pub(super) fn error(&self) -> Option<(&str, &str)> {
        let body = &self.record.body;
        Some((body["error"].as_str()?, body["message"].as_str().unwrap_or_default()))
    }
}
