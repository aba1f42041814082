//! Reading again and again in the background, and at once when somebody waits for it.

use std::future::Future;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::world::error::WorldError;

/// Who waits for a reading waits no longer: an emulator that answers at all has answered by then.
const FRESH_WITHIN: Duration = Duration::from_secs(120);

/// What is read.
pub(super) trait Read: Send + 'static {
    /// Reads it once and serves what it found.
    fn read(&mut self) -> impl Future<Output = Result<(), WorldError>> + Send;
}

/// How long nothing is read between two readings.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rest {
    /// So long at least.
    pub(super) at_least: Duration,
    /// And so many times as long as the reading took, for the emulator has other things to do.
    pub(super) times: u32,
}

/// Readings under way; they stop when it is dropped.
#[derive(Debug)]
pub(super) struct Poll {
    asked: watch::Sender<u64>,
    served: watch::Receiver<u64>,
    task: JoinHandle<()>,
}

impl Poll {
    /// Reads from now on.
    pub(super) fn start(mut what: impl Read, rest: Rest) -> Self {
        let (asked, mut asks) = watch::channel(0);
        let (serve, served) = watch::channel(0);
        let task = tokio::spawn(async move {
            loop {
                let asked = *asks.borrow_and_update();
                let began = Instant::now();
                // A reading that fails changes nothing: the last whole one stands.
                if what.read().await.is_ok() {
                    serve.send_replace(asked);
                }
                let rest = rest.at_least.max(began.elapsed() * rest.times);
                tokio::select! {
                    () = tokio::time::sleep(rest) => {}
                    // Only with the poll itself does its sender go.
                    _ = asks.changed() => {}
                }
            }
        });
        Self { asked, served, task }
    }

    /// Returns once a reading is served that began after this call, or after [`FRESH_WITHIN`].
    pub(super) async fn fresh(&self) {
        let mut enough = 0;
        self.asked.send_modify(|asked| {
            *asked += 1;
            enough = *asked;
        });
        let mut served = self.served.clone();
        // It ends early only when the server does, and then there is nothing to wait for.
        let _ = tokio::time::timeout(FRESH_WITHIN, served.wait_for(|served| *served >= enough)).await;
    }
}

impl Drop for Poll {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// Counts how often it was read; each reading of these numbers fails.
    struct Counted(Arc<AtomicU32>, &'static [u32]);

    impl Read for Counted {
        async fn read(&mut self) -> Result<(), WorldError> {
            let number = self.0.fetch_add(1, Ordering::SeqCst) + 1;
            match self.1.contains(&number) {
                true => Err(WorldError::failed("read", "this time")),
                false => Ok(()),
            }
        }
    }

    /// How often was read, once somebody has asked so many times.
    async fn read_when_asked(times: u32, failing: &'static [u32], at_least: Duration) -> u32 {
        let read = Arc::new(AtomicU32::new(0));
        let poll = Poll::start(Counted(Arc::clone(&read), failing), Rest { at_least, times: 0 });
        for _ in 0..times {
            let fresh = tokio::time::timeout(Duration::from_secs(10), poll.fresh());
            fresh.await.expect("a reading of now");
        }
        read.load(Ordering::SeqCst)
    }

    #[tokio::test]
    async fn who_asks_gets_a_reading_of_now_though_the_next_is_not_due() {
        assert_eq!(read_when_asked(3, &[], Duration::from_secs(3_600)).await, 3);
    }

    #[tokio::test]
    async fn a_reading_that_fails_is_none() {
        assert_eq!(read_when_asked(1, &[1, 2], Duration::from_millis(1)).await, 3);
    }
}
