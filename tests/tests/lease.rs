//! A run takes over the leases that `lifeboat init` has made: the Lambda's own steps against the emulator's `If-Match`,
//! listings and clocks.
//!
//! The application is a [`LeaseWriter`] in this process, and what Firehose does (late, twice, in any order) is a plain put of a
//! delivery here, so that a test decides when it comes. Neither Firehose's buffering nor S3's own conditional puts are shown.

use std::process::Stdio;
use std::time::Duration;

use jiff::Timestamp;
use ledger_verify::{Action, Answer, Examined, hand_back, handle};
use lifeboat_ledger::lease::{Lease, LeaseWriter, Refused};
use lifeboat_ledger::{Hash, Holder, PenState, StreamProof, slot};
use lifeboat_rules::admission::{GENESIS, GENESIS_EPOCH};
use lifeboat_rules::epoch::{Cause, Claim};
use lifeboat_rules::evidence::sha256;
use lifeboat_rules::plan::LeasePlan;
use lifeboat_rules::{ErrorName, Mode, Plan, PlanRef, Request, Run, Step, StepError, Trigger, TriggerKind};
use lifeboat_runtime::{Context, Log, Replace, Store, now};
use lifeboat_tests::world::clients::{ACCESS_KEY, SECRET_KEY};
use lifeboat_tests::world::deploy::{Bucket, create_bucket};
use lifeboat_tests::world::{Clients, World, WorldOptions, places};
use run_control::claim_epoch;
use serde_json::json;
use tokio::process::Command;

const CONTROL: &str = "aex-control";
const EVIDENCE: &str = "aex-evidence";
const LOG: &str = "aex-log";
const PLAN_KEY: &str = "plan/aex.json";
const STREAM: &str = "ME1";
/// The shortest that a plan may ask for; the seal waits for it.
const STILL_SECONDS: u32 = 2;
const EPOCH: u64 = 2;
const RUN: &str = "run";
/// Rounds of the race in the suite; `LIFEBOAT_ROUNDS` says how many otherwise.
const ROUNDS: u64 = 15;

