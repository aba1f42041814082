//! Which stacks to create, which to wait for, and what is to blame when one fails.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Plan;
use crate::plan::Stack;

/// Makes `CreateStack` idempotent: the same run under the same epoch asks with the same token.
pub fn client_token(plan: &Plan, stack: &str, epoch: u64) -> String {
    format!("create-{}", plan.stack_name(stack, epoch))
}

/// What CloudFormation says of a stack, reduced to what matters here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Observed {
    /// There is no such stack.
    Missing,
    /// `CREATE_IN_PROGRESS`.
    Creating,
    /// `CREATE_COMPLETE`.
    Ready,
    /// `DELETE_IN_PROGRESS`.
    Deleting,
    /// Anything else; a new stack that has left the way to `CREATE_COMPLETE` does not come back to it.
    Failed(String),
}

impl Observed {
    /// Reads a `StackStatus`.
    pub fn of_status(status: &str) -> Observed {
        match status {
            "CREATE_COMPLETE" => Observed::Ready,
            "CREATE_IN_PROGRESS" => Observed::Creating,
            "DELETE_COMPLETE" => Observed::Missing,
            "DELETE_IN_PROGRESS" => Observed::Deleting,
            other => Observed::Failed(other.to_owned()),
        }
    }
}

/// What to do next about the stacks of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Launch<'a> {
    /// Create these now (perhaps none), then look again.
    Create(Vec<&'a Stack>),
    /// All stacks are ready.
    Ready,
    /// These have failed, by their names in the plan. Nothing more is created.
    Failed(Vec<&'a Stack>),
}

/// Decides from what is there; `observed` is by the plan's stack names, and one that it does not hold is missing.
pub fn next<'a>(plan: &'a Plan, observed: &BTreeMap<String, Observed>) -> Launch<'a> {
    let state = |name: &str| observed.get(name).unwrap_or(&Observed::Missing);
    let failed: Vec<_> = plan
        .stacks
        .iter()
        .filter(|stack| matches!(state(&stack.name), Observed::Failed(_) | Observed::Deleting))
        .collect();
    if !failed.is_empty() {
        return Launch::Failed(failed);
    }
    if plan.stacks.iter().all(|stack| *state(&stack.name) == Observed::Ready) {
        return Launch::Ready;
    }
    Launch::Create(
        plan.stacks
            .iter()
            .filter(|stack| *state(&stack.name) == Observed::Missing)
            .filter(|stack| stack.depends_on.iter().all(|name| *state(name) == Observed::Ready))
            .collect(),
    )
}

/// One event of a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When it happened.
    pub at: Timestamp,
    /// The resource's name in the template.
    pub resource: String,
    /// Its type, e.g. `AWS::ECS::Service`.
    pub kind: String,
    /// Its status, e.g. `CREATE_FAILED`.
    pub status: String,
    /// The reason that CloudFormation gives.
    pub reason: String,
}

/// Why a stack failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// The stack's full name.
    pub stack: String,
    /// The first resource that failed.
    pub resource: String,
    /// Its type.
    pub kind: String,
    /// The reason that CloudFormation gives for it.
    pub reason: String,
}

/// Finds the first resource that failed by itself: the last event only says that the stack was rolled back, and
/// resources in flight when another fails are reported as `Resource creation cancelled`.
pub fn diagnose(stack: &str, mut events: Vec<Event>) -> Diagnosis {
    events.sort_by_key(|event| event.at);
    let own_fault = |event: &&Event| {
        event.status.ends_with("_FAILED")
            && event.kind != "AWS::CloudFormation::Stack"
            && !event.reason.contains("cancelled")
    };
    let last_resort = |event: &&Event| event.status.ends_with("_FAILED") || event.status.contains("ROLLBACK");
    let event = events.iter().find(own_fault).or_else(|| events.iter().find(last_resort));
    Diagnosis {
        stack: stack.to_owned(),
        resource: event.map_or("unknown".into(), |event| event.resource.clone()),
        kind: event.map_or("unknown".into(), |event| event.kind.clone()),
        reason: event
            .map_or("CloudFormation reports no failed resource".into(), |event| event.reason.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(second: i64, resource: &str, kind: &str, status: &str, reason: &str) -> Event {
        Event {
            at: Timestamp::from_second(second).unwrap(),
            resource: resource.into(),
            kind: kind.into(),
            status: status.into(),
            reason: reason.into(),
        }
    }

    #[test]
    fn blames_the_first_resource_that_failed_by_itself() {
        let events = vec![
            event(
                9,
                "exchange",
                "AWS::CloudFormation::Stack",
                "ROLLBACK_IN_PROGRESS",
                "The following failed: [A, B]",
            ),
            event(7, "B", "AWS::ECS::Service", "CREATE_FAILED", "Resource creation cancelled"),
            event(6, "A", "AWS::ECS::TaskDefinition", "CREATE_FAILED", "Role is not valid"),
            event(5, "A", "AWS::ECS::TaskDefinition", "CREATE_IN_PROGRESS", ""),
        ];
        let diagnosis = diagnose("aex-exchange-e2", events);
        assert_eq!((diagnosis.resource.as_str(), diagnosis.reason.as_str()), ("A", "Role is not valid"));
    }

    #[test]
    fn a_stack_that_never_made_a_resource_is_diagnosed_by_its_own_event() {
        let events =
            vec![event(1, "x", "AWS::CloudFormation::Stack", "ROLLBACK_IN_PROGRESS", "Template is wrong")];
        assert_eq!(diagnose("x", events).reason, "Template is wrong");
        assert_eq!(diagnose("x", vec![]).resource, "unknown");
    }

    #[test]
    fn stacks_are_created_in_dependency_order_and_not_behind_a_failed_one() {
        // In this plan the exchange depends on the cluster.
        let plan = Plan::from_json(include_bytes!("../tests/plan.json")).expect("the test's plan is valid");
        let failed = || Observed::Failed("CREATE_FAILED".into());
        use Observed::{Creating, Deleting, Missing, Ready};
        for (cluster, exchange, expected) in [
            (Missing, Missing, "create cluster"),
            (Creating, Missing, "create"),
            (Ready, Missing, "create exchange"),
            (Ready, Creating, "create"),
            (Ready, Ready, "ready"),
            (failed(), Missing, "failed cluster"),
            (Ready, failed(), "failed exchange"),
            // A stack that is going away does not come back by itself, and its name is not free yet.
            (Deleting, Missing, "failed cluster"),
        ] {
            let observed =
                BTreeMap::from([("cluster".to_owned(), cluster), ("exchange".to_owned(), exchange)]);
            let (what, stacks) = match next(&plan, &observed) {
                Launch::Create(stacks) => ("create", stacks),
                Launch::Failed(stacks) => ("failed", stacks),
                Launch::Ready => ("ready", vec![]),
            };
            let names = stacks.iter().map(|stack| stack.name.as_str());
            let found = std::iter::once(what).chain(names).collect::<Vec<_>>().join(" ");
            assert_eq!(found, expected, "{observed:?}");
        }
    }

    #[test]
    fn statuses_that_do_not_lead_to_complete_are_failures() {
        for status in
            ["ROLLBACK_IN_PROGRESS", "ROLLBACK_COMPLETE", "CREATE_FAILED", "DELETE_FAILED", "UPDATE_COMPLETE"]
        {
            assert_eq!(Observed::of_status(status), Observed::Failed(status.into()));
        }
        assert_eq!(Observed::of_status("DELETE_COMPLETE"), Observed::Missing);
    }
}
