//! `lifeboat evidence verify`: the verdict, and every object that it stumbled over.

use lifeboat_rules::evidence::verify::{Verdict, Verified, Wrong};
use serde_json::json;

use super::place::Evidence;
use super::{judge, place};
use crate::args::EvidenceVerifyArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Report, one_line, table};

pub(super) fn run(args: &EvidenceVerifyArgs) -> Result<Report, Failure> {
    let evidence = place::read(&args.place)?;
    let pinned = args.key.as_deref();
    let (run, verified) = verified(&evidence, pinned)?;
    Ok(report(&evidence.place, &run, &verified, pinned))
}

/// The run that the evidence is of, and the verdict on it.
///
/// # Errors
/// `NoInput` where nothing there says of which run it is.
pub(crate) fn verified(evidence: &Evidence, pinned: Option<&str>) -> Result<(String, Verified), Failure> {
    let mut verified = judge(&evidence.objects, pinned);
    let Some(run) = verified.run.clone() else {
        let what = format!("{} holds neither a record nor a manifest of a run", evidence.place);
        return Err(Failure::new(Exit::NoInput, what, "name the folder of one run, as `fetch` makes it"));
    };
    if let Some(asked) = evidence.run.as_ref().filter(|asked| **asked != run) {
        let what = format!("it says that the run is {run}, and {asked} was asked for");
        verified.wrong.push(Wrong { key: "manifest.json".to_owned(), what });
        verified.verdict = Verdict::Broken;
    }
    Ok((run, verified))
}

/// The exit code that the verdict is, and the verdict in one sentence.
pub(crate) fn told(run: &str, verified: &Verified, pinned: Option<&str>) -> (Exit, String) {
    let wrongs = match verified.wrong.len() {
        1 => "1 thing is wrong".to_owned(),
        count => format!("{count} things are wrong"),
    };
    match verified.verdict {
        Verdict::Authentic if verified.late.is_empty() => (
            Exit::Done,
            format!(
                "authentic: the evidence of {run} is complete and unchanged, signed by the key that was given"
            ),
        ),
        Verdict::Authentic => (
            Exit::Unproven,
            format!(
                "authentic: what was signed of {run} is complete and unchanged; {} that came when it was closed, and nobody \
                 vouches for, lies beside it",
                match verified.late.len() {
                    1 => "1 outcome".to_owned(),
                    count => format!("{count} outcomes"),
                }
            ),
        ),
        Verdict::Unauthenticated => {
            let why = match (pinned, &verified.signed_by) {
                (_, None) => "its manifest bears no signature",
                (None, Some(_)) => "no --key says whose signature it has to bear",
                (Some(_), Some(_)) => "its signature is not by the key that was given",
            };
            (Exit::Unproven, format!("unauthenticated: the evidence of {run} is whole, and {why}"))
        }
        Verdict::Open => (
            Exit::Unproven,
            format!("open: {run} has no manifest; it goes on, was stopped, or its end was taken away"),
        ),
        Verdict::Broken => (Exit::Broken, format!("broken: {wrongs} with the evidence of {run}")),
    }
}

fn report(place: &str, run: &str, verified: &Verified, pinned: Option<&str>) -> Report {
    let Verified { plan, outcome, records, left, signed_by, wrong, unknown, late, .. } = verified;
    let (exit, headline) = told(run, verified, pinned);
    let mut details = vec![("place", place.to_owned())];
    details.extend(plan.clone().map(|plan| ("plan", plan)));
    details.extend(outcome.clone().map(|outcome| ("outcome", outcome)));
    details.push(("records", format!("{records}, and {left} objects beside them")));
    details.extend(signed_by.clone().map(|fingerprint| ("signed by", fingerprint)));
    let mut tables = vec![];
    if !wrong.is_empty() {
        let rows = wrong.iter().map(|wrong| [one_line(&wrong.key), one_line(&wrong.what)]);
        tables.push(("Wrong", table(["object", "what"], rows)));
    }
    if !late.is_empty() {
        let rows = late.iter().map(|key| [one_line(key)]);
        tables.push(("Late, and vouched for by nobody", table(["object"], rows)));
    }
    let warnings = unknown
        .iter()
        .map(|key| format!("{key} has no outcome: it was begun, and what came of it is not known"))
        .collect();
    Report { headline, details, tables, warnings, json: json!(verified), exit, ..Report::default() }
}
