//! Checkpoints. One that is read is written back byte for byte, has the key that it was read under, and its numbers add up.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lifeboat_ledger::checkpoint::{self, Checkpoint};

fuzz_target!(|bytes: &[u8]| {
    // A checkpoint names its own stream and sequence: the key is what it must be found under.
    let (key, bytes) = match bytes.iter().position(|byte| *byte == 0) {
        Some(end) => (String::from_utf8_lossy(&bytes[..end]).into_owned(), &bytes[end + 1..]),
        None => (checkpoint::key("ME1", 3), bytes),
    };
    if let Some((stream, through)) = checkpoint::parse_key(&key) {
        assert_eq!(checkpoint::key(stream, through), key);
    }
    let Ok(read) = Checkpoint::parse(&key, bytes) else { return };
    assert_eq!(read.to_bytes(), bytes);
    assert_eq!(read.key(), key);
    let proof = read.proof();
    assert_eq!(proof.entries, proof.through - proof.first_seq + 1);
    assert!((proof.first_seq..=proof.through).contains(&read.last().slot));
    assert!(read.covered().segments >= 1);
    // A checkpoint may name any other as the one before it; whatever lies there, the answer is a word, not a panic.
    let _ = read.follows(None);
    let _ = read.follows(Some(bytes));
    let _ = read.ends_in("object", read.last().object_version.as_deref(), bytes);
});
