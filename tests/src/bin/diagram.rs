//! Prints the state machine's diagram and tables, or writes them into the documents that show them.

use std::process::ExitCode;

use clap::Parser;
use lifeboat_tests::definition::Definition;
use lifeboat_tests::{command, diagram, page};

/// Makes the state machine's diagram and tables from its definition.
#[derive(Debug, Parser)]
#[command(name = "diagram")]
struct Args {
    /// Renew them in statemachine/README.md and README.md; without it they are printed.
    #[arg(long)]
    write: bool,
}

fn main() -> ExitCode {
    command::told(run(&Args::parse()))
}

fn run(args: &Args) -> Result<(), String> {
    let definition = Definition::read().map_err(|why| format!("the definition cannot be read: {why}"))?;
    page::print_or_write(&diagram::parts(&definition), &diagram::files(), args.write)
}
