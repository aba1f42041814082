//! Each form with an alarm of each kind. The samples have the shapes of CloudWatch's documentation, with names of ours.

use lifeboat_rules::ErrorName;
use serde_json::json;

use super::*;

/// A metric alarm's change as each form tells it.
const METRIC: [&str; 3] = [
    include_str!("../samples/sns-metric.json"),
    include_str!("../samples/direct-metric.json"),
    include_str!("../samples/eventbridge-metric.json"),
];
const METRIC_MATH: [&str; 3] = [
    include_str!("../samples/sns-metric-math.json"),
    include_str!("../samples/direct-metric-math.json"),
    include_str!("../samples/eventbridge-metric-math.json"),
];
const COMPOSITE: [&str; 3] = [
    include_str!("../samples/sns-composite.json"),
    include_str!("../samples/direct-composite.json"),
    include_str!("../samples/eventbridge-composite.json"),
];

fn sample(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// What it complains of, which must be of the name that nobody repeats.
fn complaint(payload: &Value) -> String {
    let err = AlarmChange::read(payload).expect_err("it is no good");
    assert_eq!(err.name, ErrorName::InputInvalid);
    err.to_string()
}

#[test]
fn one_change_is_the_same_in_each_form() {
    for (forms, alarm, at) in [
        (METRIC, "lifeboat-aex-primary-down", "2026-11-23T14:25:08.123Z"),
        (METRIC_MATH, "aex-orders-unanswered", "2026-11-23T14:25:41.554Z"),
        (COMPOSITE, "aex-primary-lost", "2026-11-23T14:27:46.138Z"),
    ] {
        let [sns, direct, eventbridge] = forms.map(|form| AlarmChange::read(&sample(form)).unwrap());
        assert_eq!(sns.alarm, alarm);
        assert_eq!(sns.state, AlarmState::Alarm);
        assert_eq!(sns.at, at.parse().unwrap());
        assert!(sns.reason.as_ref().is_some_and(|reason| !reason.is_empty()));
        assert_eq!(sns.silenced_by, None);
        assert_eq!(sns, direct, "{alarm}");
        assert_eq!(sns, eventbridge, "{alarm}");
    }
}

/// A person who sets an alarm's state by hand may give an empty reason.
#[test]
fn what_is_not_needed_may_be_missing() {
    let bare = json!({ "alarmData": {
        "alarmName": "a", "state": { "value": "OK", "reason": "", "timestamp": "2026-11-23T15:25:08.123+01:00" } } });
    let change = AlarmChange::read(&bare).unwrap();
    assert_eq!((change.state, change.reason), (AlarmState::Ok, None));
    assert_eq!(change.at, "2026-11-23T14:25:08.123Z".parse().unwrap());
}

/// CloudWatch tells EventBridge of a change even where a suppressor or a mute rule holds the actions back.
#[test]
fn an_alarm_whose_actions_are_held_back_says_by_what() {
    let mut suppressed = sample(COMPOSITE[2]);
    suppressed["detail"]["state"]["actionsSuppressedBy"] = json!("WaitPeriod");
    assert_eq!(AlarmChange::read(&suppressed).unwrap().silenced_by.as_deref(), Some("WaitPeriod"));

    let rule = "arn:aws:cloudwatch:eu-central-1:000000000000:alarm-mute-rule:aex-maintenance";
    let mut muted = sample(METRIC[2]);
    muted["detail"]["muteDetail"] =
        json!({ "mutedByArn": rule, "muteWindowStart": "2026-11-23T14:00:00.000+0000" });
    assert_eq!(AlarmChange::read(&muted).unwrap().silenced_by.as_deref(), Some(rule));
    // What held the state before back holds this one back no more.
    assert_eq!(sample(COMPOSITE[1])["alarmData"]["previousState"]["actionsSuppressedBy"], "WaitPeriod");
    assert_eq!(AlarmChange::read(&sample(COMPOSITE[1])).unwrap().silenced_by, None);
}

#[test]
fn each_missing_or_malformed_field_is_named_by_its_path() {
    for (form, at, fields) in [
        (METRIC[1], "alarmData", ["alarmName", "state.value", "state.timestamp"]),
        (METRIC[2], "detail", ["alarmName", "state.value", "state.timestamp"]),
    ] {
        for field in fields {
            let pointer = format!("/{at}/{}", field.replace('.', "/"));
            for bad in [Value::Null, json!(7), json!(""), json!({ "of": "another kind" })] {
                let mut payload = sample(form);
                *payload.pointer_mut(&pointer).unwrap() = bad;
                let said = complaint(&payload);
                assert!(said.contains(&format!("field `{at}.{field}`")), "{said}");
            }
        }
    }
    for field in ["AlarmName", "NewStateValue", "StateChangeTime"] {
        let mut payload = sample(METRIC[0]);
        let message = &mut payload["Records"][0]["Sns"]["Message"];
        let mut inner: Value = serde_json::from_str(message.as_str().unwrap()).unwrap();
        inner.as_object_mut().unwrap().remove(field);
        *message = json!(inner.to_string());
        let said = complaint(&payload);
        assert!(
            said.contains(&format!("field `Records[0].Sns.Message.{field}`: missing or empty")),
            "{said}"
        );
    }
    for bad in ["", "soon", "2026-11-23", "2026-11-23T14:25:08.123", "+0000"] {
        let mut payload = sample(METRIC[1]);
        payload["alarmData"]["state"]["timestamp"] = json!(bad);
        assert!(complaint(&payload).contains("alarmData.state.timestamp"), "{bad}");
    }
    let mut payload = sample(METRIC[1]);
    payload["alarmData"]["state"]["value"] = json!("Alarm");
    assert!(complaint(&payload).contains("`Alarm` is no state of an alarm"));
}

#[test]
fn what_is_no_news_of_a_change_is_refused() {
    for payload in [json!({}), json!(null), json!([]), json!("ALARM"), json!({ "source": "aws.cloudwatch" })]
    {
        assert!(complaint(&payload).contains("no alarm's event in any form"));
    }
    let one = sample(METRIC[0])["Records"][0].clone();
    for records in [json!([]), json!([one.clone(), one]), json!(7), json!({})] {
        assert!(complaint(&json!({ "Records": records })).contains("field `Records`: is no list of one"));
    }
    let no_json = json!({ "Records": [{ "Sns": { "Message": "ALARM!" } }] });
    assert!(complaint(&no_json).contains("field `Records[0].Sns.Message`: is no JSON"));
    let other = json!({ "Records": [{ "eventSource": "aws:s3", "s3": {} }] });
    assert!(complaint(&other).contains("field `Records[0].Sns.Message`: missing or empty"));
    // An alarm that was changed while it fired names its state too.
    for kind in ["CloudWatch Alarm Configuration Change", "CloudWatch Alarm Contributor State Change"] {
        let mut payload = sample(METRIC[2]);
        payload["detail-type"] = json!(kind);
        assert!(complaint(&payload).contains("field `detail-type`"), "{kind}");
    }
}
