//! What a run of the local world has left, changed at random: nothing of it passes for the run's own.
//!
//! `LIFEBOAT_CASES=100000 cargo test -p lifeboat --test evidence_mutations` tries so many; 2,000 without the variable.

mod support;

use std::collections::BTreeMap;

use fastrand::Rng;
use lifeboat::evidence::judge;
use lifeboat_rules::evidence::sha256;
use lifeboat_rules::evidence::verify::{MANIFEST, Object, SIGNATURE, Verdict, Verified};
use serde_json::json;
use support::evidence::{Files, Forger, files, fingerprint, late_outcome, lie, records};

const CASES: u64 = 2_000;

/// What is done to a folder, and which keys the verdict has to name, where there is no doubt.
struct Done {
    kind: &'static str,
    named: Vec<String>,
}

fn judged(files: &Files, pinned: Option<&str>) -> Verified {
    let objects: BTreeMap<String, Object> =
        files.iter().map(|(key, bytes)| (key.clone(), Object::new(key, bytes.clone()))).collect();
    judge(&objects, pinned)
}

fn any(rng: &mut Rng, files: &Files) -> String {
    let at = rng.usize(..files.len());
    files.keys().nth(at).expect("there is one").clone()
}

/// What names no key of its own: the manifest and its signature vouch for one another.
fn named(key: &str) -> Vec<String> {
    if [MANIFEST, SIGNATURE].contains(&key) { vec![] } else { vec![key.to_owned()] }
}

/// Flips a bit, takes bytes out or puts some in.
fn edit(rng: &mut Rng, files: &mut Files) -> Done {
    let key = any(rng, files);
    let bytes = files.get_mut(&key).expect("it is there");
    match rng.u8(..3) {
        0 => {
            let at = rng.usize(..bytes.len());
            bytes[at] ^= 1 << rng.u8(..8);
        }
        1 => {
            let at = rng.usize(..bytes.len());
            let end = (at + rng.usize(1..=16)).min(bytes.len());
            bytes.drain(at..end);
        }
        _ => {
            let at = rng.usize(..=bytes.len());
            let what = *rng.choice(b" 0a\"}\n").expect("a byte");
            bytes.insert(at, what);
        }
    }
    Done { kind: "edit", named: named(&key) }
}

fn remove(rng: &mut Rng, files: &mut Files) -> Done {
    let key = any(rng, files);
    files.remove(&key);
    Done { kind: "remove", named: named(&key) }
}

/// Puts a copy under another name, a record of somebody else's, or anything.
fn add(rng: &mut Rng, files: &mut Files, other: &Files) -> Done {
    let (key, bytes) = match rng.u8(..3) {
        0 => {
            let from = any(rng, files);
            (format!("2026-11-27T00:00:0{}Z-{from}", rng.u8(..10)), files[&from].clone())
        }
        1 => {
            let from = any(rng, other);
            (from.clone(), other[&from].clone())
        }
        _ => (format!("left/{:016x}.json", rng.u64(..)), rng.u64(..).to_string().into_bytes()),
    };
    if files.contains_key(&key) {
        return remove(rng, files);
    }
    files.insert(key.clone(), bytes);
    Done { kind: "add", named: vec![key] }
}

/// Two objects change places.
fn reorder(rng: &mut Rng, files: &mut Files) -> Done {
    let (one, other) = (any(rng, files), any(rng, files));
    let bytes = files[&one].clone();
    let moved = files.insert(other.clone(), bytes).expect("it was there");
    files.insert(one.clone(), moved);
    Done { kind: "reorder", named: [named(&one), named(&other)].concat() }
}

/// The newest records go, and with them, or not, what closes the run.
fn cut_the_tail(rng: &mut Rng, files: &mut Files) -> Done {
    let records = records(files);
    let keep = rng.usize(..records.len());
    for key in &records[keep..] {
        files.remove(key);
    }
    let mut named = records[keep..].to_vec();
    if rng.bool() {
        files.remove(SIGNATURE);
        if rng.bool() {
            // Then nothing says that there was more: the run is open.
            files.remove(MANIFEST);
            named.clear();
        }
    }
    Done { kind: "cut the tail", named }
}

/// An object of another run in the place of this one's, the whole close of it, or all records.
fn swap_runs(rng: &mut Rng, files: &mut Files, other: &Files) -> Done {
    let mut changed = vec![];
    match rng.u8(..3) {
        0 => {
            let (key, from) = (any(rng, files), any(rng, other));
            files.insert(key.clone(), other[&from].clone());
            changed = named(&key);
        }
        1 => {
            for key in [MANIFEST, SIGNATURE] {
                files.insert(key.to_owned(), other[key].clone());
            }
        }
        _ => {
            for key in records(files) {
                files.remove(&key);
            }
            files.extend(records(other).into_iter().map(|key| (key.clone(), other[&key].clone())));
        }
    }
    Done { kind: "swap runs", named: changed }
}

