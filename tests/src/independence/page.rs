//! The tables of `statemachine/INDEPENDENCE.md`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use super::{CONTROL_PLANE, Independence, Needs, OPERATIONS, Row, STRATEGIES, WITHOUT_A_CALL, find};
use crate::page::Parts;
use crate::world::places;

/// How the page is renewed; a test that finds it old says so.
pub const COMMAND: &str = "cargo run -p lifeboat-tests --bin independence -- --write";

/// Where the page is.
pub fn path() -> PathBuf {
    places::repository().join("statemachine/INDEPENDENCE.md")
}

/// Its tables, by the names of their marks.
pub fn parts(of: &Independence) -> Parts {
    Parts::from([
        ("steps", rows(of, true)),
        ("callers", rows(of, false)),
        ("operations", operations()),
        ("control-planes", pairs("Operation | What for", CONTROL_PLANE)),
        ("rights", pairs("Right | Who uses it", WITHOUT_A_CALL)),
    ])
}

fn rows(of: &Independence, steps: bool) -> String {
    let mut out = format!(
        "| {} | Function | Data plane, recovery Region | Control plane, recovery Region | Network | Elsewhere |\n|---|---|---|---|---|---|",
        if steps { "Step" } else { "What calls" }
    );
    for row in of.rows.iter().filter(|row| row.is_step == steps) {
        let of_strategy = row.strategy.map_or(String::new(), |own| {
            let default = if own == STRATEGIES[0] { ", the default" } else { "" };
            format!(" (`{own}`{default})")
        });
        let action = row.action.as_ref().map_or(String::new(), |action| format!(": `{action}`"));
        let _ = write!(out, "\n| {}{of_strategy} | `{}`{action} |", row.what, kebab(&row.function));
        for needs in [Needs::Data, Needs::Control, Needs::Network, Needs::UsEast1] {
            let _ = write!(out, " {} |", calls(row, needs));
        }
    }
    out
}

/// The calls of one kind, by service.
fn calls(row: &Row, needs: Needs) -> String {
    let mut by_service: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for call in &row.calls {
        if let Some(known) = find(&call.service, &call.operation).filter(|known| known.needs == needs) {
            by_service.entry(known.called).or_default().push(known.operation);
        }
    }
    let texts: Vec<String> = by_service
        .into_iter()
        .map(|(service, operations)| match needs {
            Needs::Network => service.to_owned(),
            Needs::UsEast1 => format!("**{service} {} (us-east-1)**", operations.join(", ")),
            Needs::Data | Needs::Control => format!("{service} {}", operations.join(", ")),
        })
        .collect();
    texts.join("; ")
}

fn operations() -> String {
    let mut out = String::from("| Operation | Needs | Right | By |\n|---|---|---|---|");
    for known in OPERATIONS {
        let rights: Vec<String> = known.rights.iter().map(|right| format!("`{right}`")).collect();
        let _ = write!(
            out,
            "\n| {} {} | {} | {} | [AWS]({}) |",
            known.called,
            known.operation,
            known.needs.words(),
            rights.join(", "),
            known.source
        );
    }
    out
}

fn pairs(head: &str, of: &[(&str, &str)]) -> String {
    let mut out = format!("| {head} |\n|---|---|");
    for (name, why) in of {
        let _ = write!(out, "\n| `{name}` | {why} |");
    }
    out
}

fn kebab(name: &str) -> String {
    let mut out = String::new();
    for (at, letter) in name.char_indices() {
        if letter.is_ascii_uppercase() && at > 0 {
            out.push('-');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}
