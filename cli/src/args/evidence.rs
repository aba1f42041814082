//! What can be typed behind `lifeboat evidence`.

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};

use super::examples::{
    EVIDENCE_FETCH_EXAMPLES, EVIDENCE_LIST_EXAMPLES, EVIDENCE_SHOW_EXAMPLES, EVIDENCE_VERIFY_EXAMPLES,
};
use super::{AwsArgs, EvidenceArgs, RunsArgs, help_of};

#[derive(Debug, Subcommand)]
pub(crate) enum EvidenceCommand {
    /// The runs of a plan that have left evidence, the newest first.
    #[command(after_help = help_of("evidence list", EVIDENCE_LIST_EXAMPLES))]
    List(RunsArgs),
    /// What one run has left: how it ended, how long each phase took, what is not known.
    #[command(after_help = help_of("evidence show", EVIDENCE_SHOW_EXAMPLES))]
    Show(ShowArgs),
    /// Copy all that one run has left into a folder.
    #[command(after_help = help_of("evidence fetch", EVIDENCE_FETCH_EXAMPLES))]
    Fetch(FetchArgs),
    /// Prove that what a run has left is complete and unchanged, and by whom it was signed.
    #[command(after_help = help_of("evidence verify", EVIDENCE_VERIFY_EXAMPLES))]
    Verify(EvidenceVerifyArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    pub(crate) place: WhereArgs,
}

#[derive(Debug, Args)]
pub(crate) struct FetchArgs {
    /// The run's name.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub(crate) run: String,
    /// The folder, which is made, or is there and empty.
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// The name of the plan.
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) plan: String,
    #[command(flatten)]
    pub(crate) evidence: EvidenceArgs,
    #[command(flatten)]
    pub(crate) aws: AwsArgs,
}

#[derive(Debug, Args)]
pub(crate) struct EvidenceVerifyArgs {
    #[command(flatten)]
    pub(crate) place: WhereArgs,
    /// The fingerprint of the key that has to have signed: 64 hexadecimal digits, from anywhere but the folder. Without it
    /// the answer is `unauthenticated` at best.
    #[arg(long, value_name = "FINGERPRINT", env = "LIFEBOAT_EVIDENCE_KEY", value_parser = fingerprint)]
    pub(crate) key: Option<String>,
}

/// A folder, or a run in the bucket.
#[derive(Debug, Args)]
pub(crate) struct WhereArgs {
    /// A folder that `fetch` has made; or, where there is none of that name, a run in the evidence bucket.
    #[arg(value_name = "DIR|RUN", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) place: String,
    /// The name of the run's plan; not needed for a folder.
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) plan: Option<String>,
    /// The evidence bucket (the foundation's output `EvidenceBucketName`); not needed for a folder.
    #[arg(long, value_name = "BUCKET", env = "LIFEBOAT_EVIDENCE_BUCKET")]
    pub(crate) evidence_bucket: Option<String>,
    #[command(flatten)]
    pub(crate) aws: AwsArgs,
}

pub(super) fn fingerprint(text: &str) -> Result<String, &'static str> {
    let digits = text.to_ascii_lowercase();
    match digits.len() == 64 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        true => Ok(digits),
        false => Err("not the 64 hexadecimal digits of a SHA-256"),
    }
}