/// Another key signs: what was there, or a whole that was made to fit a lie.
fn another_key(rng: &mut Rng, files: &mut Files, forger: &Forger) -> Done {
    if rng.bool() {
        forger.sign(files);
    } else {
        let records = records(files);
        let key = rng.choice(records).expect("there is a record");
        forger.rewrite(files, &key, lie);
        let consistent = judged(files, None);
        assert_eq!(
            consistent.verdict,
            Verdict::Unauthenticated,
            "nothing else is wrong: {:?}",
            consistent.wrong
        );
    }
    if rng.u8(..4) == 0 {
        // Without the signature it could be anybody's.
        files.remove(SIGNATURE);
        return Done { kind: "another key, and no signature", named: vec![] };
    }
    Done { kind: "another key", named: vec![SIGNATURE.to_owned()] }
}

/// An outcome is written, truly or by somebody else, when the run is closed: of a call that was cut off, or of the close itself.
fn come_late(rng: &mut Rng, files: &mut Files) -> Done {
    let of = *rng.choice(&["Claim-the-epoch-0-", "Close-the-run-0-"]).expect("an intent");
    let (key, mut outcome) = late_outcome(files, of, json!({ "result": { "verdict": "Claimed" } }));
    if rng.bool() {
        outcome.previous = vec![sha256(outcome.request_id.as_bytes())];
    }
    files.insert(key.clone(), serde_json::to_vec(&outcome).expect("JSON"));
    Done { kind: "come late", named: vec![key] }
}

#[test]
fn nothing_that_was_changed_passes_for_the_runs_own() {
    let cases = std::env::var("LIFEBOAT_CASES").map_or(CASES, |cases| cases.parse().expect("a number"));
    let (run, other, pinned) = (files("recovers"), files("refused"), fingerprint());
    let whole = judged(&run, Some(&pinned));
    assert_eq!((whole.verdict, &whole.late), (Verdict::Authentic, &vec![]));
    assert_eq!(judged(&other, Some(&pinned)).verdict, Verdict::Authentic);
    let forger = Forger::new();
    let (mut kinds, mut verdicts) = (BTreeMap::<&str, u64>::new(), BTreeMap::<String, u64>::new());
    for seed in 0..cases {
        let mut rng = Rng::with_seed(seed);
        let mut files = run.clone();
        let done = match seed % 8 {
            0 => edit(&mut rng, &mut files),
            1 => remove(&mut rng, &mut files),
            2 => add(&mut rng, &mut files, &other),
            3 => reorder(&mut rng, &mut files),
            4 => cut_the_tail(&mut rng, &mut files),
            5 => swap_runs(&mut rng, &mut files, &other),
            6 => come_late(&mut rng, &mut files),
            _ => another_key(&mut rng, &mut files, &forger),
        };
        if files == run {
            // Two objects that changed places were one, or alike.
            continue;
        }
        let found = judged(&files, Some(&pinned));
        if found.verdict == Verdict::Authentic {
            // Then all that is new is told to be late, and nothing rests on it.
            assert!(!found.late.is_empty(), "case {seed}, {}", done.kind);
            let late: Vec<_> = found.late.iter().map(|key| files.remove(key)).collect();
            assert!(files == run && !late.contains(&None), "case {seed}, {}", done.kind);
            assert_eq!(found.unknown, whole.unknown, "case {seed}, {}", done.kind);
            *verdicts.entry("Authentic, and something late".to_owned()).or_default() += 1;
            continue;
        }
        // Which objects there were is what the manifest says: of one that is not the run's own nothing can be asked.
        let can_be_named = files.get(MANIFEST) == run.get(MANIFEST) || done.kind == "another key";
        for key in done.named.iter().filter(|_| can_be_named) {
            let told = found.wrong.iter().any(|wrong| wrong.key == *key || wrong.what.contains(key.as_str()));
            assert!(told, "case {seed}, {}: {key} is not named in {:?}", done.kind, found.wrong);
        }
        *kinds.entry(done.kind).or_default() += 1;
        *verdicts.entry(format!("{:?}", found.verdict)).or_default() += 1;
    }
    println!("{kinds:?}\n{verdicts:?}");
    assert!(kinds.len() >= 8, "every kind was tried: {kinds:?}");
}
