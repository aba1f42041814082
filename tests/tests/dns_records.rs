//! The `records` strategy over 2,500 names that a rule makes of a list, against the emulator's Route 53: killed between
//! batches, gone on with, turned back; what it leaves as evidence; and a batch that comes too
//! late. What it does not prove: the limits of a batch and the throttling of the account, which
//! the emulator does not have (`functions/rules/src/dns/records/tests.rs`, `cli/tests/records.rs`).

use std::collections::HashMap;
use std::time::{Duration, Instant};

use aws_sdk_route53::types::{Vpc, VpcRegion};
use dns_flip::{
    Answered, Evidence, Gate, Moved, Mover, RecordsMoved, Rejected, Sending, Sent, Zone, move_traffic,
};
use lifeboat_rules::dns::{Change, Fence, Flip, Found, RecordSet, decide, wanted};
use lifeboat_rules::evidence::sha256;
use lifeboat_rules::plan::{Names, Record, RecordType, Side};
use lifeboat_rules::{ErrorName, Plan, Step, StepError};
use lifeboat_runtime::{Context, Left, Put, Store, now, records};
use lifeboat_tests::given;
use lifeboat_tests::world::deploy::{Bucket, create_bucket};
use lifeboat_tests::world::proxy::{Fault, Scope};
use lifeboat_tests::world::{Clients, World, WorldOptions};

const CONTROL: &str = "aex-control";
const EVIDENCE: &str = "aex-evidence";
/// The proxy's entrance for whoever moves the records.
const MOVER: &str = "dns-flip";
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
    /// With the two records of the plan, and `names` by a rule.
    async fn set(world: &mut World, names: usize) -> Stage {
        let clients = world.clients(world.recovery());
        for bucket in [CONTROL, EVIDENCE] {
            create_bucket(&clients, &Bucket::versioned(bucket)).await.expect("a bucket");
        }
        let entrance = world.entrance(MOVER).await.expect("an entrance");
        let clients = Clients::new(&entrance, world.recovery());
        let store = Store::new(&clients.config);
        let mut plan = given::plan();
        plan.dns.names = if names > 0 { vec![rule(&store, names).await] } else { vec![] };
        let vpc = Vpc::builder().vpc_id("vpc-1").vpc_region(VpcRegion::EuCentral1).build();
        let create = clients.route53.create_hosted_zone().name("aex.internal").caller_reference("1").vpc(vpc);
        let id = create.send().await.expect("a zone").hosted_zone.expect("a zone").id;
        plan.dns.zone_id = id.trim_start_matches("/hostedzone/").to_owned();
        let records = records(&store, CONTROL, &plan).await.expect("the list's records");
        assert_eq!(records.len(), names + 2);
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
        let (zone, step, context) = (self.zone(), step(epoch), self.context());
        let evidence = Some(Evidence { context: &context, step: &step, now });
        let mover =
            Mover { store: &self.store, control_bucket: CONTROL, zone: &zone, gate: &self.gate, evidence };
        match move_traffic(mover, &self.plan, side, epoch, &step.run).await? {
            Moved::Records(moved) => Ok(moved),
            moved => panic!("{moved:?}"),
        }
    }

    fn context(&self) -> Context {
        Context {
            store: self.store.clone(),
            control_bucket: CONTROL.to_owned(),
            evidence_bucket: EVIDENCE.to_owned(),
        }
    }

    /// What was sent, by the list that a move has left.
    async fn sent(&self, left: &Left) -> Vec<Sent> {
        serde_json::from_slice(&self.left(left).await).expect("a list of batches")
    }

    async fn left(&self, left: &Left) -> Vec<u8> {
        let read = self.store.get(EVIDENCE, &left.key, None).await.expect("an answer").expect("it is there");
        assert_eq!((sha256(&read), read.len() as u64), (left.sha256.clone(), left.bytes));
        read
    }

    /// All changes of these batches, as the evidence has them.
    async fn changes(&self, sent: &[Sent]) -> Vec<Change> {
        let mut changes = Vec::new();
        for sent in sent {
            let batch: Sending = serde_json::from_slice(&self.left(&sent.batch).await).expect("a batch");
            assert_eq!((batch.index, batch.of), (sent.index, sent.of));
            changes.extend(batch.changes);
        }
        changes
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
        let all = self.records.len();
        assert_eq!(count(Side::Primary) + count(Side::Recovery), all, "no name is without an answer");
        count(side)
    }
}

fn step(epoch: u64) -> Step {
    Step {
        run: format!("run-{epoch}"),
        plan_key: "plan/aex.json".to_owned(),
        name: "Flip the traffic".to_owned(),
        entered: "2026-11-24T00:00:00Z".to_owned(),
        attempt: 0,
    }
}

