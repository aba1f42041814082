//! The `records` strategy over 2,500 names that a rule makes of a list, against the emulator's Route 53: killed between
//! batches, gone on with, turned back. What it does not prove: the limits of a batch and the throttling of the account, which
//! the emulator does not have (`functions/rules/src/dns/records/tests.rs`, `cli/tests/records.rs`).

use std::collections::HashMap;
use std::time::{Duration, Instant};

use aws_sdk_route53::types::{Vpc, VpcRegion};
use dns_flip::{Gate, Moved, Mover, RecordsMoved, Zone, move_traffic};
use lifeboat_rules::dns::{Change, Fence, Found, RecordSet, wanted};
use lifeboat_rules::evidence::sha256;
use lifeboat_rules::plan::{Names, Record, RecordType, Side};
use lifeboat_rules::{ErrorName, Plan, StepError};
use lifeboat_runtime::{Put, Store, records};
use lifeboat_tests::world::deploy::{Bucket, create_bucket};
use lifeboat_tests::world::{World, WorldOptions, places};

const CONTROL: &str = "aex-control";
const NAMES: usize = 2_500;
/// 2,502 records of two values, 499 a batch.
const BATCHES: usize = 6;
const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Clone)]
struct Stage {
    store: Store,
    gate: Gate,
    plan: Plan,
    records: Vec<Record>,
    route53: aws_sdk_route53::Client,
}

impl Stage {
    async fn set(world: &World) -> Stage {
        let clients = world.clients(world.recovery());
        create_bucket(&clients, &Bucket::versioned(CONTROL)).await.expect("a bucket");
        let store = Store::new(&clients.config);
        let json =
            std::fs::read(places::repository().join("functions/rules/tests/plan.json")).expect("a plan");
        let mut plan = Plan::from_json(&json).expect("a good plan");
        plan.dns.names = vec![rule(&store).await];
        let vpc = Vpc::builder().vpc_id("vpc-1").vpc_region(VpcRegion::EuCentral1).build();
        let create = clients.route53.create_hosted_zone().name("aex.internal").caller_reference("1").vpc(vpc);
        let id = create.send().await.expect("a zone").hosted_zone.expect("a zone").id;
        plan.dns.zone_id = id.trim_start_matches("/hostedzone/").to_owned();
        let records = records(&store, CONTROL, &plan).await.expect("the list's records");
        assert_eq!(records.len(), NAMES + 2);
        let gate = Gate { cloudwatch: clients.cloudwatch };
        let stage = Stage { store, gate, plan, records, route53: clients.route53 };
        let creates: Vec<Change> =
            wanted(&stage.records, Side::Primary).into_iter().map(Change::Create).collect();
        for batch in creates.chunks(900) {
            let put = stage.zone().change(&stage.plan.dns.zone_id, "the primary's values", batch).await;
            put.expect("an answer").expect("taken");
        }
        stage
    }

    /// As a function that has just started has it.
    fn zone(&self) -> Zone {
        Zone::new(self.route53.clone())
    }

    /// The act itself, without the courtesy of asking who holds the newest epoch.
    async fn flip(&self, side: Side, epoch: u64) -> Result<RecordsMoved, StepError> {
        let (zone, run) = (self.zone(), format!("run-{epoch}"));
        let mover = Mover { store: &self.store, control_bucket: CONTROL, zone: &zone, gate: &self.gate };
        match move_traffic(mover, &self.plan, side, epoch, &run).await? {
            Moved::Records(moved) => Ok(moved),
            moved => panic!("{moved:?}"),
        }
    }

    async fn fence(&self) -> Option<Fence> {
        let found = self.zone().read(&self.plan, &[]).await.expect("a read");
        Fence::find(&self.plan, &found).expect("a fence")
    }

