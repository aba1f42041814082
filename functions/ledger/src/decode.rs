//! Compressed objects. The key of a segment is its slot, so it says nothing of compression: the first bytes do.
//!
//! Memory is bounded whatever an object decodes to: the decoded bytes are handed on in pieces of [`PIECE_BYTES`].

use std::borrow::Cow;

use flate2::{Decompress, FlushDecompress, Status};
use zstd::stream::raw::{DParameter, InBuffer, Operation, OutBuffer};

use crate::entry::Fault;

/// How many decoded bytes are handed on at once, at most.
const PIECE_BYTES: usize = 128 * 1024;

/// Zstandard frames may ask for a window of this many bytes, as a power of two: 8 MiB, what RFC 8878 recommends that every
/// decoder takes. Levels up to 19 stay within it.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// The decoder's own words are left out here and below: they depend on how the bytes were cut.
const DAMAGED_GZIP: &str = "the gzip stream is damaged, or other bytes stand behind it";

/// Why the bytes of an object could not be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Undecodable {
    /// The compressed bytes are damaged or cut off.
    Damaged(String),
    /// They may be sound, but ask for more memory than a reader gives.
    TooLarge(String),
}

impl From<Undecodable> for Fault {
    fn from(why: Undecodable) -> Fault {
        match why {
            Undecodable::Damaged(what) | Undecodable::TooLarge(what) => Fault::new(what),
        }
    }
}

/// The decoded bytes of a whole, small object: itself if it is not compressed.
///
/// # Errors
/// Damaged or cut-off compression, or more than `bytes_max` decoded bytes.
pub fn decoded(bytes: &[u8], bytes_max: usize) -> Result<Cow<'_, [u8]>, Fault> {
    let too_many = || Fault::new(format!("the object decodes to more than {bytes_max} bytes"));
    if Coding::of(bytes) == Some(Coding::Plain) {
        return if bytes.len() > bytes_max { Err(too_many()) } else { Ok(Cow::Borrowed(bytes)) };
    }
    let mut whole = Whole { bytes: Vec::new(), bytes_max, over: false };
    let mut decoder = Decoder::default();
    // A few bytes at a time, so that a small object that decodes without end is given up on.
    for few in bytes.chunks(1024) {
        decoder.push(few, &mut |piece| whole.take(piece))?;
        if whole.over {
            return Err(too_many());
        }
    }
    decoder.finish(&mut |piece| whole.take(piece))?;
    if whole.over { Err(too_many()) } else { Ok(Cow::Owned(whole.bytes)) }
}

/// Decoded bytes, up to a bound.
struct Whole {
    bytes: Vec<u8>,
    bytes_max: usize,
    over: bool,
}

impl Whole {
    fn take(&mut self, piece: &[u8]) {
        self.over |= self.bytes.len() + piece.len() > self.bytes_max;
        if !self.over {
            self.bytes.extend_from_slice(piece);
        }
    }
}

/// How the bytes of an object are coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Plain,
    Gzip,
    Zstd,
}

/// How many bytes tell every coding.
const MAGIC_BYTES: usize = 4;

impl Coding {
    /// What the first bytes of an object say; `None` where more of them are needed.
    fn of(first: &[u8]) -> Option<Coding> {
        const GZIP: &[u8] = b"\x1f\x8b";
        const ZSTD: &[u8] = b"\x28\xb5\x2f\xfd";
        // A skippable frame, which may stand before the first that holds data.
        const SKIPPABLE: &[u8] = b"\x2a\x4d\x18";
        let begins = |magic: &[u8]| first.starts_with(magic);
        let might_begin = |magic: &[u8]| magic.starts_with(first);
        match first {
            _ if begins(GZIP) => Some(Coding::Gzip),
            _ if begins(ZSTD) => Some(Coding::Zstd),
            [b'\x50'..=b'\x5f', rest @ ..] if rest.starts_with(SKIPPABLE) => Some(Coding::Zstd),
            [b'\x50'..=b'\x5f', rest @ ..] if SKIPPABLE.starts_with(rest) => None,
            _ if might_begin(GZIP) || might_begin(ZSTD) => None,
            _ => Some(Coding::Plain),
        }
    }
}

/// Turns an object's bytes, as they arrive, into its decoded bytes.
#[derive(Default)]
pub(crate) struct Decoder {
    /// The first bytes, until they tell the coding.
    first: Vec<u8>,
    state: State,
}

#[derive(Default)]
enum State {
    #[default]
    Undecided,
    Plain,
    Gzip(Box<Gzip>),
    Zstd(Box<Zstd>),
}

impl Decoder {
    /// Takes the next bytes of the object and hands on what they decode to.
    ///
    /// # Errors
    /// The compression is damaged, or asks for too much memory. Nothing more may be pushed then.
    pub(crate) fn push(&mut self, mut bytes: &[u8], out: &mut impl FnMut(&[u8])) -> Result<(), Undecodable> {
        if matches!(self.state, State::Undecided) {
            if self.first.is_empty()
                && let Some(coding) = Coding::of(bytes)
            {
                self.state = State::of(coding)?;
            } else {
                while matches!(self.state, State::Undecided) {
                    let Some((byte, rest)) = bytes.split_first() else { return Ok(()) };
                    self.first.push(*byte);
                    bytes = rest;
                    if let Some(coding) = Coding::of(&self.first) {
                        self.state = State::of(coding)?;
                    }
                }
                debug_assert!(self.first.len() <= MAGIC_BYTES);
                let first = std::mem::take(&mut self.first);
                self.state.push(&first, out)?;
            }
        }
        self.state.push(bytes, out)
    }

