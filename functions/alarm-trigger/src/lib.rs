//! *alarm-trigger*: starts the state machine when the alarm fires. It decides nothing else.
//!
//! Invariant: one change of the alarm's state has one execution name, so the same news delivered twice starts one run.

mod aws;

use jiff::Timestamp;
use lifeboat_rules::evidence::sha256;
use lifeboat_rules::{ErrorName, StepError};
use lifeboat_runtime::parse;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use aws::StateMachine;

/// The few fields that are needed of an SNS notification; a typed form of the whole would fail for want of others.
#[derive(Clone, Debug, Deserialize)]
struct SnsEvent {
    #[serde(rename = "Records")]
    records: Vec<SnsRecord>,
}

#[derive(Clone, Debug, Deserialize)]
struct SnsRecord {
    #[serde(rename = "Sns")]
    sns: SnsMessage,
}

#[derive(Clone, Debug, Deserialize)]
struct SnsMessage {
    #[serde(rename = "Message")]
    message: String,
}

/// The few fields that are needed of CloudWatch's message, which are there for alarms of every kind.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AlarmMessage {
    alarm_name: String,
    new_state_value: String,
    new_state_reason: Option<String>,
    state_change_time: String,
}

/// What came of one notification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict")]
pub enum Answer {
    /// A run was started.
    Started {
        /// The name of the execution.
        run: String,
    },
    /// This change of state had started its run before.
    AlreadyStarted {
        /// The name of the execution.
        run: String,
    },
    /// The alarm did not go to `ALARM`.
    Ignored {
        /// Its new state.
        state: String,
    },
}

/// Handles one SNS notification of the alarm.
///
/// # Errors
/// `InputInvalid` by field; `Transient` and `Defect` where the state machine cannot be started.
pub async fn handle(machine: &StateMachine, plan_key: &str, payload: Value) -> Result<Answer, StepError> {
    let event: SnsEvent = parse(payload)?;
    let [record] = event.records.as_slice() else {
        return Err(StepError::input_invalid(
            "Records",
            format_args!("{} of them; SNS sends one", event.records.len()),
        ));
    };
    let message: Value = serde_json::from_str(&record.sns.message)
        .map_err(|err| StepError::input_invalid("Records[0].Sns.Message", format_args!("no JSON: {err}")))?;
    let alarm: AlarmMessage = serde_path_to_error::deserialize(message).map_err(|err| {
        StepError::input_invalid(&format!("Records[0].Sns.Message.{}", err.path()), err.inner())
    })?;
    if alarm.new_state_value != "ALARM" {
        return Ok(Answer::Ignored { state: alarm.new_state_value });
    }
    let at = state_change_time(&alarm.state_change_time).ok_or_else(|| {
        StepError::input_invalid("Records[0].Sns.Message.StateChangeTime", "is no timestamp")
    })?;
    let run = execution_name(&alarm.alarm_name, at);
    let input = json!({
        "mode": "failover",
        "plan": { "key": plan_key },
        "trigger": { "kind": "alarm", "at": at, "alarm": alarm.alarm_name, "reason": alarm.new_state_reason },
    });
    if machine.start(&run, &input).await? {
        Ok(Answer::Started { run })
    } else {
        Ok(Answer::AlreadyStarted { run })
    }
}

/// CloudWatch writes `2026-11-23T14:25:08.123+0000`: RFC 3339 but for the colon in the offset.
fn state_change_time(text: &str) -> Option<Timestamp> {
    text.parse().ok().or_else(|| {
        let (time, offset) = text.split_at_checked(text.len().checked_sub(5)?)?;
        let (hours, minutes) = offset.split_at_checked(3)?;
        format!("{time}{hours}:{minutes}").parse().ok()
    })
}

/// The execution's name: the moment, for people, and a digest of alarm and moment; 80 characters at most are allowed.
fn execution_name(alarm: &str, at: Timestamp) -> String {
    let digest = sha256(format!("{alarm} {}", at.as_millisecond()).as_bytes());
    format!("alarm-{}-{}", at.strftime("%Y%m%dT%H%M%SZ"), &digest[..12])
}

/// Makes an error of the wrong environment say so.
///
/// # Errors
/// `Defect` where the ARN is not that of a state machine.
pub fn check_arn(arn: String) -> Result<String, StepError> {
    if arn.contains(":stateMachine:") {
        Ok(arn)
    } else {
        Err(StepError::new(
            ErrorName::Defect,
            format!("STATE_MACHINE_ARN is `{arn}`, which is no state machine"),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_cloudwatchs_own_spelling_of_time() {
        let expected: Timestamp = "2026-11-23T14:25:08.123Z".parse().unwrap();
        for text in
            ["2026-11-23T14:25:08.123+0000", "2026-11-23T14:25:08.123Z", "2026-11-23T15:25:08.123+01:00"]
        {
            assert_eq!(state_change_time(text), Some(expected), "{text}");
        }
        for text in ["", "soon", "+0000", "ü+000"] {
            assert_eq!(state_change_time(text), None, "{text}");
        }
    }

    #[test]
    fn one_change_of_state_has_one_name() {
        let at: Timestamp = "2026-11-23T14:25:08.123Z".parse().unwrap();
        let later: Timestamp = "2026-11-23T14:25:08.124Z".parse().unwrap();
        assert_eq!(execution_name("arn:a", at), execution_name("arn:a", at));
        assert_ne!(execution_name("arn:a", at), execution_name("arn:a", later));
        assert_ne!(execution_name("arn:a", at), execution_name("arn:b", at));
        assert!(execution_name("arn:a", at).starts_with("alarm-20261123T142508Z-"));
        assert!(execution_name("arn:a", at).len() <= 80);
    }
}
