//! `lifeboat plan check`: offline.

use serde_json::json;

use crate::args::CheckArgs;
use crate::failure::Failure;
use crate::output::Report;
use crate::source::{self, Checked};

pub(crate) fn run(args: &CheckArgs) -> Result<Report, Failure> {
    let Checked { plan, templates, lists, records } = source::check(&args.file)?;
    let digest = plan.digest();
    Ok(Report {
        headline: format!("{} is a good plan", args.file.display()),
        details: vec![
            ("plan", plan.name.clone()),
            ("regions", format!("{} -> {}", plan.regions.primary, plan.regions.recovery)),
            ("stacks", plan.stacks.iter().map(|stack| stack.name.as_str()).collect::<Vec<_>>().join(", ")),
            ("streams", plan.ledger.streams.join(", ")),
            (
                "records",
                match records - plan.dns.records.len() {
                    0 => format!("{records}, strategy {}", plan.dns.strategy),
                    by_rule => format!("{records} ({by_rule} by rules), strategy {}", plan.dns.strategy),
                },
            ),
            ("digest", digest.clone()),
        ],
        warnings: Vec::new(),
        json: json!({
            "file": args.file,
            "plan": plan.name,
            "digest": digest,
            "templates": templates.keys().collect::<Vec<_>>(),
            "lists": lists.keys().collect::<Vec<_>>(),
            "records": records,
            "problems": [],
        }),
        ..Report::default()
    })
}
