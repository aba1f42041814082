//! `lifeboat evidence`: what runs have left behind. It reads and prints; what is wrong with a folder is for
//! `lifeboat_rules::evidence::verify` to say.

mod fetch;
pub(crate) mod place;
mod show;
pub(crate) mod signature;
pub(crate) mod verify;

use std::collections::BTreeMap;

use lifeboat_rules::evidence::verify::{Object, Verified};

use crate::args::EvidenceCommand;
use crate::aws;
use crate::failure::Failure;
use crate::output::Report;
use crate::runs;

/// Judges the objects of one run, by their keys below its prefix, against the fingerprint that the user holds.
pub fn judge(objects: &BTreeMap<String, Object>, pinned: Option<&str>) -> Verified {
    lifeboat_rules::evidence::verify::verify(objects, &signature::check(objects), pinned)
}

pub(crate) fn run(command: &EvidenceCommand) -> Result<Report, Failure> {
    match command {
        EvidenceCommand::List(args) => aws::block_on(runs::run(args)),
        EvidenceCommand::Show(args) => show::run(args),
        EvidenceCommand::Fetch(args) => aws::block_on(fetch::run(args)),
        EvidenceCommand::Verify(args) => verify::run(args),
    }
}
