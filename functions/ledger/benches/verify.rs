//! What each part of a proof costs: `cargo bench -p lifeboat-ledger --bench verify`. All on entries of about 220 bytes in the
//! layout that the writer makes; throughput is in bytes of the ledger, by the wall clock, on one thread.

use std::hint::black_box;

use divan::Bencher;
use divan::counter::BytesCount;
use lifeboat_ledger::fast::LineReader;
use lifeboat_ledger::{Format, Hash, ObjectId, Reader, entry};

/// Small enough for the second-level cache: what is measured is the work, not the memory.
const ENTRIES: u64 = 2_000;

/// How many lines are hashed in one call, as the object reader does it.
const BATCH: usize = 64;

/// What arrives at once, about as a network hands it on.
const PUSH_BYTES: usize = 65_536;

fn main() {
    divan::main();
}

/// One segment: the stream's open, then entries of one writer.
fn segment() -> String {
    let mut text = String::new();
    let mut prev = Hash::GENESIS;
    for seq in 1..=ENTRIES {
        let rest = if seq == 1 {
            r#""control":{"open":{"epoch":1,"holder":"primary","run":"init"}}"#.to_owned()
        } else {
            let (side, price, quantity) =
                (if seq % 2 == 0 { "buy" } else { "sell" }, 100 + seq % 50, seq % 900 + 1);
            format!(
                r#""epoch":1,"kind":"order","order_id":"client-7-{seq}","symbol":"AAPL","side":"{side}","price":"{price}.25","quantity":{quantity}"#,
            )
        };
        let line = format!(r#"{{"stream":"ME1","seq":{seq},"prev":"{prev}",{rest}}}"#);
        prev = Hash::of(line.as_bytes());
        text += &line;
        text += "\n";
    }
    text
}

/// Times `work` on the lines behind the control entry, which is not canonical.
fn with_lines(bencher: Bencher, mut work: impl FnMut(&[&[u8]])) {
    let text = segment();
    let lines: Vec<&[u8]> = text.lines().skip(1).map(str::as_bytes).collect();
    let bytes: usize = lines.iter().map(|line| line.len() + 1).sum();
    bencher.counter(BytesCount::new(bytes)).bench_local(|| work(&lines));
}

#[divan::bench]
fn hash_one_by_one(bencher: Bencher) {
    with_lines(bencher, |lines| {
        for line in lines {
            black_box(Hash::of(line));
        }
    });
}

#[divan::bench]
fn hash_many(bencher: Bencher) {
    let mut hashes = Vec::new();
    with_lines(bencher, |lines| {
        for batch in lines.chunks(BATCH) {
            hashes.clear();
            Hash::of_many(batch, &mut hashes);
            black_box(&hashes);
        }
    });
}

/// The hash is part of what this one does.
#[divan::bench]
fn line_strict_with_hash(bencher: Bencher) {
    with_lines(bencher, |lines| {
        for line in lines {
            black_box(entry::parse(line).unwrap());
        }
    });
}

#[divan::bench]
fn line_fast(bencher: Bencher) {
    let mut reader = LineReader::new(&Format::default());
    with_lines(bencher, |lines| {
        for line in lines {
            black_box(reader.read(line).unwrap());
        }
    });
}

#[divan::bench]
fn object_of_segments(bencher: Bencher) {
    with_object(bencher, |object| Reader::segment(&Format::default(), "ME1", 1, object));
}

#[divan::bench]
fn object_of_a_delivery(bencher: Bencher) {
    with_object(bencher, |object| Reader::delivery(&Format::default(), object));
}

/// Times the whole reading of an object.
fn with_object(bencher: Bencher, reader: impl Fn(ObjectId) -> Reader) {
    let text = segment();
    bencher.counter(BytesCount::of_str(&text)).bench_local(|| {
        let mut reader = reader(ObjectId::new("log/ME1/00000000000000000001.ndjson"));
        text.as_bytes().chunks(PUSH_BYTES).for_each(|bytes| reader.push(bytes));
        let fold = reader.finish();
        assert_eq!(fold.entries(), ENTRIES, "{fold:?}");
        fold
    });
}
