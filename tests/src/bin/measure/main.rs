//! `cargo measure`: how large the release Lambdas are when zipped, and how soon each polls the runtime API.

mod build;
mod start;

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use lifeboat_tests::FUNCTIONS;
use lifeboat_tests::command::{DEFECT, parse};
use lifeboat_tests::world::deploy::{Packing, package};
use lifeboat_tests::world::{WorldError, explain, places};
use serde::Serialize;

/// Builds the six Lambdas with the release profile for this machine, zips them, and measures their size and how long
/// each takes from exec to its first poll of the runtime API. AWS is not asked, and Lambda's own start is not in it.
#[derive(Debug, Parser)]
#[command(
    name = "cargo measure",
    after_help = "Examples:
  cargo measure
  cargo measure --json | jq '.functions[].zip_bytes'

The result is target/measure.json as well. A first build takes some minutes: it has a target folder of its own.
Exit codes: 0 measured, 1 measured and an aim is missed, 64 wrong usage, 70 not measured (the last line says why)."
)]
struct Args {
    /// Print the result as JSON on standard output; progress goes to standard error either way.
    #[arg(long)]
    json: bool,
    /// How often each function is started.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    runs: u32,
}

/// Aims of the project, not limits of AWS.
const ZIP_BYTES_MAX: u64 = 5_000_000;
const FIRST_POLL_MILLISECONDS_MAX: f64 = 20.0;

const MISSED: u8 = 1;

/// All that was measured.
#[derive(Debug, Serialize)]
struct Report {
    /// The architecture that was measured: the one of this machine.
    architecture: &'static str,
    /// How often each function was started.
    runs: u32,
    functions: Vec<Measured>,
}

/// One function.
#[derive(Debug, Serialize)]
struct Measured {
    function: &'static str,
    binary_bytes: u64,
    zip_bytes: u64,
    first_poll_median_ms: f64,
    first_poll_min_ms: f64,
    first_poll_max_ms: f64,
}

impl Measured {
    fn meets_the_aims(&self) -> bool {
        self.zip_bytes < ZIP_BYTES_MAX && self.first_poll_median_ms < FIRST_POLL_MILLISECONDS_MAX
    }
}

fn main() -> ExitCode {
    let args: Args = match parse() {
        Ok(args) => args,
        Err(exit) => return exit,
    };
    match measure(args.runs) {
        Ok(report) => {
            if args.json {
                println!("{}", json(&report));
            } else {
                anstream::print!("{}", table(&report));
            }
            if report.functions.iter().all(Measured::meets_the_aims) {
                ExitCode::SUCCESS
            } else {
                MISSED.into()
            }
        }
        Err(err) => {
            anstream::eprintln!("not measured: {}", explain(&err));
            DEFECT.into()
        }
    }
}

fn measure(runs: u32) -> Result<Report, WorldError> {
    anstream::eprintln!(
        "building the six Lambdas with the release profile (the first time takes some minutes)"
    );
    let folder = places::target()?.join("measure");
    let binaries = build::release(&folder)?;
    let mut functions = Vec::new();
    for function in FUNCTIONS {
        anstream::eprintln!("starting {function} {runs} times");
        let binary = binaries.join(function);
        let polls = start::until_first_poll(&binary, runs)?;
        functions.push(Measured {
            function,
            binary_bytes: size(&binary)?,
            zip_bytes: size(&package(&binary, &folder.join("packages"), Packing::Deflated)?.path)?,
            first_poll_median_ms: start::median(&polls),
            first_poll_min_ms: polls.first().copied().unwrap_or_default(),
            first_poll_max_ms: polls.last().copied().unwrap_or_default(),
        });
    }
    let report = Report { architecture: std::env::consts::ARCH, runs, functions };
    store(&report, &places::target()?.join("measure.json"))?;
    Ok(report)
}

/// The size of a file in bytes.
fn size(file: &Path) -> Result<u64, WorldError> {
    std::fs::metadata(file)
        .map(|file| file.len())
        .map_err(|source| WorldError::failed(format!("look at {}", file.display()), source))
}

/// Written whole beside it and then put in place, so that nobody reads half of it.
fn store(report: &Report, path: &Path) -> Result<(), WorldError> {
    let half = path.with_extension("json.new");
    std::fs::write(&half, json(report) + "\n")
        .and_then(|()| std::fs::rename(&half, path))
        .map_err(|source| WorldError::failed(format!("write {}", path.display()), source))
}

fn json(report: &Report) -> String {
    serde_json::to_string_pretty(report).expect("numbers and strings always serialise")
}

fn table(report: &Report) -> String {
    let mut table = format!(
        "\n{:<15} {:>12} {:>12} {:>16} {:>18}\n",
        "function", "binary", "zipped", "exec to poll", "(min to max)"
    );
    for one in &report.functions {
        table += &format!(
            "{:<15} {:>9.2} MB {:>9.2} MB {:>13.1} ms {:>8.1} to {:>6.1}{}\n",
            one.function,
            one.binary_bytes as f64 / 1e6,
            one.zip_bytes as f64 / 1e6,
            one.first_poll_median_ms,
            one.first_poll_min_ms,
            one.first_poll_max_ms,
            if one.meets_the_aims() { "" } else { "  misses an aim" }
        );
    }
    table
        + &format!(
            "\n{} only; the median of {} starts on this machine. Aims: zipped under {} MB, first poll under {} ms.\n",
            report.architecture,
            report.runs,
            ZIP_BYTES_MAX / 1_000_000,
            FIRST_POLL_MILLISECONDS_MAX
        )
}
