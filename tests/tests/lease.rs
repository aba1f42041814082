//! A run takes over the leases that `lifeboat init` has made: the Lambda's own steps against the emulator's `If-Match`,
//! listings and clocks.
//!
//! The application is a [`LeaseWriter`] in this process, and what Firehose does (late, twice, in any order) is a plain put of a
//! delivery here, so that a test decides when it comes. Neither Firehose's buffering nor S3's own conditional puts are shown.

use std::process::Stdio;
use std::time::{Duration, Instant};

use ledger_verify::checkpoint::{Bounds, extend_on_schedule};
use ledger_verify::lease::{self, Bound};
use ledger_verify::{Action, Answer, Examined, FINDINGS_METRIC, LAG_METRIC, Metrics, hand_back, handle};
use lifeboat_ledger::lease::{Lease, LeaseWriter};
use lifeboat_ledger::{Hash, Holder, PenState, StreamProof};
use lifeboat_rules::admission::{GENESIS, GENESIS_EPOCH};
use lifeboat_rules::epoch::{Cause, Claim};
use lifeboat_rules::plan::LeasePlan;
use lifeboat_rules::{ErrorName, Plan, Request, Run, Step, StepError};
use lifeboat_runtime::{Context, Log, Replace, Store, now};
use lifeboat_tests::given;
use lifeboat_tests::leased;
use lifeboat_tests::world::clients::{ACCESS_KEY, SECRET_KEY};
use lifeboat_tests::world::deploy::{Bucket, create_bucket};
use lifeboat_tests::world::proxy::{Fault, Scope};
use lifeboat_tests::world::{Clients, World, WorldOptions, places};
use run_control::claim_epoch;
use tokio::process::Command;
use tokio::sync::watch;

const CONTROL: &str = "aex-control";
const EVIDENCE: &str = "aex-evidence";
const LOG: &str = "aex-log";
const PLAN_KEY: &str = "plan/aex.json";
const STREAM: &str = "ME1";
/// The shortest that a plan may ask for; the seal waits for it.
const STILL_SECONDS: u32 = 2;
const EPOCH: u64 = 2;
const RUN: &str = "run";
/// Within which what is not delivered is overdue, after a wait of 8 s.
const OVERDUE_WITHIN: Duration = Duration::from_secs(60);
/// Within which a holder that looks each second has lost its lease to a taker whose tries take 20 s.
const LOST_WITHIN: Duration = Duration::from_secs(60);
/// What each call of a person costs who is far from the log's Region.
const FAR: Duration = Duration::from_millis(150);

struct Stage {
    world: World,
    clients: Clients,
    context: Context,
    plan: Plan,
    run: Run,
    deliveries: u32,
}

impl Stage {
    /// A plan whose ledger has a lease, what `lifeboat init` makes of it, and a claimed epoch.
    async fn set(delivery_wait_seconds_max: u32) -> Stage {
        let world = World::start(WorldOptions::default()).await.expect("a world");
        let clients = world.clients(world.recovery());
        for bucket in [Bucket::versioned(CONTROL), Bucket::plain(EVIDENCE), Bucket::versioned(LOG)] {
            create_bucket(&clients, &bucket).await.expect("a bucket");
        }
        let context = Context {
            store: Store::new(&clients.config),
            control_bucket: CONTROL.into(),
            evidence_bucket: EVIDENCE.into(),
        };
        let mut plan = given::plan();
        plan.probe.log_still_seconds = STILL_SECONDS;
        plan.ledger.streams = vec![STREAM.into()];
        plan.ledger.bucket = LOG.into();
        plan.ledger.prefix = "witness/".into();
        plan.ledger.lease = Some(LeasePlan { delivery_wait_seconds_max });
        let uploaded = given::put_plan(&clients, CONTROL, &plan).await.expect("a plan");
        for _ in 0..2 {
            init(&world).await;
            let made = context.store.get(LOG, &format!("lease/{STREAM}"), None).await.expect("an answer");
            assert_eq!(made, Some(Lease::first(STREAM, GENESIS_EPOCH, GENESIS).to_bytes()));
        }
        let claim = Claim { epoch: EPOCH, run: RUN.into(), at: now(), cause: Cause::Alarm };
        claim_epoch(&context.store, CONTROL, "aex", &claim).await.expect("an epoch");
        let run = given::run(RUN, uploaded, GENESIS_EPOCH, Some(EPOCH));
        Stage { world, clients, context, plan, run, deliveries: 0 }
    }