struct Stage {
    _world: World,
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
        let json =
            std::fs::read(places::repository().join("functions/rules/tests/plan.json")).expect("a plan");
        let mut plan = Plan::from_json(&json).expect("a good plan");
        plan.probe.log_still_seconds = STILL_SECONDS;
        plan.ledger.streams = vec![STREAM.into()];
        plan.ledger.bucket = LOG.into();
        plan.ledger.prefix = "witness/".into();
        plan.ledger.lease = Some(LeasePlan { delivery_wait_seconds_max });
        let body = plan.canonical_json();
        let put = clients.s3.put_object().bucket(CONTROL).key(PLAN_KEY).body(body.clone().into());
        let version = put.send().await.expect("a plan").version_id().expect("a version").to_owned();
        for _ in 0..2 {
            init(&world).await;
            let made = context.store.get(LOG, &format!("lease/{STREAM}"), None).await.expect("an answer");
            assert_eq!(made, Some(Lease::first(STREAM, GENESIS_EPOCH, GENESIS).to_bytes()));
        }
        let claim = Claim { epoch: EPOCH, run: RUN.into(), at: now(), cause: Cause::Alarm };
        claim_epoch(&context.store, CONTROL, "aex", &claim).await.expect("an epoch");
        let run = Run {
            id: RUN.into(),
            mode: Mode::Failover,
            plan: PlanRef { key: PLAN_KEY.into(), version, sha256: sha256(&body) },
            trigger: Trigger { kind: TriggerKind::Alarm, at: None, alarm: None, by: None, reason: None },
            admitted_at: now(),
            deadline: Timestamp::MAX,
            admitted_epoch: GENESIS_EPOCH,
            fenced_epoch: 0,
            epoch: Some(EPOCH),
        };
        Stage { _world: world, clients, context, plan, run, deliveries: 0 }
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
        self.step_of(&self.run, action).await
    }

    async fn step_of(&self, run: &Run, action: Action) -> Result<Answer, StepError> {
        let step = Step {
            run: run.id.clone(),
            plan_key: PLAN_KEY.into(),
            name: "a test".into(),
            entered: "2026-11-23T00:00:00Z".into(),
            attempt: 0,
        };
        handle(&self.context, Request { step, run: Some(run.clone()), action }).await
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

/// Advances the lease to `through`; why it was lost, where it was.
async fn advance(store: &Store, writer: &mut LeaseWriter, through: u64) -> Result<(), String> {
    let Some(put) = writer.advance(through).map_err(|lost| lost.to_string())? else { return Ok(()) };
    match store.replace(LOG, &put.key, &put.if_match, &put.bytes).await.expect("an answer") {
        // The store says so of an answer that was lost as well; its tag is read again.
        Replace::Replaced => {
            let found = store.get_tagged(LOG, &put.key).await.expect("an answer").expect("the lease");
            if found.bytes == put.bytes {
                writer.stored(put, found.etag);
                return Ok(());
            }
            // It was stored, and taken over since: acknowledged, and the next put is refused.
            let stale = put.if_match.clone();
            writer.stored(put, stale);
            Ok(())
        }
        Replace::Differs(found) => {
            let found = found.as_ref().map(|found| (found.bytes.as_slice(), found.etag.as_str()));
            match writer.refused(put, found) {
                Refused::Mine => Ok(()),
                Refused::Lost(why) => Err(why),
            }
        }
    }
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
    advance(stage.store(), &mut primary, 9).await.expect("the lease");
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
    let lost = advance(stage.store(), &mut primary, 10).await.expect_err("it is fenced");
    assert!(lost.contains("has closed it"), "{lost}");
    assert_eq!(
        (primary.watermark(), stage.lease().await.0.watermark),
        (9, 9),
        "nothing more is acknowledged"
    );

    assert_eq!(name(stage.tail(&history).await), ErrorName::NotReady);
    stage.deliver(&all[6..]).await;
    let sealed = proven(stage.tail(&history).await.expect("an answer")).streams;
    assert_eq!((sealed[0].through, sealed[0].entries, sealed[0].head), (9, 9, head));

    for _ in 0..2 {
        let answer = stage.step(Action::Open { sealed: sealed.clone() }).await.expect("an answer");
        assert!(matches!(answer, Answer::Opened { .. }), "{answer:?}");
    }
    let mut recovery = stage.writer(Holder::Recovery, Some(EPOCH)).await;
    let (more, _) = lines(10, 14, EPOCH, head);
    stage.deliver(&more).await;
    advance(stage.store(), &mut recovery, 14).await.expect("the lease");
    assert_eq!(stage.history().await[0].through, 14, "past what the primary has left there");

    // A person gives it back; asked again, nothing changes.
    let history = stage.history().await;
    for _ in 0..2 {
        let answer = hand_back(stage.store(), &stage.plan, 3, "handback", &history).await.expect("an answer");
        assert!(matches!(answer, Answer::Opened { .. }), "{answer:?}");
    }
    assert!(advance(stage.store(), &mut recovery, 15).await.is_err());
    let (lease, _) = stage.lease().await;
    assert_eq!((lease.epoch, lease.holder, lease.watermark), (3, Some(Holder::Primary), 14));
    let mut primary = stage.writer(Holder::Primary, None).await;
    assert_eq!(primary.has_lease(), Ok(3));
    advance(stage.store(), &mut primary, 15).await.expect("the lease");

    // The run wakes up: neither what it takes nor what it gives has an effect.
    let stands = stage.lease().await;
    assert_eq!(name(stage.step(Action::Seal { history: history.clone() }).await), ErrorName::Fenced);
    assert_eq!(name(stage.tail(&history).await), ErrorName::Fenced);
    assert_eq!(name(stage.step(Action::Open { sealed: history }).await), ErrorName::Fenced);
    assert_eq!(stage.lease().await, stands);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_never_delivered_is_unproven_after_the_wait_and_a_fork_is_broken() {
    let mut stage = Stage::set(1).await;
    let (all, _) = lines(1, 9, 1, Hash::GENESIS);
    let mut primary = stage.writer(Holder::Primary, None).await;
    advance(stage.store(), &mut primary, 9).await.expect("the lease");
    stage.deliver(&all[..4]).await;
    let history = stage.history().await;
    assert!(matches!(stage.seal(&history).await.0, Answer::Sealed { .. }));
    match stage.tail(&history).await.expect("an answer") {
        Answer::Unproven(examined) => {
            assert!(examined.reason.contains("ends at 4, but 9 was acknowledged"), "{}", examined.reason);
        }
        other => panic!("{other:?}"),
    }
    // It has come after all, and with it another entry in the place of one.
    stage.deliver(&all[4..]).await;
    proven(stage.tail(&history).await.expect("an answer"));
    let mut other = all[6].clone();
    other.insert(other.len() - 2, b' ');
    stage.deliver(&[other]).await;
    match stage.tail(&history).await.expect("an answer") {
        Answer::Broken(examined) => assert!(examined.reason.contains("a fork"), "{}", examined.reason),
        other => panic!("{other:?}"),
    }
    let answer = hand_back(stage.store(), &stage.plan, 3, "handback", &history).await.expect("an answer");
    assert!(matches!(answer, Answer::Broken(_)), "{answer:?}");
    assert_eq!(stage.lease().await.0.holder, None, "nobody goes on from it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hole_that_stays_is_found_before_anything_is_put() {
    let mut stage = Stage::set(1).await;
    let (all, _) = lines(1, 9, 1, Hash::GENESIS);
    stage.deliver(&all[..3]).await;
    stage.deliver(&all[5..]).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    // A lease is dated by the answer that brings it.
    match stage.step(Action::VerifyHistory {}).await.expect("an answer") {
        Answer::Unproven(examined) => {
            assert!(examined.reason.contains("though entries behind it were"), "{}", examined.reason);
            assert_eq!(examined.findings[0].seq, Some(4));
        }
        other => panic!("{other:?}"),
    }
}

/// A holder that advances as fast as it can, and a take-over: whatever it acknowledged lies at or below the watermark at which
/// its epoch was closed, and behind that it acknowledges nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_take_over_races_a_holder_that_advances() {
    let stage = Stage::set(600).await;
    let rounds = std::env::var("LIFEBOAT_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().expect("a number"));
    let history = stage.history().await;
    let mut raced = 0;
    for round in 0..rounds {
        let (before, _) = stage.lease().await;
        let (side, of) = match before.holder.expect("it is held") {
            Holder::Primary => (Holder::Primary, None),
            Holder::Recovery => (Holder::Recovery, Some(before.epoch)),
        };
        let (store, mut holder) = (stage.store().clone(), stage.writer(side, of).await);
        let epoch = before.epoch + 1;
        let run = Run { epoch: Some(epoch), ..stage.run.clone() };
        let claim = Claim { epoch, run: RUN.into(), at: now(), cause: Cause::Alarm };
        claim_epoch(stage.store(), CONTROL, "aex", &claim).await.expect("an epoch");
        // The fence of an earlier attempt stands: so the step does not wait until the lease stands still.
        let fence = serde_json::to_vec(&json!({ "epoch": epoch, "run": RUN })).expect("JSON");
        stage.store().create(LOG, &slot::fence_key(epoch), &fence).await.expect("a fence");
        let holding = tokio::spawn(async move {
            let mut acknowledged = holder.watermark();
            while advance(&store, &mut holder, acknowledged + 1).await.is_ok() {
                acknowledged += 1;
            }
            acknowledged
        });
        tokio::time::sleep(Duration::from_millis(20 + round % 7)).await;
        let mut tries = 0;
        loop {
            match stage.step_of(&run, Action::Seal { history: history.clone() }).await {
                Ok(Answer::Sealed { .. }) => break,
                Err(err) if err.name == ErrorName::Transient && tries < 10 => tries += 1,
                other => panic!("{other:?}"),
            }
        }
        let opened = stage.step_of(&run, Action::Open { sealed: history.clone() }).await;
        assert!(matches!(opened, Ok(Answer::Opened { .. })), "{opened:?}");
        let acknowledged = holding.await.expect("it ends by itself");
        let (after, _) = stage.lease().await;
        let closed = after.closed.iter().find(|closed| closed.epoch == before.epoch).expect("it was closed");
        assert_eq!(acknowledged, closed.watermark, "round {round}");
        assert!(!after.is_void(acknowledged, before.epoch) && after.is_void(acknowledged + 1, before.epoch));
        assert_eq!((after.epoch, after.watermark), (epoch, closed.watermark));
        raced += u64::from(acknowledged > before.watermark);
    }
    println!("{rounds} rounds; in {raced} of them the holder had advanced");
    assert!(raced > 0, "nothing was raced");
}
