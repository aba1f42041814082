//! Holds the templates against what they promise: lint, least privilege, and nothing on the day that must exist before.

use std::path::{Path, PathBuf};
use std::process::Command;

use lifeboat_rules::plan::template::check;
use lifeboat_tests::definition::Definition;
use lifeboat_tests::template;
use lifeboat_tests::world::{Venv, places, prerequisites};
use serde_json::{Value, json};

/// The templates that a run launches.
const OF_THE_DAY: [&str; 3] =
    ["examples/aex/infra/cluster.yaml", "examples/aex/infra/exchange.yaml", "tests/drill/market-data.yaml"];

/// Allow-statements on every resource, by their Sid, with why AWS knows no narrower one.
const EVERYWHERE: [(&str, &str); 5] = [
    ("ReadTheAlarmAgain", "what concerns composite alarms is granted on all alarms or not at all"),
    (
        "AttachToVpc",
        "Lambda checks these before the function has an interface; the code itself is denied them",
    ),
    ("WriteTheMetric", "metrics have no ARN; the namespace is the condition"),
    ("PollAllInOneCall", "a DescribeStacks that names no stack is checked against all"),
    ("DeliverItsLog", "log deliveries have no ARN"),
];

#[test]
fn every_template_passes_the_lint() {
    let root = places::repository();
    let mut templates = Vec::new();
    for folder in ["infra", "examples/aex/infra", "tests/drill"] {
        for entry in std::fs::read_dir(root.join(folder)).expect("a folder of templates") {
            let path = entry.expect("an entry").path();
            let yaml = path.extension().is_some_and(|extension| extension == "yaml");
            if yaml && std::fs::read_to_string(&path).expect("a file").starts_with("AWSTemplateFormatVersion")
            {
                templates.push(path);
            }
        }
    }
    assert!(templates.len() >= 7, "{templates:?}");
    assert_eq!(lint(&templates), "");
}

/// The lint does not follow `DefinitionS3Location`, so the definition is put into a template of its own.
#[test]
fn the_definition_passes_the_lint() {
    let folder = tempfile::tempdir().expect("a folder");
    let lint_of = |definition: Value| {
        let path = folder.path().join("definition.json");
        let template = json!({
            "AWSTemplateFormatVersion": "2010-09-09",
            "Resources": { "StateMachine": {
                "Type": "AWS::StepFunctions::StateMachine",
                "Properties": { "RoleArn": "arn:aws:iam::123456789012:role/run", "Definition": definition },
            }},
        });
        std::fs::write(&path, template.to_string()).expect("a file");
        lint(&[path])
    };
    let definition = Definition::read().expect("the definition").value;
    assert_eq!(lint_of(definition.clone()), "");
    let mut spoiled = definition;
    spoiled["States"]["Seal the ledger"]["TimeoutSeconds"] = json!("soon");
    assert_ne!(lint_of(spoiled), "", "the lint does not look into the definition");
}

/// What the lint has to say; nothing is what it should.
fn lint(templates: &[PathBuf]) -> String {
    let found = prerequisites::look().unwrap_or_else(|missing| panic!("{missing}"));
    let venv = Venv::ensure(&found, &|line| eprintln!("{line}")).expect("the Python environment");
    let output = Command::new(venv.program("cfn-lint"))
        .args(["--format", "parseable", "--template"])
        .args(templates)
        .current_dir(places::repository())
        .output()
        .expect("cfn-lint starts");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert_eq!(output.status.success(), said.is_empty(), "{}: {said}", output.status);
    said
}

#[test]
fn what_is_launched_on_the_day_needs_nothing_that_may_be_down() {
    for name in OF_THE_DAY {
        let mut template = read(name);
        assert_eq!(check(&template), [], "{name}");
        template["Resources"]["Role"] = json!({ "Type": "AWS::IAM::Role" });
        assert_ne!(check(&template), [], "{name} with a role in it");
    }
}

#[test]
fn every_function_has_a_role_of_its_own() {
    let shared = |template: &Value| {
        let mut roles: Vec<&str> = of_kind(template, "AWS::Serverless::Function")
            .map(|(name, function)| {
                let role = function["Properties"]["Role"].as_str().unwrap_or_default();
                // SAM would make a second role, or widen the first, from a function's own policies.
                assert!(function["Properties"]["Policies"].is_null(), "{name} has policies of its own");
                role
            })
            .collect();
        let all = roles.len();
        roles.sort_unstable();
        roles.dedup();
        roles.retain(|role| !role.is_empty());
        all - roles.len()
    };
    let template = read("infra/orchestrator.yaml");
    assert_eq!(of_kind(&template, "AWS::Serverless::Function").count(), 6);
    assert_eq!(shared(&template), 0);
    let mut spoiled = template;
    spoiled["Resources"]["DnsFlip"]["Properties"]["Role"] = json!("LedgerVerifyRole.Arn");
    assert_eq!(shared(&spoiled), 1);
}