    fn store(&self) -> &Store {
        &self.context.store
    }

    /// The lease as it stands, and its tag.
    async fn lease(&self) -> (Lease, String) {
        let log = Log::new(self.store(), &self.plan.ledger);
        let (lease, tagged) = log.lease(STREAM).await.expect("an answer").expect("a lease");
        (lease, tagged.etag)
    }

    async fn writer(&self, side: Holder, epoch: Option<u64>) -> LeaseWriter {
        let (lease, etag) = self.lease().await;
        LeaseWriter::new(lease, etag, side, epoch)
    }

    async fn deliver(&mut self, lines: &[Vec<u8>]) {
        self.deliveries += 1;
        let key = format!("witness/2026/11/23/20/aex-1-2026-11-23-20-00-{:02}", self.deliveries);
        let put = self.clients.s3.put_object().bucket(LOG).key(&key).body(lines.concat().into());
        put.send().await.expect("a put");
    }

    async fn step(&self, action: Action) -> Result<Answer, StepError> {
        let step = Step {
            run: self.run.id.clone(),
            plan_key: PLAN_KEY.into(),
            name: "a test".into(),
            entered: "2026-11-23T00:00:00Z".into(),
            attempt: 0,
        };
        handle(&self.context, Request { step, run: Some(self.run.clone()), action }).await
    }

    async fn history(&self) -> Vec<StreamProof> {
        proven(self.step(Action::VerifyHistory {}).await.expect("an answer")).streams
    }

    /// Seals once the lease has stood still; how often it was refused before.
    async fn seal(&self, history: &[StreamProof]) -> (Answer, usize) {
        for refused in 0..100 {
            match self.step(Action::Seal { history: history.to_vec() }).await.expect("an answer") {
                Answer::Advancing { .. } => tokio::time::sleep(Duration::from_millis(200)).await,
                answer => return (answer, refused),
            }
        }
        panic!("the lease did not come to rest");
    }

    async fn tail(&self, history: &[StreamProof]) -> Result<Answer, StepError> {
        self.step(Action::VerifyTail { history: history.to_vec() }).await
    }
}

