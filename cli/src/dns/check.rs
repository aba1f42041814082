//! `lifeboat dns check`: what a flip would stumble over, found before the day. It reads, and changes nothing.

use std::collections::BTreeMap;

use lifeboat_rules::dns::check::{Finding, Kind, Seen, check};
use lifeboat_rules::plan::Strategy;
use serde_json::json;

use super::eyes::Eyes;
use crate::args::DnsCheckArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Report, one_line, table};

/// Findings of one kind that a person is shown; with --json all are told.
const SHOWN_OF_A_KIND: usize = 10;

pub(super) async fn run(args: &DnsCheckArgs) -> Result<Report, Failure> {
    let eyes = Eyes::open(&args.plan).await?;
    let (plan, records) = (&eyes.plan, &eyes.records);
    let hosted = eyes.hosted().await?;
    let standing = eyes.standing().await?;
    let gate = match plan.dns.strategy {
        Strategy::Switch => Some(eyes.gate().await?),
        Strategy::Records => None,
    };
    let zone = eyes.found().await?;
    let findings = check(&Seen {
        plan,
        records,
        hosted: &hosted,
        zone: &zone,
        networks: &args.networks,
        epoch: standing.epoch,
        flip: standing.flip.as_ref(),
        unreadable: standing.unreadable.as_ref(),
        gate: gate.as_ref(),
    });
    let networks = match hosted.networks.as_slice() {
        [] => "none".to_owned(),
        networks => networks.join(", "),
    };
    let (shown, left_out) = few_of_each(&findings);
    let rows = shown
        .into_iter()
        .map(|finding| [&finding.place, &finding.what, &finding.next].map(|text| one_line(text)));
    Ok(Report {
        headline: match findings.len() {
            0 => format!("the records of {} are ready for a flip", plan.name),
            1 => format!("1 thing about the records of {} is not as a flip needs it", plan.name),
            count => {
                format!("{count} things about the records of {} are not as a flip needs them", plan.name)
            }
        },
        details: vec![
            ("strategy", plan.dns.strategy.to_string()),
            (
                "records",
                format!("{} of the plan, among {} sets of {}", records.len(), zone.len(), plan.dns.zone),
            ),
            ("networks", networks),
        ],
        tables: match findings.is_empty() {
            true => vec![],
            false => vec![("Findings", table(["where", "what", "next"], rows))],
        },
        warnings: left_out,
        json: json!({
            "plan": plan.name,
            "strategy": plan.dns.strategy,
            "records": records.len(),
            "sets": zone.len(),
            "networks": hosted.networks,
            "epoch": standing.epoch,
            "flip": standing.flip,
            "unreadable_flip": standing.unreadable,
            "findings": findings,
        }),
        exit: if findings.is_empty() { Exit::Done } else { Exit::Halted },
        ..Report::default()
    })
}

/// The first findings of each kind, and how many of which kind are left out: ten thousand symbols may all have the same.
fn few_of_each(findings: &[Finding]) -> (Vec<&Finding>, Vec<String>) {
    let mut counts: BTreeMap<Kind, usize> = BTreeMap::new();
    let shown = findings.iter().filter(|finding| {
        let count = counts.entry(finding.kind).or_default();
        *count += 1;
        *count <= SHOWN_OF_A_KIND
    });
    let shown = shown.collect();
    let left_out = counts.into_iter().filter(|(_, count)| *count > SHOWN_OF_A_KIND).map(|(kind, count)| {
        let kind = json!(kind);
        let kind = kind.as_str().unwrap_or_default().replace('_', " ");
        format!("{} more of the kind \"{kind}\"; --json tells of all", count - SHOWN_OF_A_KIND)
    });
    (shown, left_out.collect())
}