#[test]
fn roles_allow_what_their_function_does_and_no_more() {
    let template = read("infra/orchestrator.yaml");
    let found = too_much(&template);
    assert!(found.is_empty(), "\n  {}", found.join("\n  "));
    for (sid, why) in EVERYWHERE {
        assert!(
            statements(&template).iter().any(|(_, statement)| statement["Sid"] == sid),
            "{sid} ({why}) is gone"
        );
    }

    let spoils: [(&str, &str, &str, Value); 9] = [
        ("every action", "DnsFlipRole", "Action", json!("*")),
        ("every action of a service", "DnsFlipRole", "Action", json!(["s3:GetObject", "route53:*"])),
        ("every resource", "RunControlRole", "Resource", json!("*")),
        ("every resource, in a list", "RunControlRole", "Resource", json!(["*"])),
        ("everything but", "RunControlRole", "NotResource", json!("x")),
        ("an UPSERT", "DnsFlipRole", "Action", json!("route53:ChangeResourceRecordSets")),
        ("a put into the log", "HealthCheckRole", "Action", json!("s3:PutObject")),
        ("any put into the log", "HealthCheckRole", "Action", json!("s3:Put*")),
        ("a delete", "LedgerVerifyRole", "Action", json!("s3:DeleteObject")),
    ];
    for (what, role, field, value) in spoils {
        let mut spoiled = template.clone();
        let statements =
            &mut spoiled["Resources"][role]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"];
        // The second statement is the first that is about the function's work; the first is about its log.
        statements[1][field] = value;
        assert!(!too_much(&spoiled).is_empty(), "not seen: {what}");
    }
    let mut spoiled = template;
    let statements =
        &mut spoiled["Resources"]["DnsFlipRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"];
    statements[2]["Condition"]["ForAllValues:StringEquals"]["route53:ChangeResourceRecordSetsActions"] =
        json!(["CREATE", "DELETE", "UPSERT"]);
    assert!(!too_much(&spoiled).is_empty(), "not seen: an UPSERT in the condition");
}

/// Whoever may invoke a function is named by an ARN, or any topic, rule or alarm of any account could.
#[test]
fn functions_are_invoked_by_what_is_named() {
    let unnamed = |template: &Value| -> Vec<String> {
        of_kind(template, "AWS::Lambda::Permission")
            .filter(|(_, permission)| {
                let source = permission["Properties"]["SourceArn"].as_str().unwrap_or("*");
                // The owner's own alarms are known by how their names begin.
                source.trim_end_matches("-primary-down*").contains('*')
            })
            .map(|(name, _)| name.to_owned())
            .collect()
    };
    let template = read("infra/orchestrator.yaml");
    let mut callers: Vec<&str> = of_kind(&template, "AWS::Lambda::Permission")
        .filter_map(|(_, permission)| permission["Properties"]["Principal"].as_str())
        .collect();
    callers.sort_unstable();
    assert_eq!(
        callers,
        ["events.amazonaws.com", "lambda.alarms.cloudwatch.amazonaws.com", "sns.amazonaws.com"]
    );
    assert!(unnamed(&template).is_empty(), "{:?}", unnamed(&template));
    let mut spoiled = template;
    spoiled["Resources"]["DirectPermission"]["Properties"]
        .as_object_mut()
        .expect("properties")
        .remove("SourceArn");
    assert_eq!(unnamed(&spoiled), ["DirectPermission"]);
}

/// What a schedule sends, its function reads; and it may invoke that function only.
#[test]
fn schedules_send_what_their_function_reads() {
    let wrong = |template: &Value| -> Vec<String> {
        let mut found = Vec::new();
        for (name, schedule) in of_kind(template, "AWS::Scheduler::Schedule") {
            let target = &schedule["Properties"]["Target"];
            let arn = target["Arn"].as_str().unwrap_or_default();
            let input = target["Input"].as_str().unwrap_or_default();
            let read = match arn {
                "HealthCheck.Arn" => serde_json::from_str::<health_check::Scheduled>(input).map(drop),
                "LedgerVerify.Arn" => {
                    serde_json::from_str::<ledger_verify::checkpoint::Scheduled>(input).map(drop)
                }
                other => panic!("{name} calls {other}"),
            };
            found.extend(read.err().map(|why| format!("{name}: {why}")));
            let role = target["RoleArn"].as_str().unwrap_or_default().trim_end_matches(".Arn");
            let invokes: Vec<&str> = statements(template)
                .into_iter()
                .filter(|(owner, _)| *owner == role)
                .flat_map(|(_, statement)| list(&statement["Resource"]))
                .collect();
            if invokes != [arn] {
                found.push(format!("{name}: its role {role} may call {invokes:?}"));
            }
        }
        found
    };
    let template = read("infra/orchestrator.yaml");
    assert_eq!(of_kind(&template, "AWS::Scheduler::Schedule").count(), 2);
    let checkpoints = &template["Resources"]["Checkpoints"]["Properties"];
    assert_eq!(checkpoints["ScheduleExpression"], "rate(5 minutes)", "what `lag_seconds` is held against");
    assert!(wrong(&template).is_empty(), "{:?}", wrong(&template));
    let mut spoiled = template;
    let target = &mut spoiled["Resources"]["Checkpoints"]["Properties"]["Target"];
    target["Input"] = json!("{\"action\":\"extend\"}");
    target["RoleArn"] = json!("ProbeRole.Arn");
    assert_eq!(wrong(&spoiled).len(), 2, "{:?}", wrong(&spoiled));
}

