//! What sections have in common.

use jiff::Timestamp;
use maud::{Markup, html};

use crate::output::moment;
use crate::report::model::Tone;
use crate::report::model::names::Names;
use crate::report::words::grouped;

/// A section with its heading, which the contents point at.
pub(super) fn section(id: &str, title: &str, body: &Markup) -> Markup {
    html! {
        section id=(id) aria-labelledby={ (id) "-title" } {
            h2 id={ (id) "-title" } { (title) }
            (body)
        }
    }
}

/// A table with its caption; the first cell of each row is its heading.
///
/// On a phone each row is a block, and each cell has its column's name before it. The roles keep it a table to a screen
/// reader there too.
pub(super) fn table(caption: &str, heading: &[&str], rows: impl Iterator<Item = Vec<Markup>>) -> Markup {
    html! {
        table.stacked role="table" {
            caption { (caption) }
            thead role="rowgroup" {
                tr role="row" { @for name in heading { th scope="col" role="columnheader" { (name) } } }
            }
            tbody role="rowgroup" {
                @for row in rows {
                    tr role="row" {
                        @for (index, (cell, name)) in row.iter().zip(heading).enumerate() {
                            @if index == 0 {
                                th scope="row" role="rowheader" { (cell) }
                            } @else {
                                td role="cell" data-label=(name) { div { (cell) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A moment, which a machine can read as well.
pub(super) fn time(at: Timestamp) -> Markup {
    html! { time datetime=(at) { (moment(at)) } }
}

/// A word that says how something is; the colour only repeats it.
pub(super) fn badge(tone: Tone, word: &str) -> Markup {
    html! { span class={ "badge " (class(tone)) } { (word) } }
}

pub(super) fn class(tone: Tone) -> &'static str {
    match tone {
        Tone::Good => "good",
        Tone::Neutral => "neutral",
        Tone::Warning => "warning",
        Tone::Bad => "bad",
    }
}

/// A digest, a key, a name: broken anywhere where there is no room.
pub(super) fn code(text: &str) -> Markup {
    html! { code { (text) } }
}

/// A word that is not broken: a verdict, a name.
pub(super) fn word(text: &str) -> Markup {
    html! { span.word { (text) } }
}

pub(super) fn values(values: &[String]) -> Markup {
    match values {
        [] => html! { span.muted { "none" } },
        values => html! { code { (values.join(", ")) } },
    }
}

/// A list of names, folded.
pub(super) fn names(names: &Names, what: &str) -> Markup {
    html! {
        details {
            summary { (grouped(names.count as u64)) " " (what) }
            @if !names.suffix.is_empty() { p.muted { "Each ends in " code { (names.suffix) } "." } }
            p.names { (names.names.join(", ")) }
            @if names.untold() > 0 {
                p { "And " (grouped(names.untold() as u64)) " more, for which a page has no room: all are in the objects named below." }
            }
        }
    }
}