/// Begins the ledger, as a person does.
async fn init(world: &World) {
    let mut command = Command::new(places::binary("lifeboat").expect("the command"));
    command.args(["init", "--plan", "aex", "--control-bucket", CONTROL]).env_clear().envs([
        ("AWS_ENDPOINT_URL", world.endpoint().as_str()),
        ("AWS_REGION", world.recovery()),
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
        ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
    ]);
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await.expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Advances the lease to the entry `through`, which is `line`; why it was lost, where it was.
async fn advance(store: &Store, writer: &mut LeaseWriter, through: u64, line: &[u8]) -> Result<(), String> {
    leased::advance::advance(store, LOG, writer, through, Hash::of(line.trim_ascii_end())).await
}

/// Lines `first..=last` under `epoch`, chained behind `head`, and the hash of the last.
fn lines(first: u64, last: u64, epoch: u64, mut head: Hash) -> (Vec<Vec<u8>>, Hash) {
    let line = |seq| {
        let line = format!(r#"{{"stream":"{STREAM}","seq":{seq},"prev":"{head}","epoch":{epoch}}}"#);
        head = Hash::of(line.as_bytes());
        (line + "\n").into_bytes()
    };
    ((first..=last).map(line).collect(), head)
}

/// As [`lines`], and other lines.
fn salted(first: u64, last: u64, epoch: u64, mut head: Hash) -> (Vec<Vec<u8>>, Hash) {
    let line = |seq| {
        let line =
            format!(r#"{{"stream":"{STREAM}","seq":{seq},"prev":"{head}","epoch":{epoch},"other":1}}"#);
        head = Hash::of(line.as_bytes());
        (line + "\n").into_bytes()
    };
    ((first..=last).map(line).collect(), head)
}

fn proven(answer: Answer) -> Examined {
    match answer {
        Answer::Proven(examined) => examined,
        other => panic!("{other:?}"),
    }
}

fn name(result: Result<Answer, StepError>) -> ErrorName {
    result.expect_err("an error").name
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_takes_a_lease_over_waits_for_its_deliveries_and_opens_it() {
    let mut stage = Stage::set(600).await;
    let (all, head) = lines(1, 9, 1, Hash::GENESIS);
    let mut primary = stage.writer(Holder::Primary, None).await;
    advance(stage.store(), &mut primary, 9, &all[8]).await.expect("the lease");
    // What was sent and never acknowledged, and what was sent twice, is delivered as well.
    let (unacknowledged, _) = lines(10, 12, 1, head);
    stage.deliver(&all[3..6]).await;
    stage.deliver(&unacknowledged).await;
    stage.deliver(&all[..5]).await;
    let history = stage.history().await;
    assert_eq!(history[0].through, 6, "as far as it was delivered without a gap");
    assert_eq!(history[0].pen.state(), &PenState::Open { epoch: 1, holder: Holder::Primary });

    let (answer, refused) = stage.seal(&history).await;
    assert!(refused > 0, "the last look was never taken");
    let Answer::Sealed { streams } = answer else { panic!("{answer:?}") };
    assert_eq!(streams[0].seq, 9);
    let (answer, _) = stage.seal(&history).await;
    assert!(matches!(answer, Answer::Sealed { .. }), "asked again: {answer:?}");
    let lost = advance(stage.store(), &mut primary, 10, &unacknowledged[0]).await.expect_err("it is fenced");
    assert!(lost.contains("has closed it"), "{lost}");
    assert_eq!(
        (primary.watermark(), stage.lease().await.0.watermark),
        (9, 9),
        "nothing more is acknowledged"
    );

    assert_eq!(name(stage.tail(&history).await), ErrorName::NotReady);
    stage.deliver(&all[6..]).await;
    let examined = proven(stage.tail(&history).await.expect("an answer"));
    assert_eq!(examined.void, 3);
    assert!(examined.reason.ends_with("3 more were delivered and are void"), "{}", examined.reason);
    let sealed = examined.streams;
    assert_eq!((sealed[0].through, sealed[0].entries, sealed[0].head), (9, 9, head));

    for _ in 0..2 {
        let answer = stage.step(Action::Open { sealed: sealed.clone() }).await.expect("an answer");
        assert!(matches!(answer, Answer::Opened { .. }), "{answer:?}");
    }
    let mut recovery = stage.writer(Holder::Recovery, Some(EPOCH)).await;
    let (more, _) = lines(10, 14, EPOCH, head);
    stage.deliver(&more).await;
    assert_eq!((recovery.watermark(), recovery.head()), (9, head), "where it goes on from");
    advance(stage.store(), &mut recovery, 14, &more[4]).await.expect("the lease");
    assert_eq!(stage.history().await[0].through, 14, "past what the primary has left there");

    // A person gives it back; asked again, nothing changes.
    let history = stage.history().await;
    for _ in 0..2 {
        let answer = hand_back(stage.store(), &stage.plan, 3, "handback", &history).await.expect("an answer");
        assert!(matches!(answer, Answer::Opened { .. }), "{answer:?}");
    }
    let (next, _) = lines(15, 15, 3, recovery.head());
    assert!(advance(stage.store(), &mut recovery, 15, &next[0]).await.is_err());
    let (lease, _) = stage.lease().await;
    assert_eq!((lease.epoch, lease.holder, lease.watermark), (3, Some(Holder::Primary), 14));
    let mut primary = stage.writer(Holder::Primary, None).await;
    assert_eq!(primary.has_lease(), Ok(3));
    advance(stage.store(), &mut primary, 15, &next[0]).await.expect("the lease");

    // The run wakes up: neither what it takes nor what it gives has an effect.
    let stands = stage.lease().await;
    assert_eq!(name(stage.step(Action::Seal { history: history.clone() }).await), ErrorName::Fenced);
    assert_eq!(name(stage.tail(&history).await), ErrorName::Fenced);
    assert_eq!(name(stage.step(Action::Open { sealed: history }).await), ErrorName::Fenced);
    assert_eq!(stage.lease().await, stands);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_never_delivered_is_unproven_after_the_wait_and_what_is_on_no_chain_is_void() {
    let mut stage = Stage::set(8).await;
    let (all, _) = lines(1, 9, 1, Hash::GENESIS);
    let mut primary = stage.writer(Holder::Primary, None).await;
    advance(stage.store(), &mut primary, 9, &all[8]).await.expect("the lease");
    stage.deliver(&all[..4]).await;
    let history = stage.history().await;
    assert_eq!(history[0].through, 4);
    assert!(matches!(stage.seal(&history).await.0, Answer::Sealed { .. }));
    match stage.tail(&history).await.expect("an answer") {
        Answer::Unproven(examined) => {
            let says = "whole through 4, but 9 was acknowledged: entry 9 with the hash";
            assert!(examined.reason.contains(says), "{}", examined.reason);
            assert_eq!(examined.void, 0, "nobody can tell yet");
        }
        other => panic!("{other:?}"),
    }
    // It has come after all, and with it another entry in the place of one.
    stage.deliver(&all[4..]).await;
    proven(stage.tail(&history).await.expect("an answer"));
    let mut other = all[6].clone();
    other.insert(other.len() - 2, b' ');
    stage.deliver(&[other]).await;
    assert_eq!(proven(stage.tail(&history).await.expect("an answer")).void, 1);

    // An entry of nobody's epoch that everything acknowledged hangs on is another thing.
    let mut stage = Stage::set(1).await;
    let (foreign, _) = lines(1, 3, 7, Hash::GENESIS);
    let mut primary = stage.writer(Holder::Primary, None).await;
    advance(stage.store(), &mut primary, 3, &foreign[2]).await.expect("the lease");
    stage.deliver(&foreign).await;
    match stage.step(Action::VerifyHistory {}).await.expect("an answer") {
        Answer::Broken(examined) => assert!(examined.reason.contains("epoch 7"), "{}", examined.reason),
        other => panic!("{other:?}"),
    }
    let history = [StreamProof {
        stream: STREAM.into(),
        first_seq: 1,
        through: 0,
        head: Hash::GENESIS,
        entries: 0,
        pen: stage.lease().await.0.pen(),
    }];
    let answer = hand_back(stage.store(), &stage.plan, 3, "handback", &history).await.expect("an answer");
    assert!(matches!(answer, Answer::Broken(_)), "{answer:?}");
    assert_eq!(stage.lease().await.0.holder, None, "nobody goes on from it");
}

/// What the schedule does once an hour: a look that finds nothing, one at what is on its way, one at what is overdue.
#[tokio::test(flavor = "multi_thread")]
async fn the_schedule_reads_the_whole_ledger_and_tells_what_is_overdue() {
    let mut stage = Stage::set(8).await;
    let metrics = Metrics { cloudwatch: stage.clients.cloudwatch.clone(), namespace: "Lifeboat".into() };
    let bounds = Bounds { entries_max: 1, bytes_max: 1, seconds_max: 1, ..Bounds::default() };
    let look = async |stage: &Stage| {
        let made = extend_on_schedule(&stage.context, &metrics, PLAN_KEY, bounds, "a test").await;
        made.expect("a look")
    };
    let nothing = look(&stage).await;
    assert_eq!((nothing.lag_seconds, nothing.broken), (Some(0), false), "{nothing:?}");

    let (all, _) = lines(1, 9, 1, Hash::GENESIS);
    let mut primary = stage.writer(Holder::Primary, None).await;
    advance(stage.store(), &mut primary, 9, &all[8]).await.expect("the lease");
    let under_way = look(&stage).await;
    assert_eq!(
        (under_way.lag_seconds, under_way.broken),
        (None, false),
        "nothing was ever delivered: {under_way:?}"
    );
    stage.deliver(&all[..4]).await;
    let until = Instant::now() + OVERDUE_WITHIN;
    let overdue = loop {
        let looked = look(&stage).await;
        assert_eq!(looked.streams[0].through, Some(4), "{looked:?}");
        if looked.broken {
            break looked;
        }
        assert!(Instant::now() < until, "nobody minds that it is not delivered: {looked:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    let said = overdue.streams[0].findings[0].to_string();
    assert!(said.contains("not everything through 9 was delivered"), "{said}");
    assert!(overdue.lag_seconds.is_some_and(|seconds| seconds > 0), "{overdue:?}");

    stage.deliver(&all[4..]).await;
    let whole = look(&stage).await;
    assert_eq!(
        (whole.lag_seconds, whole.broken, whole.streams[0].through),
        (Some(0), false, Some(9)),
        "{whole:?}"
    );
    assert_eq!(whole.streams[0].objects, 2);
    let found = stage.clients.cloudwatch.list_metrics().namespace("Lifeboat").send().await.expect("metrics");
    let mut named: Vec<_> = found.metrics().iter().filter_map(|metric| metric.metric_name()).collect();
    named.sort_unstable();
    assert_eq!(named, [FINDINGS_METRIC, LAG_METRIC]);
}

/// A process sends more than it acknowledges and dies; the next one goes on from watermark and head, with other entries in the
/// same places.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_within_an_epoch_loses_nothing_and_what_the_first_process_left_is_void() {
    let mut stage = Stage::set(600).await;
    let (first, _) = lines(1, 12, 1, Hash::GENESIS);
    let mut died = stage.writer(Holder::Primary, None).await;
    advance(stage.store(), &mut died, 7, &first[6]).await.expect("the lease");
    let late = died.advance(12, Hash::of(first[11].trim_ascii_end())).expect("the lease").expect("a put");

    let mut next = stage.writer(Holder::Primary, None).await;
    assert_eq!(next.watermark(), 7);
    let (second, head) = salted(8, 10, 1, next.head());
    advance(stage.store(), &mut next, 10, &second[2]).await.expect("the lease");
    // The put of the process that died arrives now.
    let put = stage.store().replace(LOG, &late.key, &late.if_match, &late.bytes).await.expect("an answer");
    assert!(matches!(put, Replace::Differs(_)), "{put:?}");
    // What the first one left is delivered first, and reaches further.
    stage.deliver(&first).await;
    let history = stage.history().await;
    assert_eq!(history[0].through, 0, "the one object that came holds something else at 10");
    stage.deliver(&second).await;
    assert_eq!(stage.history().await[0].through, 10);
    assert!(matches!(stage.seal(&history).await.0, Answer::Sealed { .. }));
    let examined = proven(stage.tail(&history).await.expect("an answer"));
    assert_eq!((examined.streams[0].through, examined.streams[0].head), (10, head));
    assert_eq!(examined.void, 5);
}

/// A recovery side that acknowledges without a pause, near its lease, and a person far away who takes it from there.
#[tokio::test(flavor = "multi_thread")]
async fn a_hand_back_takes_the_lease_from_a_holder_that_is_quicker_every_time() {
    let mut stage = Stage::set(600).await;
    let history = stage.history().await;
    assert!(matches!(stage.seal(&history).await.0, Answer::Sealed { .. }));
    let opened = stage.step(Action::Open { sealed: history.clone() }).await;
    assert!(matches!(opened, Ok(Answer::Opened { .. })), "{opened:?}");

    let (newest_fence, fence) = watch::channel(0);
    let watching = tokio::spawn(leased::fence::watch(stage.store().clone(), LOG.into(), newest_fence));
    let (store, mut holder) = (stage.store().clone(), stage.writer(Holder::Recovery, Some(EPOCH)).await);
    let holding = tokio::spawn(async move {
        let mut acknowledged = Vec::new();
        loop {
            let next = holder.watermark() + 1;
            let (mut line, _) = lines(next, next, EPOCH, holder.head());
            holder.saw_fence(*fence.borrow());
            if let Err(lost) = advance(&store, &mut holder, next, &line[0]).await {
                return (acknowledged, lost);
            }
            acknowledged.append(&mut line);
        }
    });
    let endpoint = stage.world.entrance("person").await.expect("a way in");
    let far = Store::new(&Clients::new(&endpoint, stage.world.recovery()).config);
    stage.world.proxy().add(Scope::origin("person"), Fault::Delay(FAR));
    let (plan, streams) = (stage.plan.clone(), history.clone());
    let handing_back =
        tokio::spawn(async move { hand_back(&far, &plan, EPOCH + 1, "handback", &streams).await });

    let held = tokio::time::timeout(LOST_WITHIN, holding).await;
    let (acknowledged, lost) = held.expect("it holds the lease for good").expect("no panic");
    assert!(!acknowledged.is_empty(), "it was busy");
    // All of it is delivered late, after the lease was lost.
    stage.deliver(&acknowledged).await;
    let answer = handing_back.await.expect("no panic");
    assert!(matches!(answer, Ok(Answer::Opened { .. })), "{answer:?}; the holder: {lost}");
    let (lease, _) = stage.lease().await;
    assert_eq!((lease.holder, lease.epoch), (Some(Holder::Primary), EPOCH + 1));
    assert_eq!(lease.watermark, acknowledged.len() as u64, "nothing that it acknowledged is lost");
    watching.await.expect("nobody listens any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stays_away_is_found_before_anything_is_put() {
    let mut stage = Stage::set(1).await;
    let (all, _) = lines(1, 9, 1, Hash::GENESIS);
    stage.deliver(&all[..3]).await;
    stage.deliver(&all[5..]).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    // Nothing was acknowledged: nothing is late.
    assert_eq!(stage.history().await[0].through, 0);
    let mut primary = stage.writer(Holder::Primary, None).await;
    advance(stage.store(), &mut primary, 9, &all[8]).await.expect("the lease");
    // The lease is new, but what is behind the hole is not.
    let found = unproven(stage.step(Action::VerifyHistory {}).await);
    assert!(found.reason.contains("though what goes on from it was"), "{}", found.reason);
    assert_eq!(found.findings[0].seq, Some(5));

    // And one whose end alone has not come: no entry says so, but the lease has stood for longer than the plan waits.
    let mut stage = Stage::set(1).await;
    let mut primary = stage.writer(Holder::Primary, None).await;
    stage.deliver(&all[..7]).await;
    advance(stage.store(), &mut primary, 9, &all[8]).await.expect("the lease");
    tokio::time::sleep(Duration::from_secs(3)).await;
    let found = unproven(stage.step(Action::VerifyHistory {}).await);
    assert!(found.reason.contains("not everything through 9 was delivered"), "{}", found.reason);
    assert_eq!(found.findings[0].seq, Some(8));
}

/// A process dies with an entry sent and not acknowledged. What its successor puts in that place is lost on its way, and the
/// dead one's entry stands where the hole is.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_process_has_left_does_not_hide_that_an_acknowledged_entry_was_lost() {
    let mut stage = Stage::set(2).await;
    let (died, _) = lines(1, 15, 1, Hash::GENESIS);
    let mut primary = stage.writer(Holder::Primary, None).await;
    advance(stage.store(), &mut primary, 14, &died[13]).await.expect("the lease");
    stage.deliver(&died).await;
    let mut next = stage.writer(Holder::Primary, None).await;
    let (went_on, _) = salted(15, 40, 1, next.head());
    advance(stage.store(), &mut next, 16, &went_on[1]).await.expect("the lease");
    stage.deliver(&went_on[1..2]).await;
    // It goes on acknowledging; the newest is always still on its way.
    let until = Instant::now() + OVERDUE_WITHIN;
    for (newest, line) in (17..).zip(&went_on[2..]) {
        advance(stage.store(), &mut next, newest, line).await.expect("the lease");
        let answer = stage.step(Action::VerifyHistory {}).await.expect("an answer");
        if let Answer::Unproven(found) = answer {
            assert!(found.reason.contains("though what goes on from it was"), "{}", found.reason);
            assert_eq!(found.findings[0].seq, Some(15));
            return;
        }
        assert!(Instant::now() < until, "{answer:?}");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    panic!("nobody minds that entry 15 is lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_one_call_reads_behind_the_seal_is_refused_before_it() {
    let mut stage = Stage::set(600).await;
    let (all, _) = lines(1, 9, 1, Hash::GENESIS);
    let mut primary = stage.writer(Holder::Primary, None).await;
    advance(stage.store(), &mut primary, 9, &all[8]).await.expect("the lease");
    for lines in all.chunks(3) {
        stage.deliver(lines).await;
    }
    // A folder that a console has made is no lease.
    let folder = stage.clients.s3.put_object().bucket(LOG).key("lease/").body(Vec::new().into());
    folder.send().await.expect("a put");
    let bytes = all.concat().len() as u64;
    let exactly = Bound { objects: 3, bytes, decoded: bytes };
    let too_small = [
        Bound { objects: 2, ..exactly },
        Bound { bytes: bytes - 1, ..exactly },
        Bound { decoded: bytes - 1, ..exactly },
    ];
    for (bound, fits) in
        [exactly].map(|bound| (bound, true)).into_iter().chain(too_small.map(|bound| (bound, false)))
    {
        let wait = stage.plan.ledger.lease.clone().expect("a ledger with leases");
        let answer = lease::history(stage.store(), &stage.plan, &wait, bound).await;
        if fits {
            assert_eq!(proven(answer.expect("an answer")).streams[0].through, 9);
            continue;
        }
        let found = unproven(answer);
        assert!(found.reason.contains("begin the streams anew"), "{}", found.reason);
    }

    // The schedule says so while a run can still read it, and only the schedule.
    let metrics = Metrics { cloudwatch: stage.clients.cloudwatch.clone(), namespace: "Lifeboat".into() };
    for (objects, says) in
        [(4, None), (3, Some("are 100 % of what a run can read")), (2, Some("holds more than 2"))]
    {
        let leased = Bound { objects, bytes: u64::MAX, decoded: u64::MAX };
        let bounds = Bounds { leased, ..Bounds::default() };
        let made = extend_on_schedule(&stage.context, &metrics, PLAN_KEY, bounds, "a test").await;
        let looked = made.expect("a look");
        let said: Vec<String> =
            looked.streams.iter().flat_map(|stream| &stream.findings).map(ToString::to_string).collect();
        assert_eq!((looked.broken, said.len()), (says.is_some(), usize::from(says.is_some())), "{looked:?}");
        assert!(said.iter().all(|said| said.contains(says.expect("something"))), "{said:?}");
    }
}

fn unproven(answer: Result<Answer, StepError>) -> Examined {
    match answer.expect("an answer") {
        Answer::Unproven(examined) => examined,
        other => panic!("{other:?}"),
    }
}
