//! Is the primary down? Observations are judged, and only `PrimaryDown` lets a machine act.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::plan::Probe as ProbePlan;

/// One round of probes: every target of the primary, asked at the same time from the recovery Region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Round {
    /// When it began, by the prober's clock.
    pub at: Timestamp,
    /// What came of each target, in the plan's order.
    pub answers: Vec<Probe>,
}

/// One probe of one target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// The target, as the plan names it.
    pub target: String,
    /// Whether it serves.
    pub serving: bool,
    /// The answer, or why there was none.
    pub what: String,
}

impl Round {
    /// How many targets failed.
    pub fn failures(&self) -> usize {
        self.answers.iter().filter(|answer| !answer.serving).count()
    }

    /// Whether the primary failed this round: as many targets as the plan's quorum asks for. A round that asked nobody
    /// says nothing.
    pub fn failed(&self, plan: &ProbePlan) -> bool {
        !self.answers.is_empty() && self.failures() >= plan.quorum()
    }
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

impl Verdict {
    /// What one look of the schedule says to the metric behind the alarm: down, not down, or nothing. A look that saw too
    /// little, or a primary that answers and does not write (it cannot acknowledge then), is neither: no point is written,
    /// and the alarm on missing points calls a person.
    pub fn point(self) -> Option<bool> {
        match self {
            Verdict::PrimaryDown => Some(true),
            Verdict::PrimaryUnreachable | Verdict::PrimaryHealthy => Some(false),
            Verdict::ObserversDisagree | Verdict::DataMissing => None,
        }
    }
}

/// All that was observed within the plan's confirmation window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observations {
    /// The rounds of probes, in order; at least one.
    pub rounds: Vec<Round>,
    /// The log before the first round.
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
    /// The last round did not fail and the log advances.
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

/// Judges the observations by the plan's numbers; the second value says why, for a person. `streak_min` is how many rounds
/// in a row, the last ones, must have failed: the plan's number for a run, 1 for the scheduled look.
///
/// Invariant: `PrimaryDown` needs the primary to have failed that many rounds to the last, each by the plan's quorum of
/// targets, and every stream of the log to have been still for the plan's time by the store's clock.
pub fn judge(plan: &ProbePlan, streak_min: u32, seen: &Observations) -> (Verdict, String) {
    let (before, after) = match (&seen.log_before, &seen.log_after) {
        (LogReading::Heads(before), LogReading::Heads(after)) => (before, after),
        (LogReading::Unreadable(why), _) | (_, LogReading::Unreadable(why)) => {
            return (Verdict::DataMissing, format!("the log could not be read: {why}"));
        }
    };
    if after.is_empty() {
        return (Verdict::DataMissing, "the log has no stream: whether it advances cannot be said".into());
    }
    let Some(last) = seen.rounds.last().filter(|last| !last.answers.is_empty()) else {
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
    let streak = seen.rounds.iter().rev().take_while(|round| round.failed(plan)).count();
    let answers: Vec<_> =
        last.answers.iter().map(|answer| format!("{}: {}", answer.target, answer.what)).collect();
    let why = format!(
        "the last {streak} of {} rounds failed; in the last one {} of {} targets failed ({}); {log}",
        seen.rounds.len(),
        last.failures(),
        last.answers.len(),
        answers.join(", ")
    );
    let enough = streak as u64 >= u64::from(streak_min);
    if !enough && streak == seen.rounds.len() {
        return (Verdict::DataMissing, format!("{why}; the plan asks for {streak_min} rounds"));
    }
    match (enough, streak, still) {
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
        (false, 0, false) => (Verdict::PrimaryHealthy, why),
        (false, ..) => (Verdict::ObserversDisagree, why),
    }
}

/// As [`judge`], for a run that was admitted although `fenced_epoch` had fenced the primary (0 for none). A log that advances
/// is then written by the recovery side, so it says nothing of the primary: what is to be done is a person's to say.
pub fn judge_behind_fence(
    plan: &ProbePlan,
    streak_min: u32,
    seen: &Observations,
    fenced_epoch: u64,
) -> (Verdict, String) {
    match judge(plan, streak_min, seen) {
        (Verdict::PrimaryUnreachable, why) if fenced_epoch > 0 => (
            Verdict::ObserversDisagree,
            format!(
                "{why}; but epoch {fenced_epoch} has fenced the primary, so it is the recovery side that writes: `lifeboat \
                 flip` moves the traffic to it, `lifeboat handback --take-from-recovery` gives the pen back"
            ),
        ),
        judged => judged,
    }
}

/// Says which stream has an object younger than `still_seconds` by the store's clock; `None` where all have been still.
pub fn written_to(heads: &[LogHead], still_seconds: u32) -> Option<String> {
    heads.iter().find_map(|head| {
        let age = head.read_at.duration_since(head.stored_at).as_secs();
        (age < i64::from(still_seconds)).then(|| {
            format!(
                "stream {} was written to {age} s ago, at slot {}; it must stand still for {still_seconds} s",
                head.stream, head.slot
            )
        })
    })
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
            primary: vec!["http://127.0.1.1:1/health".into()],
            recovery: "http://127.0.2.1:1/health".into(),
            timeout_seconds: 1,
            attempts: 3,
            quorum: None,
            consecutive_failures: None,
            interval_seconds: 1,
            log_still_seconds: 5,
        }
    }

