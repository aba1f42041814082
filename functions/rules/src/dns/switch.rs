//! The `switch` strategy: one object says which side the traffic of a plan is on, and the newest one counts.
//!
//! Every record was made beforehand as a failover pair. The primary half of each is gated by one health check on one
//! CloudWatch alarm, and the alarm watches a metric that repeats what the newest flip object says. So the same work moves ten names
//! or ten thousand, and none of it is a call to Route 53.
//!
//! Invariant: an older epoch changes nothing, whenever its object arrives. Objects are created once and never overwritten,
//! and whoever publishes takes the one with the greatest epoch.

use serde::{Deserialize, Serialize};

use super::{Failover, Half, RecordSet};
use crate::plan::{Record, Side};
use crate::{ErrorName, StepError};

/// The namespace of the gate's metric, and of no other: IAM tells namespaces apart and not metrics, and whoever writes here
/// moves traffic.
pub const METRIC_NAMESPACE: &str = "Lifeboat/Traffic";
/// The gate's metric: 1 while the newest flip says recovery, 0 while it says primary or there is none.
pub const METRIC_NAME: &str = "TrafficOnRecovery";
/// The one dimension of the gate's metric; its value is the plan's name.
pub const METRIC_DIMENSION: &str = "Plan";
/// The period of the gate's alarm, in seconds. A health check takes alarms on standard-resolution metrics only.
pub const PERIOD_SECONDS: u32 = 60;
/// The identifier of a pair's primary half.
pub const PRIMARY_IDENTIFIER: &str = "lifeboat-primary";
/// The identifier of a pair's secondary half, which holds the recovery side's values.
pub const RECOVERY_IDENTIFIER: &str = "lifeboat-recovery";

/// The name of the alarm behind the gate.
pub fn alarm_name(plan: &str) -> String {
    format!("lifeboat-{plan}-traffic-on-recovery")
}

/// The body of a flip object: under this epoch, traffic goes to this side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlipObject {
    /// The epoch.
    pub epoch: u64,
    /// The run, hand-back or flip by hand that put it. It holds the epoch.
    pub run: String,
    /// Where traffic goes.
    pub side: Side,
}

impl FlipObject {
    /// The object's bytes.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings and numbers always serialise")
    }

    /// Reads the object that was found at `key`, where the epoch of the key is `epoch`.
    ///
    /// # Errors
    /// `Defect` where it is no flip object, or says another epoch than its key: nothing may be concluded from it.
    pub fn parse(key: &str, epoch: u64, bytes: &[u8]) -> Result<FlipObject, StepError> {
        let flip: FlipObject = serde_json::from_slice(bytes).map_err(|err| {
            StepError::caused(ErrorName::Defect, format!("{key} is not a flip object"), err)
        })?;
        if flip.epoch != epoch {
            return Err(StepError::defect(format!("{key} says epoch {}", flip.epoch)));
        }
        Ok(flip)
    }
}

/// The prefix of all flips of `plan` in the control bucket.
pub fn prefix(plan: &str) -> String {
    format!("flip/{plan}/")
}

/// The key of one epoch's flip; twenty digits, so that keys sort as the numbers do.
pub fn key(plan: &str, epoch: u64) -> String {
    format!("{}{epoch:020}", prefix(plan))
}

/// The value of the gate's metric while traffic is to go to `side`.
pub fn value(side: Side) -> f64 {
    match side {
        Side::Primary => 0.0,
        Side::Recovery => 1.0,
    }
}

/// What the object says that was found where this one was to be created.
///
/// # Errors
/// `Fenced` where another run holds the epoch; `Defect` where this run has moved traffic to the other side under the same
/// epoch: one epoch moves it once.
pub fn judge_taken(found: &FlipObject, mine: &FlipObject) -> Result<(), StepError> {
    if found == mine {
        return Ok(());
    }
    if found.run != mine.run {
        return Err(StepError::fenced(format!(
            "{} has moved the traffic under epoch {}; this is {}",
            found.run, found.epoch, mine.run
        )));
    }
    Err(StepError::defect(format!(
        "{} has moved the traffic to the {:?} side under epoch {} already, and is to move it to the {:?} side",
        found.run, found.side, found.epoch, mine.side
    )))
}

/// What the newest flip says to whoever has just put `mine`: nobody newer has moved the traffic.
///
/// # Errors
/// `Fenced` where somebody has: nothing has come of `mine` then. `Defect` where the newest is older than `mine`, which was put.
pub fn judge_newest(newest: Option<&FlipObject>, mine: &FlipObject) -> Result<(), StepError> {
    match newest.filter(|newest| newest.epoch >= mine.epoch) {
        None => Err(StepError::defect(format!(
            "the flip of epoch {} was put and is not there: somebody deletes flips",
            mine.epoch
        ))),
        Some(newest) if newest.epoch > mine.epoch => Err(StepError::fenced(format!(
            "{} has moved the traffic under epoch {}; this is epoch {}",
            newest.run, newest.epoch, mine.epoch
        ))),
        Some(_) => Ok(()),
    }
}

