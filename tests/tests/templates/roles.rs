//! Least privilege: what the roles of functions and the policies of people allow.

use lifeboat_rules::dns::switch;
use serde_json::{Value, json};

use crate::{list, of_kind, read};

/// Allow-statements on every resource, by their Sid, with why AWS knows no narrower one.
const EVERYWHERE: [(&str, &str); 7] = [
    ("ReadTheAlarmAgain", "what concerns composite alarms is granted on all alarms or not at all"),
    (
        "AttachToVpc",
        "Lambda checks these before the function has an interface; the code itself is denied them",
    ),
    ("WriteTheMetric", "metrics have no ARN; the namespace is the condition"),
    ("WriteTheGatesMetric", "the same, and the namespace is another"),
    ("PollAllInOneCall", "a DescribeStacks that names no stack is checked against all"),
    ("DeliverItsLog", "log deliveries have no ARN"),
    ("AnswerByTheToken", "a task has no ARN, and IAM grants its answers by none"),
];

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

    let spoils: [(&str, &str, &str, &str, Value); 12] = [
        ("every action", "DnsFlipRole", "WriteItsLog", "Action", json!("*")),
        ("every action of a service", "RecordsPolicy", "ReadTheZone", "Action", json!(["route53:*"])),
        ("every resource", "RunControlRole", "ClaimEpochs", "Resource", json!("*")),
        ("every resource, in a list", "RunControlRole", "ClaimEpochs", "Resource", json!(["*"])),
        ("every topic", "RunControlRole", "TellPeopleOfTheRun", "Resource", json!("*")),
        ("everything but", "RunControlRole", "ClaimEpochs", "NotResource", json!("x")),
        ("an UPSERT", "RecordsPolicy", "ReadTheZone", "Action", json!("route53:ChangeResourceRecordSets")),
        (
            "an UPSERT in the condition",
            "RecordsPolicy",
            "CompareAndSwapRecords",
            "Condition",
            json!({
                "ForAllValues:StringEquals": {
                    "route53:ChangeResourceRecordSetsActions": ["CREATE", "DELETE", "UPSERT"],
                },
                "Null": { "route53:ChangeResourceRecordSetsActions": "false" },
            }),
        ),
        // Of a list by a condition.
        ("any change", "OperatorPolicy", "CompareAndSwapRecords", "Condition", Value::Null),
        ("a put into the log", "HealthCheckRole", "ListTheLog", "Action", json!("s3:PutObject")),
        ("any put into the log", "HealthCheckRole", "ListTheLog", "Action", json!("s3:Put*")),
        ("a delete", "LedgerVerifyRole", "ListTheLedger", "Action", json!("s3:DeleteObject")),
    ];
    for (what, owner, sid, field, value) in spoils {
        let mut spoiled = template.clone();
        let statement = find(&mut spoiled["Resources"][owner], sid);
        statement.unwrap_or_else(|| panic!("{owner} has no statement {sid}"))[field] = value;
        assert!(!too_much(&spoiled).is_empty(), "not seen: {what}");
    }
}

/// The statement of this Sid, wherever it is.
fn find<'a>(value: &'a mut Value, sid: &str) -> Option<&'a mut Value> {
    if value["Sid"] == sid {
        return Some(value);
    }
    match value {
        Value::Object(members) => members.values_mut().find_map(|member| find(member, sid)),
        Value::Array(elements) => elements.iter_mut().find_map(|element| find(element, sid)),
        _ => None,
    }
}

/// Under the switch nothing that runs on the day may call Route 53; where records are edited, none may throw the switch.
#[test]
fn a_strategy_gives_no_right_of_the_other() {
    let wrong = |template: &Value| -> Vec<String> {
        let mut found = Vec::new();
        for (owner, statement) in statements(template) {
            let by = statement["By"].as_str();
            let of_route53 = list(&statement["Action"]).iter().any(|action| action.starts_with("route53:"));
            let flips = list(&statement["Resource"]).iter().any(|resource| resource.contains("/flip/"));
            // Preparing is before the day.
            if owner == "PreparePolicy" {
                continue;
            }
            if of_route53 && by != Some("ByRecords") {
                found.push(format!("{owner} may call Route 53 under the switch"));
            }
            if flips && by != Some("BySwitch") {
                found.push(format!("{owner} may throw the switch where records are edited"));
            }
        }
        found
    };
    let template = read("infra/orchestrator.yaml");
    assert!(wrong(&template).is_empty(), "{:?}", wrong(&template));
    for policy in ["SwitchPolicy", "RecordsPolicy"] {
        let mut spoiled = template.clone();
        spoiled["Resources"][policy].as_object_mut().expect("a policy").remove("Condition");
        assert!(!wrong(&spoiled).is_empty(), "not seen: {policy} without its condition");
    }
    let mut spoiled = template;
    let document = &mut spoiled["Resources"]["OperatorPolicy"]["Properties"]["PolicyDocument"];
    for statement in document["Statement"].as_array_mut().expect("statements") {
        if statement[0] == "ByRecords" {
            statement[0] = json!("BySwitch");
        }
    }
    assert_eq!(wrong(&spoiled).len(), 2, "{:?}", wrong(&spoiled));
}

