//! Is the primary down? Observations are judged, and only `PrimaryDown` lets a machine act.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::plan::Probe as ProbePlan;

/// One HTTP probe of the primary, from the recovery Region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// When it was sent, by the prober's clock.
    pub at: Timestamp,
    /// Whether the primary said that it serves.
    pub serving: bool,
    /// The answer, or why there was none.
    pub what: String,
}

/// The newest object of one stream of the log, with both times by the store's own clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogHead {
    /// The stream.
    pub stream: String,
    /// The newest slot: the first sequence of the newest object.
    pub slot: u64,
    /// When that object was stored.
    pub stored_at: Timestamp,
    /// When the store said so.
    pub read_at: Timestamp,
}

/// What reading the log's end gave. Writers append heartbeats, so a log that advances is a primary that acknowledges.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogReading {
    /// The newest object of each stream.
    Heads(Vec<LogHead>),
    /// It could not be read, and why.
    Unreadable(String),
}

/// What re-reading the alarm gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlarmReading {
    /// In the state `ALARM`.
    Alarm,
    /// In another state, which is named.
    Other(String),
    /// It could not be read, and why.
    Unreadable(String),
}

/// All that was observed within the plan's confirmation window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observations {
    /// The probes, in order; at least one.
    pub probes: Vec<Probe>,
    /// The log before the first probe.
    pub log_before: LogReading,
    /// The log after the last.
    pub log_after: LogReading,
    /// The alarm, where the alarm is what started the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alarm: Option<AlarmReading>,
}

/// The verdict on the primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// Probes fail and the log stands still: nothing is being acknowledged.
    PrimaryDown,
    /// Probes fail and the log advances: the network is cut, not the exchange.
    PrimaryUnreachable,
    /// The last probe succeeded and the log advances.
    PrimaryHealthy,
    /// The observers contradict each other.
    ObserversDisagree,
    /// Something that the verdict rests on could not be read.
    DataMissing,
}

impl Verdict {
    /// All verdicts; a test holds the state machine's definition against them.
    pub const ALL: [Verdict; 5] = [
        Verdict::PrimaryDown,
        Verdict::PrimaryUnreachable,
        Verdict::PrimaryHealthy,
        Verdict::ObserversDisagree,
        Verdict::DataMissing,
    ];
}

/// Judges the observations by the plan's numbers; the second value says why, for a person.
///
/// Invariant: `PrimaryDown` needs every probe to have failed, at least as many of them as the plan asks for, and every
/// stream of the log to have been still for the plan's time by the store's clock.
pub fn judge(plan: &ProbePlan, attempts_min: u32, seen: &Observations) -> (Verdict, String) {
    let (before, after) = match (&seen.log_before, &seen.log_after) {
        (LogReading::Heads(before), LogReading::Heads(after)) => (before, after),
        (LogReading::Unreadable(why), _) | (_, LogReading::Unreadable(why)) => {
            return (Verdict::DataMissing, format!("the log could not be read: {why}"));
        }
    };
    if after.is_empty() {
        return (Verdict::DataMissing, "the log has no stream: whether it advances cannot be said".into());
    }
    let Some(last) = seen.probes.last() else {
        return (Verdict::DataMissing, "the primary was not probed".into());
    };
    let still_for = still_seconds(after);
    let advances = moved(before, after);
    let still = !advances && still_for >= i64::from(plan.log_still_seconds);
    let log = if advances {
        "the log advances".to_owned()
    } else {
        format!("the log has been still for {still_for} s")
    };
    let failures = seen.probes.iter().filter(|probe| !probe.serving).count();
    let all_fail = failures == seen.probes.len();
    let probes = format!("{failures} of {} probes failed, the last one: {}", seen.probes.len(), last.what);
    let why = format!("{probes}; {log}");
    if all_fail && (failures as u64) < u64::from(attempts_min) {
        return (Verdict::DataMissing, format!("{why}; the plan asks for {attempts_min} probes"));
    }
    match (all_fail, last.serving, still) {
        (true, _, true) => match &seen.alarm {
            // No news from the alarm contradicts nobody; that it is well does.
            Some(AlarmReading::Other(state)) if state != "INSUFFICIENT_DATA" => {
                (Verdict::ObserversDisagree, format!("{why}; but the alarm is in state {state}"))
            }
            Some(AlarmReading::Unreadable(reason)) => {
                (Verdict::DataMissing, format!("{why}; the alarm could not be read: {reason}"))
            }
            Some(AlarmReading::Alarm | AlarmReading::Other(_)) | None => (Verdict::PrimaryDown, why),
        },
        (true, _, false) => (Verdict::PrimaryUnreachable, why),
        (false, true, false) => (Verdict::PrimaryHealthy, why),
        (false, ..) => (Verdict::ObserversDisagree, why),
    }
}

