//! What must exist beforehand, and as little as will do.

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use aex::store::Store;
use lifeboat_rules::Plan;
use lifeboat_rules::plan::Strategy;
use serde_json::Value;
use tokio::process::Command;

use super::exchange::Place;
use super::plan::{Made, plan};
use super::primary::PrimaryHealth;
use crate::world::deploy::{StackSpec, create_foundation, create_stack, upload_packages};
use crate::world::error::{Doing as _, WorldError};
use crate::world::{Clients, World, clients, places};

/// Evidence cannot be deleted for so long.
const OBJECT_LOCK_DAYS: i32 = 1;
/// Any one command of a person.
const COMMAND_WITHIN: Duration = Duration::from_secs(120);

/// What is to be set up.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// The plan's name.
    pub plan: &'static str,
    /// How traffic moves.
    pub strategy: Strategy,
    /// The ledger's streams.
    pub streams: &'static [&'static str],
    /// The ARN of the topic that is told of runs; nobody is where it is empty.
    pub notify: &'static str,
}

impl Setting {
    /// The private zone.
    pub(super) fn zone(&self) -> String {
        format!("{}.internal", self.plan)
    }
}

/// What is set up.
#[derive(Debug)]
pub struct Stage {
    /// The recovery Region, straight to the emulator: what no fault is to reach.
    pub clients: Clients,
    /// The plan, as the Lambdas read it.
    pub plan: Plan,
    /// The plan's file.
    pub plan_file: String,
    /// The log's bucket.
    pub log_bucket: String,
    /// The control bucket.
    pub control_bucket: String,
    /// The evidence bucket.
    pub evidence_bucket: String,
    /// The state machine.
    pub state_machine_arn: String,
    /// The alarm that starts runs.
    pub alarm: String,
    /// The zone, as Route 53 spells it.
    pub zone_id: String,
    /// What a probe of the primary is told: out of order, from the beginning.
    pub primary: PrimaryHealth,
    /// Route 53, straight to the emulator.
    pub route53: aws_sdk_route53::Client,
    packages: Packages,
    environment: Vec<(&'static str, String)>,
}

/// Where the packages and the definition are.
#[derive(Clone, Debug)]
struct Packages {
    bucket: String,
    prefix: String,
    definition: String,
}

impl Stage {
    /// Deploys everything and opens every stream for the primary. Nobody looks at the primary or the ledger, or keeps the
    /// gate, but who is asked to: there are no schedules.
    ///
    /// # Errors
    /// The step that failed, with its cause.
    pub async fn set(world: &World, setting: &Setting) -> Result<Stage, WorldError> {
        Self::set_with(world, setting, None).await
    }

    /// The same for another plan in the same world, with the packages that are there.
    ///
    /// # Errors
    /// As [`Self::set`].
    pub async fn set_beside(&self, world: &World, setting: &Setting) -> Result<Stage, WorldError> {
        Self::set_with(world, setting, Some(self.packages.clone())).await
    }

