//! What can be typed behind `lifeboat report`.

use std::path::PathBuf;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use super::evidence::fingerprint;
use super::{AwsArgs, WhereArgs};

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// A folder that `lifeboat evidence fetch` has made; or, where there is none of that name, a run in the evidence bucket.
    /// With --all a folder of such folders; in its absence, the runs in the bucket.
    #[arg(value_name = "DIR|RUN", value_parser = NonEmptyStringValueParser::new(), required_unless_present = "all")]
    place: Option<String>,
    /// The name of the plan; not needed for a folder.
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    plan: Option<String>,
    /// The evidence bucket (the foundation's output `EvidenceBucketName`); not needed for a folder.
    #[arg(long, value_name = "BUCKET", env = "LIFEBOAT_EVIDENCE_BUCKET")]
    evidence_bucket: Option<String>,
    /// Tell of all runs on one page: what came of each, its RTO and its RPO, over time.
    #[arg(long)]
    pub(crate) all: bool,
    /// With --all, how many runs of the bucket to tell of, the newest.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) runs: u16,
    /// The fingerprint of the key that has to have signed: 64 hexadecimal digits, from anywhere but the folder. Without it
    /// the page says that its evidence is unauthenticated.
    #[arg(long, value_name = "FINGERPRINT", env = "LIFEBOAT_EVIDENCE_KEY", value_parser = fingerprint)]
    pub(crate) key: Option<String>,
    /// Where to write the page [default: <RUN>.html; with --all, <PLAN>-runs.html].
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Overwrite a file that is there.
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    aws: AwsArgs,
}

impl ReportArgs {
    /// Where the evidence lies, as the other commands have it. `place` is empty where only --all was given.
    pub(crate) fn place(&self) -> WhereArgs {
        let AwsArgs { region, profile } = &self.aws;
        WhereArgs {
            place: self.place.clone().unwrap_or_default(),
            plan: self.plan.clone(),
            evidence_bucket: self.evidence_bucket.clone(),
            aws: AwsArgs { region: region.clone(), profile: profile.clone() },
        }
    }
}
