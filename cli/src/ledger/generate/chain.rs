//! One stream's lines, each linked to the one before.

use std::io::Write as _;

use sha2::{Digest, Sha256};

use super::random::Random;
use super::schedule::Step;
use super::{ENTRY_BYTES_STRAY, End, Names};

const SYMBOLS: [&str; 8] = ["AEXA", "BOND", "CRUD", "DAXF", "EURO", "FTSE", "GOLD", "HANG"];
/// What fills a line up to its length.
const MEMO: &str = r#","memo":""#;
/// When the first entry was written: 2026-01-01, in microseconds.
const BEGAN_AT: u64 = 1_767_225_600_000_000;

/// The end of a stream that is being written.
#[derive(Clone)]
pub(super) struct Chain {
    stream: String,
    /// `{"stream":"ME1","seq":`
    to_seq: String,
    /// `,"prev":"`
    to_prev: Option<String>,
    /// `,"epoch":`
    to_epoch: Option<String>,
    /// `,"control":`
    to_control: Option<String>,
    entry_bytes: usize,
    random: Random,
    next_seq: u64,
    head: [u8; 64],
    epoch: u64,
    at: u64,
}

impl Chain {
    pub(super) fn new(stream: &str, names: &Names, entry_bytes: usize, seed: u64) -> Chain {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let control = names.control.as_ref();
        Chain {
            stream: stream.to_owned(),
            to_seq: format!("{{{}:{},{}:", quoted(&names.stream), quoted(stream), quoted(&names.seq)),
            to_prev: names.prev.as_ref().map(|name| format!(",{}:\"", quoted(name))),
            to_epoch: control.map(|names| format!(",{}:", quoted(&names.epoch))),
            to_control: control.map(|names| format!(",{}:", quoted(&names.control))),
            entry_bytes,
            random: Random::new(seed),
            next_seq: 1,
            head: [b'0'; 64],
            epoch: 0,
            at: BEGAN_AT,
        }
    }

    pub(super) fn stream(&self) -> &str {
        &self.stream
    }

    pub(super) fn next_seq(&self) -> u64 {
        self.next_seq
    }

    pub(super) fn end(&self) -> End {
        let head = String::from_utf8_lossy(&self.head).into_owned();
        End { stream: self.stream.clone(), through: self.next_seq - 1, head }
    }

    /// Appends the next entry of data, newline included.
    pub(super) fn data(&mut self, out: &mut Vec<u8>) {
        let start = self.write_data(out);
        self.finish_line(out, start);
    }

    /// The same with the line, newline excluded, changed before it is hashed: the change becomes history.
    pub(super) fn data_with(&mut self, out: &mut Vec<u8>, change: impl FnOnce(&Chain, &mut Vec<u8>)) {
        let start = self.write_data(out);
        let mut line = out.split_off(start);
        change(self, &mut line);
        out.append(&mut line);
        self.finish_line(out, start);
    }

    fn write_data(&mut self, out: &mut Vec<u8>) -> usize {
        let start = self.begin_line(out);
        if let Some(to_epoch) = &self.to_epoch {
            out.extend_from_slice(to_epoch.as_bytes());
            number(out, self.epoch);
        }
        let drawn = self.random.next();
        self.at += drawn % 1_000;
        let symbol = SYMBOLS[(drawn >> 10) as usize % SYMBOLS.len()];
        let _ = write!(
            out,
            r#","sym":"{symbol}","px":{},"qty":{},"buy":{},"sell":{},"at":{}"#,
            10_000 + (drawn >> 13) % 80_000,
            100 * (1 + (drawn >> 30) % 90),
            10_000_000 + (drawn >> 37) % 80_000_000,
            10_000_000 + (drawn >> 20) % 80_000_000,
            self.at,
        );
        let wanted =
            self.entry_bytes - ENTRY_BYTES_STRAY + (drawn >> 50) as usize % (2 * ENTRY_BYTES_STRAY + 1);
        let length = out.len() - start + MEMO.len() + "\"}".len();
        if wanted >= length {
            out.extend_from_slice(MEMO.as_bytes());
            out.resize(out.len() + wanted - length, b'a' + (drawn % 26) as u8);
            out.push(b'"');
        }
        out.push(b'}');
        start
    }

    /// Appends one control entry, newline included.
    pub(super) fn control(&mut self, out: &mut Vec<u8>, step: Step) {
        let Some(to_control) = self.to_control.clone() else { return };
        let start = self.begin_line(out);
        out.extend_from_slice(to_control.as_bytes());
        let _ = match step {
            Step::Open { epoch } => {
                self.epoch = epoch;
                let holder = if epoch % 2 == 1 { "primary" } else { "recovery" };
                write!(out, r#"{{"open":{{"epoch":{epoch},"holder":"{holder}","run":"run-{epoch}"}}}}}}"#)
            }
            Step::Seal { epoch } => write!(out, r#"{{"seal":{{"epoch":{epoch},"run":"run-{epoch}"}}}}}}"#),
            Step::Data { .. } => return,
        };
        self.finish_line(out, start);
    }

    /// What `write` writes is written under `epoch`, whoever has the pen.
    pub(super) fn under_epoch(&mut self, epoch: u64, write: impl FnOnce(&mut Chain)) {
        let own = std::mem::replace(&mut self.epoch, epoch);
        write(self);
        self.epoch = own;
    }

    /// The epoch that is written under.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// A history that parts from this one here: what it writes next differs.
    pub(super) fn forked(&self) -> Chain {
        let mut fork = self.clone();
        fork.random = Random::new(fork.random.next() ^ 0xf0_2c);
        fork
    }

    /// The byte behind the stream's name in a line.
    pub(super) fn behind_stream(&self) -> usize {
        self.to_seq.rfind("\",").unwrap_or_default()
    }

    /// The byte behind the sequence in the line that is being written.
    pub(super) fn behind_seq(&self) -> usize {
        self.to_seq.len() + self.next_seq.to_string().len()
    }

    /// The first digit of the hash in the line that is being written.
    pub(super) fn at_prev(&self) -> Option<usize> {
        Some(self.behind_seq() + self.to_prev.as_ref()?.len())
    }

    fn begin_line(&mut self, out: &mut Vec<u8>) -> usize {
        let start = out.len();
        out.extend_from_slice(self.to_seq.as_bytes());
        number(out, self.next_seq);
        if let Some(to_prev) = &self.to_prev {
            out.extend_from_slice(to_prev.as_bytes());
            out.extend_from_slice(&self.head);
            out.push(b'"');
        }
        start
    }

    fn finish_line(&mut self, out: &mut Vec<u8>, start: usize) {
        let digest = Sha256::digest(&out[start..]);
        hex::encode_to_slice(digest, &mut self.head).expect("32 bytes are 64 digits");
        out.push(b'\n');
        self.next_seq += 1;
    }
}

fn number(out: &mut Vec<u8>, number: u64) {
    // Writing to a vector does not fail.
    let _ = write!(out, "{number}");
}
