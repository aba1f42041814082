//! Epochs, words, the last look before the seal, and the hand-back: the Lambdas' own code against the emulator's
//! conditional puts and versions.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use futures::future::join_all;
use ledger_verify::{Answer as LedgerAnswer, hand_back, open_stream, verify_history};
use lifeboat_ledger::{Holder as Side, PenState, StreamProof};
use lifeboat_rules::admission::{GENESIS, GENESIS_EPOCH};
use lifeboat_rules::epoch::{Cause, Claim};
use lifeboat_rules::evidence::Manifest;
use lifeboat_rules::evidence::verify::{MANIFEST, Object, SIGNATURE, Verdict};
use lifeboat_rules::word::{Says, Word, Words};
use lifeboat_rules::{ErrorName, Outcome, Plan, PlanRef, Request, Run, Step, StepError};
use lifeboat_runtime::{Context, Store, now};
use lifeboat_tests::given;
use lifeboat_tests::world::deploy::{Bucket, create_bucket};
use lifeboat_tests::world::{World, WorldOptions};
use run_control::{
    Action, Answer, Control, Executions, Identities, Private, Signer, claim_epoch, flip_name, handle,
    holders, newest_epoch, newest_fence, put_manifest, say, sign_manifest, words,
};
use serde_json::json;

const CONTROL: &str = "aex-control";
const EVIDENCE: &str = "aex-evidence";
const LOG: &str = "aex-log";
const PLAN_KEY: &str = "plan/aex.json";
const STILL_SECONDS: u32 = 3;
const STILL_WITHIN: Duration = Duration::from_secs(30);
const CONTENDERS: usize = 20;

struct Stage {
    world: World,
    context: Context,
    control: Control,
    stacks: stack_launch::Stacks,
    plan: Plan,
    uploaded: PlanRef,
}

impl Stage {
    /// A plan, its first epoch, and two opened streams.
    async fn set() -> Stage {
        let world = World::start(WorldOptions::default()).await.expect("a world");
        let clients = world.clients(world.recovery());
        for bucket in [Bucket::versioned(CONTROL), Bucket::plain(EVIDENCE), Bucket::plain(LOG)] {
            create_bucket(&clients, &bucket).await.expect("a bucket");
        }
        let context = Context {
            store: Store::new(&clients.config),
            control_bucket: CONTROL.into(),
            evidence_bucket: EVIDENCE.into(),
        };
        let signer = Signer::new(&clients.config, given::signing_key(&clients).await.expect("a key"));
        let identities = Identities::new(&clients.config);
        let executions = Executions { sfn: clients.sfn };
        let stacks = stack_launch::Stacks {
            cloudformation: clients.cloudformation,
            control_bucket: CONTROL.into(),
            region: world.recovery().to_owned(),
            role_arn: None,
        };
        let mut plan = given::plan();
        plan.probe.log_still_seconds = STILL_SECONDS;
        plan.ledger.streams = vec!["ME1".into(), "ME2".into()];
        plan.ledger.bucket = LOG.into();
        let orchestrator = given::orchestrator(&plan);
        let control = Control { executions, signer, identities, orchestrator };
        let clients = world.clients(world.recovery());
        let uploaded = given::put_plan(&clients, CONTROL, &plan).await.expect("a plan");
        let stage = Stage { world, context, control, stacks, plan, uploaded };
        let genesis = Claim { epoch: GENESIS_EPOCH, run: GENESIS.into(), at: now(), cause: Cause::Genesis };
        claim_epoch(stage.store(), CONTROL, "aex", &genesis).await.expect("the first epoch");
        for stream in &stage.plan.ledger.streams {
            open_stream(stage.store(), &stage.plan, stream, GENESIS_EPOCH, GENESIS).await.expect("an open");
        }
        stage
    }

    fn store(&self) -> &Store {
        &self.context.store
    }

    fn run(&self, id: &str, admitted_epoch: u64) -> Run {
        given::run(id, self.uploaded.clone(), admitted_epoch, None)
    }

    async fn claim(&self, run: &Run) -> Result<Answer, StepError> {
        self.ask(run, Action::ClaimEpoch {}, |request| {
            handle(&self.context, &self.control, now, Private::default(), request)
        })
        .await
    }

    async fn seal(&self, run: &Run, history: Vec<StreamProof>) -> Result<LedgerAnswer, StepError> {
        let action = ledger_verify::Action::Seal { history };
        self.ask(run, action, |request| ledger_verify::handle(&self.context, request)).await
    }

