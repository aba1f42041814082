//! The two copies of a ledger against the emulator's conditional puts, listings and versions: what one has lost is put back
//! from the other, by the Lambda's own steps.

use ledger_verify::{Action, Answer, Examined, Witnessed, handle, open_stream, verify_history};
use lifeboat_ledger::writer::Writer;
use lifeboat_ledger::{Holder, StreamProof, Tail, slot};
use lifeboat_rules::admission::{GENESIS, GENESIS_EPOCH};
use lifeboat_rules::epoch::{Cause, Claim};
use lifeboat_rules::evidence::sha256;
use lifeboat_rules::plan::Witness;
use lifeboat_rules::{Plan, Request, Run, Step};
use lifeboat_runtime::{Context, Put, Store, now};
use lifeboat_tests::given;
use lifeboat_tests::world::deploy::{Bucket, create_bucket};
use lifeboat_tests::world::proxy::{Fault, Scope};
use lifeboat_tests::world::{Clients, ORIGIN_LAMBDA, World, WorldOptions};
use run_control::claim_epoch;
use serde_json::json;

const CONTROL: &str = "aex-control";
const EVIDENCE: &str = "aex-evidence";
const LOG: &str = "aex-log";
const PLAN_KEY: &str = "plan/aex.json";
const STREAM: &str = "ME1";
/// The shortest that a plan may ask for; the seal waits for it.
const STILL_SECONDS: u32 = 2;
const EPOCH: u64 = 2;
const RUN: &str = "run";

/// A segment as it was stored.
#[derive(Clone)]
struct Stored {
    slot: u64,
    bytes: Vec<u8>,
}

struct Stage {
    world: World,
    clients: Clients,
    context: Context,
    plan: Plan,
    run: Run,
    deliveries: u32,
}

impl Stage {
    /// A plan with a witness, a claimed epoch, and one opened stream.
    async fn set(required: bool) -> Stage {
        let mut world = World::start(WorldOptions::default()).await.expect("a world");
        let clients = world.clients(world.recovery());
        let entrance = world.entrance(ORIGIN_LAMBDA).await.expect("a way in");
        let through = Clients::new(&entrance, world.recovery());
        for bucket in [Bucket::versioned(CONTROL), Bucket::plain(EVIDENCE), Bucket::versioned(LOG)] {
            create_bucket(&clients, &bucket).await.expect("a bucket");
        }
        let context = Context {
            store: Store::new(&through.config),
            control_bucket: CONTROL.into(),
            evidence_bucket: EVIDENCE.into(),
        };
        let mut plan = given::plan();
        plan.probe.log_still_seconds = STILL_SECONDS;
        plan.ledger.streams = vec![STREAM.into()];
        plan.ledger.bucket = LOG.into();
        plan.ledger.witness = Some(Witness { prefix: "witness/".into(), required, objects_max: 1_000 });
        let uploaded = given::put_plan(&clients, CONTROL, &plan).await.expect("a plan");
        for (epoch, run, cause) in [(GENESIS_EPOCH, GENESIS, Cause::Genesis), (EPOCH, RUN, Cause::HandBack)] {
            let claim = Claim { epoch, run: run.into(), at: now(), cause };
            claim_epoch(&context.store, CONTROL, "aex", &claim).await.expect("an epoch");
        }
        open_stream(&context.store, &plan, STREAM, GENESIS_EPOCH, GENESIS).await.expect("an open");
        let run = given::run(RUN, uploaded, GENESIS_EPOCH, Some(EPOCH));
        Stage { world, clients, context, plan, run, deliveries: 0 }
    }

