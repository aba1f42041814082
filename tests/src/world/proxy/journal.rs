//! The call journal: in memory for assertions, and one JSON line a call in the run folder for people.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use jiff::Timestamp;
use serde::Serialize;

use super::call::Call;
use crate::world::clock;

/// A drill makes tens of thousands of calls; more than this is a loop gone wild, and the journal stops growing.
const RECORDS_MAX: usize = 2_000_000;

/// One call and what became of it.
#[derive(Debug, Clone, Serialize)]
pub struct Record {
    /// When it arrived.
    pub at: Timestamp,
    /// The call.
    #[serde(flatten)]
    pub call: Call,
    /// What the proxy did to it: `refused`, `throttled`, `answer lost`, `delayed`; none for a plain call.
    pub fault: Option<&'static str>,
    /// The status that the caller got; none when it got none (yet).
    pub status: Option<u16>,
    /// How long it took.
    pub millis: Option<u64>,
}

/// Remembers every call.
#[derive(Debug)]
pub struct Journal {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    records: Vec<Record>,
    file: File,
}

/// A call that has begun; it is written down when it is closed or dropped, whichever way it ends.
pub(super) struct Open<'a> {
    journal: &'a Journal,
    index: Option<usize>,
    began: Instant,
    pub(super) fault: Option<&'static str>,
    pub(super) status: Option<u16>,
}

impl Journal {
    pub(super) fn create(path: &Path) -> std::io::Result<Self> {
        Ok(Self { inner: Mutex::new(Inner { records: Vec::new(), file: File::create(path)? }) })
    }

    /// Notes that a call has arrived: it counts from now on, even if it never ends.
    pub(super) fn open(&self, call: Call) -> Open<'_> {
        let mut inner = self.lock();
        let index = (inner.records.len() < RECORDS_MAX).then(|| {
            inner.records.push(Record { at: clock::now(), call, fault: None, status: None, millis: None });
            inner.records.len() - 1
        });
        Open { journal: self, index, began: Instant::now(), fault: None, status: None }
    }

    /// All calls so far, in order of arrival.
    pub fn records(&self) -> Vec<Record> {
        self.lock().records.clone()
    }

    /// How many calls there were so far.
    pub(super) fn count(&self) -> usize {
        self.lock().records.len()
    }

    /// All calls behind the first `count`.
    pub(super) fn since(&self, count: usize) -> Vec<Record> {
        self.lock().records.get(count..).map(<[Record]>::to_vec).unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        let millis = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mut guard = self.journal.lock();
        let inner = &mut *guard;
        let Some(record) = self.index.and_then(|index| inner.records.get_mut(index)) else { return };
        record.fault = self.fault;
        record.status = self.status;
        record.millis = Some(millis);
        if let Ok(mut line) = serde_json::to_vec(record) {
            line.push(b'\n');
            // A full disk must not change what is under test; the journal in memory still has the call.
            let _ = inner.file.write_all(&line);
        }
    }
}
