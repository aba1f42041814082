//! Checkpoints against the emulator's conditional puts and versions: they are extended in steps, used where they hold and
//! passed over where they do not, and whatever they are, the verdict is that of the whole history.
//!
//! What this does not prove: that the schedule calls each five minutes, and that the bucket's policy lets nobody else put
//! a checkpoint; `templates` and `policies` ask that.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, Statistic};
use futures::future::join_all;
use futures::{StreamExt, stream};
use ledger_verify::checkpoint::{Bounds, Extended, ExtendedStream, extend, extend_on_schedule, newest};
use ledger_verify::lease::READ_MAX;
use ledger_verify::{Answer, Examined, Metrics, Since, open_stream, verify_history_since};
use lifeboat_ledger::checkpoint::{self, Boundary, Checkpoint, Covered};
use lifeboat_ledger::writer::Writer;
use lifeboat_ledger::{Hash, Holder, StreamProof, Tail, slot};
use lifeboat_rules::admission::{GENESIS, GENESIS_EPOCH};
use lifeboat_rules::{ErrorName, Plan, StepError};
use lifeboat_runtime::{Context, Log, Store};
use lifeboat_tests::given;
use lifeboat_tests::world::deploy::{Bucket, create_bucket};
use lifeboat_tests::world::proxy::{Fault, Scope};
use lifeboat_tests::world::{Clients, World, WorldOptions, now};
use serde_json::json;

const CONTROL: &str = "aex-control";
const LOG: &str = "aex-log";
const PLAN_KEY: &str = "plan/aex.json";
const MADE_BY: &str = "a test";
const PUTS_IN_FLIGHT: usize = 32;
/// Within which an object has an age of a second by the store's clock, which counts in seconds.
const AGED_WITHIN: Duration = Duration::from_secs(30);
const POLL_EVERY: Duration = Duration::from_millis(50);
const NO_BOUNDS: Bounds =
    Bounds { entries_max: u64::MAX, bytes_max: u64::MAX, seconds_max: 60, leased: READ_MAX };

/// A log in a bucket that keeps versions and refuses nothing, whose reader calls through the proxy.
struct Stage {
    world: World,
    clients: Clients,
    store: Store,
    metrics: Metrics,
    plan: Plan,
    writers: BTreeMap<String, Writer>,
}

impl Stage {
    async fn set(streams: &[&str]) -> Stage {
        let mut world = World::start(WorldOptions::default()).await.expect("a world");
        let clients = world.clients(world.recovery());
        for name in [CONTROL, LOG] {
            create_bucket(&clients, &Bucket::versioned(name)).await.expect("a bucket");
        }
        let entrance = world.entrance("verifier").await.expect("an entrance");
        let through = Clients::new(&entrance, world.recovery());
        let mut plan = given::plan();
        plan.ledger.streams = streams.iter().map(|stream| (*stream).to_owned()).collect();
        plan.ledger.bucket = LOG.into();
        plan.ledger.witness = None;
        given::put_plan(&clients, CONTROL, &plan).await.expect("a plan");
        let store = Store::new(&through.config);
        let metrics = Metrics { cloudwatch: through.cloudwatch, namespace: "Lifeboat".into() };
        let mut stage = Stage { world, clients, store, metrics, plan, writers: BTreeMap::new() };
        for stream in streams {
            open_stream(&stage.store, &stage.plan, stream, GENESIS_EPOCH, GENESIS).await.expect("an open");
            let log = Log::new(&stage.store, &stage.plan.ledger);
            let open = log.segment(&log.key(stream, 1)).await.expect("a read").expect("the open");
            let mut tail = Tail::new(*stream);
            tail.absorb_segment(1, &open).expect("an open");
            stage.writers.insert((*stream).to_owned(), Writer::new("log/", tail, Holder::Primary, None));
        }
        stage
    }

