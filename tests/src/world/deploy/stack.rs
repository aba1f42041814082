//! Stacks: made, waited for, and diagnosed when they fail.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use aws_sdk_cloudformation::types::{Capability, OnFailure, Parameter, StackEvent};

use crate::world::clients::Clients;
use crate::world::error::{Doing as _, WorldError};

/// CloudFormation takes no larger template in the request itself.
const INLINE_BYTES_MAX: usize = 51_200;
const POLL_EVERY: Duration = Duration::from_millis(100);
const READY_WITHIN: Duration = Duration::from_secs(120);
/// Events are paged; a stack with more pages than this is none of ours.
const EVENT_PAGES_MAX: usize = 50;

/// A stack to make.
#[derive(Debug, Clone)]
pub struct StackSpec {
    name: String,
    template: PathBuf,
    parameters: BTreeMap<String, String>,
    staging: Option<String>,
    replaced: Vec<(&'static str, &'static str)>,
}

impl StackSpec {
    /// A stack from a template file, with no parameters yet.
    pub fn new(name: &str, template: &Path) -> Self {
        Self {
            name: name.to_owned(),
            template: template.to_owned(),
            parameters: BTreeMap::new(),
            staging: None,
            replaced: Vec::new(),
        }
    }

    /// Where its template is.
    pub fn template(&self) -> &Path {
        &self.template
    }

    /// Gives a parameter its value.
    pub fn parameter(mut self, key: &str, value: impl Into<String>) -> Self {
        self.parameters.insert(key.to_owned(), value.into());
        self
    }

    /// A bucket to pass the template through if it is too large for the request itself (51,200 bytes).
    pub fn staged_in(mut self, bucket: &str) -> Self {
        self.staging = Some(bucket.to_owned());
        self
    }

    /// Has every `word` of the template replaced: a bridge over something that the emulator does not know.
    pub(super) fn replaced(mut self, word: &'static str, by: &'static str) -> Self {
        self.replaced.push((word, by));
        self
    }
}

/// A stack that was made.
#[derive(Debug, Clone)]
pub struct Stack {
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: String,
    /// Its outputs.
    pub outputs: BTreeMap<String, String>,
}

impl Stack {
    /// An output that the template must have.
    pub fn output(&self, key: &str) -> Result<&str, WorldError> {
        self.outputs.get(key).map(String::as_str).ok_or_else(|| {
            let known: Vec<&str> = self.outputs.keys().map(String::as_str).collect();
            WorldError::failed(
                format!("read the output {key} of the stack {}", self.name),
                format!("its outputs are: {}", known.join(", ")),
            )
        })
    }
}

/// Why a stack was not made: the first resource that failed, not the last one that was cancelled because of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackFailure {
    /// The stack.
    pub stack: String,
    /// How it ended.
    pub status: String,
    /// The logical id of the first resource that failed; empty when none did.
    pub resource: String,
    /// Its type.
    pub resource_type: String,
    /// The reason.
    pub reason: String,
}

impl fmt::Display for StackFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stack, status, resource, resource_type, reason } = self;
        write!(f, "the stack {stack} is {status}: {resource} ({resource_type}) failed first: {reason}")
    }
}

/// Makes a stack and waits until it is complete.
pub async fn create_stack(clients: &Clients, spec: &StackSpec) -> Result<Stack, WorldError> {
    let name = &spec.name;
    let what = || format!("create the stack {name} from {}", spec.template.display());
    let mut template = std::fs::read_to_string(&spec.template).doing(what)?;
    for (word, by) in &spec.replaced {
        template = template.replace(word, by);
    }
    let request = clients
        .cloudformation
        .create_stack()
        .stack_name(name)
        .capabilities(Capability::CapabilityNamedIam)
        .capabilities(Capability::CapabilityAutoExpand)
        // What failed stays to be looked at; the world goes away anyway.
        .on_failure(OnFailure::DoNothing)
        .set_parameters(Some(
            spec.parameters
                .iter()
                .map(|(key, value)| Parameter::builder().parameter_key(key).parameter_value(value).build())
                .collect(),
        ));
    let request = match &spec.staging {
        _ if template.len() <= INLINE_BYTES_MAX => request.template_body(template),
        Some(bucket) => request.template_url(stage(clients, bucket, name, template).await?),
        None => {
            let why = format!("it has more than {INLINE_BYTES_MAX} bytes: give it a bucket with `staged_in`");
            return Err(WorldError::failed(what(), why));
        }
    };
    let id = request.send().await.doing(what)?.stack_id.unwrap_or_default();
    until_complete(clients, name, id).await
}

