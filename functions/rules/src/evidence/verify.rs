//! Whether what a run has left is whole and unchanged: the verdict on a folder of evidence, without any I/O.
//!
//! Three things are held against one another: the names of the objects, the chain from record to record, and the manifest,
//! which names everything with its digest. The signature vouches for the manifest, and a fingerprint that was never in the
//! folder for the signature. Whether the signature is one is cryptography, and the caller's part.

mod found;

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::account::unknown;
use super::chain::is_record;
use super::sha256;
use found::Found;

/// The manifest's name in a folder.
pub const MANIFEST: &str = "manifest.json";
/// The name of its signature.
pub const SIGNATURE: &str = "manifest.sig";

/// One object of a run, by its key below the run's prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    sha256: String,
    bytes: u64,
    content: Option<Vec<u8>>,
}

impl Object {
    /// Takes in an object as it is.
    pub fn new(key: &str, bytes: Vec<u8>) -> Object {
        let (sha256, length) = (sha256(&bytes), bytes.len() as u64);
        let read = is_record(key) || [MANIFEST, SIGNATURE].contains(&key);
        Object { sha256, bytes: length, content: read.then_some(bytes) }
    }

    /// What has to be read: a record, the manifest, its signature. Of anything else the digest says it all.
    pub fn content(&self) -> Option<&[u8]> {
        self.content.as_deref()
    }
}

/// What is known of the manifest's signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signed {
    /// There is none.
    Absent,
    /// It is one, by the key of this fingerprint.
    By {
        /// SHA-256 of the public key, as DER of a `SubjectPublicKeyInfo`, in hexadecimal.
        fingerprint: String,
    },
    /// It is none of these bytes.
    Wrong {
        /// Why.
        why: String,
    },
}

/// What it comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Complete and unchanged, by the key that was pinned.
    Authentic,
    /// Nothing is wrong, and nothing says who has vouched for it: no fingerprint was given, or there is no signature.
    Unauthenticated,
    /// Nothing is wrong, and the run has no manifest: it goes on, was stopped, or its end was cut off.
    Open,
    /// Something is missing, changed, or not where it belongs.
    Broken,
}

/// One thing that is wrong, and with which object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Wrong {
    /// The object's key, below the run's prefix.
    pub key: String,
    /// What is wrong with it.
    pub what: String,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.what)
    }
}

/// The verdict, and what it rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// What it comes to.
    pub verdict: Verdict,
    /// The plan's name, by the manifest or the first record.
    pub plan: Option<String>,
    /// The run's name, by the same.
    pub run: Option<String>,
    /// How the run ended, by its manifest.
    pub outcome: Option<String>,
    /// How many records there are.
    pub records: usize,
    /// How many objects there are beside them.
    pub left: usize,
    /// The fingerprint of the key that signed, where the signature is one.
    pub signed_by: Option<String>,
    /// What is wrong, by key.
    pub wrong: Vec<Wrong>,
    /// What is not known of a run that may be whole: intents without an outcome.
    pub unknown: Vec<String>,
    /// Outcomes that came when the run was closed, of intents that its manifest names. Nobody vouches for what they say, and
    /// nothing here rests on it: they are among neither the records nor what is known.
    pub late: Vec<String>,
}

/// Judges the objects of one run, by their keys below its prefix. `pinned` is the fingerprint that the user holds, from
/// anywhere but the folder.
pub fn verify(objects: &BTreeMap<String, Object>, signed: &Signed, pinned: Option<&str>) -> Verified {
    let mut found = Found::default();
    let mut records = found.read_records(objects);
    let manifest = found.read_manifest(objects);
    let of = manifest.as_ref().map(|manifest| (manifest.plan.clone(), manifest.run.clone()));
    let of = of.or_else(|| {
        let (_, first) = records.first()?;
        Some((first.step.plan_name().ok()?.to_owned(), first.step.run.clone()))
    });
    if let Some((plan, run)) = &of {
        found.look_at_names(&records, plan, run);
    }
    found.look_at_chain(objects, &records);
    let mut late = Vec::new();
    if let Some(manifest) = &manifest {
        late = found.look_at_list(objects, &records, manifest);
        records.retain(|(key, _)| !late.contains(key));
        found.look_at_close(&records, manifest);
    }
    if manifest.is_none() && !objects.contains_key(MANIFEST) && objects.contains_key(SIGNATURE) {
        found.wrong(SIGNATURE, "it signs a manifest that is not there");
    }
    let signed_by = found.look_at_signature(objects, signed, pinned);
    let mut wrong = found.0;
    wrong.sort();
    wrong.dedup();
    let verdict = if !wrong.is_empty() {
        Verdict::Broken
    } else if manifest.is_none() {
        Verdict::Open
    } else if pinned.is_some() && signed_by.is_some() {
        Verdict::Authentic
    } else {
        Verdict::Unauthenticated
    };
    let closing = [MANIFEST, SIGNATURE];
    let (plan, run) = of.unzip();
    Verified {
        verdict,
        plan,
        run,
        outcome: manifest.map(|manifest| manifest.outcome.as_str().to_owned()),
        left: objects.keys().filter(|key| !is_record(key) && !closing.contains(&key.as_str())).count(),
        records: objects.keys().filter(|key| is_record(key)).count() - late.len(),
        signed_by,
        unknown: unknown(&records),
        late,
        wrong,
    }
}
