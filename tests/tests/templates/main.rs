//! Holds the templates against what they promise: lint, least privilege, and nothing on the day that must exist before.

mod alarms;
mod buckets;
mod roles;

use std::path::{Path, PathBuf};
use std::process::Command;

use lifeboat_rules::evidence::cost;
use lifeboat_rules::plan::template::check;
use lifeboat_tests::definition::Definition;
use lifeboat_tests::template;
use lifeboat_tests::world::{Venv, places, prerequisites};
use serde_json::{Value, json};

/// The templates that a run launches.
const OF_THE_DAY: [&str; 3] =
    ["examples/aex/infra/cluster.yaml", "examples/aex/infra/exchange.yaml", "tests/drill/market-data.yaml"];

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
    assert_eq!(of_kind(&template, "AWS::Serverless::Function").count(), 7);
    assert_eq!(shared(&template), 0);
    let mut spoiled = template;
    spoiled["Resources"]["DnsFlip"]["Properties"]["Role"] = json!("LedgerVerifyRole.Arn");
    assert_eq!(shared(&spoiled), 1);
}

/// What a run has cost is estimated by the memory that its functions have.
#[test]
fn functions_have_the_memory_that_a_run_is_estimated_by() {
    let template = read("infra/orchestrator.yaml");
    assert_eq!(template["Globals"]["Function"]["MemorySize"], json!(cost::MEMORY_MB));
    for (name, function) in of_kind(&template, "AWS::Serverless::Function") {
        let own = if name == "LedgerVerify" { json!(cost::MEMORY_VERIFY_MB) } else { Value::Null };
        assert_eq!(function["Properties"]["MemorySize"], own, "{name}");
    }
}

/// Who asks private addresses is in the network, and its code may make no interfaces there; who acts needs no way through it.
#[test]
fn who_asks_is_in_the_network_and_who_acts_is_not() {
    let placed = |template: &Value| {
        let inside = of_kind(template, "AWS::Serverless::Function")
            .filter(|(_, function)| !function["Properties"]["VpcConfig"].is_null())
            .filter_map(|(_, function)| function["Properties"]["FunctionName"].as_str());
        let policies = roles::statements(template);
        let denied = policies.iter().find(|(_, statement)| statement["Sid"] == "ButNotFromTheCode");
        let denied =
            denied.map(|(_, statement)| &statement["Condition"]["ArnEquals"]["lambda:SourceFunctionArn"]);
        let denied =
            denied.into_iter().flat_map(list).filter_map(|arn| Some(arn.split_once(":function:")?.1));
        let sorted = |names: Vec<&str>| {
            let mut names: Vec<String> = names.into_iter().map(str::to_owned).collect();
            names.sort_unstable();
            names
        };
        (sorted(inside.collect()), sorted(denied.collect()))
    };
    let mut template = read("infra/orchestrator.yaml");
    let expected = ["lifeboat-${PlanName}-dns-ask", "lifeboat-${PlanName}-health-check"];
    let (inside, denied) = placed(&template);
    assert_eq!((&inside[..], &denied[..]), (&expected.map(str::to_owned)[..], &inside[..]));
    template["Resources"]["DnsFlip"]["Properties"]["VpcConfig"] = json!(["InVpc", {}, "AWS::NoValue"]);
    assert_ne!(placed(&template).0, placed(&template).1);
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
                "DnsFlip.Arn" => serde_json::from_str::<dns_flip::Scheduled>(input).map(drop),
                other => panic!("{name} calls {other}"),
            };
            found.extend(read.err().map(|why| format!("{name}: {why}")));
            let role = target["RoleArn"].as_str().unwrap_or_default().trim_end_matches(".Arn");
            let of_role = roles::statements(template).into_iter().filter(|(owner, _)| *owner == role);
            let of_role: Vec<Value> = of_role.map(|(_, statement)| statement).collect();
            let invokes: Vec<&str> =
                of_role.iter().flat_map(|statement| list(&statement["Resource"])).collect();
            if invokes != [arn] {
                found.push(format!("{name}: its role {role} may call {invokes:?}"));
            }
        }
        found
    };
    let template = read("infra/orchestrator.yaml");
    assert_eq!(of_kind(&template, "AWS::Scheduler::Schedule").count(), 3);
    let checkpoints = &template["Resources"]["Checkpoints"]["Properties"];
    assert_eq!(
        checkpoints["ScheduleExpression"],
        json!(["OfSegments", "rate(5 minutes)", "rate(1 hour)"]),
        "what `lag_seconds` is held against"
    );
    assert!(wrong(&template).is_empty(), "{:?}", wrong(&template));
    let mut spoiled = template;
    let target = &mut spoiled["Resources"]["Checkpoints"]["Properties"]["Target"];
    target["Input"] = json!("{\"action\":\"extend\"}");
    target["RoleArn"] = json!("ProbeRole.Arn");
    assert_eq!(wrong(&spoiled).len(), 2, "{:?}", wrong(&spoiled));
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
