//! The one place where the local world reads the clock of the wall.

/// Now, for names of run folders and lines of logs; nothing is decided by it.
#[expect(clippy::disallowed_methods, reason = "the edge: logs and run folders are named by wall clock time")]
pub fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}
