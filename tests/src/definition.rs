//! The state machine's definition, read as a graph: for the tests that hold it against Rust, and for its diagram.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::{Map, Value};

use crate::world::places;

/// The definition.
#[derive(Clone, Debug)]
pub struct Definition {
    /// As it stands in the file.
    pub value: Value,
}

/// One list of states: the definition's own, that of one branch, or what a map does with each item.
#[derive(Clone, Debug)]
pub struct Machine<'a> {
    /// The state whose branch or item processor this is.
    pub within: Option<&'a str>,
    /// Where it starts.
    pub start: &'a str,
    /// Its states, in the order of the file's reader (by name).
    pub states: Vec<State<'a>>,
}

/// One state.
#[derive(Clone, Copy, Debug)]
pub struct State<'a> {
    /// Its name.
    pub name: &'a str,
    /// The rest of it.
    pub body: &'a Value,
}

/// One way from a state to another.
#[derive(Clone, Debug)]
pub struct Edge<'a> {
    /// Where it leads.
    pub to: &'a str,
    /// When it is taken.
    pub cause: Cause<'a>,
    /// The variables that are set on the way.
    pub assigns: Option<&'a Map<String, Value>>,
}

/// When an edge is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause<'a> {
    /// The state is done.
    Next,
    /// A choice's condition holds.
    Condition(&'a str),
    /// No condition of a choice holds.
    Default,
    /// One of these errors was caught.
    Catch(Vec<&'a str>),
}

impl Definition {
    /// Where the definition is.
    pub fn path() -> PathBuf {
        places::repository().join("statemachine/failover.asl.json")
    }

    /// Reads it.
    ///
    /// # Errors
    /// Where it is not there, or is no JSON.
    pub fn read() -> std::io::Result<Definition> {
        let text = std::fs::read_to_string(Definition::path())?;
        Ok(Definition { value: serde_json::from_str(&text)? })
    }

    /// The definition's own states first, then those of each branch, each followed by those within its own states.
    pub fn machines(&self) -> Vec<Machine<'_>> {
        let mut found = Vec::new();
        machines(None, &self.value, &mut found);
        found
    }

    /// Every state, those of branches too.
    pub fn states(&self) -> Vec<State<'_>> {
        self.machines().into_iter().flat_map(|machine| machine.states).collect()
    }

    /// Every task.
    pub fn tasks(&self) -> Vec<State<'_>> {
        self.states().into_iter().filter(|state| state.kind() == "Task").collect()
    }

    /// What surrounds each state of a branch: the parallel state or map that catches what the branch does not.
    pub fn surroundings(&self) -> BTreeMap<&str, &str> {
        let machines = self.machines();
        let inner = machines.iter().filter_map(|machine| Some((machine.within?, &machine.states)));
        inner.flat_map(|(outer, states)| states.iter().map(move |state| (state.name, outer))).collect()
    }
}

fn machines<'a>(within: Option<&'a str>, value: &'a Value, found: &mut Vec<Machine<'a>>) {
    let states: Vec<State<'a>> = value["States"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, body)| State { name: name.as_str(), body })
        .collect();
    let start = value["StartAt"].as_str().unwrap_or_default();
    found.push(Machine { within, start, states: states.clone() });
    for state in states {
        for branch in state.branches() {
            machines(Some(state.name), branch, found);
        }
    }
}

impl<'a> Machine<'a> {
    /// The names of the states that can be reached from the start.
    pub fn reachable(&self) -> BTreeSet<&'a str> {
        let mut reached = BTreeSet::new();
        let mut ahead = vec![self.start];
        while let Some(name) = ahead.pop() {
            if reached.insert(name) {
                ahead
                    .extend(self.state(name).into_iter().flat_map(|state| state.edges()).map(|edge| edge.to));
            }
        }
        reached
    }

    /// Its states in the order of a run, each followed by those within it.
    pub fn in_order_with_inner(&self, all: &[Machine<'a>]) -> Vec<State<'a>> {
        let inner = |state: State<'a>| {
            let within = all.iter().filter(move |inner| inner.within == Some(state.name));
            within.flat_map(|inner| inner.in_order_with_inner(all))
        };
        self.in_order().into_iter().flat_map(|state| std::iter::once(state).chain(inner(state))).collect()
    }

    /// A state by its name.
    pub fn state(&self, name: &str) -> Option<State<'a>> {
        self.states.iter().find(|state| state.name == name).copied()
    }

    /// The states in the order of a run: each before every state that it leads to, the first ways first.
    pub fn in_order(&self) -> Vec<State<'a>> {
        fn visit<'a>(
            machine: &Machine<'a>,
            name: &'a str,
            seen: &mut BTreeSet<&'a str>,
            out: &mut Vec<State<'a>>,
        ) {
            let Some(state) = machine.state(name).filter(|_| seen.insert(name)) else { return };
            for edge in state.edges().iter().rev() {
                visit(machine, edge.to, seen, out);
            }
            out.push(state);
        }
        let mut order = Vec::new();
        visit(self, self.start, &mut BTreeSet::new(), &mut order);
        order.reverse();
        order
    }
}