    async fn set_with(
        world: &World,
        setting: &Setting,
        packages: Option<Packages>,
    ) -> Result<Stage, WorldError> {
        let clients = world.clients(world.recovery());
        let (infra, name) = (places::repository().join("infra"), setting.plan);
        let strategy = setting.strategy.to_string();
        let foundation = StackSpec::new(&format!("{name}-foundation"), &infra.join("foundation.yaml"))
            .parameter("PlanName", name)
            .parameter("DnsStrategy", &strategy)
            .parameter("ZoneName", setting.zone())
            .parameter("RecoveryVpcId", "vpc-00000000");
        let foundation = create_foundation(&clients, foundation, OBJECT_LOCK_DAYS).await?;
        let output = |key: &str| foundation.output(key).map(str::to_owned);
        let (log_bucket, control_bucket) = (output("LogBucketName")?, output("ControlBucketName")?);
        let (evidence_bucket, zone_id) = (output("EvidenceBucketName")?, output("HostedZoneId")?);

        let packages = match packages {
            Some(packages) => packages,
            None => {
                let (prefix, definition) = upload_packages(world, &clients, &control_bucket).await?;
                Packages { bucket: control_bucket.clone(), prefix, definition }
            }
        };
        let orchestrator = StackSpec::new(&format!("{name}-orchestrator"), &infra.join("orchestrator.yaml"))
            .staged_in(&control_bucket)
            .parameter("PlanName", name)
            .parameter("DnsStrategy", &strategy)
            .parameter("LogBucket", &log_bucket)
            .parameter("ControlBucket", &control_bucket)
            .parameter("EvidenceBucket", &evidence_bucket)
            .parameter("SigningKeyArn", output("SigningKeyArn")?)
            .parameter("HostedZoneId", zone_id.trim_start_matches("/hostedzone/"))
            .parameter("StackRoleArn", "arn:aws:iam::000000000000:role/light-stacks")
            .parameter("ArtifactBucket", &packages.bucket)
            .parameter("ArtifactPrefix", &packages.prefix)
            .parameter("DefinitionKey", &packages.definition)
            .parameter("Architecture", "x86_64")
            .parameter("NotifyTopicArn", setting.notify)
            .parameter("DnsServer", world.dns_address().to_string());
        let orchestrator = create_stack(&clients, &orchestrator).await?;

        let (primary, place) = (PrimaryHealth::serve().await?, Place::take().await?);
        let made = Made {
            log_bucket: &log_bucket,
            zone_id: zone_id.trim_start_matches("/hostedzone/"),
            health_check: foundation.outputs.get("HealthCheckId").map(String::as_str),
            primary: primary.address(),
            exchange: place.address(),
        };
        let file = world.run().file(&format!("{name}.yaml"));
        let write = || format!("write {}", file.display());
        std::fs::write(&file, serde_json::to_string_pretty(&plan(setting, &made)).doing(write)?)
            .doing(write)?;
        let environment = environment(world, [&control_bucket, &evidence_bucket], &orchestrator)?;
        let mut stage = Stage {
            plan: crate::given::plan(),
            plan_file: file.display().to_string(),
            state_machine_arn: orchestrator.output("StateMachineArn")?.to_owned(),
            alarm: orchestrator.output("AlarmName")?.to_owned(),
            route53: world.clients("us-east-1").route53,
            clients,
            log_bucket,
            control_bucket,
            evidence_bucket,
            zone_id,
            primary,
            packages,
            environment,
        };
        stage.take_schedules_away(world, setting.strategy).await?;
        stage.succeed(&["plan", "upload", &stage.plan_file]).await?;
        stage.plan.name = name.to_owned();
        stage.read_plan().await?;
        let streams = setting.streams.iter().map(|stream| (*stream).to_owned()).collect();
        place.serve(stage.store(), streams);
        stage.put_primary_records().await?;
        if setting.strategy == Strategy::Switch {
            stage.succeed(&["dns", "prepare", "--plan", name, "--yes"]).await?;
        }
        stage.succeed(&["init", &stage.plan_file]).await?;
        Ok(stage)
    }

    /// The plan's key in the control bucket.
    pub fn plan_key(&self) -> String {
        format!("plan/{}.json", self.plan.name)
    }

    /// The log, as an exchange reads and writes it.
    pub fn store(&self) -> Store {
        Store::new(&self.clients.config, &self.log_bucket, &self.plan.ledger.prefix)
    }

    /// Runs the `lifeboat` command as a person would, who has the names of buckets and state machine in the environment.
    ///
    /// # Errors
    /// Where it cannot be started, or has not ended within two minutes. How it ended is in its output.
    pub async fn lifeboat(&self, args: &[&str]) -> Result<Output, WorldError> {
        self.lifeboat_with(&[], args).await
    }

