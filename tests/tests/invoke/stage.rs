//! What the Lambdas need behind them: buckets, a plan and a wrong one, an opened ledger, a zone, a state machine, and a
//! recovered application that says so. The primary of the plan is nowhere: nothing listens there.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;

use aws_sdk_s3::primitives::ByteStream;
use axum::routing::get;
use axum::{Json, Router};
use jiff::SignedDuration;
use lifeboat_rules::evidence::sha256;
use lifeboat_tests::given;
use lifeboat_tests::world::deploy::{Bucket, create_bucket};
use lifeboat_tests::world::{Clients, World, clients, now, places};
use serde_json::{Value, json};
use tokio::process::Command;

const CONTROL: &str = "fixture-control";
const EVIDENCE: &str = "fixture-evidence";
const LOG: &str = "fixture-log";
const PLAN_KEY: &str = "plan/aex.json";
const WRONG_PLAN_KEY: &str = "plan/wrong.json";
const ZONE: &str = "aex.internal";

/// What is set up.
pub struct Stage {
    /// The environment of the functions, as `infra/orchestrator.yaml` sets it.
    pub environment: Vec<(&'static str, String)>,
    /// What stands in the fixtures as `${NAME}`.
    pub values: BTreeMap<&'static str, String>,
}

impl Stage {
    /// Sets everything up.
    pub async fn set(world: &World) -> Stage {
        let clients = world.clients(world.recovery());
        for bucket in [Bucket::versioned(CONTROL), Bucket::locked(EVIDENCE, 1), Bucket::versioned(LOG)] {
            create_bucket(&clients, &bucket).await.unwrap();
        }
        let zone_id = create_zone(world).await;
        let file = world.run().file("plan.yaml");
        std::fs::write(&file, plan(&zone_id, &recovered_application().await)).unwrap();
        for command in [["plan", "upload"].as_slice(), &["init"]] {
            lifeboat(world, command, &file).await;
        }
        let (plan_version, plan) = read(&clients, PLAN_KEY).await;
        let mut wrong: Value = serde_json::from_slice(&plan).unwrap();
        wrong["name"] = json!("wrong");
        wrong["regions"]["recovery"] = wrong["regions"]["primary"].clone();
        let wrong = serde_json::to_vec(&wrong).unwrap();
        let body = ByteStream::from(wrong.clone());
        clients.s3.put_object().bucket(CONTROL).key(WRONG_PLAN_KEY).body(body).send().await.unwrap();
        let (wrong_version, _) = read(&clients, WRONG_PLAN_KEY).await;

        let started = now();
        let values = [
            ("NOW", started.to_string()),
            ("DEADLINE", (started + SignedDuration::from_hours(2)).to_string()),
            ("PLAN_VERSION", plan_version),
            ("PLAN_SHA256", sha256(&plan)),
            ("WRONG_PLAN_VERSION", wrong_version),
            ("WRONG_PLAN_SHA256", sha256(&wrong)),
        ];
        let environment = vec![
            ("AWS_ENDPOINT_URL", world.endpoint()),
            ("AWS_REGION", world.recovery().to_owned()),
            ("AWS_ACCESS_KEY_ID", clients::ACCESS_KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", clients::SECRET_KEY.to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
            ("CONTROL_BUCKET", CONTROL.to_owned()),
            ("EVIDENCE_BUCKET", EVIDENCE.to_owned()),
            ("PLAN_KEY", PLAN_KEY.to_owned()),
            ("ALARM_NAME", "lifeboat-aex-primary-down".to_owned()),
            ("METRIC_NAMESPACE", "Lifeboat".to_owned()),
            ("STATE_MACHINE_ARN", create_state_machine(&clients).await),
            ("DNS_SERVER", world.dns_address().to_string()),
            ("DNS_STRATEGY", "records".to_owned()),
            ("HOSTED_ZONE_ID", zone_id),
            ("ARTIFACT_PREFIX", "packages/1/".to_owned()),
            ("DEFINITION_KEY", "packages/1/failover.asl.json".to_owned()),
            ("SIGNING_KEY_ARN", given::signing_key(&clients).await.expect("a key")),
        ];
        Stage { environment, values: values.into_iter().collect() }
    }
}

fn plan(zone_id: &str, recovery: &str) -> String {
    let repository = places::repository();
    // Port 1 of loopback: refused at once, and nobody listens there.
    format!(
        "version: 1
name: aex
regions: {{ primary: eu-west-1, recovery: eu-central-1 }}
objectives: {{ rto_seconds: 7200 }}
probe:
  primary: [http://127.0.0.1:1/health]
  recovery: {recovery}/health
  timeout_seconds: 1
  attempts: 2
  interval_seconds: 1
  log_still_seconds: 2
stacks:
  - {{ name: cluster, template: {}, depends_on: [], parameters: {{}} }}
ledger: {{ bucket: {LOG}, prefix: log/, streams: [ME1, ME2] }}
dns:
  strategy: records
  zone_id: {zone_id}
  zone: {ZONE}
  records:
    - {{ name: gateway.{ZONE}, type: A, ttl: 2, primary: [127.0.1.1], recovery: [127.0.2.1] }}
",
        repository.join("examples/aex/infra/cluster.yaml").display()
    )
}

/// An application that has taken over under epoch 2; its address. It lives as long as the test's runtime.
async fn recovered_application() -> String {
    let health = json!({
        "mode": "serving", "side": "recovery", "epoch": 2,
        "streams": { "ME1": { "seq": 3, "open_epoch": 2 }, "ME2": { "seq": 3, "open_epoch": 2 } },
    });
    let app = Router::new().route("/health", get(move || std::future::ready(Json(health.clone()))));
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://{address}")
}

async fn create_zone(world: &World) -> String {
    let route53 = world.clients("us-east-1").route53;
    let created = route53.create_hosted_zone().name(ZONE).caller_reference("fixture").send().await.unwrap();
    let id = created.hosted_zone().unwrap().id();
    id.trim_start_matches("/hostedzone/").to_owned()
}

/// Any state machine will do: what is under test is how it is started.
async fn create_state_machine(clients: &Clients) -> String {
    let definition = json!({ "StartAt": "End", "States": { "End": { "Type": "Succeed" } } });
    let created = clients
        .sfn
        .create_state_machine()
        .name("lifeboat-aex")
        .definition(definition.to_string())
        .role_arn("arn:aws:iam::000000000000:role/none")
        .send()
        .await
        .unwrap();
    created.state_machine_arn().to_owned()
}

async fn read(clients: &Clients, key: &str) -> (String, Vec<u8>) {
    let object = clients.s3.get_object().bucket(CONTROL).key(key).send().await.unwrap();
    let version = object.version_id().expect("the bucket keeps versions").to_owned();
    (version, object.body.collect().await.unwrap().to_vec())
}

async fn lifeboat(world: &World, command: &[&str], plan: &Path) {
    let output = Command::new(places::binary("lifeboat").unwrap())
        .args(command)
        .arg(plan)
        .args(["--control-bucket", CONTROL])
        .env_clear()
        .env("AWS_ENDPOINT_URL", world.endpoint())
        .env("AWS_REGION", world.recovery())
        .env("AWS_ACCESS_KEY_ID", clients::ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", clients::SECRET_KEY)
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
}
