//! What the three buckets refuse to somebody who may do everything.

use std::collections::BTreeMap;

use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata as _};
use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::{
    BucketLifecycleConfiguration, BucketVersioningStatus, Delete, ExpirationStatus, LifecycleExpiration,
    LifecycleRule, LifecycleRuleFilter, ObjectIdentifier, ObjectLockConfiguration, ObjectLockEnabled,
    ObjectLockLegalHold, ObjectLockLegalHoldStatus, ObjectLockRetention, ObjectLockRetentionMode,
    ObjectOwnership, OwnershipControls, OwnershipControlsRule, ServerSideEncryption,
    ServerSideEncryptionByDefault, ServerSideEncryptionConfiguration, ServerSideEncryptionRule,
    VersioningConfiguration,
};
use lifeboat_tests::world::deploy::{StackSpec, create_stack};
use lifeboat_tests::world::{Clients, places};
use serde_json::{Value, json};

use crate::{Answer, Stage};

/// What nobody may do, to an object or to its bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Act {
    PutWithoutCondition,
    CopyWithoutCondition,
    BeginMultipart,
    BeginMultipartWithCondition,
    ForgeCheckpoint,
    ForgeShard,
    Delete,
    DeleteMany,
    DeleteVersion,
    Expire,
    SuspendVersions,
    EncryptWithKms,
    LetOthersOwn,
    ShortenRetention,
    ForgetToLock,
    ReadInTheClear,
    RewritePolicy,
    DeletePolicy,
}

/// Nothing is there yet.
const CHECKPOINT_TO_FORGE: &str = "checkpoint/ME1/00000000000000000002.json";
const SHARD_TO_FORGE: &str = "aex/by-hand/shards/0123456789abcdef/000001.json";

/// The last takes the policy away where it is let, so it is the last.
const ACTS: [Act; 18] = [
    Act::PutWithoutCondition,
    Act::CopyWithoutCondition,
    Act::BeginMultipart,
    Act::BeginMultipartWithCondition,
    Act::ForgeCheckpoint,
    Act::ForgeShard,
    Act::Delete,
    Act::DeleteMany,
    Act::DeleteVersion,
    Act::Expire,
    Act::SuspendVersions,
    Act::EncryptWithKms,
    Act::LetOthersOwn,
    Act::ShortenRetention,
    Act::ForgetToLock,
    Act::ReadInTheClear,
    Act::RewritePolicy,
    Act::DeletePolicy,
];

/// Objects that are written once, each with the version that was.
struct Written {
    bucket: String,
    versions: BTreeMap<String, String>,
    has_lock: bool,
    has_checkpoints: bool,
    has_shards: bool,
}

impl Written {
    /// What is not refused, by act, with what came of it on which object. It is done then, so a hole is a hole for good.
    async fn let_through(&self, stage: &Stage) -> BTreeMap<Act, Vec<String>> {
        let mut found = BTreeMap::<_, Vec<_>>::new();
        for act in self.acts() {
            for (key, version) in &self.versions {
                let answer = self.attempt(stage, act, key, version).await;
                if answer != Answer::DeniedByBucket {
                    found.entry(act).or_default().push(format!("{key} {answer}"));
                }
            }
        }
        found
    }

    /// What there is to be refused: only evidence has a lock and shards, and only the log checkpoints.
    fn acts(&self) -> impl Iterator<Item = Act> {
        ACTS.into_iter().filter(|act| match act {
            Act::ShortenRetention | Act::ForgetToLock => self.has_lock,
            Act::ForgeCheckpoint => self.has_checkpoints,
            Act::ForgeShard => self.has_shards,
            _ => true,
        })
    }

