//! People are told of a run by SNS: when it begins to act, what it asks, and how it ended; and a topic that is dead stops no run.
//!
//! What is real here and what stands in is the light stage's (`lifeboat_tests::light`); a queue listens where a person would.

use std::time::Duration;

use lifeboat_rules::evidence::{Manifest, manifest_key};
use lifeboat_rules::plan::Strategy;
use lifeboat_tests::drill;
use lifeboat_tests::light::{Setting, Stage, runs};
use lifeboat_tests::world::proxy::{Fault, Scope};
use lifeboat_tests::world::{ACCOUNT, World, WorldOptions};
use serde_json::{Value, json};

const PLAN: &str = "told";
const TOPIC: &str = "arn:aws:sns:eu-central-1:000000000000:on-call";
const QUEUE: &str = "arn:aws:sqs:eu-central-1:000000000000:on-call";
const RUN_WITHIN: Duration = Duration::from_secs(240);
/// A question that stands for so long is put twice, since the state machine looks every 40 s.
const QUESTION_SECONDS: u32 = 45;
/// All attempts at one text, three seconds, and what the step itself takes.
const CLAIM_MILLISECONDS_MAX: i64 = 6_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_told_of_and_a_dead_topic_stops_none() {
    tokio::task::spawn_blocking(drill::build).await.unwrap().unwrap();
    let world = World::start(WorldOptions::default()).await.unwrap();
    aws(&world, &["sns", "create-topic", "--name", "on-call"]).await;
    let queue = aws(&world, &["sqs", "create-queue", "--queue-name", "on-call"]).await;
    let queue = queue["QueueUrl"].as_str().expect("a queue").to_owned();
    let listens = ["--protocol", "sqs", "--notification-endpoint", QUEUE];
    aws(&world, &[&["sns", "subscribe", "--topic-arn", TOPIC][..], &listens].concat()).await;
    let setting = Setting { plan: PLAN, strategy: Strategy::Records, streams: &["ME1"], notify: TOPIC };
    let mut stage = Stage::set(&world, &setting).await.unwrap();
    let approvers = ["ada", "bob"].map(|name| format!("arn:aws:iam::{ACCOUNT}:user/{name}"));
    let approval = json!({
        "needed": "one", "approvers": approvers, "wait_seconds": QUESTION_SECONDS, "on_expiry": "go_on",
    });
    stage.change_plan(|plan| plan["approval"] = approval).await.unwrap();

    let epoch = recovers(&stage, "by-hand-1").await;
    let put = stage.keys(&stage.control_bucket, &format!("question/{PLAN}/by-hand-1/")).await.unwrap();
    assert_eq!(put.len(), 2, "the question was put again: {put:?}");
    let heard_of_it = heard(&world, &queue).await;
    let [started, question, ended] = &heard_of_it[..] else { panic!("one text each: {heard_of_it:?}") };
    assert_eq!(started.0, "[told] failover STARTED: run by-hand-1");
    assert_eq!(question.0, "[told] QUESTION, sealing the ledger: run by-hand-1");
    assert_eq!(ended.0, "[told] RECOVERED: run by-hand-1");
    for (says, text) in [
        ("The primary is confirmed down.".to_owned(), started),
        (format!("\nepoch       {epoch}\n"), started),
        ("\nreason      the primary is gone\n".to_owned(), started),
        ("\nnext        lifeboat status --plan told --follow\n".to_owned(), started),
        ("\nasks        leave for sealing the ledger; persons who have to agree: 1\n".to_owned(), question),
        ("without an answer it seals, as if they had agreed\n".to_owned(), question),
        ("\nnext        lifeboat approve --plan told --run by-hand-1 ".to_owned(), question),
        ("\noutcome     Recovered\n".to_owned(), ended),
        (format!("\nevidence    {}\n", manifest_key(PLAN, "by-hand-1")), ended),
        ("\nnext        lifeboat status --plan told\n".to_owned(), ended),
    ] {
        assert!(text.1.contains(&says), "{says:?} is not in:\n{}", text.1);
    }
    assert_eq!(answers(&stage, "by-hand-1").await, [None, None]);

    let back = ["--plan", PLAN, "--by", "a test", "--reason", "again", "--take-from-recovery", "--yes"];
    stage.succeed(&[&["handback"][..], &back].concat()).await.unwrap();
    stage
        .change_plan(|plan| {
            plan.as_object_mut().expect("a plan").remove("approval");
        })
        .await
        .unwrap();
    let refused = world.proxy().add(Scope::origin("lambda").service("sns"), Fault::Refuse);
    let second = "by-hand-2";
    recovers(&stage, second).await;
    assert!(world.proxy().met(refused) > 0, "nobody was to be told");
    assert!(heard(&world, &queue).await.is_empty());
    for answer in answers(&stage, second).await {
        let why = answer.expect("nobody was told, and the answer says nothing of it");
        assert!(why.starts_with(&format!("{TOPIC} was not told of it: ")), "{why}");
    }
    let manifest: Manifest = stage.json(&stage.evidence_bucket, &manifest_key(PLAN, second)).await.unwrap();
    let phases = manifest.account.expect("an account").phases;
    let claim = phases.iter().find(|phase| phase.action == "claim_epoch").expect("a claim");
    assert!((0..CLAIM_MILLISECONDS_MAX).contains(&claim.milliseconds), "{claim:?}");
}

