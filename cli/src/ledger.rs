//! `lifeboat ledger`: a ledger on its own, without a plan and without the Lambdas, on an auditor's laptop.

pub mod generate;
mod make;
mod place;
mod tail;
mod verify;

use crate::args::LedgerCommand;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Report;

pub(crate) fn run(command: &LedgerCommand) -> Result<Report, Failure> {
    match command {
        LedgerCommand::Verify(args) => verify::run(args),
        LedgerCommand::Tail(args) => tail::run(args),
        LedgerCommand::Generate(args) => make::run(args),
    }
}

/// The command line asks for what does not go together.
fn usage(what: impl Into<String>) -> Failure {
    Failure::new(Exit::Usage, what, "run the command with --help")
}
