//! Prints what each step of a run calls and needs, or writes it into the page that shows it.

use std::process::ExitCode;

use clap::Parser;
use lifeboat_tests::definition::Definition;
use lifeboat_tests::independence::{self, Independence};
use lifeboat_tests::{command, page, template, world::places};

/// Derives what each step of a run calls, in which Region, from the definition, the sources and the template.
#[derive(Debug, Parser)]
#[command(name = "independence")]
struct Args {
    /// Renew the tables in statemachine/INDEPENDENCE.md; without it they are printed.
    #[arg(long)]
    write: bool,
}

fn main() -> ExitCode {
    command::told(run(&Args::parse()))
}

fn run(args: &Args) -> Result<(), String> {
    let definition = Definition::read().map_err(|why| format!("the definition cannot be read: {why}"))?;
    let template = template::read(&places::repository().join("infra/orchestrator.yaml"))
        .map_err(|why| format!("the template cannot be read: {why}"))?;
    let sources = independence::read_sources(&lifeboat_tests::FUNCTIONS)
        .map_err(|why| format!("the sources cannot be read: {why}"))?;
    let found = Independence::derive(&definition, &template, &sources)?;
    for blind in found.blind_spots() {
        anstream::eprintln!("not seen: {blind}");
    }
    page::print_or_write(&independence::parts(&found), &[independence::path()], args.write)
}
