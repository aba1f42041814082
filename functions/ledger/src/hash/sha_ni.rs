//! SHA-256 of two lines side by side, with the SHA instructions of x86-64 processors.
//!
//! Each round of one hash waits for the round before, so a single line leaves the unit idle half of the time. The rounds
//! of two lines take turns here. Where a processor lacks the instructions, the caller hashes one by one with `sha2`, which
//! is what the tests compare this module with.
//!
//! There are loops where `map` would be shorter: a closure that uses the instructions cannot be inlined into `map`,
//! which is compiled for processors without them.

use std::arch::x86_64::*;
use std::is_x86_feature_detected as detected;

use super::Hash;

const BLOCK_BYTES: usize = 64;

/// FIPS 180-4, 5.3.3, in the order that the instructions want: A B E F and C D G H, the first in the highest lane.
const INITIAL: [[u32; 4]; 2] = [
    [0x6a09_e667, 0xbb67_ae85, 0x510e_527f, 0x9b05_688c],
    [0x3c6e_f372, 0xa54f_f53a, 0x1f83_d9ab, 0x5be0_cd19],
];

/// FIPS 180-4, 4.2.2: what is added in each round, four rounds a row.
#[rustfmt::skip]
const ROUNDS: [[u32; 4]; 16] = [
    [0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5], [0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5],
    [0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3], [0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174],
    [0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc], [0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da],
    [0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7], [0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967],
    [0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13], [0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85],
    [0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3], [0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070],
    [0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5], [0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3],
    [0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208], [0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2],
];

/// Appends the hashes of `lines` to `out`. False, and nothing done, where the processor lacks the instructions.
pub(super) fn hash_many(lines: &[&[u8]], out: &mut Vec<Hash>) -> bool {
    let able = detected!("sha") && detected!("sse4.1") && detected!("ssse3") && detected!("avx");
    if able {
        // SAFETY: all that the function asks for is that the processor has these four features, and it does.
        #[allow(unsafe_code)]
        unsafe {
            two_by_two(lines, out);
        }
    }
    able
}

#[target_feature(enable = "sha,sse4.1,ssse3,avx")]
fn two_by_two(lines: &[&[u8]], out: &mut Vec<Hash>) {
    let base = out.len();
    out.resize(base + lines.len(), Hash::GENESIS);
    let mut waiting = lines.iter().zip(&mut out[base..]);
    let Some((line, hash)) = waiting.next() else { return };
    let mut first = Lane::new(line, hash);
    let Some((line, hash)) = waiting.next() else { return first.finish() };
    let mut lanes = [first, Lane::new(line, hash)];
    loop {
        for _ in 0..lanes[0].left.min(lanes[1].left) {
            let [one, two] = &mut lanes;
            let mut states = [one.state, two.state];
            compress(&mut states, [one.take(), two.take()]);
            [one.state, two.state] = states;
        }
        // A line has a block at least: where both lanes are done, the second one's turn comes with the next look.
        let done = usize::from(lanes[0].left > 0);
        lanes[done].finish();
        let Some((line, hash)) = waiting.next() else { break lanes[1 - done].finish() };
        lanes[done] = Lane::new(line, hash);
    }
}

/// One line on its way through the rounds.
struct Lane<'a> {
    /// The blocks of the line that are still to come.
    whole: &'a [[u8; BLOCK_BYTES]],
    /// What is left of the line behind its whole blocks, padded as FIPS 180-4, 5.1.1 has it: at the end, one block or two.
    padded: [[u8; BLOCK_BYTES]; 2],
    /// How many blocks are still to come, those of `padded` among them.
    left: usize,
    state: [__m128i; 2],
    hash: &'a mut Hash,
}

