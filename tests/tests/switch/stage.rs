//! A world with a plan of two names, each a failover pair behind one gate.

use aws_sdk_route53::types::{
    Change, ChangeAction, ChangeBatch, ResourceRecord, ResourceRecordSet, ResourceRecordSetFailover, RrType,
    Vpc, VpcRegion,
};
use dns_flip::{Gate, Kept, Moved, Mover, Switched, Zone, keep, move_traffic};
use hickory_proto::rr::RecordType;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use lifeboat_rules::dns::switch::pair;
use lifeboat_rules::dns::{Failover, RecordSet};
use lifeboat_rules::plan::{Record, Side, Strategy};
use lifeboat_rules::{Plan, StepError};
use lifeboat_runtime::Store;
use lifeboat_tests::given;
use lifeboat_tests::world::deploy::{Bucket, create_bucket, create_gate};
use lifeboat_tests::world::proxy::Scope;
use lifeboat_tests::world::{Clients, World, WorldOptions};

pub const CONTROL: &str = "aex-control";
pub const PLAN_KEY: &str = "plan/aex.json";
/// The proxy's entrance for what is under test.
pub const UNDER_TEST: &str = "under test";
pub struct Stage {
    /// The local world.
    pub world: World,
    /// Through the proxy.
    pub store: Store,
    /// Straight to the emulator, for what no fault is to reach.
    pub direct: Clients,
    pub gate: Gate,
    pub zone: Zone,
    pub plan: Plan,
    resolver: TokioResolver,
}

impl Stage {
    /// A plan of two names, each a pair behind one gate, and traffic on the primary.
    pub async fn set() -> Stage {
        let mut world = World::start(WorldOptions::default()).await.expect("a world");
        let direct = world.clients(world.recovery());
        create_bucket(&direct, &Bucket::versioned(CONTROL)).await.expect("a bucket");
        let mut plan = given::plan();
        plan.dns.strategy = Strategy::Switch;
        let check = create_gate(&direct, &plan.name).await.expect("a gate");
        plan.dns.zone_id = zone(&world, &plan.dns.records, &check).await;
        plan.dns.health_check = Some(check);
        let through = Clients::new(&world.entrance(UNDER_TEST).await.expect("an entrance"), world.recovery());
        let resolver = resolver(&world);
        world.dns().settled().await;
        Stage {
            store: Store::new(&through.config),
            gate: Gate { cloudwatch: through.cloudwatch },
            zone: Zone::new(through.route53),
            world,
            direct,
            plan,
            resolver,
        }
    }

    pub fn mover(&self) -> Mover<'_> {
        Mover {
            store: &self.store,
            control_bucket: CONTROL,
            zone: &self.zone,
            gate: &self.gate,
            evidence: None,
        }
    }

    /// The act itself, without the courtesy of asking who holds the newest epoch.
    pub async fn flip(&self, side: Side, epoch: u64, run: &str) -> Result<Switched, StepError> {
        match move_traffic(self.mover(), &self.plan, side, epoch, run).await? {
            Moved::Switch(switched) => Ok(switched),
            moved => panic!("{moved:?}"),
        }
    }

    pub async fn keep(&self) -> Result<Kept, StepError> {
        keep(&self.store, CONTROL, &self.gate, &self.plan.name).await
    }

    /// Every flip object that there is.
    pub async fn flips(&self) -> Vec<String> {
        let list = self.direct.s3.list_objects_v2().bucket(CONTROL).prefix("flip/").send().await;
        list.expect("a listing").contents().iter().map(|object| object.key().expect("a key").into()).collect()
    }

    /// Where all names of the plan answer from, by what the alarm says now.
    pub async fn answers_from(&self) -> Vec<Side> {
        self.world.dns().health_settled().await;
        let mut sides = Vec::new();
        for record in &self.plan.dns.records {
            let asked = self.resolver.lookup(format!("{}.", record.name), RecordType::A).await;
            let asked = asked.expect("an answer");
            let values: Vec<String> = asked.answers().iter().map(|answer| answer.data.to_string()).collect();
            let side =
                [Side::Primary, Side::Recovery].into_iter().find(|side| record.values(*side) == values);
            sides.push(side.unwrap_or_else(|| panic!("{} answers {values:?}", record.name)));
        }
        sides.dedup();
        sides
    }

    pub async fn answers_all_from(&self, side: Side) {
        assert_eq!(self.answers_from().await, [side]);
    }

    pub fn points_put(&self) -> usize {
        self.world.proxy().calls_in(&Scope::origin(UNDER_TEST).operation("PutMetricData")).len()
    }
}

/// A zone with the pairs of `records`.
async fn zone(world: &World, records: &[Record], check: &str) -> String {
    let route53 = world.clients("us-east-1").route53;
    let vpc = Vpc::builder().vpc_id("vpc-1").vpc_region(VpcRegion::EuCentral1).build();
    let create = route53.create_hosted_zone().name("aex.internal").caller_reference("1").vpc(vpc);
    let id = create.send().await.expect("a zone").hosted_zone.expect("a zone").id;
    let creates = records.iter().flat_map(|record| pair(record, check)).map(|set| {
        let change = Change::builder().action(ChangeAction::Create).resource_record_set(written(&set));
        change.build().expect("all that it needs")
    });
    let batch = ChangeBatch::builder().set_changes(Some(creates.collect())).build().expect("changes");
    let change = route53.change_resource_record_sets().hosted_zone_id(&id).change_batch(batch);
    change.send().await.expect("the pairs");
    id.trim_start_matches("/hostedzone/").to_owned()
}

fn written(set: &RecordSet) -> ResourceRecordSet {
    let half = set.half.as_ref().expect("half of a pair");
    let values =
        set.values.iter().map(|value| ResourceRecord::builder().value(value).build().expect("a value"));
    ResourceRecordSet::builder()
        .name(&set.name)
        .r#type(RrType::from(set.kind.as_str()))
        .ttl(i64::from(set.ttl))
        .set_resource_records(Some(values.collect()))
        .set_identifier(&half.identifier)
        .failover(match half.failover {
            Failover::Primary => ResourceRecordSetFailover::Primary,
            Failover::Secondary => ResourceRecordSetFailover::Secondary,
        })
        .set_health_check_id(half.health_check.clone())
        .build()
        .expect("all that it needs")
}

fn resolver(world: &World) -> TokioResolver {
    let (at, mut connection) = (world.dns_address(), ConnectionConfig::udp());
    connection.port = at.port();
    let server = NameServerConfig::new(at.ip(), true, vec![connection]);
    let config = ResolverConfig::from_parts(None, vec![], vec![server]);
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    builder.options_mut().cache_size = 0;
    builder.build().expect("a resolver")
}