    pub(super) async fn lifeboat_with(
        &self,
        own: &[(&'static str, String)],
        args: &[&str],
    ) -> Result<Output, WorldError> {
        let what = || format!("lifeboat {}", args.join(" "));
        let environment = [&self.environment[..], own].concat();
        output_of(&places::binary("lifeboat")?, args, &environment, what).await
    }

    /// Uploads the plan again, changed.
    ///
    /// # Errors
    /// Where `lifeboat plan upload` refuses it.
    pub async fn change_plan(&mut self, change: impl FnOnce(&mut Value)) -> Result<(), WorldError> {
        let what = || format!("change {}", self.plan_file);
        let text = std::fs::read_to_string(&self.plan_file).doing(what)?;
        let mut plan = serde_json::from_str(&text).doing(what)?;
        change(&mut plan);
        std::fs::write(&self.plan_file, plan.to_string()).doing(what)?;
        self.succeed(&["plan", "upload", &self.plan_file]).await?;
        self.read_plan().await
    }

    async fn read_plan(&mut self) -> Result<(), WorldError> {
        let key = self.plan_key();
        let bytes = self.bytes(&self.control_bucket, &key).await?;
        self.plan = Plan::from_json(&bytes)
            .map_err(|problems| WorldError::failed(format!("read {key}"), format!("{problems:?}")))?;
        Ok(())
    }

    /// As [`Self::lifeboat`], and it must succeed.
    ///
    /// # Errors
    /// Where it does not; its output is in the error.
    pub async fn succeed(&self, args: &[&str]) -> Result<(), WorldError> {
        succeeded(&format!("lifeboat {}", args.join(" ")), &self.lifeboat(args).await?)
    }

    async fn take_schedules_away(&self, world: &World, strategy: Strategy) -> Result<(), WorldError> {
        let mut kinds = vec!["probe", "checkpoints"];
        if strategy == Strategy::Switch {
            kinds.push("keeper");
        }
        for kind in kinds {
            let schedule = self.alarm.replace("primary-down", kind);
            let args = ["scheduler", "delete-schedule", "--name", &schedule];
            let what = || format!("delete the schedule {schedule}");
            let output = output_of(&world.venv().program("aws"), &args, &self.environment, what).await?;
            succeeded(&what(), &output)?;
        }
        Ok(())
    }
}

fn environment(
    world: &World,
    [control, evidence]: [&str; 2],
    orchestrator: &crate::world::deploy::Stack,
) -> Result<Vec<(&'static str, String)>, WorldError> {
    Ok(vec![
        ("AWS_ENDPOINT_URL", world.endpoint()),
        ("AWS_DEFAULT_REGION", world.recovery().to_owned()),
        ("AWS_REGION", world.recovery().to_owned()),
        ("AWS_ACCESS_KEY_ID", clients::ACCESS_KEY.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", clients::SECRET_KEY.to_owned()),
        ("LIFEBOAT_CONTROL_BUCKET", control.to_owned()),
        ("LIFEBOAT_EVIDENCE_BUCKET", evidence.to_owned()),
        ("LIFEBOAT_STATE_MACHINE", orchestrator.output("StateMachineArn")?.to_owned()),
    ])
}

async fn output_of(
    program: &Path,
    args: &[&str],
    environment: &[(&'static str, String)],
    what: impl Fn() -> String,
) -> Result<Output, WorldError> {
    let mut command = Command::new(program);
    command.args(args).env_clear().envs(environment.iter().cloned()).stdin(Stdio::null()).kill_on_drop(true);
    match tokio::time::timeout(COMMAND_WITHIN, command.output()).await {
        Ok(output) => output.doing(|| format!("start {}", what())),
        Err(_) => Err(WorldError::TooLate { what: what(), within: COMMAND_WITHIN }),
    }
}

fn succeeded(what: &str, output: &Output) -> Result<(), WorldError> {
    if output.status.success() {
        return Ok(());
    }
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Err(WorldError::failed(what, format!("{}: {out}{err}", output.status)))
}
