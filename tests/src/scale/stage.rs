//! One ledger with its plan, its Lambda and a state machine that is the branch of the definition which verifies it.

use std::time::{Duration, Instant};

use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{Environment, FunctionCode, Runtime};
use aws_sdk_sfn::types::ExecutionStatus;
use futures::{TryStreamExt, stream};
use ledger_verify::shards::Set;
use lifeboat::ledger::generate::{Object, Spec};
use lifeboat_ledger::slot;
use lifeboat_rules::evidence::chain::is_record;
use lifeboat_rules::evidence::{Record, prefix};
use lifeboat_rules::{Plan, PlanRef};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Options, Reads};
use crate::definition::Definition;
use crate::given;
use crate::world::deploy::{Bucket, Packing, create_bucket, package};
use crate::world::error::{Doing as _, WorldError};
use crate::world::proxy::Scope;
use crate::world::{Clients, ORIGIN_LAMBDA, World, places};

const STREAMS: [&str; 2] = ["ME1", "ME2"];
/// Objects that are put at once.
const PUTS_IN_FLIGHT: usize = 16;
/// One verification.
const VERIFIED_WITHIN: Duration = Duration::from_secs(1_800);
const POLL_EVERY: Duration = Duration::from_millis(50);
/// What the function has in `infra/orchestrator.yaml`.
const FUNCTION_MEGABYTES: i32 = 1_769;
const FUNCTION_SECONDS: i32 = 300;

/// What to set up.
pub(super) struct Setting {
    /// The plan's name, and with it those of the buckets, the function and the state machine.
    pub(super) plan: &'static str,
    pub(super) entries: u64,
    pub(super) objects: u64,
    pub(super) shard_entries: u32,
}

/// A ledger that can be verified.
pub(super) struct Ledger {
    name: &'static str,
    uploaded: PlanRef,
    state_machine_arn: String,
    held_back: Vec<Object>,
    entries: u64,
    bytes: u64,
}

/// One verification.
#[derive(Debug, Serialize)]
pub struct Verified {
    /// The branch's verdict.
    pub verdict: String,
    /// Its reason.
    pub reason: String,
    /// Entries of the proven streams.
    pub entries: u64,
    /// Seconds from the start of the execution to its end.
    pub seconds: f64,
    /// How often each segment was read.
    #[serde(skip)]
    pub reads: Reads,
    /// The records that the steps left.
    #[serde(skip)]
    pub records: Vec<Record>,
}

impl Ledger {
    /// Makes the ledger, but for its last `held_back` entries, and what verifies it.
    pub(super) async fn set(world: &World, setting: &Setting, held_back: u64) -> Result<Ledger, WorldError> {
        let name = setting.plan;
        let clients = world.clients(world.recovery());
        let [control, evidence, log] = ["control", "evidence", "log"].map(|kind| format!("{name}-{kind}"));
        for bucket in [Bucket::versioned(&control), Bucket::plain(&evidence), Bucket::versioned(&log)] {
            create_bucket(&clients, &bucket).await?;
        }
        let plan = plan(setting, &log)?;
        let uploaded = given::put_plan(&clients, &control, &plan).await?;
        let function_arn = create_function(world, &clients, name).await?;
        let state_machine_arn = create_state_machine(&clients, name, &function_arn, &uploaded.key).await?;
        let mut ledger = Ledger {
            name,
            uploaded,
            state_machine_arn,
            held_back: Vec::new(),
            entries: setting.entries,
            bytes: 0,
        };
        ledger.write(&clients, setting, held_back).await?;
        Ok(ledger)
    }

    async fn write(
        &mut self,
        clients: &Clients,
        setting: &Setting,
        held_back: u64,
    ) -> Result<(), WorldError> {
        let spec = Spec {
            entries: setting.entries,
            objects: setting.objects,
            streams: STREAMS.map(str::to_owned).to_vec(),
            ..Spec::default()
        };
        let objects = spec.ledger().doing(|| "make a ledger".to_owned())?;
        let first_held_back = (setting.entries - held_back) / STREAMS.len() as u64;
        let (mut now, mut later, mut bytes) = (Vec::new(), Vec::new(), 0);
        let bucket = self.bucket();
        for object in objects {
            bytes += object.bytes.len() as u64;
            match slot::parse("", &object.key) {
                Some((_, first)) if held_back > 0 && first > first_held_back => later.push(object),
                _ => now.push(object),
            }
            // A batch at a time: the emulator has the whole ledger in memory, and once is enough.
            if now.len() == PUTS_IN_FLIGHT * 4 {
                put(clients, &bucket, std::mem::take(&mut now)).await?;
            }
        }
        put(clients, &bucket, now).await?;
        (self.bytes, self.held_back) = (bytes, later);
        Ok(())
    }

    /// Writes the entries that were held back.
    pub(super) async fn put_tail(&mut self, world: &World) -> Result<(), WorldError> {
        let clients = world.clients(world.recovery());
        put(&clients, &self.bucket(), std::mem::take(&mut self.held_back)).await
    }

