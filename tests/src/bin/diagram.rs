//! Prints the state machine's diagram and tables, or writes them into the documents that show them.

use std::process::ExitCode;

use clap::Parser;
use lifeboat_tests::definition::Definition;
use lifeboat_tests::diagram;

/// Makes the state machine's diagram and tables from its definition.
#[derive(Debug, Parser)]
#[command(name = "diagram")]
struct Args {
    /// Renew them in statemachine/README.md and README.md; without it they are printed.
    #[arg(long)]
    write: bool,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            anstream::eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), String> {
    let definition = Definition::read().map_err(|why| format!("the definition cannot be read: {why}"))?;
    let parts = diagram::parts(&definition);
    if !args.write {
        for part in parts.values() {
            println!("{part}\n");
        }
        return Ok(());
    }
    for path in diagram::files() {
        let at = path.display();
        let old = std::fs::read_to_string(&path).map_err(|why| format!("{at}: {why}"))?;
        let new = diagram::renewed(&old, &parts).map_err(|why| format!("{at}: {why}"))?;
        if new != old {
            std::fs::write(&path, new).map_err(|why| format!("{at}: {why}"))?;
            anstream::eprintln!("renewed {at}");
        }
    }
    Ok(())
}