    /// So many segments of two entries each, written behind `tail` and stored if they are to be.
    async fn write(&self, tail: Tail, segments: usize, mark: &str, store: bool) -> (Tail, Vec<Stored>) {
        let mut writer = Writer::new("log/", tail, Holder::Primary, None);
        let mut stored = Vec::new();
        for number in 0..segments {
            let entry = json!({ "order": number, "mark": mark });
            let segment = writer.segment(&[entry.clone(), entry]).expect("the pen");
            if store {
                let put = self.context.store.create(LOG, &segment.key, &segment.bytes).await;
                assert_eq!(put.expect("a put"), Put::Created);
            }
            writer.stored(&segment);
            stored.push(Stored { slot: segment.first_seq, bytes: segment.bytes });
        }
        (writer.tail().clone(), stored)
    }

    /// The end of the log, replayed.
    async fn tail(&self) -> Tail {
        let mut tail = Tail::new(STREAM);
        while let Some(bytes) = self.get(&slot::key("log/", STREAM, tail.next_seq())).await {
            tail.absorb_segment(tail.next_seq(), &bytes).expect("the next segment");
        }
        tail
    }

    async fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.context.store.get(LOG, key, None).await.expect("an answer")
    }

    /// Delivers segments in one object, as Firehose names it.
    async fn deliver<'a>(&mut self, segments: impl IntoIterator<Item = &'a Stored>) -> String {
        let bytes = segments.into_iter().flat_map(|segment| segment.bytes.clone()).collect();
        self.deliver_bytes(bytes).await
    }

    async fn deliver_bytes(&mut self, bytes: Vec<u8>) -> String {
        self.deliveries += 1;
        let hour = 20 + self.deliveries % 3;
        let key =
            format!("witness/2026/11/23/{hour}/aex-witness-1-2026-11-23-{hour}-00-{:02}", self.deliveries);
        self.clients.s3.put_object().bucket(LOG).key(&key).body(bytes.into()).send().await.expect("a put");
        key
    }

    /// Removes a segment, behind the back of the policy that the emulator does not enforce here.
    async fn lose(&self, segment: &Stored) {
        let key = slot::key("log/", STREAM, segment.slot);
        self.clients.s3.delete_object().bucket(LOG).key(&key).send().await.expect("a delete");
        assert_eq!(self.get(&key).await, None);
    }

    async fn has(&self, segment: &Stored) {
        let found = self.get(&slot::key("log/", STREAM, segment.slot)).await;
        assert!(found.as_ref() == Some(&segment.bytes), "slot {}: {found:?}", segment.slot);
    }

    /// One step of the run.
    async fn step(&self, action: Action) -> Answer {
        let step = Step {
            run: RUN.into(),
            plan_key: PLAN_KEY.into(),
            name: "a test".into(),
            entered: "2026-11-23T00:00:00Z".into(),
            attempt: 0,
        };
        let request = Request { step, run: Some(self.run.clone()), action };
        handle(&self.context, request).await.expect("an answer")
    }

    async fn history(&self) -> Answer {
        self.step(Action::VerifyHistory {}).await
    }

    /// Seals once the log has stood still.
    async fn seal(&self, history: &[StreamProof]) -> Answer {
        for _ in 0..100 {
            match self.step(Action::Seal { history: history.to_vec() }).await {
                Answer::Advancing { .. } => tokio::time::sleep(std::time::Duration::from_millis(200)).await,
                answer => return answer,
            }
        }
        panic!("the log did not come to rest");
    }

    /// The first of the calls by which the witness is listed, as an earlier comparison made it.
    fn listing_the_witness(&self) -> Scope {
        let gets = self.world.proxy().calls_in(&Scope::everything().method("GET"));
        let path = gets.iter().map(|record| &record.call.path).find(|path| path.contains("prefix=witness"));
        let path = path.expect("the witness is listed");
        let until = path.find("prefix=witness").expect("it says so") + "prefix=witness".len();
        Scope::everything().path_prefix(&path[..until])
    }

    async fn keys(&self, prefix: &str) -> Vec<String> {
        let listed = self.context.store.list(LOG, prefix, 1_000).await.expect("a listing");
        listed.into_iter().map(|object| object.key).collect()
    }
}

