//! *alarm-trigger*: starts the state machine when the alarm fires. It decides nothing else.
//!
//! Invariant: one change of the alarm's state has one execution name, so the same news delivered twice, or by two ways,
//! starts one run.

mod aws;
mod event;

use jiff::Timestamp;
use lifeboat_rules::evidence::sha256;
use lifeboat_rules::{ErrorName, StepError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use aws::StateMachine;
pub use event::{AlarmChange, AlarmState};

/// What came of one piece of news.
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
    /// The alarm fires, and its actions are held back: somebody has said that nothing is to follow from it now.
    Silenced {
        /// By what: the kind of suppression, or the mute rule's ARN.
        by: String,
    },
}

/// Handles one piece of news of the alarm, in any form.
///
/// # Errors
/// `InputInvalid` by field; `Transient` and `Defect` where the state machine cannot be started.
pub async fn handle(machine: &StateMachine, plan_key: &str, payload: Value) -> Result<Answer, StepError> {
    let AlarmChange { alarm, state, reason, at, silenced_by } = AlarmChange::read(&payload)?;
    if state != AlarmState::Alarm {
        return Ok(Answer::Ignored { state: state.as_str().to_owned() });
    }
    if let Some(by) = silenced_by {
        return Ok(Answer::Silenced { by });
    }
    let run = execution_name(&alarm, at);
    let input = json!({
        "mode": "failover",
        "plan": { "key": plan_key },
        "trigger": { "kind": "alarm", "at": at, "alarm": alarm, "reason": reason },
    });
    if machine.start(&run, &input).await? {
        Ok(Answer::Started { run })
    } else {
        Ok(Answer::AlreadyStarted { run })
    }
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
