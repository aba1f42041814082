//! The picture and the tables of the state machine, made from its definition so that they cannot drift.

use std::fmt::Write as _;
use std::path::PathBuf;

use lifeboat_rules::ErrorName;

use crate::definition::{Cause, Definition, Edge, Machine, State, error_names, quoted};
use crate::page::Parts;
use crate::world::places;

/// How the files are renewed; a test that finds them old says so.
pub const COMMAND: &str = "cargo run -p lifeboat-tests --bin diagram -- --write";

/// The files that may have such parts.
pub fn files() -> Vec<PathBuf> {
    ["statemachine/README.md", "README.md"]
        .map(|name| places::repository().join(name))
        .into_iter()
        .filter(|path| path.is_file())
        .collect()
}

/// Every part by its name.
pub fn parts(definition: &Definition) -> Parts {
    Parts::from([
        ("picture", format!("```mermaid\n{}```", mermaid(definition))),
        ("states", states(definition)),
        ("errors", errors(definition)),
    ])
}

/// The states and the ways between them, in Mermaid's language. Ways that an error takes are in the table of errors:
/// nearly every state has the same ones, and drawn they would hide the rest.
pub fn mermaid(definition: &Definition) -> String {
    let machines = definition.machines();
    let mut out = String::from("stateDiagram-v2\n");
    drawing(&machines[0], &machines, "  ", &mut out);
    out
}

/// The states of a machine, each with those within it, then the ways between them.
fn drawing(machine: &Machine<'_>, all: &[Machine<'_>], indent: &str, out: &mut String) {
    for state in machine.in_order() {
        let (id, name) = (id(state.name), state.name);
        let inner: Vec<&Machine<'_>> = all.iter().filter(|inner| inner.within == Some(name)).collect();
        if inner.is_empty() {
            let _ = writeln!(out, "{indent}state \"{name}\" as {id}");
            continue;
        }
        let _ = writeln!(out, "{indent}state \"{name}\" as {id} {{");
        for (index, branch) in inner.iter().enumerate() {
            if index > 0 {
                let _ = writeln!(out, "{indent}  --");
            }
            drawing(branch, all, &format!("{indent}  "), out);
        }
        let _ = writeln!(out, "{indent}}}");
    }
    ways(machine, indent, out);
}

fn ways(machine: &Machine<'_>, indent: &str, out: &mut String) {
    let _ = writeln!(out, "{indent}[*] --> {}", id(machine.start));
    for state in machine.in_order() {
        for (to, label) in drawn(state) {
            let label = if label.is_empty() { label } else { format!(" : {label}") };
            let _ = writeln!(out, "{indent}{} --> {}{label}", id(state.name), id(to));
        }
        let ends = matches!(state.kind(), "Succeed" | "Fail") || state.body["End"] == true;
        if ends {
            let _ = writeln!(out, "{indent}{} --> [*]", id(state.name));
        }
    }
}

/// One way to each state that is reached without an error, with all its conditions.
fn drawn(state: State<'_>) -> Vec<(&str, String)> {
    let mut ways: Vec<(&str, Vec<String>)> = Vec::new();
    for Edge { to, cause, .. } in state.edges() {
        let label = match cause {
            Cause::Catch(_) => continue,
            Cause::Next => String::new(),
            Cause::Default => "anything else".into(),
            Cause::Condition(condition) => {
                let both = if condition.contains(" and ") { " and " } else { ", " };
                quoted(condition).join(both)
            }
        };
        match ways.iter_mut().find(|(known, _)| *known == to) {
            // Two conditions may quote the same verdict of two branches.
            Some((_, labels)) if labels.contains(&label) => {}
            Some((_, labels)) => labels.push(label),
            None => ways.push((to, vec![label])),
        }
    }
    ways.into_iter().map(|(to, labels)| (to, labels.join(", "))).collect()
}

fn id(name: &str) -> String {
    let id: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect();
    id.trim_matches('_').to_owned()
}

/// Every state with what it is there for.
pub fn states(definition: &Definition) -> String {
    let mut out = String::from("| State | What it does | Function |\n|---|---|---|");
    let machines = definition.machines();
    for state in machines[0].in_order_with_inner(&machines) {
        state_row(state, &mut out);
    }
    out
}

fn state_row(state: State<'_>, out: &mut String) {
    let function = match (state.function(), state.action()) {
        (Some(function), Some(action)) => {
            format!("`{}`: `{action}`", kebab(function.trim_end_matches("Arn")))
        }
        _ => String::new(),
    };
    let _ = write!(out, "\n| {} | {} | {function} |", state.name, state.text("Comment"));
}

fn kebab(name: &str) -> String {
    let mut out = String::new();
    for (at, c) in name.char_indices() {
        if c.is_ascii_uppercase() && at > 0 {
            out.push('-');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

/// What each task's errors lead to.
pub fn errors(definition: &Definition) -> String {
    let surroundings = definition.surroundings();
    let all = definition.states();
    let mut out = String::from(
        "| Task | Time | Waits | Tries again | `Fenced` | Any other error |\n|---|---|---|---|---|---|",
    );
    let machines = definition.machines();
    let in_order = machines[0].in_order_with_inner(&machines);
    for task in in_order.into_iter().filter(|state| state.kind() == "Task") {
        let own = task.catchers().next().is_some();
        let outer = surroundings.get(task.name).and_then(|name| all.iter().find(|state| state.name == *name));
        let catching = if own { task } else { outer.copied().unwrap_or(task) };
        let times = |name: &str| {
            task.retriers()
                .find(|retrier| error_names(retrier).any(|matched| matched == name))
                .map(|retrier| {
                    let wait = retrier["IntervalSeconds"].as_u64().unwrap_or(1);
                    let up_to = retrier["MaxDelaySeconds"].as_u64().map(|max| format!(" to {max}"));
                    let count = retrier["MaxAttempts"].as_u64().unwrap_or(3);
                    format!("{count} times, after {wait}{} s", up_to.unwrap_or_default())
                })
                .unwrap_or_default()
        };
        let caught = |name: &str| {
            let found = catching.edges().into_iter().find(|edge| match &edge.cause {
                Cause::Catch(names) => {
                    names.iter().any(|matched| *matched == name || *matched == "States.ALL")
                }
                _ => false,
            });
            found.map_or_else(
                || "the execution fails".to_owned(),
                |edge| {
                    let outcome = edge.assigns.and_then(|assigns| assigns.get("outcome")?.as_str());
                    match outcome {
                        Some(outcome) if outcome.starts_with("{%") => {
                            format!("the outcome as it was, then *{}*", edge.to)
                        }
                        Some(outcome) => format!("`{outcome}`, then *{}*", edge.to),
                        None => format!("*{}*", edge.to),
                    }
                },
            )
        };
        let _ = write!(
            out,
            "\n| {} | {} s | {} | {} | {} | {} |",
            task.name,
            task.body["TimeoutSeconds"],
            times(ErrorName::NotReady.as_str()),
            times(ErrorName::Transient.as_str()),
            caught(ErrorName::Fenced.as_str()),
            caught("States.ALL"),
        );
    }
    out
}