    async fn attempt(&self, stage: &Stage, act: Act, key: &str, version: &str) -> Answer {
        let bucket = self.bucket.as_str();
        let s3 = &stage.administrator.s3;
        match act {
            Act::PutWithoutCondition => Answer::of(
                s3.put_object().bucket(bucket).key(key).body(b"forged".to_vec().into()).send().await,
            ),
            Act::CopyWithoutCondition => {
                let source = format!("{bucket}/{key}?versionId={version}");
                Answer::of(s3.copy_object().bucket(bucket).key(key).copy_source(source).send().await)
            }
            Act::BeginMultipart => {
                Answer::of(s3.create_multipart_upload().bucket(bucket).key(key).send().await)
            }
            Act::BeginMultipartWithCondition => {
                let begin = s3.create_multipart_upload().bucket(bucket).key(key).customize();
                let with_header = begin.mutate_request(|request| {
                    request.headers_mut().insert("if-none-match", "*");
                });
                Answer::of(with_header.send().await)
            }
            // A new one, properly put, by somebody who is not the verifier.
            Act::ForgeCheckpoint | Act::ForgeShard => {
                let forged = if act == Act::ForgeShard { SHARD_TO_FORGE } else { CHECKPOINT_TO_FORGE };
                let put = s3.put_object().bucket(bucket).key(forged).if_none_match("*");
                Answer::of(put.body(b"forged".to_vec().into()).send().await)
            }
            Act::Delete => Answer::of(s3.delete_object().bucket(bucket).key(key).send().await),
            Act::DeleteMany => {
                let one = ObjectIdentifier::builder().key(key).build().unwrap();
                let delete = Delete::builder().objects(one).build().unwrap();
                Answer::of(s3.delete_objects().bucket(bucket).delete(delete).send().await)
            }
            Act::DeleteVersion => {
                Answer::of(s3.delete_object().bucket(bucket).key(key).version_id(version).send().await)
            }
            Act::Expire => {
                let rules = BucketLifecycleConfiguration::builder()
                    .rules(
                        LifecycleRule::builder()
                            .status(ExpirationStatus::Enabled)
                            .filter(LifecycleRuleFilter::builder().prefix("").build())
                            .expiration(LifecycleExpiration::builder().days(1).build())
                            .build()
                            .unwrap(),
                    )
                    .build()
                    .unwrap();
                let put = s3.put_bucket_lifecycle_configuration().bucket(bucket);
                Answer::of(put.lifecycle_configuration(rules).send().await)
            }
            Act::SuspendVersions => {
                let off =
                    VersioningConfiguration::builder().status(BucketVersioningStatus::Suspended).build();
                let put = s3.put_bucket_versioning().bucket(bucket);
                Answer::of(put.versioning_configuration(off).send().await)
            }
            Act::EncryptWithKms => {
                let by_default = ServerSideEncryptionByDefault::builder();
                let by_default = by_default.sse_algorithm(ServerSideEncryption::AwsKms).build().unwrap();
                let rule = ServerSideEncryptionRule::builder();
                let rule = rule.apply_server_side_encryption_by_default(by_default).build();
                let encryption = ServerSideEncryptionConfiguration::builder().rules(rule).build().unwrap();
                let put = s3.put_bucket_encryption().bucket(bucket);
                Answer::of(put.server_side_encryption_configuration(encryption).send().await)
            }
            Act::LetOthersOwn => {
                let rule = OwnershipControlsRule::builder();
                let rule = rule.object_ownership(ObjectOwnership::ObjectWriter).build().unwrap();
                let controls = OwnershipControls::builder().rules(rule).build().unwrap();
                let put = s3.put_bucket_ownership_controls().bucket(bucket);
                Answer::of(put.ownership_controls(controls).send().await)
            }
            Act::ShortenRetention => {
                let short = ObjectLockRetention::builder()
                    .mode(ObjectLockRetentionMode::Governance)
                    .retain_until_date(DateTime::from_secs(4_102_444_800))
                    .build();
                let put = s3.put_object_retention().bucket(bucket).key(key).version_id(version);
                Answer::of(put.retention(short).send().await)
            }
            Act::ForgetToLock => {
                let no_rule = ObjectLockConfiguration::builder()
                    .object_lock_enabled(ObjectLockEnabled::Enabled)
                    .build();
                let put = s3.put_object_lock_configuration().bucket(bucket);
                Answer::of(put.object_lock_configuration(no_rule).send().await)
            }
            Act::ReadInTheClear => {
                let plain = &stage.administrator_in_the_clear.s3;
                Answer::of(plain.get_object().bucket(bucket).key(key).send().await)
            }
            Act::RewritePolicy => {
                let policy = policy(&stage.aws.root(), bucket).await.to_string();
                Answer::of(s3.put_bucket_policy().bucket(bucket).policy(policy).send().await)
            }
            Act::DeletePolicy => Answer::of(s3.delete_bucket_policy().bucket(bucket).send().await),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_once_stays_written_even_against_an_administrator() {
    let stage = Stage::set().await;
    let number = "00000000000000000001";
    let slots = [
        format!("log/ME1/{number}.ndjson"),
        format!("fence/{number}"),
        format!("witness/healed/ME1/{number}.ndjson"),
        "lease/ME1".to_owned(),
    ];
    let checkpoints = [format!("checkpoint/ME1/{number}.json")];
    let numbers = ["epoch", "flip", "word"].map(|kind| format!("{kind}/aex/{number}"));
    let shards = ["aex/by-hand/shards/0123456789abcdef/000000.json".to_owned()];
    let records = ["aex/by-hand/admit-1.json".to_owned()];
    let (administrator, verifier) = (&stage.administrator, verifier(&stage).await);
    let mut log = write(administrator, &stage.log, &slots).await;
    log.versions.extend(write(&verifier, &stage.log, &checkpoints).await.versions);
    let control = write(administrator, &stage.control, &numbers).await;
    let mut evidence = write(administrator, &stage.evidence, &records).await;
    evidence.versions.extend(write(&verifier, &stage.evidence, &shards).await.versions);
    let buckets = [
        Written { has_checkpoints: true, ..log },
        control,
        Written { has_lock: true, has_shards: true, ..evidence },
    ];
    what_is_free_stays_free(&stage).await;
    a_lease_is_replaced_by_whoever_has_read_it(&stage, &verifier).await;

    for written in &buckets {
        assert_eq!(written.let_through(&stage).await, BTreeMap::new(), "in {}", written.bucket);
    }
    for written in &buckets {
        for (key, version) in &written.versions {
            let s3 = &stage.administrator.s3;
            let object = s3.get_object().bucket(&written.bucket).key(key).send().await.unwrap();
            assert_eq!(object.version_id(), Some(version.as_str()), "{key} has another version");
            assert_eq!(object.body.collect().await.unwrap().to_vec(), b"first", "{key}");
        }
        each_statement_is_needed(&stage, written).await;
    }
}

/// Writes each key by a put that is conditional, and sees that there is no second one.
async fn write(writer: &Clients, bucket: &str, keys: &[String]) -> Written {
    let s3 = &writer.s3;
    let mut versions = BTreeMap::new();
    for key in keys {
        let put = |body: &str| {
            let body = body.as_bytes().to_vec().into();
            s3.put_object().bucket(bucket).key(key).if_none_match("*").body(body).send()
        };
        let first = put("first").await;
        let first = first.unwrap_or_else(|why| panic!("{key}: {:?} {:?}", why.code(), why.message()));
        versions.insert(key.clone(), first.version_id().expect("a bucket with versions").to_owned());
        let second = put("second").await.expect_err("the slot is taken");
        assert_eq!(second.raw_response().unwrap().status().as_u16(), 412, "{key}: {second:?}");
    }
    Written {
        bucket: bucket.to_owned(),
        versions,
        has_lock: false,
        has_checkpoints: false,
        has_shards: false,
    }
}

/// Somebody who may do everything and bears the name of ledger-verify's role, which is all that the bucket goes by.
async fn verifier(stage: &Stage) -> Clients {
    let template = places::repository().join("tests/fixtures/policies/verifier.yaml");
    create_stack(&stage.aws.root(), &StackSpec::new("verifier", &template)).await.unwrap();
    stage.aws.clients(&stage.aws.role("lifeboat-aex-ledger-verify").await.unwrap())
}

/// Plans, templates and packages are uploaded anew, the witness puts as it likes, evidence may be held for longer.
async fn what_is_free_stays_free(stage: &Stage) {
    let s3 = &stage.administrator.s3;
    let (log, control, evidence) = (&stage.log, &stage.control, &stage.evidence);
    for (bucket, key) in [
        (control, "plan/aex.json"),
        (control, "templates/aex/cluster.yaml"),
        (control, "packages/1/dns-flip.zip"),
        (log, "witness/2026/11/23/part"),
    ] {
        for _ in 0..2 {
            let put = s3.put_object().bucket(bucket).key(key).body(b"again".to_vec().into()).send().await;
            assert_eq!(Answer::of(put), Answer::Let(None), "a put to {key}");
        }
    }
    let delete = s3.delete_object().bucket(control).key("packages/1/dns-flip.zip").send().await;
    assert_eq!(Answer::of(delete), Answer::Let(None), "the deletion of a package");
    for bucket in [log, control, evidence] {
        let list = s3.list_objects_v2().bucket(bucket).send().await;
        assert_eq!(Answer::of(list), Answer::Let(None), "a listing of {bucket}");
    }
    let hold = ObjectLockLegalHold::builder().status(ObjectLockLegalHoldStatus::On).build();
    let hold =
        s3.put_object_legal_hold().bucket(evidence).key("aex/by-hand/admit-1.json").legal_hold(hold).send();
    assert_eq!(Answer::of(hold.await), Answer::Let(None), "a legal hold");
}

/// Two who have read the same lease put one of their own, and one of them wins; who has read none is refused.
async fn a_lease_is_replaced_by_whoever_has_read_it(stage: &Stage, verifier: &Clients) {
    let put = |clients: &Clients| clients.s3.put_object().bucket(&stage.log).key("lease/ME2");
    let first = put(&stage.administrator).if_none_match("*").send().await.expect("the first lease");
    let read = first.e_tag().expect("a tag");
    let taken = put(verifier).if_match(read).body(b"taken".to_vec().into()).send().await;
    assert_eq!(Answer::of(taken), Answer::Let(None), "what was read is still there");
    let late = put(&stage.administrator).if_match(read).body(b"late".to_vec().into()).send().await;
    assert_eq!(Answer::of(late), Answer::Let(Some("PreconditionFailed".into())), "it is another one by now");
    for clients in [verifier, &stage.administrator] {
        let blind = put(clients).body(b"blind".to_vec().into()).send().await;
        assert_eq!(Answer::of(blind), Answer::DeniedByBucket, "a put that names no lease");
    }
}

/// Takes one statement after the other out of the bucket's policy, as only its keeper can. Each lets something through
/// when it is gone, and each act is let through on some object: so every refusal is that of one statement, and none is for
/// show.
/// At last takes the policy away, and nothing is refused.
async fn each_statement_is_needed(stage: &Stage, written: &Written) {
    let keeper = &stage.keeper.s3;
    let bucket = written.bucket.as_str();
    let whole = policy(&stage.keeper, bucket).await;
    let statements = whole["Statement"].as_array().expect("statements").clone();
    let mut all_let = Vec::new();
    for statement in &statements {
        let mut less = whole.clone();
        less["Statement"] = statements.iter().filter(|other| *other != statement).cloned().collect();
        let put = keeper.put_bucket_policy().bucket(bucket).policy(less.to_string()).send().await;
        assert_eq!(Answer::of(put), Answer::Let(None), "the keeper changes the policy of {bucket}");
        let let_through: Vec<Act> = written.let_through(stage).await.into_keys().collect();
        println!("{bucket} without {}: {let_through:?}", statement["Sid"]);
        assert!(!let_through.is_empty(), "{bucket} refuses as much without {}", statement["Sid"]);
        all_let.extend(let_through);
    }
    all_let.sort_unstable();
    // What is done to a slot and what is done to a lease are refused by a statement each.
    all_let.dedup();
    assert_eq!(all_let, written.acts().collect::<Vec<_>>(), "in {bucket}");

    let delete = keeper.delete_bucket_policy().bucket(bucket).send().await;
    assert_eq!(Answer::of(delete), Answer::Let(None), "the keeper takes the policy of {bucket} away");
    let let_through = written.let_through(stage).await;
    assert!(let_through.values().all(|objects| objects.len() == written.versions.len()), "{let_through:#?}");
    assert_eq!(let_through.into_keys().collect::<Vec<_>>(), written.acts().collect::<Vec<_>>());
}

async fn policy(clients: &Clients, bucket: &str) -> Value {
    match clients.s3.get_bucket_policy().bucket(bucket).send().await {
        Ok(answer) => serde_json::from_str(answer.policy().expect("a policy")).expect("JSON"),
        // One that has been taken away reads as one that says nothing.
        Err(none) if none.code() == Some("NoSuchBucketPolicy") => {
            json!({ "Version": "2012-10-17", "Statement": [] })
        }
        Err(other) => panic!("the policy of {bucket}: {}", DisplayErrorContext(other)),
    }
}
