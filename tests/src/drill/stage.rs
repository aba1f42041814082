//! Sets the stage: everything that must exist beforehand, made the way the deploy guide says, then the primary.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use lifeboat_ledger::slot;
use lifeboat_rules::Plan;
use lifeboat_rules::plan::Strategy;
use serde_json::{Value, json};
use tokio::process::Command;

use super::setting::{Ledger, Setting};
use crate::world::delivery::DeliveryStream;
use crate::world::deploy::{StackSpec, create_foundation, create_stack, upload_packages};
use crate::world::error::{Doing as _, WorldError};
use crate::world::relay::Relay;
use crate::world::{Clients, World, places};

/// Where the primary's gateway listens; the recovery side's listens on the same port.
const PRIMARY_IP: Ipv4Addr = Ipv4Addr::new(127, 0, 1, 1);
const RECOVERY_IP: Ipv4Addr = Ipv4Addr::new(127, 0, 2, 1);
/// A stand-in for the put across Regions that each commit waits for.
const COMMIT_MILLISECONDS: u32 = 100;
/// The first start of everything, on a loaded machine.
const SERVING_WITHIN: Duration = Duration::from_secs(60);
/// Any one command of a person: the longest reads the whole log, which takes a few seconds.
const COMMAND_WITHIN: Duration = Duration::from_secs(120);
const PORT_TRIES_MAX: usize = 50;
const OBJECT_LOCK_DAYS: i32 = 1_826;
/// What is set up, by name.
#[derive(Debug)]
pub struct Stage {
    /// The port of both gateways.
    pub port: u16,
    /// The log's bucket.
    pub log_bucket: String,
    /// The control bucket.
    pub control_bucket: String,
    /// The evidence bucket.
    pub evidence_bucket: String,
    /// The private zone.
    pub zone_id: String,
    /// The state machine.
    pub state_machine_arn: String,
    /// The alarm.
    pub alarm: String,
    /// The plan's key in the control bucket.
    pub plan_key: String,
    /// The plan, as the Lambdas read it.
    pub plan: Plan,
    /// The plan's file.
    pub plan_file: PathBuf,
    /// Where probes of the primary go through, where the setting asked for it.
    pub relay: Option<Relay>,
    /// What an application with leases sends its entries to.
    pub delivery: Option<DeliveryStream>,
    /// The fingerprint of the key that signs what runs leave behind.
    fingerprint: String,
    values: Vec<(&'static str, String)>,
}

impl Stage {
    /// Deploys everything and waits until the primary serves.
    ///
    /// # Errors
    /// The step that failed, with its cause.
    pub async fn set(world: &World, setting: &Setting) -> Result<Stage, WorldError> {
        let report = &*setting.report;
        let infra = places::repository().join("infra");
        let aex = places::repository().join("examples/aex/infra");
        let (recovery, primary) = (world.clients(world.recovery()), world.clients(world.primary()));

        report("deploying infra/foundation.yaml");
        let strategy = setting.strategy.to_string();
        let foundation = StackSpec::new("aex-foundation", &infra.join("foundation.yaml"))
            .parameter("DnsStrategy", &strategy)
            .parameter("PlanName", "aex")
            .parameter("ZoneName", "aex.internal")
            .parameter("RecoveryVpcId", "vpc-00000000");
        let foundation = create_foundation(&recovery, foundation, OBJECT_LOCK_DAYS).await?;
        let (log_bucket, control_bucket) =
            (foundation.output("LogBucketName")?, foundation.output("ControlBucketName")?);
        let (evidence_bucket, zone_id) =
            (foundation.output("EvidenceBucketName")?, foundation.output("HostedZoneId")?);

        report("deploying examples/aex/infra/base.yaml in both Regions");
        let base = |name: &str| {
            StackSpec::new(name, &aex.join("base.yaml"))
                .parameter("LogBucket", log_bucket)
                .parameter("LogRegion", world.recovery())
        };
        let recovery_base =
            create_stack(&recovery, &base("aex-base-recovery").parameter("Witness", "true")).await?;
        let primary_base = create_stack(&primary, &base("aex-base-primary")).await?;
        let port =
            free_port().doing(|| format!("find a port that is free on {PRIMARY_IP} and {RECOVERY_IP}"))?;

        let primary_address = SocketAddrV4::new(PRIMARY_IP, port);
        let relay = if setting.relay { Some(Relay::start(primary_address.into()).await?) } else { None };
        let probed = relay.as_ref().map_or(primary_address.into(), Relay::address);

        let delivery = match setting.ledger {
            Ledger::Segments => None,
            Ledger::Leases => {
                Some(DeliveryStream::start(recovery.s3.clone(), log_bucket, setting.ledger_prefix()).await?)
            }
        };
        let firehose = match &delivery {
            None => recovery_base.output("FirehoseName")?.to_owned(),
            Some(delivery) => delivery.address().to_string(),
        };

        report("lifeboat plan upload");
        let mut values = vec![
            ("PRIMARY_ADDRESS", probed.to_string()),
            ("RECOVERY_ADDRESS", SocketAddrV4::new(RECOVERY_IP, port).to_string()),
            ("REPOSITORY", places::repository().display().to_string()),
            ("LOG_BUCKET", log_bucket.to_owned()),
            ("FIREHOSE", firehose.clone()),
            ("COMMIT_MILLISECONDS", COMMIT_MILLISECONDS.to_string()),
            ("EXECUTION_ROLE_ARN", recovery_base.output("ExecutionRoleArn")?.to_owned()),
            ("TASK_ROLE_ARN", recovery_base.output("TaskRoleArn")?.to_owned()),
            ("LOG_GROUP", recovery_base.output("LogGroup")?.to_owned()),
            ("ZONE_ID", zone_id.trim_start_matches("/hostedzone/").to_owned()),
        ];
        if setting.strategy == Strategy::Switch {
            values.push(("HEALTH_CHECK_ID", foundation.output("HealthCheckId")?.to_owned()));
        }
        let plan_file = world.run().file("plan.yaml");
        write_plan(&plan_file, setting, &values)?;
        let file = plan_file.display().to_string();
        succeed(world, &["plan", "upload", &file, "--control-bucket", control_bucket]).await?;
        let plan_key = "plan/aex.json".to_owned();
        let plan = read_plan(world, control_bucket, &plan_key).await?;

        report("packaging the Lambdas and deploying infra/orchestrator.yaml");
        let (prefix, definition) = upload_packages(world, &recovery, control_bucket).await?;
        let orchestrator = create_stack(
            &recovery,
            &StackSpec::new("aex-orchestrator", &infra.join("orchestrator.yaml"))
                .staged_in(control_bucket)
                .parameter("PlanName", "aex")
                .parameter("LogBucket", log_bucket)
                .parameter("ControlBucket", control_bucket)
                .parameter("EvidenceBucket", evidence_bucket)
                .parameter("HostedZoneId", zone_id.trim_start_matches("/hostedzone/"))
                .parameter("SigningKeyArn", foundation.output("SigningKeyArn")?)
                .parameter("DnsStrategy", &strategy)
                .parameter("StackRoleArn", recovery_base.output("StackRoleArn")?)
                .parameter("ArtifactBucket", control_bucket)
                .parameter("ArtifactPrefix", prefix)
                .parameter("DefinitionKey", definition)
                .parameter("Architecture", "x86_64")
                .parameter("DnsServer", world.dns_address().to_string()),
        )
        .await?;

        let fingerprint = fingerprint(&recovery, foundation.output("SigningKeyArn")?).await?;
        report("lifeboat init, then the primary exchange");
        succeed(world, &["init", &file, "--control-bucket", control_bucket]).await?;
        let day_of = |name: &str, template: &str| {
            StackSpec::new(name, &aex.join(template))
                .parameter("Epoch", "0")
                .parameter("RecoveryMode", "false")
        };
        create_stack(&primary, &day_of("aex-cluster-e0", "cluster.yaml")).await?;
        create_stack(
            &primary,
            &day_of("aex-exchange-e0", "exchange.yaml")
                .parameter("ListenAddress", primary_address.to_string())
                .parameter("Streams", setting.streams_parameter())
                .parameter("LogBucket", log_bucket)
                .parameter("LogRegion", world.recovery())
                .parameter("LogPrefix", setting.ledger_prefix())
                .parameter("Firehose", &firehose)
                .parameter("CommitMilliseconds", COMMIT_MILLISECONDS.to_string())
                .parameter("ExecutionRoleArn", primary_base.output("ExecutionRoleArn")?)
                .parameter("TaskRoleArn", primary_base.output("TaskRoleArn")?)
                .parameter("LogGroup", primary_base.output("LogGroup")?)
                .parameter("SubnetIds", "subnet-00000000")
                .parameter("SecurityGroupIds", "sg-00000000"),
        )
        .await?;
        let stage = Stage {
            port,
            log_bucket: log_bucket.to_owned(),
            control_bucket: control_bucket.to_owned(),
            evidence_bucket: evidence_bucket.to_owned(),
            zone_id: zone_id.to_owned(),
            state_machine_arn: orchestrator.output("StateMachineArn")?.to_owned(),
            alarm: orchestrator.output("AlarmName")?.to_owned(),
            plan_key,
            plan,
            plan_file,
            relay,
            delivery,
            fingerprint,
            values,
        };
        report(match setting.strategy {
            Strategy::Switch => "its records, and lifeboat dns prepare",
            Strategy::Records => "its records",
        });
        stage.put_records(world).await?;
        stage.wait_until_serving(world).await?;
        Ok(stage)
    }

