//! A run's evidence is fetched and checked where there is no network, and nobody takes it away or shortens its time.
//!
//! The emulator enforces Object Lock as AWS documents it; that AWS does is not shown here.

use std::process::{Command, Output};
use std::time::Duration;

use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::{ObjectLockRetention, ObjectLockRetentionMode};
use lifeboat_rules::evidence::{Manifest, manifest_key, sha256};
use lifeboat_rules::plan::Strategy;
use lifeboat_tests::drill;
use lifeboat_tests::light::{Setting, Stage, runs};
use lifeboat_tests::world::{World, WorldOptions, explain, places};

const RUN_WITHIN: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn what_a_run_left_is_checked_without_a_network_and_cannot_be_taken_away() {
    tokio::task::spawn_blocking(|| drill::build().map_err(|why| explain(&why))).await.unwrap().unwrap();
    let world = World::start(WorldOptions::default()).await.unwrap_or_else(|why| panic!("{}", explain(&why)));
    let setting = Setting { plan: "survives", strategy: Strategy::Switch, streams: &["ME1"], notify: "" };
    let stage = Stage::set(&world, &setting).await.unwrap_or_else(|why| panic!("{}", explain(&why)));
    tokio::time::sleep(Duration::from_secs(3)).await;
    runs::by_hand(&stage, "run", "a test").await.unwrap();
    let end = runs::follow(&stage, "run", RUN_WITHIN).await.unwrap();
    assert_eq!(end.outcome, "Recovered", "{}", end.reason);

    let s3 = &stage.clients.s3;
    let listed = s3.list_object_versions().bucket(&stage.evidence_bucket).prefix("survives/run/");
    let versions = listed.send().await.unwrap().versions.unwrap_or_default();
    assert!(versions.len() > 30, "{} objects", versions.len());
    for version in &versions {
        let (key, id) = (version.key().unwrap(), version.version_id().unwrap());
        let delete = s3.delete_object().bucket(&stage.evidence_bucket).key(key).version_id(id);
        let refused = delete.clone().send().await.expect_err("it was deleted");
        assert_eq!(refused.code(), Some("AccessDenied"), "{key}");
        let refused =
            delete.bypass_governance_retention(true).send().await.expect_err("it was deleted by a bypass");
        assert_eq!(refused.code(), Some("AccessDenied"), "{key}");
        let shorter = ObjectLockRetention::builder()
            .mode(ObjectLockRetentionMode::Compliance)
            .retain_until_date(DateTime::from_secs(lifeboat_runtime::now().as_second() + 60))
            .build();
        let put = s3.put_object_retention().bucket(&stage.evidence_bucket).key(key).version_id(id);
        let refused = put.retention(shorter).send().await.expect_err("it is kept for a minute");
        assert_eq!(refused.code(), Some("AccessDenied"), "{key}");
    }

    let folder = world.run().file("fetched").display().to_string();
    stage.succeed(&["evidence", "fetch", "run", &folder, "--plan", "survives"]).await.unwrap();
    let key = manifest_key("survives", "run");
    let manifest: Manifest = stage.json(&stage.evidence_bucket, &key).await.unwrap();
    let signing_key = manifest.deployment.unwrap().signing_key;
    let asked = aws_sdk_kms::Client::new(&stage.clients.config).get_public_key().key_id(signing_key).send();
    let fingerprint = sha256(asked.await.unwrap().public_key().unwrap().as_ref());
    let output = without_network(&["evidence", "verify", &folder, "--key", &fingerprint]);
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("authentic"), "{said}");
    // The same place reaches nothing.
    let output = without_network(&["evidence", "list", "--plan", "survives", "--evidence-bucket", "b"]);
    assert_eq!(output.status.code(), Some(75), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Runs the command in a network namespace of its own, in which not even loopback is up. A machine that gives none says so, and
/// the command has then only nobody to ask: at the address that it is given nobody listens.
fn without_network(args: &[&str]) -> Output {
    const ALONE: [&str; 2] = ["--map-root-user", "--net"];
    let lifeboat = places::binary("lifeboat").unwrap();
    let is_given =
        Command::new("unshare").args(ALONE).arg("true").status().is_ok_and(|status| status.success());
    let mut command = if is_given {
        let mut alone = Command::new("unshare");
        alone.args(ALONE).arg(lifeboat);
        alone
    } else {
        println!("this machine gives no network namespace: the network was on");
        Command::new(lifeboat)
    };
    let nobody = [("AWS_ENDPOINT_URL", "http://127.0.0.1:9"), ("AWS_REGION", "eu-central-1")];
    let key = [("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test"), ("PATH", "/usr/bin:/bin")];
    command.args(args).env_clear().envs(nobody).envs(key).output().unwrap()
}
