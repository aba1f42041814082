//! Persons who approve: real runs that wait for them, and every way of answering that must not count.
//!
//! The emulator knows whose an access key is, and does not check signatures here: that a decision which was changed after it was
//! signed names nobody is shown in `policies`, whose emulator checks them. That whoever lacks the right cannot send an answer at all
//! is shown there as well. Time is real: a question stands for half a minute, and the state machine looks every 40 s.

use std::time::{Duration, Instant};

use aws_sdk_s3::primitives::ByteStream;
use lifeboat::signing::submission;
use lifeboat_rules::approval::{Answer, Decision};
use lifeboat_rules::evidence::Manifest;
use lifeboat_rules::plan::Strategy;
use lifeboat_tests::drill;
use lifeboat_tests::light::person::Person;
use lifeboat_tests::light::{Setting, Stage, runs};
use lifeboat_tests::world::{ACCOUNT, World, WorldOptions, explain};
use run_control::{Posted, newest_question};
use serde_json::{Value, json};

const RUN_WITHIN: Duration = Duration::from_secs(180);
const ASKED_WITHIN: Duration = Duration::from_secs(60);

struct Scene {
    /// Ends with the scene.
    _world: World,
    stage: Stage,
    ada: Person,
    bob: Person,
    eve: Person,
}

impl Scene {
    /// A stage whose plan lets ada and bob approve.
    async fn set(name: &'static str, needed: &str, wait_seconds: u32, on_expiry: &str) -> Scene {
        tokio::task::spawn_blocking(|| drill::build().map_err(|why| explain(&why))).await.unwrap().unwrap();
        let world =
            World::start(WorldOptions::default()).await.unwrap_or_else(|why| panic!("{}", explain(&why)));
        let setting =
            Setting { plan: name, strategy: Strategy::Switch, streams: &["ME1", "ME2"], notify: "" };
        let mut stage = Stage::set(&world, &setting).await.unwrap_or_else(|why| panic!("{}", explain(&why)));
        let approvers = ["ada", "bob"].map(|name| format!("arn:aws:iam::{ACCOUNT}:user/{name}"));
        let approval = json!({
            "needed": needed, "approvers": approvers, "wait_seconds": wait_seconds, "on_expiry": on_expiry,
        });
        stage.change_plan(|plan| plan["approval"] = approval).await.unwrap();
        let [ada, bob, eve] = ["ada", "bob", "eve"];
        let ada = Person::new(&world, ada).await.unwrap();
        let bob = Person::new(&world, bob).await.unwrap();
        let eve = Person::new(&world, eve).await.unwrap();
        // The log is to be still when a run looks.
        tokio::time::sleep(Duration::from_secs(3)).await;
        Scene { _world: world, stage, ada, bob, eve }
    }

