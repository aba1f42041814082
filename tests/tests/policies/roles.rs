//! What the orchestrator's roles and the operator's policy let through, and what they do not.

use std::collections::BTreeMap;

use aws_sdk_cloudwatch::types::MetricDatum;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{MessageType, SigningAlgorithmSpec};
use aws_sdk_route53::types::{Change, ChangeAction, ChangeBatch, ResourceRecord, ResourceRecordSet, RrType};
use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use lifeboat_rules::dns::switch;
use lifeboat_tests::world::deploy::{StackSpec, create_stack};
use lifeboat_tests::world::iam::Caller;
use lifeboat_tests::world::{ACCOUNT, Clients, places};
use lifeboat_tests::{DEPLOYED, FUNCTIONS};

use crate::{Answer, REGION, Stage};

/// A zip with nothing in it: no function is called here.
const EMPTY_ZIP: &[u8] = b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

const EPOCH: &str = "epoch/aex/00000000000000000002";
const FOREIGN_EPOCH: &str = "epoch/bex/00000000000000000002";
const WORD: &str = "word/aex/00000000000000000002";
const FOREIGN_WORD: &str = "word/bex/00000000000000000002";
const PLAN: &str = "plan/aex.json";
const FOREIGN_PLAN: &str = "plan/bex.json";
const SLOT: &str = "log/ME1/00000000000000000002.ndjson";
const CHECKPOINT: &str = "checkpoint/ME1/00000000000000000002.json";
const DELIVERED: &str = "witness/part";
const HEALED: &str = "witness/healed/ME1/00000000000000000002.ndjson";
const FLIP: &str = "flip/aex/00000000000000000002";
const FOREIGN_FLIP: &str = "flip/bex/00000000000000000002";
const QUESTION: &str = "question/aex/by-hand/1.json";
const FOREIGN_QUESTION: &str = "question/bex/by-hand/1.json";
const NAMES: &str = "names/0123456789abcdef.txt";
const FENCE: &str = "fence/00000000000000000002";
const LEASE: &str = "lease/ME1";
const RECORD: &str = "aex/by-hand/claim-1.json";
const SHARD: &str = "aex/by-hand/shards/0123456789abcdef/000001.json";
/// The namespace of what health-check and ledger-verify measure.
const MEASURED: &str = "Lifeboat";
/// The topic that is told of runs, and one that is not.
const TOPIC: &str = "arn:aws:sns:eu-central-1:000000000000:on-call";
const ANOTHER_TOPIC: &str = "arn:aws:sns:eu-central-1:000000000000:another";
const FOREIGN_RECORD: &str = "bex/by-hand/claim-1.json";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bucket {
    Log,
    Control,
    Evidence,
}
use Bucket::{Control, Evidence, Log};

