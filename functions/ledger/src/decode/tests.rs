use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::*;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).unwrap()
}

/// What `bytes` decode to, pushed in pieces of `size`.
fn in_pieces(bytes: &[u8], size: usize) -> Result<Vec<u8>, Undecodable> {
    let mut out = Vec::new();
    let mut decoder = Decoder::default();
    for piece in bytes.chunks(size) {
        decoder.push(piece, &mut |bytes| out.extend_from_slice(bytes))?;
    }
    decoder.finish(&mut |bytes| out.extend_from_slice(bytes))?;
    Ok(out)
}

/// Three times as long as what is handed on at once, and not quite regular.
fn text() -> Vec<u8> {
    (0..60_000u32)
        .flat_map(|number| format!("{} ", number.wrapping_mul(2_654_435_761)).into_bytes())
        .collect()
}

#[test]
fn either_compression_is_known_by_its_first_bytes() {
    let text = text();
    let (first, second) = text.split_at(text.len() / 3);
    // A skippable frame of three bytes, then the data.
    let skippable = [b"\x5a\x2a\x4d\x18\x03\0\0\0abc".to_vec(), zstd(&text)].concat();
    for coded in [
        text.clone(),
        gzip(&text),
        zstd(&text),
        // Files of this kind may be concatenated, and are then one.
        [gzip(first), gzip(second)].concat(),
        [zstd(first), zstd(second)].concat(),
        skippable,
    ] {
        for size in [1, 7, 4_096, coded.len()] {
            assert!(in_pieces(&coded, size) == Ok(text.clone()), "{:x?} in pieces of {size}", &coded[..4]);
        }
        assert!(decoded(&coded, text.len()).unwrap() == text);
    }
}

#[test]
fn what_only_begins_like_a_compression_is_taken_as_it_is() {
    for bytes in [&b""[..], b"\x1f", b"\x28", b"(\xb5\x2f", b"(plain)", b"Plain", b"\x5a\x2a", b"{\"a\":1}\n"]
    {
        for size in [1, 8] {
            assert_eq!(in_pieces(bytes, size).as_deref(), Ok(bytes));
        }
    }
}

#[test]
fn damage_is_told_however_the_bytes_are_cut() {
    let text = text();
    for (coded, name) in [(gzip(&text), "gzip"), (zstd_with_checksum(&text), "zstd")] {
        let mut flipped = coded.clone();
        flipped[coded.len() / 2] ^= 4;
        let cut = &coded[..coded.len() - 1];
        let behind = [coded.as_slice(), b"behind"].concat();
        for (bytes, says) in [
            (flipped.as_slice(), "damaged"),
            (cut, "cut off"),
            (&coded[..6], "cut off"),
            (behind.as_slice(), "damaged"),
        ] {
            for size in [1, 1_000, bytes.len()] {
                let Err(Undecodable::Damaged(what)) = in_pieces(bytes, size) else {
                    panic!("{name} {says} {size}")
                };
                assert!(what.contains(says) && what.contains(name), "{what}");
            }
            assert!(decoded(bytes, usize::MAX).is_err());
        }
    }
}

fn zstd_with_checksum(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_window_that_needs_too_much_memory_is_no_damage() {
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
    encoder.window_log(ZSTD_WINDOW_LOG_MAX + 1).unwrap();
    encoder.write_all(&text()).unwrap();
    let coded = encoder.finish().unwrap();
    let Err(Undecodable::TooLarge(what)) = in_pieces(&coded, coded.len()) else { panic!("it was decoded") };
    assert!(what.contains("8 MiB"), "{what}");
}

#[test]
fn a_small_object_that_decodes_without_end_is_given_up_on() {
    let zeros = vec![0; 64 << 20];
    for coded in [gzip(&zeros), zstd(&zeros)] {
        let fault = decoded(&coded, 1_000_000).unwrap_err();
        assert!(fault.to_string().contains("more than 1000000 bytes"), "{fault}");
    }
    assert!(decoded(&zeros[..11], 10).is_err(), "a plain object has the same bound");
    assert_eq!(decoded(&zeros[..10], 10).unwrap(), &zeros[..10]);
}

proptest! {
    /// What is said of damage is the same too: a finding must not depend on how an object arrived.
    #[test]
    fn any_damage_is_told_the_same_however_the_bytes_are_cut(
        noise in proptest::collection::vec(any::<u8>(), 0..300),
        shape in 0usize..4,
        place in any::<proptest::sample::Index>(),
        byte in any::<u8>(),
        size in 1usize..50,
    ) {
        let text = [&b"much the same, ".repeat(200)[..], &noise].concat();
        let mut bytes = match shape {
            0 => gzip(&text),
            1 => zstd_with_checksum(&text),
            2 => [gzip(&noise), gzip(&text)].concat(),
            _ => [&b"\x28\xb5\x2f\xfd"[..], &noise].concat(),
        };
        let place = place.index(bytes.len());
        bytes[place] = byte;
        let whole = in_pieces(&bytes, bytes.len());
        let pieces = in_pieces(&bytes, size);
        prop_assert_eq!(whole.map(|_| ()), pieces.map(|_| ()));
    }
}