/// Plays a run to its end, and returns its epoch.
async fn recovers(stage: &Stage, run: &str) -> u64 {
    runs::by_hand(stage, run, "the primary is gone").await.unwrap();
    let end = runs::follow(stage, run, RUN_WITHIN).await.unwrap();
    assert_eq!(end.outcome, "Recovered", "{}", end.reason);
    stage.newest_epoch().await.unwrap().expect("an epoch")
}

/// What the queue has got since it was last asked: the subject and the text of each, in their order.
async fn heard(world: &World, queue: &str) -> Vec<(String, String)> {
    let mut heard = Vec::new();
    loop {
        let take = ["sqs", "receive-message", "--queue-url", queue, "--max-number-of-messages", "1"];
        let taken = aws(world, &[&take[..], &["--wait-time-seconds", "1"]].concat()).await;
        let Some(message) = taken["Messages"].get(0) else { return heard };
        let body: Value = serde_json::from_str(message["Body"].as_str().expect("a body")).expect("JSON");
        let text = |field: &str| body[field].as_str().unwrap_or_default().to_owned();
        heard.push((text("Subject"), text("Message")));
        let receipt = message["ReceiptHandle"].as_str().expect("a receipt");
        aws(world, &["sqs", "delete-message", "--queue-url", queue, "--receipt-handle", receipt]).await;
    }
}

/// What *Claim the epoch* has recorded and *Close the run* has answered: why nobody was told.
async fn answers(stage: &Stage, run: &str) -> [Option<String>; 2] {
    let prefix = format!("{PLAN}/{run}/");
    let keys = stage.keys(&stage.evidence_bucket, &prefix).await.unwrap();
    let claimed = keys.iter().find(|key| key.contains("-Claim-the-epoch-") && key.ends_with("-outcome.json"));
    let record: Value = stage.json(&stage.evidence_bucket, claimed.expect("a claim")).await.unwrap();
    let arn = format!("{}:{run}", stage.state_machine_arn.replace(":stateMachine:", ":execution:"));
    let ended = stage.clients.sfn.describe_execution().execution_arn(arn).send().await.unwrap();
    let output: Value = serde_json::from_str(ended.output().expect("an output")).expect("JSON");
    [&record["body"]["result"]["not_told"], &output["not_told"]].map(|told| told.as_str().map(str::to_owned))
}

async fn aws(world: &World, args: &[&str]) -> Value {
    world.venv().aws(&world.ministack().endpoint(), world.recovery(), args).await.expect("the aws command")
}
