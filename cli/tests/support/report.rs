//! Evidence to make reports of: the fixtures, and a run of ten thousand names.

use std::fs;

use jiff::Timestamp;
use lifeboat_rules::dns::{Change, RecordSet};
use lifeboat_rules::evidence::verify::{MANIFEST, SIGNATURE};
use lifeboat_rules::evidence::{Listed, Manifest, sha256};
use serde_json::{Value, json};

use super::Folder;
use super::evidence::{Files, Forger, files, fixture};

/// The fixtures, each with the file of its key's fingerprint.
pub const FIXTURES: [(&str, &str); 5] = [
    ("recovers", "fingerprint"),
    ("refused", "fingerprint"),
    ("by-records", "fingerprint-by-records"),
    ("halted", "fingerprint-by-records"),
    ("stood-down", "fingerprint-by-records"),
];

/// The fingerprint of the key that has signed a fixture.
pub fn key_of(name: &str) -> String {
    let (_, file) = FIXTURES.into_iter().find(|(fixture, _)| *fixture == name).expect("a fixture");
    fs::read_to_string(fixture(file)).expect("a fingerprint").trim().to_owned()
}

/// Where a fixture is, as the command takes it.
pub fn place(name: &str) -> String {
    fixture(name).to_str().expect("a path").to_owned()
}

/// Lays files into a folder of this name, and says its name.
pub fn laid(folder: &Folder, name: &str, files: &Files) -> String {
    for (key, bytes) in files {
        let path = folder.path(name).join(key);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, bytes).expect("a file");
    }
    name.to_owned()
}

/// A recovered run that has moved ten thousand records, in eleven batches, and has a receipt for each: what dns-flip leaves, for a
/// fixture's run. Signed by a key of its own, whose fingerprint is given too.
pub fn ten_thousand() -> (Files, String) {
    let mut all = files("by-records");
    let names: Vec<String> = (0..10_000).map(|n| format!("sym{n:05}.exchange.aex.internal")).collect();
    all.retain(|key, _| !key.contains("-batch") && !key.contains("-receipts-"));
    let run = "2026-11-28T02:38:43.467Z-Flip-the-traffic-0";
    let mut sent = Vec::new();
    for (index, some) in names.chunks(1_000).enumerate() {
        let set = |name: &String, value: &str| RecordSet::new(name, "A", 2, [value.to_owned()]);
        let deletes = some.iter().map(|name| Change::Delete(set(name, "10.0.0.10")));
        let creates = some.iter().map(|name| Change::Create(set(name, "10.1.0.10")));
        let changes: Vec<Change> = deletes.chain(creates).collect();
        let batch = json!({ "zone_id": "Z1", "comment": "lifeboat aex epoch 4", "index": index + 1, "of": 10, "changes": changes });
        let bytes = serde_json::to_vec(&batch).expect("JSON");
        let digest = sha256(&bytes);
        let key = format!("left/{run}-batch-{}of10-{}.json", index + 1, &digest[..16]);
        sent.push(json!({
            "batch": { "key": format!("aex/recovers/{key}"), "sha256": digest, "bytes": bytes.len() },
            "index": index + 1, "of": 10, "sent_at": "2026-11-28T02:38:42.6Z", "answered_at": "2026-11-28T02:38:42.9Z",
            "answer": { "taken": { "change": format!("C{index:013}"), "status": "PENDING", "submitted_at": null, "request_id": "r" } },
        }));
        all.insert(key, bytes);
    }
    let receipt = |(n, name): (usize, &String)| {
        json!({
            "name": name, "kind": "A", "values": ["10.1.0.10"], "ttl": 2, "millis": n % 30,
            "asked_at": "2026-11-28T02:38:43.3Z", "answered_at": "2026-11-28T02:38:43.4Z",
        })
    };
    let receipts: Vec<Value> = names.iter().enumerate().map(receipt).collect();
    for (name, left) in
        [("batches", json!(sent)), ("receipts", json!({ "resolver": "system", "receipts": receipts }))]
    {
        let bytes = serde_json::to_vec(&left).expect("JSON");
        all.insert(format!("left/{run}-{name}-{}.json", &sha256(&bytes)[..16]), bytes);
    }
    let mut manifest: Manifest = serde_json::from_slice(&all[MANIFEST]).expect("a manifest");
    all.remove(MANIFEST);
    all.retain(|key, _| key != SIGNATURE);
    let stored_at: Timestamp = "2026-11-28T02:38:44Z".parse().expect("a moment");
    let listed = |(key, bytes): (&String, &Vec<u8>)| Listed {
        key: key.clone(),
        sha256: sha256(bytes),
        bytes: bytes.len() as u64,
        stored_at,
    };
    manifest.records = all.iter().map(listed).collect();
    all.insert(MANIFEST.to_owned(), serde_json::to_vec_pretty(&manifest).expect("JSON"));
    let forger = Forger::new();
    forger.sign(&mut all);
    let signature: Value = serde_json::from_slice(&all[SIGNATURE]).expect("a signature");
    let key = hex::decode(signature["public_key"].as_str().expect("a key")).expect("hexadecimal");
    (all, sha256(&key))
}