    /// Begins a flip and kills it between two of its batches, once `batches` of them are in place; says how many were.
    async fn killed_after(&self, batches: usize, side: Side, epoch: u64) -> usize {
        let stage = self.clone();
        let flip = tokio::spawn(async move { stage.flip(side, epoch).await });
        let until = Instant::now() + PATIENCE;
        let in_place =
            |fence: Option<Fence>| fence.filter(|fence| fence.epoch == epoch).map_or(0, |fence| fence.index);
        while in_place(self.fence().await) < batches {
            assert!(Instant::now() < until && !flip.is_finished(), "it never came to batch {batches}");
        }
        flip.abort();
        assert!(flip.await.is_err_and(|end| end.is_cancelled()), "it was killed under way");
        // A batch that was on its way may still have been taken: the zone says which was the last.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let index = in_place(self.fence().await);
        assert!((batches..BATCHES).contains(&index), "{index} of {BATCHES}");
        index
    }

    /// How many of the records are on `side`; every other one is on the other.
    async fn on(&self, side: Side) -> usize {
        let found = self.zone().read(&self.plan, &self.records).await.expect("a read");
        let found: HashMap<&str, &Found> = found.iter().map(|found| (found.name(), found)).collect();
        let count = |side: Side| {
            let there = |set: &RecordSet| found.get(set.name.as_str()) == Some(&&Found::Set(set.clone()));
            wanted(&self.records, side).iter().filter(|set| there(set)).count()
        };
        assert_eq!(count(Side::Primary) + count(Side::Recovery), NAMES + 2, "no name is without an answer");
        count(side)
    }
}

/// A rule over a list in the control bucket, as `lifeboat plan upload` leaves it.
async fn rule(store: &Store) -> Names {
    let list: String = (0..NAMES).map(|n| format!("S{n:04}\n")).collect();
    let key = format!("names/{}.txt", sha256(list.as_bytes()));
    assert_eq!(store.create(CONTROL, &key, list.as_bytes()).await.expect("stored"), Put::Created);
    Names {
        name: "{symbol}.md.aex.internal".to_owned(),
        list: key,
        kind: RecordType::A,
        ttl: 5,
        primary: vec!["10.0.0.20".to_owned()],
        recovery: vec!["10.1.0.20".to_owned()],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_batches_it_is_gone_on_with_or_turned_back() {
    let world = World::start(WorldOptions::default()).await.expect("a world");
    let stage = Stage::set(&world).await;

    // The same epoch goes on from where it was.
    let index = stage.killed_after(2, Side::Recovery, 2).await;
    assert!((2 * 499..NAMES).contains(&stage.on(Side::Recovery).await), "half-way");
    let moved = stage.flip(Side::Recovery, 2).await.expect("the rest");
    assert_eq!((moved.resumed, moved.batches, moved.of), (true, BATCHES - index, BATCHES));
    assert_eq!(moved.found.expect("what was found").index, index);
    assert_eq!(stage.on(Side::Recovery).await, NAMES + 2);
    let again = stage.flip(Side::Recovery, 2).await.expect("done already");
    assert_eq!((again.batches, again.resumed, again.changes.len()), (0, false, 0));

    // A newer one that was killed as well, and a still newer one that turns back what it did.
    stage.killed_after(1, Side::Primary, 3).await;
    let back = stage.on(Side::Primary).await;
    let moved = stage.flip(Side::Recovery, 4).await.expect("turned back");
    let found = moved.found.expect("what was found");
    assert_eq!((found.epoch, moved.resumed, moved.changed), (3, false, back));
    assert_eq!(stage.on(Side::Recovery).await, NAMES + 2);

    // Whoever is older has no effect, and what is told of thousands stays small.
    for epoch in [2, 3] {
        let err = stage.flip(Side::Primary, epoch).await.expect_err("an older epoch");
        assert_eq!(err.name, ErrorName::Fenced, "{err}");
    }
    let moved = stage.flip(Side::Primary, 5).await.expect("all of it");
    assert_eq!((moved.batches, moved.changed, moved.records), (BATCHES, NAMES + 2, NAMES + 2));
    let told = serde_json::to_vec(&moved).expect("JSON").len();
    assert!((50_000..100_000).contains(&told), "{told} bytes");
    assert_eq!(stage.on(Side::Primary).await, NAMES + 2);
}
