//! Finds the quotation marks of a line, and whether all of its bytes are plain: printable ASCII (or the delete character,
//! which JSON takes), and no backslash. In a plain line a string ends at the next quotation mark, whatever is in it.

/// How many bytes are looked at together: as many as a word of the answer has bits.
type Block = [u8; 64];

/// Puts a bit for each byte of `line` into `quotes`, 64 a word, the first the lowest: set where it is a quotation
/// mark. False, and nothing of use in `quotes`, where a byte is not plain.
pub(super) fn find_quotes(line: &[u8], quotes: &mut Vec<u64>) -> bool {
    quotes.clear();
    let (blocks, rest) = line.as_chunks();
    let mut plain = true;
    for block in blocks {
        quotes.push(look(block, &mut plain));
    }
    if !rest.is_empty() {
        // The last block again, with what is behind it: cheaper than to copy so few bytes.
        let beyond = match line.last_chunk() {
            Some(block) => look(block, &mut plain) >> (64 - rest.len()),
            None => look(&padded(rest), &mut plain),
        };
        quotes.push(beyond);
    }
    plain
}

fn padded(rest: &[u8]) -> Block {
    // Spaces are plain, and no quotation marks.
    let mut block = [b' '; 64];
    block[..rest.len()].copy_from_slice(rest);
    block
}

/// A bit for each quotation mark; `plain` becomes false where a byte is not.
#[inline]
fn look(block: &Block, plain: &mut bool) -> u64 {
    #[cfg(target_arch = "x86_64")]
    {
        // SAFETY: all that the function asks for is SSE2, which every x86-64 processor has.
        #[allow(unsafe_code)]
        unsafe {
            sse2::look(block, plain)
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    words::look(block, plain)
}

#[cfg(target_arch = "x86_64")]
mod sse2 {
    use std::arch::x86_64::*;

    use super::Block;

    #[target_feature(enable = "sse2")]
    #[inline]
    pub(super) fn look(block: &Block, plain: &mut bool) -> u64 {
        let (quote, backslash, space) =
            (_mm_set1_epi8(b'"' as i8), _mm_set1_epi8(b'\\' as i8), _mm_set1_epi8(b' ' as i8));
        let (mut bits, mut unplain) = (0, _mm_setzero_si128());
        for (at, bytes) in block.as_chunks().0.iter().enumerate() {
            let number = i128::from_le_bytes(*bytes);
            let bytes = _mm_set_epi64x((number >> 64) as i64, number as i64);
            // As signed numbers, bytes that are no ASCII are negative, and so below a space too.
            unplain = _mm_or_si128(unplain, _mm_cmplt_epi8(bytes, space));
            unplain = _mm_or_si128(unplain, _mm_cmpeq_epi8(bytes, backslash));
            let found = _mm_movemask_epi8(_mm_cmpeq_epi8(bytes, quote));
            bits |= u64::from(found as u16) << (at * 16);
        }
        *plain &= _mm_movemask_epi8(unplain) == 0;
        bits
    }
}

/// The same with plain arithmetic, eight bytes at a time.
#[cfg(any(test, not(target_arch = "x86_64")))]
mod words {
    use super::Block;

    const LOW: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;

    #[inline]
    pub(super) fn look(block: &Block, plain: &mut bool) -> u64 {
        let (mut bits, mut unplain) = (0, 0);
        for (at, bytes) in block.as_chunks().0.iter().enumerate() {
            let word = u64::from_le_bytes(*bytes);
            // A byte whose highest bit is set is refused here; what follows looks at the other seven bits only, and no
            // byte borrows from its neighbour.
            unplain |= word & HIGH;
            unplain |= !((word | HIGH) - LOW * 0x20) & HIGH;
            unplain |= equal(word, b'\\');
            // The highest bit of byte n, moved to bit n.
            bits |= ((equal(word, b'"') >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) << (at * 8);
        }
        *plain &= unplain == 0;
        bits
    }

    /// The highest bit of each byte of `word` that is `byte` in its other seven bits.
    fn equal(word: u64, byte: u8) -> u64 {
        (HIGH - ((word ^ (LOW * u64::from(byte))) & !HIGH)) & HIGH
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_in_every_place_is_judged() {
        let mut quotes = Vec::new();
        for place in 0..200 {
            for byte in 0..=255 {
                let mut line = [b'a'; 200];
                line[place] = byte;
                let plain = (0x20..0x80).contains(&byte) && byte != b'\\';
                assert_eq!(find_quotes(&line, &mut quotes), plain, "{byte} at {place}");
                let mut expected = [0; 4];
                expected[place / 64] = u64::from(byte == b'"') << (place % 64);
                assert!(!plain || quotes == expected, "{byte} at {place}");
            }
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn both_ways_see_the_same() {
        for place in 0..64 {
            for byte in 0..=255 {
                for background in *b"a\"! \x7f" {
                    let mut block = [background; 64];
                    block[place] = byte;
                    let (mut plain, mut also_plain) = (true, true);
                    let bits = look(&block, &mut plain);
                    let also_bits = words::look(&block, &mut also_plain);
                    assert_eq!(also_plain, plain, "{byte} at {place}");
                    assert!(!plain || also_bits == bits, "{byte} at {place}");
                }
            }
        }
    }

    #[test]
    fn neighbours_do_not_disturb_each_other() {
        let mut quotes = Vec::new();
        let line: Vec<u8> =
            (0x20..0x80).filter(|byte| *byte != b'\\').flat_map(|byte| [byte, b'"']).collect();
        for end in 0..line.len() {
            assert!(find_quotes(&line[..end], &mut quotes));
            for (at, byte) in line[..end].iter().enumerate() {
                assert_eq!(quotes[at / 64] >> (at % 64) & 1 == 1, *byte == b'"', "at {at} of {end}");
            }
        }
    }
}
