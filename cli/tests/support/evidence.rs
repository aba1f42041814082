//! Evidence that runs on the local world have left, each in a folder of `cli/tests/fixtures/evidence`, and what can be done
//! to it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use lifeboat_rules::evidence::chain::is_record;
use lifeboat_rules::evidence::verify::{MANIFEST, SIGNATURE};
use lifeboat_rules::evidence::{Manifest, Phase, Record, SIGNATURE_ALGORITHM, Signature, sha256};
use serde_json::Value;

/// The objects of a run by their keys below its prefix.
pub type Files = BTreeMap<String, Vec<u8>>;

/// What stands before the point in a `SubjectPublicKeyInfo` of P-256.
const P256_IN_HEX: &str = "3059301306072a8648ce3d020106082a8648ce3d030107034200";

/// Where the fixture of this name is. `recovers` is a run that recovered though the outcome of a claim could not be recorded,
/// `refused` one of the same plan that was refused. Of another world, and so with a key of its own: `by-records` recovered by the
/// strategy `records`, `halted` could not open the recovery side behind its seals, `stood-down` found the primary well again.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/evidence").join(name)
}

/// The files of a fixture.
pub fn files(name: &str) -> Files {
    let root = fixture(name);
    let (mut files, mut folders) = (Files::new(), vec![root.clone()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the fixture") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let key = path.strip_prefix(&root).expect("it is below").to_str().expect("a name").to_owned();
                files.insert(key, fs::read(&path).expect("a file"));
            }
        }
    }
    files
}

/// The fingerprint of the key that has signed the fixtures, as it was asked of KMS.
pub fn fingerprint() -> String {
    fs::read_to_string(fixture("fingerprint")).expect("the fingerprint").trim().to_owned()
}

/// The records in the order in which they were made.
pub fn records(files: &Files) -> Vec<String> {
    let mut records: Vec<(Record, String)> = files
        .iter()
        .filter(|(key, _)| is_record(key))
        .filter_map(|(key, bytes)| Some((serde_json::from_slice(bytes).ok()?, key.clone())))
        .collect();
    records.sort_by(|(one, _), (other, _)| (one.at, &one.previous).cmp(&(other.at, &other.previous)));
    records.into_iter().map(|(_, key)| key).collect()
}

/// The outcome that a call would leave whose intent, with `of` in its name, has none: its key, and the record.
pub fn late_outcome(files: &Files, of: &str, body: Value) -> (String, Record) {
    let intent =
        files.keys().find(|key| key.contains(of) && key.ends_with("-intent.json")).expect("an intent");
    let outcome = intent.replace("-intent.json", "-outcome.json");
    assert!(!files.contains_key(&outcome), "{intent} has its outcome");
    let begun: Record = serde_json::from_slice(&files[intent]).expect("a record");
    let previous = vec![sha256(&files[intent])];
    (outcome, Record { phase: Phase::Outcome, s3_at: None, previous, body, ..begun })
}

/// Somebody who has a key of his own.
pub struct Forger {
    key: EcdsaKeyPair,
    random: SystemRandom,
}

impl Forger {
    pub fn new() -> Forger {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).expect("a key");
        Forger { key, random: SystemRandom::new() }
    }

    /// Signs the manifest as the one that closes a run does, but with his own key.
    pub fn sign(&self, files: &mut Files) {
        let manifest = &files[MANIFEST];
        let signed = self.key.sign(&self.random, manifest).expect("a signature");
        let signature = Signature {
            algorithm: SIGNATURE_ALGORITHM.to_owned(),
            public_key: P256_IN_HEX.to_owned() + &hex::encode(self.key.public_key().as_ref()),
            signed_sha256: sha256(manifest),
            signature: hex::encode(signed.as_ref()),
        };
        files.insert(SIGNATURE.to_owned(), signature.to_bytes());
    }

    /// Changes one record, and then everything that names it: every record behind it, the manifest, the signature. Nothing in
    /// such a folder contradicts anything else in it.
    pub fn rewrite(&self, files: &mut Files, key: &str, change: impl Fn(&mut Record)) {
        let mut renamed: BTreeMap<String, String> = BTreeMap::new();
        for name in records(files) {
            let before = sha256(&files[&name]);
            let mut record: Record = serde_json::from_slice(&files[&name]).expect("a record");
            for previous in &mut record.previous {
                if let Some(now) = renamed.get(previous) {
                    previous.clone_from(now);
                }
            }
            if name == key {
                change(&mut record);
            }
            let bytes = serde_json::to_vec(&record).expect("a record");
            renamed.insert(before, sha256(&bytes));
            files.insert(name, bytes);
        }
        let mut manifest: Manifest = serde_json::from_slice(&files[MANIFEST]).expect("a manifest");
        for listed in &mut manifest.records {
            let bytes = &files[&listed.key];
            (listed.sha256, listed.bytes) = (sha256(bytes), bytes.len() as u64);
        }
        files.insert(MANIFEST.to_owned(), serde_json::to_vec_pretty(&manifest).expect("a manifest"));
        self.sign(files);
    }
}

/// Says something else in a record.
pub fn lie(record: &mut Record) {
    record.body["lie"] = Value::from(record.at.as_second());
}