    /// The log's bucket.
    pub(super) fn bucket(&self) -> String {
        format!("{}-log", self.name)
    }

    /// Bytes of the ledger, those that were held back among them.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The bucket of the evidence.
    fn evidence(&self) -> String {
        format!("{}-evidence", self.name)
    }

    /// A segment in the middle of the ledger: its stream and slot.
    pub(super) async fn middle(&self, world: &World) -> Result<(String, u64), WorldError> {
        let stream = STREAMS[0];
        let around = slot::key("log/", stream, self.entries / STREAMS.len() as u64 / 2);
        let s3 = world.clients(world.recovery()).s3;
        let listed =
            s3.list_objects_v2().bucket(self.bucket()).prefix("log/").start_after(around).max_keys(1);
        let what = || "find a segment in the middle".to_owned();
        let listed = listed.send().await.doing(what)?;
        let slot = listed.contents().iter().find_map(|object| slot::parse("log/", object.key()?));
        let (stream, slot) = slot.ok_or_else(|| WorldError::failed(what(), "the ledger ends before it"))?;
        Ok((stream.to_owned(), slot))
    }

    /// Verifies the ledger by an execution of this name.
    pub(super) async fn verify(&self, world: &World, name: &str) -> Result<Verified, WorldError> {
        let clients = world.clients(world.recovery());
        let scope =
            Scope::origin(ORIGIN_LAMBDA).method("GET").path_prefix(&format!("/{}/log/", self.bucket()));
        let before = world.proxy().calls_in(&scope).len();
        let began = Instant::now();
        let output = self.execute(&clients, name).await?;
        let seconds = began.elapsed().as_secs_f64();
        let mut reads = Reads::new();
        for call in world.proxy().calls_in(&scope).split_off(before) {
            let path = call.call.path.split('?').next().unwrap_or_default();
            let key = path.rsplit_once("/log/").map_or("", |(_, key)| key).to_owned();
            *reads.entry(key).or_default() += 1;
        }
        let text = |field: &str| output[field].as_str().unwrap_or_default().to_owned();
        Ok(Verified {
            verdict: text("verdict"),
            reason: text("reason"),
            entries: output["entries"].as_u64().unwrap_or_default(),
            seconds,
            reads,
            records: self.records(&clients, name).await?,
        })
    }

    async fn execute(&self, clients: &Clients, name: &str) -> Result<Value, WorldError> {
        let what = || format!("run {name}");
        let run = given::run(name, self.uploaded.clone(), 1, Some(2));
        let start = clients.sfn.start_execution().state_machine_arn(&self.state_machine_arn).name(name);
        let started = start.input(json!({ "run": run }).to_string()).send().await.doing(what)?;
        let deadline = Instant::now() + VERIFIED_WITHIN;
        loop {
            let described = clients.sfn.describe_execution().execution_arn(&started.execution_arn);
            let described = described.send().await.doing(what)?;
            match described.status() {
                ExecutionStatus::Running => {}
                ExecutionStatus::Succeeded => {
                    return serde_json::from_str(described.output().unwrap_or_default()).doing(what);
                }
                other => {
                    let why = format!("{other:?}: {:?} {:?}", described.error(), described.cause());
                    return Err(WorldError::failed(what(), why));
                }
            }
            if Instant::now() > deadline {
                return Err(WorldError::TooLate { what: what(), within: VERIFIED_WITHIN });
            }
            tokio::time::sleep(POLL_EVERY).await;
        }
    }

    /// Calls the function as the schedule does; whether nothing was left to read.
    pub(super) async fn extend(&self, world: &World, seconds: &mut f64) -> Result<bool, WorldError> {
        let what = || "extend the checkpoints".to_owned();
        let began = Instant::now();
        let payload = json!({ "action": "extend_checkpoints" }).to_string();
        let lambda = world.clients(world.recovery()).lambda;
        let invoked = lambda.invoke().function_name(self.name).payload(Blob::new(payload));
        let invoked = invoked.send().await.doing(what)?;
        let answer = invoked.payload().map(|payload| String::from_utf8_lossy(payload.as_ref()).into_owned());
        let answer = answer.unwrap_or_default();
        if invoked.function_error().is_some() {
            return Err(WorldError::failed(what(), answer));
        }
        *seconds += began.elapsed().as_secs_f64();
        let answer: Value = serde_json::from_str(&answer).doing(what)?;
        let streams = answer["streams"].as_array().map_or(&[][..], Vec::as_slice);
        Ok(!streams.is_empty() && streams.iter().all(|stream| stream["objects"] == 0))
    }

    /// The set of shards that the run of this name was cut into.
    pub(super) async fn set_of(&self, world: &World, run: &str) -> Result<Option<Set>, WorldError> {
        let clients = world.clients(world.recovery());
        let folder = format!("{}shards/", prefix(self.name, run));
        let objects = self.objects(&clients, &folder).await?;
        let set = objects.into_iter().find(|(key, _)| key.ends_with("/set.json"));
        set.map(|(key, bytes)| serde_json::from_slice(&bytes).doing(|| format!("read {key}"))).transpose()
    }

