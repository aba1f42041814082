//! The facts for notices to regulators.

use lifeboat_rules::notices::{Due, Notice};
use maud::{Markup, html};

use super::parts::{section, table, time};
use crate::report::model::notices::Notices;

/// Nothing, where nothing is due.
pub(super) fn due(found: &Notices) -> Markup {
    let Notices { no_advice, notices } = found;
    let heading = &["What", "By", "Due", "Counted", "Source"];
    let rows = notices.iter().map(|notice| {
        vec![
            html! { (notice.what) },
            html! { (notice.regime.called()) },
            html! { @match notice.due {
                Due::AtOnce => "at once",
                Due::By { at } => { "by " (time(at)) @if let Some(done) = notice.done_at { ", done " (time(done)) } },
                Due::NotKnown => "a person has to say",
            } },
            html! { (notice.clock) },
            html! { (notice.source) },
        ]
    });
    html! {
        @if !notices.is_empty() {
            (section("notices", "Facts for notices", &html! {
                p { (no_advice) }
                (table("What is due, from the confirmed outage", heading, rows))
                @for facts in distinct(notices) { (facts) }
            }))
        }
    }
}

/// What there is to write, once for each regime: its notices have the same facts.
fn distinct(notices: &[Notice]) -> Vec<Markup> {
    let first = |index: usize| notices[..index].iter().all(|earlier| earlier.facts != notices[index].facts);
    let firsts = (0..notices.len()).filter(|index| first(*index)).map(|index| &notices[index]);
    firsts
        .map(|notice| {
            let caption = format!("To be written into: {}, {}", notice.regime.called(), notice.what);
            let rows = notice.facts.iter().map(|fact| vec![html! { (fact.what) }, html! { (fact.value) }]);
            table(&caption, &["Fact", "As the evidence has it"], rows)
        })
        .collect()
}
