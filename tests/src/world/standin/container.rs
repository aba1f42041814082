//! One container, run as a process.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use aws_sdk_ecs::types::ContainerDefinition;

use super::wanted::Wanted;
use super::{ContainerSettings, WatchedRegion};
use crate::world::clients::{ACCESS_KEY, SECRET_KEY};
use crate::world::error::{WorldError, explain};
use crate::world::keeper::{Kept, Program, Signal};

/// ECS waits 30 seconds between its SIGTERM and its SIGKILL; nobody here has that long.
const GRACE: Duration = Duration::from_secs(2);

/// What is known of one container.
#[derive(Debug, Clone)]
pub struct ContainerState {
    /// Its Region.
    pub region: String,
    /// Its cluster's name.
    pub cluster: String,
    /// Its service's name.
    pub service: String,
    /// Its own name in the task definition.
    pub container: String,
    /// Its process; none if it could not be started.
    pub pid: Option<u32>,
    /// How it ended, or why it never started; none while it runs.
    pub ended: Option<String>,
    /// Its output.
    pub log: PathBuf,
}

impl ContainerState {
    /// Whether its process is there (a stopped one is).
    pub fn is_running(&self) -> bool {
        self.ended.is_none()
    }
}

/// A container that was started, or could not be.
#[derive(Debug)]
pub(super) struct Container {
    state: ContainerState,
    generation: String,
    kept: Option<Kept>,
}

impl Container {
    pub(super) fn start(
        definition: &ContainerDefinition,
        wanted: &Wanted,
        region: &WatchedRegion,
        settings: &ContainerSettings,
    ) -> Self {
        let name = definition.name().unwrap_or("unnamed");
        let region_name = region.clients.region.clone();
        let service = last(&wanted.service).to_owned();
        let log = settings.logs.join(format!("container-{region_name}-{service}-{name}.log"));
        let started = program(definition, region, settings, &log).and_then(|program| Kept::start(&program));
        let (kept, failure) = match started {
            Ok(kept) => (Some(kept), None),
            Err(why) => (None, Some(format!("never started: {}", explain(&why)))),
        };
        let state = ContainerState {
            region: region_name,
            cluster: last(&wanted.cluster).to_owned(),
            service,
            container: name.to_owned(),
            pid: kept.as_ref().map(Kept::pid),
            ended: failure,
            log,
        };
        Self { state, generation: wanted.generation.clone(), kept }
    }

    pub(super) fn generation(&self) -> &str {
        &self.generation
    }

    pub(super) fn state(&self) -> ContainerState {
        let ended = self.kept.as_ref().and_then(Kept::ended).or_else(|| self.state.ended.clone());
        ContainerState { ended, ..self.state.clone() }
    }

    pub(super) fn signal(&self, signal: Signal) -> Result<(), WorldError> {
        self.kept.as_ref().map_or(Ok(()), |kept| kept.signal(signal))
    }

    pub(super) async fn stop(self) {
        if let Some(kept) = self.kept {
            kept.stop(GRACE).await;
        }
    }
}

fn program(
    definition: &ContainerDefinition,
    region: &WatchedRegion,
    settings: &ContainerSettings,
    log: &std::path::Path,
) -> Result<Program, WorldError> {
    let image = definition.image().unwrap_or_default();
    let path = settings.images.get(image_name(image)).ok_or_else(|| {
        let known: Vec<&str> = settings.images.keys().map(String::as_str).collect();
        WorldError::failed(
            format!("run the image {image:?}"),
            format!("no program stands for it; there are: {}", known.join(", ")),
        )
    })?;
    let mut program = Program::new(definition.name().unwrap_or("a container"), path, &settings.logs, log);
    for argument in definition.entry_point().iter().chain(definition.command()) {
        program = program.arg(argument);
    }
    for (name, value) in environment(definition, region, settings) {
        program = program.env(name, value);
    }
    Ok(program)
}

fn environment(
    definition: &ContainerDefinition,
    region: &WatchedRegion,
    settings: &ContainerSettings,
) -> BTreeMap<String, String> {
    let name = region.clients.region.as_str();
    // What ECS gives on its own, and a task definition may override.
    let given = [("AWS_REGION", name), ("AWS_DEFAULT_REGION", name)];
    let own = definition.environment().iter().filter_map(|pair| Some((pair.name()?, pair.value()?)));
    // What makes it a process of this world, and nothing may override.
    let world = [
        ("AWS_ENDPOINT_URL", region.container_endpoint.as_str()),
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
        ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ];
    let set = settings.env.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    given.into_iter().chain(own).chain(world).chain(set).map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
}

/// `000000000000.dkr.ecr.eu-west-1.amazonaws.com/lifeboat/aex:1` is `aex`.
fn image_name(image: &str) -> &str {
    let last = last(image);
    last.split([':', '@']).next().unwrap_or(last)
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_known_by_its_last_name() {
        assert_eq!(image_name("aex"), "aex");
        assert_eq!(image_name("aex:1.2"), "aex");
        assert_eq!(image_name("registry.example:5000/lifeboat/aex@sha256:00"), "aex");
    }
}
