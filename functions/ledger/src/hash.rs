//! The hash of a line: SHA-256, one at a time or many.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

#[cfg(target_arch = "x86_64")]
mod sha_ni;

/// The SHA-256 of one line's raw bytes, without the newline; written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash([u8; 32]);

impl Hash {
    /// What the first entry of a stream names as the one before it: 64 zeros.
    pub const GENESIS: Hash = Hash([0; 32]);

    /// The hash of `line`, which does not include its newline. A carriage return belongs to the hashed bytes.
    pub fn of(line: &[u8]) -> Hash {
        Hash(Sha256::digest(line).into())
    }

    /// Hashes each of `lines` and appends the hashes to `out`, in order. The same as [`Hash::of`] of each, and up to twice as
    /// fast where the processor's instructions let several lines be hashed side by side: a call with some tens of lines
    /// makes the most of it.
    pub fn of_many(lines: &[&[u8]], out: &mut Vec<Hash>) {
        #[cfg(target_arch = "x86_64")]
        if sha_ni::hash_many(lines, out) {
            return;
        }
        out.extend(lines.iter().map(|line| Hash::of(line)));
    }

    /// Reads exactly 64 lower-case hexadecimal digits. Upper case is refused: one hash has one spelling.
    pub fn from_hex(text: &str) -> Option<Hash> {
        Hash::from_hex_bytes(text.as_bytes().try_into().ok()?)
    }

    /// Reads 64 lower-case hexadecimal digits, as [`Hash::from_hex`] does. Free of branches, so that the compiler makes a
    /// few vector instructions of it: a proof reads one hash a line.
    pub fn from_hex_bytes(text: &[u8; 64]) -> Option<Hash> {
        let (mut nibbles, mut foreign) = ([0; 64], 0);
        for (nibble, &byte) in nibbles.iter_mut().zip(text) {
            let (digit, letter) = (byte.wrapping_sub(b'0'), byte.wrapping_sub(b'a'));
            foreign |= u8::from(digit > 9) & u8::from(letter > 5);
            *nibble = if digit > 9 { letter.wrapping_add(10) } else { digit };
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(nibbles.as_chunks::<2>().0) {
            *byte = (pair[0] << 4) | pair[1];
        }
        (foreign == 0).then_some(Hash(bytes))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Hash::from_hex(&text)
            .ok_or_else(|| serde::de::Error::custom("a hash is 64 lower-case hexadecimal digits"))
    }
}

#[cfg(test)]
mod tests;
