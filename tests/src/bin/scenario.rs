//! Plays one scenario of `tests/scenarios`, with progress, and renews its transcript where it is told to.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use lifeboat_tests::command::{failed, parse, run};
use lifeboat_tests::scenario;

/// Plays one scenario on the local world and holds what happened against its transcript.
#[derive(Debug, Parser)]
#[command(
    name = "scenario",
    after_help = "Examples:
  cargo run -p lifeboat-tests --bin scenario -- alarm-flaps
  cargo run -p lifeboat-tests --bin scenario -- alarm-flaps --write

Exit codes: 0 it happened as expected, 1 it did not (the difference is printed), 64 wrong usage, 70 it could not be played."
)]
struct Args {
    /// The name of the scenario: its folder in tests/scenarios.
    name: String,
    /// Make what happens the expected transcript. Nothing is written where an order was lost or taken twice.
    #[arg(long)]
    write: bool,
    /// Play with the binaries that there are, without a build first.
    #[arg(long)]
    no_build: bool,
}

const OTHERWISE: u8 = 1;

fn main() -> ExitCode {
    let args: Args = match parse() {
        Ok(args) => args,
        Err(exit) => return exit,
    };
    run(!args.no_build, play(&args))
}

async fn play(args: &Args) -> ExitCode {
    let began = tokio::time::Instant::now();
    let report = Arc::new(move |line: &str| {
        anstream::eprintln!("{:6.1} s  {line}", began.elapsed().as_secs_f64());
    });
    let played = match scenario::play(&args.name, report).await {
        Ok(played) => played,
        Err(err) => return failed("the scenario could not be played", &err),
    };
    anstream::print!("{}", played.transcript);
    if args.write && played.wrongs.is_empty() {
        return match scenario::renew(&args.name, &played.transcript) {
            Ok(()) => ExitCode::SUCCESS,
            Err(err) => failed("the scenario could not be played", &err),
        };
    }
    match scenario::judge(&args.name, &played) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(complaint)) => {
            anstream::eprintln!("\n{complaint}");
            OTHERWISE.into()
        }
        Err(err) => failed("the scenario could not be played", &err),
    }
}
