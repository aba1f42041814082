//! The one place where this crate reads the clock of the wall.

use jiff::Timestamp;

/// Now. Nothing is decided by it: it goes into log lines and entries, for people.
#[expect(clippy::disallowed_methods, reason = "the edge: everything else is given its time")]
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// `at` as RFC 3339 in UTC, to the millisecond.
pub fn rfc3339(at: Timestamp) -> String {
    format!("{at:.3}")
}
