//! Whether a key occurs twice in an object.

use std::ops::Range;

use super::piece::Piece;

/// How many keys an object may have. Each is held against all before it that look alike, so the number is bounded.
const KEYS_MAX: usize = 64;

/// The keys of a line's objects.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys {
    reserved: Vec<Vec<u8>>,
    /// Those of the objects that are open, the innermost's last.
    open: Vec<Range<usize>>,
    /// Those of the application's fields in the last line that was read key by key, each as `"key":`. They have been shown
    /// to differ from each other and from the reserved ones, and so has any line that begins with the same.
    pub(super) known: Vec<Piece>,
}

/// What is known of one object's keys: a bit is set for each. Keys with different bits are different; where the bit is set
/// already, the keys themselves are compared.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Scope {
    bits: [u64; 8],
    first: usize,
    has_reserved: bool,
}

impl Keys {
    /// Makes `name` one that the object of `scope` must not have. False if it is one already.
    pub(super) fn reserve(&mut self, scope: &mut Scope, name: &[u8]) -> bool {
        let is_new = !self.reserved.iter().any(|reserved| reserved == name);
        self.reserved.push(name.to_owned());
        scope.has_reserved = true;
        scope.set(mark(name, 0..name.len()));
        is_new
    }

    /// Begins the object of `scope`, inside those that are open. The outermost begins the line.
    pub(super) fn open(&mut self, scope: &mut Scope) {
        if scope.has_reserved {
            self.open.clear();
        }
        scope.first = self.open.len();
    }

    /// Adds the key at `key` in `line`. False if the object has it already, or has too many to tell.
    #[inline]
    pub(super) fn add(&mut self, scope: &mut Scope, line: &[u8], key: Range<usize>) -> bool {
        if scope.set(mark(line, key.clone())) && self.has(scope, line, &line[key.clone()]) {
            return false;
        }
        self.open.push(key);
        self.open.len() - scope.first <= KEYS_MAX
    }

    fn has(&self, scope: &Scope, line: &[u8], key: &[u8]) -> bool {
        let before = &self.open[scope.first..];
        before.iter().any(|other| &line[other.clone()] == key)
            || scope.has_reserved && self.reserved.iter().any(|reserved| reserved == key)
    }

    /// Ends the object of `scope`. The outermost's keys are those that are known from now on.
    pub(super) fn close(&mut self, scope: Scope, line: &[u8]) {
        if scope.has_reserved {
            self.known.clear();
            self.known.extend(self.open.iter().map(|key| Piece::new(&line[key.start - 1..key.end + 2])));
        }
        self.open.truncate(scope.first);
    }
}

impl Scope {
    /// Sets a key's bit, and says whether it was set before.
    #[inline]
    fn set(&mut self, mark: usize) -> bool {
        let (word, bit) = (&mut self.bits[mark / 64], 1 << (mark % 64));
        let was_set = *word & bit != 0;
        *word |= bit;
        was_set
    }
}

/// A number below 512 that depends on the key's bytes alone: its first eight, its last eight, and its length.
#[inline]
fn mark(line: &[u8], key: Range<usize>) -> usize {
    let length = key.len();
    let first = eight_bytes(line, key.start, length.min(8));
    let last = if length > 8 { eight_bytes(line, key.end - 8, 8) } else { 0 };
    let mixed = (first ^ last.rotate_left(29) ^ length as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 55) as usize
}

/// The `length` bytes, at most eight, from `start`, and zeros behind them.
#[inline]
fn eight_bytes(line: &[u8], start: usize, length: usize) -> u64 {
    if let Some(bytes) = line[start..].first_chunk() {
        let beyond = 64 - 8 * length as u32;
        return u64::from_le_bytes(*bytes) & u64::MAX.checked_shr(beyond).unwrap_or(0);
    }
    let mut bytes = [0; 8];
    bytes[..length].copy_from_slice(&line[start..start + length]);
    u64::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_depends_on_the_key_alone() {
        for key in ["", "a", "quantity", "quantity_left", "a key of more than sixteen bytes"] {
            let alone = mark(key.as_bytes(), 0..key.len());
            let inside = format!("abc{key}defghijklmn");
            assert_eq!(mark(inside.as_bytes(), 3..3 + key.len()), alone, "{key}");
        }
    }

    #[test]
    fn the_same_key_is_found_whatever_its_bit_and_its_neighbours() {
        let line: Vec<u8> = (0..40_u8).flat_map(|at| [b'k', b'0' + at / 10, b'0' + at % 10]).collect();
        for twice in 0..40 {
            let (mut keys, mut scope) = (Keys::default(), Scope::default());
            keys.open(&mut scope);
            for at in 0..40 {
                assert!(keys.add(&mut scope, &line, 3 * at..3 * at + 3));
            }
            assert!(!keys.add(&mut scope, &line, 3 * twice..3 * twice + 3));
        }
    }

    #[test]
    fn an_object_of_too_many_keys_is_left_to_the_strict_reader() {
        let line: Vec<u8> = (0..=KEYS_MAX as u8).collect();
        let (mut keys, mut scope) = (Keys::default(), Scope::default());
        keys.open(&mut scope);
        for at in 0..KEYS_MAX {
            assert!(keys.add(&mut scope, &line, at..at + 1));
        }
        assert!(!keys.add(&mut scope, &line, KEYS_MAX..KEYS_MAX + 1));
    }
}
