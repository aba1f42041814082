//! Exit codes. 0 to 4 are the outcomes of a run, for the commands that wait for one; from 64 on they are those of
//! `sysexits.h`, which leave the low numbers alone.

use std::process::ExitCode;

/// How a command ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Exit {
    /// Done, or done already.
    #[default]
    Done = 0,
    /// The ledger has a gap, a fork or a bad hash (`Broken`, as a run has it). Of a replay: something comes out otherwise.
    Broken = 1,
    /// The ledger could not be proven (`Unproven`). Of a replay: a run cannot be decided again.
    Unproven = 2,
    /// A person has to decide, and what is said (`Halted`).
    Halted = 3,
    /// Somebody newer acts (`Superseded`).
    Superseded = 4,
    /// The command line is wrong.
    Usage = 64,
    /// The plan or a template is wrong.
    PlanInvalid = 65,
    /// A file or an object cannot be read.
    NoInput = 66,
    /// AWS refuses: no permission, no such bucket.
    Refused = 69,
    /// A defect of Lifeboat.
    Defect = 70,
    /// A file or a folder cannot be written.
    NotWritten = 73,
    /// AWS did not answer, or asks to come back; the same command again is safe.
    TryAgain = 75,
}

impl Exit {
    /// All of them, by number.
    pub const ALL: [Exit; 12] = [
        Exit::Done,
        Exit::Broken,
        Exit::Unproven,
        Exit::Halted,
        Exit::Superseded,
        Exit::Usage,
        Exit::PlanInvalid,
        Exit::NoInput,
        Exit::Refused,
        Exit::Defect,
        Exit::NotWritten,
        Exit::TryAgain,
    ];

    /// What `--help` says about the codes.
    pub(crate) const HELP: &str = "\
Exit codes:
  0   done, or done already
  1   the ledger is broken; what and where is told, and nothing was changed
  2   the ledger could not be proven; why is told, and nothing was changed
  3   a person has to decide; nothing was changed that the message does not name
  4   somebody newer acts; nothing was changed that the message does not name
  64  the command line is wrong
  65  the plan or a template is wrong; each problem is told with file and line
  66  a file or an object cannot be read
  69  AWS refuses: no permission, no such bucket
  70  a defect of Lifeboat
  73  a file or a folder cannot be written
  75  AWS did not answer; the same command again is safe";
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
