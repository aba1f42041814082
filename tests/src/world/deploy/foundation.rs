//! The foundation: the stack by CloudFormation, and by their own APIs the two things in it that the emulator's
//! CloudFormation does not make. On AWS the template alone suffices.

use aws_sdk_route53::types::{
    AlarmIdentifier, CloudWatchRegion, HealthCheckConfig, HealthCheckType, InsufficientDataHealthStatus,
};
use serde_json::Value;

use super::bucket::lock_objects;
use super::stack::{Stack, StackSpec, create_stack};
use crate::template;
use crate::world::clients::Clients;
use crate::world::error::{Doing as _, WorldError};

/// Refused by the emulator's CloudFormation as a type that it does not know.
const HEALTH_CHECK: &str = "AWS::Route53::HealthCheck";
/// Made in its place: a resource with nothing behind it.
const STAND_IN: &str = "AWS::CloudFormation::WaitConditionHandle";
/// The one health check of the template, and the output that names it.
const GATE: (&str, &str) = ("Gate", "HealthCheckId");

/// Makes the foundation. Evidence is locked for `lock_days`, because the emulator ignores `ObjectLockEnabled`; the gate's
/// health check is made from the template's own properties, and its id stands in the stack's outputs.
///
/// # Errors
/// Where the stack fails, or the template's health check has a property that this does not know.
pub async fn create_foundation(
    clients: &Clients,
    spec: StackSpec,
    lock_days: i32,
) -> Result<Stack, WorldError> {
    let (gate, output) = GATE;
    let template = template::read(spec.template()).doing(|| "read the foundation's template".to_owned())?;
    let mut stack = create_stack(clients, &spec.replaced(HEALTH_CHECK, STAND_IN)).await?;
    lock_objects(clients, stack.output("EvidenceBucketName")?, lock_days).await?;
    if stack.outputs.contains_key(output) {
        let properties = &template["Resources"][gate]["Properties"]["HealthCheckConfig"];
        let config = health_check(clients, &stack, properties).await?;
        let create = clients.route53.create_health_check().caller_reference(&stack.id);
        let created = create.health_check_config(config).send().await;
        let created = created.doing(|| format!("create the health check {gate}"))?;
        let id = created.health_check().map(|check| check.id().to_owned()).unwrap_or_default();
        stack.outputs.insert(output.to_owned(), id);
    }
    Ok(stack)
}

/// The check as the template has it. A reference reads as the name of what it refers to (see [`template::read`]).
async fn health_check(
    clients: &Clients,
    stack: &Stack,
    properties: &Value,
) -> Result<HealthCheckConfig, WorldError> {
    let what = || format!("read the health check of {}", stack.name);
    let known = ["Type", "AlarmIdentifier", "InsufficientDataHealthStatus"];
    let unknown =
        properties.as_object().into_iter().flatten().find(|(name, _)| !known.contains(&name.as_str()));
    if let Some((name, _)) = unknown {
        return Err(WorldError::failed(what(), format!("{name} is made on AWS, and not here yet")));
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let alarm = text(&properties["AlarmIdentifier"]["Name"]);
    let resource = clients.cloudformation.describe_stack_resource().stack_name(&stack.name);
    let resource = resource.logical_resource_id(&alarm).send().await;
    let resource = resource.doing(|| format!("find the alarm {alarm} of {}", stack.name))?;
    let alarm = resource.stack_resource_detail().and_then(|detail| detail.physical_resource_id());
    let region = match text(&properties["AlarmIdentifier"]["Region"]).as_str() {
        "AWS::Region" => clients.region.clone(),
        other => other.to_owned(),
    };
    let alarm = AlarmIdentifier::builder()
        .name(alarm.unwrap_or_default())
        .region(CloudWatchRegion::from(region.as_str()))
        .build()
        .doing(what)?;
    let insufficient = text(&properties["InsufficientDataHealthStatus"]);
    HealthCheckConfig::builder()
        .r#type(HealthCheckType::from(text(&properties["Type"]).as_str()))
        .alarm_identifier(alarm)
        .insufficient_data_health_status(InsufficientDataHealthStatus::from(insufficient.as_str()))
        .build()
        .doing(what)
}
