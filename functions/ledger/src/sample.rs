//! Ledgers for the tests of this crate.

use crate::Hash;

/// Makes the lines of one stream, each chained to the one before.
#[derive(Clone, Debug)]
pub(crate) struct Chain {
    pub(crate) stream: String,
    pub(crate) next_seq: u64,
    pub(crate) head: Hash,
}

impl Chain {
    /// A stream whose first entry is `first_seq`.
    pub(crate) fn new(stream: &str, first_seq: u64) -> Chain {
        Chain { stream: stream.into(), next_seq: first_seq, head: Hash::GENESIS }
    }

    /// The next line, with its newline; `rest` are the fields behind `prev`, each with a comma before it.
    pub(crate) fn line(&mut self, rest: &str) -> Vec<u8> {
        let Chain { stream, next_seq, head } = self;
        let line = format!(r#"{{"stream":"{stream}","seq":{next_seq},"prev":"{head}"{rest}}}"#);
        *head = Hash::of(line.as_bytes());
        *next_seq += 1;
        (line + "\n").into_bytes()
    }

    /// So many lines without an epoch.
    pub(crate) fn lines(&mut self, count: usize) -> Vec<u8> {
        (0..count).flat_map(|number| self.line(&format!(r#","order":{number}"#))).collect()
    }

    /// So many lines under `epoch`.
    pub(crate) fn lines_under(&mut self, epoch: u64, count: usize) -> Vec<u8> {
        (0..count).flat_map(|number| self.line(&format!(r#","epoch":{epoch},"order":{number}"#))).collect()
    }

    /// An open for the primary.
    pub(crate) fn open(&mut self, epoch: u64) -> Vec<u8> {
        self.line(&format!(
            r#","control":{{"open":{{"epoch":{epoch},"holder":"primary","run":"r{epoch}"}}}}"#
        ))
    }

    /// A seal.
    pub(crate) fn seal(&mut self, epoch: u64) -> Vec<u8> {
        self.line(&format!(r#","control":{{"seal":{{"epoch":{epoch},"run":"r{epoch}"}}}}"#))
    }
}
