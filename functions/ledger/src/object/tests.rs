use std::io::Write;

use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::*;
use crate::chain::Place;
use crate::finding::Verdict;
use crate::format::ENTRY_BYTES_MAX;
use crate::sample::Chain;

fn object() -> ObjectId {
    ObjectId { key: "log/ME1/00000000000000000005.ndjson".into(), version: Some("v3".into()) }
}

/// What the segment at slot 5 gives, pushed in pieces of `size`.
fn segment(bytes: &[u8], size: usize) -> Fold {
    let mut reader = Reader::segment(&Format::default(), "ME1", 5, object());
    bytes.chunks(size).for_each(|piece| reader.push(piece));
    reader.finish()
}

fn delivery(bytes: &[u8], size: usize) -> Fold {
    let mut reader = Reader::delivery(&Format::default(), ObjectId::new("2026/a"));
    bytes.chunks(size).for_each(|piece| reader.push(piece));
    reader.finish()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Three lines from sequence 5 on, one of them a control entry.
fn three() -> Vec<u8> {
    let mut chain = Chain::new("ME1", 5);
    [chain.lines_under(1, 1), chain.open(2), chain.lines_under(2, 1)].concat()
}

#[test]
fn a_segment_is_a_run_however_it_is_compressed_and_cut() {
    let bytes = three();
    let whole = segment(&bytes, bytes.len());
    let run = whole.runs().next().unwrap().clone();
    assert_eq!((run.first_seq, run.last_seq, run.first_prev), (5, 7, Some(Hash::GENESIS)));
    assert_eq!((run.spans.len(), run.at.offset, &*run.at.object), (3, 0, &object()));
    let first_two = bytes.split_inclusive(|byte| *byte == b'\n').take(2).map(<[u8]>::len).sum::<usize>();
    assert_eq!(run.spans[2].at().offset, first_two as u64);
    assert_eq!((whole.objects(), whole.bytes(), whole.entries()), (1, bytes.len() as u64, 3));
    assert_eq!(whole.findings(), []);
    for coded in [bytes.clone(), gzip(&bytes), zstd::encode_all(&bytes[..], 3).unwrap()] {
        for size in [1, 2, 100, coded.len()] {
            assert_eq!(segment(&coded, size), whole);
        }
    }
}

/// What may be wrong with a line, what is said of it, and how many entries before it are kept.
fn faults() -> Vec<(Vec<u8>, &'static str, u64)> {
    let good = three();
    let text = String::from_utf8(good.clone()).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let second = |line: String| [lines[0], &line, lines[2]].concat().into_bytes();
    let mut invalid = good.clone();
    let at = lines[0].len() + 12;
    invalid[at] = 0xff;
    let long = format!("{{\"x\":\"{}\"}}\n", "y".repeat(ENTRY_BYTES_MAX));
    let mut other = Chain::new("ME1", 5);
    other.line(r#","order":9"#);
    let spliced = [lines[0].as_bytes(), &other.lines(1)].concat();
    vec![
        (Vec::new(), "the object is empty", 0),
        (good[..good.len() - 1].to_vec(), "no newline", 2),
        (good[..lines[0].len() + 9].to_vec(), "no newline", 1),
        (format!("\u{feff}{text}").into_bytes(), "byte-order mark", 0),
        (invalid, "invalid unicode", 1),
        (second("\n".into()), "EOF", 1),
        (second("[]\n".into()), "an object", 1),
        (second(long), "the limit is 65536", 1),
        (second(lines[1].replace("\"seq\":6", "\"seq\":7")), "entry 7 stands where 6 comes next", 1),
        (second(lines[1].replace("\"seq\":6", "\"seq\":-6")), "invalid value", 1),
        (second(lines[1].replace("\"seq\":6", "\"seq\":6.5")), "invalid type", 1),
        (second(lines[1].replace("\"seq\":6", "\"seq\":18446744073709551616")), "invalid type", 1),
        (second(lines[1].replace("ME1", "ME2")), "of stream `ME2` in an object of `ME1`", 1),
        (second(lines[1].replace("\"seq\"", "\"seq\":6,\"seq\"")), "occurs twice", 1),
        (text.replacen("\"order\":0", "\"order\":1", 1).into_bytes(), "`prev` is", 1),
        // A carriage return belongs to the hashed bytes.
        (text.replacen('\n', "\r\n", 1).into_bytes(), "`prev` is", 1),
        (spliced, "`prev` is", 1),
    ]
}

#[test]
fn each_fault_of_a_segment_is_named_and_what_stood_before_it_is_kept() {
    for (bytes, says, kept) in faults() {
        let fold = segment(&bytes, bytes.len().max(1));
        let [finding] = fold.findings() else { panic!("{says}: {:?}", fold.findings()) };
        assert!(finding.what.contains(says), "{finding} should say: {says}");
        let before: usize =
            bytes.split_inclusive(|byte| *byte == b'\n').take(kept as usize).map(<[u8]>::len).sum();
        assert_eq!((finding.verdict, finding.stream.as_str()), (Verdict::Broken, "ME1"));
        assert_eq!((finding.seq, finding.offset), (Some(5 + kept), Some(before as u64)), "{says}");
        assert_eq!(
            (finding.object.as_deref(), finding.version.as_deref()),
            (Some(&*object().key), Some("v3"))
        );
        assert_eq!((fold.entries(), fold.bytes()), (kept, before as u64));
        for size in [1, 3, 1_000] {
            assert_eq!(segment(&bytes, size), fold, "{says}, in pieces of {size}");
            if !bytes.is_empty() {
                assert_eq!(segment(&gzip(&bytes), size), fold, "{says}, compressed");
            }
        }
    }
}

#[test]
fn a_line_may_be_as_long_as_the_limit_and_no_longer() {
    for (over, findings) in [(0, 0), (1, 1)] {
        let mut chain = Chain::new("ME1", 5);
        let short = chain.clone().line(r#","x":"""#).len() - 1;
        let line = chain.line(&format!(r#","x":"{}""#, "y".repeat(ENTRY_BYTES_MAX - short + over)));
        assert_eq!(line.len() - 1, ENTRY_BYTES_MAX + over);
        assert_eq!(segment(&line, 10_000).findings().len(), findings);
    }
}

#[test]
fn lines_that_end_in_a_carriage_return_chain_by_it() {
    let mut chain = Chain::new("ME1", 5);
    let mut bytes = Vec::new();
    for _ in 0..3 {
        let line = chain.line("");
        let line = [&line[..line.len() - 1], b"\r"].concat();
        chain.head = Hash::of(&line);
        bytes.extend_from_slice(&[&line[..], b"\n"].concat());
    }
    assert_eq!(segment(&bytes, 50).findings(), []);
}

#[test]
fn damaged_compression_is_one_finding_and_nothing_else() {
    let good = gzip(&three());
    let wrong = gzip(b"no entry\n");
    for (coded, says) in [
        (&good[..good.len() - 3], "cut off"),
        (&[&good[..], b"behind"].concat(), "damaged"),
        (&wrong[..wrong.len() - 1], "cut off"),
    ] {
        for size in [1, coded.len()] {
            let fold = segment(coded, size);
            let [finding] = fold.findings() else { panic!("one finding") };
            assert!(finding.what.contains(says), "{finding}");
            assert_eq!((finding.seq, fold.runs().count(), fold.entries(), fold.bytes()), (Some(5), 0, 0, 0));
            let fold = delivery(coded, size);
            let [finding] = fold.findings() else { panic!("one finding") };
            assert_eq!((finding.stream.as_str(), finding.seq, fold.runs().count()), ("", None, 0));
        }
    }
}

#[test]
fn a_delivery_gives_pieces_by_stream_and_goes_on_behind_a_fault() {
    let (mut one, mut two) = (Chain::new("ME1", 1), Chain::new("ME2", 7));
    let (a, b) = (one.lines(2), two.lines(1));
    let (c, d) = (one.lines(1), two.lines(2));
    // Interleaved streams, a line that is none, one that is too long, and a repeated record.
    let long = [&[b'x'; ENTRY_BYTES_MAX + 1], &b"\n"[..]].concat();
    let bytes = [&a[..], &b, &c, b"nothing\n", &d, &long, &c].concat();
    let fold = delivery(&bytes, bytes.len());
    let pieces: Vec<_> = fold
        .runs()
        .map(|run| (run.stream.as_str(), run.first_seq, run.last_seq, run.at.offset as usize))
        .collect();
    assert_eq!(pieces, [("ME1", 1, 3, 0), ("ME1", 3, 3, bytes.len() - c.len()), ("ME2", 7, 9, a.len())]);
    let offsets: Vec<_> = fold.findings().iter().map(|finding| finding.offset.unwrap() as usize).collect();
    let at = a.len() + b.len() + c.len();
    assert_eq!(offsets, [at, at + 8 + d.len()]);
    assert_eq!((fold.entries(), fold.bytes() as usize), (7, bytes.len() - 8 - long.len()));
    for size in [1, 9, 1_000] {
        assert_eq!(delivery(&bytes, size), fold);
    }
    assert_eq!(delivery(b"", 1).findings(), [], "an empty delivery says nothing, and lacks nothing");
}

#[test]
fn a_delivered_line_of_another_history_begins_a_piece() {
    let (mut one, mut other) = (Chain::new("ME1", 1), Chain::new("ME1", 1));
    let a = one.lines(2);
    other.line(r#","forged":1"#);
    other.line("");
    let bytes = [a, other.lines(1)].concat();
    let fold = delivery(&bytes, 64);
    assert_eq!(fold.runs().map(|run| (run.first_seq, run.last_seq)).collect::<Vec<_>>(), [(1, 2), (3, 3)]);
}

#[test]
fn questions_are_answered_from_the_piece_that_they_name() {
    let mut chain = Chain::new("ME1", 1);
    let first = chain.lines(4);
    let again = first.split_inclusive(|byte| *byte == b'\n').skip(1).collect::<Vec<_>>().concat();
    let bytes = [&first[..], &again].concat();
    let id = ObjectId::new("2026/a");
    let ask = |offset: usize, from, through| Question {
        piece: Place { object: Arc::new(id.clone()), offset: offset as u64 },
        from,
        through,
    };
    let questions =
        vec![ask(0, 2, 2), ask(first.len(), 2, 2), ask(0, 2, 4), ask(0, 5, 5), ask(1, 2, 2), ask(0, 3, 9)];
    for coded in [bytes.clone(), gzip(&bytes)] {
        let mut asker = Asker::new(&Format::default(), id.clone(), questions.clone());
        coded.chunks(7).for_each(|piece| asker.push(piece));
        let answers = asker.finish();
        let hash = |index: usize| answers[index].entries.as_ref().map(|digest| digest.hash);
        let second = first.split(|byte| *byte == b'\n').nth(1).unwrap();
        assert_eq!(hash(0), Some(Hash::of(second)));
        assert_eq!(hash(1), Some(Hash::of(second)), "the same entry, in the other piece");
        assert_eq!(answers[1].entries.as_ref().unwrap().last_offset, first.len() as u64);
        assert!(hash(2).is_some() && hash(2) != hash(0));
        assert_eq!([hash(3), hash(4), hash(5)], [None; 3], "no such entry, no such piece, no such end");
    }
    // What was not read to its end answers nothing.
    let mut asker = Asker::new(&Format::default(), id, questions);
    let coded = gzip(&bytes);
    asker.push(&coded[..coded.len() - 1]);
    assert!(asker.finish().iter().all(|answer| answer.entries.is_none()));
}

proptest! {
    #[test]
    fn how_an_object_arrives_changes_nothing(
        fault in any::<proptest::sample::Index>(),
        flip in proptest::option::of((any::<proptest::sample::Index>(), 0u8..8)),
        coding in 0usize..3,
        sizes in proptest::collection::vec(1usize..300, 1..40),
    ) {
        let faults = faults();
        let (mut bytes, ..) = faults[fault.index(faults.len())].clone();
        if let Some((at, bit)) = flip && !bytes.is_empty() {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
        }
        let coded = match coding {
            0 => bytes,
            1 => gzip(&bytes),
            _ => zstd::encode_all(&bytes[..], 1).unwrap(),
        };
        let whole = (segment(&coded, coded.len().max(1)), delivery(&coded, coded.len().max(1)));
        let mut readers = (
            Reader::segment(&Format::default(), "ME1", 5, object()),
            Reader::delivery(&Format::default(), ObjectId::new("2026/a")),
        );
        let (mut rest, mut sizes) = (&coded[..], sizes.iter().cycle());
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at(rest.len().min(*sizes.next().unwrap()));
            readers.0.push(piece);
            readers.1.push(piece);
            rest = behind;
        }
        prop_assert_eq!((readers.0.finish(), readers.1.finish()), whole);
    }
}
