//! The phases of a run on one axis, against the objective for recovery.

use jiff::Timestamp;
use lifeboat_rules::evidence::PhaseTime;
use serde::Serialize;

use crate::report::facts::Facts;

#[derive(Debug, Serialize)]
pub(crate) struct Timeline {
    /// The axis begins: the alarm or the person's start, or the first phase.
    pub(crate) from: Option<Timestamp>,
    /// The axis ends, milliseconds behind its begin: with the last phase. Never 0.
    pub(crate) milliseconds: i64,
    /// The objective for recovery, from the admission on; absent where the run was not admitted.
    pub(crate) objective_milliseconds: Option<i64>,
    /// When it ends.
    pub(crate) deadline: Option<Timestamp>,
    /// What it took, of a run that recovered; absent otherwise.
    pub(crate) rto_milliseconds: Option<i64>,
    pub(crate) rto_met: Option<bool>,
    pub(crate) phases: Vec<Phase>,
}

/// One visit of a state.
#[derive(Debug, Serialize)]
pub(crate) struct Phase {
    pub(crate) state: String,
    /// Milliseconds behind the begin of the axis.
    pub(crate) begins: i64,
    pub(crate) milliseconds: i64,
    pub(crate) calls: u64,
    pub(crate) verdict: String,
}

/// The objective for recovery, in milliseconds.
pub(super) fn objective(facts: &Facts) -> Option<i64> {
    let run = facts.manifest.as_ref()?.admitted.as_ref()?;
    Some(run.deadline.as_millisecond() - run.admitted_at.as_millisecond())
}

pub(super) fn of(facts: &Facts) -> Timeline {
    let (account, admitted) = (&facts.account, facts.manifest.as_ref().and_then(|it| it.admitted.as_ref()));
    let started = admitted.and_then(|run| run.trigger.at);
    let first = account.phases.iter().map(|phase| phase.began_at).min();
    let from = [started, first].into_iter().flatten().min();
    let behind = |at: Timestamp| from.map_or(0, |from| at.as_millisecond() - from.as_millisecond());
    let last = account.phases.iter().map(|phase| behind(phase.ended_at)).max();
    Timeline {
        from,
        milliseconds: last.unwrap_or_default().max(1),
        objective_milliseconds: objective(facts),
        deadline: admitted.map(|run| run.deadline),
        rto_milliseconds: account.rto.as_ref().map(|rto| rto.milliseconds),
        rto_met: account.rto.as_ref().map(|rto| rto.met),
        phases: account
            .phases
            .iter()
            .map(|phase| Phase {
                state: phase.state.clone(),
                begins: behind(phase.began_at),
                milliseconds: phase.milliseconds,
                calls: phase.calls,
                verdict: came_to(phase),
            })
            .collect(),
    }
}

fn came_to(phase: &PhaseTime) -> String {
    match (&phase.verdict, phase.action.as_str()) {
        (Some(verdict), _) => verdict.clone(),
        (None, "close") => "the manifest".to_owned(),
        (None, _) => "not known".to_owned(),
    }
}
