//! The text of one line, read strictly as RFC 8259 has it but without white space.
//!
//! Each reading function takes the place where it begins and returns the place behind what it read; `None` where
//! something else stands there. (A place that moves by itself would live in memory, at twice the cost.)

use super::keys::{Keys, Scope};

/// How deep arrays and objects may lie in the entry. Deeper ones are the strict reader's.
const DEPTH_MAX: usize = 8;

/// The longest number: with an exponent of two digits it stays far below the largest that the strict reader takes.
const NUMBER_BYTES_MAX: usize = 64;

/// A line whose bytes are all plain (see [`super::plain`]).
#[derive(Clone, Copy)]
pub(super) struct Text<'a, 'q> {
    pub(super) line: &'a [u8],
    /// A bit for each byte of the line, set where that is a quotation mark.
    pub(super) quotes: &'q [u64],
}

impl<'a> Text<'a, '_> {
    /// The byte at `at`; 0, which is in no plain line, at the end.
    #[inline]
    pub(super) fn byte(self, at: usize) -> u8 {
        self.line.get(at).copied().unwrap_or(0)
    }

    /// The text `expected`.
    #[inline]
    fn exactly(self, at: usize, expected: &[u8]) -> Option<usize> {
        self.line.get(at..)?.starts_with(expected).then_some(at + expected.len())
    }

    /// The one byte `expected`.
    #[inline]
    fn one(self, at: usize, expected: u8) -> Option<usize> {
        (self.byte(at) == expected).then_some(at + 1)
    }

    /// The rest of a string whose opening quotation mark is behind, with its closing one.
    #[inline]
    pub(super) fn string(self, at: usize) -> Option<usize> {
        let mut word = at / 64;
        let mut ahead = self.quotes.get(word)? & (u64::MAX << (at % 64));
        while ahead == 0 {
            word += 1;
            ahead = *self.quotes.get(word)?;
        }
        Some(word * 64 + ahead.trailing_zeros() as usize + 1)
    }

    /// A string as [`Text::string`] reads it, and what is in it.
    #[inline]
    pub(super) fn content(self, at: usize) -> Option<(&'a [u8], usize)> {
        let end = self.string(at)?;
        Some((self.line.get(at..end - 1)?, end))
    }

    /// A number without sign, fraction or exponent, at most 19 digits of it: any such fits 64 bits.
    #[inline]
    pub(super) fn whole_number(self, at: usize) -> Option<(u64, usize)> {
        let (mut end, mut value) = (at, 0);
        while self.byte(end).is_ascii_digit() {
            if end - at == 19 {
                return None;
            }
            value = value * 10 + u64::from(self.byte(end) - b'0');
            end += 1;
        }
        let one_spelling = end == at + 1 || end > at && self.byte(at) != b'0';
        one_spelling.then_some((value, end))
    }

    /// The application's fields, from behind the comma before the first of them through the closing brace. `reserved` has
    /// the keys that they must not have.
    pub(super) fn fields(self, at: usize, keys: &mut Keys, reserved: Scope) -> Option<usize> {
        // A line of other keys, or a bad one, is read from the beginning again.
        let end = self.fields_with_known_keys(at, keys);
        end.or_else(|| self.members(at, keys, reserved, 0))
    }

    #[inline]
    fn fields_with_known_keys(self, mut at: usize, keys: &mut Keys) -> Option<usize> {
        for index in 0..keys.known.len() {
            at = keys.known[index].behind(self.line, at)?;
            at = self.value(at, keys, 0)?;
            match self.byte(at) {
                b',' => at += 1,
                b'}' => return Some(at + 1),
                _ => return None,
            }
        }
        None
    }

    /// The members of an object, from behind its opening brace, or from between two of them, through its closing brace. No
    /// key may be among those of `scope` or occur twice.
    pub(super) fn members(
        self,
        mut at: usize,
        keys: &mut Keys,
        mut scope: Scope,
        depth: usize,
    ) -> Option<usize> {
        keys.open(&mut scope);
        loop {
            let start = self.one(at, b'"')?;
            let end = self.string(start)?;
            let behind = self.one(end, b':')?;
            if !keys.add(&mut scope, self.line, start..end - 1) {
                return None;
            }
            at = self.value(behind, keys, depth)?;
            match self.byte(at) {
                b',' => at += 1,
                b'}' => break,
                _ => return None,
            }
        }
        keys.close(scope, self.line);
        Some(at + 1)
    }

    #[inline]
    fn value(self, at: usize, keys: &mut Keys, depth: usize) -> Option<usize> {
        match self.byte(at) {
            b'"' => self.string(at + 1),
            b'-' => self.number(at + 1),
            b'0'..=b'9' => self.number(at),
            b't' => self.exactly(at, b"true"),
            b'f' => self.exactly(at, b"false"),
            b'n' => self.exactly(at, b"null"),
            b'{' if depth < DEPTH_MAX => match self.one(at + 1, b'}') {
                None => self.members(at + 1, keys, Scope::default(), depth + 1),
                empty => empty,
            },
            b'[' if depth < DEPTH_MAX => match self.one(at + 1, b']') {
                None => self.elements(at + 1, keys, depth + 1),
                empty => empty,
            },
            _ => None,
        }
    }

    /// The elements of an array, from behind its opening bracket through its closing one.
    fn elements(self, mut at: usize, keys: &mut Keys, depth: usize) -> Option<usize> {
        loop {
            at = self.value(at, keys, depth)?;
            match self.byte(at) {
                b',' => at += 1,
                b']' => return Some(at + 1),
                _ => return None,
            }
        }
    }

    /// A number from behind its sign.
    #[inline]
    fn number(self, at: usize) -> Option<usize> {
        // Behind a leading zero there is a fraction or an exponent, or nothing.
        let mut end = if self.byte(at) == b'0' { at + 1 } else { self.digits(at)? };
        if self.byte(end) == b'.' {
            end = self.digits(end + 1)?;
        }
        if let b'e' | b'E' = self.byte(end) {
            let sign = usize::from(matches!(self.byte(end + 1), b'+' | b'-'));
            let start = end + 1 + sign;
            end = self.digits(start)?;
            if end - start > 2 {
                return None;
            }
        }
        (end - at <= NUMBER_BYTES_MAX).then_some(end)
    }

    /// One digit or more.
    #[inline]
    fn digits(self, at: usize) -> Option<usize> {
        let mut end = at;
        while self.byte(end).is_ascii_digit() {
            end += 1;
        }
        (end > at).then_some(end)
    }
}
