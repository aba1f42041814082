//! Plays the fault matrix, and writes its page.

use std::collections::VecDeque;
use std::process::ExitCode;

use clap::Parser;
use lifeboat_rules::plan::Strategy;
use lifeboat_tests::command::{failed, parse, run};
use lifeboat_tests::matrix::Matrix;
use lifeboat_tests::matrix::case::{self, Case, Fault};
use lifeboat_tests::matrix::result::{Played, Results};
use lifeboat_tests::world::WorldOptions;
use lifeboat_tests::world::error::WorldError;

/// Every call of a whole failover run, with every fault.
#[derive(Debug, Parser)]
#[command(name = "fault_matrix")]
struct Args {
    /// How traffic moves: `switch` or `records`.
    #[arg(long, default_value = "switch", value_parser = strategy)]
    strategy: Strategy,
    /// Only these faults.
    #[arg(long, value_delimiter = ',')]
    faults: Vec<Fault>,
    /// Only cases whose name has this in it.
    #[arg(long)]
    only: Option<String>,
    /// Besides, so many pairs of faults.
    #[arg(long, default_value_t = 0)]
    pairs: usize,
    /// Leave out what was played before, but for what went wrong.
    #[arg(long)]
    resume: bool,
    /// List the cases, and play none.
    #[arg(long)]
    list: bool,
    /// Print each result as a line of JSON.
    #[arg(long)]
    json: bool,
    /// Play with the binaries that there are, without a build first.
    #[arg(long)]
    no_build: bool,
}

fn strategy(name: &str) -> Result<Strategy, String> {
    [Strategy::Switch, Strategy::Records]
        .into_iter()
        .find(|strategy| strategy.to_string() == name)
        .ok_or_else(|| format!("{name:?} is neither `switch` nor `records`"))
}

const WRONG: u8 = 1;

fn main() -> ExitCode {
    let args: Args = match parse() {
        Ok(args) => args,
        Err(exit) => return exit,
    };
    run(!args.no_build, async {
        match play(&args).await {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => WRONG.into(),
            Err(err) => failed("the matrix could not be played", &err),
        }
    })
}

async fn play(args: &Args) -> Result<bool, WorldError> {
    let matrix = Matrix::set(args.strategy, WorldOptions::default()).await?;
    anstream::eprintln!("logs: {}", matrix.logs().display());
    let faults = if args.faults.is_empty() { Fault::ALL.to_vec() } else { args.faults.clone() };
    let mut cases: Vec<Case> = case::all(args.strategy, matrix.calls(), &faults);
    cases.extend(case::pairs(args.strategy, matrix.calls(), args.pairs));
    cases.retain(|case| args.only.as_ref().is_none_or(|only| case.id().contains(only.as_str())));
    let mut results = Results::open(&Results::path(args.strategy)?, !args.resume)?;
    cases.retain(|case| !results.has(case));
    if args.list {
        for case in &cases {
            println!("{}", case.id());
        }
        anstream::eprintln!("{} calls, {} cases to play", matrix.calls().len(), cases.len());
        return Ok(true);
    }
    let (total, mut count, mut all_well) = (cases.len(), 0, true);
    let mut cases = VecDeque::from(cases);
    let done = |played: Played| {
        count += 1;
        if args.json {
            println!("{}", serde_json::to_string(&played).unwrap_or_default());
        }
        let way = played.way.map_or(String::new(), |way| format!(", then {way:?}"));
        let outcome = played.outcome.as_deref().unwrap_or("no run");
        anstream::eprintln!("{count}/{total} {:5.1} s  {outcome}{way}  {}", played.seconds, played.case.id());
        for complaint in played.complaints() {
            all_well = false;
            anstream::eprintln!("    WRONG: {complaint}");
        }
        results.add(played)
    };
    matrix.play(|| cases.pop_front(), done).await?;
    Ok(all_well)
}
