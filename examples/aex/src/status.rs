//! What the process says of itself at `/health`.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lifeboat_ledger::Holder;
use serde_json::{Map, Value, json};

/// How far a stream is, and with the least of its streams the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// It will not serve again by itself.
    Stopped,
    /// Nothing is read yet.
    Starting,
    /// It reads the log from the beginning: at the start, and again after it lost the pen.
    Replaying,
    /// It has read the log and follows it, until an `open` gives it the pen.
    WaitingForOpen,
    /// It has the pen.
    Serving,
}

/// One stream's part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamStatus {
    /// How far it is.
    pub mode: Mode,
    /// The last sequence that was applied.
    pub seq: u64,
    /// The epoch for which the stream is open, if it is.
    pub open_epoch: Option<u64>,
    /// Why it does not serve.
    pub reason: Option<String>,
}

/// The status of all streams, shared by whoever reports or asks.
#[derive(Debug)]
pub struct Status {
    side: Holder,
    epoch: Option<u64>,
    streams: Mutex<BTreeMap<String, StreamStatus>>,
}

impl Status {
    /// Every stream is starting.
    pub fn new(side: Holder, epoch: Option<u64>, streams: impl IntoIterator<Item = String>) -> Status {
        let starting = StreamStatus { mode: Mode::Starting, seq: 0, open_epoch: None, reason: None };
        let streams = streams.into_iter().map(|stream| (stream, starting.clone())).collect();
        Status { side, epoch, streams: Mutex::new(streams) }
    }

    /// Notes how far `stream` is. Returns the mode of the whole process if this changed it.
    pub fn set(&self, stream: &str, status: StreamStatus) -> Option<Mode> {
        let mut streams = self.lock();
        let before = least(&streams);
        streams.insert(stream.to_owned(), status);
        let after = least(&streams);
        (after != before).then_some(after)
    }

    /// How far `stream` is.
    pub fn stream(&self, stream: &str) -> Option<StreamStatus> {
        self.lock().get(stream).cloned()
    }

    /// The mode of the whole process: that of its least stream.
    pub fn mode(&self) -> Mode {
        least(&self.lock())
    }

    /// The last sequence applied, by stream.
    pub fn through(&self) -> Value {
        self.lock()
            .iter()
            .map(|(stream, status)| (stream.clone(), json!(status.seq)))
            .collect::<Map<_, _>>()
            .into()
    }

    /// The epoch that this side was launched under, or else the newest that it found open.
    pub fn epoch(&self) -> Option<u64> {
        self.epoch.or_else(|| self.lock().values().filter_map(|status| status.open_epoch).max())
    }

    /// The body of `/health`.
    pub fn health(&self) -> Value {
        let epoch = self.epoch();
        let streams = self.lock();
        let mut body = json!({
            "mode": least(&streams),
            "side": self.side,
            "epoch": epoch,
            "streams": streams.iter().map(|(stream, status)| {
                (stream.clone(), json!({ "seq": status.seq, "open_epoch": status.open_epoch, "mode": status.mode }))
            }).collect::<Map<_, _>>(),
        });
        if let Some(reason) = streams.values().find_map(|status| status.reason.as_ref()) {
            body["reason"] = json!(reason);
        }
        body
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, StreamStatus>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn least(streams: &BTreeMap<String, StreamStatus>) -> Mode {
    streams.values().map(|status| status.mode).min().unwrap_or(Mode::Stopped)
}
