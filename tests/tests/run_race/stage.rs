//! What must exist beforehand, by the project's own templates and its own command, and as little as will do.

use std::path::Path;
use std::process::Output;

use aex::commit::{Outcome, commit};
use aex::store::Store;
use aws_sdk_cloudwatch::types::StateValue;
use aws_sdk_route53::types::{Change, ChangeAction, ChangeBatch, ResourceRecord, ResourceRecordSet, RrType};
use lifeboat_ledger::control::Open;
use lifeboat_ledger::writer::Writer;
use lifeboat_ledger::{Control, Holder, PenState};
use lifeboat_rules::dns::records::last_fence;
use lifeboat_rules::dns::{RecordSet, fence_record, wanted};
use lifeboat_rules::evidence::sha256;
use lifeboat_rules::plan::Side;
use lifeboat_rules::{Plan, epoch};
use lifeboat_tests::FUNCTIONS;
use lifeboat_tests::world::deploy::{Packing, StackSpec, create_foundation, create_stack, package, upload};
use lifeboat_tests::world::{Clients, World, clients, places};
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::process::Command;
use tokio::sync::watch;

use crate::exchange::Place;
use crate::replica::Replica;

const PLAN: &str = "race";
const STREAM: &str = "ME1";
const ZONE: &str = "race.internal";
/// What the primary stores before each round.
const ENTRIES_A_ROUND: u64 = 3;