    fn round(serving: &[bool]) -> Round {
        let answer = |serving: &bool| Probe { target: "t".into(), serving: *serving, what: "x".into() };
        Round { at: Timestamp::UNIX_EPOCH, answers: serving.iter().map(answer).collect() }
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
        let rounds = probes.iter().map(|serving| round(&[*serving])).collect();
        Observations { rounds, log_before: before, log_after: after, alarm }
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

    #[test]
    fn a_quorum_of_targets_and_a_streak_of_rounds_make_the_failure() {
        use Verdict::*;
        let (up, down) = (true, false);
        for (quorum, streak, rounds, age, verdict) in [
            // One observer of two fails: a partial view, and the quorum is both.
            (None, None, vec![vec![down, up]; 3], 0, PrimaryHealthy),
            (None, None, vec![vec![down, up]; 3], 60, ObserversDisagree),
            (Some(1), None, vec![vec![down, up]; 3], 60, PrimaryDown),
            (Some(2), None, vec![vec![down, down, up]; 3], 60, PrimaryDown),
            (Some(2), None, vec![vec![down, up, up]; 3], 0, PrimaryHealthy),
            // A primary that flaps is not down until its last rounds have failed in a row.
            (None, Some(2), vec![vec![up], vec![down], vec![down]], 60, PrimaryDown),
            (None, Some(2), vec![vec![down], vec![up], vec![down]], 60, ObserversDisagree),
            (None, Some(2), vec![vec![down], vec![down], vec![up]], 0, PrimaryHealthy),
            (None, Some(3), vec![vec![down], vec![down]], 60, DataMissing),
            // A round that asked nobody is no failure.
            (None, Some(1), vec![vec![]], 60, DataMissing),
        ] {
            let targets = rounds[0].len();
            let plan = ProbePlan {
                primary: vec!["tcp://127.0.1.1:1".into(); targets],
                quorum,
                consecutive_failures: streak,
                ..plan()
            };
            let seen = Observations {
                rounds: rounds.iter().map(|answers| round(answers)).collect(),
                log_before: heads(9, age),
                log_after: heads(9, age),
                alarm: None,
            };
            let (found, why) = judge(&plan, plan.consecutive_failures(), &seen);
            assert_eq!(found, verdict, "{seen:?}: {why}");
        }
    }

    #[test]
    fn behind_a_fence_a_log_that_advances_is_no_sign_of_the_primary() {
        let advancing = seen(&[false; 3], heads(9, 0), heads(10, 0), None);
        assert_eq!(judge_behind_fence(&plan(), 3, &advancing, 0).0, Verdict::PrimaryUnreachable);
        let (verdict, why) = judge_behind_fence(&plan(), 3, &advancing, 7);
        assert_eq!(verdict, Verdict::ObserversDisagree);
        assert!(why.contains("epoch 7 has fenced the primary"), "{why}");
        let still = seen(&[false; 3], heads(9, 60), heads(9, 60), None);
        assert_eq!(judge_behind_fence(&plan(), 3, &still, 7).0, Verdict::PrimaryDown);
    }

    #[test]
    fn only_a_clear_look_is_a_point_of_the_metric() {
        for verdict in Verdict::ALL {
            let expected = match verdict {
                Verdict::PrimaryDown => Some(true),
                Verdict::PrimaryUnreachable | Verdict::PrimaryHealthy => Some(false),
                // It answers and writes nothing, or nobody knows: a person is called.
                Verdict::ObserversDisagree | Verdict::DataMissing => None,
            };
            assert_eq!(verdict.point(), expected);
        }
    }
}
