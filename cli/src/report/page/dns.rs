//! Names before and after, the batches, and the receipts.

use maud::{Markup, html};

use super::parts::{self, code, names, table, time, values, word};
use crate::report::model::dns::{Batch, By, Changes, Dns, Receipts};
use crate::report::words::{count, grouped};

pub(super) fn section(dns: &Dns) -> Markup {
    let body = html! {
        @for words in &dns.words { p { (words) } }
        @if let Some(flip) = &dns.flip {
            p { "The object: " code { (flip.key) } @if let Some(version) = &flip.version { ", version " code { (version) } }
                ", put at " (time(flip.at)) "." }
        }
        (changes(&dns.changes))
        @if !dns.batches.is_empty() { (batches(&dns.batches)) }
        @if let Some(of) = &dns.receipts { (receipts(of)) }
        @for unread in &dns.unread { p { "This could not be read: " code { (unread) } } }
    };
    parts::section("dns", "Traffic: DNS before and after", &body)
}

fn changes(changes: &Changes) -> Markup {
    let caption = match changes.by {
        Some(By::Batches) => "Before and after, by the batches that were not refused",
        Some(By::Plan) => "Before and after, as the plan has the two sides",
        None => return html! {},
    };
    let rows = changes.groups.iter().map(|group| {
        vec![
            names(&group.names, "names"),
            html! { (group.kind) },
            values(&group.before),
            values(&group.after),
        ]
    });
    html! {
        (table(caption, &["Names", "Type", "Before", "After"], rows))
        @if changes.others.count > 0 { (names(&changes.others, "more records, each with values of its own")) }
    }
}

fn batches(batches: &[Batch]) -> Markup {
    let rows = batches.iter().map(|batch| {
        vec![
            html! { (batch.index) " of " (batch.of) },
            html! { @match batch.sent_at { Some(at) => (time(at)), None => "–" } },
            html! { (batch.changes) },
            html! { (batch.answer) @if let Some(change) = &batch.change { ", change " code { (change) } } },
            code(&batch.key),
        ]
    });
    table("Batches", &["Batch", "Sent", "Changes", "Answer", "Kept whole in"], rows)
}

fn receipts(receipts: &Receipts) -> Markup {
    let groups = receipts
        .groups
        .iter()
        .map(|group| vec![names(&group.names, "names"), html! { (group.kind) }, values(&group.values)]);
    let objects = receipts.objects.iter().map(|object| {
        vec![
            code(&object.key),
            word(&object.resolver),
            html! { (grouped(object.receipts as u64)) @if object.silent > 0 { ", and " (grouped(object.silent as u64)) " silent" } },
            html! { @match &object.sha256 { Some(sha256) => (code(sha256)), None => "not in the manifest" } },
        ]
    });
    html! {
        h3 { "Receipts" }
        p { (count(receipts.count as u64, "receipt")) ", from " (time(receipts.first_answered_at)) " to " (time(receipts.last_answered_at))
            ". The slowest answer, for " code { (receipts.slowest) } ", took " (grouped(receipts.slowest_milliseconds))
            " ms; the longest time to live was " (receipts.ttl_seconds_max) " s." }
        (table("Names that answered from the recovery side", &["Names, each with the time of its answer", "Type", "Answer"], groups))
        @if receipts.others.count > 0 { (names(&receipts.others, "more names, each with values of its own")) }
        @if receipts.silent_count > 0 {
            h3 { "Names that did not follow" }
            ul { @for silent in &receipts.silent { li { (silent) } } }
            @if receipts.silent_count > receipts.silent.len() {
                p { "And " (grouped((receipts.silent_count - receipts.silent.len()) as u64)) " more." }
            }
        }
        (table("Where the receipts are kept whole", &["Object", "Resolver", "Receipts", "SHA-256"], objects))
    }
}