    /// The object has ended.
    ///
    /// # Errors
    /// The compression is cut off.
    pub(crate) fn finish(self, out: &mut impl FnMut(&[u8])) -> Result<(), Undecodable> {
        let cut_off = |what: &str| Err(Undecodable::Damaged(format!("the {what} stream is cut off")));
        match self.state {
            State::Undecided => {
                if !self.first.is_empty() {
                    out(&self.first);
                }
                Ok(())
            }
            State::Gzip(gzip) if gzip.in_member => cut_off("gzip"),
            State::Zstd(zstd) if zstd.in_frame => cut_off("zstd"),
            State::Plain | State::Gzip(_) | State::Zstd(_) => Ok(()),
        }
    }
}

impl State {
    fn of(coding: Coding) -> Result<State, Undecodable> {
        Ok(match coding {
            Coding::Plain => State::Plain,
            Coding::Gzip => State::Gzip(Box::new(Gzip::new())),
            Coding::Zstd => State::Zstd(Box::new(Zstd::new()?)),
        })
    }

    fn push(&mut self, bytes: &[u8], out: &mut impl FnMut(&[u8])) -> Result<(), Undecodable> {
        match self {
            State::Undecided => Ok(()),
            State::Plain => {
                if !bytes.is_empty() {
                    out(bytes);
                }
                Ok(())
            }
            State::Gzip(gzip) => gzip.push(bytes, out),
            State::Zstd(zstd) => zstd.push(bytes, out),
        }
    }
}

/// A gzip file: one member or more, one behind the other.
struct Gzip {
    inflate: Decompress,
    in_member: bool,
    piece: Vec<u8>,
}

impl Gzip {
    fn new() -> Gzip {
        Gzip { inflate: Decompress::new_gzip(15), in_member: false, piece: vec![0; PIECE_BYTES] }
    }

    fn push(&mut self, mut bytes: &[u8], out: &mut impl FnMut(&[u8])) -> Result<(), Undecodable> {
        loop {
            if !self.in_member {
                if bytes.is_empty() {
                    return Ok(());
                }
                self.inflate.reset(true);
                self.in_member = true;
            }
            let (read, wrote) = (self.inflate.total_in(), self.inflate.total_out());
            let status = self
                .inflate
                .decompress(bytes, &mut self.piece, FlushDecompress::None)
                .map_err(|_| Undecodable::Damaged(DAMAGED_GZIP.into()))?;
            // Both are at most the length of a slice.
            let read = (self.inflate.total_in() - read) as usize;
            let wrote = (self.inflate.total_out() - wrote) as usize;
            bytes = &bytes[read..];
            if wrote > 0 {
                out(&self.piece[..wrote]);
            }
            if status == Status::StreamEnd {
                self.in_member = false;
            } else if wrote < self.piece.len() {
                if bytes.is_empty() {
                    return Ok(());
                }
                if read == 0 && wrote == 0 {
                    return Err(Undecodable::Damaged(DAMAGED_GZIP.into()));
                }
            }
        }
    }
}

/// A Zstandard file: one frame or more, one behind the other.
struct Zstd {
    context: zstd::stream::raw::Decoder<'static>,
    in_frame: bool,
    piece: Vec<u8>,
}

impl Zstd {
    fn new() -> Result<Zstd, Undecodable> {
        let context = zstd::stream::raw::Decoder::new().and_then(|mut context| {
            context.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX))?;
            Ok(context)
        });
        match context {
            Ok(context) => Ok(Zstd { context, in_frame: false, piece: vec![0; PIECE_BYTES] }),
            Err(err) => Err(Undecodable::TooLarge(format!("no zstd decoder could be had: {err}"))),
        }
    }

    fn push(&mut self, bytes: &[u8], out: &mut impl FnMut(&[u8])) -> Result<(), Undecodable> {
        let (mut read, mut full) = (0, false);
        // Without input there is more to come only inside a frame, and only if the last piece was full.
        while read < bytes.len() || (full && self.in_frame) {
            // The first byte of a frame goes alone. The library takes a whole small frame in one step without a look at its
            // window, and how an object is cut must change nothing.
            let end = if self.in_frame { bytes.len() } else { read + 1 };
            let mut input = InBuffer::around(&bytes[read..end]);
            let mut output = OutBuffer::around(self.piece.as_mut_slice());
            let hint = self.context.run(&mut input, &mut output).map_err(|err| undecodable_zstd(&err))?;
            self.in_frame = hint > 0;
            read += input.pos();
            let wrote = output.pos();
            full = wrote == self.piece.len();
            if wrote > 0 {
                out(&self.piece[..wrote]);
            }
        }
        Ok(())
    }
}

fn undecodable_zstd(err: &std::io::Error) -> Undecodable {
    let what = err.to_string();
    // The library has words for its errors, and no codes.
    if what.contains("too much memory") {
        Undecodable::TooLarge(format!(
            "the zstd stream asks for a window of more than {} MiB: compress it with level 19 or lower, and no `--long`",
            1 << (ZSTD_WINDOW_LOG_MAX - 20)
        ))
    } else {
        Undecodable::Damaged("the zstd stream is damaged, or other bytes stand behind it".into())
    }
}

#[cfg(test)]
mod tests;
