//! How long to wait before the same call again.

use std::time::Duration;

/// Doubles from `first` to `most`.
#[derive(Clone, Debug)]
pub struct Backoff {
    next: Duration,
    most: Duration,
}

impl Backoff {
    /// A wait of `first`, then twice that, and so on; never more than `most`.
    pub fn new(first: Duration, most: Duration) -> Backoff {
        Backoff { next: first, most }
    }

    /// The wait before the next try.
    pub fn step(&mut self) -> Duration {
        let now = self.next;
        self.next = (now * 2).min(self.most);
        now
    }
}

impl Default for Backoff {
    /// For calls to AWS: 50 ms to 2 s.
    fn default() -> Backoff {
        Backoff::new(Duration::from_millis(50), Duration::from_secs(2))
    }
}
