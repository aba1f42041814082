//! What can go wrong while the local world is brought up or used.

use std::path::PathBuf;
use std::time::Duration;

use super::deploy::StackFailure;
use super::prerequisites::Missing;

/// Why the local world could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// The machine lacks something; the text says what and how to get it.
    #[error("{0}")]
    Missing(Missing),
    /// A step failed, for the reason in its source.
    #[error("{what}")]
    Failed {
        /// What was being done.
        what: String,
        /// Why it failed.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A program that the world runs ended or never got ready.
    #[error("{what}; its log is {}, which ends:\n{}", log.display(), super::run_folder::tail(log))]
    Program {
        /// What happened.
        what: String,
        /// Where its output went.
        log: PathBuf,
    },
    /// Something that was waited for did not come in time.
    #[error("{what}: not within {} s", within.as_secs())]
    TooLate {
        /// What was waited for.
        what: String,
        /// The bound.
        within: Duration,
    },
    /// A stack was not made.
    #[error("{0}")]
    Stack(StackFailure),
}

impl WorldError {
    /// Wraps a failure with what was being done, and keeps the source.
    pub fn failed(
        what: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Failed { what: what.into(), source: source.into() }
    }
}

/// Adds what was being done to any error.
pub trait Doing<T> {
    /// Wraps the error with what was being done.
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, WorldError>;
}

impl<T, E: Into<Box<dyn std::error::Error + Send + Sync>>> Doing<T> for Result<T, E> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, WorldError> {
        self.map_err(|source| WorldError::failed(what(), source))
    }
}

/// The error and everything beneath it, on one line a cause: what a person needs to see.
pub fn explain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let line = cause.to_string();
        // Many errors already repeat their cause: say it once.
        if !text.contains(&line) {
            text.push_str("\n  because: ");
            text.push_str(&line);
        }
        next = cause.source();
    }
    text
}
