//! Who started the run and who was asked, and on what grounds it acted.

use jiff::Timestamp;
use lifeboat_rules::approval::Counted;
use lifeboat_rules::{Trigger, TriggerKind};
use serde::{Deserialize, Serialize};

use crate::report::facts::{Facts, Kept};

#[derive(Debug, Serialize)]
pub(crate) struct Decided {
    pub(crate) started: Option<Started>,
    /// What people were asked and said. None: nobody was asked.
    pub(crate) approvals: Vec<Counted>,
    /// Approvals that could not be read: which, and what is wrong.
    pub(crate) approvals_unread: Vec<String>,
    /// Whether a question was put to people at all.
    pub(crate) asked: bool,
    /// Each time that the primary was looked at.
    pub(crate) observations: Vec<Observation>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Started {
    /// The alarm's name, or who said so of himself: a note, and no proof of identity.
    pub(crate) by: String,
    pub(crate) is_alarm: bool,
    pub(crate) at: Option<Timestamp>,
    pub(crate) reason: Option<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Observation {
    pub(crate) state: String,
    pub(crate) at: Timestamp,
    pub(crate) verdict: String,
    pub(crate) reason: String,
}

pub(super) fn of(facts: &Facts) -> Decided {
    let (approvals, approvals_unread) = approvals(facts);
    Decided {
        started: started(facts),
        approvals,
        approvals_unread,
        asked: facts.was_begun("ask"),
        observations: facts.outcomes(&["confirm_outage"]).filter_map(observation).collect(),
    }
}

fn started(facts: &Facts) -> Option<Started> {
    let manifest = facts.manifest.as_ref();
    let of_run = manifest.and_then(|manifest| Some(manifest.admitted.as_ref()?.trigger.clone()));
    // A run that was refused has it in the request of its admission alone.
    let asked = || {
        let admit = facts.records.iter().find(|kept| kept.action() == Some("admit"))?;
        serde_json::from_value(admit.record.body["action"]["admit"]["input"]["trigger"].clone()).ok()
    };
    if let Some(Trigger { kind, at, alarm, by, reason }) = of_run.or_else(asked) {
        let is_alarm = kind == TriggerKind::Alarm;
        let by = if is_alarm { alarm } else { by };
        return Some(Started { by: by.unwrap_or_else(|| "not said".to_owned()), is_alarm, at, reason });
    }
    let manifest = manifest.filter(|_| facts.is_by_a_person())?;
    let by = manifest.facts["by"].as_str()?.to_owned();
    Some(Started { by, is_alarm: false, at: None, reason: Some(manifest.reason.clone()) })
}

fn approvals(facts: &Facts) -> (Vec<Counted>, Vec<String>) {
    let said = facts.manifest.as_ref().and_then(|manifest| manifest.facts["approvals"].as_array());
    let (mut read, mut unread) = (Vec::new(), Vec::new());
    for (index, approval) in said.into_iter().flatten().enumerate() {
        match Counted::deserialize(approval) {
            Ok(approval) => read.push(approval),
            Err(err) => unread.push(format!("facts.approvals[{index}]: {err}")),
        }
    }
    (read, unread)
}

fn observation(kept: &Kept) -> Option<Observation> {
    Some(Observation {
        state: kept.record.step.name.clone(),
        at: kept.record.at,
        verdict: kept.verdict()?.to_owned(),
        reason: kept.result()["reason"].as_str().unwrap_or_default().to_owned(),
    })
}
