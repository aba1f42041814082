//! What each step of a run needs to be up, derived from three things that cannot say otherwise than what runs: the definition
//! (which function a state asks, and for what), the functions' sources (what they call from there on), and the template
//! (what their roles allow, who else calls them).
//!
//! What this reading rests on: calls to AWS go through a client of an SDK crate, known by the type of a field or an argument;
//! functions are found by their name and number of arguments. What cannot be followed is a finding, not a guess.

mod code;
mod deployed;
mod page;
mod reach;
mod syntax;
mod table;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

pub use code::{Code, RUNTIME, Sources, read_sources};
pub use deployed::{Caller, Deployed, callers, functions, rights, substituted};
pub use page::{COMMAND, parts, path};
pub use reach::{Call, Entrance, Reached};
pub use table::{CONTROL_PLANE, Known, Needs, OPERATIONS, WITHOUT_A_CALL, find};

use crate::definition::Definition;

/// The strategies for moving traffic; the first is the default.
pub const STRATEGIES: [&str; 2] = ["switch", "records"];

/// One thing that happens, and what it calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The state, or what else calls the function.
    pub what: String,
    /// Whether it is a step of a run; otherwise a schedule or an alarm.
    pub is_step: bool,
    /// The function's name in the template.
    pub function: String,
    /// What it is asked for.
    pub action: Option<String>,
    /// Under which strategy; both where that is none.
    pub strategy: Option<&'static str>,
    /// What it calls.
    pub calls: BTreeSet<Call>,
}

impl Row {
    /// Whether it happens under a strategy.
    pub fn is_of(&self, strategy: &str) -> bool {
        self.strategy.is_none_or(|own| own == strategy)
    }
}

/// All of it, read.
#[derive(Debug)]
pub struct Independence {
    template: Value,
    code: Code,
    /// The steps in the order of a run, then what else calls a function.
    pub rows: Vec<Row>,
    /// The functions that a state asks.
    asked: BTreeSet<String>,
    unread: BTreeSet<String>,
}

impl Independence {
    /// Derives it.
    ///
    /// # Errors
    /// Where a source is no Rust.
    pub fn derive(definition: &Definition, template: &Value, sources: &Sources) -> Result<Self, String> {
        let code = Code::read(sources)?;
        let packages: BTreeMap<String, String> =
            functions(template).into_iter().map(|found| (found.resource, found.package)).collect();
        let mut of = Self {
            template: template.clone(),
            code,
            rows: vec![],
            asked: BTreeSet::new(),
            unread: BTreeSet::new(),
        };
        let machines = definition.machines();
        for state in machines[0].in_order_with_inner(&machines) {
            if let (Some(function), Some(action)) = (state.function(), state.action()) {
                let function = substituted(template, function);
                of.asked.insert(function.clone());
                let package = packages.get(&function).cloned().unwrap_or_default();
                let row = |strategy, calls| Row {
                    what: state.name.to_owned(),
                    is_step: true,
                    function: function.clone(),
                    action: Some(action.to_owned()),
                    strategy,
                    calls,
                };
                let [default, other] =
                    STRATEGIES.map(|strategy| of.calls(&package, Entrance::Step(action), strategy));
                if default == other {
                    of.rows.push(row(None, default));
                } else {
                    of.rows.extend([row(Some(STRATEGIES[0]), default), row(Some(STRATEGIES[1]), other)]);
                }
            }
        }
        for caller in callers(template) {
            let package = packages.get(&caller.function).cloned().unwrap_or_default();
            let strategy = caller.strategy.unwrap_or(STRATEGIES[0]);
            let calls = of.calls(&package, Entrance::Event, strategy);
            of.rows.push(Row {
                what: format!("{} ({})", caller.name, caller.by),
                is_step: false,
                function: caller.function,
                action: caller.action,
                strategy: caller.strategy,
                calls,
            });
        }
        Ok(of)
    }

    fn calls(&mut self, package: &str, entrance: Entrance<'_>, strategy: &str) -> BTreeSet<Call> {
        let Reached { calls, unread } = self.code.reach(package, entrance, strategy);
        self.unread.extend(unread);
        calls
    }

