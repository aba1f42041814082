//! Text that is expected at a place of a line. Names are short, so it is compared as one number rather than by a call.

const HEAD_BYTES: usize = 16;

/// An expected text.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    /// Its first bytes, and which of them there are.
    head: u128,
    mask: u128,
    head_bytes: usize,
    /// The rest of it, rarely any.
    tail: Vec<u8>,
}

impl Piece {
    pub(super) fn new(text: &[u8]) -> Piece {
        let (head, tail) = text.split_at(text.len().min(HEAD_BYTES));
        let mask = number(&head.iter().map(|_| 0xff).collect::<Vec<u8>>());
        Piece { head: number(head), mask, head_bytes: head.len(), tail: tail.to_vec() }
    }

    /// The place behind the text, if it stands at `at`. The line has no zero bytes.
    #[inline]
    pub(super) fn behind(&self, line: &[u8], at: usize) -> Option<usize> {
        let here = line.get(at..)?;
        let head = here.first_chunk().map_or_else(|| number(here), |bytes| u128::from_le_bytes(*bytes));
        if (head ^ self.head) & self.mask != 0 {
            return None;
        }
        let behind = at + self.head_bytes;
        if self.tail.is_empty() {
            return Some(behind);
        }
        line[behind..].starts_with(&self.tail).then_some(behind + self.tail.len())
    }
}

/// At most sixteen bytes, and zeros behind them.
fn number(bytes: &[u8]) -> u128 {
    let mut all = [0; HEAD_BYTES];
    all[..bytes.len()].copy_from_slice(bytes);
    u128::from_le_bytes(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_is_found_where_it_stands_and_nowhere_else() {
        let line = b"abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz";
        for start in 0..26 {
            for end in start..=line.len() {
                let piece = Piece::new(&line[start..end]);
                for at in 0..=line.len() + 1 {
                    let stands = line.get(at..).is_some_and(|here| here.starts_with(&line[start..end]));
                    let expected = stands.then_some(at + (end - start));
                    assert_eq!(piece.behind(line, at), expected, "{start} to {end} at {at}");
                }
            }
        }
    }
}
