//! The calls to CloudFormation.

use std::collections::BTreeMap;

use aws_sdk_cloudformation::Client;
use aws_sdk_cloudformation::types::{OnFailure, Parameter, Stack as Described, Tag};
use jiff::Timestamp;
use lifeboat_rules::plan::Stack;
use lifeboat_rules::stacks::{Event, Observed, client_token};
use lifeboat_rules::{ErrorName, Plan, Run, StepError};
use lifeboat_runtime::aws_error;

/// The tag that says whose a stack is.
const RUN_TAG: &str = "lifeboat-run";

/// Pages of 100 events that a diagnosis reads, from the newest back.
const EVENT_PAGES_MAX: usize = 50;

/// CloudFormation in the recovery Region.
#[derive(Clone, Debug)]
pub struct Stacks {
    /// The client.
    pub cloudformation: Client,
    /// Where templates are.
    pub control_bucket: String,
    /// The Region of that bucket, which is also the one that stacks are launched in.
    pub region: String,
    /// The role that CloudFormation acts under.
    pub role_arn: Option<String>,
}

impl Stacks {
    /// The state of every stack of the plan under `epoch`, in one call (a page holds 100 stacks or so).
    ///
    /// # Errors
    /// `Fenced` where one bears another run's tag.
    pub async fn observe(
        &self,
        plan: &Plan,
        run: &Run,
        epoch: u64,
    ) -> Result<BTreeMap<String, Observed>, StepError> {
        let mut observed: BTreeMap<String, Observed> =
            plan.stacks.iter().map(|stack| (stack.name.clone(), Observed::Missing)).collect();
        let mut pages = self.cloudformation.describe_stacks().into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|err| aws_error("describe the stacks", err))?;
            for described in page.stacks() {
                let name = described.stack_name().unwrap_or_default();
                let Some(stack) =
                    plan.stacks.iter().find(|stack| plan.stack_name(&stack.name, epoch) == name)
                else {
                    continue;
                };
                let status = described.stack_status().map_or("", |status| status.as_str());
                let state = Observed::of_status(status);
                if state != Observed::Missing {
                    check_owner(described, run)?;
                }
                observed.insert(stack.name.clone(), state);
            }
        }
        Ok(observed)
    }

    /// Creates a stack. One that exists is success: the next look says whose it is.
    pub async fn create(&self, plan: &Plan, run: &Run, epoch: u64, stack: &Stack) -> Result<(), StepError> {
        let name = plan.stack_name(&stack.name, epoch);
        let parameter =
            |key: &str, value: &str| Parameter::builder().parameter_key(key).parameter_value(value).build();
        let tag = |key: &str, value: &str| Tag::builder().key(key).value(value).build();
        let own = [parameter("Epoch", &epoch.to_string()), parameter("RecoveryMode", "true")];
        let given = stack.parameters.iter().map(|(key, value)| parameter(key, value));
        let sent = self
            .cloudformation
            .create_stack()
            .stack_name(&name)
            // In the Region's own name: a global one would need us-east-1 to resolve.
            .template_url(format!(
                "https://s3.{}.amazonaws.com/{}/{}",
                self.region, self.control_bucket, stack.template
            ))
            .set_parameters(Some(own.into_iter().chain(given).collect()))
            .set_tags(Some(vec![
                tag("lifeboat-plan", &plan.name),
                tag("lifeboat-epoch", &epoch.to_string()),
                tag(RUN_TAG, &run.id),
            ]))
            .client_request_token(client_token(plan, &stack.name, epoch))
            // A rollback would only delay the diagnosis; what failed is torn down by its own step.
            .on_failure(OnFailure::DoNothing)
            .set_role_arn(self.role_arn.clone())
            .send()
            .await;
        match sent {
            Ok(_) => Ok(()),
            Err(err) if err.as_service_error().is_some_and(|err| err.is_already_exists_exception()) => Ok(()),
            Err(err) => Err(aws_error(format!("create the stack {name}"), err)),
        }
    }

    /// Deletes a stack; one that is not there is success.
    pub async fn delete(&self, name: &str) -> Result<(), StepError> {
        self.cloudformation
            .delete_stack()
            .stack_name(name)
            .set_role_arn(self.role_arn.clone())
            .send()
            .await
            .map(|_| ())
            .map_err(|err| aws_error(format!("delete the stack {name}"), err))
    }

    /// The events of a stack.
    pub async fn events(&self, name: &str) -> Result<Vec<Event>, StepError> {
        let mut events = Vec::new();
        let mut pages = self.cloudformation.describe_stack_events().stack_name(name).into_paginator().send();
        for _ in 0..EVENT_PAGES_MAX {
            let Some(page) = pages.next().await else { break };
            let page = page.map_err(|err| aws_error(format!("read the events of {name}"), err))?;
            for event in page.stack_events() {
                let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
                let at = event.timestamp().and_then(|at| at.to_millis().ok());
                events.push(Event {
                    at: at
                        .and_then(|at| Timestamp::from_millisecond(at).ok())
                        .unwrap_or(Timestamp::UNIX_EPOCH),
                    resource: text(event.logical_resource_id()),
                    kind: text(event.resource_type()),
                    status: event
                        .resource_status()
                        .map_or(String::new(), |status| status.as_str().to_owned()),
                    reason: text(event.resource_status_reason()),
                });
            }
        }
        Ok(events)
    }
}

fn check_owner(stack: &Described, run: &Run) -> Result<(), StepError> {
    let name = stack.stack_name().unwrap_or_default();
    let owner = stack.tags().iter().find(|tag| tag.key() == Some(RUN_TAG)).and_then(|tag| tag.value());
    match owner {
        Some(owner) if owner == run.id => Ok(()),
        Some(owner) => Err(StepError::fenced(format!("the stack {name} belongs to run {owner}"))),
        None => {
            Err(StepError::new(ErrorName::Defect, format!("the stack {name} exists and is not Lifeboat's")))
        }
    }
}
