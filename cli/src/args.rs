//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::exit::Exit;

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
    #[command(after_help = concat_help(INIT_EXAMPLES))]
    Init(InitArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum PlanCommand {
    /// Check a plan and its templates, offline: every problem at once, with file and line.
    #[command(after_help = concat_help(CHECK_EXAMPLES))]
    Check(CheckArgs),
    /// Check a plan, then store its templates and itself in the control bucket.
    #[command(after_help = concat_help(UPLOAD_EXAMPLES))]
    Upload(UploadArgs),
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The plan, in YAML. Paths of templates in it are relative to it.
    pub(crate) file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct UploadArgs {
    /// The plan, in YAML. Paths of templates in it are relative to it.
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
    /// The Region to call [default: the plan's recovery Region, where Lifeboat keeps everything].
    #[arg(long)]
    pub(crate) region: Option<String>,
    /// The profile to use, from the AWS configuration files.
    #[arg(long)]
    pub(crate) profile: Option<String>,
}

const TOP_EXAMPLES: &str = "\
Examples:
  lifeboat plan check infra/plans/example.yaml
  lifeboat plan upload infra/plans/example.yaml --control-bucket aex-control
  lifeboat init infra/plans/example.yaml --control-bucket aex-control";

const CHECK_EXAMPLES: &str = "\
Examples:
  lifeboat plan check infra/plans/example.yaml
  lifeboat plan check --json infra/plans/example.yaml | jq '.problems[] | \"\\(.file):\\(.line) \\(.message)\"'";

const UPLOAD_EXAMPLES: &str = "\
Examples:
  lifeboat plan upload infra/plans/example.yaml --control-bucket aex-control
  LIFEBOAT_CONTROL_BUCKET=aex-control lifeboat plan upload infra/plans/example.yaml --profile drill --json

Templates are stored by their content, so uploading twice changes nothing; the plan becomes a new version of
plan/<name>.json, which the next run uses.";

const INIT_EXAMPLES: &str = "\
Examples:
  lifeboat init infra/plans/example.yaml --control-bucket aex-control
  lifeboat init --plan aex --control-bucket aex-control --region eu-central-1

Before this nobody may write to the ledger; afterwards the primary may. Run again, it opens what the plan has got
since and leaves the rest alone, until a failover: then a new stream is for a person to decide about.";

fn concat_help(examples: &str) -> String {
    format!("{examples}\n\n{}", Exit::HELP)
}
