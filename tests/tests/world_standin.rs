//! Containers run where the emulated ECS says so, see their environment, and stay dead when they are killed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use lifeboat_tests::world::deploy::{StackSpec, create_stack};
use lifeboat_tests::world::{ContainerState, Signal, World, WorldOptions};

const TEMPLATE: &str = "
AWSTemplateFormatVersion: '2010-09-09'
Resources:
  Cluster:
    Type: AWS::ECS::Cluster
    Properties: { ClusterName: aex }
  Task:
    Type: AWS::ECS::TaskDefinition
    Properties:
      Family: gateway
      ContainerDefinitions:
        - Name: gateway
          Image: registry.example/talker:1
          Memory: 64
          Essential: true
          Command: [serve, --loud]
          Environment:
            - { Name: AEX_SIDE, Value: primary }
            - { Name: AWS_ENDPOINT_URL, Value: 'https://elsewhere.example' }
  Service:
    Type: AWS::ECS::Service
    Properties: { ServiceName: gateway, Cluster: !Ref Cluster, TaskDefinition: !Ref Task, DesiredCount: 1 }
";

/// Says what it was given, and then what time it thinks it is.
const TALKER: &str = "#!/bin/sh
echo \"args $*\"
env | sort
while true; do echo tick; sleep 0.05; done
";

const SOON: Duration = Duration::from_secs(10);

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn log_lines(log: &Path) -> usize {
    fs::read_to_string(log).map_or(0, |log| log.lines().count())
}

fn in_region(region: &str) -> impl Fn(&ContainerState) -> bool + '_ {
    move |container| container.region == region
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_come_and_go_with_their_services_and_stay_dead_when_killed() {
    let programs = tempfile::tempdir().unwrap();
    let talker = programs.path().join("talker");
    fs::write(&talker, TALKER).unwrap();
    fs::set_permissions(&talker, fs::Permissions::from_mode(0o755)).unwrap();
    let template = programs.path().join("template.yaml");
    fs::write(&template, TEMPLATE).unwrap();

    let mut world = World::start(WorldOptions::default().image("talker", talker)).await.unwrap();
    let (primary, recovery) = (world.primary().to_owned(), world.recovery().to_owned());
    for region in [&primary, &recovery] {
        create_stack(&world.clients(region), &StackSpec::new("cluster", &template)).await.unwrap();
    }
    let entrance = world.entrance(&primary).await.unwrap();
    let here = world.standin().wait_for(SOON, in_region(&primary)).await.unwrap();
    let there = world.standin().wait_for(SOON, in_region(&recovery)).await.unwrap();
    assert_eq!((here.cluster.as_str(), here.service.as_str()), ("aex", "gateway"));
    assert_ne!(here.pid, there.pid);
    eventually("it says what it was given", || log_lines(&here.log) > 10).await;
    let said = fs::read_to_string(&here.log).unwrap();
    for line in ["args serve --loud", "AEX_SIDE=primary", "AWS_REGION=eu-west-1"] {
        assert!(said.lines().any(|said| said == line), "{line} is not in:\n{said}");
    }
    assert!(said.contains(&format!("AWS_ENDPOINT_URL={entrance}\n")), "{said}");

    // Frozen, and awake again.
    let standin = world.standin();
    assert_eq!(standin.signal(Signal::Stop, in_region(&primary)).unwrap(), 1);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let frozen = log_lines(&here.log);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(log_lines(&here.log), frozen);
    assert_eq!(standin.signal(Signal::Continue, in_region(&primary)).unwrap(), 1);
    eventually("it goes on", || log_lines(&here.log) > frozen).await;

    // Killed: it stays dead, though its service still wants it.
    assert_eq!(standin.signal(Signal::Kill, in_region(&primary)).unwrap(), 1);
    let state = || standin.containers().into_iter().find(|container| container.pid == here.pid).unwrap();
    eventually("it is dead", || !state().is_running()).await;
    assert_eq!(state().ended.as_deref(), Some("on signal 9"));
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(standin.containers().len(), 2);

    // A Region that is away is unseen: its service is deleted, and nothing happens until it is back.
    let away = world.proxy().refuse_region(&recovery);
    let ecs = world.clients(&recovery).ecs;
    ecs.delete_service().cluster("aex").service("gateway").force(true).send().await.unwrap();
    tokio::time::sleep(Duration::from_millis(800)).await;
    assert!(
        standin.containers().iter().any(|container| container.pid == there.pid && container.is_running())
    );
    world.proxy().lift(away);
    eventually("it is stopped", || standin.containers().len() == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_nothing_stands_for_is_said_to_be_so() {
    let folder = tempfile::tempdir().unwrap();
    let template = folder.path().join("template.yaml");
    fs::write(&template, TEMPLATE).unwrap();
    let world = World::start(WorldOptions::default()).await.unwrap();
    create_stack(&world.clients("eu-west-1"), &StackSpec::new("cluster", &template)).await.unwrap();
    let state = world.standin().wait_for(SOON, |_| true).await.unwrap();
    let why = state.ended.unwrap();
    assert!(why.starts_with("never started") && why.contains("talker"), "{why}");
}
