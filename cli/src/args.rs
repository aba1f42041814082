//! What can be typed.

mod dns;
mod evidence;
mod examples;
mod ledger;
mod replay;
mod report;

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use crate::exit::Exit;
use crate::exits;
pub(crate) use dns::{DnsCheckArgs, DnsCommand, PrepareArgs};
pub(crate) use evidence::{EvidenceCommand, EvidenceVerifyArgs, FetchArgs, ShowArgs, WhereArgs};
use examples::{
    ACKNOWLEDGE_EXAMPLES, APPROVE_EXAMPLES, CHECK_EXAMPLES, COMPLETIONS_EXAMPLES, DECLINE_EXAMPLES,
    FAILOVER_EXAMPLES, FLIP_EXAMPLES, HANDBACK_EXAMPLES, INIT_EXAMPLES, MAINTENANCE_EXAMPLES, MAN_EXAMPLES,
    NEW_EXAMPLES, REPLAY_EXAMPLES, REPORT_EXAMPLES, RUNS_EXAMPLES, SCHEMA_EXAMPLES, STATUS_EXAMPLES,
    TOP_EXAMPLES, UPLOAD_EXAMPLES,
};
pub(crate) use ledger::{GenerateArgs, LedgerCommand, NamesArgs, TailArgs, VerifyArgs};
pub(crate) use replay::ReplayArgs;
pub(crate) use report::ReportArgs;

