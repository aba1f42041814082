//! Bytes, as they arrive, cut into lines. Memory is bounded by the longest line that is taken.

/// How many lines are handed on at once, at most: enough to keep the hashing units busy.
pub(crate) const BATCH_LINES: usize = 64;

/// What is done with the lines of an object.
pub(crate) trait Take {
    /// The next lines, without their newlines and one behind the other; the first begins at byte `offset`.
    fn lines(&mut self, lines: &[&[u8]], offset: u64);

    /// A line of `length` bytes that is too long to be taken.
    fn too_long(&mut self, length: u64, offset: u64);

    /// The last line has no newline.
    fn cut_off(&mut self, offset: u64);
}

/// Cuts bytes into lines.
#[derive(Debug)]
pub(crate) struct Lines {
    line_bytes_max: usize,
    /// The byte at which the line begins that comes next.
    offset: u64,
    /// The beginning of a line whose end has not arrived.
    carry: Vec<u8>,
    /// How long the line is so far, where it is too long to be kept.
    skipped: Option<u64>,
}

impl Lines {
    pub(crate) fn new(line_bytes_max: usize) -> Lines {
        Lines { line_bytes_max, offset: 0, carry: Vec::new(), skipped: None }
    }

    /// Takes the next bytes.
    pub(crate) fn push(&mut self, mut bytes: &[u8], take: &mut impl Take) {
        if self.skipped.is_some() || !self.carry.is_empty() {
            let Some(rest) = self.end_line(bytes, take) else { return };
            bytes = rest;
        }
        let mut batch: [&[u8]; BATCH_LINES] = [&[]; BATCH_LINES];
        let (mut count, mut batch_offset, mut begin) = (0, self.offset, 0);
        for end in memchr::memchr_iter(b'\n', bytes) {
            let line = &bytes[begin..end];
            begin = end + 1;
            if line.len() > self.line_bytes_max {
                take.lines(&batch[..count], batch_offset);
                take.too_long(line.len() as u64, self.offset);
                count = 0;
                self.offset += line.len() as u64 + 1;
                batch_offset = self.offset;
                continue;
            }
            batch[count] = line;
            count += 1;
            self.offset += line.len() as u64 + 1;
            if count == BATCH_LINES {
                take.lines(&batch, batch_offset);
                (count, batch_offset) = (0, self.offset);
            }
        }
        take.lines(&batch[..count], batch_offset);
        self.keep(&bytes[begin..]);
    }

    /// No more bytes come.
    pub(crate) fn finish(self, take: &mut impl Take) {
        if self.skipped.is_some() || !self.carry.is_empty() {
            take.cut_off(self.offset);
        }
    }

    /// Ends the line that is under way with the beginning of `bytes`; what is behind it, or `None` where it goes on.
    fn end_line<'a>(&mut self, bytes: &'a [u8], take: &mut impl Take) -> Option<&'a [u8]> {
        let Some(end) = memchr::memchr(b'\n', bytes) else {
            self.keep(bytes);
            return None;
        };
        self.keep(&bytes[..end]);
        let length = match self.skipped.take() {
            Some(length) => {
                take.too_long(length, self.offset);
                length
            }
            None => {
                take.lines(&[&self.carry], self.offset);
                self.carry.len() as u64
            }
        };
        self.carry.clear();
        self.offset += length + 1;
        Some(&bytes[end + 1..])
    }

    /// Keeps what belongs to the line that is under way, or only its length where it is too long.
    fn keep(&mut self, bytes: &[u8]) {
        if let Some(length) = &mut self.skipped {
            *length += bytes.len() as u64;
        } else if self.carry.len() + bytes.len() > self.line_bytes_max {
            self.skipped = Some((self.carry.len() + bytes.len()) as u64);
            self.carry.clear();
        } else {
            self.carry.extend_from_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAX: usize = 8;

    /// What was taken, with where it was.
    #[derive(Default, Debug, PartialEq)]
    struct Taken {
        lines: Vec<(u64, Vec<u8>)>,
        too_long: Vec<(u64, u64)>,
        cut_off: Option<u64>,
    }

    impl Take for Taken {
        fn lines(&mut self, lines: &[&[u8]], mut offset: u64) {
            for line in lines {
                self.lines.push((offset, line.to_vec()));
                offset += line.len() as u64 + 1;
            }
        }

        fn too_long(&mut self, length: u64, offset: u64) {
            self.too_long.push((offset, length));
        }

        fn cut_off(&mut self, offset: u64) {
            self.cut_off = Some(offset);
        }
    }

    /// The same by the shortest way: all bytes at once.
    fn expected(bytes: &[u8]) -> Taken {
        let (mut taken, mut offset) = (Taken::default(), 0);
        let mut lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
        let last = lines.pop().unwrap();
        for line in lines {
            if line.len() > MAX {
                taken.too_long.push((offset, line.len() as u64));
            } else {
                taken.lines.push((offset, line.to_vec()));
            }
            offset += line.len() as u64 + 1;
        }
        taken.cut_off = (!last.is_empty()).then_some(offset);
        taken
    }

    proptest! {
        #[test]
        fn how_the_bytes_are_cut_changes_nothing(
            chunks in proptest::collection::vec("[a-c\n]{0,30}", 0..20),
        ) {
            let mut taken = Taken::default();
            let mut lines = Lines::new(MAX);
            for chunk in &chunks {
                lines.push(chunk.as_bytes(), &mut taken);
            }
            lines.finish(&mut taken);
            prop_assert_eq!(taken, expected(chunks.concat().as_bytes()));
        }
    }

    #[test]
    fn more_lines_than_a_batch_keep_their_places() {
        let bytes = b"ab\n\n".repeat(3 * BATCH_LINES);
        let mut taken = Taken::default();
        Lines::new(MAX).push(&bytes, &mut taken);
        assert_eq!(taken, expected(&bytes));
    }

    #[test]
    fn a_line_without_end_is_counted_and_not_kept() {
        let mut taken = Taken::default();
        let mut lines = Lines::new(MAX);
        for _ in 0..100_000 {
            lines.push(b"endless", &mut taken);
        }
        assert!(lines.carry.capacity() <= 2 * MAX, "{} bytes are kept", lines.carry.capacity());
        lines.push(b"\nab\n", &mut taken);
        assert_eq!(taken.too_long, [(0, 700_000)]);
        assert_eq!(taken.lines, [(700_001, b"ab".to_vec())]);
    }
}