/// A metric has no ARN, so a namespace is all that a role can be held to. Of the gate's metric one point moves traffic: it has
/// a namespace that only who moves traffic may write into, and nobody may write into two.
#[test]
fn who_measures_cannot_write_the_gates_metric() {
    let wrong = |template: &Value| -> Vec<String> {
        let mut found = Vec::new();
        for (owner, statement) in statements(template) {
            if !list(&statement["Action"]).contains(&"cloudwatch:PutMetricData") {
                continue;
            }
            let measures = !["SwitchPolicy", "OperatorPolicy"].contains(&owner);
            let own = if measures {
                // The function is told what its role allows.
                let function = &template["Resources"][owner.trim_end_matches("Role")]["Properties"];
                function["Environment"]["Variables"]["METRIC_NAMESPACE"].clone()
            } else {
                json!(switch::METRIC_NAMESPACE)
            };
            let condition = json!({ "StringEquals": { "cloudwatch:namespace": own } });
            if !own.is_string() || statement["Condition"] != condition {
                found.push(format!("{owner} may write into other namespaces than {own}"));
            }
            if measures && own == switch::METRIC_NAMESPACE {
                found.push(format!("{owner} measures in the namespace of the gate"));
            }
        }
        found
    };
    let template = read("infra/orchestrator.yaml");
    assert!(wrong(&template).is_empty(), "{:?}", wrong(&template));
    let writers =
        |(_, statement): &(&str, Value)| list(&statement["Action"]).contains(&"cloudwatch:PutMetricData");
    assert_eq!(statements(&template).iter().filter(|found| writers(found)).count(), 4);

    let both = json!(["Lifeboat", switch::METRIC_NAMESPACE]);
    for (owner, sid, condition) in [
        ("HealthCheckRole", "WriteTheMetric", json!({ "StringEquals": { "cloudwatch:namespace": both } })),
        ("LedgerVerifyRole", "WriteTheMetric", Value::Null),
        (
            "LedgerVerifyRole",
            "WriteTheMetric",
            json!({ "StringLike": { "cloudwatch:namespace": "Lifeboat*" } }),
        ),
        (
            "SwitchPolicy",
            "WriteTheGatesMetric",
            json!({ "StringEquals": { "cloudwatch:namespace": "Lifeboat" } }),
        ),
    ] {
        let mut spoiled = template.clone();
        let statement = find(&mut spoiled["Resources"][owner], sid).expect("a statement");
        statement["Condition"] = condition;
        assert_eq!(wrong(&spoiled).len(), 1, "{owner}: {:?}", wrong(&spoiled));
    }
    let mut spoiled = template;
    let gate = json!(switch::METRIC_NAMESPACE);
    spoiled["Resources"]["HealthCheck"]["Properties"]["Environment"]["Variables"]["METRIC_NAMESPACE"] =
        gate.clone();
    let statement =
        find(&mut spoiled["Resources"]["HealthCheckRole"], "WriteTheMetric").expect("a statement");
    statement["Condition"] = json!({ "StringEquals": { "cloudwatch:namespace": gate } });
    assert_eq!(wrong(&spoiled).len(), 1, "{:?}", wrong(&spoiled));
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

/// Every statement of a role or a managed policy, with the name of what it stands in. `By` names the condition under which
/// it is there, where it has one: its resource's, or its own in a list (`!If`).
pub fn statements(template: &Value) -> Vec<(&str, Value)> {
    let roles = of_kind(template, "AWS::IAM::Role").flat_map(|(name, role)| {
        let inline = role["Properties"]["Policies"].as_array().into_iter().flatten();
        inline.map(move |policy| (name, role, &policy["PolicyDocument"]))
    });
    let managed = of_kind(template, "AWS::IAM::ManagedPolicy")
        .map(|(name, policy)| (name, policy, &policy["Properties"]["PolicyDocument"]));
    let mut all = Vec::new();
    for (name, resource, document) in roles.chain(managed) {
        for statement in document["Statement"].as_array().into_iter().flatten() {
            let (condition, statement) = match statement.as_array().map(Vec::as_slice) {
                Some([condition, statement, otherwise]) => {
                    assert_eq!(otherwise, "AWS::NoValue", "{name}: a statement in place of another");
                    (condition, statement)
                }
                Some(other) => panic!("{name}: {other:?}"),
                None => (&resource["Condition"], statement),
            };
            let mut statement = statement.clone();
            statement["By"] = condition.clone();
            all.push((name, statement));
        }
    }
    assert!(all.len() >= 20, "only {} statements were found", all.len());
    all
}
