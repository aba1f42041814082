//! The client's memory on disk: one line of JSON for each order sent and each acknowledgement, append-only.

use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::Duration;

use serde_json::Value;

/// Lines that may wait for the disk. At the limit the client waits: it must not trade on what it cannot remember.
const QUEUE_MAX: usize = 65_536;
const FLUSH_EVERY: Duration = Duration::from_millis(200);

enum Work {
    Line(Value),
    Flush(SyncSender<()>),
}

/// The journal. A thread of its own writes it, so that no order waits for the disk.
#[derive(Debug)]
pub(super) struct Journal {
    work: SyncSender<Work>,
}

impl Journal {
    pub fn open(path: &Path) -> io::Result<Journal> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let (work, queue) = mpsc::sync_channel(QUEUE_MAX);
        thread::Builder::new().name("aex-client-journal".into()).spawn(move || {
            write_all(&queue, &mut BufWriter::new(file)).expect("the client's journal can be written");
        })?;
        Ok(Journal { work })
    }

    pub fn write(&self, line: Value) {
        self.work.send(Work::Line(line)).expect("the journal's thread lives");
    }

    /// Returns when everything written so far has been handed to the file system.
    pub fn flush(&self) {
        let (done, wait) = mpsc::sync_channel(1);
        self.work.send(Work::Flush(done)).expect("the journal's thread lives");
        wait.recv().expect("the journal's thread lives");
    }
}

fn write_all(queue: &Receiver<Work>, file: &mut impl Write) -> io::Result<()> {
    loop {
        match queue.recv_timeout(FLUSH_EVERY) {
            Ok(Work::Line(line)) => writeln!(file, "{line}")?,
            Ok(Work::Flush(done)) => {
                file.flush()?;
                // Whoever asked may have gone.
                let _ = done.send(());
            }
            Err(RecvTimeoutError::Timeout) => file.flush()?,
            Err(RecvTimeoutError::Disconnected) => return file.flush(),
        }
    }
}