fn proven(answer: Answer) -> (Examined, Witnessed) {
    match answer {
        Answer::Proven(examined) => {
            let witness = examined.witness.clone().expect("the plan has a witness");
            (examined, witness)
        }
        other => panic!("{other:?}"),
    }
}

fn broken(answer: Answer) -> Examined {
    match answer {
        Answer::Broken(examined) => examined,
        other => panic!("{other:?}"),
    }
}

fn unproven(answer: Answer) -> Examined {
    match answer {
        Answer::Unproven(examined) => examined,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hole_is_put_back_from_the_witness_by_a_run_and_not_by_a_look() {
    let mut stage = Stage::set(false).await;
    let (_, segments) = stage.write(stage.tail().await, 6, "a", true).await;
    stage.deliver(&segments[3..]).await;
    // Late, and at least once.
    stage.deliver(&segments[..4]).await;
    stage.lose(&segments[1]).await;
    stage.lose(&segments[3]).await;

    let looked = broken(verify_history(&stage.context.store, &stage.plan).await.expect("a verdict"));
    assert!(looked.reason.contains("missing"), "{}", looked.reason);
    assert_eq!(looked.witness.expect("it was asked").mendable, 4);
    assert_eq!(stage.get(&slot::key("log/", STREAM, segments[1].slot)).await, None, "a look puts nothing");

    let (examined, witness) = proven(stage.history().await);
    for segment in &segments {
        stage.has(segment).await;
    }
    let healed: Vec<_> = witness.healed.iter().map(|healed| (healed.key.as_str(), &healed.sha256)).collect();
    let expected: Vec<_> = [&segments[1], &segments[3]]
        .map(|lost| (slot::key("log/", STREAM, lost.slot), sha256(&lost.bytes)))
        .to_vec();
    assert_eq!(healed, expected.iter().map(|(key, digest)| (key.as_str(), digest)).collect::<Vec<_>>());
    assert!(examined.reason.contains("2 objects were put back"), "{}", examined.reason);
    assert_eq!((witness.streams[0].compared_through, witness.streams[0].same), (Some(13), 12));

    // Nothing is left to be done, and the log is whole by itself.
    let (_, witness) = proven(stage.history().await);
    assert_eq!((witness.healed_count, witness.mendable), (0, 0));
    assert_eq!(stage.tail().await.next_seq(), 14);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_both_have_lost_stays_broken() {
    let mut stage = Stage::set(false).await;
    let (_, segments) = stage.write(stage.tail().await, 4, "a", true).await;
    stage.deliver([&segments[0], &segments[2], &segments[3]]).await;
    stage.lose(&segments[1]).await;
    let examined = broken(stage.history().await);
    assert_eq!((examined.findings_count, examined.findings[0].seq), (1, Some(segments[1].slot)));
    assert_eq!(stage.get(&slot::key("log/", STREAM, segments[1].slot)).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_that_differ_are_broken() {
    let mut stage = Stage::set(false).await;
    let before = stage.tail().await;
    let (middle, first) = stage.write(before, 2, "a", true).await;
    stage.write(middle.clone(), 2, "b", true).await;
    let (_, other) = stage.write(middle.clone(), 1, "c", false).await;
    let key = stage.deliver(first.iter().chain(&other)).await;
    let examined = broken(stage.history().await);
    let finding = &examined.findings[0];
    assert_eq!(finding.seq, Some(middle.next_seq()), "{finding}");
    assert_eq!(finding.object.as_deref(), Some(key.as_str()));
    assert!(finding.version.is_some() && finding.what.contains("the copies differ"), "{finding}");
    let at = usize::try_from(finding.offset.expect("a place")).expect("a place");
    assert_eq!(at, first.iter().map(|segment| segment.bytes.len()).sum::<usize>());
}

/// The witness alone would vouch for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_end_stops_the_run_and_is_not_put_back() {
    let mut stage = Stage::set(false).await;
    let (_, segments) = stage.write(stage.tail().await, 5, "a", true).await;
    let (whole, _) = proven(stage.history().await);
    // One that follows the end, and one that does not.
    for delivered in [&segments[3..], &segments[4..]] {
        stage.deliver(segments[..2].iter().chain(delivered)).await;
        for lost in &segments[3..] {
            stage.lose(lost).await;
        }
        let examined = unproven(stage.history().await);
        let finding = &examined.findings[0];
        assert_eq!(finding.seq, Some(segments[3].slot), "{finding}");
        let what = "the witness holds entries through 11 behind the log's end at 7";
        assert!(finding.what.contains(what), "{finding}");
        let witness = examined.witness.expect("it was asked");
        assert!(
            witness.streams[0].beyond > 0 && witness.healed.iter().all(|it| it.last_seq <= 7),
            "{witness:?}"
        );
        assert_eq!(stage.tail().await.next_seq(), segments[3].slot, "nothing is put behind the end");
    }
    // To seal, the witness is not asked: nothing of it may stand in the way behind the fence.
    let asked = || stage.world.proxy().calls_in(&Scope::everything().path_prefix("/aex-log/witness/")).len();
    let earlier = asked();
    let end = stage.tail().await;
    let short = StreamProof {
        through: end.next_seq() - 1,
        head: end.head(),
        entries: end.next_seq() - 1,
        pen: end.pen().clone(),
        ..whole.streams[0].clone()
    };
    let sealed = stage.seal(&[short]).await;
    assert!(matches!(&sealed, Answer::Sealed { streams } if streams[0].seq == 8), "{sealed:?}");
    assert_eq!(asked(), earlier);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_old_primary_sent_but_could_not_put_is_void() {
    let mut stage = Stage::set(true).await;
    let (end, segments) = stage.write(stage.tail().await, 3, "a", true).await;
    stage.deliver(&segments).await;
    let (history, _) = proven(stage.history().await);
    let sealed = stage.seal(&history.streams).await;
    assert!(matches!(sealed, Answer::Sealed { .. }), "{sealed:?}");
    let (_, late) = stage.write(end, 2, "void", false).await;
    stage.deliver(segments[2..].iter().chain(&late)).await;
    let (tail, witness) = proven(stage.step(Action::VerifyTail { history: history.streams }).await);
    assert_eq!((witness.streams[0].void, witness.streams[0].compared_through), (4, Some(7)));
    assert!(tail.reason.contains("4 entries of the witness are void"), "{}", tail.reason);
    let opened = stage.step(Action::Open { sealed: tail.streams }).await;
    assert!(matches!(opened, Answer::Opened { .. }), "{opened:?}");
    let (_, witness) = proven(stage.history().await);
    assert_eq!((witness.streams[0].void, witness.streams[0].beyond), (4, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_never_delivered_is_put_back_beside_the_deliveries() {
    let mut stage = Stage::set(false).await;
    let (_, segments) = stage.write(stage.tail().await, 6, "a", true).await;
    stage.deliver([&segments[0], &segments[3], &segments[4]]).await;
    let key = "witness/healed/ME1/00000000000000000004.ndjson";
    let looked = verify_history(&stage.context.store, &stage.plan).await.expect("a verdict");
    assert_eq!(proven(looked).1.streams[0].missing, 4);
    assert_eq!(stage.keys("witness/healed/").await, [""; 0], "a look puts nothing");

    let (_, witness) = proven(stage.history().await);
    assert_eq!(witness.healed.iter().map(|healed| healed.key.as_str()).collect::<Vec<_>>(), [key]);
    let expected = [segments[1].bytes.clone(), segments[2].bytes.clone()].concat();
    assert_eq!(stage.get(key).await, Some(expected));
    // What lies behind the greatest delivered sequence is only late.
    assert_eq!((witness.streams[0].missing, witness.streams[0].compared_through), (0, Some(11)));
    let (_, witness) = proven(stage.history().await);
    assert_eq!((witness.healed_count, witness.streams[0].missing, witness.streams[0].same), (0, 0, 10));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_witness_that_cannot_be_read_is_said_and_the_plan_decides() {
    for required in [false, true] {
        let mut stage = Stage::set(required).await;
        let (_, segments) = stage.write(stage.tail().await, 3, "a", true).await;
        stage.deliver(&segments).await;
        let key = stage.deliver_bytes(b"\x1f\x8b\x08\x00 no gzip stream at all".to_vec()).await;
        let examined = match (required, stage.history().await) {
            (false, Answer::Proven(examined)) | (true, Answer::Unproven(examined)) => examined,
            (_, other) => panic!("required: {required}: {other:?}"),
        };
        let witness = examined.witness.expect("it was asked");
        assert_eq!((witness.unreadable_count, witness.streams[0].same), (1, 6));
        assert_eq!(witness.unreadable[0].object.as_deref(), Some(key.as_str()));
        assert!(examined.reason.contains("could not be read"), "{}", examined.reason);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_witness_that_was_never_delivered_is_said() {
    let stage = Stage::set(true).await;
    stage.write(stage.tail().await, 3, "a", true).await;
    let (_, witness) = proven(stage.history().await);
    assert_eq!((witness.objects, witness.streams.len()), (0, 0));
    assert!(witness.reason.contains("nothing of it was delivered"), "{}", witness.reason);
}

/// The first reading passes, and says that the copies differ. The second, which would say where, is refused, as it is where
/// the role lacks `s3:GetObjectVersion`.
#[tokio::test(flavor = "multi_thread")]
async fn what_differs_and_cannot_be_read_again_is_not_proven() {
    let mut stage = Stage::set(false).await;
    let (middle, first) = stage.write(stage.tail().await, 2, "a", true).await;
    stage.write(middle.clone(), 2, "b", true).await;
    let (_, other) = stage.write(middle, 1, "c", false).await;
    let key = stage.deliver(first.iter().chain(&other)).await;
    let again = Scope::everything().path_prefix(&format!("/{LOG}/{key}?x-id=GetObject&versionId="));
    let refused = stage.world.proxy().add(again, Fault::Deny);
    let examined = unproven(stage.history().await);
    assert_eq!(stage.world.proxy().met(refused), 1);
    let finding = &examined.findings[0];
    assert!(finding.what.contains("could not be read again"), "{finding}");
    assert_eq!((finding.object.as_deref(), finding.seq), (Some(key.as_str()), Some(7)));
    // It is a fork, once it can be read.
    stage.world.proxy().lift_all();
    broken(stage.history().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_witness_that_may_not_be_listed_or_written_does_not_fail_the_run() {
    for required in [false, true] {
        let mut stage = Stage::set(required).await;
        let (_, segments) = stage.write(stage.tail().await, 4, "a", true).await;
        stage.deliver([&segments[0], &segments[3]]).await;
        let judged = |answer: Answer| match (required, answer) {
            (false, Answer::Proven(examined)) | (true, Answer::Unproven(examined)) => examined,
            (_, other) => panic!("required: {required}: {other:?}"),
        };
        let puts = Scope::everything().method("PUT").path_prefix(&format!("/{LOG}/witness/healed/"));
        let refused = stage.world.proxy().add(puts, Fault::Deny);
        let examined = judged(stage.history().await);
        assert_eq!(stage.world.proxy().met(refused), 1);
        let witness = examined.witness.expect("it was asked");
        assert_eq!((witness.streams[0].missing, witness.healed_count, witness.unreadable_count), (4, 0, 1));
        assert!(witness.unreadable[0].what.contains("could not be put back"), "{:?}", witness.unreadable);
        stage.world.proxy().lift_all();

        stage.world.proxy().add(stage.listing_the_witness(), Fault::Deny);
        let examined = judged(stage.history().await);
        let witness = examined.witness.expect("it was asked");
        assert_eq!((witness.streams.len(), witness.unreadable_count), (0, 1));
        assert!(witness.unreadable[0].what.contains("cannot be listed"), "{:?}", witness.unreadable);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn more_holes_than_a_run_has_time_for_are_counted_and_put_back_by_the_next() {
    let mut stage = Stage::set(false).await;
    let (_, segments) = stage.write(stage.tail().await, 2 * 260 + 1, "a", true).await;
    stage.deliver(segments.iter().step_by(2)).await;
    let (_, witness) = proven(stage.history().await);
    assert_eq!((witness.healed_count, witness.healed.len(), witness.streams[0].missing), (256, 20, 8));
    assert!(witness.reason.contains("8 entries are missing"), "{}", witness.reason);
    let (_, witness) = proven(stage.history().await);
    assert_eq!((witness.healed_count, witness.streams[0].missing), (4, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_epoch_of_nobody_is_void_and_a_stream_of_nobody_is_said() {
    for required in [false, true] {
        let mut stage = Stage::set(required).await;
        let (middle, first) = stage.write(stage.tail().await, 2, "a", true).await;
        stage.write(middle.clone(), 2, "b", true).await;
        stage.deliver(&first).await;
        let (_, other) = stage.write(middle, 1, "c", false).await;
        let text = String::from_utf8(other[0].bytes.clone()).expect("text");
        // Its second line does not follow the first any more, and is no part of this.
        let line = text.lines().next().expect("a line");
        stage.deliver_bytes(format!("{}\n", line.replace("\"epoch\":1", "\"epoch\":9")).into_bytes()).await;
        let (_, witness) = proven(stage.history().await);
        assert_eq!((witness.streams[0].void, witness.streams[0].same), (1, 4));

        let foreign = String::from_utf8(first[0].bytes.clone()).expect("text");
        stage.deliver_bytes(foreign.replace("\"ME1\"", "\"ME9\"").into_bytes()).await;
        let examined = match (required, stage.history().await) {
            (false, Answer::Proven(examined)) | (true, Answer::Unproven(examined)) => examined,
            (_, other) => panic!("required: {required}: {other:?}"),
        };
        assert_eq!(examined.witness.expect("it was asked").unknown_streams, ["ME9"]);
        assert!(examined.reason.contains("the plan"), "{}", examined.reason);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_log_does_not_give_again_stays_missing_in_the_witness() {
    let mut stage = Stage::set(false).await;
    let (_, segments) = stage.write(stage.tail().await, 4, "a", true).await;
    stage.deliver([&segments[0], &segments[3]]).await;
    verify_history(&stage.context.store, &stage.plan).await.expect("a verdict");
    // The log is read and proven before the witness is listed, and from then on refuses one of its segments.
    let proxy = stage.world.proxy();
    let held = proxy.add(stage.listing_the_witness(), Fault::Hold);
    let refuse = async {
        while proxy.met(held) == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        let key = slot::key("log/", STREAM, segments[1].slot);
        let path = Scope::everything().method("GET").path_prefix(&format!("/{LOG}/{key}"));
        let refused = proxy.add(path, Fault::Deny);
        proxy.release(held).await.expect("it is held");
        refused
    };
    let (answer, refused) = tokio::time::timeout(std::time::Duration::from_secs(60), async {
        tokio::join!(stage.history(), refuse)
    })
    .await
    .expect("an answer in time");
    assert!(proxy.met(refused) > 0);
    let (_, witness) = proven(answer);
    assert_eq!((witness.streams[0].missing, witness.healed_count), (2, 1));
    assert_eq!(witness.healed[0].first_seq, segments[2].slot);
    assert!(witness.reason.contains("2 entries are missing"), "{}", witness.reason);
}