impl<'a> Lane<'a> {
    #[target_feature(enable = "sha,sse4.1,ssse3,avx")]
    fn new(line: &'a [u8], hash: &'a mut Hash) -> Lane<'a> {
        let (whole, rest) = line.as_chunks();
        let mut padded = [[0; BLOCK_BYTES]; 2];
        // The mark is one byte and the length in bits eight: they fit behind the rest, or take a block more.
        let used = if rest.len() + 9 <= BLOCK_BYTES { 1 } else { 2 };
        let bytes = &mut padded.as_flattened_mut()[(2 - used) * BLOCK_BYTES..];
        bytes[..rest.len()].copy_from_slice(rest);
        bytes[rest.len()] = 0x80;
        let bits = (line.len() as u64) * 8;
        bytes[used * BLOCK_BYTES - 8..].copy_from_slice(&bits.to_be_bytes());
        Lane {
            whole,
            padded,
            left: whole.len() + used,
            state: [vector(INITIAL[0]), vector(INITIAL[1])],
            hash,
        }
    }

    /// The next block.
    #[inline]
    fn take(&mut self) -> &[u8; BLOCK_BYTES] {
        self.left -= 1;
        match self.whole.split_first() {
            Some((block, rest)) => {
                self.whole = rest;
                block
            }
            None => &self.padded[1 - self.left],
        }
    }

    /// Hashes what is left, alone, and hands the hash out.
    #[target_feature(enable = "sha,sse4.1,ssse3,avx")]
    fn finish(&mut self) {
        while self.left > 0 {
            let mut state = [self.state];
            compress(&mut state, [self.take()]);
            [self.state] = state;
        }
        let ([a, b, e, f], [c, d, g, h]) = (words(self.state[0]), words(self.state[1]));
        for (bytes, word) in self.hash.0.as_chunks_mut().0.iter_mut().zip([a, b, c, d, e, f, g, h]) {
            *bytes = word.to_be_bytes();
        }
    }
}

/// FIPS 180-4, 6.2.2: puts one block of each of `N` hashes through the 64 rounds.
#[target_feature(enable = "sha,sse4.1,ssse3,avx")]
#[inline]
fn compress<const N: usize>(states: &mut [[__m128i; 2]; N], blocks: [&[u8; BLOCK_BYTES]; N]) {
    // What the instructions call a word is big-endian in the block.
    let swap = _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203);
    // The last sixteen words of each message schedule, four a vector; they begin as the block itself.
    let mut words = [[swap; 4]; N];
    for (words, block) in words.iter_mut().zip(blocks) {
        for (word, bytes) in words.iter_mut().zip(block.as_chunks().0) {
            *word = _mm_shuffle_epi8(load(bytes), swap);
        }
    }
    let before = *states;
    let mut now = before;
    // Written out, so that each index is a constant and everything stays in registers.
    macro_rules! four_rounds {
        ($($quad:literal)*) => {$({
            const Q: usize = $quad;
            let round = vector([ROUNDS[Q][3], ROUNDS[Q][2], ROUNDS[Q][1], ROUNDS[Q][0]]);
            for ([abef, cdgh], w) in now.iter_mut().zip(&mut words) {
                let sum = _mm_add_epi32(w[Q % 4], round);
                *cdgh = _mm_sha256rnds2_epu32(*cdgh, *abef, sum);
                *abef = _mm_sha256rnds2_epu32(*abef, *cdgh, _mm_shuffle_epi32(sum, 0b1110));
                // The words of four rounds sixteen further on; the last sixteen rounds need no more.
                if Q < 12 {
                    let partial = _mm_sha256msg1_epu32(w[Q % 4], w[(Q + 1) % 4]);
                    let seven_back = _mm_alignr_epi8(w[(Q + 3) % 4], w[(Q + 2) % 4], 4);
                    w[Q % 4] = _mm_sha256msg2_epu32(_mm_add_epi32(partial, seven_back), w[(Q + 3) % 4]);
                }
            }
        })*};
    }
    four_rounds!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
    for ((state, now), before) in states.iter_mut().zip(now).zip(before) {
        *state = [_mm_add_epi32(now[0], before[0]), _mm_add_epi32(now[1], before[1])];
    }
}

/// Sixteen bytes as they lie.
#[target_feature(enable = "sse2")]
#[inline]
fn load(bytes: &[u8; 16]) -> __m128i {
    let number = i128::from_le_bytes(*bytes);
    _mm_set_epi64x((number >> 64) as i64, number as i64)
}

/// Four words, the first of them in the highest lane.
#[target_feature(enable = "sse2")]
#[inline]
fn vector(words: [u32; 4]) -> __m128i {
    let [a, b, c, d] = words;
    _mm_set_epi32(a as i32, b as i32, c as i32, d as i32)
}

/// The words of a vector, that of the highest lane first.
#[target_feature(enable = "sse4.1")]
#[inline]
fn words(vector: __m128i) -> [u32; 4] {
    [
        _mm_extract_epi32(vector, 3) as u32,
        _mm_extract_epi32(vector, 2) as u32,
        _mm_extract_epi32(vector, 1) as u32,
        _mm_extract_epi32(vector, 0) as u32,
    ]
}
