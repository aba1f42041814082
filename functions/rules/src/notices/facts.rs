//! What a run's evidence says for a notice.

use jiff::{Timestamp, Unit};
use serde_json::Value;

use super::Fact;
use crate::Plan;
use crate::evidence::{Manifest, manifest_key, prefix};

/// All that is known of a run.
pub(super) struct Known {
    pub(super) confirmed_at: Timestamp,
    /// When the recovered side was last seen to serve.
    pub(super) resumed_at: Option<Timestamp>,
    facts: Vec<Fact>,
}

impl Known {
    /// Of a run that goes on.
    pub(super) fn so_far(plan: &Plan, run: &str, confirmed_at: Timestamp) -> Known {
        let mut known = Known { confirmed_at, resumed_at: None, facts: vec![] };
        known.begin(plan, run);
        known.say("was anything lost", "not established yet: the run goes on");
        known.say("evidence", prefix(&plan.name, run));
        known
    }

    /// Of a run that has ended.
    pub(super) fn ended(plan: &Plan, manifest: &Manifest, confirmed_at: Timestamp) -> Known {
        let account = manifest.account.clone().unwrap_or_default();
        let resumed_at = account.rto.as_ref().map(|rto| rto.to);
        let mut known = Known { confirmed_at, resumed_at, facts: vec![] };
        if let Some(trigger) = manifest.admitted.as_ref().map(|run| &run.trigger)
            && let Some(at) = trigger.at
        {
            let by = trigger.alarm.as_deref().or(trigger.by.as_deref()).unwrap_or("a person");
            known.say("first sign", format!("{}, by {by}", second(at)));
        }
        known.begin(plan, &manifest.run);
        if let Value::String(seen) = &manifest.facts["outage"]["reason"] {
            known.say("what was seen", seen);
        }
        let done = account.phases.iter().filter_map(|phase| {
            let verdict = phase.verdict.as_deref()?;
            let (_, what) = DONE.iter().find(|(said, _)| *said == verdict)?;
            Some(format!("{} {what}", second(phase.ended_at)))
        });
        known.say("what was done", done.collect::<Vec<_>>().join("; "));
        known.say("outcome", format!("{}: {}", manifest.outcome, manifest.reason));
        known.say("resolved", resumed_at.map_or("not by this run".to_owned(), |at| second(at).to_string()));
        let lost = account.rpo.map_or(
            "not established by this run: no ledger is proven through its seals and served from".to_owned(),
            |rpo| format!("{} acknowledged entries, by a ledger proven through its seals", rpo.lost_entries),
        );
        known.say("was anything lost", lost);
        known.say("evidence", manifest_key(&plan.name, &manifest.run));
        known
    }

    /// The facts, and what a notice asks for that is none of them.
    pub(super) fn facts(&self, not_known: &[&str]) -> Vec<Fact> {
        let missing = |value: &&str| Fact { what: "not known to Lifeboat", value: (*value).to_owned() };
        self.facts.iter().cloned().chain(not_known.iter().map(missing)).collect()
    }

    fn begin(&mut self, plan: &Plan, run: &str) {
        self.say("outage confirmed", second(self.confirmed_at).to_string());
        self.say(
            "systems affected",
            format!(
                "{} in {}, streams {}; names in {}",
                plan.name,
                plan.regions.primary,
                plan.ledger.streams.join(", "),
                plan.dns.zone
            ),
        );
        self.say("run", run);
    }

    fn say(&mut self, what: &'static str, value: impl Into<String>) {
        self.facts.push(Fact { what, value: value.into() });
    }
}

/// What a verdict says was done.
const DONE: [(&str, &str); 6] = [
    ("Claimed", "a failover began to act"),
    ("StacksReady", "the recovery side was launched"),
    ("Sealed", "the ledger was closed to the primary"),
    ("Opened", "the ledger was opened for the recovery side"),
    ("Flipped", "the traffic was moved"),
    ("FlipConfirmed", "the names answered from the recovery side"),
];

fn second(at: Timestamp) -> Timestamp {
    at.round(Unit::Second).unwrap_or(at)
}
