//! Plays the fault matrix, and writes its page.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::process::ExitCode;

use clap::Parser;
use futures::future::try_join_all;
use lifeboat_rules::plan::Strategy;
use lifeboat_tests::command::{failed, parse, run, told};
use lifeboat_tests::matrix::case::{self, Case, Fault};
use lifeboat_tests::matrix::result::{Played, Results};
use lifeboat_tests::matrix::{Matrix, page as made};
use lifeboat_tests::page;
use lifeboat_tests::world::error::WorldError;
use lifeboat_tests::world::{WorldOptions, explain};

/// Plays every call of a whole failover run with every fault, and judges what each run comes to.
#[derive(Debug, Parser)]
#[command(
    name = "fault_matrix",
    after_help = "Examples:
  cargo run -p lifeboat-tests --bin fault_matrix -- --strategy switch --pairs 40 --worlds 2
  cargo run -p lifeboat-tests --bin fault_matrix -- --strategy records --resume
  cargo run -p lifeboat-tests --bin fault_matrix -- --only 'Seal the ledger' --faults killed,answer-lost
  cargo run -p lifeboat-tests --bin fault_matrix -- --false-alarm
  cargo run -p lifeboat-tests --bin fault_matrix -- --write

Exit codes: 0 every case came to an end that is allowed, 1 some did not, 64 wrong usage, 70 it could not be played."
)]
struct Args {
    /// How traffic moves: `switch` or `records`.
    #[arg(long, default_value = "switch", value_parser = strategy)]
    strategy: Strategy,
    /// Runs whose primary is back before they have fenced it, from where they can notice that.
    #[arg(long)]
    false_alarm: bool,
    /// Only these faults.
    #[arg(long, value_delimiter = ',')]
    faults: Vec<Fault>,
    /// Only cases whose name has this in it.
    #[arg(long)]
    only: Option<String>,
    /// No case whose name has this in it; may be said several times.
    #[arg(long)]
    skip: Vec<String>,
    /// Besides, so many pairs of faults, the same ones each time.
    #[arg(long, default_value_t = 0, conflicts_with = "false_alarm")]
    pairs: usize,
    /// Leave out what was played before, but for what went wrong. Without it the strategy's results are begun anew.
    #[arg(long)]
    resume: bool,
    /// Worlds at once: each takes a third of a core.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=8))]
    worlds: u8,
    /// List the cases, and play none.
    #[arg(long)]
    list: bool,
    /// Play none, and write tests/FAULT_MATRIX.md from what was played.
    #[arg(long)]
    write: bool,
    /// Print each result as a line of JSON.
    #[arg(long)]
    json: bool,
    /// Play with the binaries that there are, without a build first.
    #[arg(long)]
    no_build: bool,
}

const STRATEGIES: [Strategy; 2] = [Strategy::Switch, Strategy::Records];
/// What the page tells of: strategy, and whether the alarm is false.
const PLAYED: [(Strategy, bool); 3] =
    [(Strategy::Switch, false), (Strategy::Records, false), (Strategy::Switch, true)];
const WRONG: u8 = 1;

fn strategy(name: &str) -> Result<Strategy, String> {
    let named = STRATEGIES.into_iter().find(|strategy| strategy.to_string() == name);
    named.ok_or_else(|| format!("{name:?} is neither `switch` nor `records`"))
}

fn main() -> ExitCode {
    let args: Args = match parse() {
        Ok(args) => args,
        Err(exit) => return exit,
    };
    if args.write {
        return told(write());
    }
    run(!args.no_build, async {
        match play(&args).await {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => WRONG.into(),
            Err(err) => failed("the matrix could not be played", &err),
        }
    })
}

fn write() -> Result<(), String> {
    let mut played = Vec::new();
    for (strategy, false_alarm) in PLAYED {
        let results = Results::path(strategy, false_alarm).and_then(|path| Results::open(&path, false));
        played.extend(results.map_err(|why| explain(&why))?.played().cloned());
    }
    page::print_or_write(&made::parts(&played), &[made::path()], true)
}

async fn play(args: &Args) -> Result<bool, WorldError> {
    let mut matrices = Vec::new();
    for _ in 0..args.worlds {
        let matrix = Matrix::set(args.strategy, args.false_alarm, WorldOptions::default()).await?;
        anstream::eprintln!("logs: {}", matrix.logs().display());
        matrices.push(matrix);
    }
    let Some(calls) = matrices.first().map(Matrix::calls) else { return Ok(true) };
    let results =
        Results::open(&Results::path(args.strategy, args.false_alarm)?, !args.resume && !args.list)?;
    let cases = cases(args, calls, &results);
    if args.list {
        cases.iter().for_each(|case| println!("{}", case.id()));
        anstream::eprintln!("{} calls, {} cases to play", calls.len(), cases.len());
        return Ok(true);
    }
    let progress = RefCell::new(Progress { total: cases.len(), done: 0, all_well: true, results });
    let cases = RefCell::new(VecDeque::from(cases));
    try_join_all(matrices.iter().map(|matrix| {
        matrix.play(|| cases.borrow_mut().pop_front(), |played| progress.borrow_mut().note(played, args.json))
    }))
    .await?;
    Ok(progress.into_inner().all_well)
}

/// What is still to be played.
fn cases(args: &Args, calls: &[lifeboat_tests::matrix::call::CallId], results: &Results) -> Vec<Case> {
    let faults = if args.faults.is_empty() { Fault::ALL.to_vec() } else { args.faults.clone() };
    let mut cases = case::all(args.strategy, args.false_alarm, calls, &faults);
    cases.extend(case::pairs(args.strategy, calls, args.pairs));
    // What went wrong is played again as it was.
    let wrong = results.played().filter(|played| !played.complaints().is_empty());
    for case in wrong.map(|played| &played.case) {
        if !cases.contains(case) {
            cases.push(case.clone());
        }
    }
    cases.retain(|case| args.only.as_ref().is_none_or(|only| case.id().contains(only.as_str())));
    cases.retain(|case| !args.skip.iter().any(|skip| case.id().contains(skip.as_str())));
    cases.retain(|case| !results.has(case));
    cases
}

struct Progress {
    total: usize,
    done: usize,
    all_well: bool,
    results: Results,
}

impl Progress {
    fn note(&mut self, played: Played, json: bool) -> Result<(), WorldError> {
        self.done += 1;
        let (done, total, seconds) = (self.done, self.total, played.seconds);
        let outcome = played.outcome.as_deref().unwrap_or("no run");
        let way = played.way.map_or(String::new(), |way| format!(", then {way:?}"));
        anstream::eprintln!("{done}/{total} {seconds:5.1} s  {outcome}{way}  {}", played.case.id());
        for complaint in played.complaints() {
            self.all_well = false;
            anstream::eprintln!("    WRONG: {complaint}");
        }
        if json {
            println!("{}", serde_json::to_string(&played).unwrap_or_default());
        }
        self.results.add(played)
    }
}
