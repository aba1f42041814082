//! A store that keeps one object and lets of two conditional puts one win.

use lifeboat_ledger::Holder;
use lifeboat_ledger::lease::{Lease, LeaseWriter};

/// One object with an entity tag, compared and replaced.
pub struct Store {
    pub bytes: Vec<u8>,
    version: u64,
}

impl Store {
    pub fn new(lease: &Lease) -> Store {
        Store { bytes: lease.to_bytes(), version: 1 }
    }

    pub fn etag(&self) -> String {
        self.version.to_string()
    }

    pub fn put(&mut self, if_match: &str, bytes: &[u8]) -> Option<String> {
        if self.etag() != if_match {
            return None;
        }
        self.bytes = bytes.to_vec();
        self.version += 1;
        Some(self.etag())
    }

    pub fn lease(&self) -> Lease {
        Lease::parse("ME1", &self.bytes).unwrap()
    }

    pub fn writer(&self, side: Holder, epoch: Option<u64>) -> LeaseWriter {
        LeaseWriter::new(self.lease(), self.etag(), side, epoch)
    }

    pub fn replace(&mut self, lease: &Lease) {
        let etag = self.etag();
        self.put(&etag, &lease.to_bytes()).unwrap();
    }
}