/// An alarm watches a metric that a function writes, and one that tells a person is let through by the topic's policy.
#[test]
fn alarms_watch_what_is_written_and_reach_whom_they_tell() {
    let written = ["PrimaryDown", ledger_verify::LAG_METRIC, ledger_verify::FINDINGS_METRIC];
    let wrong = |template: &Value| -> Vec<String> {
        let policy = &template["Resources"]["OperatorTopicPolicy"]["Properties"]["PolicyDocument"];
        let let_in: Vec<&str> = policy["Statement"]
            .as_array()
            .into_iter()
            .flatten()
            .flat_map(|statement| list(&statement["Condition"]["ArnEquals"]["aws:SourceArn"]))
            .filter_map(|arn| Some(arn.split_once(":alarm:")?.1))
            .collect();
        let mut found = Vec::new();
        for (name, alarm) in of_kind(template, "AWS::CloudWatch::Alarm") {
            let properties = &alarm["Properties"];
            let metric = properties["MetricName"].as_str().unwrap_or_default();
            let by_plan = json!([{ "Name": "Plan", "Value": "PlanName" }]);
            if !written.contains(&metric) || properties["Dimensions"] != by_plan {
                found.push(format!("{name} watches {metric}, which nobody writes like that"));
            }
            let own = properties["AlarmName"].as_str().unwrap_or_default();
            if list(&properties["AlarmActions"]) == ["OperatorTopic"] && !let_in.contains(&own) {
                found.push(format!("{name} cannot publish to the operators' topic"));
            }
        }
        found
    };
    let template = read("infra/orchestrator.yaml");
    assert_eq!(of_kind(&template, "AWS::CloudWatch::Alarm").count(), 4);
    assert!(wrong(&template).is_empty(), "{:?}", wrong(&template));
    let mut spoiled = template;
    spoiled["Resources"]["BrokenAlarm"]["Properties"]["MetricName"] = json!("Broken");
    spoiled["Resources"]["UnverifiedAlarm"]["Properties"]["AlarmName"] = json!("another");
    assert_eq!(wrong(&spoiled).len(), 2, "{:?}", wrong(&spoiled));
}

/// The buckets know the verifier by the name of its role, which is said in two templates.
#[test]
fn the_verifier_of_the_buckets_is_the_role_of_ledger_verify() {
    let (foundation, orchestrator) = (read("infra/foundation.yaml"), read("infra/orchestrator.yaml"));
    let role = orchestrator["Resources"]["LedgerVerifyRole"]["Properties"]["RoleName"].as_str();
    for (bucket, sid, keys) in [
        ("LogBucket", "OnlyTheVerifierMakesCheckpoints", "/checkpoint/*"),
        ("EvidenceBucket", "OnlyTheVerifierLeavesShards", "/*/shards/*"),
    ] {
        let policy = &foundation["Resources"][format!("{bucket}Policy")]["Properties"]["PolicyDocument"];
        let statements = policy["Statement"].as_array().into_iter().flatten();
        let of_sid: Vec<&Value> = statements.filter(|statement| statement["Sid"] == sid).collect();
        let verifiers: Vec<&str> = of_sid
            .iter()
            .flat_map(|statement| list(&statement["Condition"]["ArnNotEquals"]["aws:PrincipalArn"]))
            .filter_map(|arn| Some(arn.split_once(":role/")?.1))
            .collect();
        assert_eq!(verifiers, [role.expect("a role with a name")], "{sid}");
        let resources: Vec<&str> = of_sid.iter().flat_map(|statement| list(&statement["Resource"])).collect();
        assert!(matches!(resources[..], [one] if one.ends_with(keys)), "{sid}: {resources:?}");
    }
}

/// What the emulator cannot be asked, so that only the wording is left to look at; `policies` asks all the rest.
const NOT_EMULATED: [&str; 3] = ["s3:ReplicateObject", "s3:ReplicateDelete", "s3:UpdateObjectEncryption"];

