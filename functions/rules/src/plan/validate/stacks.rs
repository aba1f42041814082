//! Rules of the stacks: names that CloudFormation takes, dependencies that can be met.

use super::super::{Plan, RESERVED_PARAMETERS, Stack};
use super::{Problems, bounds, syntax};

pub(super) fn check(plan: &Plan, found: &mut Problems) {
    found.count("stacks", plan.stacks.len(), &bounds::STACKS, "stacks: a run launches the recovery side");
    for (index, stack) in plan.stacks.iter().enumerate() {
        let at = format!("stacks[{index}]");
        name(plan, index, &format!("{at}.name"), found);
        template(&stack.template, &format!("{at}.template"), found);
        dependencies(&plan.stacks, stack, &format!("{at}.depends_on"), found);
        parameters(stack, &format!("{at}.parameters"), found);
    }
    cycles(&plan.stacks, found);
}

fn name(plan: &Plan, index: usize, field: &str, found: &mut Problems) {
    let name = &plan.stacks[index].name;
    if !syntax::is_stack_name(name) {
        found.add(
            field,
            format!(
                "{name:?} must be a letter and then letters, digits or hyphens, as CloudFormation has it"
            ),
        );
    }
    let token = plan.stack_name(name, u64::MAX).len() + bounds::STACK_TOKEN_CHARS;
    if token > bounds::STACK_NAME_CHARS_MAX {
        found.add(
            field,
            format!(
                "is too long by {} characters: `create-<plan>-<stack>-e<epoch>` must fit CloudFormation's {}",
                token - bounds::STACK_NAME_CHARS_MAX,
                bounds::STACK_NAME_CHARS_MAX
            ),
        );
    }
    if let Some(earlier) = plan.stacks[..index].iter().position(|stack| stack.name.eq_ignore_ascii_case(name))
    {
        found.add(field, format!("{name:?} is the name of stacks[{earlier}] already"));
    }
}

fn template(template: &str, field: &str, found: &mut Problems) {
    if template.is_empty() {
        found.add(field, "must be the path of a template, beside the plan");
    }
}

fn dependencies(stacks: &[Stack], stack: &Stack, field: &str, found: &mut Problems) {
    // A stack whose own name is missing may be the very one that is meant.
    let nameless = stacks.iter().any(|stack| stack.name.is_empty());
    for (index, dependency) in stack.depends_on.iter().enumerate() {
        let at = format!("{field}[{index}]");
        if stack.depends_on[..index].contains(dependency) {
            found.add(at, format!("{dependency:?} is listed twice"));
        } else if !nameless && !stacks.iter().any(|stack| &stack.name == dependency) {
            let known: Vec<&str> = stacks.iter().map(|stack| stack.name.as_str()).collect();
            found.add(at, format!("no stack is called {dependency:?}; there are: {}", known.join(", ")));
        }
    }
}

fn parameters(stack: &Stack, field: &str, found: &mut Problems) {
    if stack.parameters.len() > bounds::PARAMETERS_MAX {
        found.add(
            field,
            format!(
                "has {} parameters, but may have {} at most",
                stack.parameters.len(),
                bounds::PARAMETERS_MAX
            ),
        );
    }
    for (name, value) in &stack.parameters {
        let at = format!("{field}.{name}");
        if RESERVED_PARAMETERS.contains(&name.as_str()) {
            found.add(at, "is set by Lifeboat at the launch; leave it out of the plan");
        } else if !syntax::is_parameter_name(name) {
            found.add(at, "is no CloudFormation parameter: their names are letters and digits");
        } else if value.len() > bounds::PARAMETER_BYTES_MAX {
            found.add(
                at,
                format!("is {} bytes long, but may be {} at most", value.len(), bounds::PARAMETER_BYTES_MAX),
            );
        }
    }
}

/// Names each cycle once, at the dependency that closes it.
fn cycles(stacks: &[Stack], found: &mut Problems) {
    let mut walk = Walk { stacks, states: vec![State::Unseen; stacks.len()], trail: Vec::new() };
    for index in 0..stacks.len() {
        walk.visit(index, found);
    }
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Unseen,
    OnTrail,
    Done,
}

/// A depth-first walk; a dependency that leads back onto its own trail closes a cycle. The number of stacks is
/// bounded only by another rule, so the depth is that of the longest chain of stacks in the plan.
struct Walk<'a> {
    stacks: &'a [Stack],
    states: Vec<State>,
    trail: Vec<usize>,
}

impl Walk<'_> {
    fn visit(&mut self, index: usize, found: &mut Problems) {
        if self.states[index] != State::Unseen || self.trail.len() > *bounds::STACKS.end() {
            return;
        }
        self.states[index] = State::OnTrail;
        self.trail.push(index);
        for (position, dependency) in self.stacks[index].depends_on.iter().enumerate() {
            let Some(next) = self.stacks.iter().position(|stack| &stack.name == dependency) else { continue };
            if self.states[next] == State::OnTrail {
                let start = self.trail.iter().position(|on_trail| *on_trail == next).unwrap_or_default();
                let mut names: Vec<&str> =
                    self.trail[start..].iter().map(|index| self.stacks[*index].name.as_str()).collect();
                names.push(dependency);
                found.add(
                    format!("stacks[{index}].depends_on[{position}]"),
                    format!("closes a cycle, so no stack of it could start: {}", names.join(" -> ")),
                );
            } else {
                self.visit(next, found);
            }
        }
        self.trail.pop();
        self.states[index] = State::Done;
    }
}