/// For how many whole seconds the most recently written stream has been still, by the store's clock.
pub fn still_seconds(heads: &[LogHead]) -> i64 {
    heads.iter().map(|head| head.read_at.duration_since(head.stored_at).as_secs()).min().unwrap_or(0)
}

/// Whether any stream has a newer object than before.
pub fn moved(before: &[LogHead], after: &[LogHead]) -> bool {
    after.iter().any(|head| {
        before
            .iter()
            .find(|earlier| earlier.stream == head.stream)
            .is_none_or(|earlier| earlier.slot != head.slot)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> ProbePlan {
        ProbePlan {
            primary: "http://127.0.1.1:1/health".into(),
            recovery: "http://127.0.2.1:1/health".into(),
            timeout_seconds: 1,
            attempts: 3,
            interval_seconds: 1,
            log_still_seconds: 5,
        }
    }

    fn heads(slot: u64, age_seconds: i64) -> LogReading {
        let stored_at = Timestamp::UNIX_EPOCH;
        let read_at = Timestamp::from_second(age_seconds).unwrap();
        LogReading::Heads(vec![LogHead { stream: "ME1".into(), slot, stored_at, read_at }])
    }

    fn seen(
        probes: &[bool],
        before: LogReading,
        after: LogReading,
        alarm: Option<AlarmReading>,
    ) -> Observations {
        let probes = probes
            .iter()
            .map(|serving| Probe { at: Timestamp::UNIX_EPOCH, serving: *serving, what: "x".into() })
            .collect();
        Observations { probes, log_before: before, log_after: after, alarm }
    }

    #[test]
    fn only_a_dead_primary_with_a_still_log_is_down() {
        use Verdict::*;
        let dead = &[false, false, false][..];
        for (probes, before, after, alarm, verdict) in [
            (dead, heads(9, 5), heads(9, 5), Some(AlarmReading::Alarm), PrimaryDown),
            (dead, heads(9, 5), heads(9, 5), None, PrimaryDown),
            (dead, heads(9, 5), heads(9, 5), Some(AlarmReading::Other("OK".into())), ObserversDisagree),
            (
                dead,
                heads(9, 5),
                heads(9, 5),
                Some(AlarmReading::Other("INSUFFICIENT_DATA".into())),
                PrimaryDown,
            ),
            (dead, heads(9, 5), heads(9, 5), Some(AlarmReading::Unreadable("x".into())), DataMissing),
            // The network is cut, the exchange trades on: the log moved, or was written to within the plan's time.
            (dead, heads(9, 5), heads(10, 5), Some(AlarmReading::Alarm), PrimaryUnreachable),
            (dead, heads(9, 4), heads(9, 4), Some(AlarmReading::Alarm), PrimaryUnreachable),
            // Too few probes never suffice.
            (&dead[..2], heads(9, 5), heads(9, 5), Some(AlarmReading::Alarm), DataMissing),
            (&[], heads(9, 5), heads(9, 5), None, DataMissing),
            // A partition that heals within the window.
            (&[false, false, true], heads(9, 0), heads(10, 0), Some(AlarmReading::Alarm), PrimaryHealthy),
            (&[true, true, true], heads(9, 0), heads(10, 0), None, PrimaryHealthy),
            // It answers, but writes no heartbeat.
            (&[true, true, true], heads(9, 60), heads(9, 60), None, ObserversDisagree),
            (&[true, false, false], heads(9, 60), heads(9, 60), None, ObserversDisagree),
            (dead, LogReading::Unreadable("403".into()), heads(9, 60), None, DataMissing),
            (dead, heads(9, 60), LogReading::Unreadable("403".into()), None, DataMissing),
            (dead, LogReading::Heads(vec![]), LogReading::Heads(vec![]), None, DataMissing),
        ] {
            let seen = seen(probes, before, after, alarm);
            let (found, why) = judge(&plan(), 3, &seen);
            assert_eq!(found, verdict, "{seen:?}: {why}");
        }
    }
}
