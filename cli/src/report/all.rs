//! `lifeboat report --all`: the runs of a plan side by side, by their manifests.

mod read;
mod runs;

use serde_json::json;

use super::page;
use crate::args::ReportArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Report;
pub(super) use runs::{Runs, Seen, Signature};

pub(super) fn run(args: &ReportArgs) -> Result<Report, Failure> {
    let found = read::read(args)?;
    let runs = Runs::of(found, args.key.as_deref());
    let wrong = runs.list.iter().filter(|run| matches!(run.signature, Signature::Wrong { .. })).count();
    let name = format!("{}-runs", runs.plan.as_deref().unwrap_or("all"));
    let (file, bytes) = super::write(args, &name, &page::runs::render(&runs))?;
    let mut json = json!(runs);
    json["file"] = json!(file);
    Ok(Report {
        headline: match runs.list.len() {
            1 => format!("the report of 1 run is in {file}"),
            count => format!("the report of {count} runs is in {file}"),
        },
        details: vec![("page", format!("{file}, {bytes} bytes")), ("read from", runs.place.clone())],
        warnings: runs
            .notes
            .iter()
            .cloned()
            .chain((wrong > 0).then(|| format!("the signatures of {wrong} are wrong")))
            .collect(),
        json,
        exit: if wrong > 0 { Exit::Broken } else { Exit::Done },
        ..Report::default()
    })
}
