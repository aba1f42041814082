//! The page across runs: a chart of RTO and RPO, and the same in numbers.

mod chart;

use maud::{Markup, html};

use super::document;
use super::parts::{badge, section, table, time, word};
use crate::report::all::{Runs, Seen, Signature};
use crate::report::model::Tone;
use crate::report::words::{count, duration, grouped};

pub(crate) fn render(runs: &Runs) -> String {
    let plan = runs.plan.as_deref().unwrap_or("several plans");
    document(
        &format!("{plan}: {}", count(runs.list.len() as u64, "run")),
        &html! {
            header {
                p.kicker { "Lifeboat · Runs over time" }
                h1 { (plan) }
                div class={ "verdict " (if is_well(runs) { "good" } else { "warning" }) } { p.sentence { (sentence(runs)) } }
            }
            main {
                (section("chart", "Recovery time and loss, run by run", &chart::chart(&runs.list)))
                (section("runs", "The runs in numbers", &numbers(runs)))
            }
        },
    )
}

fn is_well(runs: &Runs) -> bool {
    let mut recovered = runs.list.iter().filter(|run| run.rto_milliseconds.is_some()).peekable();
    let vouched = runs.list.iter().all(|run| !matches!(run.signature, Signature::Wrong { .. }));
    let some = recovered.peek().is_some();
    vouched && some && recovered.all(|run| run.rto_met == Some(true) && run.lost_entries == Some(0))
}

fn sentence(runs: &Runs) -> String {
    let recovered: Vec<&Seen> = runs.list.iter().filter(|run| run.rto_milliseconds.is_some()).collect();
    let within = recovered.iter().filter(|run| run.rto_met == Some(true)).count();
    let whole = recovered.iter().filter(|run| run.lost_entries == Some(0)).count();
    let all = count(runs.list.len() as u64, "run");
    match (recovered.len(), recovered.iter().filter_map(|run| run.rto_milliseconds).max()) {
        (0, _) | (_, None) => format!("Of {all} none recovered, so no recovery time was measured."),
        (measured, Some(slowest)) => format!(
            "Of {all} {measured} recovered: {within} within the objective, the slowest in {}; {whole} with nothing acknowledged \
             lost.",
            duration(slowest)
        ),
    }
}

fn numbers(runs: &Runs) -> Markup {
    let rows = runs.list.iter().enumerate().map(|(index, run)| {
        vec![
            html! { (index + 1) },
            html! { div.name { code { (run.run) } @if let Some(at) = run.began_at { br; (time(at)) } } },
            word(run.started_by.as_deref().unwrap_or("–")),
            word(run.outcome.map_or("open", |outcome| outcome.as_str())),
            word(&recovery_time(run)),
            html! { @match run.lost_entries { Some(lost) => (grouped(lost)), None => "–" } },
            signature(&run.signature),
            html! { (run.reason) },
        ]
    });
    let heading = ["No.", "Run", "Started by", "Outcome", "RTO", "RPO: lost", "Signature", "Why"];
    html! {
        (table("In the order of their begin", &heading, rows))
        @for note in &runs.notes { p { (note) } }
        p.muted { "RTO: from the alarm or the start by hand until the recovered side was last seen to serve, of a run that recovered. RPO: \
             acknowledged entries that are lost. Of each run its manifest and the signature of that were looked at, and the signature is checked against a key only where --key gives one; whether its \
             records are whole is said by the run's own report. Read from " code { (runs.place) } "." }
    }
}

fn recovery_time(run: &Seen) -> String {
    match (run.rto_milliseconds, run.objective_milliseconds) {
        (Some(took), Some(limit)) => format!("{} of {}", duration(took), duration(limit)),
        (Some(took), None) => duration(took),
        (None, _) => "–".to_owned(),
    }
}

fn signature(signature: &Signature) -> Markup {
    match signature {
        Signature::ByTheKey => badge(Tone::Good, "by the key"),
        Signature::NotPinned { .. } => badge(Tone::Neutral, "not checked"),
        Signature::Absent => badge(Tone::Neutral, "none"),
        Signature::Wrong { why } => html! { (badge(Tone::Bad, "WRONG")) " " (why) },
    }
}
