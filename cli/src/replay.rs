//! `lifeboat replay`: past runs, decided again from their evidence. It reads, and changes nothing.

mod bucket;
mod folder;
mod told;

use std::path::Path;

use lifeboat_rules::Plan;
use lifeboat_rules::replay::{Evidence, Replayed, replay};

use crate::args::ReplayArgs;
use crate::aws;
use crate::failure::Failure;
use crate::output::Report;
use crate::progress::Steps;
use crate::source;

pub(crate) fn run(args: &ReplayArgs) -> Result<Report, Failure> {
    let as_if = args.as_if.as_deref().map(source::check).transpose()?.map(|checked| checked.plan);
    let again = Again { as_if: as_if.as_ref() };
    let replayed = match (&args.plan, &args.evidence_bucket) {
        (Some(plan), Some(bucket)) => {
            aws::block_on(bucket::replay(&args.aws, bucket, plan, &args.of, &again))?
        }
        _ => folder::replay(args.of.iter().map(Path::new), &again)?,
    };
    Ok(told::report(&replayed, as_if.as_ref()))
}

/// By what runs are decided again.
struct Again<'a> {
    as_if: Option<&'a Plan>,
}

impl Again<'_> {
    /// Shown while there are `count` runs to go through.
    fn steps(count: usize) -> Steps {
        Steps::show("deciding again", count as u64)
    }

    fn one(&self, evidence: &Evidence, steps: &Steps) -> Replayed {
        let replayed = replay(evidence, self.as_if);
        steps.advance(1);
        replayed
    }
}