    /// Appends `segments` objects of `entries` entries each.
    async fn write(&mut self, stream: &str, segments: usize, entries: usize) {
        let writer = self.writers.get_mut(stream).expect("a stream that was opened");
        let batch: Vec<_> = (0..entries).map(|number| json!({ "order": number })).collect();
        let made: Vec<_> = (0..segments)
            .map(|_| {
                let segment = writer.segment(&batch).expect("the pen");
                writer.stored(&segment);
                segment
            })
            .collect();
        stream::iter(made)
            .for_each_concurrent(PUTS_IN_FLIGHT, async |segment| {
                self.put(&segment.key, segment.bytes).await;
            })
            .await;
    }

    async fn put(&self, key: &str, bytes: impl Into<Vec<u8>>) {
        let body = bytes.into().into();
        self.clients.s3.put_object().bucket(LOG).key(key).body(body).send().await.expect("a put");
    }

    async fn remove(&self, key: &str) {
        self.clients.s3.delete_object().bucket(LOG).key(key).send().await.expect("a deletion");
    }

    async fn read(&self, key: &str) -> Vec<u8> {
        let object = self.clients.s3.get_object().bucket(LOG).key(key).send().await.expect(key);
        object.body.collect().await.expect("a body").to_vec()
    }

    async fn keys(&self, prefix: &str) -> Vec<String> {
        let listed = self.clients.s3.list_objects_v2().bucket(LOG).prefix(prefix).send().await;
        let listed = listed.expect("a listing");
        listed.contents().iter().map(|object| object.key().expect("a key").to_owned()).collect()
    }

    async fn extend(&self, bounds: Bounds) -> Vec<ExtendedStream> {
        let (streams, failed) =
            extend(&self.store, &self.plan, bounds, MADE_BY).await.expect("a listing of streams");
        assert!(failed.is_none(), "{failed:?}");
        streams
    }

    /// Extends all to the end of a log that holds, and returns what was put.
    async fn extend_whole(&self) -> Vec<String> {
        let streams = self.extend(NO_BOUNDS).await;
        streams
            .into_iter()
            .map(|stream| {
                assert_eq!((&stream.findings[..], stream.lag_seconds), (&[][..], 0), "{}", stream.stream);
                stream.checkpoint.expect("something was new")
            })
            .collect()
    }

    async fn checkpoint(&self, key: &str) -> Checkpoint {
        Checkpoint::parse(key, &self.read(key).await).expect("a checkpoint")
    }

    async fn verify(&self, since: Since) -> (Examined, usize) {
        let before = self.segments_read();
        let answer = verify_history_since(&self.store, &self.plan, since).await.expect("a verdict");
        let read = self.segments_read() - before;
        match answer {
            Answer::Proven(examined) => {
                assert_eq!(examined.findings, []);
                (examined, read)
            }
            Answer::Unproven(examined) => (examined, read),
            other => panic!("{other:?}"),
        }
    }

    /// How often the reader has asked for an object of the log.
    fn segments_read(&self) -> usize {
        let gets = Scope::origin("verifier").service("s3").method("GET").path_prefix("/aex-log/log/");
        self.world.proxy().calls_in(&gets).len()
    }

    /// Waits until the store itself says that the object is at least a second old, so that its age can be told from none.
    async fn has_an_age(&self, key: &str) {
        let deadline = Instant::now() + AGED_WITHIN;
        loop {
            let page = self.store.page(LOG, key, None, None).await.expect("a listing");
            let object = page.objects.first().expect(key);
            let read_at = page.read_at.expect("a date");
            if read_at.duration_since(object.stored_at).as_secs() >= 1 {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{key} was stored at {} and read at {read_at}",
                object.stored_at
            );
            tokio::time::sleep(POLL_EVERY).await;
        }
    }

    /// The greatest point of the metric `name` so far.
    async fn greatest_point(&self, name: &str) -> Option<f64> {
        let plan = Dimension::builder().name("Plan").value("aex").build();
        let found = self
            .clients
            .cloudwatch
            .get_metric_statistics()
            .namespace("Lifeboat")
            .metric_name(name)
            .dimensions(plan)
            .start_time(DateTime::from_secs(now().as_second() - 3_600))
            .end_time(DateTime::from_secs(now().as_second() + 60))
            .period(60)
            .statistics(Statistic::Maximum)
            .send()
            .await
            .expect("statistics");
        found.datapoints().iter().filter_map(|point| point.maximum()).reduce(f64::max)
    }