/// A rule over a list in the control bucket, as `lifeboat plan upload` leaves it.
async fn rule(store: &Store, names: usize) -> Names {
    let list: String = (0..names).map(|n| format!("S{n:04}\n")).collect();
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
    let mut world = World::start(WorldOptions::default()).await.expect("a world");
    let stage = Stage::set(&mut world, NAMES).await;

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
    assert!(told < 6_000, "{told} bytes");
    assert_eq!(stage.on(Side::Primary).await, NAMES + 2);

    // The evidence has it whole: every batch as it was sent, and what Route 53 said of it.
    let sent = stage.sent(&moved.left.expect("what was left")).await;
    assert_eq!(sent.len(), BATCHES);
    for (index, sent) in sent.iter().enumerate() {
        assert_eq!((sent.index, sent.of), (index + 1, BATCHES));
        assert!(sent.sent_at <= sent.answered_at, "{sent:?}");
        assert!(matches!(&sent.answer, Answered::Taken(taken) if !taken.change.is_empty()), "{sent:?}");
    }
    let changes = stage.changes(&sent).await;
    let of = |side: Side| -> Vec<RecordSet> { wanted(&stage.records, side) };
    let deleted = |change: &Change| matches!(change, Change::Delete(_));
    let sets = |deletes: bool| -> Vec<RecordSet> {
        let of_kind =
            changes.iter().filter(|change| deleted(change) == deletes && change.set().kind != "TXT");
        of_kind.map(|change| change.set().clone()).collect()
    };
    assert_eq!((sets(true), sets(false)), (of(Side::Recovery), of(Side::Primary)));
    // Who was killed has left what he was about to send, too: under epoch 3 one batch at least.
    let prefix = "aex/run-3/left/";
    let left = stage.store.list(EVIDENCE, prefix, 100).await.expect("a listing");
    assert!(left.iter().any(|object| object.key.contains("-batch-1of6-")), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_comes_late_is_refused_when_all_but_the_fence_is_as_it_was_read() {
    let mut world = World::start(WorldOptions::default()).await.expect("a world");
    let stage = Stage::set(&mut world, 0).await;
    stage.flip(Side::Primary, 2).await.expect("a fence");
    // Epoch 3 has read this, TXT and all, and sleeps before it sends its batch.
    let zone = stage.zone();
    let read = zone.read(&stage.plan, &stage.records).await.expect("a read");
    let flip = decide(&stage.plan, &stage.records, Side::Recovery, 3, &read).expect("a decision");
    let Flip::Batch(late) = flip else { panic!("{flip:?}") };
    stage.flip(Side::Recovery, 4).await.expect("moved");
    stage.flip(Side::Primary, 5).await.expect("given back");
    let (records, fence) = (stage.on(Side::Primary).await, stage.fence().await);
    let again = zone.read(&stage.plan, &stage.records).await.expect("a read");
    let plain =
        |found: &[Found]| found.iter().filter(|found| found.kind() != "TXT").cloned().collect::<Vec<_>>();
    assert_eq!(plain(&read), plain(&again), "the old values are back");

    let answer = zone.change(&stage.plan.dns.zone_id, "late", &late.changes).await.expect("an answer");
    let Rejected(why) = answer.expect_err("refused");
    assert!(why.contains("_lifeboat-epoch"), "{why}");
    assert_eq!((stage.on(Side::Primary).await, stage.fence().await), (records, fence));
    // With the fence that stands the same changes are taken: it was the fence that refused them.
    let current = decide(&stage.plan, &stage.records, Side::Recovery, 6, &again).expect("a decision");
    let Flip::Batch(current) = current else { panic!("{current:?}") };
    assert_eq!(late.changes[2..], current.changes[2..]);
    let answer = zone.change(&stage.plan.dns.zone_id, "in time", &current.changes).await;
    answer.expect("an answer").expect("taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_is_left_whatever_came_of_it() {
    let mut world = World::start(WorldOptions::default()).await.expect("a world");
    let stage = Stage::set(&mut world, 0).await;
    let changes = || Scope::origin(MOVER).service("route53").method("POST");
    let sent = |world: &World| world.proxy().calls_in(&changes()).len();

    // Evidence that cannot be left stops the move before anything is sent.
    let before = sent(&world);
    world.proxy().add_times(Scope::origin(MOVER).service("s3").method("PUT"), Fault::Deny, 1);
    let error = stage.flip(Side::Recovery, 2).await.expect_err("no evidence");
    assert_eq!((error.name, sent(&world)), (ErrorName::Defect, before), "{error}");

    // An answer that is lost: not known, and then read back.
    world.proxy().add_times(changes(), Fault::LoseAnswer, 1);
    let moved = stage.flip(Side::Recovery, 2).await.expect("moved");
    assert_eq!((moved.batches, moved.records, stage.on(Side::Recovery).await), (0, 2, 2));
    let list = stage.sent(&moved.left.expect("what was left")).await;
    assert!(matches!(list[..], [Sent { answer: Answered::Unknown { .. }, .. }]), "{list:?}");
    assert_eq!(stage.changes(&list).await.len(), 1 + 2 * 2, "the fence is new; each record goes and comes");

    // No answer at all, until it gives up: the call ends in an error, and what it sent is there.
    world.proxy().add_times(changes(), Fault::Refuse, 100);
    let error = stage.flip(Side::Primary, 3).await.expect_err("Route 53 is away");
    assert_eq!(error.name, ErrorName::Transient, "{error}");
    let left: Vec<Vec<Sent>> = stage.context().left(&step(3), "batches").await.expect("what was left");
    let [list] = &left[..] else { panic!("{left:?}") };
    let unknown = |sent: &Sent| matches!(sent.answer, Answered::Unknown { error: ErrorName::Transient, .. });
    assert!(list.len() > 1 && list.iter().all(unknown), "{list:?}");
    assert_eq!(stage.changes(&list[..1]).await.len(), 2 + 2 * 2);
    assert_eq!(stage.on(Side::Recovery).await, 2);
}
