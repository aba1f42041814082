//! What can be typed behind `lifeboat replay`.

use std::path::PathBuf;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use super::AwsArgs;

#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// With --plan the runs to replay, by name [default: all of the plan]. Without it folders of fetched evidence, each of one
    /// run or of many.
    #[arg(value_name = "RUN|DIR", required_unless_present = "plan", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) of: Vec<String>,
    /// The name of the plan whose runs are to be read from the evidence bucket.
    #[arg(long, value_name = "NAME", requires = "evidence_bucket", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) plan: Option<String>,
    /// The evidence bucket, which the foundation stack made (its output `EvidenceBucketName`).
    #[arg(long, value_name = "BUCKET", env = "LIFEBOAT_EVIDENCE_BUCKET")]
    pub(crate) evidence_bucket: Option<String>,
    /// Decide as if this had been the plan, in YAML, in place of the one that each run has left: which runs would have ended
    /// otherwise by it?
    #[arg(long, value_name = "FILE")]
    pub(crate) as_if: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) aws: AwsArgs,
}

/// What `--help` says about the codes of this command.
pub(crate) const EXITS: &str = "\
Exit codes:
  0   every decision that the evidence holds comes out as it did
  1   some come out otherwise; which, and how the runs would have ended, is told
  2   a run could not be replayed: it has left no record, or its evidence is damaged
  64  the command line is wrong
  65  the plan of --as-if is wrong; each problem is told with file and line
  66  a file or a folder cannot be read
  69  AWS refuses: no permission, no such bucket
  75  AWS did not answer; the same command again is safe";
