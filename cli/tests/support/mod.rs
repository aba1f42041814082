//! A plan in a folder of its own, the command, and what S3 answers, for the tests of the command.

#![allow(dead_code, reason = "each test binary uses its own part")]

pub mod browser;
pub mod cloudwatch;
pub mod evidence;
pub mod http;
pub mod ledger;
pub mod report;
pub mod route53;
pub mod s3;
pub mod world;

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A plan that passes, with both of its templates beside it.
pub const PLAN: &str = "\
version: 1
name: aex
regions: { primary: eu-west-1, recovery: eu-central-1 }
objectives: { rto_seconds: 7200 }
probe:
  primary: [http://10.0.0.10:8080/health]
  recovery: http://10.1.0.10:8080/health
  timeout_seconds: 2
  attempts: 3
  interval_seconds: 1
  log_still_seconds: 5
stacks:
  - name: cluster
    template: infra/cluster.yaml
    depends_on: []
    parameters: {}
  - name: exchange
    template: infra/exchange.yaml
    depends_on: [cluster]
    parameters:
      LogBucket: aex-log
ledger: { bucket: aex-log, prefix: log/, streams: [ME1, ME2] }
dns:
  zone_id: Z0123456789
  zone: aex.internal
  records:
    - { name: gateway.aex.internal, type: A, ttl: 5, primary: [10.0.0.10], recovery: [10.1.0.10] }
  strategy: records
";

pub const CLUSTER: &str = "\
Parameters:
  Epoch: { Type: String }
  RecoveryMode: { Type: String }
Resources:
  Cluster:
    Type: AWS::ECS::Cluster
    Properties: { ClusterName: !Sub \"aex-e${Epoch}\" }
";

pub const EXCHANGE: &str = "\
Parameters:
  Epoch: { Type: String }
  RecoveryMode: { Type: String, AllowedValues: [\"true\", \"false\"] }
  LogBucket: { Type: String }
  Port: { Type: Number, Default: 8080 }
Resources:
  Service:
    Type: AWS::ECS::Service
    Properties: { Cluster: !Sub \"aex-e${Epoch}\" }
";

/// A folder with a plan, `plan.yaml`, and its templates.
pub struct Folder {
    folder: TempDir,
}

impl Folder {
    pub fn new() -> Self {
        let folder = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        folder.write("plan.yaml", PLAN);
        folder.write("infra/cluster.yaml", CLUSTER);
        folder.write("infra/exchange.yaml", EXCHANGE);
        folder
    }

    /// The good plan with one piece of text in it replaced.
    pub fn spoilt(from: &str, to: &str) -> Self {
        let folder = Self::new();
        folder.replace("plan.yaml", from, to);
        folder
    }

    /// The good plan with a rule besides, over the symbols of `list`.
    pub fn with_names(list: &str) -> Self {
        let rule = "{ name: \"{symbol}.md.aex.internal\", list: symbols.txt, type: A, ttl: 5, primary: [10.0.0.20], \
                    recovery: [10.1.0.20] }";
        let strategy = "  strategy: records\n";
        let folder = Self::spoilt(strategy, &format!("{strategy}  names:\n    - {rule}\n"));
        folder.write("symbols.txt", list);
        folder
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a file lies in a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }

    #[track_caller]
    pub fn replace(&self, name: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path(name)).expect("a text");
        assert_eq!(text.matches(from).count(), 1, "{from:?} is in {name} once");
        self.write(name, &text.replace(from, to));
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The command, run in the folder, with nothing of this machine's AWS configuration.
    pub fn lifeboat(&self, arguments: &[&str]) -> Run {
        self.lifeboat_with(arguments, &[])
    }

    pub fn lifeboat_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Run {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lifeboat"));
        command.args(arguments);
        self.run(command, environment, "")
    }

    /// The command on a terminal, which Python's own library makes: every machine that runs this project's tests has it.
    pub fn on_a_terminal(&self, arguments: &[&str], environment: &[(&str, &str)], typed: &str) -> Run {
        const SPAWN: &str =
            "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";
        let mut command = Command::new("python3");
        command.args(["-c", SPAWN, env!("CARGO_BIN_EXE_lifeboat")]).args(arguments);
        self.run(command, environment, typed)
    }

    /// The command, begun and not waited for: whoever has it sees to its end.
    pub fn start(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lifeboat"));
        command.args(arguments);
        self.spawn(command, environment)
    }

    fn spawn(&self, mut command: Command, environment: &[(&str, &str)]) -> Child {
        command.current_dir(self.folder.path());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("AWS_") || name.to_string_lossy().starts_with("LIFEBOAT_") {
                command.env_remove(name);
            }
        }
        command.env("AWS_CONFIG_FILE", "none").env("AWS_SHARED_CREDENTIALS_FILE", "none");
        command.env("AWS_EC2_METADATA_DISABLED", "true");
        command.envs(environment.iter().copied());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("the command runs")
    }

    fn run(&self, command: Command, environment: &[(&str, &str)], typed: &str) -> Run {
        let mut child = self.spawn(command, environment);
        // A command that asks for nothing may end before it is written to.
        let _ = child.stdin.take().expect("it is piped").write_all(typed.as_bytes());
        Run::of(child)
    }
}

/// What a command did.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Run {
    /// Waits for the end of `command`.
    pub fn of(command: Child) -> Run {
        let output = command.wait_with_output().expect("the command ends");
        Run {
            code: output.status.code().expect("no signal"),
            out: String::from_utf8(output.stdout).expect("UTF-8"),
            err: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }

    /// Standard output as the one line of JSON that it must be.
    #[track_caller]
    pub fn json(&self) -> Value {
        assert_eq!(self.out.matches('\n').count(), 1, "one line: {self:?}");
        assert_eq!(self.err, "", "nothing besides: {self:?}");
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// The failure, as JSON, says each of `texts`.
#[track_caller]
pub fn says(failure: &Value, texts: &[&str]) {
    let error = failure["error"].to_string();
    for text in texts {
        assert!(error.contains(text), "{error} should say: {text}");
    }
}