/// A call that a role makes, or had better not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Get(Bucket, &'static str),
    Create(Bucket, &'static str),
    Overwrite(Bucket, &'static str),
    /// A put that names the object that is there.
    Replace(Bucket, &'static str),
    Delete(Bucket, &'static str),
    List(Bucket, &'static str),
    StopVersions(Bucket),
    ListZone,
    ListAnotherZone,
    Upsert,
    DescribeExecution(&'static str),
    ListExecutions,
    StartExecution,
    /// A point of a metric in this namespace.
    PutPoint(&'static str),
    /// A signature by the key that signs what runs leave behind.
    Sign,
    AskForPublicKey,
    /// An answer by the token of a question.
    AnswerByToken,
    /// A text to a topic.
    Publish(&'static str),
}
use Call::{
    AnswerByToken, AskForPublicKey, Create, Delete, DescribeExecution, Get, List, ListAnotherZone,
    ListExecutions, ListZone, Overwrite, Publish, PutPoint, Replace, Sign, StartExecution, StopVersions,
    Upsert,
};

/// Every call that is tried with every caller. A caller is let what its row in [`ALLOWED`] names and nothing else.
const CALLS: [Call; 70] = [
    Get(Control, PLAN),
    Get(Control, FOREIGN_PLAN),
    Get(Control, EPOCH),
    Get(Control, FOREIGN_EPOCH),
    Get(Control, WORD),
    Get(Control, FOREIGN_WORD),
    Get(Control, FLIP),
    Get(Control, FOREIGN_FLIP),
    Get(Control, NAMES),
    Get(Control, QUESTION),
    Get(Control, FOREIGN_QUESTION),
    Get(Log, SLOT),
    Get(Log, FENCE),
    Get(Log, CHECKPOINT),
    Get(Log, DELIVERED),
    Get(Log, LEASE),
    Get(Evidence, RECORD),
    Get(Evidence, FOREIGN_RECORD),
    Create(Control, PLAN),
    Create(Control, EPOCH),
    Create(Control, FOREIGN_EPOCH),
    Create(Control, WORD),
    Create(Control, FOREIGN_WORD),
    Create(Control, FLIP),
    Create(Control, FOREIGN_FLIP),
    Create(Control, NAMES),
    Create(Control, QUESTION),
    Create(Control, FOREIGN_QUESTION),
    Create(Log, SLOT),
    Create(Log, FENCE),
    Create(Log, CHECKPOINT),
    Create(Log, DELIVERED),
    Create(Log, HEALED),
    Create(Log, LEASE),
    Create(Evidence, RECORD),
    Create(Evidence, SHARD),
    Create(Evidence, FOREIGN_RECORD),
    Overwrite(Control, EPOCH),
    Overwrite(Control, FLIP),
    Overwrite(Log, SLOT),
    Overwrite(Log, CHECKPOINT),
    Overwrite(Log, LEASE),
    Overwrite(Evidence, RECORD),
    Replace(Log, LEASE),
    Delete(Control, EPOCH),
    Delete(Control, FLIP),
    Delete(Log, SLOT),
    Delete(Log, CHECKPOINT),
    Delete(Log, LEASE),
    Delete(Evidence, RECORD),
    List(Control, "epoch/aex/"),
    List(Log, "fence/"),
    List(Log, "log/ME1/"),
    List(Evidence, "aex/"),
    StopVersions(Log),
    ListZone,
    ListAnotherZone,
    Upsert,
    DescribeExecution("lifeboat-aex"),
    DescribeExecution("lifeboat-bex"),
    ListExecutions,
    StartExecution,
    PutPoint(MEASURED),
    PutPoint(switch::METRIC_NAMESPACE),
    PutPoint("AEX"),
    Sign,
    AskForPublicKey,
    AnswerByToken,
    Publish(TOPIC),
    Publish(ANOTHER_TOPIC),
];

/// What every step of a run may do, and the operator.
const STEP: [Call; 5] = [
    Get(Control, PLAN),
    Get(Evidence, RECORD),
    Create(Evidence, RECORD),
    List(Control, "epoch/aex/"),
    List(Evidence, "aex/"),
];

/// The caller, by its logical name in the template, and what it may do besides [`STEP`], whatever the strategy.
const ALLOWED: [(&str, &[Call]); 10] = [
    ("HealthCheckRole", &[Get(Log, LEASE), List(Log, "fence/"), List(Log, "log/ME1/"), PutPoint(MEASURED)]),
    ("StackLaunchRole", &[]),
    (
        "LedgerVerifyRole",
        &[
            Get(Log, SLOT),
            Get(Log, FENCE),
            Get(Log, CHECKPOINT),
            Get(Log, DELIVERED),
            Create(Log, SLOT),
            Create(Log, FENCE),
            Create(Log, CHECKPOINT),
            Create(Log, HEALED),
            Get(Log, LEASE),
            Create(Log, LEASE),
            Replace(Log, LEASE),
            Create(Evidence, SHARD),
            List(Log, "fence/"),
            List(Log, "log/ME1/"),
            PutPoint(MEASURED),
        ],
    ),
    ("DnsFlipRole", &[]),
    ("DnsAskRole", &[Get(Control, NAMES)]),
    (
        "RunControlRole",
        &[
            Get(Control, EPOCH),
            Get(Control, WORD),
            Get(Control, NAMES),
            Create(Control, EPOCH),
            Get(Control, QUESTION),
            Create(Control, QUESTION),
            List(Log, "fence/"),
            DescribeExecution("lifeboat-aex"),
            Sign,
            AskForPublicKey,
            Publish(TOPIC),
        ],
    ),
    (
        "OperatorPolicy",
        &[
            Get(Control, EPOCH),
            Get(Control, WORD),
            Get(Log, SLOT),
            Get(Log, FENCE),
            Get(Log, CHECKPOINT),
            Get(Log, DELIVERED),
            Create(Control, EPOCH),
            Create(Control, WORD),
            Create(Log, SLOT),
            Create(Log, FENCE),
            Get(Log, LEASE),
            Create(Log, LEASE),
            Replace(Log, LEASE),
            List(Log, "fence/"),
            List(Log, "log/ME1/"),
            Get(Control, NAMES),
            DescribeExecution("lifeboat-aex"),
            ListExecutions,
        ],
    ),
    (
        "ApproverPolicy",
        &[
            Get(Control, PLAN),
            Get(Control, EPOCH),
            Get(Control, QUESTION),
            Get(Evidence, RECORD),
            List(Control, "epoch/aex/"),
            List(Evidence, "aex/"),
            AnswerByToken,
        ],
    ),
    (
        "PreparePolicy",
        &[
            Get(Control, PLAN),
            Get(Control, EPOCH),
            Get(Control, FLIP),
            Get(Control, NAMES),
            List(Control, "epoch/aex/"),
            ListZone,
        ],
    ),
    // The last: what it starts runs into functions that are empty, and ends.
    ("AlarmTriggerRole", &[StartExecution]),
];

/// Who does no step of a run.
const NO_STEP: [&str; 3] = ["AlarmTriggerRole", "ApproverPolicy", "PreparePolicy"];

/// Who may publish where traffic belongs, and nobody else may: the metric moves it.
const THROWS_THE_SWITCH: [Call; 3] =
    [Get(Control, FLIP), Create(Control, FLIP), PutPoint(switch::METRIC_NAMESPACE)];

/// What comes to it by the strategy.
const BY_STRATEGY: [(&str, &str, &[Call]); 4] = [
    ("switch", "DnsFlipRole", &THROWS_THE_SWITCH),
    ("switch", "OperatorPolicy", &THROWS_THE_SWITCH),
    ("records", "DnsFlipRole", &[Get(Control, NAMES), ListZone]),
    ("records", "OperatorPolicy", &[ListZone]),
];

/// Deploys the orchestrator, with the one change that its functions' roles can be taken by anybody, and takes them; whom
/// a policy is for is a user with it. By logical name.
async fn deploy(stage: &Stage, strategy: &str) -> BTreeMap<String, Caller> {
    let root = stage.aws.root();
    let repository = places::repository();
    for function in FUNCTIONS {
        let key = format!("packages/1/{function}.zip");
        let put = root.s3.put_object().bucket(&stage.control).key(key).body(EMPTY_ZIP.to_vec().into());
        put.send().await.unwrap();
    }
    let definition = std::fs::read(repository.join("statemachine/failover.asl.json")).unwrap();
    let put = root.s3.put_object().bucket(&stage.control).key("packages/1/failover.asl.json");
    put.body(definition.into()).send().await.unwrap();

    let template = std::fs::read_to_string(repository.join("infra/orchestrator.yaml")).unwrap();
    let (of_lambda, of_anybody) =
        ("Principal: { Service: lambda.amazonaws.com }", "Principal: { AWS: \"*\" }");
    assert_eq!(template.matches(of_lambda).count(), DEPLOYED.len(), "roles that Lambda takes");
    let changed = stage.aws.run().file("orchestrator.yaml");
    std::fs::write(&changed, template.replace(of_lambda, of_anybody)).unwrap();
    let orchestrator = StackSpec::new("orchestrator", &changed)
        .staged_in(&stage.control)
        .parameter("PlanName", "aex")
        .parameter("LogBucket", &stage.log)
        .parameter("ControlBucket", &stage.control)
        .parameter("EvidenceBucket", &stage.evidence)
        .parameter("SigningKeyArn", &stage.signing_key)
        .parameter("HostedZoneId", &stage.zone)
        .parameter("DnsStrategy", strategy)
        .parameter("StackRoleArn", format!("arn:aws:iam::{ACCOUNT}:role/stacks"))
        .parameter("ArtifactBucket", &stage.control)
        .parameter("ArtifactPrefix", "packages/1/")
        .parameter("DefinitionKey", "packages/1/failover.asl.json")
        .parameter("NotifyTopicArn", TOPIC);
    let orchestrator = create_stack(&root, &orchestrator).await.unwrap();

    let mut callers = BTreeMap::new();
    for (who, _) in ALLOWED.iter().filter(|(who, _)| who.ends_with("Role")) {
        let resource = root.cloudformation.describe_stack_resource().stack_name(&orchestrator.name);
        let resource = resource.logical_resource_id(*who).send().await.unwrap();
        let role = resource.stack_resource_detail().unwrap().physical_resource_id().unwrap().to_owned();
        callers.insert((*who).to_owned(), stage.aws.role(&role).await.unwrap());
    }
    for (who, output, name) in [
        ("OperatorPolicy", "OperatorPolicyArn", "operator"),
        ("ApproverPolicy", "ApproverPolicyArn", "approver"),
        ("PreparePolicy", "PreparePolicyArn", "preparer"),
    ] {
        let person = StackSpec::new(name, &repository.join("tests/fixtures/policies/person.yaml"))
            .parameter("UserName", name)
            .parameter("PolicyArn", orchestrator.output(output).unwrap());
        create_stack(&root, &person).await.unwrap();
        callers.insert(who.to_owned(), stage.aws.user(name).await.unwrap());
    }
    callers
}

impl Call {
    async fn make(self, stage: &Stage, clients: &Clients) -> Answer {
        let s3 = &clients.s3;
        let name = |bucket| match bucket {
            Log => stage.log.as_str(),
            Control => stage.control.as_str(),
            Evidence => stage.evidence.as_str(),
        };
        let arn = |kind: &str, rest: &str| format!("arn:aws:states:{REGION}:{ACCOUNT}:{kind}:{rest}");
        match self {
            Get(bucket, key) => Answer::of(s3.get_object().bucket(name(bucket)).key(key).send().await),
            Create(bucket, key) => {
                Answer::of(s3.put_object().bucket(name(bucket)).key(key).if_none_match("*").send().await)
            }
            Overwrite(bucket, key) => Answer::of(s3.put_object().bucket(name(bucket)).key(key).send().await),
            Replace(bucket, key) => {
                let found = stage.administrator.s3.head_object().bucket(name(bucket)).key(key).send().await;
                let etag = found.unwrap().e_tag().unwrap().to_owned();
                Answer::of(s3.put_object().bucket(name(bucket)).key(key).if_match(etag).send().await)
            }
            Delete(bucket, key) => Answer::of(s3.delete_object().bucket(name(bucket)).key(key).send().await),
            List(bucket, prefix) => {
                Answer::of(s3.list_objects_v2().bucket(name(bucket)).prefix(prefix).send().await)
            }
            StopVersions(bucket) => {
                let off =
                    VersioningConfiguration::builder().status(BucketVersioningStatus::Suspended).build();
                let put = s3.put_bucket_versioning().bucket(name(bucket)).versioning_configuration(off);
                Answer::of(put.send().await)
            }
            ListZone => {
                let list = clients.route53.list_resource_record_sets().hosted_zone_id(&stage.zone);
                Answer::of(list.send().await)
            }
            ListAnotherZone => {
                let list = clients.route53.list_resource_record_sets().hosted_zone_id("Z0000000000000");
                Answer::of(list.send().await)
            }
            Upsert => {
                let value = ResourceRecord::builder().value("10.0.0.1").build().unwrap();
                let set = ResourceRecordSet::builder().name("gateway.aex.internal").r#type(RrType::A);
                let set = set.ttl(5).resource_records(value).build().unwrap();
                let change = Change::builder().action(ChangeAction::Upsert).resource_record_set(set).build();
                let batch = ChangeBatch::builder().changes(change.unwrap()).build().unwrap();
                let change = clients.route53.change_resource_record_sets().hosted_zone_id(&stage.zone);
                Answer::of(change.change_batch(batch).send().await)
            }
            DescribeExecution(machine) => {
                let execution = arn("execution", &format!("{machine}:by-hand"));
                Answer::of(clients.sfn.describe_execution().execution_arn(execution).send().await)
            }
            ListExecutions => {
                let machine = arn("stateMachine", "lifeboat-aex");
                Answer::of(clients.sfn.list_executions().state_machine_arn(machine).send().await)
            }
            StartExecution => {
                let machine = arn("stateMachine", "lifeboat-aex");
                Answer::of(clients.sfn.start_execution().state_machine_arn(machine).send().await)
            }
            PutPoint(namespace) => {
                let point = MetricDatum::builder().metric_name(switch::METRIC_NAME).value(1.0).build();
                let put = clients.cloudwatch.put_metric_data().namespace(namespace).metric_data(point);
                Answer::of(put.send().await)
            }
            Sign => {
                let kms = aws_sdk_kms::Client::new(&clients.config);
                let sign = kms.sign().key_id(&stage.signing_key).message_type(MessageType::Digest);
                let sign =
                    sign.message(Blob::new([0; 32])).signing_algorithm(SigningAlgorithmSpec::EcdsaSha256);
                Answer::of(sign.send().await)
            }
            AnswerByToken => {
                let answer = clients.sfn.send_task_success().task_token("a token").output("{}");
                Answer::of(answer.send().await)
            }
            Publish(topic) => {
                let sns = aws_sdk_sns::Client::new(&clients.config);
                Answer::of(sns.publish().topic_arn(topic).message("a run").send().await)
            }
            AskForPublicKey => {
                let kms = aws_sdk_kms::Client::new(&clients.config);
                Answer::of(kms.get_public_key().key_id(&stage.signing_key).send().await)
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_does_its_calls_and_no_other_under_the_switch() {
    does_its_calls_and_no_other("switch").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_does_its_calls_and_no_other_where_records_are_edited() {
    does_its_calls_and_no_other("records").await;
}

async fn does_its_calls_and_no_other(strategy: &str) {
    let stage = Stage::set().await;
    let orchestrator = deploy(&stage, strategy).await;

    // What is there to be read, written by somebody who may.
    for (bucket, key) in [
        (Control, PLAN),
        (Control, FOREIGN_PLAN),
        (Control, EPOCH),
        (Control, FOREIGN_EPOCH),
        (Control, WORD),
        (Control, FOREIGN_WORD),
        (Control, FLIP),
        (Control, FOREIGN_FLIP),
        (Control, NAMES),
        (Control, QUESTION),
        (Control, FOREIGN_QUESTION),
        (Log, SLOT),
        (Log, FENCE),
        (Log, LEASE),
        (Evidence, RECORD),
        (Evidence, FOREIGN_RECORD),
    ] {
        assert_eq!(Create(bucket, key).make(&stage, &stage.administrator).await, Answer::Let(None), "{key}");
    }

    let mut wrong = Vec::new();
    for (who, allowed) in ALLOWED {
        let caller = orchestrator.get(who).unwrap_or_else(|| panic!("no caller for {who}"));
        let clients = stage.aws.clients(caller);
        let of_strategy = BY_STRATEGY.iter().find(|(of, for_whom, _)| (*of, *for_whom) == (strategy, who));
        let by_strategy = of_strategy.map_or(&[][..], |(_, _, calls)| calls);
        for call in CALLS {
            let a_step = !NO_STEP.contains(&who) && STEP.contains(&call);
            let expected = a_step || allowed.contains(&call) || by_strategy.contains(&call);
            let answer = call.make(&stage, &clients).await;
            if matches!(answer, Answer::Let(_)) != expected {
                wrong.push(format!("{who}: {call:?} {answer}"));
            }
        }
    }
    assert!(wrong.is_empty(), "\n  {}", wrong.join("\n  "));
}