    async fn asked(&self, run: &str, besides: &str) -> Posted {
        let store = lifeboat_runtime::Store::new(&self.stage.clients.config);
        let deadline = Instant::now() + ASKED_WITHIN;
        loop {
            let (bucket, plan) = (&self.stage.control_bucket, &self.stage.plan.name);
            let found = newest_question(&store, bucket, plan, run).await.unwrap();
            if let Some(found) = found.filter(|found| found.token != besides) {
                return found;
            }
            assert!(Instant::now() < deadline, "{run} asks nobody");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// What the command says, and with which code it ends.
    async fn says(&self, person: &Person, verb: &str, run: &str) -> (i32, Value) {
        let plan = self.stage.plan.name.as_str();
        let args = [verb, "--plan", plan, "--run", run, "--reason", "we have looked", "--yes", "--json"];
        let output = self.stage.lifeboat_as(person, &args).await.unwrap();
        let said = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
        (output.status.code().unwrap(), said)
    }

    /// Sends a decision that no command would send, signed by whom it is told to be; the refusal, as the run keeps it.
    async fn sends(
        &self,
        posted: &Posted,
        person: &Person,
        spoil: impl FnOnce(&mut Decision),
    ) -> (Posted, String) {
        let mut decision = Decision::of(&posted.question, Answer::Approve, "yes", lifeboat_runtime::now());
        spoil(&mut decision);
        let text = serde_json::to_string(&decision).unwrap();
        let region = &self.stage.plan.regions.recovery;
        let sent = submission(&person.config(&self.stage), region, &text).await.unwrap();
        self.answer(posted, &serde_json::to_string(&sent).unwrap()).await
    }

    async fn answer(&self, posted: &Posted, output: &str) -> (Posted, String) {
        let sfn = &self.stage.clients.sfn;
        sfn.send_task_success().task_token(&posted.token).output(output).send().await.unwrap();
        let next = self.asked(&posted.question.run, &posted.token).await;
        let last = next.so_far.last().expect("what came is kept");
        assert_eq!(json!(last.decision), json!("refused"), "{last:?}");
        let reason = last.reason.clone();
        (next, reason)
    }

    async fn ends(&self, run: &str) -> (String, Manifest) {
        let end = runs::follow(&self.stage, run, RUN_WITHIN).await.unwrap();
        let key = lifeboat_rules::evidence::manifest_key(&self.stage.plan.name, run);
        (end.outcome, self.stage.json(&self.stage.evidence_bucket, &key).await.unwrap())
    }
}

fn decisions(manifest: &Manifest) -> Vec<(String, String)> {
    let counted = manifest.facts["approvals"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    counted.iter().map(|one| (text(&one["decision"]), text(&one["principal"]))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_have_to_agree_and_nothing_else_counts() {
    let scene = Scene::set("approve-two", "two", 600, "stand_down").await;
    let Scene { stage, ada, bob, eve, .. } = &scene;
    runs::by_hand(stage, "first", "a test").await.unwrap();
    let posted = scene.asked("first", "").await;
    assert_eq!((posted.question.needed, posted.question.epoch), (2, 2));

    let root = Person::root();
    let (posted, why) = scene.sends(&posted, &root, |_| {}).await;
    assert!(why.contains("is no person"), "{why}");
    let (posted, why) = scene.sends(&posted, eve, |_| {}).await;
    assert!(why.contains("none of the plan's approvers"), "{why}");
    let (posted, why) = scene.sends(&posted, ada, |decision| decision.epoch = 1).await;
    assert!(why.contains("about epoch 1"), "{why}");
    let (posted, why) = scene.sends(&posted, ada, |decision| decision.proof = "0".repeat(64)).await;
    assert!(why.contains("another proof"), "{why}");
    let (posted, why) = scene.sends(&posted, ada, |decision| decision.run = "another".into()).await;
    assert!(why.contains("about the run another"), "{why}");
    let (mut posted, why) = scene.answer(&posted, r#"{"decision":"yes"}"#).await;
    assert!(why.contains("`decision` is none"), "{why}");
    for nothing in [
        json!({ "principal": bob.arn }),
        json!({ "unasked": "nobody" }),
        json!(null),
        json!("x".repeat(200_000)),
    ] {
        let (next, why) = scene.answer(&posted, &nothing.to_string()).await;
        assert!(why.contains("no field `decision`"), "{why}");
        posted = next;
    }

    // One, who says it twice.
    let (code, said) = scene.says(ada, "approve", "first").await;
    assert_eq!((code, &said["verdict"], &said["by"]), (0, &json!("Waiting"), &json!(ada.arn)), "{said}");
    let replayed = stage.clients.sfn.send_task_success().task_token(&posted.token).output("{}").send().await;
    assert!(replayed.is_err(), "a token answers once");
    scene.asked("first", &posted.token).await;
    let (code, said) = scene.says(ada, "approve", "first").await;
    assert_eq!(code, 3, "{said}");
    assert!(said.to_string().contains("ada has decided already"), "{said}");

    // A no of the second ends it, and the primary keeps the pen.
    let (code, said) = scene.says(bob, "decline", "first").await;
    assert_eq!((code, &said["verdict"]), (0, &json!("Declined")), "{said}");
    let (outcome, manifest) = scene.ends("first").await;
    assert_eq!(outcome, "StoodDown", "{}", manifest.reason);
    assert!(manifest.reason.contains(&bob.arn) && stage.stacks().await.unwrap().is_empty());
    assert_eq!(decisions(&manifest).last().unwrap(), &("decline".to_owned(), bob.arn.clone()));
    assert_eq!(decisions(&manifest).iter().filter(|(decision, _)| decision == "refused").count(), 11);
    let (code, said) = scene.says(bob, "approve", "first").await;
    assert!(code == 66, "{code}: {said}");

    // The next run, and both.
    runs::by_hand(stage, "second", "a test").await.unwrap();
    scene.asked("second", "").await;
    for person in [ada, bob] {
        let (code, said) = scene.says(person, "approve", "second").await;
        assert_eq!(code, 0, "{said}");
    }
    let (outcome, manifest) = scene.ends("second").await;
    assert_eq!(outcome, "Recovered", "{}", manifest.reason);
    let both = [ada, bob].map(|person| ("approve".to_owned(), person.arn.clone()));
    assert_eq!(decisions(&manifest), both);
    let evidence = serde_json::to_string(&evidence(stage, "second").await).unwrap();
    assert!(!evidence.contains("AWS4-HMAC-SHA256") && !evidence.contains("x-amz-security-token"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_nobody_answers_ends_as_the_plan_says() {
    let mut scene = Scene::set("approve-nobody", "one", 30, "stand_down").await;
    runs::by_hand(&scene.stage, "first", "a test").await.unwrap();
    let (outcome, manifest) = scene.ends("first").await;
    assert_eq!(outcome, "Halted");
    assert!(manifest.reason.contains("the plan does not go on"), "{}", manifest.reason);
    assert_eq!(decisions(&manifest), [("expired".to_owned(), "the plan".to_owned())]);
    assert!(scene.stage.stacks().await.unwrap().is_empty(), "it takes down what it launched");

    scene.stage.change_plan(|plan| plan["approval"]["on_expiry"] = json!("go_on")).await.unwrap();
    runs::by_hand(&scene.stage, "second", "a test").await.unwrap();
    let (outcome, manifest) = scene.ends("second").await;
    assert_eq!(outcome, "Recovered", "{}", manifest.reason);
    assert_eq!(decisions(&manifest), [("expired".to_owned(), "the plan".to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unproven_ledger_takes_two_whatever_the_plan_says_of_the_seal() {
    let mut scene = Scene::set("approve-unproven", "one", 600, "go_on").await;
    let witness = json!({ "prefix": "witness/", "required": true });
    scene.stage.change_plan(|plan| plan["ledger"]["witness"] = witness).await.unwrap();
    // The history is proven, and what the witness has by the time of the tail cannot be read.
    let Scene { stage, ada, bob, .. } = &scene;
    runs::by_hand(stage, "run", "a test").await.unwrap();
    let seal = scene.asked("run", "").await;
    let put = stage.clients.s3.put_object().bucket(&stage.log_bucket).key("witness/2026/11/28/00/part");
    put.body(ByteStream::from_static(b"no entry\n")).send().await.unwrap();
    let (code, said) = scene.says(ada, "approve", "run").await;
    assert_eq!((code, &said["verdict"]), (0, &json!("Approved")), "{said}");

    let past = scene.asked("run", &seal.token).await;
    assert_eq!((past.question.needed, json!(past.question.about)), (2, json!("unproven")));
    let (code, said) = scene.says(ada, "approve", "run").await;
    assert_eq!((code, &said["verdict"]), (0, &json!("Waiting")), "{said}");
    scene.asked("run", &past.token).await;
    let (code, said) = scene.says(bob, "approve", "run").await;
    assert_eq!((code, &said["verdict"]), (0, &json!("Approved")), "{said}");
    let (outcome, manifest) = scene.ends("run").await;
    assert_eq!(outcome, "Recovered", "{}", manifest.reason);
    assert_eq!(manifest.facts["tail"]["verdict"], "Unproven");
    assert!(manifest.reason.contains("a ledger that is NOT proven"), "{}", manifest.reason);
    assert_eq!(decisions(&manifest).len(), 3);
    let rpo = manifest.account.and_then(|account| account.rpo);
    assert_eq!(rpo, None, "nothing says that nothing was lost");
}

/// All that a run has left.
async fn evidence(stage: &Stage, run: &str) -> Vec<String> {
    let prefix = format!("{}/{run}/", stage.plan.name);
    let mut all = Vec::new();
    for key in stage.keys(&stage.evidence_bucket, &prefix).await.unwrap() {
        all.push(
            String::from_utf8_lossy(&stage.bytes(&stage.evidence_bucket, &key).await.unwrap()).into_owned(),
        );
    }
    all
}
