//! A quick reader for lines in the canonical layout, which is nearly every line of a ledger.
//!
//! The canonical layout is what [`crate::writer`] writes: `{"stream":"ME1","seq":7,"prev":"<64 digits>","epoch":3,` and the
//! application's fields, all without white space. Such a line is read in one pass and without allocation.
//!
//! Invariant: a line is either read exactly as [`crate::entry::parse_named`] reads it, or not at all. Whatever is
//! unusual gets `None`, never a guess, and the caller asks the strict reader: white space, escapes, bytes that are no
//! printable ASCII, fields of the format in another order, control entries, numbers that might overflow, deep nesting.

use crate::Hash;
use crate::format::{Format, Names};
use keys::{Keys, Scope};
use piece::Piece;
use text::Text;

mod keys;
mod piece;
mod plain;
mod text;

/// What a line in the canonical layout says. It is never a control entry, and its own hash is not computed here: see
/// [`Hash::of_many`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Canonical<'a> {
    /// The stream that the entry belongs to.
    pub stream: &'a str,
    /// Its place in the stream.
    pub seq: u64,
    /// The hash of the line before it; `None` in a ledger that writes none.
    pub prev: Option<Hash>,
    /// The writer's epoch.
    pub epoch: Option<u64>,
}

/// Reads lines in the canonical layout. Keeps the keys of a line for the next, which will most often have the same.
#[derive(Clone, Debug)]
pub struct LineReader {
    layout: Option<Layout>,
    quotes: Vec<u64>,
    keys: Keys,
}

/// The text around the format's own fields.
#[derive(Clone, Debug)]
struct Layout {
    before_stream: Piece,
    before_seq: Piece,
    before_prev: Option<Piece>,
    before_epoch: Option<Piece>,
    /// The names that no field of the application may have: that would be a second one, or out of its place.
    reserved: Scope,
}

impl LineReader {
    /// A reader of `format`'s lines. Names that JSON could write in more than one way (with escapes) make a reader
    /// that reads nothing.
    pub fn new(format: &Format) -> LineReader {
        let mut keys = Keys::default();
        let layout = Layout::new(&format.names, &mut keys);
        LineReader { layout, quotes: Vec::new(), keys }
    }

    /// Reads one line, given without its newline. `None` where the strict reader has to be asked, which may find the line
    /// good or bad. The line's length is the caller's to judge.
    pub fn read<'a>(&mut self, line: &'a [u8]) -> Option<Canonical<'a>> {
        let layout = self.layout.as_ref()?;
        if !plain::find_quotes(line, &mut self.quotes) {
            return None;
        }
        let text = Text { line, quotes: &self.quotes };
        let at = layout.before_stream.behind(line, 0)?;
        let (stream, at) = text.content(at)?;
        let at = layout.before_seq.behind(line, at)?;
        let (seq, at) = text.whole_number(at)?;
        let (prev, at) = match &layout.before_prev {
            Some(before) => {
                let (prev, at) = text.content(before.behind(line, at)?)?;
                (Some(Hash::from_hex_bytes(prev.try_into().ok()?)?), at)
            }
            None => (None, at),
        };
        let epoch_at = layout.before_epoch.as_ref().and_then(|before| before.behind(line, at));
        let (epoch, at) = match epoch_at {
            Some(at) => text.whole_number(at).map(|(epoch, at)| (Some(epoch), at))?,
            None => (None, at),
        };
        let end = match text.byte(at) {
            b'}' => at + 1,
            b',' => text.fields(at + 1, &mut self.keys, layout.reserved)?,
            _ => return None,
        };
        // The bytes are ASCII, so this never fails.
        let stream = std::str::from_utf8(stream).ok()?;
        (end == line.len()).then_some(Canonical { stream, seq, prev, epoch })
    }
}

impl Layout {
    fn new(names: &Names, keys: &mut Keys) -> Option<Layout> {
        let Names { stream, seq, prev, epoch, control } = names;
        let all = [Some(stream), Some(seq), prev.as_ref(), epoch.as_ref(), control.as_ref()];
        let mut reserved = Scope::default();
        for name in all.into_iter().flatten() {
            let mut quotes = Vec::new();
            let has_one_spelling = plain::find_quotes(name.as_bytes(), &mut quotes) && !name.contains('"');
            if !has_one_spelling || !keys.reserve(&mut reserved, name.as_bytes()) {
                return None;
            }
        }
        let piece = |text: String| Piece::new(text.as_bytes());
        Some(Layout {
            before_stream: piece(format!(r#"{{"{stream}":""#)),
            before_seq: piece(format!(r#","{seq}":"#)),
            before_prev: prev.as_ref().map(|prev| piece(format!(r#","{prev}":""#))),
            before_epoch: epoch.as_ref().map(|epoch| piece(format!(r#","{epoch}":"#))),
            reserved,
        })
    }
}

#[cfg(test)]
mod tests;
