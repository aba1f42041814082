//! What should run in a Region, asked of its ECS.

use std::collections::BTreeMap;

use aws_sdk_ecs::types::{ContainerDefinition, Service};

use crate::world::clients::Clients;
use crate::world::error::{Doing as _, WorldError};

/// What `DescribeServices` takes at once.
const SERVICES_AT_ONCE: usize = 10;

/// One service that wants to run.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    /// Its ARN.
    pub(super) service: String,
    /// Its cluster's ARN.
    pub(super) cluster: String,
    /// Changes when the service is made anew or gets another task definition.
    pub(super) generation: String,
    /// Its containers. One process each, however many tasks are desired: they would all want the same port.
    pub(super) definitions: Vec<ContainerDefinition>,
}

/// Asks for everything; any call that fails fails the whole, so that silence is never taken for "nothing".
pub(super) async fn ask(clients: &Clients) -> Result<Vec<Wanted>, WorldError> {
    let ecs = &clients.ecs;
    let mut wanted = Vec::new();
    let mut definitions: BTreeMap<String, Vec<ContainerDefinition>> = BTreeMap::new();
    let mut clusters = ecs.list_clusters().into_paginator().items().send();
    while let Some(cluster) = clusters.next().await {
        let cluster = cluster.doing(|| "list the clusters".to_owned())?;
        for service in services(clients, &cluster).await? {
            let task = service.task_definition().unwrap_or_default().to_owned();
            if service.status() != Some("ACTIVE") || service.desired_count() < 1 || task.is_empty() {
                continue;
            }
            if !definitions.contains_key(&task) {
                let described = ecs.describe_task_definition().task_definition(&task).send().await;
                let described = described.doing(|| format!("describe {task}"))?.task_definition;
                let containers = described.and_then(|task| task.container_definitions).unwrap_or_default();
                definitions.insert(task.clone(), containers);
            }
            wanted.push(Wanted {
                generation: generation(&service, &task),
                service: service.service_arn.unwrap_or_default(),
                cluster: cluster.clone(),
                definitions: definitions.get(&task).cloned().unwrap_or_default(),
            });
        }
    }
    Ok(wanted)
}

async fn services(clients: &Clients, cluster: &str) -> Result<Vec<Service>, WorldError> {
    let mut arns = Vec::new();
    let mut listed = clients.ecs.list_services().cluster(cluster).into_paginator().items().send();
    while let Some(arn) = listed.next().await {
        arns.push(arn.doing(|| format!("list the services of {cluster}"))?);
    }
    let mut services = Vec::new();
    for arns in arns.chunks(SERVICES_AT_ONCE) {
        let ask = clients.ecs.describe_services().cluster(cluster).set_services(Some(arns.to_vec()));
        let described = ask.send().await.doing(|| format!("describe the services of {cluster}"))?;
        services.extend(described.services.unwrap_or_default());
    }
    Ok(services)
}

fn generation(service: &Service, task: &str) -> String {
    let made = service.created_at().map(|made| made.as_nanos()).unwrap_or_default();
    format!("{task} {made}")
}
