//! The `switch` strategy: dns-flip's own code against the emulator's conditional puts, its metric, its alarm, and the DNS
//! answers that hang on it.
//!
//! What this does not prove: how Route 53 judges a health check on an alarm, and how long it takes to. The local DNS server
//! follows what is documented (`infra/DNS.md`), and `conformance.rs` asks a real account.

mod stage;

use std::time::{Duration, Instant};

use aws_sdk_cloudwatch::types::StateValue;
use dns_flip::{Action, Answer, Asker, Gate, Moved, Mover, handle, keep, move_traffic};
use futures::future::join_all;
use lifeboat_rules::dns::switch::{self, FlipObject, alarm_name};
use lifeboat_rules::epoch::{Cause, Claim};
use lifeboat_rules::evidence::sha256;
use lifeboat_rules::plan::{Names, RecordType, Side};
use lifeboat_rules::{ErrorName, Request, Run, Step, StepError};
use lifeboat_runtime::{Context, Store, now};
use lifeboat_tests::given;
use lifeboat_tests::world::deploy::{Bucket, create_bucket};
use lifeboat_tests::world::proxy::{Fault, Scope};
use run_control::claim_epoch;

use stage::{CONTROL, PLAN_KEY, Stage, UNDER_TEST};

/// The emulator's alarm looks back over one period: traffic goes back to the primary only once the last 1 is older.
const BACK_WITHIN: Duration = Duration::from_secs(120);

