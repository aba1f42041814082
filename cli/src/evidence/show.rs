//! `lifeboat evidence show`: what is written in the evidence of one run.

use lifeboat_rules::Outcome;
use lifeboat_rules::evidence::chain::is_record;
use lifeboat_rules::evidence::cost::CostEstimate;
use lifeboat_rules::evidence::verify::{MANIFEST, Object, SIGNATURE};
use lifeboat_rules::evidence::{Account, Manifest, PhaseTime, Record, Rto, account};
use serde_json::json;

use super::place;
use crate::args::ShowArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Report, moment, one_line, table};

pub(super) fn run(args: &ShowArgs) -> Result<Report, Failure> {
    let evidence = place::read(&args.place)?;
    let content = |key: &str| evidence.objects.get(key).and_then(Object::content);
    let manifest: Option<Manifest> = content(MANIFEST).and_then(|bytes| serde_json::from_slice(bytes).ok());
    let records: Vec<(String, Record)> = evidence
        .objects
        .iter()
        .filter(|(key, _)| is_record(key))
        .filter_map(|(key, object)| Some((key.clone(), serde_json::from_slice(object.content()?).ok()?)))
        .collect();
    let run = manifest.as_ref().map(|manifest| manifest.run.clone());
    let Some(run) = run.or_else(|| Some(records.first()?.1.step.run.clone())) else {
        let what = format!("{} holds neither a record nor a manifest that can be read", evidence.place);
        return Err(Failure::new(Exit::NoInput, what, "`lifeboat evidence verify` says what is wrong"));
    };
    // Of a run that is open nothing is known of its end.
    let told = manifest.as_ref().and_then(|manifest| manifest.account.clone());
    let told = told.unwrap_or_else(|| account(None, Outcome::Halted, &[], &[], &records));
    let mut details = vec![("place", evidence.place.clone())];
    match &manifest {
        Some(manifest) => details.extend(of_manifest(manifest)),
        None => details.push(("manifest", "none: the run is open".to_owned())),
    }
    details.extend(of_account(&told));
    let signed = if evidence.objects.contains_key(SIGNATURE) { "yes, not checked here" } else { "no" };
    details.push(("signed", signed.to_owned()));
    details.push(("records", format!("{} of {} objects", records.len(), evidence.objects.len())));
    let headline = match &manifest {
        Some(Manifest { outcome, reason, .. }) => format!("{run}: {outcome}: {}", one_line(reason)),
        None => format!("{run}: open"),
    };
    Ok(Report {
        headline,
        details,
        tables: vec![(
            "Phases",
            table(["entered", "state", "took", "calls", "came to"], told.phases.iter().map(row)),
        )],
        warnings: told.unknown.iter().map(|key| format!("{key} has no outcome")).collect(),
        json: json!({ "run": run, "place": evidence.place, "manifest": manifest, "account": told }),
        ..Report::default()
    })
}

fn of_manifest(manifest: &Manifest) -> Vec<(&'static str, String)> {
    let mut details = vec![("closed", moment(manifest.closed_at))];
    if let Some(run) = &manifest.admitted {
        let epoch = run.epoch.map_or("none was claimed".to_owned(), |epoch| epoch.to_string());
        details.push(("epoch", epoch));
        details.push(("plan", format!("version {}, SHA-256 {}", run.plan.version, run.plan.sha256)));
    }
    if let Some(deployment) = &manifest.deployment {
        details.push(("packages", deployment.packages.clone()));
        details.push(("definition", deployment.definition.clone()));
    }
    details
}

fn of_account(account: &Account) -> Vec<(&'static str, String)> {
    let mut details = Vec::new();
    if let Some(Rto { from, to, milliseconds, deadline, met }) = &account.rto {
        let met = if *met { "in time" } else { "late" };
        let (from, to, deadline) = (moment(*from), moment(*to), moment(*deadline));
        details
            .push(("RTO", format!("{}, {from} to {to}, {met}: due at {deadline}", seconds(*milliseconds))));
    }
    if let Some(rpo) = &account.rpo {
        details.push(("RPO", format!("{} acknowledged entries lost", rpo.lost_entries)));
    }
    if let Some(CostEstimate { nanodollars, prices, .. }) = &account.cost_estimate {
        let dollars = format!("{}.{:06}", nanodollars / 1_000_000_000, nanodollars / 1_000 % 1_000_000);
        details.push((
            "cost",
            format!("about {dollars} US dollars without the stacks, an estimate by {prices}"),
        ));
    }
    if !account.stacks.left_standing.is_empty() {
        details.push(("left standing", account.stacks.left_standing.join(", ")));
    }
    details
}

fn row(phase: &PhaseTime) -> [String; 5] {
    [
        moment(phase.began_at),
        one_line(&phase.state),
        seconds(phase.milliseconds),
        phase.calls.to_string(),
        match (&phase.verdict, phase.action.as_str()) {
            (Some(verdict), _) => one_line(verdict),
            (None, "close") => "the manifest".to_owned(),
            (None, _) => "not known".to_owned(),
        },
    ]
}

#[expect(clippy::cast_precision_loss, reason = "a run takes less than 2^53 milliseconds")]
fn seconds(milliseconds: i64) -> String {
    format!("{:.1} s", milliseconds as f64 / 1_000.0)
}