    async fn records(&self, clients: &Clients, run: &str) -> Result<Vec<Record>, WorldError> {
        let of_run = prefix(self.name, run);
        let records = self.objects(clients, &of_run).await?.into_iter();
        let records = records.filter(|(key, _)| is_record(&key[of_run.len()..]));
        records.map(|(key, bytes)| serde_json::from_slice(&bytes).doing(|| format!("read {key}"))).collect()
    }

    async fn objects(&self, clients: &Clients, below: &str) -> Result<Vec<(String, Vec<u8>)>, WorldError> {
        let (s3, bucket, what) = (&clients.s3, self.evidence(), || format!("read the evidence {below}"));
        let mut found = Vec::new();
        let mut pages = s3.list_objects_v2().bucket(&bucket).prefix(below).into_paginator().send();
        while let Some(page) = pages.next().await {
            for key in page.doing(what)?.contents().iter().filter_map(|object| object.key()) {
                let object = s3.get_object().bucket(&bucket).key(key).send().await.doing(what)?;
                let bytes = object.body.collect().await.doing(what)?.to_vec();
                found.push((key.to_owned(), bytes));
            }
        }
        Ok(found)
    }
}

impl From<&Options> for Setting {
    fn from(options: &Options) -> Setting {
        Setting { plan: "", entries: 0, objects: 0, shard_entries: options.shard_entries }
    }
}

fn plan(setting: &Setting, log: &str) -> Result<Plan, WorldError> {
    let mut plan = given::plan();
    plan.name = setting.plan.to_owned();
    plan.ledger.bucket = log.to_owned();
    plan.ledger.streams = STREAMS.map(str::to_owned).to_vec();
    plan.limits.shard_entries = setting.shard_entries;
    Ok(plan)
}

async fn put(clients: &Clients, bucket: &str, objects: Vec<Object>) -> Result<(), WorldError> {
    stream::iter(objects.into_iter().map(Ok))
        .try_for_each_concurrent(PUTS_IN_FLIGHT, async |Object { key, bytes }| {
            let key = format!("log/{key}");
            let put = clients.s3.put_object().bucket(bucket).key(&key).if_none_match("*").body(bytes.into());
            put.send().await.map(drop).doing(|| format!("put {key}"))
        })
        .await
}

/// The function with the environment that `infra/orchestrator.yaml` gives it.
async fn create_function(world: &World, clients: &Clients, name: &str) -> Result<String, WorldError> {
    let what = || format!("create the function {name}");
    let zip = package(&places::binary("ledger-verify")?, &world.run().scratch(), Packing::Stored)?;
    let zip = tokio::fs::read(&zip.path).await.doing(what)?;
    let environment = Environment::builder()
        .variables("CONTROL_BUCKET", format!("{name}-control"))
        .variables("EVIDENCE_BUCKET", format!("{name}-evidence"))
        .variables("PLAN_KEY", format!("plan/{name}.json"))
        .variables("METRIC_NAMESPACE", "Lifeboat");
    let created = clients
        .lambda
        .create_function()
        .function_name(name)
        .runtime(Runtime::Providedal2023)
        .handler("bootstrap")
        .role("arn:aws:iam::000000000000:role/none")
        .memory_size(FUNCTION_MEGABYTES)
        .timeout(FUNCTION_SECONDS)
        .environment(environment.build())
        .code(FunctionCode::builder().zip_file(Blob::new(zip)).build())
        .send()
        .await
        .doing(what)?;
    created.function_arn().map(str::to_owned).ok_or_else(|| WorldError::failed(what(), "it has no ARN"))
}

/// The branch that holds *Verify the history*, as the definition has it, behind a state that sets the one variable which
/// it reads.
async fn create_state_machine(
    clients: &Clients,
    name: &str,
    function_arn: &str,
    plan_key: &str,
) -> Result<String, WorldError> {
    let what = || format!("create the state machine {name}");
    let definition = Definition::read().doing(what)?;
    let branches = definition.value["States"]["Prepare the recovery side"]["Branches"].as_array();
    let branch =
        branches.into_iter().flatten().find(|branch| !branch["States"]["Verify the history"].is_null());
    let mut branch = branch.cloned().ok_or_else(|| WorldError::failed(what(), "no branch verifies"))?;
    branch["States"]["Begin"] =
        json!({ "Type": "Pass", "Assign": { "run": "{% $states.input.run %}" }, "Next": branch["StartAt"] });
    branch["StartAt"] = json!("Begin");
    branch["QueryLanguage"] = definition.value["QueryLanguage"].clone();
    let text = branch.to_string().replace("${LedgerVerifyArn}", function_arn).replace("${PlanKey}", plan_key);
    let created = clients.sfn.create_state_machine().name(name).definition(text);
    let created = created.role_arn("arn:aws:iam::000000000000:role/none").send().await.doing(what)?;
    Ok(created.state_machine_arn)
}