/// Brings a system back in another AWS Region, and proves that nothing acknowledged was lost.
#[derive(Debug, Parser)]
#[command(
    name = "lifeboat",
    version,
    about,
    propagate_version = true,
    disable_help_subcommand = true,
    after_help = concat_help(TOP_EXAMPLES),
)]
pub(crate) struct Cli {
    /// Print one line of JSON on standard output, failures too.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check a plan, or store it for the Lambdas.
    Plan {
        #[command(subcommand)]
        command: PlanCommand,
    },
    /// Begin a ledger: claim epoch 1 and open every stream of the plan for the primary. Safe to run again.
    #[command(after_help = help_of("init", INIT_EXAMPLES))]
    Init(InitArgs),
    /// Start a run by hand. It does all that an alarm's run does, and stands down if the primary is not down.
    #[command(after_help = help_of("failover", FAILOVER_EXAMPLES))]
    Failover(FailoverArgs),
    /// Where a plan stands: who holds the epoch and the pen, whether an alarm would start a run, what the last runs came to, and
    /// what is due to regulators since.
    #[command(after_help = help_of("status", STATUS_EXAMPLES))]
    Status(StatusArgs),
    /// The runs on record, the newest first: who started each, how long it took, what it came to and why.
    #[command(after_help = help_of("runs", RUNS_EXAMPLES))]
    Runs(RunsArgs),
    /// Give the pen back to the primary, under a new epoch: after a run that halted, or by hand after a failover.
    #[command(after_help = help_of("handback", HANDBACK_EXAMPLES))]
    Handback(HandbackArgs),
    /// Finish a run that has opened the recovery side and has not moved the traffic: move it, under that run's epoch.
    #[command(after_help = help_of("flip", FLIP_EXAMPLES))]
    Flip(FlipArgs),
    /// Say yes to what a run asks: to seal the ledger, or to go on with one that is unproven.
    #[command(after_help = help_of("approve", APPROVE_EXAMPLES))]
    Approve(ApproveArgs),
    /// Say no to what a run asks.
    #[command(after_help = help_of("decline", DECLINE_EXAMPLES))]
    Decline(ApproveArgs),
    /// Say that the automatic failovers so far are known, so that the next alarm may start a run.
    #[command(after_help = help_of("acknowledge", ACKNOWLEDGE_EXAMPLES))]
    Acknowledge(AcknowledgeArgs),
    /// Begin or end maintenance: while it is on, no run of the plan is admitted.
    Maintenance {
        #[command(subcommand)]
        command: MaintenanceCommand,
    },
    /// Get the records of a plan ready before the day, and look for what a flip would stumble over.
    Dns {
        #[command(subcommand)]
        command: DnsCommand,
    },
    /// Print what a shell needs to complete this command's words.
    #[command(after_help = help_of("completions", COMPLETIONS_EXAMPLES))]
    Completions {
        /// Which shell.
        shell: Shell,
    },
    /// Print the manual page, or write the pages of all commands into a folder.
    #[command(after_help = help_of("man", MAN_EXAMPLES))]
    Man(ManArgs),
    /// Decide past runs again, from their evidence: do today's rules, or another plan, say what was decided then?
    #[command(after_help = help_of("replay", REPLAY_EXAMPLES))]
    Replay(ReplayArgs),
    /// Make a page of what a run has left, for a manager and a regulator: one file, which needs no network.
    #[command(after_help = help_of("report", REPORT_EXAMPLES))]
    Report(ReportArgs),
    /// What runs have left behind: list it, read it, fetch it, and prove that nobody has changed it.
    Evidence {
        #[command(subcommand)]
        command: EvidenceCommand,
    },
    /// Prove a ledger by itself, look at its end, or make one up: without a plan, on any machine.
    Ledger {
        #[command(subcommand)]
        command: LedgerCommand,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum PlanCommand {
    /// Make a commented plan to begin with, and a template for its stack beside it.
    #[command(after_help = help_of("plan new", NEW_EXAMPLES))]
    New(NewArgs),
    /// Print the JSON Schema of a plan, by which editors complete and check it as it is written.
    #[command(after_help = help_of("plan schema", SCHEMA_EXAMPLES))]
    Schema,
    /// Check a plan, its templates and its lists, offline: every problem at once, with file and line.
    #[command(after_help = help_of("plan check", CHECK_EXAMPLES))]
    Check(CheckArgs),
    /// Check a plan, then store its templates, its lists and itself in the control bucket.
    #[command(after_help = help_of("plan upload", UPLOAD_EXAMPLES))]
    Upload(UploadArgs),
}

#[derive(Debug, Args)]
pub(crate) struct NewArgs {
    /// Where to write it. Nothing that is there is overwritten.
    pub(crate) file: PathBuf,
    /// What the plan is called: a lower-case letter, then letters, digits and hyphens.
    #[arg(long, value_name = "NAME", value_parser = plan_name)]
    pub(crate) name: String,
    /// The Region where the system runs.
    #[arg(long, value_name = "REGION", value_parser = region)]
    pub(crate) primary: String,
    /// The Region where it is brought back.
    #[arg(long, value_name = "REGION", value_parser = region)]
    pub(crate) recovery: String,
}

#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Write a page for each command here, in place of printing the first one.
    pub(crate) folder: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct FailoverArgs {
    #[command(flatten)]
    pub(crate) plan: PlanArgs,
    #[command(flatten)]
    pub(crate) evidence: EvidenceArgs,
    #[command(flatten)]
    pub(crate) word: WordArgs,
    /// The ARN of the state machine (output `StateMachineArn` of the orchestrator's stack).
    #[arg(long, value_name = "ARN", env = "LIFEBOAT_STATE_MACHINE", value_parser = state_machine)]
    pub(crate) state_machine: String,
    /// Do it without asking. Needed where there is no terminal to ask on.
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ApproveArgs {
    #[command(flatten)]
    pub(crate) plan: PlanArgs,
    #[command(flatten)]
    pub(crate) evidence: EvidenceArgs,
    /// The run that asks [default: the one that holds the newest epoch].
    #[arg(long, value_name = "RUN", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) run: Option<String>,
    /// Why, for those who read it later. Who you are is not asked: AWS says whose credentials these are.
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) reason: String,
    /// Do it without asking. Needed where there is no terminal to ask on.
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RunsArgs {
    /// The name of the plan, as it is uploaded.
    #[arg(long = "plan", value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) evidence: EvidenceArgs,
    /// How many runs to tell of.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) runs: u16,
    #[command(flatten)]
    pub(crate) aws: AwsArgs,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The plan, in YAML. Paths of templates and lists in it are relative to it.
    pub(crate) file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct UploadArgs {
    /// The plan, in YAML. Paths of templates and lists in it are relative to it.
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) control: ControlArgs,
    #[command(flatten)]
    pub(crate) aws: AwsArgs,
}

#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// The plan, in YAML.
    #[arg(required_unless_present = "plan")]
    pub(crate) file: Option<PathBuf>,
    /// The name of a plan that is uploaded already, in place of a file.
    #[arg(long, value_name = "NAME", conflicts_with = "file")]
    pub(crate) plan: Option<String>,
    #[command(flatten)]
    pub(crate) control: ControlArgs,
    #[command(flatten)]
    pub(crate) aws: AwsArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum MaintenanceCommand {
    /// From now on no run is admitted, neither an alarm's nor a person's. A run under way goes on.
    #[command(after_help = help_of("maintenance begin", MAINTENANCE_EXAMPLES))]
    Begin(MaintenanceArgs),
    /// From now on runs are admitted again.
    #[command(after_help = help_of("maintenance end", MAINTENANCE_EXAMPLES))]
    End(MaintenanceArgs),
}

#[derive(Debug, Args)]
pub(crate) struct MaintenanceArgs {
    #[command(flatten)]
    pub(crate) plan: PlanArgs,
    #[command(flatten)]
    pub(crate) word: WordArgs,
}

#[derive(Debug, Args)]
pub(crate) struct AcknowledgeArgs {
    #[command(flatten)]
    pub(crate) plan: PlanArgs,
    #[command(flatten)]
    pub(crate) evidence: EvidenceArgs,
    #[command(flatten)]
    pub(crate) word: WordArgs,
}

#[derive(Debug, Args)]
pub(crate) struct HandbackArgs {
    #[command(flatten)]
    pub(crate) after: AfterRunArgs,
    /// Take the pen from the recovery side where it holds it.
    ///
    /// The recovery exchange stops at its next put. What it has acknowledged stays in the ledger, and the primary
    /// replays it. For a run that opened the recovery side but did not get it to serve, or for going back by hand after
    /// a failover. The stacks of the recovery side are left alone.
    #[arg(long)]
    pub(crate) take_from_recovery: bool,
    /// Leave the traffic where it is, and see to it that nothing older moves it any more.
    ///
    /// Under `switch` a flip to the side that has the traffic is put under the new epoch, under `records` the fence of the
    /// new epoch, and no record is changed: the flip or the batch of a stopped run that arrives late has no effect then. Where
    /// Route 53 does not take the fence the pen is given back all the same, and a note says so: such a batch could still
    /// move the records. Where the traffic stays on the recovery side, clients go on reaching what acknowledges nothing, until
    /// this command without the option moves them after the pen, under an epoch of its own.
    #[arg(long)]
    pub(crate) keep_records: bool,
}

#[derive(Debug, Args)]
pub(crate) struct FlipArgs {
    #[command(flatten)]
    pub(crate) after: AfterRunArgs,
}

/// What a person says who takes over from a run.
#[derive(Debug, Args)]
pub(crate) struct AfterRunArgs {
    #[command(flatten)]
    pub(crate) plan: PlanArgs,
    #[command(flatten)]
    pub(crate) evidence: EvidenceArgs,
    #[command(flatten)]
    pub(crate) word: WordArgs,
    /// A run that holds the newest epoch (for a flip: the pen's epoch, or a newer one) has no manifest, and you know that
    /// it is over.
    ///
    /// Say this only after `aws stepfunctions stop-execution`, or when `aws stepfunctions describe-execution` says
    /// anything but RUNNING. What such a run may still do carries its own epoch: it counts for nothing once a hand-back
    /// has opened the streams under a newer one, and a flip under that same epoch is what the run would do.
    #[arg(long)]
    pub(crate) run_is_over: bool,
    /// Do it without asking. Needed where there is no terminal to ask on.
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub(crate) plan: PlanArgs,
    #[command(flatten)]
    pub(crate) evidence: EvidenceArgs,
    /// The ARN of the state machine: whether the run that holds the newest epoch is still going on is then asked of
    /// Step Functions. Without it, a run that has no manifest is taken to be going on.
    #[arg(long, value_name = "ARN", env = "LIFEBOAT_STATE_MACHINE", value_parser = state_machine)]
    pub(crate) state_machine: Option<String>,
    /// How many runs to tell of, the newest first.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) runs: u16,
    /// Prove the whole ledger, every entry of every stream, and say who holds the pen by its control entries.
    #[arg(long)]
    pub(crate) verify: bool,
    /// For monitoring: exit with 3 where an alarm would not be admitted now; with --verify, with 1 or 2 where the ledger
    /// is broken or could not be proven.
    #[arg(long)]
    pub(crate) check: bool,
    /// Follow a run, step by step as its evidence is written, and end as it ends: with its exit code. Without a run under way
    /// this waits for the next one.
    #[arg(long, conflicts_with_all = ["verify", "check"])]
    pub(crate) follow: bool,
    /// The run to follow [default: the newest that is open].
    #[arg(long, value_name = "RUN", requires = "follow", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) run: Option<String>,
}

/// An uploaded plan.
#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// The name of the plan, as it is uploaded.
    #[arg(long = "plan", value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) control: ControlArgs,
    #[command(flatten)]
    pub(crate) aws: AwsArgs,
}

#[derive(Debug, Args)]
pub(crate) struct EvidenceArgs {
    /// The evidence bucket, which the foundation stack made (its output `EvidenceBucketName`).
    #[arg(long = "evidence-bucket", value_name = "BUCKET", env = "LIFEBOAT_EVIDENCE_BUCKET")]
    pub(crate) evidence_bucket: String,
}

/// A person's word, which is kept for ever.
#[derive(Debug, Args)]
pub(crate) struct WordArgs {
    /// Why, for those who read it later.
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) reason: String,
    /// Who says so [default: your login name].
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) by: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ControlArgs {
    /// The control bucket, which the foundation stack made (its output `ControlBucketName`).
    #[arg(long = "control-bucket", visible_alias = "bucket", value_name = "BUCKET")]
    #[arg(env = "LIFEBOAT_CONTROL_BUCKET")]
    pub(crate) bucket: String,
}

/// How to reach AWS. What is not said here is taken from where the AWS command line takes it: environment, profile,
/// `AWS_ENDPOINT_URL`.
#[derive(Debug, Args)]
pub(crate) struct AwsArgs {
    /// The Region to call: the plan's recovery Region, where Lifeboat keeps everything [default: as the plan's file says;
    /// without a file, as the AWS command line has it].
    #[arg(long)]
    pub(crate) region: Option<String>,
    /// The profile to use, from the AWS configuration files.
    #[arg(long)]
    pub(crate) profile: Option<String>,
}

fn state_machine(arn: &str) -> Result<String, &'static str> {
    if arn.contains(":stateMachine:") {
        Ok(arn.to_owned())
    } else {
        Err("not arn:aws:states:<Region>:<account>:stateMachine:<name>")
    }
}

fn region(name: &str) -> Result<String, &'static str> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    match name.contains('-') && name.chars().all(plain) {
        true => Ok(name.to_owned()),
        false => Err("not the name of a Region, such as eu-central-1"),
    }
}

fn plan_name(name: &str) -> Result<String, &'static str> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    match name.len() <= 32 && name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(plain) {
        true => Ok(name.to_owned()),
        false => Err("a lower-case letter, then up to 31 letters, digits and hyphens"),
    }
}

/// What stands below the options of the command of these words.
fn help_of(command: &str, examples: &str) -> String {
    format!("{examples}\n\n{}", exits::help(command))
}

fn concat_help(examples: &str) -> String {
    format!("{examples}\n\n{}", Exit::HELP)
}
