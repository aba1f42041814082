//! What an alarm says, in each of the three forms in which it can reach this function. Pure.
//!
//! Only the few fields that are needed are read, and they are there for alarms of every kind: a typed form of the whole
//! would fail on the first metric-math or composite alarm for want of what only others have.

use jiff::Timestamp;
use lifeboat_rules::StepError;
use serde_json::Value;

/// The `detail-type` of the one EventBridge event that is news of a change. CloudWatch sends others about an alarm, its
/// configuration's change among them, which name a state as well and are no news of it.
const STATE_CHANGE: &str = "CloudWatch Alarm State Change";

/// One change of an alarm's state, the same whichever way the news of it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlarmChange {
    /// The alarm's name.
    pub alarm: String,
    /// The state that it has now.
    pub state: AlarmState,
    /// Why, in CloudWatch's words.
    pub reason: Option<String>,
    /// When it changed, to the millisecond.
    pub at: Timestamp,
    /// By what the alarm's actions are held back now. CloudWatch calls no action then, neither a topic nor a function,
    /// but it sends the event to EventBridge all the same.
    pub silenced_by: Option<String>,
}

/// The states that an alarm can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlarmState {
    /// All is well.
    Ok,
    /// It fires.
    Alarm,
    /// It does not know.
    InsufficientData,
}

impl AlarmState {
    /// The state's name in CloudWatch.
    pub fn as_str(self) -> &'static str {
        match self {
            AlarmState::Ok => "OK",
            AlarmState::Alarm => "ALARM",
            AlarmState::InsufficientData => "INSUFFICIENT_DATA",
        }
    }
}

impl AlarmChange {
    /// Reads the payload of an invocation: an SNS notification, CloudWatch's own call, or an EventBridge event.
    ///
    /// # Errors
    /// `InputInvalid`, which names the field by its path in that form.
    pub fn read(payload: &Value) -> Result<AlarmChange, StepError> {
        if let Some(records) = payload.get("Records") {
            return of_notification(records);
        }
        if payload.get("alarmData").is_some() {
            return of_alarm_data(&Part { value: payload, at: "" }, "alarmData");
        }
        if payload.get("detail-type").is_some() {
            let whole = Part { value: payload, at: "" };
            let kind = whole.text("detail-type")?;
            if kind != STATE_CHANGE {
                return Err(StepError::input_invalid(
                    "detail-type",
                    format_args!("is `{kind}`; the rule must send `{STATE_CHANGE}` and nothing else"),
                ));
            }
            return of_alarm_data(&whole, "detail");
        }
        Err(StepError::input_invalid(
            "Records",
            "missing, as are `alarmData` and `detail-type`: this is no alarm's event in any form",
        ))
    }
}

/// What SNS delivers: CloudWatch's message as a text inside the notification.
fn of_notification(records: &Value) -> Result<AlarmChange, StepError> {
    let [record] = records.as_array().map(Vec::as_slice).unwrap_or_default() else {
        return Err(StepError::input_invalid(
            "Records",
            "is no list of one; SNS sends one notification a call",
        ));
    };
    let text = Part { value: record, at: "Records[0]." }.text("Sns.Message")?;
    let message: Value = serde_json::from_str(&text).map_err(|err| {
        StepError::input_invalid("Records[0].Sns.Message", format_args!("is no JSON: {err}"))
    })?;
    let message = Part { value: &message, at: "Records[0].Sns.Message." };
    Ok(AlarmChange {
        alarm: message.text("AlarmName")?,
        state: message.state("NewStateValue")?,
        reason: message.optional_text("NewStateReason")?,
        at: message.time("StateChangeTime")?,
        silenced_by: None,
    })
}

/// What CloudWatch says in its own call (`alarmData`) and to EventBridge (`detail`), which is of one form.
fn of_alarm_data(event: &Part<'_>, data: &str) -> Result<AlarmChange, StepError> {
    let suppressed = event.optional_text(&format!("{data}.state.actionsSuppressedBy"))?;
    let muted = event.optional_text(&format!("{data}.muteDetail.mutedByArn"))?;
    Ok(AlarmChange {
        alarm: event.text(&format!("{data}.alarmName"))?,
        state: event.state(&format!("{data}.state.value"))?,
        reason: event.optional_text(&format!("{data}.state.reason"))?,
        at: event.time(&format!("{data}.state.timestamp"))?,
        silenced_by: suppressed.or(muted),
    })
}

/// A part of the payload, and where in it that part stands, for messages.
struct Part<'a> {
    value: &'a Value,
    at: &'static str,
}

impl Part<'_> {
    /// The text at `path`, whose members are told apart by dots.
    fn text(&self, path: &str) -> Result<String, StepError> {
        self.optional_text(path)?.ok_or_else(|| self.invalid(path, "missing or empty"))
    }

    /// The same where it may be missing, with any member on the way, or null, or empty.
    fn optional_text(&self, path: &str) -> Result<Option<String>, StepError> {
        match path.split('.').try_fold(self.value, |value, name| value.get(name)) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
            Some(other) => Err(self.invalid(path, format_args!("is {other}, which is no text"))),
        }
    }

    fn state(&self, path: &str) -> Result<AlarmState, StepError> {
        let text = self.text(path)?;
        [AlarmState::Ok, AlarmState::Alarm, AlarmState::InsufficientData]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| self.invalid(path, format_args!("`{text}` is no state of an alarm")))
    }

    /// CloudWatch writes `2026-11-23T14:25:08.123+0000`, which is ISO 8601; RFC 3339 has a colon in the offset, or a Z.
    fn time(&self, path: &str) -> Result<Timestamp, StepError> {
        let text = self.text(path)?;
        text.parse().map_err(|err| self.invalid(path, format_args!("`{text}` is no timestamp: {err}")))
    }

    fn invalid(&self, path: &str, what: impl std::fmt::Display) -> StepError {
        StepError::input_invalid(&format!("{}{path}", self.at), what)
    }
}

#[cfg(test)]
mod tests;