async fn stage(clients: &Clients, bucket: &str, stack: &str, template: String) -> Result<String, WorldError> {
    let key = format!("templates/{stack}.yaml");
    let body = template.into_bytes().into();
    let sent = clients.s3.put_object().bucket(bucket).key(&key).body(body).send().await;
    sent.doing(|| format!("stage the template of {stack} in {bucket}"))?;
    // CloudFormation never fetches it by this name: it knows the bucket and the key from it.
    Ok(format!("https://s3.{}.amazonaws.com/{bucket}/{key}", clients.region))
}

async fn until_complete(clients: &Clients, name: &str, id: String) -> Result<Stack, WorldError> {
    let deadline = Instant::now() + READY_WITHIN;
    loop {
        let described = clients.cloudformation.describe_stacks().stack_name(name).send().await;
        let described = described.doing(|| format!("ask about the stack {name}"))?;
        let stack = described.stacks.unwrap_or_default().into_iter().next();
        let status = stack.as_ref().and_then(|stack| stack.stack_status.as_ref());
        let status = status.map_or_else(String::new, |status| status.as_str().to_owned());
        match status.as_str() {
            "CREATE_COMPLETE" => {
                let outputs = stack.and_then(|stack| stack.outputs).unwrap_or_default();
                let outputs =
                    outputs.into_iter().filter_map(|output| Some((output.output_key?, output.output_value?)));
                return Ok(Stack { name: name.to_owned(), id, outputs: outputs.collect() });
            }
            "CREATE_IN_PROGRESS" | "" => {}
            failed => return Err(WorldError::Stack(diagnose(clients, name, failed).await?)),
        }
        if Instant::now() > deadline {
            return Err(WorldError::TooLate { what: format!("make the stack {name}"), within: READY_WITHIN });
        }
        tokio::time::sleep(POLL_EVERY).await;
    }
}

async fn diagnose(clients: &Clients, name: &str, status: &str) -> Result<StackFailure, WorldError> {
    let mut events = Vec::new();
    let mut page = clients.cloudformation.describe_stack_events().stack_name(name).into_paginator().send();
    for _ in 0..EVENT_PAGES_MAX {
        match page.next().await {
            Some(next) => {
                let next = next.doing(|| format!("read the events of the stack {name}"))?;
                events.extend(next.stack_events.unwrap_or_default());
            }
            None => break,
        }
    }
    Ok(first_failure(name, status, events))
}

/// Events come newest first.
fn first_failure(name: &str, status: &str, events: Vec<StackEvent>) -> StackFailure {
    let failed = |event: &&StackEvent| {
        let status = event.resource_status.as_ref().map_or("", |status| status.as_str());
        status.ends_with("_FAILED")
    };
    let of_resource = |event: &&StackEvent| event.logical_resource_id.as_deref() != Some(name);
    let first = events
        .iter()
        .rev()
        .filter(of_resource)
        .find(failed)
        // The stack itself, when no resource was ever tried.
        .or_else(|| events.iter().rev().find(failed));
    let text = |value: Option<&String>| value.cloned().unwrap_or_default();
    StackFailure {
        stack: name.to_owned(),
        status: status.to_owned(),
        resource: text(first.and_then(|event| event.logical_resource_id.as_ref())),
        resource_type: text(first.and_then(|event| event.resource_type.as_ref())),
        reason: text(first.and_then(|event| event.resource_status_reason.as_ref())),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_cloudformation::types::ResourceStatus;

    use super::*;

    fn event(resource: &str, status: ResourceStatus, reason: &str) -> StackEvent {
        StackEvent::builder()
            .stack_id("id")
            .event_id("id")
            .stack_name("s")
            .timestamp(aws_sdk_cloudformation::primitives::DateTime::from_secs(0))
            .logical_resource_id(resource)
            .resource_status(status)
            .resource_status_reason(reason)
            .build()
    }

    #[test]
    fn the_first_failed_resource_is_blamed() {
        let newest_first = vec![
            event("s", ResourceStatus::CreateFailed, "the following resources failed"),
            event("B", ResourceStatus::CreateFailed, "creation cancelled"),
            event("A", ResourceStatus::CreateFailed, "no such image"),
            event("A", ResourceStatus::CreateInProgress, ""),
            event("s", ResourceStatus::CreateInProgress, ""),
        ];
        let failure = first_failure("s", "CREATE_FAILED", newest_first);
        assert_eq!((failure.resource.as_str(), failure.reason.as_str()), ("A", "no such image"));
    }

    #[test]
    fn a_stack_that_tried_nothing_is_blamed_itself() {
        let failure = first_failure(
            "s",
            "CREATE_FAILED",
            vec![event("s", ResourceStatus::CreateFailed, "bad template")],
        );
        assert_eq!((failure.resource.as_str(), failure.reason.as_str()), ("s", "bad template"));
    }
}
