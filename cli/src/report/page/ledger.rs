//! What was proven of the ledger, and how the primary was fenced.

use maud::{Markup, html};

use super::parts::{code, section, table, time, word};
use crate::report::model::fence::Fence;
use crate::report::model::ledger::Ledger;
use crate::report::words::grouped;

pub(super) fn proof(ledger: &Ledger) -> Markup {
    let body = html! {
        @for words in &ledger.words { p { (words) } }
        @if ledger.findings_count > 0 { (findings(ledger)) }
        @if !ledger.proofs.is_empty() {
            (table("What was proven, and when", &["Step", "At", "Verdict", "In its own words"], ledger.proofs.iter().map(|proof| vec![
                html! { (proof.state) }, time(proof.at), word(&proof.verdict), html! { (proof.reason) },
            ])))
        }
        @if !ledger.streams.is_empty() {
            (table("Streams, by the last proof", &["Stream", "Entries", "Through", "Pen", "Hash of the last entry"], ledger.streams.iter().map(|stream| vec![
                word(&stream.stream),
                html! { (grouped(stream.entries)) },
                html! { (stream.through) },
                html! { (stream.pen) },
                code(&stream.head),
            ])))
        }
    };
    section("ledger", "Proof of the ledger", &body)
}

fn findings(ledger: &Ledger) -> Markup {
    let rows = ledger.findings.iter().map(|finding| {
        vec![
            html! { (finding.stream) @if let Some(seq) = finding.seq { ", entry " (seq) } },
            word(&format!("{:?}", finding.verdict)),
            html! { (finding.what) @if let Some(object) = &finding.object { ", in " code { (object) } } },
        ]
    });
    html! {
        (table("What stands against the proof", &["Where", "Verdict", "What"], rows))
        @if ledger.findings_count > ledger.findings.len() as u64 {
            p { (grouped(ledger.findings_count)) " in all; the step keeps the worst." }
        }
    }
}

pub(super) fn fence(fence: &Fence) -> Markup {
    let number = |number: Option<u64>| html! { @match number { Some(number) => (number), None => "–" } };
    let body = html! {
        p { (fence.words) }
        @if fence.epoch.is_some() || fence.sealed_at.is_some() {
            p {
                @if let Some(epoch) = fence.epoch { "The run holds epoch " (epoch) "; whoever holds an older one has no effect. " }
                @if let Some(at) = fence.sealed_at { "Sealed at " (time(at)) ". " }
                @if let Some(at) = fence.opened_at { "Opened for the recovery side at " (time(at)) "." }
            }
        }
        @if !fence.streams.is_empty() {
            (table("Where the pen changed hands", &["Stream", "Sealed at entry", "Opened at entry"], fence.streams.iter().map(|stream| vec![
                html! { (stream.stream) }, number(stream.sealed_seq), number(stream.opened_seq),
            ])))
        }
    };
    section("fence", "Fence", &body)
}
