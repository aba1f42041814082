//! `cargo drill`: kills an exchange on the local world and brings it back.

use std::process::ExitCode;
use std::sync::Arc;

use anstyle::{AnsiColor, Style};
use clap::Parser;
use lifeboat_tests::command::{failed, parse, run};
use lifeboat_tests::drill::{self, Options, Sabotage, Start, Summary};

/// Kills an exchange on the local world and brings it back: alarm, proof, seal, stacks, DNS flip, all with the real
/// Lambdas, state machine and templates on an emulated AWS. Nothing leaves this machine, and nothing is left running.
#[derive(Debug, Parser)]
#[command(
    name = "cargo drill",
    after_help = "Examples:
  cargo drill
  cargo drill --sabotage ledger-gap
  cargo drill --json | jq .rto_seconds

Exit codes: the run's outcome (0 Recovered or StoodDown, 1 Broken, 2 Unproven, 3 Halted, 4 Superseded), 64 wrong usage,
70 when something was not as it had to be (the last lines say what), 130 after Ctrl-C.
The summary of the newest drill is target/drill/summary.json; each run's logs are in target/drill/<run>/."
)]
struct Args {
    /// Try to make it go wrong in this way.
    #[arg(long, value_enum)]
    sabotage: Option<Sabotage>,
    /// Acknowledged orders before the primary is struck.
    #[arg(long, default_value_t = 10_500, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    orders: u32,
    /// Print the summary as JSON on standard output; progress goes to standard error either way.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let args: Args = match parse() {
        Ok(args) => args,
        Err(exit) => return exit,
    };
    let options = Options {
        sabotage: args.sabotage,
        start: Start::Alarm,
        orders: args.orders as usize,
        report: Arc::new(|line| anstream::eprintln!("{line}")),
    };
    run(true, async {
        match drill::run(&options).await {
            Ok(summary) => tell(&summary, args.json),
            Err(err) => failed("the drill could not be held", &err),
        }
    })
}

fn tell(summary: &Summary, json: bool) -> ExitCode {
    if json {
        println!("{}", serde_json::to_string_pretty(summary).expect("numbers and strings always serialise"));
    } else {
        anstream::print!("{}", page(summary));
    }
    summary.exit_code().into()
}

fn page(summary: &Summary) -> String {
    let style = |color: AnsiColor| Style::new().bold().fg_color(Some(color.into()));
    let (good, bad) = (style(AnsiColor::Green), style(AnsiColor::Red));
    let seconds = |value: Option<f64>| value.map_or("      -".to_owned(), |value| format!("{value:>5.1} s"));
    let count = |value: Option<usize>| value.map_or("unknown".to_owned(), |value| value.to_string());
    let mut page = String::from("\n");
    for check in &summary.checks {
        let (color, mark) = if check.holds { (good, "holds") } else { (bad, "FAILS") };
        page += &format!("  {color}{mark}{color:#}  {}  ({})\n", check.what, check.found);
    }
    let color = if summary.holds() { good } else { bad };
    page += &format!("\n{color}{}{color:#}: {}\n", summary.outcome, summary.reason);
    page += &format!(
        "  acknowledged {}, recovered {}, lost {}, duplicated {}, in doubt at the strike {}\n",
        summary.acknowledged,
        count(summary.recovered),
        count(summary.lost),
        count(summary.duplicated),
        summary.in_doubt
    );
    page += &format!(
        "  RTO {}   detection {}   orchestrator {}\n",
        seconds(summary.rto_seconds),
        seconds(summary.detection_seconds),
        seconds(summary.orchestrator_seconds)
    );
    page
}