    /// What could not be read, or is not known: a finding means that the table may lie.
    pub fn blind_spots(&self) -> Vec<String> {
        let mut found: Vec<String> = self.unread.iter().cloned().collect();
        for row in &self.rows {
            found.extend(row.calls.iter().filter(|call| find(&call.service, &call.operation).is_none()).map(
                |call| format!("{}: {} {} is not in the table", row.what, call.service, call.operation),
            ));
            if row.calls.is_empty() {
                found.push(format!("{}: calls nothing: was it read?", row.what));
            }
        }
        // A client that is never called from anywhere: either it is not needed, or its calls were not seen.
        let packages: BTreeSet<String> =
            functions(&self.template).into_iter().map(|found| found.package).collect();
        for package in packages {
            let called: BTreeSet<&str> = functions(&self.template)
                .iter()
                .filter(|function| function.package == package)
                .flat_map(|function| self.rows.iter().filter(|row| row.function == function.resource))
                .flat_map(|row| &row.calls)
                .map(|call| call.service.as_str())
                .collect();
            for service in self.code.services(&package) {
                if !called.contains(service) {
                    found.push(format!("{package} has a client of {service}, and no call to it was found"));
                }
            }
        }
        found
    }

    /// What a run under `strategy`, and all that leads to it, needs besides the recovery Region and the network; and the
    /// control planes of that Region which are not named.
    pub fn dependencies(&self, strategy: &str) -> Vec<String> {
        let mut found = Vec::new();
        for row in self.rows.iter().filter(|row| row.is_of(strategy)) {
            for call in &row.calls {
                let Some(known) = find(&call.service, &call.operation) else { continue };
                let named = CONTROL_PLANE.iter().any(|(operation, _)| *operation == known.operation);
                match known.needs {
                    Needs::Data | Needs::Network => {}
                    Needs::Control if named => {}
                    Needs::Control => found.push(format!(
                        "{}: {} {} is a control plane that is not named",
                        row.what, known.called, known.operation
                    )),
                    Needs::UsEast1 => found
                        .push(format!("{}: {} {} needs us-east-1", row.what, known.called, known.operation)),
                }
            }
        }
        found
    }

    /// Where code and roles differ under `strategy`: a call without its right, or a right that no call uses.
    pub fn differences(&self, strategy: &str) -> Vec<String> {
        let mut found = Vec::new();
        for Deployed { resource, .. } in functions(&self.template) {
            let rows = self.rows.iter().filter(|row| row.function == resource && row.is_of(strategy));
            let calls: BTreeSet<&Call> = rows.flat_map(|row| &row.calls).collect();
            let known = calls.iter().filter_map(|call| find(&call.service, &call.operation));
            let needed: BTreeSet<&str> =
                known.clone().flat_map(|known| known.rights.iter().copied()).collect();
            let used: BTreeSet<&str> =
                known.flat_map(|known| known.may_use.iter().copied()).chain(needed.iter().copied()).collect();
            let rights = rights(&self.template, &resource, strategy);
            let has: BTreeSet<&str> = rights.iter().map(|(action, _)| action.as_str()).collect();
            found.extend(
                needed
                    .difference(&has)
                    .map(|right| format!("{resource} calls what takes {right}, and its role has it not")),
            );
            let explained = |right: &&&str| WITHOUT_A_CALL.iter().any(|(known, _)| *known == **right);
            found.extend(
                has.difference(&used).filter(|right| !explained(right)).map(|right| {
                    format!("the role of {resource} has {right}, and nothing calls what takes it")
                }),
            );
        }
        let invoked: BTreeSet<String> = rights(&self.template, "StateMachine", strategy)
            .into_iter()
            .filter(|(action, _)| action == "lambda:InvokeFunction")
            .map(|(_, on)| on.trim_end_matches(".Arn").to_owned())
            .collect();
        if invoked != self.asked {
            found.push(format!(
                "the state machine may invoke {invoked:?}, and its states ask {:?}",
                self.asked
            ));
        }
        found
    }

    /// Rights on what is in a Region that is not the template's own, which is the recovery Region. What belongs to no Region
    /// (a bucket, a role, a zone) is named without one.
    pub fn rights_elsewhere(&self, strategy: &str) -> Vec<String> {
        let mut found = Vec::new();
        let owners = functions(&self.template).into_iter().map(|function| function.resource);
        for owner in owners.chain(["StateMachine".to_owned()]) {
            for (action, on) in rights(&self.template, &owner, strategy) {
                // `${AWS::Partition}` has colons of its own.
                let plain = on.replace("${AWS::Partition}", "aws").replace("${AWS::Region}", "here");
                let region = plain.strip_prefix("arn:").and_then(|arn| arn.split(':').nth(2));
                if region.is_some_and(|region| !["", "here"].contains(&region)) {
                    found.push(format!("{owner}: {action} on {on}"));
                }
            }
        }
        found
    }
}
