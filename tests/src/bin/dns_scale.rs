//! Measures what a flip takes under each strategy, for ten names and for many, on the local world.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use lifeboat_rules::plan::Strategy;
use lifeboat_tests::command::{failed, parse, run};
use lifeboat_tests::scale::dns::{self, Measured, Options};

/// Flips ten names and then many, by each strategy, asks for every one of them, and says which calls it took and how long.
#[derive(Debug, Parser)]
#[command(
    name = "dns_scale",
    after_help = "Examples:
  cargo run -p lifeboat-tests --bin dns_scale
  cargo run -p lifeboat-tests --bin dns_scale -- --names 1000 --strategy switch --json

Ten thousand names take some minutes, most of them for the emulator to be filled and listed.

Exit codes: 0 measured, 1 a flip by switch called Route 53 or made other calls for more names, 64 wrong usage,
70 it could not be measured, 130 after Ctrl-C."
)]
struct Args {
    /// How many names, besides ten.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(11..=10_000))]
    names: u32,
    /// One strategy alone.
    #[arg(long, value_parser = ["switch", "records"])]
    strategy: Option<String>,
    /// Print what was measured as JSON on standard output.
    #[arg(long)]
    json: bool,
}

const FEW: usize = 10;
const OTHERWISE: u8 = 1;

fn main() -> ExitCode {
    let args: Args = match parse() {
        Ok(args) => args,
        Err(exit) => return exit,
    };
    let strategies = match args.strategy.as_deref() {
        Some("switch") => vec![Strategy::Switch],
        Some(_) => vec![Strategy::Records],
        None => vec![Strategy::Switch, Strategy::Records],
    };
    let options = Options {
        names: vec![FEW, args.names as usize],
        strategies,
        report: Arc::new(|line| anstream::eprintln!("{line}")),
    };
    // Nothing to build: the function's own code is in this program.
    run(false, async {
        match dns::run(&options).await {
            Ok(measured) => tell(&measured, args.json),
            Err(err) => failed("it could not be measured", &err),
        }
    })
}

fn tell(measured: &[Measured], json: bool) -> ExitCode {
    if json {
        println!("{}", serde_json::to_string_pretty(measured).expect("numbers and strings always serialise"));
    } else {
        print!("{}", dns::table(measured));
    }
    let complaints = dns::complaints(measured);
    for complaint in &complaints {
        anstream::eprintln!("{complaint}");
    }
    if complaints.is_empty() { ExitCode::SUCCESS } else { OTHERWISE.into() }
}