    /// Where the primary's gateway listens.
    pub fn primary_address(&self) -> SocketAddr {
        SocketAddrV4::new(PRIMARY_IP, self.port).into()
    }

    /// Where the recovery side's gateway listens, once it is there.
    pub fn recovery_address(&self) -> SocketAddr {
        SocketAddrV4::new(RECOVERY_IP, self.port).into()
    }

    /// Writes the plan anew, as `setting` has it, and uploads it: a new version of the same plan.
    ///
    /// # Errors
    /// Where the `lifeboat` command fails; its output is in the error.
    pub async fn upload_plan(&self, world: &World, setting: &Setting) -> Result<(), WorldError> {
        write_plan(&self.plan_file, setting, &self.values)?;
        let file = self.plan_file.display().to_string();
        succeed(world, &["plan", "upload", &file, "--control-bucket", &self.control_bucket]).await
    }

    /// `text` with the name of the log's bucket for `${LOG_BUCKET}`, the plan's file for `${PLAN}`, and the fingerprint of the
    /// key that signs for `${FINGERPRINT}`.
    pub fn named(&self, text: &str) -> String {
        text.replace("${LOG_BUCKET}", &self.log_bucket)
            .replace("${PLAN}", &self.plan_file.display().to_string())
            .replace("${FINGERPRINT}", &self.fingerprint)
    }

