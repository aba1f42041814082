//! Every record.

use lifeboat_rules::evidence::Phase;
use maud::{Markup, html};

use super::parts::{self, code, table, time};
use crate::report::model::appendix::{Appendix, Entry};
use crate::report::words::grouped;

pub(super) fn section(appendix: &Appendix) -> Markup {
    let beside = appendix
        .beside
        .iter()
        .map(|listed| vec![code(&listed.key), html! { (grouped(listed.bytes)) }, code(&listed.sha256)]);
    let body = html! {
        p { "In the order in which they were made. An intent was stored before its step acted, an outcome after. Each can be unfolded; \
             on paper all of them are." }
        @if appendix.records.is_empty() { p { "There are none." } }
        ol.records { @for entry in &appendix.records { (record(entry)) } }
        @if appendix.beside_count > 0 {
            (table("What lies beside the records", &["Object", "Bytes", "SHA-256"], beside))
            @if appendix.beside_count > appendix.beside.len() {
                p { "And " (grouped((appendix.beside_count - appendix.beside.len()) as u64)) " more; the manifest names them all." }
            }
        }
    };
    parts::section("appendix", "Appendix: every record", &body)
}

fn record(entry: &Entry) -> Markup {
    html! {
        li {
            details {
                summary {
                    strong { (entry.state) }
                    @if entry.attempt > 0 { ", attempt " (entry.attempt + 1) }
                    ", " (match entry.phase { Phase::Intent => "intent", Phase::Outcome => "outcome" })
                    ", " (time(entry.at)) ": " (entry.short)
                }
                p { code { (entry.key) } br; "SHA-256 " code { (entry.sha256) } ", " (grouped(entry.bytes as u64)) " bytes" }
                @match &entry.json {
                    Some(json) => pre { (json) }
                    None => p { "Too long for a page: it is whole in the evidence." }
                }
            }
        }
    }
}
