//! Who decided, what went wrong, and what was left.

use lifeboat_rules::approval::{About, Decided};
use lifeboat_rules::evidence::Stacks;
use maud::{Markup, html};

use super::parts::{section, table, time, word};
use crate::report::model::decided;
use crate::report::model::trouble::Trouble;
use crate::report::words::{count, grouped};

pub(super) fn decided(decided: &decided::Decided) -> Markup {
    let body = html! {
        @match &decided.started {
            Some(started) => p {
                @if started.is_alarm { "Started by the alarm " } @else { "Started by a person, who said to be " }
                strong { (started.by) }
                @if let Some(at) = started.at { ", at " (time(at)) }
                @if let Some(reason) = &started.reason { ": “" (reason) "”" }
                "."
            }
            None => p { "Who started the run is not on record." }
        }
        @if decided.approvals.is_empty() && decided.approvals_unread.is_empty() {
            p {
                @if decided.asked { "People were asked, and no answer is on record." } @else { "Automatic: nobody was asked." }
            }
        }
        @if !decided.approvals.is_empty() {
            (table("What people were asked, and said", &["Question", "Decision", "By", "At", "Reason"], decided.approvals.iter().map(|approval| vec![
                html! { (question(approval.question)) },
                word(decision(approval.decision)),
                html! { (approval.principal) },
                time(approval.at),
                html! { (approval.reason) },
            ])))
        }
        @for unread in &decided.approvals_unread { p { "One answer could not be read: " code { (unread) } } }
        @if !decided.observations.is_empty() {
            (table("On what grounds: what was seen of the primary", &["Step", "At", "Verdict", "Because"], decided.observations.iter().map(|seen| vec![
                html! { (seen.state) }, time(seen.at), word(&seen.verdict), html! { (seen.reason) },
            ])))
        }
    };
    section("decided", "Who decided, and on what grounds", &body)
}

fn question(question: About) -> &'static str {
    match question {
        About::Seal => "May it seal?",
        About::Unproven => "May it go on, though the ledger is unproven?",
    }
}

fn decision(decision: Decided) -> &'static str {
    match decision {
        Decided::Approve => "approved",
        Decided::Decline => "declined",
        Decided::Expired => "not answered by enough in time",
        Decided::Refused => "does not count",
    }
}

pub(super) fn trouble(trouble: &Trouble) -> Markup {
    let none = trouble.items.is_empty() && trouble.again.is_empty();
    let body = html! {
        @if none { p { "No step failed, none was tried again, and each that was begun has its outcome on record." } }
        @if !trouble.items.is_empty() {
            (table("What failed, or left no outcome", &["Step", "At", "What", "In its own words"], trouble.items.iter().map(|item| vec![
                html! { (item.state) },
                html! {
                    (time(item.first_at))
                    @if item.times > 1 { ", " (item.times) " times, the last at " (time(item.last_at)) }
                },
                html! { @match &item.error { Some(error) => (word(error)), None => "outcome unknown" } },
                html! { (item.what) },
            ])))
            @if trouble.items_count > trouble.items.len() {
                p { "And " (grouped((trouble.items_count - trouble.items.len()) as u64)) " more; the records tell them all." }
            }
        }
        @if !trouble.again.is_empty() {
            (table("What was called more than once", &["Step", "Calls", "Waited", "Failed", "Outcome unknown"], trouble.again.iter().map(|again| vec![
                html! { (again.state) },
                html! { (again.calls) }, html! { (again.waits) }, html! { (again.failed) }, html! { (again.unknown) },
            ])))
        }
    };
    section("trouble", "What went wrong, and what was tried again", &body)
}

pub(super) fn standing(stacks: &Stacks) -> Markup {
    let body = html! {
        @if !stacks.left_standing.is_empty() {
            p {
                "These stacks stand, and cost money until somebody deletes them"
                @if stacks.launched.is_empty() { "; one that could not be made may be among them" }
                ":"
            }
            ul { @for stack in &stacks.left_standing { li { code { (stack) } } } }
        } @else if stacks.launched.is_empty() {
            p { "No record says that a stack was complete." }
        } @else {
            p { (count(stacks.launched.len() as u64, "stack")) " had been launched, and taken down again: nothing is left." }
        }
    };
    section("standing", "What was left standing", &body)
}
