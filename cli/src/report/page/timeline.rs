//! The phases, as bars and in numbers.

use maud::{Markup, html};

use super::parts::{self, time, word};
use crate::report::model::timeline::{Phase, Timeline};
use crate::report::words::{count, duration};

pub(super) fn section(timeline: &Timeline) -> Markup {
    let body = html! {
        (objective(timeline))
        @if timeline.phases.is_empty() { p { "No record tells of any phase." } } @else { (phases(timeline)) }
    };
    parts::section("timeline", "Timeline against the objective", &body)
}

/// How much of the objective was used.
fn objective(timeline: &Timeline) -> Markup {
    let Some(limit) = timeline.objective_milliseconds else {
        return html! { p { "No manifest of an admitted run says what the objective was." } };
    };
    let (took, what) = match timeline.rto_milliseconds {
        Some(rto) => (rto, "Until the recovered side was last seen to serve"),
        None => (timeline.milliseconds, "Until the run ended, without a recovery"),
    };
    let scale = took.max(limit).max(1);
    let late = took > limit;
    html! {
        figure.objective {
            div.gauge aria-hidden="true" {
                div class=(if late { "used late" } else { "used" }) style={ "width:" (percent(took, scale)) "%" } {}
                div.limit style={ "left:" (percent(limit, scale)) "%" } {}
            }
            figcaption {
                (what) ": " strong { (duration(took)) } ", which is " (percent(took, limit.max(1))) " % of the objective of "
                strong { (duration(limit)) }
                @if let Some(deadline) = timeline.deadline { " (due at " (time(deadline)) ")" }
                "."
            }
        }
    }
}

fn phases(timeline: &Timeline) -> Markup {
    html! {
        table.phases {
            caption {
                "Phases, from the alarm or the start by hand"
                @if let Some(from) = timeline.from { " at " (time(from)) }
            }
            thead { tr {
                th scope="col" { "Phase" } th scope="col" { "Began" } th scope="col" { "Took" } th scope="col" { "Came to" }
            } }
            tbody { @for phase in &timeline.phases { (row(timeline, phase)) } }
        }
    }
}

fn row(timeline: &Timeline, phase: &Phase) -> Markup {
    let scale = timeline.milliseconds;
    html! {
        tr {
            th scope="row" {
                (phase.state)
                div.track aria-hidden="true" {
                    div.bar style={ "left:" (percent(phase.begins, scale)) "%;width:" (percent(phase.milliseconds, scale)) "%" } {}
                }
            }
            td.number { "+" (duration(phase.begins)) }
            td.number { (duration(phase.milliseconds)) }
            td {
                (word(&phase.verdict))
                @if phase.calls > 1 { " " span.muted { "(" (count(phase.calls, "call")) ")" } }
            }
        }
    }
}

/// A part of a whole in per cent, with one decimal.
fn percent(part: i64, whole: i64) -> String {
    let tenths = part.max(0).saturating_mul(1_000) / whole;
    format!("{}.{}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_told_in_per_cent() {
        assert_eq!(percent(17_196, 7_200_000), "0.2");
        assert_eq!(percent(1, 2), "50.0");
        assert_eq!(percent(-5, 2), "0.0");
        assert_eq!(percent(3, 2), "150.0");
    }
}
