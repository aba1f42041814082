//! What is read first: the verdict, what the evidence is worth, and by what the run went.

use lifeboat_rules::evidence::verify::Verdict;
use maud::{Markup, html};

use super::parts::{badge, class, code, section, table};
use crate::report::model::digests::Digest;
use crate::report::model::evidence::Evidence;
use crate::report::model::verdict::Fenced;
use crate::report::model::{Page, Tone};
use crate::report::words::{count, duration, grouped};

const CONTENTS: [(&str, &str); 10] = [
    ("evidence", "Evidence"),
    ("timeline", "Timeline"),
    ("ledger", "Ledger"),
    ("fence", "Fence"),
    ("dns", "Traffic"),
    ("decided", "Who decided"),
    ("trouble", "What went wrong"),
    ("standing", "Left standing"),
    ("digests", "Digests"),
    ("appendix", "Records"),
];

pub(super) fn head(page: &Page) -> Markup {
    let outcome = page.verdict.outcome.map_or("Open", |outcome| outcome.as_str());
    html! {
        header {
            p.kicker { "Lifeboat · Report of a run" }
            h1 { (page.plan.as_deref().unwrap_or("Unknown plan")) span.muted { " · run " } span.run { (page.run) } }
            div class={ "verdict " (class(page.verdict.tone)) } {
                p.sentence { (page.verdict.sentence) }
                @if let Some(reason) = &page.verdict.reason {
                    p { "In the run's own words: “" (reason) "”" }
                }
            }
            dl.tiles {
                (tile("Outcome", outcome, page.verdict.tone))
                (recovery_time(page))
                (loss(page))
                (tile("Evidence", word(page.evidence.verdict), page.evidence.tone))
            }
            nav aria-label="Contents" {
                ul { @for (id, title) in CONTENTS { li { a href={ "#" (id) } { (title) } } } }
            }
        }
    }
}

fn tile(name: &str, said: &str, tone: Tone) -> Markup {
    html! { div class=(class(tone)) { dt { (name) } dd { (said) } } }
}

fn recovery_time(page: &Page) -> Markup {
    let timeline = &page.timeline;
    let limit = timeline
        .objective_milliseconds
        .map_or("no objective".to_owned(), |limit| format!("of {}", duration(limit)));
    match (timeline.rto_milliseconds, timeline.rto_met) {
        (Some(took), Some(true)) => {
            tile("Recovery time (RTO)", &format!("{} {limit}", duration(took)), Tone::Good)
        }
        (Some(took), _) => tile("Recovery time (RTO)", &format!("{} {limit}", duration(took)), Tone::Bad),
        (None, _) => tile("Recovery time (RTO)", "not measured", Tone::Neutral),
    }
}

fn loss(page: &Page) -> Markup {
    match (page.lost_entries, page.fence.fenced) {
        (Some(0), _) => tile("Loss (RPO)", "0 entries", Tone::Good),
        (Some(lost), _) => tile("Loss (RPO)", &count(lost, "entry"), Tone::Bad),
        (None, Fenced::No)
            if page.verdict.outcome.is_some() && page.timeline.objective_milliseconds.is_some() =>
        {
            tile("Loss (RPO)", "ledger untouched", Tone::Neutral)
        }
        (None, _) => tile("Loss (RPO)", "not measured", Tone::Warning),
    }
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Authentic => "authentic",
        Verdict::Unauthenticated => "unauthenticated",
        Verdict::Open => "open",
        Verdict::Broken => "BROKEN",
    }
}

pub(super) fn evidence(evidence: &Evidence) -> Markup {
    let body = html! {
        p { (badge(evidence.tone, word(evidence.verdict))) " " (evidence.sentence) "." }
        @if evidence.verdict == Verdict::Unauthenticated {
            p { "Whoever can change a folder could have signed it anew. It is authentic only if a fingerprint that was kept elsewhere \
                 says so: " code { "lifeboat report … --key FINGERPRINT" } "." }
        }
        @if evidence.wrong_count > 0 {
            (table("What is wrong", &["Object", "What"], evidence.wrong.iter().map(|wrong| vec![code(&wrong.key), html! { (wrong.what) }])))
            @if evidence.wrong_count > evidence.wrong.len() {
                p { "And " (grouped((evidence.wrong_count - evidence.wrong.len()) as u64)) " more: "
                    code { "lifeboat evidence verify" } " tells them all." }
            }
        }
        p.muted { "Read from " code { (evidence.place) } ": " (count(evidence.records as u64, "record")) ", "
            (count(evidence.left as u64, "object")) " beside them." }
    };
    section("evidence", "Evidence", &body)
}

pub(super) fn digests(digests: &[Digest]) -> Markup {
    let rows = digests.iter().map(|digest| vec![html! { (digest.what) }, code(&digest.name)]);
    let body = match digests {
        [] => html! { p { "There is no manifest that names them." } },
        _ => table("What has run, and by which plan", &["What", "Digest or name"], rows),
    };
    section("digests", "Plan, templates, packages", &body)
}
