//! The `lifeboat` command: what a person does with a plan before the day, and what a person has to say on it.
//!
//! One file a command; `args` says what can be typed, `failure` and `exit` what can go wrong, `output` how it is
//! told. The commands decide nothing: the plan's rules are `lifeboat_rules::plan`'s, and what changes the ledger
//! or the epochs is the Lambdas' own code.

mod acknowledge;
mod after_run;
mod approve;
mod args;
mod aws;
mod dns;
pub mod document;
pub mod evidence;
mod exit;
pub mod exits;
mod failover;
mod failure;
mod flip;
mod follow;
mod handback;
mod init;
pub mod ledger;
mod maintenance;
mod output;
mod person;
mod plan_check;
mod plan_new;
mod plan_schema;
mod plan_upload;
mod progress;
mod replay;
mod report;
mod runs;
mod shell;
pub mod signing;
mod source;
mod status;
mod uploaded;

use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use clap::Parser;
use lifeboat_rules::approval::Answer;

use args::{Cli, Command, MaintenanceCommand, PlanCommand};
pub use exit::Exit;
use failure::Failure;
use output::{Output, Report};

/// Runs one command line; `arguments` begins with the program's name.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    // Looked for by hand, because a command line that cannot be parsed is told about in JSON too.
    let output = Output::new(arguments.iter().any(|argument| argument == "--json"));
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return output.usage(&error).into(),
    };
    // The hook of the standard library has told the panic's place by the time that it is caught.
    let exit = match catch_unwind(AssertUnwindSafe(|| run(cli, &output))) {
        Ok(Ok(report)) => output.report(&report),
        Ok(Err(failure)) => output.failure(&failure),
        Err(_) => {
            output.failure(&Failure::defect("this command came upon a case that it was not written for"))
        }
    };
    exit.into()
}

fn run(cli: Cli, output: &Output) -> Result<Report, Failure> {
    match cli.command {
        Command::Plan { command: PlanCommand::Check(args) } => plan_check::run(&args),
        Command::Plan { command: PlanCommand::New(args) } => plan_new::run(&args),
        Command::Plan { command: PlanCommand::Schema } => Ok(plan_schema::run()),
        Command::Plan { command: PlanCommand::Upload(args) } => aws::block_on(plan_upload::run(&args)),
        Command::Init(args) => aws::block_on(init::run(&args)),
        Command::Status(args) if args.follow => aws::block_on(follow::run(&args, output)),
        Command::Status(args) => aws::block_on(status::run(&args)),
        Command::Runs(args) => aws::block_on(runs::run(&args)),
        Command::Failover(args) => aws::block_on(failover::run(&args)),
        Command::Handback(args) => aws::block_on(handback::run(&args)),
        Command::Flip(args) => aws::block_on(flip::run(&args)),
        Command::Acknowledge(args) => aws::block_on(acknowledge::run(&args)),
        Command::Approve(args) => aws::block_on(approve::run(&args, Answer::Approve)),
        Command::Decline(args) => aws::block_on(approve::run(&args, Answer::Decline)),
        Command::Completions { shell } => Ok(shell::completions(shell)),
        Command::Man(args) => shell::man(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Ledger { command } => ledger::run(&command),
        Command::Dns { command } => dns::run(&command),
        Command::Evidence { command } => evidence::run(&command),
        Command::Maintenance { command: MaintenanceCommand::Begin(args) } => {
            aws::block_on(maintenance::begin(&args))
        }
        Command::Maintenance { command: MaintenanceCommand::End(args) } => {
            aws::block_on(maintenance::end(&args))
        }
    }
}
