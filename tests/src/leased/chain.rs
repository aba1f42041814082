//! What was delivered, and the chain of one stream back from the hash that its lease holds: everything that was acknowledged.
//! A map of hashes, written to be seen to be right, and slow.

use std::collections::{BTreeSet, HashMap, HashSet};

use lifeboat_ledger::Hash;
use lifeboat_rules::StepError;
use lifeboat_runtime::Store;
use serde::Deserialize;

/// Deliveries that are read; a bound against a listing that never ends.
const OBJECTS_MAX: usize = 100_000;

/// One line that was delivered.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Line {
    /// Its stream.
    pub stream: String,
    /// Its place.
    pub seq: u64,
    /// The hash of the line before it.
    pub prev: Hash,
    /// The epoch that it was written under.
    pub epoch: u64,
    /// The order that it holds; none in a heartbeat.
    #[serde(default)]
    pub client_order_id: Option<String>,
}

/// The chain ends too early: nobody has delivered the line that belongs here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("entry {seq}, which was acknowledged, was not delivered")]
pub struct Missing {
    /// Its sequence.
    pub seq: u64,
}

/// Every line that was delivered, by its hash.
#[derive(Clone, Debug, Default)]
pub struct Delivered {
    read: BTreeSet<String>,
    lines: HashMap<Hash, Line>,
}

impl Delivered {
    /// Reads the objects that have come since the last time.
    ///
    /// # Errors
    /// Where the store does not answer. What was read stays read.
    pub async fn read_on(&mut self, store: &Store, bucket: &str, prefix: &str) -> Result<(), StepError> {
        for object in store.list(bucket, prefix, OBJECTS_MAX).await? {
            if self.read.contains(&object.key) {
                continue;
            }
            let bytes = store.get(bucket, &object.key, None).await?.unwrap_or_default();
            self.take(&bytes);
            self.read.insert(object.key);
        }
        Ok(())
    }

    /// Takes the lines of one object; what is no line of this application is left out.
    pub fn take(&mut self, bytes: &[u8]) {
        for bytes in bytes.split(|byte| *byte == b'\n') {
            if let Ok(line) = serde_json::from_slice(bytes) {
                self.lines.insert(Hash::of(bytes), line);
            }
        }
    }

    /// The lines of `stream` from its first to `watermark`, whose hash is `head`.
    ///
    /// # Errors
    /// The newest that is not here.
    pub fn back(&self, stream: &str, watermark: u64, head: Hash) -> Result<Vec<&Line>, Missing> {
        let (mut chain, mut at) = (Vec::new(), head);
        for seq in (1..=watermark).rev() {
            let line = self.lines.get(&at).filter(|line| line.stream == stream && line.seq == seq);
            let line = line.ok_or(Missing { seq })?;
            chain.push(line);
            at = line.prev;
        }
        chain.reverse();
        if at == Hash::GENESIS { Ok(chain) } else { Err(Missing { seq: 0 }) }
    }

    /// Whether two lines of one place of `stream` and one epoch were delivered: a process has gone on from before what another
    /// had sent.
    pub fn is_branched(&self, stream: &str) -> bool {
        let mut places = HashSet::new();
        let of_stream = self.lines.values().filter(|line| line.stream == stream);
        !of_stream.map(|line| (line.seq, line.epoch)).all(|place| places.insert(place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(seq: u64, prev: Hash, epoch: u64) -> (Vec<u8>, Hash) {
        let line = format!(r#"{{"stream":"A","seq":{seq},"prev":"{prev}","epoch":{epoch}}}"#).into_bytes();
        let hash = Hash::of(&line);
        (line, hash)
    }

    #[test]
    fn the_chain_is_the_one_that_the_lease_names_and_not_the_longer_one() {
        let (first, head_1) = line(1, Hash::GENESIS, 1);
        let (second, head_2) = line(2, head_1, 2);
        let (other, other_2) = line(2, head_1, 1);
        let (longer, _) = line(3, other_2, 1);
        let mut delivered = Delivered::default();
        delivered.take(&[longer, other, first].join(&b'\n'));
        assert_eq!(delivered.back("A", 2, head_2), Err(Missing { seq: 2 }));
        delivered.take(&second);
        let chain = delivered.back("A", 2, head_2).unwrap();
        assert_eq!(chain.iter().map(|line| (line.seq, line.epoch)).collect::<Vec<_>>(), [(1, 1), (2, 2)]);
        assert!(!delivered.is_branched("A"), "lines of two epochs in one place");
        assert_eq!(delivered.back("B", 2, head_2), Err(Missing { seq: 2 }), "another stream's");
        assert_eq!(delivered.back("A", 1, head_2), Err(Missing { seq: 1 }), "another place");
    }

    #[test]
    fn a_process_that_goes_on_from_before_what_another_had_sent_branches_the_stream() {
        let (first, head_1) = line(1, Hash::GENESIS, 1);
        let (second, _) = line(2, head_1, 1);
        let (other, _) = line(2, Hash::of(b"another"), 1);
        let mut delivered = Delivered::default();
        delivered.take(&[first.clone(), second, first].join(&b'\n'));
        assert!(!delivered.is_branched("A"), "the same line twice");
        delivered.take(&other);
        assert!(delivered.is_branched("A") && !delivered.is_branched("B"));
    }

    #[test]
    fn a_chain_without_its_first_entry_is_not_whole() {
        let (_, head_1) = line(1, Hash::GENESIS, 1);
        let (second, head_2) = line(2, head_1, 1);
        let mut delivered = Delivered::default();
        delivered.take(&second);
        assert_eq!(delivered.back("A", 2, head_2), Err(Missing { seq: 1 }));
        assert_eq!(delivered.back("A", 0, Hash::GENESIS), Ok(vec![]));
    }
}
