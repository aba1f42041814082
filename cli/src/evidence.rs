//! `lifeboat evidence`: what runs have left behind. It reads and prints; what is wrong with a folder is for
//! `lifeboat_rules::evidence::verify` to say.

mod fetch;
mod place;
mod show;
mod signature;
mod verify;

use std::collections::BTreeMap;

use lifeboat_rules::evidence::verify::{Object, Verified};
use lifeboat_runtime::Store;
use serde_json::json;

use crate::args::{EvidenceCommand, EvidenceListArgs};
use crate::aws;
use crate::failure::Failure;
use crate::output::{Report, table};
use crate::status::runs::{self, OBJECTS_MAX, Seen};

/// Judges the objects of one run, by their keys below its prefix, against the fingerprint that the user holds.
pub fn judge(objects: &BTreeMap<String, Object>, pinned: Option<&str>) -> Verified {
    lifeboat_rules::evidence::verify::verify(objects, &signature::check(objects), pinned)
}

pub(crate) fn run(command: &EvidenceCommand) -> Result<Report, Failure> {
    match command {
        EvidenceCommand::List(args) => aws::block_on(list(args)),
        EvidenceCommand::Show(args) => show::run(args),
        EvidenceCommand::Fetch(args) => aws::block_on(fetch::run(args)),
        EvidenceCommand::Verify(args) => verify::run(args),
    }
}

async fn list(args: &EvidenceListArgs) -> Result<Report, Failure> {
    let config = aws::config(&args.aws, None).await?;
    let (plan, bucket) = (&args.plan, &args.evidence.evidence_bucket);
    let (s3, store) = (aws::s3(&config), Store::new(&config));
    let runs = runs::read(&s3, &store, bucket, plan, usize::from(args.runs)).await?;
    let mut warnings = Vec::new();
    if runs.cut {
        warnings.push(format!(
            "the evidence holds more than {OBJECTS_MAX} objects: runs whose names come after {} were not looked at",
            runs.last_looked_at
        ));
    }
    if runs.found > runs.list.len() {
        warnings.push(format!(
            "{} older runs are left out; --runs N tells of more",
            runs.found - runs.list.len()
        ));
    }
    Ok(Report {
        headline: match runs.found {
            0 => format!("{plan} has left no evidence in s3://{bucket}"),
            1 => format!("1 run of {plan} has left evidence"),
            found => format!("{found} runs of {plan} have left evidence"),
        },
        tables: vec![(
            "Runs, the newest first",
            table(["began", "run", "started by", "outcome", "reason"], runs.list.iter().map(Seen::row)),
        )],
        warnings,
        json: json!({ "plan": plan, "runs": runs }),
        ..Report::default()
    })
}