/// The failover pair of one record: the primary's values while the gate `health_check` is healthy, and the recovery side's
/// otherwise. The second half has no gate, so there is always an answer.
pub fn pair(record: &Record, health_check: &str) -> [RecordSet; 2] {
    let half = |side, failover, identifier: &str, health_check| {
        let values = record.values(side).iter().cloned();
        let half = Half { failover, identifier: identifier.to_owned(), health_check };
        RecordSet {
            half: Some(half),
            ..RecordSet::new(&record.name, &record.kind.to_string(), record.ttl, values)
        }
    };
    [
        half(Side::Primary, Failover::Primary, PRIMARY_IDENTIFIER, Some(health_check.to_owned())),
        half(Side::Recovery, Failover::Secondary, RECOVERY_IDENTIFIER, None),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::RecordType;

    fn flip(epoch: u64, run: &str, side: Side) -> FlipObject {
        FlipObject { epoch, run: run.into(), side }
    }

    #[test]
    fn keys_sort_as_their_epochs_do() {
        assert_eq!(key("aex", 42), "flip/aex/00000000000000000042");
        let epochs = [0, 9, 10, 99, 1_000, u64::from(u32::MAX), u64::MAX];
        assert!(epochs.map(|epoch| key("aex", epoch)).is_sorted());
        assert!(epochs.iter().all(|&epoch| key("aex", epoch).starts_with(&prefix("aex"))));
        // A plan whose name begins with another's is another plan.
        assert!(!key("aex-eu", 1).starts_with(&prefix("aex")));
    }

    #[test]
    fn a_flip_reads_back_as_it_was_written_and_nothing_else_is_one() {
        let flip = flip(42, "run-42", Side::Recovery);
        assert_eq!(flip.to_json(), br#"{"epoch":42,"run":"run-42","side":"recovery"}"#);
        assert_eq!(FlipObject::parse("a key", 42, &flip.to_json()).unwrap(), flip);
        for (epoch, bytes) in [
            (41, &flip.to_json()[..]),
            (42, b""),
            (42, br#"{"epoch":42,"run":"run-42","side":"both"}"#),
            (42, br#"{"epoch":42,"run":"run-42"}"#),
            (42, br#"{"epoch":42,"run":"run-42","side":"primary","more":1}"#),
        ] {
            let err = FlipObject::parse("a key", epoch, bytes).unwrap_err();
            assert_eq!(err.name, ErrorName::Defect);
            assert!(err.to_string().contains("a key"), "{err}");
        }
    }

    #[test]
    fn an_epoch_moves_traffic_once_and_for_the_run_that_holds_it() {
        let mine = flip(42, "run-42", Side::Recovery);
        judge_taken(&mine, &mine).unwrap();
        let err = judge_taken(&flip(42, "run-x", Side::Recovery), &mine).unwrap_err();
        assert_eq!(err.name, ErrorName::Fenced);
        let err = judge_taken(&flip(42, "run-42", Side::Primary), &mine).unwrap_err();
        assert_eq!(err.name, ErrorName::Defect);
    }

    #[test]
    fn a_flip_counts_while_none_is_newer() {
        let mine = flip(42, "run-42", Side::Recovery);
        judge_newest(Some(&mine), &mine).unwrap();
        let newer = flip(43, "handback", Side::Primary);
        assert_eq!(judge_newest(Some(&newer), &mine).unwrap_err().name, ErrorName::Fenced);
        for gone in [None, Some(&flip(41, "run-41", Side::Recovery))] {
            assert_eq!(judge_newest(gone, &mine).unwrap_err().name, ErrorName::Defect);
        }
    }

    #[test]
    fn a_pair_has_one_gate_and_always_an_answer() {
        let record = Record {
            name: "aapl.md.aex.internal".into(),
            kind: RecordType::A,
            ttl: 5,
            primary: vec!["10.0.0.2".into(), "10.0.0.1".into()],
            recovery: vec!["10.1.0.1".into()],
        };
        let [primary, secondary] = pair(&record, "gate");
        assert!(!primary.is_at(&secondary), "they are two to Route 53");
        assert_eq!(
            (primary.name.as_str(), primary.kind.as_str(), primary.ttl),
            ("aapl.md.aex.internal", "A", 5)
        );
        assert_eq!(primary.values, ["10.0.0.1", "10.0.0.2"]);
        assert_eq!(secondary.values, ["10.1.0.1"]);
        assert_eq!(primary.half.as_ref().unwrap().health_check.as_deref(), Some("gate"));
        assert_eq!(secondary.half.as_ref().unwrap().health_check, None);
        assert_eq!(
            serde_json::to_value(&secondary).unwrap()["half"],
            serde_json::json!({ "failover": "SECONDARY", "identifier": "lifeboat-recovery" })
        );
    }
}