    async fn ask<A, T>(
        &self,
        run: &Run,
        action: A,
        handle: impl AsyncFnOnce(Request<A>) -> Result<T, StepError>,
    ) -> Result<T, StepError> {
        let step = Step {
            run: run.id.clone(),
            plan_key: PLAN_KEY.into(),
            name: "a test".into(),
            entered: "2026-11-23T00:00:00Z".into(),
            attempt: 0,
        };
        handle(Request { step, run: Some(run.clone()), action }).await
    }

    async fn history(&self) -> Vec<StreamProof> {
        match verify_history(self.store(), &self.plan).await.expect("a verdict") {
            LedgerAnswer::Proven(examined) => examined.streams,
            other => panic!("{other:?}"),
        }
    }

    /// Seals once the log has stood still; until then it must be refused, and leave nothing.
    async fn seal_when_still(&self, run: &Run, history: &[StreamProof]) -> (LedgerAnswer, usize) {
        let (deadline, mut refused) = (Instant::now() + STILL_WITHIN, 0);
        loop {
            match self.seal(run, history.to_vec()).await.expect("an answer") {
                LedgerAnswer::Advancing { reason } => {
                    assert!(reason.contains("stream ME"), "{reason}");
                    assert_eq!(newest_fence(self.store(), LOG).await.expect("fences"), 0, "nothing was put");
                    refused += 1;
                }
                answer => return (answer, refused),
            }
            assert!(Instant::now() < deadline, "the log did not come to rest within {STILL_WITHIN:?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

fn name<T: std::fmt::Debug>(result: Result<T, StepError>) -> ErrorName {
    result.expect_err("an error").name
}

fn claimed(answer: Answer) -> Run {
    match answer {
        Answer::Claimed { run, .. } => run,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_that_were_admitted_together_one_claims() {
    let stage = Stage::set().await;
    let runs: Vec<Run> = (0..CONTENDERS).map(|number| stage.run(&format!("run-{number}"), 1)).collect();
    let answers = join_all(runs.iter().map(|run| stage.claim(run))).await;
    let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!((won.len(), lost.len()), (1, CONTENDERS - 1));
    let mut winner = None;
    for answer in won {
        winner = Some(claimed(answer.expect("just told apart")));
    }
    for answer in lost {
        assert_eq!(name(answer), ErrorName::Fenced);
    }
    let winner = winner.expect("one has won");
    assert_eq!(winner.epoch, Some(2));
    // Asked again, as after a lost answer, it has claimed; and it may act, until a newer epoch is claimed.
    assert_eq!(claimed(stage.claim(&winner).await.expect("its own claim")), winner);
    assert_eq!(stage.context.acting_epoch("aex", &winner).await.expect("the newest"), 2);
    let next = claimed(stage.claim(&stage.run("next", 2)).await.expect("the successor"));
    assert_eq!(name(stage.context.acting_epoch("aex", &winner).await), ErrorName::Fenced);
    assert_eq!(stage.context.acting_epoch("aex", &next).await.expect("the newest"), 3);
    // It launches nothing any more, and takes nothing down: a fenced run deletes nothing.
    for action in [stack_launch::Action::Launch {}, stack_launch::Action::TearDown {}] {
        let asked = stage.ask(&winner, action, |request| {
            stack_launch::handle(&stage.context, &stage.stacks, now, request)
        });
        assert_eq!(name(asked.await), ErrorName::Fenced);
    }
    // One that slept through it finds its successor taken.
    assert_eq!(name(stage.claim(&stage.run("sleeper", 1)).await), ErrorName::Fenced);
    assert_eq!(newest_epoch(stage.store(), CONTROL, "aex").await.expect("epochs"), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_has_changed_refuses_the_claim_and_takes_none_back() {
    let mut stage = Stage::set().await;
    let (early, late) = (stage.run("early", 1), stage.run("late", 2));
    claimed(stage.claim(&early).await.expect("a claim"));
    stage.plan.objectives.rto_seconds -= 1;
    let clients = stage.world.clients(stage.world.recovery());
    given::put_plan(&clients, CONTROL, &stage.plan).await.expect("a plan");
    match stage.claim(&late).await.expect("an answer") {
        Answer::Refused { reason } => assert!(reason.contains("plan has changed"), "{reason}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(newest_epoch(stage.store(), CONTROL, "aex").await.expect("epochs"), 2);
    // What was claimed before stays claimed: the answer of the first attempt may have been lost.
    assert_eq!(claimed(stage.claim(&early).await.expect("its own claim")).epoch, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn words_said_at_once_are_all_kept() {
    let stage = Stage::set().await;
    let speak = async |number: usize| {
        let says =
            if number == 0 { Says::MaintenanceBegin } else { Says::Acknowledge { epoch: number as u64 } };
        let word = Word { at: now(), by: format!("person {number}"), reason: "a test".into(), says };
        say(stage.store(), CONTROL, "aex", &word).await.expect("a number")
    };
    let numbers: BTreeSet<u64> = join_all((0..CONTENDERS).map(speak)).await.into_iter().collect();
    assert_eq!(numbers, (1..=CONTENDERS as u64).collect());
    let said = words(stage.store(), CONTROL, "aex").await.expect("the words");
    assert_eq!(said.iter().map(|(number, _)| *number).collect::<BTreeSet<_>>(), numbers);
    let speakers: BTreeSet<&str> = said.iter().map(|(_, word)| word.by.as_str()).collect();
    assert_eq!(speakers.len(), CONTENDERS);
    let heard = Words::hear(said.into_iter().map(|(_, word)| word));
    assert_eq!(heard.acknowledged, CONTENDERS as u64 - 1);
    assert_eq!(heard.maintenance.map(|word| word.by), Some("person 0".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_advances_is_not_sealed_and_a_seal_is_handed_back() {
    let stage = Stage::set().await;
    let run = claimed(stage.claim(&stage.run("run", 1)).await.expect("a claim"));
    // The streams were opened a moment ago.
    let history = stage.history().await;
    let (answer, refused) = stage.seal_when_still(&run, &history).await;
    assert!(refused > 0, "the last look was never taken");
    let LedgerAnswer::Sealed { streams, .. } = answer else { panic!("{answer:?}") };
    assert_eq!(streams.iter().map(|sealed| sealed.seq).collect::<Vec<_>>(), [2, 2]);
    // Asked again, it has sealed: its own entries are no sign of life.
    let again = stage.seal(&run, history.clone()).await.expect("an answer");
    assert!(matches!(again, LedgerAnswer::Sealed { .. }), "{again:?}");

    let claim = Claim { epoch: 3, run: "handback-1".into(), at: now(), cause: Cause::HandBack };
    claim_epoch(stage.store(), CONTROL, "aex", &claim).await.expect("the successor");
    for _ in 0..2 {
        let answer =
            hand_back(stage.store(), &stage.plan, 3, "handback-1", &history).await.expect("an answer");
        let LedgerAnswer::Opened { streams } = answer else { panic!("{answer:?}") };
        assert_eq!(
            streams.iter().map(|opened| opened.seq).collect::<Vec<_>>(),
            [3, 3],
            "once, and once only"
        );
    }
    assert_eq!(
        newest_fence(stage.store(), LOG).await.expect("fences"),
        3,
        "so that a side which trades stops"
    );
    let open = PenState::Open { epoch: 3, holder: Side::Primary };
    for stream in stage.history().await {
        assert_eq!(*stream.pen.state(), open, "{}", stream.stream);
    }
    // The run wakes up: neither its seal nor its open has any effect.
    assert_eq!(name(stage.seal(&run, history.clone()).await), ErrorName::Fenced);
    let action = ledger_verify::Action::Open { sealed: history };
    let woken = stage.ask(&run, action, |request| ledger_verify::handle(&stage.context, request)).await;
    assert_eq!(name(woken), ErrorName::Fenced);
    for stream in stage.history().await {
        assert_eq!((stream.through, stream.pen.state()), (3, &open), "{}", stream.stream);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_appears_after_the_proof_is_not_left_unsealed() {
    let stage = Stage::set().await;
    let run = claimed(stage.claim(&stage.run("run", 1)).await.expect("a claim"));
    let history = stage.history().await;
    open_stream(stage.store(), &stage.plan, "ME7", GENESIS_EPOCH, GENESIS).await.expect("an open");
    let unproven = |answer: LedgerAnswer| match answer {
        LedgerAnswer::Unproven(examined) => assert!(examined.reason.contains("ME7"), "{}", examined.reason),
        other => panic!("{other:?}"),
    };
    unproven(stage.seal(&run, history.clone()).await.expect("an answer"));
    assert_eq!(newest_fence(stage.store(), LOG).await.expect("fences"), 0, "nothing was put");
    unproven(hand_back(stage.store(), &stage.plan, 3, "handback-1", &history).await.expect("an answer"));
    assert_eq!(newest_fence(stage.store(), LOG).await.expect("fences"), 0, "nothing was put");
    // A stream that appears between the seal and the proof of the tail.
    let (answer, _) = stage.seal_when_still(&run, &stage.history().await).await;
    assert!(matches!(answer, LedgerAnswer::Sealed { .. }), "{answer:?}");
    let action = ledger_verify::Action::VerifyTail { history };
    let tail = stage.ask(&run, action, |request| ledger_verify::handle(&stage.context, request)).await;
    unproven(tail.expect("an answer"));
}

#[tokio::test(flavor = "multi_thread")]
async fn holders_are_read_from_the_newest_back_with_how_they_ended() {
    let stage = Stage::set().await;
    for (epoch, cause) in [(2, Cause::Alarm), (5, Cause::Operator), (9, Cause::HandBack)] {
        let claim = Claim { epoch, run: format!("run-{epoch}"), at: now(), cause };
        claim_epoch(stage.store(), CONTROL, "aex", &claim).await.expect("a claim");
    }
    let manifest = |outcome| Manifest {
        plan: "aex".into(),
        run: "run-5".into(),
        admitted: None,
        outcome,
        reason: "a test".into(),
        closed_at: now(),
        facts: json!({ "epoch": 5 }),
        deployment: None,
        account: None,
        records: vec![],
    };
    put_manifest(stage.store(), EVIDENCE, manifest(Outcome::Halted)).await.expect("a manifest");
    let second = put_manifest(stage.store(), EVIDENCE, manifest(Outcome::Recovered)).await;
    assert_eq!(name(second), ErrorName::Defect, "a run ends once");
    let read = async |down_to: u64| {
        let found = holders(stage.store(), CONTROL, EVIDENCE, "aex", |holder| holder.epoch <= down_to).await;
        found
            .expect("holders")
            .into_iter()
            .map(|holder| (holder.epoch, holder.cause, holder.outcome))
            .collect::<Vec<_>>()
    };
    let newest = (9, Cause::HandBack, None);
    let middle = (5, Cause::Operator, Some(Outcome::Halted));
    // A manifest of that name, but of another run: names are free again one day.
    let other =
        Manifest { run: "run-9".into(), facts: json!({ "epoch": 4 }), ..manifest(Outcome::HandedBack) };
    put_manifest(stage.store(), EVIDENCE, other).await.expect("a manifest");
    assert_eq!(read(9).await, [newest]);
    assert_eq!(read(5).await, [newest, middle]);
    assert_eq!(read(0).await, [newest, middle, (2, Cause::Alarm, None), (1, Cause::Genesis, None)]);
    // A person has finished what the run of epoch 5 had begun.
    let flip = Manifest { run: flip_name(5), ..manifest(Outcome::Recovered) };
    put_manifest(stage.store(), EVIDENCE, flip).await.expect("a manifest");
    assert_eq!(read(5).await, [newest, (5, Cause::Operator, Some(Outcome::Recovered))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_closed_with_a_signature_and_without_one_where_kms_stays_away() {
    let stage = Stage::set().await;
    let manifest = |run: &str| Manifest {
        plan: "aex".into(),
        run: run.into(),
        admitted: None,
        outcome: Outcome::Refused,
        reason: "a test".into(),
        closed_at: now(),
        facts: json!({}),
        deployment: None,
        account: None,
        records: vec![],
    };
    let close = async |signer: &Signer, run: &str, attempt| {
        sign_manifest(stage.store(), EVIDENCE, signer, manifest(run), attempt).await
    };
    let verdict = async |run: &str| {
        let mut objects = BTreeMap::new();
        for key in [MANIFEST, SIGNATURE] {
            let bytes = stage.store().get(EVIDENCE, &format!("aex/{run}/{key}"), None).await.expect("a read");
            objects.extend(bytes.map(|bytes| (key.to_owned(), Object::new(key, bytes))));
        }
        let signed_by = lifeboat::evidence::judge(&objects, None).signed_by;
        lifeboat::evidence::judge(&objects, signed_by.as_deref()).verdict
    };
    let clients = stage.world.clients(stage.world.recovery());
    // Port 1 of loopback: nobody listens there.
    let nowhere = clients.config.into_builder().endpoint_url("http://127.0.0.1:1").build();
    let away = Signer::new(&nowhere, stage.control.signer.key.clone());

    assert_eq!(close(&stage.control.signer, "signed", 0).await.expect("a close").unsigned, None);
    assert_eq!(verdict("signed").await, Verdict::Authentic);
    // Called again, when KMS is away: it is signed already.
    assert_eq!(close(&away, "signed", 1).await.expect("a close").unsigned, None);

    let first = close(&away, "away", 0).await;
    assert_eq!(name(first), ErrorName::Transient);
    assert_eq!(verdict("away").await, Verdict::Open, "nothing is stored that the next attempt does not list");
    let last = close(&away, "away", 3).await.expect("a close");
    assert!(last.unsigned.is_some_and(|why| why.contains("public key")), "why is said");
    assert_eq!(verdict("away").await, Verdict::Unauthenticated);
    // What was stored without one is signed as it is, when it is called again.
    assert_eq!(close(&stage.control.signer, "away", 0).await.expect("a close").unsigned, None);
    assert_eq!(verdict("away").await, Verdict::Authentic);
}