impl<'a> State<'a> {
    /// `Task`, `Choice`, ...
    pub fn kind(self) -> &'a str {
        self.text("Type")
    }

    /// A text of its body; empty where there is none.
    pub fn text(self, field: &str) -> &'a str {
        self.body[field].as_str().unwrap_or_default()
    }

    /// The branches of a parallel state, or what a map does with each item.
    pub fn branches(self) -> impl Iterator<Item = &'a Value> {
        self.list("Branches").chain(self.body.get("ItemProcessor"))
    }

    /// Whether it waits for somebody to answer by its token.
    pub fn is_callback(self) -> bool {
        self.text("Resource").ends_with(".waitForTaskToken")
    }

    /// Whether its branches are executions of their own, which see nothing of this one but what they are handed.
    pub fn is_distributed(self) -> bool {
        self.body["ItemProcessor"]["ProcessorConfig"]["Mode"] == "DISTRIBUTED"
    }

    /// Its retriers, in the order in which they are tried.
    pub fn retriers(self) -> impl Iterator<Item = &'a Value> {
        self.list("Retry")
    }

    /// Its catchers, in the order in which they are tried.
    pub fn catchers(self) -> impl Iterator<Item = &'a Value> {
        self.list("Catch")
    }

    fn list(self, field: &str) -> impl Iterator<Item = &'a Value> {
        self.body[field].as_array().into_iter().flatten()
    }

    /// The name of the substitution that names a task's function, without `${` and `}`.
    pub fn function(self) -> Option<&'a str> {
        let name = self.body["Arguments"]["FunctionName"].as_str()?;
        name.strip_prefix("${")?.strip_suffix('}')
    }

    /// The function that a task calls, by the name under which it is deployed.
    pub fn deployed(self) -> Option<&'static str> {
        let function = self.function()?;
        let plain = |name: &str| name.replace('-', "").to_lowercase();
        crate::DEPLOYED.into_iter().find(|name| plain(function) == format!("{}arn", plain(name)))
    }

    /// The name of the action that a task asks its function for.
    pub fn action(self) -> Option<&'a str> {
        let action = self.body["Arguments"]["Payload"]["action"].as_object()?;
        action.keys().next().map(String::as_str)
    }

    /// Every way out of it.
    pub fn edges(self) -> Vec<Edge<'a>> {
        let assigns = |of: &'a Value| of["Assign"].as_object();
        let mut edges = Vec::new();
        for rule in self.list("Choices") {
            edges.push(Edge {
                to: rule["Next"].as_str().unwrap_or_default(),
                cause: Cause::Condition(rule["Condition"].as_str().unwrap_or_default()),
                assigns: assigns(rule),
            });
        }
        for (field, cause) in [("Next", Cause::Next), ("Default", Cause::Default)] {
            if let Some(to) = self.body[field].as_str() {
                edges.push(Edge { to, cause, assigns: assigns(self.body) });
            }
        }
        for catcher in self.catchers() {
            edges.push(Edge {
                to: catcher["Next"].as_str().unwrap_or_default(),
                cause: Cause::Catch(error_names(catcher).collect()),
                assigns: assigns(catcher),
            });
        }
        edges
    }
}

/// The names that a retrier or a catcher matches.
pub fn error_names(of: &Value) -> impl Iterator<Item = &str> {
    of["ErrorEquals"].as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// The texts in single quotes of an expression, in their order.
pub fn quoted(expression: &str) -> Vec<&str> {
    expression.split('\'').skip(1).step_by(2).collect()
}

/// Every string anywhere in a value.
pub fn strings(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(strings).collect(),
        Value::Object(fields) => fields.values().flat_map(strings).collect(),
        _ => vec![],
    }
}
