//! What a test of single steps is given: the test's plan, stored as `lifeboat plan upload` stores it, and a run of it.

use aws_sdk_kms::types::{KeySpec, KeyUsageType};
use jiff::Timestamp;
use lifeboat_rules::evidence::{Deployment, sha256};
use lifeboat_rules::{Mode, Plan, PlanRef, Run, Trigger, TriggerKind};
use lifeboat_runtime::now;
use run_control::{Deployed, Orchestrator};

use crate::world::Clients;
use crate::world::error::{Doing as _, WorldError};

/// The plan `functions/rules/tests/plan.json`.
///
/// # Panics
/// It is no valid plan.
pub fn plan() -> Plan {
    Plan::from_json(include_bytes!("../../functions/rules/tests/plan.json"))
        .expect("the test's plan is valid")
}

/// Stores `plan` in the control bucket, which keeps versions.
///
/// # Errors
/// The put failed, or the bucket keeps no versions.
pub async fn put_plan(clients: &Clients, bucket: &str, plan: &Plan) -> Result<PlanRef, WorldError> {
    let (key, json) = (format!("plan/{}.json", plan.name), plan.canonical_json());
    let sha256 = sha256(&json);
    let what = || format!("put s3://{bucket}/{key}");
    let put = clients.s3.put_object().bucket(bucket).key(&key).body(json.into());
    let version = put.send().await.doing(what)?.version_id;
    let version = version.ok_or_else(|| WorldError::failed(what(), "the bucket keeps no versions"))?;
    Ok(PlanRef { key, version, sha256 })
}

/// An orchestrator deployed for what `plan` says.
pub fn orchestrator(plan: &Plan) -> Orchestrator {
    Orchestrator {
        deployed: Deployed { strategy: plan.dns.strategy, zone_id: plan.dns.zone_id.clone() },
        deployment: Deployment {
            packages: "packages/1/".into(),
            definition: "packages/1/failover.asl.json".into(),
            signing_key: "arn:aws:kms:eu-central-1:000000000000:key/1".into(),
            templates: vec![],
        },
        topic: None,
    }
}

/// The ARN of a new key, as the foundation makes the one that signs.
///
/// # Errors
/// The key could not be made.
pub async fn signing_key(clients: &Clients) -> Result<String, WorldError> {
    let kms = aws_sdk_kms::Client::new(&clients.config);
    let key = kms.create_key().key_spec(KeySpec::EccNistP256).key_usage(KeyUsageType::SignVerify).send();
    let what = || "make a key that signs".to_owned();
    let made = key.await.doing(what)?;
    let arn = made.key_metadata().and_then(|key| key.arn()).map(str::to_owned);
    arn.ok_or_else(|| WorldError::failed(what(), "it has no ARN"))
}

/// An operator's run without a deadline, admitted when `admitted_epoch` was the newest.
pub fn run(id: impl Into<String>, plan: PlanRef, admitted_epoch: u64, epoch: Option<u64>) -> Run {
    Run {
        id: id.into(),
        mode: Mode::Failover,
        plan,
        trigger: Trigger { kind: TriggerKind::Operator, at: None, alarm: None, by: None, reason: None },
        admitted_at: now(),
        deadline: Timestamp::MAX,
        admitted_epoch,
        fenced_epoch: 0,
        epoch,
        approvals: None,
    }
}
