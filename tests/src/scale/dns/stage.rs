//! A world with a zone of so many names, all of them on the primary, and a run that holds the newest epoch.

use std::sync::Arc;

use aws_sdk_route53::types::{Vpc, VpcRegion};
use dns_flip::{Action, Answer, Asker, Gate, Mover, Zone, handle};
use lifeboat_rules::dns::switch::pair;
use lifeboat_rules::dns::{Change, RecordSet, wanted};
use lifeboat_rules::epoch::{Cause, Claim};
use lifeboat_rules::evidence::sha256;
use lifeboat_rules::plan::{Names, Record, RecordType, Side, Strategy};
use lifeboat_rules::{Plan, Request, Run, Step, StepError};
use lifeboat_runtime::{Context, Store, now, records};
use run_control::claim_epoch;

use crate::given;
use crate::world::deploy::{Bucket, create_bucket, create_gate};
use crate::world::error::{Doing as _, WorldError};
use crate::world::proxy::{self, Scope};
use crate::world::{Clients, World, WorldOptions};

const CONTROL: &str = "aex-control";
const EVIDENCE: &str = "aex-evidence";
/// The proxy's entrance for the function.
const FUNCTION: &str = "dns-flip";
/// Record sets that are created in one batch. The emulator compares each of them with all that the zone has, and has to be
/// done with a batch within the ten seconds that [`Zone::change`] waits.
const CREATES_A_BATCH: usize = 200;
const EPOCH: u64 = 2;

pub(super) struct Stage {
    world: World,
    context: Context,
    zone: Zone,
    gate: Gate,
    asker: Asker,
    run: Run,
}

impl Stage {
    /// Brings it up. The zone is filled by the function's own way of changing it, as fast as Route 53 would take it.
    pub(super) async fn set(
        strategy: Strategy,
        names: usize,
        report: &Arc<dyn Fn(&str) + Send + Sync>,
    ) -> Result<Stage, WorldError> {
        let options = WorldOptions { report: Arc::clone(report), ..WorldOptions::default() };
        let mut world = World::start(options).await?;
        let direct = world.clients(world.recovery());
        for bucket in [CONTROL, EVIDENCE] {
            create_bucket(&direct, &Bucket::versioned(bucket)).await?;
        }
        let mut plan = given::plan();
        let check = create_gate(&direct, &plan.name).await?;
        plan.dns.zone_id = zone(&direct).await?;
        plan.dns.strategy = strategy;
        plan.dns.health_check = (strategy == Strategy::Switch).then(|| check.clone());
        plan.dns.records = Vec::new();
        plan.dns.names = vec![rule(&direct, names).await?];
        let uploaded = given::put_plan(&direct, CONTROL, &plan).await?;

        let store = Store::new(&direct.config);
        let moved = records(&store, CONTROL, &plan).await.doing(|| "read the list of names".to_owned())?;
        fill(&direct, &plan, sets(strategy, &moved, &check)).await?;
        world.dns().settled().await;
        let run = given::run(format!("run-{EPOCH}"), uploaded, EPOCH - 1, Some(EPOCH));
        let claim = Claim { epoch: EPOCH, run: run.id.clone(), at: now(), cause: Cause::Operator };
        claim_epoch(&store, CONTROL, &plan.name, &claim).await.doing(|| format!("claim epoch {EPOCH}"))?;

        let through = Clients::new(&world.entrance(FUNCTION).await?, world.recovery());
        Ok(Stage {
            context: Context {
                store: Store::new(&through.config),
                control_bucket: CONTROL.to_owned(),
                evidence_bucket: EVIDENCE.to_owned(),
            },
            zone: Zone::new(through.route53),
            gate: Gate { cloudwatch: through.cloudwatch },
            asker: Asker::new(&world.dns_address().to_string()).doing(|| "make a resolver".to_owned())?,
            run,
            world,
        })
    }

    /// The function's handler, once.
    pub(super) async fn call(&self, action: Action, attempt: u32) -> Result<Answer, StepError> {
        let Context { store, control_bucket, .. } = &self.context;
        let mover = Mover { store, control_bucket, zone: &self.zone, gate: &self.gate, evidence: None };
        let step = Step {
            run: self.run.id.clone(),
            plan_key: self.run.plan.key.clone(),
            name: format!("{action:?}"),
            entered: self.run.admitted_at.to_string(),
            attempt,
        };
        let request = Request { step, run: Some(self.run.clone()), action };
        handle(&self.context, mover, &self.asker, now, request).await
    }

    /// Returns once DNS answers by what Route 53 and CloudWatch have taken so far.
    pub(super) async fn served(&self) {
        self.world.dns().settled().await;
    }

    /// Every call of the function so far.
    pub(super) fn calls(&self) -> Vec<proxy::Record> {
        self.world.proxy().calls_in(&Scope::origin(FUNCTION))
    }
}

/// What the zone holds while the primary serves.
fn sets(strategy: Strategy, records: &[Record], check: &str) -> Vec<RecordSet> {
    match strategy {
        Strategy::Switch => records.iter().flat_map(|record| pair(record, check)).collect(),
        Strategy::Records => wanted(records, Side::Primary),
    }
}

async fn fill(clients: &Clients, plan: &Plan, sets: Vec<RecordSet>) -> Result<(), WorldError> {
    let what = || "fill the zone".to_owned();
    let zone = Zone::new(clients.route53.clone());
    let creates: Vec<Change> = sets.into_iter().map(Change::Create).collect();
    for batch in creates.chunks(CREATES_A_BATCH) {
        let taken = zone.change(&plan.dns.zone_id, "the primary's values", batch).await.doing(what)?;
        taken.map_err(|rejected| WorldError::failed(what(), rejected.0))?;
    }
    Ok(())
}

/// A rule over a list in the control bucket, as `lifeboat plan upload` leaves it.
async fn rule(clients: &Clients, names: usize) -> Result<Names, WorldError> {
    let list: String = (0..names).map(|number| format!("s{number:05}\n")).collect();
    let key = format!("names/{}.txt", sha256(list.as_bytes()));
    let put = clients.s3.put_object().bucket(CONTROL).key(&key).body(list.into_bytes().into());
    put.send().await.doing(|| format!("put {key}"))?;
    Ok(Names {
        name: "{symbol}.md.aex.internal".to_owned(),
        list: key,
        kind: RecordType::A,
        ttl: 5,
        primary: vec!["10.0.0.20".to_owned()],
        recovery: vec!["10.1.0.20".to_owned()],
    })
}

async fn zone(clients: &Clients) -> Result<String, WorldError> {
    let vpc = Vpc::builder().vpc_id("vpc-1").vpc_region(VpcRegion::from(clients.region.as_str())).build();
    let create = clients.route53.create_hosted_zone().name("aex.internal").caller_reference("1").vpc(vpc);
    let created = create.send().await.doing(|| "create the zone".to_owned())?;
    let id = created.hosted_zone.map(|zone| zone.id).unwrap_or_default();
    Ok(id.trim_start_matches("/hostedzone/").to_owned())
}