fn name<T: std::fmt::Debug>(result: Result<T, StepError>) -> ErrorName {
    result.expect_err("an error").name
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flip_moves_every_name_and_done_twice_it_is_done_once() {
    let stage = Stage::set().await;
    // A bucket that knows nothing of the plan says nothing about its traffic.
    assert_eq!(name(stage.keep().await), ErrorName::Defect);
    assert_eq!(stage.points_put(), 0);
    // Traffic was never moved: the keeper says so.
    let genesis = Claim { epoch: 1, run: "init".into(), at: now(), cause: Cause::Genesis };
    claim_epoch(&stage.store, CONTROL, "aex", &genesis).await.expect("an epoch");
    let kept = stage.keep().await.expect("a point");
    assert_eq!((kept.epoch, kept.side, kept.published.value), (None, Side::Primary, 0.0));
    stage.answers_all_from(Side::Primary).await;

    let first = stage.flip(Side::Recovery, 2, "run-2").await.expect("a flip");
    assert_eq!(first.key, "flip/aex/00000000000000000002");
    assert!(first.version.is_some(), "the bucket keeps versions");
    assert_eq!(first.published.as_ref().expect("a point").value, 1.0);
    stage.answers_all_from(Side::Recovery).await;

    let again = stage.flip(Side::Recovery, 2, "run-2").await.expect("the same flip");
    assert_eq!((&again.key, &again.version), (&first.key, &first.version));
    assert_eq!(stage.flips().await, [first.key]);
    // One epoch moves traffic once, and for the run that holds it.
    assert_eq!(name(stage.flip(Side::Primary, 2, "run-2").await), ErrorName::Defect);
    assert_eq!(name(stage.flip(Side::Recovery, 2, "run-x").await), ErrorName::Fenced);
    let kept = stage.keep().await.expect("a point");
    assert_eq!((kept.epoch, kept.side, kept.published.value), (Some(2), Side::Recovery, 1.0));
    stage.answers_all_from(Side::Recovery).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flip_whose_answer_is_lost_is_read_back() {
    let stage = Stage::set().await;
    let put = Scope::origin(UNDER_TEST).service("s3").method("PUT");
    let lost = stage.world.proxy().add_times(put, Fault::LoseAnswer, 1);
    let flipped = stage.flip(Side::Recovery, 2, "run-2").await.expect("a flip");
    assert_eq!(stage.world.proxy().met(lost), 1, "the answer of the first put was lost");
    assert_eq!(stage.flips().await, [flipped.key]);
    stage.answers_all_from(Side::Recovery).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_flip_moves_nothing_even_when_traffic_is_back_where_it_found_it() {
    let stage = Stage::set().await;
    stage.flip(Side::Recovery, 3, "run-3").await.expect("a flip");
    stage.answers_all_from(Side::Recovery).await;
    // Handed back under the next epoch: every name answers as it did when epoch 2 looked.
    stage.flip(Side::Primary, 4, "handback-4").await.expect("a hand-back");
    let until = Instant::now() + BACK_WITHIN;
    while stage.answers_from().await != [Side::Primary] {
        assert!(Instant::now() < until, "traffic did not go back within {BACK_WITHIN:?}");
        tokio::time::sleep(Duration::from_millis(500)).await;
        stage.keep().await.expect("a point");
    }
    // Epoch 2 was never put, epoch 3 was: both arrive late, and neither asked first.
    for (epoch, run) in [(2, "run-2"), (3, "run-3")] {
        let points = stage.points_put();
        assert_eq!(name(stage.flip(Side::Recovery, epoch, run).await), ErrorName::Fenced);
        assert_eq!(stage.points_put(), points, "nothing was published");
        let kept = stage.keep().await.expect("a point");
        assert_eq!((kept.epoch, kept.side, kept.published.value), (Some(4), Side::Primary, 0.0));
        stage.answers_all_from(Side::Primary).await;
    }
    assert_eq!(stage.flips().await.len(), 3, "the late object is there, and counts for nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keeper_that_slept_writes_into_the_past() {
    let stage = Stage::set().await;
    stage.flip(Side::Primary, 1, "run-1").await.expect("a flip");
    let proxy = stage.world.proxy();
    let read = Scope::origin(UNDER_TEST).method("GET").path_prefix("/aex-control/flip/");
    let held = proxy.add(read, Fault::Hold);
    let sleeper = stage.keep();
    let meanwhile = async {
        while proxy.met(held) == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // It has looked, and has published nothing. The store's clock goes on by more than the second that it counts in.
        let store = Store::new(&stage.direct.config);
        let clock = async || {
            let page = store.page(CONTROL, "flip/", None, None).await.expect("a page");
            page.read_at.expect("a date")
        };
        let looked = clock().await;
        while clock().await.as_second() < looked.as_second() + 2 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let awake = Gate { cloudwatch: stage.direct.cloudwatch.clone() };
        let mover = Mover { store: &store, gate: &awake, ..stage.mover() };
        let flipped = move_traffic(mover, &stage.plan, Side::Recovery, 2, "run-2").await.expect("a flip");
        stage.answers_all_from(Side::Recovery).await;
        proxy.release(held).await;
        flipped
    };
    let (kept, flipped) = tokio::join!(sleeper, meanwhile);
    let (kept, Moved::Switch(flipped)) = (kept.expect("a point"), flipped) else {
        panic!("another strategy")
    };
    assert_eq!((kept.epoch, kept.published.value), (Some(1), 0.0), "it says what it saw");
    let published = flipped.published.expect("a point").at;
    assert!(kept.published.at < published, "{} is not before {published}", kept.published.at);
    stage.answers_all_from(Side::Recovery).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_lost_moves_no_traffic() {
    let stage = Stage::set().await;
    let proxy = stage.world.proxy();
    let (s3, cloudwatch) =
        (Scope::origin(UNDER_TEST).service("s3"), Scope::origin(UNDER_TEST).operation("PutMetricData"));

    // CloudWatch does not answer: the flip stands, and the keeper makes good what was not published.
    let refused = proxy.add(cloudwatch, Fault::Refuse);
    let flipped = stage.flip(Side::Recovery, 2, "run-2").await.expect("a flip");
    assert_eq!(flipped.published, None);
    assert_eq!(name(stage.keep().await), ErrorName::Transient);
    stage.answers_all_from(Side::Primary).await;
    proxy.lift(refused);
    stage.keep().await.expect("a point");
    stage.answers_all_from(Side::Recovery).await;

    // Nobody publishes any more, the keeper being dead: CloudWatch runs out of data.
    let state = stage.direct.cloudwatch.set_alarm_state().alarm_name(alarm_name("aex"));
    let state = state.state_value(StateValue::InsufficientData).state_reason("no point for hours");
    state.send().await.expect("the state");
    stage.answers_all_from(Side::Recovery).await;

    // The bucket does not answer: the keeper says so, and publishes nothing.
    let points = stage.points_put();
    let refused = proxy.add(s3, Fault::Refuse);
    assert_eq!(name(stage.keep().await), ErrorName::Transient);
    assert_eq!(name(stage.flip(Side::Primary, 3, "handback-3").await), ErrorName::Transient);
    proxy.lift(refused);
    let denied = proxy.add(Scope::origin(UNDER_TEST).service("s3"), Fault::Deny);
    assert_eq!(name(stage.keep().await), ErrorName::Defect);
    proxy.lift(denied);
    // The newest object is none of ours.
    let put = stage.direct.s3.put_object().bucket(CONTROL).key(switch::key("aex", 9));
    put.body(b"{}".to_vec().into()).send().await.expect("a put");
    let error = stage.keep().await.expect_err("no flip");
    assert_eq!(error.name, ErrorName::Defect);
    assert!(error.to_string().contains("flip/aex/00000000000000000009 is not a flip object"), "{error}");
    assert_eq!(stage.points_put(), points, "nothing was published");
    stage.answers_all_from(Side::Recovery).await;
    // The way out: whoever claims an epoch beyond it and flips is the newest, and the keeper publishes again.
    stage.flip(Side::Recovery, 10, "run-10").await.expect("a flip");
    let kept = stage.keep().await.expect("a point");
    assert_eq!((kept.epoch, kept.side), (Some(10), Side::Recovery));
}

/// What `infra/DNS.md` says of it: nothing tells one control bucket from another in which `lifeboat init` was run.
#[tokio::test(flavor = "multi_thread")]
async fn a_keeper_of_another_bucket_publishes_what_that_one_says() {
    let stage = Stage::set().await;
    stage.flip(Side::Recovery, 2, "run-2").await.expect("a flip");
    stage.answers_all_from(Side::Recovery).await;
    let other = "aex-control-of-another-stack";
    create_bucket(&stage.direct, &Bucket::versioned(other)).await.expect("a bucket");
    let keep = async || keep(&stage.store, other, &stage.gate, "aex").await;
    assert_eq!(name(keep().await), ErrorName::Defect);
    stage.answers_all_from(Side::Recovery).await;
    let genesis = Claim { epoch: 1, run: "init".into(), at: now(), cause: Cause::Genesis };
    claim_epoch(&stage.store, other, "aex", &genesis).await.expect("an epoch");
    let kept = keep().await.expect("a point");
    assert_eq!((kept.epoch, kept.side, kept.published.value), (None, Side::Primary, 0.0));
    // So traffic goes to the primary, which has no pen there.
    let until = Instant::now() + BACK_WITHIN;
    while stage.answers_from().await != [Side::Primary] {
        assert!(Instant::now() < until, "traffic did not move within {BACK_WITHIN:?}");
        tokio::time::sleep(Duration::from_millis(500)).await;
        keep().await.expect("a point");
    }
    // The keeper of the right bucket puts it right again.
    stage.keep().await.expect("a point");
    stage.answers_all_from(Side::Recovery).await;
}

/// The handler as the Lambda calls it, for a plan of so many names by a rule; the calls that it made.
async fn calls_of_a_flip(stage: &Stage, epoch: u64, names: usize) -> Vec<String> {
    let symbols: String = (0..names).map(|number| format!("s{number}\n")).collect();
    let list = format!("names/{}.txt", sha256(symbols.as_bytes()));
    let mut plan = stage.plan.clone();
    plan.dns.names = vec![Names {
        name: "{symbol}.md.aex.internal".into(),
        list: list.clone(),
        kind: RecordType::A,
        ttl: 5,
        primary: vec!["10.0.0.20".into()],
        recovery: vec!["10.1.0.20".into()],
    }];
    plan.dns.records = vec![];
    let s3 = &stage.direct.s3;
    let put = s3.put_object().bucket(CONTROL).key(list).body(symbols.into_bytes().into());
    put.send().await.expect("a list");
    let uploaded = given::put_plan(&stage.direct, CONTROL, &plan).await.expect("a plan");
    let run = given::run(format!("run-{epoch}"), uploaded, epoch - 1, Some(epoch));
    let claim = Claim { epoch, run: run.id.clone(), at: now(), cause: Cause::Alarm };
    claim_epoch(&Store::new(&stage.direct.config), CONTROL, "aex", &claim).await.expect("an epoch");
    let before = stage.world.proxy().calls_in(&Scope::origin(UNDER_TEST)).len();
    let answer = act(stage, run).await.expect("an answer");
    assert!(matches!(answer, Answer::Flipped(Moved::Switch(_))), "{answer:?}");
    let calls = stage.world.proxy().calls_in(&Scope::origin(UNDER_TEST));
    let told = calls[before..].iter().map(|record| {
        let call = &record.call;
        let (path, query) = call.path.split_once('?').unwrap_or((&call.path, ""));
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let what = match (&call.operation, query.contains("list-type")) {
            (Some(operation), _) => operation.clone(),
            (None, true) => "list".into(),
            (None, false) => folder.replace(&epoch.to_string(), "<epoch>"),
        };
        format!("{} {} {what}", call.service.as_deref().unwrap_or("?"), call.method)
    });
    told.collect()
}

async fn act(stage: &Stage, run: Run) -> Result<Answer, StepError> {
    let context = Context {
        store: stage.store.clone(),
        control_bucket: CONTROL.into(),
        evidence_bucket: "none".into(),
    };
    let asker = Asker::new(&stage.world.dns_address().to_string()).expect("an asker");
    let step = Step {
        run: run.id.clone(),
        plan_key: PLAN_KEY.into(),
        name: "a test".into(),
        entered: "2026-11-24T00:00:00Z".into(),
        attempt: 0,
    };
    let request = Request { step, run: Some(run), action: Action::Flip {} };
    handle(&context, stage.mover(), &asker, now, request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_names_and_ten_thousand_take_the_same_calls_and_none_to_route_53() {
    let stage = Stage::set().await;
    let ten = calls_of_a_flip(&stage, 2, 10).await;
    let many = calls_of_a_flip(&stage, 3, 10_000).await;
    assert_eq!(ten, many);
    assert_eq!(
        ten,
        [
            "s3 GET /aex-control/plan",
            "s3 GET list",
            "s3 PUT /aex-control/flip/aex",
            "s3 GET list",
            "s3 GET /aex-control/flip/aex",
            "monitoring POST PutMetricData",
        ]
    );
    let route53 = stage.world.proxy().calls_in(&Scope::origin(UNDER_TEST).service("route53"));
    assert!(route53.is_empty(), "{route53:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_epoch_is_not_the_newest_does_not_even_put_its_flip() {
    let stage = Stage::set().await;
    calls_of_a_flip(&stage, 3, 10).await;
    let claim = Claim { epoch: 4, run: "handback-4".into(), at: now(), cause: Cause::HandBack };
    claim_epoch(&stage.store, CONTROL, "aex", &claim).await.expect("an epoch");
    let uploaded = given::put_plan(&stage.direct, CONTROL, &stage.plan).await.expect("a plan");
    let late = given::run("run-2", uploaded, 1, Some(2));
    assert_eq!(name(act(&stage, late).await), ErrorName::Fenced);
    assert_eq!(stage.flips().await, [switch::key("aex", 3)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_flip_is_found_behind_more_than_a_page_of_them() {
    let stage = Stage::set().await;
    // Straight into the bucket: a thousand flips by way of runs take a thousand days.
    let put = async |epoch: u64| {
        let flip = FlipObject { epoch, run: format!("run-{epoch}"), side: Side::Recovery };
        let put = stage.direct.s3.put_object().bucket(CONTROL).key(switch::key("aex", epoch));
        put.body(flip.to_json().into()).send().await.expect("a put");
    };
    for epochs in (1..=1_100).collect::<Vec<u64>>().chunks(50) {
        join_all(epochs.iter().map(|&epoch| put(epoch))).await;
    }
    let kept = stage.keep().await.expect("a point");
    assert_eq!((kept.epoch, kept.side), (Some(1_100), Side::Recovery));
}