/// What is set up.
pub struct Stage {
    pub clients: Clients,
    pub plan: Plan,
    pub log_bucket: String,
    pub control_bucket: String,
    pub evidence_bucket: String,
    pub state_machine_arn: String,
    /// The log as this test reads it.
    pub replica: Replica,
    /// How many entries of the primary's are stored, in all rounds together.
    pub acknowledged: u64,
    alarm: String,
    zone_id: String,
    route53: aws_sdk_route53::Client,
    store: Store,
    environment: Vec<(&'static str, String)>,
    controls_seen: usize,
}

impl Stage {
    /// Deploys everything and opens the stream for the primary.
    pub async fn set(world: &World) -> Stage {
        let clients = world.clients(world.recovery());
        let environment = vec![
            ("AWS_ENDPOINT_URL", world.endpoint()),
            ("AWS_DEFAULT_REGION", world.recovery().to_owned()),
            ("AWS_REGION", world.recovery().to_owned()),
            ("AWS_ACCESS_KEY_ID", clients::ACCESS_KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", clients::SECRET_KEY.to_owned()),
        ];
        let infra = places::repository().join("infra");
        let foundation = StackSpec::new("race-foundation", &infra.join("foundation.yaml"))
            .parameter("PlanName", PLAN)
            .parameter("DnsStrategy", "records")
            .parameter("ZoneName", ZONE)
            .parameter("RecoveryVpcId", "vpc-00000000");
        let foundation = create_foundation(&clients, foundation, 1).await.unwrap();
        let output = |key: &str| foundation.output(key).unwrap().to_owned();
        let (log_bucket, control_bucket) = (output("LogBucketName"), output("ControlBucketName"));
        let (evidence_bucket, zone_id) = (output("EvidenceBucketName"), output("HostedZoneId"));

        let (prefix, definition) = upload_packages(world, &clients, &control_bucket).await;
        let orchestrator = StackSpec::new("race-orchestrator", &infra.join("orchestrator.yaml"))
            .staged_in(&control_bucket)
            .parameter("PlanName", PLAN)
            .parameter("DnsStrategy", "records")
            .parameter("LogBucket", &log_bucket)
            .parameter("ControlBucket", &control_bucket)
            .parameter("EvidenceBucket", &evidence_bucket)
            .parameter("SigningKeyArn", output("SigningKeyArn"))
            .parameter("HostedZoneId", zone_id.trim_start_matches("/hostedzone/"))
            .parameter("StackRoleArn", "arn:aws:iam::000000000000:role/race-stacks")
            .parameter("ArtifactBucket", &control_bucket)
            .parameter("ArtifactPrefix", prefix)
            .parameter("DefinitionKey", definition)
            .parameter("Architecture", "x86_64")
            .parameter("DnsServer", world.dns_address().to_string());
        let orchestrator = create_stack(&clients, &orchestrator).await.unwrap();
        // The alarm fires when this test says so, and not because nothing ever listens at the plan's primary; and nobody reads
        // the log besides the runs.
        for kind in ["probe", "checkpoints"] {
            let schedule = format!("lifeboat-{PLAN}-{kind}");
            let delete = ["scheduler", "delete-schedule", "--name", &schedule];
            run(&world.venv().program("aws"), &delete, &environment).await;
        }

        let place = Place::take().await;
        let file = world.run().file("plan.yaml");
        let health = format!("http://{}/health", place.address());
        std::fs::write(&file, plan(&log_bucket, zone_id.trim_start_matches("/hostedzone/"), &health))
            .unwrap();
        let (lifeboat, file) = (places::binary("lifeboat").unwrap(), file.display().to_string());
        for command in [["plan", "upload"].as_slice(), &["init"]] {
            let with_file = [file.as_str(), "--control-bucket", &control_bucket];
            run(&lifeboat, &[command, &with_file].concat(), &environment).await;
        }
        let store = Store::new(&clients.config, &log_bucket, "log/");
        place.serve(store.clone(), STREAM);

        let plan_bytes = bytes(&clients, &control_bucket, &format!("plan/{PLAN}.json")).await;
        let mut stage = Stage {
            plan: Plan::from_json(&plan_bytes).unwrap(),
            alarm: orchestrator.output("AlarmName").unwrap().to_owned(),
            state_machine_arn: orchestrator.output("StateMachineArn").unwrap().to_owned(),
            route53: world.clients("us-east-1").route53,
            replica: Replica::new(store.clone(), STREAM),
            acknowledged: 0,
            controls_seen: 0,
            clients,
            log_bucket,
            control_bucket,
            evidence_bucket,
            zone_id,
            store,
            environment,
        };
        stage.put_primary_records().await;
        assert_eq!(stage.new_controls().await.len(), 1, "the stream begins with its open for the primary");
        stage
    }

    /// The plan's key in the control bucket.
    pub fn plan_key(&self) -> String {
        format!("plan/{PLAN}.json")
    }

    /// Stores a few entries as the primary, which has the pen and then falls silent.
    pub async fn trade(&mut self) {
        self.replica.read_on().await;
        let mut writer = Writer::new("log/", self.replica.tail().clone(), Holder::Primary, None);
        let epoch = writer.has_pen().expect("the primary has the pen");
        let first = self.acknowledged;
        let entries: Vec<_> = (first..first + ENTRIES_A_ROUND).map(|id| json!({ "id": id })).collect();
        let segment = writer.segment(&entries).unwrap();
        let (_fences, fence) = watch::channel(0);
        assert_eq!(commit(&self.store, &writer, &segment, epoch, &fence).await, Outcome::Stored);
        writer.stored(&segment);
        self.acknowledged += ENTRIES_A_ROUND;
    }

    /// Puts the alarm into `ALARM`, from `OK`: its action is what the template says.
    pub async fn fire_alarm(&self) {
        for state in [StateValue::Ok, StateValue::Alarm] {
            let set = self.clients.cloudwatch.set_alarm_state().alarm_name(&self.alarm);
            set.state_value(state).state_reason("the race").send().await.unwrap();
        }
    }

    /// The newest epoch that is claimed.
    pub async fn newest_epoch(&self) -> u64 {
        let keys = self.keys(&self.control_bucket, &epoch::prefix(PLAN)).await;
        keys.iter()
            .filter_map(|key| epoch::parse_key(PLAN, key))
            .max()
            .expect("`lifeboat init` has claimed one")
    }

    /// The control entries that have come since this was last asked.
    pub async fn new_controls(&mut self) -> Vec<Control> {
        self.replica.read_on().await;
        let new = self.replica.controls()[self.controls_seen..].to_vec();
        self.controls_seen += new.len();
        new
    }

    /// Every stack of the plan's that is there: its name, its status, and the run that it says it is of.
    pub async fn stacks(&self) -> Vec<(String, String, String)> {
        let mut found = Vec::new();
        let mut pages = self.clients.cloudformation.describe_stacks().into_paginator().send();
        while let Some(page) = pages.next().await {
            for stack in page.unwrap().stacks() {
                let name = stack.stack_name().unwrap_or_default();
                let status = stack.stack_status().map_or("none", |status| status.as_str());
                if !name.starts_with(&format!("{PLAN}-cell-")) || status == "DELETE_COMPLETE" {
                    continue;
                }
                let of = stack.tags().iter().find(|tag| tag.key() == Some("lifeboat-run"));
                let run = of.and_then(|tag| tag.value()).unwrap_or("nobody").to_owned();
                found.push((name.to_owned(), status.to_owned(), run));
            }
        }
        found
    }

    /// The zone's record sets but its own NS and SOA, a line each, sorted.
    pub async fn zone(&self) -> Vec<String> {
        let listed =
            self.route53.list_resource_record_sets().hosted_zone_id(&self.zone_id).send().await.unwrap();
        let of_plan = |set: &&ResourceRecordSet| !matches!(set.r#type(), RrType::Ns | RrType::Soa);
        let sets = listed.resource_record_sets().iter().filter(of_plan);
        lines(sets.map(|set| {
            let values = set.resource_records().iter().map(|record| record.value().to_owned());
            RecordSet::new(set.name(), set.r#type().as_str(), set.ttl().unwrap_or(0) as u32, values)
        }))
    }

    /// Sets the round back: a person gives the pen back to the primary, takes the stack away, and, where the alarm's run has
    /// won, says that the next alarm may act.
    pub async fn set_back(&mut self, epoch: u64, alarm_won: bool) {
        let (control, evidence) = (self.control_bucket.clone(), self.evidence_bucket.clone());
        let buckets = ["--control-bucket", &control, "--evidence-bucket", &evidence];
        let word = ["--plan", PLAN, "--by", "the race", "--reason", "the next round"];
        let lifeboat = places::binary("lifeboat").unwrap();
        let hand_back = ["handback", "--take-from-recovery", "--yes"];
        run(&lifeboat, &[&hand_back[..], &word, &buckets].concat(), &self.environment).await;

        assert_eq!(self.newest_epoch().await, epoch + 1);
        let controls = self.new_controls().await;
        let [Control::Open(Open { epoch: opened, holder: Holder::Primary, run: by })] = &controls[..] else {
            panic!("the hand-back opens the stream for the primary, and nothing else: {controls:?}");
        };
        assert!(*opened == epoch + 1 && by.starts_with("handback-"), "{controls:?}");
        let open = PenState::Open { epoch: epoch + 1, holder: Holder::Primary };
        assert_eq!(*self.replica.tail().pen().state(), open);
        let mut records = wanted(&self.plan.dns.records, Side::Primary);
        let fence = last_fence(&self.plan.dns.records, Side::Primary, epoch + 1);
        records.push(fence_record(&self.plan, &fence));
        assert_eq!(self.zone().await, lines(&records));

        if alarm_won {
            run(&lifeboat, &[&["acknowledge"][..], &word, &buckets].concat(), &self.environment).await;
        }
        let stack = self.plan.stack_name("cell", epoch);
        self.clients.cloudformation.delete_stack().stack_name(stack).send().await.unwrap();
    }

    /// Reads a JSON object.
    pub async fn json<T: DeserializeOwned>(&self, bucket: &str, key: &str) -> T {
        let bytes = bytes(&self.clients, bucket, key).await;
        serde_json::from_slice(&bytes).unwrap_or_else(|why| panic!("s3://{bucket}/{key}: {why}"))
    }

    /// Every key below `prefix`.
    pub async fn keys(&self, bucket: &str, prefix: &str) -> Vec<String> {
        let mut keys = Vec::new();
        let list = self.clients.s3.list_objects_v2().bucket(bucket).prefix(prefix);
        let mut pages = list.into_paginator().send();
        while let Some(page) = pages.next().await {
            keys.extend(page.unwrap().contents().iter().filter_map(|object| object.key().map(str::to_owned)));
        }
        keys
    }

    /// The exchange's owner sets up its records; Lifeboat only ever moves them.
    async fn put_primary_records(&self) {
        let mut batch = ChangeBatch::builder();
        for record in &self.plan.dns.records {
            let values =
                record.primary.iter().map(|value| ResourceRecord::builder().value(value).build().unwrap());
            let set = ResourceRecordSet::builder()
                .name(&record.name)
                .r#type(RrType::from(record.kind.to_string().as_str()))
                .ttl(i64::from(record.ttl))
                .set_resource_records(Some(values.collect()));
            let change =
                Change::builder().action(ChangeAction::Create).resource_record_set(set.build().unwrap());
            batch = batch.changes(change.build().unwrap());
        }
        let change = self.route53.change_resource_record_sets().hosted_zone_id(&self.zone_id);
        change.change_batch(batch.build().unwrap()).send().await.unwrap();
    }
}

/// Record sets, a line each, sorted.
pub fn lines(sets: impl IntoIterator<Item = impl std::borrow::Borrow<RecordSet>>) -> Vec<String> {
    let mut lines: Vec<_> = sets.into_iter().map(|set| format!("{:?}", set.borrow())).collect();
    lines.sort();
    lines
}

fn plan(log_bucket: &str, zone_id: &str, health: &str) -> String {
    let template = places::repository().join("tests/tests/run_race/cell.yaml");
    // Port 1 of loopback: refused at once, and nobody listens there.
    format!(
        "version: 1
name: {PLAN}
regions: {{ primary: eu-west-1, recovery: eu-central-1 }}
objectives: {{ rto_seconds: 7200 }}
probe:
  primary: [\"http://127.0.0.1:1/health\"]
  recovery: {health}
  timeout_seconds: 1
  attempts: 1
  interval_seconds: 1
  log_still_seconds: 2
stacks:
  - {{ name: cell, template: {}, depends_on: [], parameters: {{}} }}
ledger: {{ bucket: {log_bucket}, prefix: log/, streams: [{STREAM}] }}
dns:
  strategy: records
  zone_id: {zone_id}
  zone: {ZONE}
  records:
    - {{ name: gateway.{ZONE}, type: A, ttl: 0, primary: [127.0.1.1], recovery: [127.0.2.1] }}
",
        template.display()
    )
}

async fn upload_packages(world: &World, clients: &Clients, bucket: &str) -> (String, String) {
    let definition = places::repository().join("statemachine/failover.asl.json");
    let mut digests = sha256(&std::fs::read(&definition).unwrap());
    let mut packages = Vec::new();
    for function in FUNCTIONS {
        let binary = places::binary(function).unwrap();
        let package = package(&binary, &world.run().scratch(), Packing::Stored).unwrap();
        digests.push_str(&package.sha256);
        packages.push((function, package));
    }
    let prefix = format!("packages/{}/", sha256(digests.as_bytes()));
    for (function, package) in packages {
        upload(clients, bucket, &format!("{prefix}{function}.zip"), &package.path).await.unwrap();
    }
    let key = format!("{prefix}failover.asl.json");
    upload(clients, bucket, &key, &definition).await.unwrap();
    (prefix, key)
}

async fn bytes(clients: &Clients, bucket: &str, key: &str) -> Vec<u8> {
    let object = clients.s3.get_object().bucket(bucket).key(key).send().await;
    let object = object.unwrap_or_else(|why| panic!("s3://{bucket}/{key}: {why:?}"));
    object.body.collect().await.unwrap().to_vec()
}

/// Runs a command as a person would, and expects that it succeeds.
async fn run(program: &Path, args: &[&str], environment: &[(&'static str, String)]) {
    let mut command = Command::new(program);
    command.args(args).env_clear().envs(environment.iter().cloned()).stdin(std::process::Stdio::null());
    let Output { status, stdout, stderr } = command.kill_on_drop(true).output().await.unwrap();
    let said = [String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr)].concat();
    assert!(status.success(), "{} {}: {status}: {said}", program.display(), args.join(" "));
}