#[test]
fn buckets_deny_what_the_emulator_does_not_know() {
    let let_through = |template: &Value| -> Vec<String> {
        let mut found = Vec::new();
        for (name, policy) in of_kind(template, "AWS::S3::BucketPolicy") {
            let statements = policy["Properties"]["PolicyDocument"]["Statement"].as_array();
            let denied: Vec<&str> = statements
                .into_iter()
                .flatten()
                .filter(|statement| {
                    statement["Effect"] == "Deny"
                        && statement["Principal"] == "*"
                        && statement["Condition"].is_null()
                })
                .flat_map(|statement| list(&statement["Action"]))
                .collect();
            for action in NOT_EMULATED {
                if !denied.contains(&action) {
                    found.push(format!("{name}: {action}"));
                }
            }
        }
        found
    };
    let template = read("infra/foundation.yaml");
    assert_eq!(of_kind(&template, "AWS::S3::BucketPolicy").count(), 3);
    assert!(let_through(&template).is_empty(), "{:?}", let_through(&template));
    let mut spoiled = template;
    // The second statement of each is about deletions and replicas.
    spoiled["Resources"]["LogBucketPolicy"]["Properties"]["PolicyDocument"]["Statement"][1]["Principal"] =
        json!({ "AWS": "arn:aws:iam::123456789012:role/one" });
    assert_eq!(let_through(&spoiled).len(), NOT_EMULATED.len());
}

fn too_much(template: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for (owner, statement) in statements(template) {
        if statement["Effect"] != "Allow" {
            continue;
        }
        let sid = statement["Sid"].as_str().unwrap_or("a statement without a Sid");
        let actions = list(&statement["Action"]);
        let resources = list(&statement["Resource"]);
        let mut complain = |what: &str| found.push(format!("{owner}, {sid}: {what}"));
        if actions.is_empty() || resources.is_empty() {
            complain("lacks an Action or a Resource: what it does not name, it allows");
        }
        if !statement["NotAction"].is_null() || !statement["NotResource"].is_null() {
            complain("allows all but what it names");
        }
        for action in &actions {
            if action.contains('*') {
                complain(&format!("allows {action}; name the actions"));
            }
            if action.starts_with("s3:Delete") || action.starts_with("s3:PutBucket") {
                complain(&format!("allows {action}; nothing of the ledger or the evidence is ever removed"));
            }
            if *action == "route53:ChangeResourceRecordSets"
                && !only_create_and_delete(&statement["Condition"])
            {
                complain("may UPSERT, which overwrites what a newer run has written");
            }
        }
        let everywhere = resources.iter().any(|resource| *resource == "*" || resource.contains(":s3:::*"));
        if everywhere && !EVERYWHERE.iter().any(|(known, _)| *known == sid) {
            complain("is about every resource");
        }
        let puts = actions.iter().any(|action| action.starts_with("s3:Put") || *action == "s3:*");
        let log = resources.iter().any(|resource| resource.contains("LogBucket"));
        if puts && log && !["LedgerVerifyRole", "OperatorPolicy"].contains(&owner) {
            complain("writes into the log, which only ledger-verify and a person may");
        }
    }
    found
}

/// `ForAllValues` holds for an absent key too, so the key has to be there.
fn only_create_and_delete(condition: &Value) -> bool {
    let key = "route53:ChangeResourceRecordSetsActions";
    list(&condition["ForAllValues:StringEquals"][key]) == ["CREATE", "DELETE"]
        && condition["Null"][key] == "false"
}

/// Every statement of a role or a managed policy, with the name of what it stands in.
fn statements(template: &Value) -> Vec<(&str, &Value)> {
    let roles = of_kind(template, "AWS::IAM::Role").flat_map(|(name, role)| {
        let inline = role["Properties"]["Policies"].as_array().into_iter().flatten();
        inline.map(move |policy| (name, &policy["PolicyDocument"]))
    });
    let managed = of_kind(template, "AWS::IAM::ManagedPolicy")
        .map(|(name, policy)| (name, &policy["Properties"]["PolicyDocument"]));
    let all: Vec<(&str, &Value)> = roles
        .chain(managed)
        .flat_map(|(name, document)| {
            document["Statement"].as_array().into_iter().flatten().map(move |statement| (name, statement))
        })
        .collect();
    assert!(all.len() >= 20, "only {} statements were found", all.len());
    all
}

fn of_kind<'a>(template: &'a Value, kind: &'a str) -> impl Iterator<Item = (&'a str, &'a Value)> {
    let resources = template["Resources"].as_object().into_iter().flatten();
    resources
        .filter(move |(_, resource)| resource["Type"] == kind)
        .map(|(name, resource)| (name.as_str(), resource))
}

fn list(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        other => other.as_str().into_iter().collect(),
    }
}

fn read(name: &str) -> Value {
    template::read(&places::repository().join(Path::new(name))).expect("a template")
}
