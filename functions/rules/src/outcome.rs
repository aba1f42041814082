//! How a run ends.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The end of a run, which is the command line's exit code too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// The recovery side serves, on a proven ledger, and traffic reaches it.
    Recovered,
    /// The run ended by itself before the first seal: nothing was changed that is not undone.
    StoodDown,
    /// The run was not admitted; the reason is recorded.
    Refused,
    /// The ledger has a gap, a fork or a bad hash, and it is named. Nothing was flipped.
    Broken,
    /// The ledger could not be proven. Nothing was flipped.
    Unproven,
    /// A person is needed, and what for is said.
    Halted,
    /// A newer run acts.
    Superseded,
    /// Not of a run: a person has given the pen back to the primary.
    HandedBack,
}

impl Outcome {
    /// All outcomes of runs; a test holds the state machine's definition against them.
    pub const OF_RUNS: [Outcome; 7] = [
        Outcome::Recovered,
        Outcome::StoodDown,
        Outcome::Refused,
        Outcome::Broken,
        Outcome::Unproven,
        Outcome::Halted,
        Outcome::Superseded,
    ];

    /// The name in the state machine, the manifest and the report.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Recovered => "Recovered",
            Outcome::StoodDown => "StoodDown",
            Outcome::Refused => "Refused",
            Outcome::Broken => "Broken",
            Outcome::Unproven => "Unproven",
            Outcome::Halted => "Halted",
            Outcome::Superseded => "Superseded",
            Outcome::HandedBack => "HandedBack",
        }
    }

    /// The exit code of a command that waited for the run. 64 (wrong usage) and 70 (a defect) are not outcomes.
    pub fn exit_code(self) -> u8 {
        match self {
            Outcome::Recovered | Outcome::StoodDown | Outcome::Refused | Outcome::HandedBack => 0,
            Outcome::Broken => 1,
            Outcome::Unproven => 2,
            Outcome::Halted => 3,
            Outcome::Superseded => 4,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
