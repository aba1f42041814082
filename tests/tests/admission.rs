//! What is looked at before a run may begin: run-control's own code on plans that could not move their traffic. Nothing is
//! claimed for any of them.
//!
//! What this does not prove: that the deployed function is told the parameters of the template (the scenarios run it so).

use lifeboat_rules::admission::{GENESIS, GENESIS_EPOCH};
use lifeboat_rules::epoch::{Cause, Claim};
use lifeboat_rules::evidence::sha256;
use lifeboat_rules::plan::{Names, RecordType, Strategy};
use lifeboat_rules::{ErrorName, Mode, Plan, Request, Step, StepError, Trigger, TriggerKind};
use lifeboat_runtime::{Context, Store, now};
use lifeboat_tests::given;
use lifeboat_tests::world::deploy::{Bucket, create_bucket};
use lifeboat_tests::world::proxy::{Fault, Scope};
use lifeboat_tests::world::{Clients, World, WorldOptions};
use run_control::{
    Action, Answer, Control, Executions, Identities, Orchestrator, PlanKey, Private, Signer, Start,
    claim_epoch, handle, newest_epoch,
};

const CONTROL: &str = "aex-control";
const EVIDENCE: &str = "aex-evidence";
const LOG: &str = "aex-log";
const PLAN_KEY: &str = "plan/aex.json";
const CALLER: &str = "run-control";

struct Stage {
    world: World,
    /// Past the proxy.
    clients: Clients,
    context: Context,
    executions: Executions,
    signer: Signer,
    identities: Identities,
}

impl Stage {
    /// Buckets and the first epoch of the plan.
    async fn set() -> Stage {
        let mut world = World::start(WorldOptions::default()).await.expect("a world");
        let clients = world.clients(world.recovery());
        for bucket in [Bucket::versioned(CONTROL), Bucket::plain(EVIDENCE), Bucket::plain(LOG)] {
            create_bucket(&clients, &bucket).await.expect("a bucket");
        }
        let entrance = world.entrance(CALLER).await.expect("an entrance");
        let through = Clients::new(&entrance, world.recovery());
        let context = Context {
            store: Store::new(&through.config),
            control_bucket: CONTROL.into(),
            evidence_bucket: EVIDENCE.into(),
        };
        // No run is closed here.
        let signer = Signer::new(&through.config, "no key".into());
        let identities = Identities::new(&through.config);
        let executions = Executions { sfn: through.sfn };
        let genesis = Claim { epoch: GENESIS_EPOCH, run: GENESIS.into(), at: now(), cause: Cause::Genesis };
        claim_epoch(&context.store, CONTROL, "aex", &genesis).await.expect("the first epoch");
        Stage { world, clients, context, executions, signer, identities }
    }

    /// Uploads the plan and asks for a run by it.
    async fn admit(&self, plan: &Plan, orchestrator: &Orchestrator) -> Result<Answer, StepError> {
        given::put_plan(&self.clients, CONTROL, plan).await.expect("a plan");
        let by_hand = Trigger {
            kind: TriggerKind::Operator,
            at: None,
            alarm: None,
            by: Some("somebody".into()),
            reason: Some("a test".into()),
        };
        let plan = PlanKey { key: PLAN_KEY.into(), version: None };
        let action = Action::Admit {
            execution: "arn:aws:states:eu-central-1:000000000000:execution:lifeboat-aex:by-hand".into(),
            started_at: now(),
            input: Start { mode: Mode::Failover, plan, trigger: by_hand },
        };
        let step = Step {
            run: "by-hand".into(),
            plan_key: PLAN_KEY.into(),
            name: "Admit the run".into(),
            entered: "2026-11-24T00:00:00Z".into(),
            attempt: 0,
        };
        let request = Request { step, run: None, action };
        let Stage { executions, signer, identities, .. } = self;
        let (executions, signer, identities) = (executions.clone(), signer.clone(), identities.clone());
        let control = Control { executions, signer, identities, orchestrator: orchestrator.clone() };
        let answer = handle(&self.context, &control, now, Private::default(), request).await;
        assert_eq!(newest_epoch(&self.context.store, CONTROL, "aex").await.expect("epochs"), GENESIS_EPOCH);
        answer
    }

