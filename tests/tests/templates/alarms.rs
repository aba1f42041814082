//! Alarms: what they watch, whom they tell, and what hangs on the one behind the gate.

use lifeboat_rules::dns::switch;
use serde_json::{Value, json};

use crate::{list, of_kind, read};

/// The namespace of what health-check and ledger-verify measure, which the template tells them.
const MEASURED: &str = "Lifeboat";

/// An alarm watches a metric that a function writes, and one that tells a person is let through by the topic's policy.
#[test]
fn alarms_watch_what_is_written_and_reach_whom_they_tell() {
    let written = [
        (MEASURED, "PrimaryDown"),
        (MEASURED, ledger_verify::LAG_METRIC),
        (MEASURED, ledger_verify::FINDINGS_METRIC),
        (switch::METRIC_NAMESPACE, switch::METRIC_NAME),
    ];
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
            let of_metric = |field: &str| properties[field].as_str().unwrap_or_default();
            let metric = (of_metric("Namespace"), of_metric("MetricName"));
            let by_plan = json!([{ "Name": "Plan", "Value": "PlanName" }]);
            if !written.contains(&metric) || properties["Dimensions"] != by_plan {
                found.push(format!("{name} watches {metric:?}, which nobody writes like that"));
            }
            let own = properties["AlarmName"].as_str().unwrap_or_default();
            if list(&properties["AlarmActions"]) == ["OperatorTopic"] && !let_in.contains(&own) {
                found.push(format!("{name} cannot publish to the operators' topic"));
            }
        }
        found
    };
    let template = read("infra/orchestrator.yaml");
    assert_eq!(of_kind(&template, "AWS::CloudWatch::Alarm").count(), 5);
    assert!(wrong(&template).is_empty(), "{:?}", wrong(&template));
    let mut spoiled = template;
    spoiled["Resources"]["BrokenAlarm"]["Properties"]["MetricName"] = json!("Broken");
    spoiled["Resources"]["UnverifiedAlarm"]["Properties"]["AlarmName"] = json!("another");
    spoiled["Resources"]["KeeperBlindAlarm"]["Properties"]["Namespace"] = json!(MEASURED);
    assert_eq!(wrong(&spoiled).len(), 3, "{:?}", wrong(&spoiled));
}

/// The gate: a metric that the keeper writes, an alarm that a health check can follow, and a health check that stays as it
/// was when any of it is lost.
#[test]
fn the_gate_hangs_together_and_moves_nothing_by_being_lost() {
    let wrong = |template: &Value| -> Vec<&str> {
        let (alarm, gate) = (&template["Resources"]["TrafficAlarm"], &template["Resources"]["Gate"]);
        let of_alarm = &alarm["Properties"];
        let of_gate = &gate["Properties"]["HealthCheckConfig"];
        let kept = |resource: &Value| {
            resource["DeletionPolicy"] == "Retain" && resource["UpdateReplacePolicy"] == "Retain"
        };
        let holds = [
            ("the name", of_alarm["AlarmName"] == switch::alarm_name("${PlanName}").as_str()),
            (
                "the metric",
                of_alarm["Namespace"] == switch::METRIC_NAMESPACE
                    && of_alarm["MetricName"] == switch::METRIC_NAME
                    && of_alarm["Dimensions"]
                        == json!([{ "Name": switch::METRIC_DIMENSION, "Value": "PlanName" }]),
            ),
            (
                "on at 1",
                of_alarm["Threshold"] == 1
                    && of_alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold",
            ),
            (
                "a plain statistic",
                of_alarm["Statistic"] == "Maximum" && of_alarm["ExtendedStatistic"].is_null(),
            ),
            ("standard resolution", of_alarm["Period"] == switch::PERIOD_SECONDS),
            (
                "one period of one",
                of_alarm["EvaluationPeriods"] == 1 && of_alarm["DatapointsToAlarm"].is_null(),
            ),
            ("no points change nothing", of_alarm["TreatMissingData"] == "ignore"),
            (
                "the check follows the alarm",
                of_gate["Type"] == "CLOUDWATCH_METRIC"
                    && of_gate["AlarmIdentifier"]
                        == json!({ "Name": "TrafficAlarm", "Region": "AWS::Region" }),
            ),
            ("no data changes nothing", of_gate["InsufficientDataHealthStatus"] == "LastKnownStatus"),
            ("on means unhealthy", of_gate["Inverted"].is_null() && of_gate["Disabled"].is_null()),
            ("both stay", kept(alarm) && kept(gate)),
        ];
        holds.into_iter().filter(|(_, holds)| !holds).map(|(what, _)| what).collect()
    };
    let template = read("infra/foundation.yaml");
    assert!(wrong(&template).is_empty(), "{:?}", wrong(&template));
    for (resource, field, value) in [
        ("TrafficAlarm", "/Properties/TreatMissingData", json!("notBreaching")),
        ("TrafficAlarm", "/Properties/Period", json!(10)),
        ("TrafficAlarm", "/Properties/MetricName", json!("PrimaryDown")),
        ("TrafficAlarm", "/Properties/Namespace", json!(MEASURED)),
        ("TrafficAlarm", "/DeletionPolicy", json!("Delete")),
        ("Gate", "/Properties/HealthCheckConfig/InsufficientDataHealthStatus", json!("Healthy")),
        ("Gate", "/Properties/HealthCheckConfig/AlarmIdentifier/Name", json!("another")),
    ] {
        let mut spoiled = template.clone();
        *spoiled["Resources"][resource].pointer_mut(field).expect(field) = value;
        assert_eq!(wrong(&spoiled).len(), 1, "{field}");
    }
}