    /// Runs the `lifeboat` command as a person would, who has the names of buckets and state machine in the environment.
    ///
    /// # Errors
    /// Where it cannot be started, or has not ended within two minutes. How it ended is in its output.
    pub async fn lifeboat(&self, world: &World, args: &[&str]) -> Result<std::process::Output, WorldError> {
        let environment = [
            ("LIFEBOAT_CONTROL_BUCKET", self.control_bucket.as_str()),
            ("LIFEBOAT_EVIDENCE_BUCKET", &self.evidence_bucket),
            ("LIFEBOAT_STATE_MACHINE", &self.state_machine_arn),
        ];
        lifeboat(world, args, &environment).await
    }

    async fn wait_until_serving(&self, world: &World) -> Result<(), WorldError> {
        let deadline = Instant::now() + SERVING_WITHIN;
        let http =
            reqwest::Client::builder().no_proxy().build().doing(|| "make an HTTP client".to_owned())?;
        loop {
            let answer = http
                .get(format!("http://{}/health", self.primary_address()))
                .timeout(Duration::from_secs(2))
                .send()
                .await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            if Instant::now() > deadline {
                let containers = world.standin().containers();
                return Err(WorldError::TooLate {
                    what: format!("bring up the primary exchange ({containers:?})"),
                    within: SERVING_WITHIN,
                });
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until the alarm is in `state`, and says when that was seen; it is looked at every 50 ms.
    ///
    /// # Errors
    /// `TooLate`.
    pub async fn wait_for_alarm(
        &self,
        world: &World,
        state: &str,
        within: Duration,
    ) -> Result<Timestamp, WorldError> {
        let cloudwatch = world.clients(world.recovery()).cloudwatch;
        let deadline = Instant::now() + within;
        let mut last = String::new();
        while Instant::now() < deadline {
            let described = cloudwatch.describe_alarms().alarm_names(&self.alarm).send().await;
            let described = described.doing(|| format!("describe the alarm {}", self.alarm))?;
            let found = described.metric_alarms().first().and_then(|alarm| alarm.state_value());
            last = found.map_or("missing", |state| state.as_str()).to_owned();
            if last == state {
                return Ok(crate::world::now());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err(WorldError::TooLate { what: format!("wait for the alarm to be {state}; it is {last}"), within })
    }

    /// Removes the segment that holds entry `seq` of `stream`, behind the bucket policy's back, and returns its slot.
    ///
    /// # Errors
    /// Where the emulator does not answer, or the log has no such entry.
    pub async fn remove_segment(&self, world: &World, stream: &str, seq: u64) -> Result<u64, WorldError> {
        let s3 = world.clients(world.recovery()).s3;
        let prefix = slot::stream_prefix(&self.plan.ledger.prefix, stream);
        let mut pages = s3.list_objects_v2().bucket(&self.log_bucket).prefix(&prefix).into_paginator().send();
        let mut holds = None;
        while let Some(page) = pages.next().await {
            let page = page.doing(|| "list the log".to_owned())?;
            let slots = page
                .contents()
                .iter()
                .filter_map(|object| slot::parse(&self.plan.ledger.prefix, object.key()?));
            holds = holds.max(slots.map(|(_, slot)| slot).filter(|slot| *slot <= seq).max());
        }
        let slot = holds
            .ok_or_else(|| WorldError::failed("sabotage the log", format!("{stream} has no entry {seq}")))?;
        let key = slot::key(&self.plan.ledger.prefix, stream, slot);
        s3.delete_object()
            .bucket(&self.log_bucket)
            .key(&key)
            .send()
            .await
            .doing(|| format!("remove {key}"))?;
        Ok(slot)
    }

    /// The documented start by hand.
    ///
    /// # Errors
    /// Where the `aws` command fails; its output is in the error.
    pub async fn start_by_hand(&self, world: &World) -> Result<(), WorldError> {
        let input = json!({
            "mode": "failover",
            "plan": { "key": self.plan_key },
            "trigger": { "kind": "operator", "by": "drill", "reason": "the primary Region is gone" },
        });
        let mut command = Command::new(world.venv().program("aws"));
        command.args(["stepfunctions", "start-execution", "--name", "by-hand"]).args([
            "--state-machine-arn",
            &self.state_machine_arn,
            "--input",
            &input.to_string(),
        ]);
        let what = "aws stepfunctions start-execution";
        succeeded(what, &output_of(world, what, &mut command, &[]).await?)
    }

    /// Takes the schedules away: from now on nobody looks at the primary or the ledger, or keeps the gate where the newest flip
    /// says, but who is asked to.
    ///
    /// # Errors
    /// Where the `aws` command fails; its output is in the error.
    pub async fn take_schedules_away(&self, world: &World) -> Result<(), WorldError> {
        let mut names = vec!["lifeboat-aex-probe", "lifeboat-aex-checkpoints"];
        if self.plan.dns.strategy == Strategy::Switch {
            names.push("lifeboat-aex-keeper");
        }
        for name in names {
            let mut command = Command::new(world.venv().program("aws"));
            command.args(["scheduler", "delete-schedule", "--name", name]);
            let what = "aws scheduler delete-schedule";
            succeeded(what, &output_of(world, what, &mut command, &[]).await?)?;
        }
        Ok(())
    }

    /// Reads a JSON object of the evidence bucket.
    ///
    /// # Errors
    /// Where it is not there, or is no JSON.
    pub async fn evidence(&self, world: &World, key: &str) -> Result<Value, WorldError> {
        let what = || format!("read the evidence {key}");
        let s3 = world.clients(world.recovery()).s3;
        let object = s3.get_object().bucket(&self.evidence_bucket).key(key).send().await.doing(what)?;
        let bytes = object.body.collect().await.doing(what)?.to_vec();
        serde_json::from_slice(&bytes).doing(what)
    }
}

/// As a person asks KMS for it who is going to pin it.
async fn fingerprint(clients: &Clients, key: &str) -> Result<String, WorldError> {
    let what = || format!("read the public key of {key}");
    let asked = aws_sdk_kms::Client::new(&clients.config).get_public_key().key_id(key).send();
    let answer = asked.await.doing(what)?;
    let public_key = answer.public_key().ok_or_else(|| WorldError::failed(what(), "there is none"))?;
    Ok(lifeboat_rules::evidence::sha256(public_key.as_ref()))
}

async fn read_plan(world: &World, bucket: &str, key: &str) -> Result<Plan, WorldError> {
    let what = || format!("read the uploaded plan {key}");
    let s3 = world.clients(world.recovery()).s3;
    let object = s3.get_object().bucket(bucket).key(key).send().await.doing(what)?;
    let bytes = object.body.collect().await.doing(what)?.to_vec();
    Plan::from_json(&bytes).map_err(|problems| WorldError::failed(what(), format!("{problems:?}")))
}

fn write_plan(file: &Path, setting: &Setting, values: &[(&'static str, String)]) -> Result<(), WorldError> {
    let mut text = setting.plan_text()?;
    for (name, value) in values {
        text = text.replace(&format!("${{{name}}}"), value);
    }
    std::fs::write(file, text).doing(|| format!("write {}", file.display()))
}

/// Runs the `lifeboat` command as a person would.
///
/// # Errors
/// Where it cannot be started, or has not ended within [`COMMAND_WITHIN`]. How it ended is in its output.
async fn lifeboat(
    world: &World,
    args: &[&str],
    environment: &[(&str, &str)],
) -> Result<std::process::Output, WorldError> {
    let mut command = Command::new(places::binary("lifeboat")?);
    command.args(args);
    output_of(world, &format!("lifeboat {}", args.join(" ")), &mut command, environment).await
}

/// Runs a command of a person, who waits no longer than [`COMMAND_WITHIN`]: by then it is killed.
async fn output_of(
    world: &World,
    what: &str,
    command: &mut Command,
    environment: &[(&str, &str)],
) -> Result<std::process::Output, WorldError> {
    command
        .env_clear()
        .envs(aws_environment(world))
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    match tokio::time::timeout(COMMAND_WITHIN, command.output()).await {
        Ok(output) => output.doing(|| format!("start {what}")),
        Err(_) => {
            Err(WorldError::TooLate { what: format!("wait for the end of {what}"), within: COMMAND_WITHIN })
        }
    }
}

async fn succeed(world: &World, args: &[&str]) -> Result<(), WorldError> {
    succeeded(&format!("lifeboat {}", args.join(" ")), &lifeboat(world, args, &[]).await?)
}

fn aws_environment(world: &World) -> [(&'static str, String); 5] {
    [
        ("AWS_ENDPOINT_URL", world.endpoint()),
        ("AWS_DEFAULT_REGION", world.recovery().to_owned()),
        ("AWS_REGION", world.recovery().to_owned()),
        ("AWS_ACCESS_KEY_ID", "test".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
    ]
}

pub(super) fn succeeded(what: &str, output: &std::process::Output) -> Result<(), WorldError> {
    if output.status.success() {
        return Ok(());
    }
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Err(WorldError::failed(what, format!("{}: {out}{err}", output.status)))
}

/// A port that is free on both addresses now. Between now and its use somebody else could take it; the exchange then
/// says so and ends, and the drill with it.
fn free_port() -> std::io::Result<u16> {
    let mut last = None;
    for _ in 0..PORT_TRIES_MAX {
        let first = TcpListener::bind((PRIMARY_IP, 0))?;
        let port = first.local_addr()?.port();
        match TcpListener::bind((RECOVERY_IP, port)) {
            Ok(_) => return Ok(port),
            Err(taken) => last = Some(taken),
        }
    }
    Err(last.unwrap_or_else(|| std::io::Error::other("no try")))
}