    /// Puts a list, under the key of `keyed`.
    async fn put_list(&self, list: &str, keyed: &str) {
        let put = self.clients.s3.put_object().bucket(CONTROL).key(list_key(keyed));
        put.body(list.as_bytes().to_vec().into()).send().await.expect("a list");
    }
}

fn list_key(list: &str) -> String {
    format!("names/{}.txt", sha256(list.as_bytes()))
}

/// The test's plan, whose ledger is this world's.
fn plan() -> Plan {
    let mut plan = given::plan();
    plan.ledger.bucket = LOG.into();
    plan
}

/// The same with a rule over `list` besides.
fn plan_over(list: &str) -> Plan {
    let mut plan = plan();
    plan.dns.names = vec![Names {
        name: "{symbol}.md.aex.internal".into(),
        list: list_key(list),
        kind: RecordType::A,
        ttl: 5,
        primary: vec!["10.0.0.20".into()],
        recovery: vec!["10.1.0.20".into()],
    }];
    plan
}

fn refused(answer: Result<Answer, StepError>) -> String {
    match answer {
        Ok(Answer::Refused { reason }) => reason,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn admitted(answer: Result<Answer, StepError>) {
    assert!(matches!(answer, Ok(Answer::Admitted { .. })), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_was_not_deployed_for_is_refused() {
    let stage = Stage::set().await;
    let by_records = plan();
    let mut by_switch = plan();
    (by_switch.dns.strategy, by_switch.dns.health_check) = (Strategy::Switch, Some("gate".into()));

    admitted(stage.admit(&by_records, &given::orchestrator(&by_records)).await);
    let reason = refused(stage.admit(&by_switch, &given::orchestrator(&by_records)).await);
    assert!(reason.contains("DnsStrategy=switch") && reason.contains("dns.strategy: records"), "{reason}");
    let reason = refused(stage.admit(&by_records, &given::orchestrator(&by_switch)).await);
    assert!(reason.contains("DnsStrategy=records") && reason.contains("dns.strategy: switch"), "{reason}");
    let mut another_zone = given::orchestrator(&by_records);
    another_zone.deployed.zone_id = "ZANOTHER".into();
    let reason = refused(stage.admit(&by_records, &another_zone).await);
    assert!(reason.contains("ZANOTHER") && reason.contains(&by_records.dns.zone_id), "{reason}");
    admitted(stage.admit(&by_switch, &given::orchestrator(&by_switch)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_could_not_be_moved_is_found_before_the_claim() {
    let stage = Stage::set().await;
    let ask = async |list: &str| {
        let plan = plan_over(list);
        stage.admit(&plan, &given::orchestrator(&plan)).await
    };
    let invalid = async |list: &str, says: &str| {
        let err = ask(list).await.expect_err("an error");
        assert_eq!(err.name, ErrorName::PlanInvalid, "{err}");
        assert!(err.to_string().contains(says), "{err}");
    };
    let good = "aapl\nmsft\n";
    invalid(good, "is not there").await;
    stage.put_list("aapl\n", good).await;
    invalid(good, "other bytes than its key says").await;
    stage.put_list(good, good).await;
    admitted(ask(good).await);

    // By `switch` the names move with the gate, whatever the list says.
    let mut by_switch = plan_over("nowhere\n");
    (by_switch.dns.strategy, by_switch.dns.health_check) = (Strategy::Switch, Some("gate".into()));
    admitted(stage.admit(&by_switch, &given::orchestrator(&by_switch)).await);

    let faulty = "aapl\nBRK.B\n";
    stage.put_list(faulty, faulty).await;
    invalid(faulty, "line 2").await;
    // Two are in `records`, so one of these is too many.
    let many = (0..9_999).map(|number| format!("s{number}\n")).collect::<String>();
    stage.put_list(&many, &many).await;
    invalid(&many, "beyond 10000 records").await;

    let lists = Scope::origin(CALLER).method("GET").path_prefix(&format!("/{CONTROL}/names/"));
    let denied = stage.world.proxy().add(lists.clone(), Fault::Deny);
    assert_eq!(ask(good).await.expect_err("an error").name, ErrorName::Defect);
    assert!(stage.world.proxy().lift(denied));
    let throttled = stage.world.proxy().add(lists, Fault::Throttle);
    assert_eq!(
        ask(good).await.expect_err("an error").name,
        ErrorName::Transient,
        "Step Functions asks again"
    );
    assert!(stage.world.proxy().lift(throttled));
    admitted(ask(good).await);
}
