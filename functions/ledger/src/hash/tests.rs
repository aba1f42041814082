use proptest::prelude::*;

use super::*;

fn one_by_one(lines: &[&[u8]]) -> Vec<Hash> {
    lines.iter().map(|line| Hash::of(line)).collect()
}

fn many(lines: &[&[u8]]) -> Vec<Hash> {
    let mut hashes = Vec::new();
    Hash::of_many(lines, &mut hashes);
    hashes
}

#[test]
fn every_length_beside_every_other() {
    let bytes: Vec<u8> = (0..1_000).map(|at| (at * 7 + at / 251) as u8).collect();
    for length in 0..=bytes.len() {
        let (short, long) = (&bytes[..length], &bytes[bytes.len() - length..]);
        let lines = [long, &bytes[..64], short, b"", &bytes[..length / 2], short];
        for count in 0..=lines.len() {
            assert_eq!(many(&lines[..count]), one_by_one(&lines[..count]), "{length} bytes, {count} lines");
        }
    }
}

#[test]
fn appends_in_order_and_knows_the_published_values() {
    let mut hashes = vec![Hash::GENESIS];
    Hash::of_many(&[b"", b"abc", b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"], &mut hashes);
    let text: Vec<String> = hashes.iter().map(Hash::to_string).collect();
    // FIPS 180-2, appendix B; the empty message from NIST's test vectors.
    assert_eq!(
        text[1..],
        [
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
        ]
    );
    assert_eq!(hashes[0], Hash::GENESIS);
}

#[test]
fn every_byte_in_every_place_of_a_hash_is_judged() {
    let zeros = [b'0'; 64];
    for place in 0..64 {
        for byte in 0..=255 {
            let mut text = zeros;
            text[place] = byte;
            let is_digit = byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
            let mut expected = [0; 32];
            let read = is_digit && hex::decode_to_slice(text, &mut expected).is_ok();
            assert_eq!(Hash::from_hex_bytes(&text), read.then_some(Hash(expected)), "{byte} at {place}");
        }
    }
}

proptest! {
    #[test]
    fn many_are_as_one_by_one(lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..1_000), 0..40)) {
        let lines: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
        prop_assert_eq!(many(&lines), one_by_one(&lines));
    }

    #[test]
    fn what_is_written_is_read(bytes in any::<[u8; 32]>()) {
        prop_assert_eq!(Hash::from_hex(&Hash(bytes).to_string()), Some(Hash(bytes)));
    }
}
