//! *Confirm the flip* through dns-flip's own handler, called again and again as the state machine does, against a resolver
//! that answers as it is told, and the emulator's S3.
//!
//! What this does not prove: that a real resolver behaves like one of these.

mod server;

use std::net::Ipv4Addr;

use dns_flip::{Action, Answer, Asker, Confirmed, Gate, Mover, Receipts, Unconfirmed, Zone, handle};
use jiff::{SignedDuration, Timestamp};
use lifeboat_rules::dns::confirm::within;
use lifeboat_rules::evidence::sha256;
use lifeboat_rules::plan::{Names, RecordType};
use lifeboat_rules::{ErrorName, Request, Run, Step, StepError};
use lifeboat_runtime::{Context, Left, Store, now};
use lifeboat_tests::given;
use lifeboat_tests::world::deploy::{Bucket, create_bucket};
use lifeboat_tests::world::{Clients, World, WorldOptions};
use server::{Says, Server};

const CONTROL: &str = "aex-control";
const EVIDENCE: &str = "aex-evidence";
const PRIMARY: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 20);
const RECOVERY: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 20);

/// A plan of so many names, a run that has flipped them, and a resolver.
struct Stage {
    clients: Clients,
    run: Run,
    names: usize,
    server: Server,
    /// When the state was entered.
    entered: Timestamp,
    /// What the plan gives its names, in seconds.
    within: i64,
}

impl Stage {
    async fn set(world: &World, names: usize, otherwise: Says) -> Stage {
        let clients = world.clients(world.recovery());
        let list: String = (0..names).map(|number| format!("s{number:05}\n")).collect();
        let key = format!("names/{}.txt", sha256(list.as_bytes()));
        let mut plan = given::plan();
        plan.dns.records.clear();
        plan.dns.names = vec![Names {
            name: "{symbol}.md.aex.internal".to_owned(),
            list: key.clone(),
            kind: RecordType::A,
            ttl: 5,
            primary: vec![PRIMARY.to_string()],
            recovery: vec![RECOVERY.to_string()],
        }];
        let put = clients.s3.put_object().bucket(CONTROL).key(key).body(list.into_bytes().into());
        put.send().await.expect("a list");
        let uploaded = given::put_plan(&clients, CONTROL, &plan).await.expect("a plan");
        let run = given::run(format!("run-of-{names}"), uploaded, 1, Some(2));
        let server = Server::start(otherwise).await;
        Stage { clients, run, names, server, entered: now(), within: within(&plan, names) }
    }

    /// One call, by a function that has just started.
    async fn call(&self, attempt: u32) -> Result<Answer, StepError> {
        let context = self.context();
        let zone = Zone::new(self.clients.route53.clone());
        let gate = Gate { cloudwatch: self.clients.cloudwatch.clone() };
        let Context { store, control_bucket, .. } = &context;
        let mover = Mover { store, control_bucket, zone: &zone, gate: &gate, evidence: None };
        let asker = Asker::new(&self.server.address.to_string()).expect("an asker");
        let step = Step {
            run: self.run.id.clone(),
            plan_key: self.run.plan.key.clone(),
            name: "Confirm the flip".to_owned(),
            entered: self.entered.to_string(),
            attempt,
        };
        let request = Request { step, run: Some(self.run.clone()), action: Action::ConfirmFlip {} };
        handle(&context, mover, &asker, now, request).await
    }

    fn context(&self) -> Context {
        Context {
            store: Store::new(&self.clients.config),
            control_bucket: CONTROL.to_owned(),
            evidence_bucket: EVIDENCE.to_owned(),
        }
    }

    async fn not_ready(&self, attempt: u32) -> String {
        let error = self.call(attempt).await.expect_err("not all answer");
        assert_eq!(error.name, ErrorName::NotReady, "{error}");
        error.to_string()
    }

    async fn confirmed(&self, attempt: u32) -> Confirmed {
        match self.call(attempt).await.expect("an answer") {
            Answer::FlipConfirmed(confirmed) => confirmed,
            other => panic!("{other:?}"),
        }
    }

    async fn unconfirmed(&self, attempt: u32) -> Unconfirmed {
        match self.call(attempt).await.expect("an answer") {
            Answer::FlipUnconfirmed(unconfirmed) => unconfirmed,
            other => panic!("{other:?}"),
        }
    }

    /// What was left, its digest checked, and that it has one receipt for each of so many names.
    async fn receipts(&self, left: &Left, names: usize) -> Receipts {
        let read = self.context().store.get(EVIDENCE, &left.key, None).await.expect("an answer");
        let bytes = read.expect("it is there");
        assert_eq!((sha256(&bytes), bytes.len() as u64), (left.sha256.clone(), left.bytes));
        let receipts: Receipts = serde_json::from_slice(&bytes).expect("receipts");
        let mut of: Vec<&str> = receipts.receipts.iter().map(|receipt| receipt.name.as_str()).collect();
        of.sort_unstable();
        of.dedup();
        assert_eq!((of.len(), receipts.receipts.len()), (names, names), "one receipt for each name");
        receipts
    }
}

fn name(number: usize) -> String {
    format!("s{number:05}.md.aex.internal")
}

