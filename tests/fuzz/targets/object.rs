//! Objects. However the bytes are cut when they are pushed, a reader says the same, and it says what the second verifier says.
//!
//! The first two bytes choose layout, piece length and limit. By one of their bits the lines are chained before they are read,
//! because no fuzzer finds a hash. Run it with `-malloc_limit_mb`: no object may make a reader ask for much memory.
#![no_main]

#[allow(dead_code)]
#[path = "../../../functions/ledger/tests/reference/mod.rs"]
mod reference;

use libfuzzer_sys::fuzz_target;
use lifeboat_ledger::{Expect, Fold, Format, ObjectId, Reader};
use reference::{Expected, Object, Place};
use sha2::{Digest, Sha256};

const STREAM: &str = "ME1";

fuzz_target!(|input: &[u8]| {
    let [choice, length, bytes @ ..] = input else { return };
    let delivered = choice & 1 == 1;
    let bytes = if choice & 2 == 2 { chained(bytes) } else { bytes.to_vec() };
    let format = Format { entry_bytes_max: if choice & 4 == 4 { 300 } else { 65_536 }, ..Format::default() };
    let whole = read(&format, delivered, &bytes, bytes.len().max(1));
    let pieces = read(&format, delivered, &bytes, usize::from(*length) + 1);
    assert_eq!(whole, pieces, "how the bytes are cut changes the summary");

    // The second verifier has no bound on what is decompressed.
    if matches!(bytes.first(), Some(0x1f | 0x28 | 0x50..=0x5f)) {
        return;
    }
    let names = format.names.clone();
    let theirs = reference::Format {
        stream: names.stream,
        seq: names.seq,
        prev: names.prev,
        epoch: names.epoch,
        control: names.control,
        entry_bytes_max: format.entry_bytes_max,
    };
    let place = match delivered {
        true => Place::Delivered,
        false => Place::Slot { stream: STREAM.into(), first_seq: 1 },
    };
    let theirs = reference::judge(&theirs, &[Object { place, bytes: Some(bytes) }], &Expected::default());
    let fits = !delivered || whole.questions(&Expect::default()).is_empty();
    let (ours, _) = whole.finish(&Expect::default());
    let theirs_counts = [theirs.objects, theirs.bytes, theirs.entries, theirs.repeated];
    let ours_counts = [ours.counts.objects, ours.counts.bytes, ours.counts.entries, ours.counts.repeated];
    assert_eq!(theirs_counts, ours_counts);
    // Where pieces of a delivery overlap, it takes a second reading to judge.
    if fits {
        assert_eq!(format!("{:?}", theirs.verdict), format!("{:?}", ours.verdict));
    }
});

fn read(format: &Format, delivered: bool, bytes: &[u8], length: usize) -> Fold {
    let object = ObjectId::new("object");
    let mut reader = match delivered {
        true => Reader::delivery(format, object),
        false => Reader::segment(format, STREAM, 1, object),
    };
    bytes.chunks(length).for_each(|piece| reader.push(piece));
    reader.finish()
}

/// The same lines, each naming the hash of the one before where it names a hash.
fn chained(bytes: &[u8]) -> Vec<u8> {
    const PREV: &[u8] = b"\"prev\":\"";
    let (mut head, mut chained) = ("0".repeat(64), Vec::new());
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let mut line = line.to_vec();
        let at = line.windows(PREV.len()).position(|window| window == PREV).map(|at| at + PREV.len());
        if let Some(digits) = at.and_then(|at| line.get_mut(at..at + 64)) {
            digits.copy_from_slice(head.as_bytes());
        }
        head = hex::encode(Sha256::digest(line.strip_suffix(b"\n").unwrap_or(&line)));
        chained.extend_from_slice(&line);
    }
    chained
}
