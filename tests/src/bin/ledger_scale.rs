//! Measures how long the proof of a long ledger takes on the local world.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use lifeboat_tests::command::{failed, parse, run};
use lifeboat_tests::scale::{self, Measured, Options, Verified};

/// Verifies a long ledger through the state machine's map, its tail alone from a checkpoint, and a short ledger, and says
/// how long each took.
#[derive(Debug, Parser)]
#[command(
    name = "ledger_scale",
    after_help = "Examples:
  cargo run -p lifeboat-tests --bin ledger_scale
  cargo run -p lifeboat-tests --bin ledger_scale -- --entries 100000 --objects 200 --shard-entries 10000 --json

Exit codes: 0 all proven, 1 a verdict was another one, 64 wrong usage, 70 it could not be measured, 130 after Ctrl-C."
)]
struct Args {
    /// Entries of the long ledger, about 220 bytes each. The emulator keeps them in memory.
    #[arg(long, default_value_t = 5_000_000, value_parser = clap::value_parser!(u64).range(1_000..=20_000_000))]
    entries: u64,
    /// Objects that they are in.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(200..=100_000))]
    objects: u64,
    /// The plan's `limits.shard_entries`.
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u32).range(1_000..=10_000_000))]
    shard_entries: u32,
    /// Let one shard fail once.
    #[arg(long)]
    fail_one: bool,
    /// Use the binaries that there are, without a build first.
    #[arg(long)]
    no_build: bool,
    /// Print what was measured as JSON on standard output.
    #[arg(long)]
    json: bool,
}

const OTHERWISE: u8 = 1;

fn main() -> ExitCode {
    let args: Args = match parse() {
        Ok(args) => args,
        Err(exit) => return exit,
    };
    let options = Options {
        entries: args.entries,
        objects: args.objects,
        shard_entries: args.shard_entries,
        fail_one: args.fail_one,
        report: Arc::new(|line| anstream::eprintln!("{line}")),
    };
    run(!args.no_build, async {
        match scale::run(&options).await {
            Ok(measured) => tell(&measured, args.json),
            Err(err) => failed("it could not be measured", &err),
        }
    })
}

fn tell(measured: &Measured, json: bool) -> ExitCode {
    let Measured { bytes, whole, shards, extensions, extension_seconds, tail, short, .. } = measured;
    if json {
        println!("{}", serde_json::to_string_pretty(measured).expect("numbers and strings always serialise"));
    } else {
        line("whole ledger, no checkpoint", whole, &format!("{} shards, {bytes} bytes", shards.len()));
        println!("{extension_seconds:>9.2} s  its checkpoints, by {extensions} calls of the schedule");
        line("its tail, from checkpoints", tail, "");
        line("a ledger as long as the tail", short, "");
    }
    let proven = [whole, tail, short].iter().all(|verified| verified.verdict == "Proven");
    if proven { ExitCode::SUCCESS } else { OTHERWISE.into() }
}

fn line(what: &str, verified: &Verified, more: &str) {
    let reads: usize = verified.reads.values().sum();
    println!(
        "{:>9.2} s  {what}: {}, {} ({reads} reads of segments{}{more})",
        verified.seconds,
        verified.verdict,
        verified.reason,
        if more.is_empty() { "" } else { ", " }
    );
}