async fn world() -> World {
    let world = World::start(WorldOptions::default()).await.expect("a world");
    let clients = world.clients(world.recovery());
    for bucket in [CONTROL, EVIDENCE] {
        create_bucket(&clients, &Bucket::versioned(bucket)).await.expect("a bucket");
    }
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_answered_is_kept_and_a_silent_name_ends_the_wait_in_time() {
    const NAMES: usize = 1_500;
    let world = world().await;
    let mut stage = Stage::set(&world, NAMES, Says::Address(RECOVERY)).await;
    // Entered so long ago that the first call ends before the time is over, and the second behind it.
    stage.entered = now() - SignedDuration::from_secs(stage.within - 30);
    let silent = [name(0), name(700), name(1_499)];
    for name in &silent {
        stage.server.says(name, Says::Nothing);
    }
    stage.server.says(&name(701), Says::Address(PRIMARY));

    let why = stage.not_ready(0).await;
    assert!(why.starts_with("4 of 1500 names do not answer from the recovery side yet: "), "{why}");
    assert!(why.contains("s00701.md.aex.internal A answers 10.0.0.20"), "{why}");
    let asked = stage.server.asked();
    assert_eq!(asked.len(), NAMES, "one that is silent keeps nobody from being asked");
    let again: Vec<&String> = asked.iter().filter(|(_, times)| **times > 1).map(|(name, _)| name).collect();
    assert_eq!(again.len(), 4, "who has answered is not asked again: {again:?}");

    // The next call asks for those alone, and its time is the last.
    stage.server.says(&name(701), Says::Address(RECOVERY));
    stage.server.says(&silent[1], Says::Address(RECOVERY));
    let unconfirmed = stage.unconfirmed(1).await;
    assert_eq!(stage.server.asked().len(), 4);
    assert_eq!((unconfirmed.names, unconfirmed.silent_count, unconfirmed.not_asked_count), (1_498, 2, 0));
    assert!(unconfirmed.waited_seconds >= stage.within, "{unconfirmed:?}");
    for text in ["2 of 1500 names", silent[0].as_str(), silent[2].as_str(), "The flip stands", "dns check"] {
        assert!(unconfirmed.reason.contains(text), "{unconfirmed:?} should say: {text}");
    }
    let left = stage.receipts(&unconfirmed.receipts, 1_498).await;
    assert_eq!(left.silent.len(), 2, "{:?}", left.silent);

    // Whoever goes on from there, once it is mended, has all of it.
    for name in &silent {
        stage.server.says(name, Says::Address(RECOVERY));
    }
    stage.server.asked();
    let confirmed = stage.confirmed(2).await;
    assert_eq!((confirmed.names, confirmed.of, stage.server.asked().len()), (NAMES, NAMES, 4));
    stage.receipts(&confirmed.receipts, NAMES).await;
    // Another visit of the state knows nothing of this one.
    stage.entered = now();
    stage.confirmed(1).await;
    assert_eq!(stage.server.asked().len(), NAMES);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_flip_is_seen_nowhere_a_few_names_are_asked_for_and_not_all() {
    let world = world().await;
    let mut stage = Stage::set(&world, 600, Says::Address(PRIMARY)).await;
    let why = stage.not_ready(0).await;
    let says =
        "3 of 600 names do not answer from the recovery side yet, and 597 were not asked for in this call: ";
    assert!(why.starts_with(says), "{why}");
    let asked = stage.server.asked();
    let mut canaries: Vec<&String> = asked.keys().collect();
    canaries.sort();
    assert_eq!(canaries, [&name(0), &name(200), &name(400)]);
    assert!(asked.values().all(|times| *times > 20), "again and again: {asked:?}");

    // When the time is over it is said of those few alone that they do not answer.
    let entered = std::mem::replace(&mut stage.entered, now() - SignedDuration::from_secs(stage.within));
    let unconfirmed = stage.unconfirmed(0).await;
    let counts = (unconfirmed.names, unconfirmed.silent_count, unconfirmed.not_asked_count, unconfirmed.of);
    assert_eq!(counts, (0, 3, 597, 600), "{unconfirmed:?}");
    for text in ["3 of 600 names do not answer", "and 597 were not asked for in this call"] {
        assert!(unconfirmed.reason.contains(text), "{unconfirmed:?} should say: {text}");
    }
    stage.entered = entered;
    stage.server.asked();

    // One that is silent for good is not what all the others wait for.
    for number in 0..stage.names {
        stage.server.says(&name(number), Says::Address(RECOVERY));
    }
    stage.server.says(&name(200), Says::Nothing);
    let why = stage.not_ready(0).await;
    assert!(why.starts_with("1 of 600 names do not answer"), "{why}");
    assert_eq!(stage.server.asked().len(), 600);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_behind_many_silent_ones_are_asked_for_as_well() {
    let world = world().await;
    let stage = Stage::set(&world, 1_000, Says::Nothing).await;
    stage.server.says(&name(0), Says::Address(RECOVERY));
    for number in 900..stage.names {
        stage.server.says(&name(number), Says::Address(RECOVERY));
    }
    stage.not_ready(0).await;
    assert!(!stage.server.asked().contains_key(&name(950)), "a call has no time for all the silent ones");
    let why = stage.not_ready(1).await;
    // Of which it had no time for all, and says so.
    let of = |what: &str| {
        let before = why.split(what).next().filter(|before| *before != why).unwrap_or("0");
        before.rsplit(' ').next().and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("{why}"))
    };
    let (silent, not_asked): (u32, u32) = (of(" of 1000 names do not answer"), of(" were not asked for"));
    assert_eq!(silent + not_asked, 899, "{why}");
    assert!(not_asked > 0, "{why}");
}