    /// What the schedule does each time.
    async fn schedule(&self) -> Result<Extended, StepError> {
        let context = Context {
            store: self.store.clone(),
            control_bucket: CONTROL.into(),
            evidence_bucket: "nowhere".into(),
        };
        extend_on_schedule(&context, &self.metrics, PLAN_KEY, NO_BOUNDS, MADE_BY).await
    }
}

fn positions(streams: &[StreamProof]) -> Vec<(String, u64, Hash, u64)> {
    streams.iter().map(|proof| (proof.stream.clone(), proof.through, proof.head, proof.entries)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_log_is_caught_up_with_in_steps_and_then_only_the_tail_is_read() {
    let mut stage = Stage::set(&["ME1"]).await;
    stage.write("ME1", 299, 2).await;
    stage.has_an_age(&slot::key("log/", "ME1", 298 * 2)).await;

    let step = Bounds { entries_max: 120, ..NO_BOUNDS };
    let mut calls = 0;
    loop {
        let [stream] = &stage.extend(step).await[..] else { panic!("one stream") };
        assert_eq!((&stream.findings[..], &stream.passed_over[..]), (&[][..], &[][..]));
        calls += 1;
        let through = stream.through.expect("something is verified");
        assert_eq!(stream.checkpoint.as_deref(), Some(checkpoint::key("ME1", through).as_str()));
        assert!(stream.objects <= 62, "{} objects in one call", stream.objects);
        match stream.lag_seconds {
            0 => break assert_eq!(through, 1 + 299 * 2),
            lag => assert!(lag >= 1, "a lag of {lag} s"),
        }
        assert!(calls < 10, "no end");
    }
    assert_eq!(calls, 5, "599 entries in steps of 120 and what it takes to fill an object");

    // Each continues the one before it, and all of them together cover every object in the version that it has.
    let keys = stage.keys("checkpoint/ME1/").await;
    assert_eq!(keys.len(), calls);
    let mut before: Option<Vec<u8>> = None;
    for key in &keys {
        let made = stage.checkpoint(key).await;
        assert_eq!(made.follows(before.as_deref()), Ok(()));
        assert_eq!(made.previous().is_some(), before.is_some());
        before = Some(made.to_bytes());
    }
    let last = stage.checkpoint(keys.last().expect("checkpoints")).await;
    let mut covered = Covered::NONE;
    let versions = stage.clients.s3.list_object_versions().bucket(LOG).prefix("log/ME1/").send().await;
    let mut versions = versions.expect("versions").versions().to_vec();
    versions.sort_by(|a, b| a.key().cmp(&b.key()));
    for version in &versions {
        let (_, slot) = slot::parse("log/", version.key().expect("a key")).expect("a slot");
        covered.add(slot, version.version_id());
    }
    assert_eq!((last.covered(), covered.segments), (covered, 300));

    // Nothing new: nothing is read of the log but the segment that the checkpoint ends in, and nothing is put.
    let before = stage.segments_read();
    let [stream] = &stage.extend(step).await[..] else { panic!("one stream") };
    assert_eq!((stream.objects, stream.checkpoint.as_ref(), stream.lag_seconds), (0, None, 0));
    assert_eq!(stage.segments_read() - before, 1);

    // A run after this long history reads what is new, and says the same as one that reads all.
    stage.write("ME1", 3, 2).await;
    let (all, read_of_all) = stage.verify(Since::Beginning).await;
    let (tail, read_of_tail) = stage.verify(Since::Checkpoint).await;
    assert_eq!((read_of_all, read_of_tail), (304, 4), "what there is, or what is new; and the boundary");
    assert_eq!(positions(&tail.streams), positions(&all.streams));
    assert_eq!(tail.streams, all.streams);
    assert_eq!((all.checkpoints.len(), tail.checkpoints.len()), (0, 1));
    assert!(tail.checkpoints[0].contains(keys.last().expect("checkpoints")), "{:?}", tail.checkpoints);
    let [stream] = &stage.extend(NO_BOUNDS).await[..] else { panic!("one stream") };
    assert_eq!((stream.objects, stream.lag_seconds), (3, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_that_does_not_hold_costs_time_and_never_correctness() {
    let mut stage = Stage::set(&["ME1", "ME2"]).await;
    stage.write("ME1", 5, 2).await;
    stage.write("ME2", 5, 2).await;
    let held = stage.extend_whole().await;
    stage.write("ME1", 4, 1).await;
    let (truth, _) = stage.verify(Since::Beginning).await;
    let good = stage.checkpoint(&held[0]).await;
    let other = stage.read(&held[1]).await;
    // What a forger would have to name: the true end of the log, as a verifier sees it.
    let end = truth.streams[0].clone();
    let at_the_end =
        Boundary { slot: end.through, object_version: version(&stage, "ME1", end.through).await };
    let covered = Covered { segments: good.covered().segments + 4, ..good.covered() };
    let forge = |proof: &StreamProof, last: &Boundary, previous: Option<&Checkpoint>| {
        Checkpoint::new(proof.clone(), last.clone(), covered, previous, "a forger")
    };
    let wrong_head = StreamProof { head: Hash::of(b"another history"), ..end.clone() };
    let future = StreamProof { through: 900, entries: 900, ..end.clone() };
    let after_end = Boundary { slot: 900, object_version: at_the_end.object_version.clone() };
    let old_version = Boundary { object_version: Some("another-version".into()), ..at_the_end.clone() };
    let stranger = Checkpoint::new(
        StreamProof { stream: "ME1".into(), through: 6, entries: 6, head: Hash::of(b"x"), ..end.clone() },
        Boundary { slot: 6, object_version: None },
        Covered { segments: 2, digest: Hash::of(b"x") },
        None,
        "a forger",
    );
    let oversize =
        [forge(&end, &at_the_end, Some(&good)).to_bytes(), vec![b' '; checkpoint::BYTES_MAX]].concat();
    let key = checkpoint::key("ME1", end.through);
    let forgeries: Vec<(&str, String, Vec<u8>)> = vec![
        ("with the hash", key.clone(), forge(&wrong_head, &at_the_end, Some(&good)).to_bytes()),
        (
            "which is not there",
            checkpoint::key("ME1", 900),
            forge(&future, &after_end, Some(&good)).to_bytes(),
        ),
        ("was made of version", key.clone(), forge(&end, &old_version, Some(&good)).to_bytes()),
        ("says that it is", key.clone(), other),
        ("where nothing is", key.clone(), forge(&end, &at_the_end, Some(&stranger)).to_bytes()),
        ("no checkpoint", key.clone(), b"{\"version\":1".to_vec()),
        ("no checkpoint", checkpoint::key("ME1", u64::MAX), b"\xff\x00garbage".to_vec()),
        ("the limit is", key.clone(), oversize),
    ];
    let log = Log::new(&stage.store, &stage.plan.ledger);
    for (why, key, bytes) in forgeries {
        stage.put(&key, bytes).await;
        let base = newest(&log, "ME1").await.expect("an answer");
        assert_eq!(base.proof.as_ref(), Some(good.proof()), "{why}");
        let said = base.said.expect("something was passed over");
        assert!(said.contains(why) && said.contains(&key) && said.contains(&held[0]), "{why}: {said}");
        let (examined, _) = stage.verify(Since::Checkpoint).await;
        if ["which is not there", "with the hash"].contains(&why) {
            // Nobody can tell it from a log that is not what was verified: not proven, and a person looks.
            assert_eq!((examined.streams.len(), examined.findings.len()), (1, 1), "{examined:?}");
            assert!(examined.reason.contains("is not what was verified"), "{}", examined.reason);
        } else {
            assert_eq!(examined.streams, truth.streams, "{why}");
        }
        assert!(examined.checkpoints.iter().any(|said| said.contains(why)), "{:?}", examined.checkpoints);
        stage.remove(&key).await;
    }

    // What is checked of a forgery is right here, so it is used: its `covered` is not, which nobody checks on the day.
    let fair = forge(&end, &at_the_end, Some(&good));
    stage.put(&fair.key(), fair.to_bytes()).await;
    assert_eq!(newest(&log, "ME1").await.expect("an answer").proof, Some(end.clone()));
    stage.remove(&fair.key()).await;

    // So many that the true one is not reached: the whole history is read, and the schedule calls a person.
    for through in 901..910 {
        stage.put(&checkpoint::key("ME1", through), "garbage").await;
    }
    let before = stage.segments_read();
    let (examined, _) = stage.verify(Since::Checkpoint).await;
    assert_eq!(examined.streams, truth.streams);
    assert_eq!(stage.segments_read() - before, 10 + 1, "all of ME1, and the boundary of ME2");
    let extended = stage.schedule().await;
    let extended = extended.expect("an answer");
    assert!(extended.broken && extended.streams[0].passed_over.len() == 4, "{extended:?}");
    assert_eq!(extended.streams[0].findings, []);
    assert_eq!(stage.greatest_point("LedgerFindings").await, Some(1.0));
}

async fn version(stage: &Stage, stream: &str, slot: u64) -> Option<String> {
    let key = slot::key("log/", stream, slot);
    let head = stage.clients.s3.head_object().bucket(LOG).key(key).send().await.expect("an object");
    head.version_id().map(str::to_owned)
}

/// A log of two checkpoints: the keys of both, and of the segment that the second ends in.
async fn verified_twice() -> (Stage, String, String, String) {
    let mut stage = Stage::set(&["ME1"]).await;
    stage.write("ME1", 4, 2).await;
    let first = stage.extend_whole().await.remove(0);
    stage.write("ME1", 4, 2).await;
    let second = stage.extend_whole().await.remove(0);
    let boundary = slot::key("log/", "ME1", stage.checkpoint(&second).await.last().slot);
    (stage, first, second, boundary)
}

/// That the stream is unproven from wherever it is read, that a person is called, and that nothing is recorded of it.
async fn is_at_odds(stage: &Stage, first: &str, second: &str, why: &str) {
    let log = Log::new(&stage.store, &stage.plan.ledger);
    let base = newest(&log, "ME1").await.expect("an answer");
    assert_eq!(base.proof.as_ref(), Some(stage.checkpoint(first).await.proof()), "{why}");
    for since in [Since::Checkpoint, Since::Beginning] {
        let (examined, _) = stage.verify(since).await;
        assert_eq!(examined.streams, [], "{since:?}: nothing is built on what is left");
        let told = examined.findings.iter().any(|finding| {
            finding.what.contains("is not what was verified")
                && finding.what.contains(second)
                && finding.what.contains(why)
        });
        assert!(told, "{since:?}: {examined:?}");
    }
    let recorded = stage.keys("checkpoint/").await;
    let extended = stage.schedule().await.expect("an answer");
    assert!(extended.broken, "{extended:?}");
    let [stream] = &extended.streams[..] else { panic!("one stream") };
    assert!(stream.findings[0].what.contains("is not what was verified"), "{stream:?}");
    assert!(stream.passed_over.len() == 1 && stream.passed_over[0].contains(why), "{stream:?}");
    assert_eq!(stage.keys("checkpoint/").await, recorded, "a newer checkpoint would hide it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_no_longer_what_was_verified_calls_a_person() {
    let (mut stage, first, second, boundary) = verified_twice().await;
    let bytes = stage.read(&boundary).await;

    // It has lost its end.
    stage.remove(&boundary).await;
    is_at_odds(&stage, &first, &second, "which is not there").await;

    // The same entries again, in another version: the log is what was verified, and the checkpoint before is used.
    stage.put(&boundary, bytes).await;
    let log = Log::new(&stage.store, &stage.plan.ledger);
    let base = newest(&log, "ME1").await.expect("an answer");
    assert_eq!((base.proof.as_ref(), base.against), (Some(stage.checkpoint(&first).await.proof()), None));
    assert!(base.said.as_ref().is_some_and(|said| said.contains("there is version")), "{:?}", base.said);
    for since in [Since::Checkpoint, Since::Beginning] {
        let (examined, _) = stage.verify(since).await;
        assert_eq!((examined.streams.len(), &examined.findings[..]), (1, &[][..]), "{since:?}");
    }
    assert!(stage.schedule().await.expect("an answer").broken, "somebody put a slot twice");
    stage.write("ME1", 1, 2).await;
    stage.extend_whole().await;
    assert!(!stage.schedule().await.expect("an answer").broken);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_lost_its_end_and_was_written_on_is_not_proven() {
    let (mut stage, first, second, boundary) = verified_twice().await;

    // The writer comes back over what is left, and writes on past what was verified: a chain without a fault.
    let last = stage.checkpoint(&second).await;
    let mut tail = Tail::new("ME1");
    for key in stage.keys("log/ME1/").await.into_iter().filter(|key| *key < boundary) {
        let (_, slot) = slot::parse("log/", &key).expect("a slot");
        tail.absorb_segment(slot, &stage.read(&key).await).expect("a log that chains");
    }
    stage.remove(&boundary).await;
    stage.writers.insert("ME1".into(), Writer::new("log/", tail, Holder::Primary, None));
    // In the very slot, where the next listing would find it, but one entry longer; and on.
    stage.write("ME1", 1, 3).await;
    stage.write("ME1", 4, 2).await;
    assert!(stage.writers["ME1"].tail().next_seq() > last.proof().through + 1, "past the checkpoint");
    is_at_odds(&stage, &first, &second, "ends at").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_that_cannot_be_listed_cost_time_alone() {
    let mut stage = Stage::set(&["ME1"]).await;
    stage.write("ME1", 4, 2).await;
    stage.extend_whole().await;
    let listing = Scope::origin("verifier").path_prefix("/aex-log/?list-type=2&prefix=checkpoint%2FME1%2F");
    let denied = stage.world.proxy().add(listing, Fault::Deny);
    let (examined, read) = stage.verify(Since::Checkpoint).await;
    assert_eq!((examined.streams.len(), read), (1, 5), "the whole history");
    assert!(examined.checkpoints[0].contains("could not be listed"), "{:?}", examined.checkpoints);
    // Nothing is recorded by who cannot see what was recorded before.
    stage.write("ME1", 1, 1).await;
    assert_ne!(stage.schedule().await.expect_err("no listing").name, ErrorName::Transient);
    assert!(stage.world.proxy().lift(denied));
    assert_eq!(stage.keys("checkpoint/").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_slot_is_found_wherever_it_stands() {
    let mut stage = Stage::set(&["ME1"]).await;
    stage.write("ME1", 4, 2).await;
    stage.extend_whole().await;
    for slot in [0, 1, 8, 9, u64::MAX] {
        // Behind the key of that slot: 8 is the last one.
        let stray = format!("{}.bak", slot::key("log/", "ME1", slot));
        stage.put(&stray, "a copy").await;
        for since in [Since::Checkpoint, Since::Beginning] {
            let answer = verify_history_since(&stage.store, &stage.plan, since).await.expect("a verdict");
            let found = match &answer {
                Answer::Broken(examined) => examined.findings[0].object.as_deref() == Some(&stray),
                _ => false,
            };
            // What lies before a checkpoint is not looked at again.
            assert_eq!(found, since == Since::Beginning || slot >= 8, "{slot}, {since:?}: {answer:?}");
        }
        stage.remove(&stray).await;
    }

    // A stream that consists of the slot 0 is read as well.
    let zero = Tail::new("ME0");
    let line = format!("{{\"stream\":\"ME0\",\"seq\":0,\"prev\":\"{}\"}}\n", zero.head());
    stage.put(&slot::key("log/", "ME0", 0), line).await;
    let answer = verify_history_since(&stage.store, &stage.plan, Since::Beginning).await.expect("a verdict");
    let (Answer::Proven(examined) | Answer::Unproven(examined) | Answer::Broken(examined)) = answer else {
        panic!("{answer:?}")
    };
    assert_eq!(examined.objects, 6, "{examined:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn schedules_that_overlap_agree() {
    let mut stage = Stage::set(&["ME1", "ME2"]).await;
    for round in 0..3 {
        stage.write("ME1", 20, 1).await;
        stage.write("ME2", 7, 3).await;
        // Not all of them come equally far, and each has a name of its own.
        let bounds = [3, 10, u64::MAX, u64::MAX].map(|entries_max| Bounds { entries_max, ..NO_BOUNDS });
        let calls = bounds.iter().enumerate().map(async |(number, bounds)| {
            extend(&stage.store, &stage.plan, *bounds, &format!("call {number} of round {round}")).await
        });
        for result in join_all(calls).await {
            let (streams, failed) = result.expect("a listing of streams");
            assert!(failed.is_none(), "{failed:?}");
            for stream in streams {
                assert_eq!((&stream.findings[..], &stream.passed_over[..]), (&[][..], &[][..]));
            }
        }
    }
    let log = Log::new(&stage.store, &stage.plan.ledger);
    let (truth, _) = stage.verify(Since::Beginning).await;
    for proof in truth.streams {
        assert_eq!(newest(&log, &proof.stream).await.expect("an answer").proof, Some(proof));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_log_is_told_and_nothing_is_recorded() {
    let mut stage = Stage::set(&["ME1", "ME2"]).await;
    stage.write("ME1", 3, 1).await;
    stage.write("ME2", 3, 1).await;
    stage.extend_whole().await;
    assert!(!stage.schedule().await.expect("an answer").broken);
    assert_eq!(
        (stage.greatest_point("LedgerFindings").await, stage.greatest_point("VerifiedLagSeconds").await),
        (Some(0.0), Some(0.0))
    );

    // Somebody writes who has no pen: a line that chains, under another epoch.
    let tail = stage.writers["ME1"].tail();
    let forged = format!(
        "{{\"stream\":\"ME1\",\"seq\":{},\"prev\":\"{}\",\"epoch\":7}}\n",
        tail.next_seq(),
        tail.head()
    );
    let forged_key = slot::key("log/", "ME1", tail.next_seq());
    stage.put(&forged_key, forged).await;
    stage.has_an_age(&forged_key).await;
    let recorded = stage.keys("checkpoint/").await;
    let extended = stage.schedule().await.expect("an answer");
    assert!(extended.broken && extended.lag_seconds >= Some(1), "{extended:?}");
    assert!(extended.streams[0].findings[0].what.contains("epoch 7"), "{extended:?}");
    assert_eq!(extended.streams[1].findings, []);
    assert_eq!(stage.keys("checkpoint/").await, recorded, "nothing is recorded of what is broken");
    assert_eq!(stage.greatest_point("LedgerFindings").await, Some(1.0));
    assert!(stage.greatest_point("VerifiedLagSeconds").await.expect("a point") >= 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_neither_recorded_nor_called_broken() {
    let mut stage = Stage::set(&["ME1", "ME2"]).await;
    stage.write("ME1", 3, 1).await;
    stage.write("ME2", 3, 1).await;
    stage.has_an_age(&slot::key("log/", "ME1", 1)).await;
    let second = Scope::origin("verifier").method("GET").path_prefix("/aex-log/log/ME1/00000000000000000002");
    let denied = stage.world.proxy().add(second.clone(), Fault::Deny);
    let extended = stage.schedule().await.expect("an answer");
    assert!(!extended.broken && extended.lag_seconds >= Some(1), "{extended:?}");
    assert_eq!((extended.streams[0].through, extended.streams[1].through), (None, Some(4)));
    assert!(stage.keys("checkpoint/ME1/").await.is_empty());
    assert!(stage.world.proxy().lift(denied));
    assert_eq!(stage.greatest_point("LedgerFindings").await, Some(0.0));

    // No answer at all: the other stream is done, and no metric says that all is well.
    stage.write("ME2", 1, 1).await;
    let points = Scope::origin("verifier").operation("PutMetricData");
    let put = stage.world.proxy().calls_in(&points).len();
    stage.world.proxy().add(second, Fault::Refuse);
    assert_eq!(stage.schedule().await.expect_err("a stream is left").name, ErrorName::Transient);
    assert_eq!(stage.world.proxy().calls_in(&points).len(), put, "missing points raise the alarm");
    assert_eq!(stage.keys("checkpoint/ME2/").await.len(), 2);
    stage.world.proxy().lift_all();
    let extended = stage.schedule().await.expect("an answer");
    assert_eq!((extended.lag_seconds, extended.streams[0].through), (Some(0), Some(4)));
}
