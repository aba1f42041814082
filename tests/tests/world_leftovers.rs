//! However the harness ends, no process of its world outlives it: not the emulator, not a Lambda, not a container.
#![cfg(target_os = "linux")] // Leftovers are looked for in /proc.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lifeboat_tests::world::deploy::{
    Bucket, Packing, StackSpec, create_bucket, create_stack, package, upload,
};
use lifeboat_tests::world::{World, WorldOptions};
use rustix::process::{Pid, Signal, kill_process};

/// Set for the child that holds the world which is to be killed.
const HOLD: &str = "LIFEBOAT_TEST_HOLD_A_WORLD";

/// A Lambda and an ECS service, so that there is something of everything to be left behind.
const TEMPLATE: &str = "
AWSTemplateFormatVersion: '2010-09-09'
Resources:
  Function:
    Type: AWS::Lambda::Function
    Properties:
      FunctionName: echo
      Runtime: provided.al2023
      Handler: bootstrap
      Role: arn:aws:iam::000000000000:role/none
      Timeout: 20
      Code: { S3Bucket: packages, S3Key: echo.zip }
  Cluster:
    Type: AWS::ECS::Cluster
    Properties: { ClusterName: c }
  Task:
    Type: AWS::ECS::TaskDefinition
    Properties:
      Family: sleeper
      ContainerDefinitions: [{ Name: sleeper, Image: sleeper, Memory: 64, Essential: true }]
  Service:
    Type: AWS::ECS::Service
    Properties: { ServiceName: s, Cluster: !Ref Cluster, TaskDefinition: !Ref Task, DesiredCount: 1 }
";

/// The runtime API in ten lines: asks for the next event and gives it back, for ever.
const ECHO: &str = r#"#!/usr/bin/env python3
import os, urllib.request as http
api = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/invocation/"
while True:
    event = http.urlopen(api + "next")
    id = event.headers["Lambda-Runtime-Aws-Request-Id"]
    http.urlopen(http.Request(api + id + "/response", data=event.read(), method="POST"))
"#;

fn script(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Not a test of its own: the process that the tests below kill. Without the variable it does nothing.
#[tokio::test(flavor = "multi_thread")]
async fn hold_a_world() {
    if std::env::var_os(HOLD).is_none() {
        return;
    }
    let programs = tempfile::tempdir().unwrap();
    let sleeper = programs.path().join("sleeper");
    script(&sleeper, "#!/bin/sh\nsleep 600 & sleep 600\n");
    let world = World::start(WorldOptions::default().image("sleeper", sleeper)).await.unwrap();
    let clients = world.clients(world.recovery());

    let bootstrap = programs.path().join("echo");
    script(&bootstrap, ECHO);
    let zip = package(&bootstrap, programs.path(), Packing::Stored).unwrap();
    create_bucket(&clients, &Bucket::plain("packages")).await.unwrap();
    upload(&clients, "packages", "echo.zip", &zip.path).await.unwrap();
    let template = programs.path().join("template.yaml");
    fs::write(&template, TEMPLATE).unwrap();
    create_stack(&clients, &StackSpec::new("all", &template)).await.unwrap();
    world.standin().wait_for(Duration::from_secs(10), |_| true).await.unwrap();

    let answer = Command::new(world.venv().program("aws"))
        .args(["--endpoint-url", &world.endpoint(), "--region", world.recovery()])
        .args(["lambda", "invoke", "--function-name", "echo", "--payload", "{\"a\": 1}", "/dev/stderr"])
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&answer.stderr).contains("\"a\": 1"), "{answer:?}");

    println!("HOLDING {}", world.run().path().display());
    tokio::time::sleep(Duration::from_secs(120)).await;
}

/// Starts a process that holds a world, and says which run it is.
fn hold() -> (Child, PathBuf) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "hold_a_world", "--nocapture"])
        .env(HOLD, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for line in lines.map_while(Result::ok) {
        // The test harness prints the test's name before it, on the same line.
        if let Some((_, path)) = line.split_once("HOLDING ") {
            return (child, path.into());
        }
    }
    panic!("the world to be killed never came up: {:?}", child.wait());
}

/// The living processes of a run, by what they are: each works somewhere in its folder.
fn processes(run: &Path) -> BTreeMap<u32, String> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let Ok(folder) = fs::read_link(entry.path().join("cwd")) else { continue };
        // A process that nobody has reaped yet has no folder any more, so it is not counted.
        if folder.starts_with(run) {
            let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            found.insert(pid, String::from_utf8_lossy(&command).replace('\0', " "));
        }
    }
    found
}

fn nothing_is_left(run: &Path) {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let left = processes(run);
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "left behind: {left:#?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn end_by(signal: Signal) {
    let (mut child, run) = hold();
    let before = processes(&run);
    let count = |what: &str| before.values().filter(|command| command.contains(what)).count();
    assert!(count("ministack") >= 1 && count("bootstrap") >= 1 && count("sleep 600") >= 2, "{before:#?}");

    kill_process(Pid::from_child(&child), signal).unwrap();
    child.wait().unwrap();
    nothing_is_left(&run);
}

#[test]
fn nothing_outlives_a_harness_that_is_killed() {
    end_by(Signal::KILL);
}

#[test]
fn nothing_outlives_a_harness_that_is_interrupted() {
    end_by(Signal::INT);
}
