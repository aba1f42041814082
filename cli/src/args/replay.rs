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
