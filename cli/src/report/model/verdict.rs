//! The run in one sentence: what happened, whether anything was lost, how long it took against the objective.

use lifeboat_rules::Outcome;
use lifeboat_rules::evidence::verify;
use serde::Serialize;

use super::Tone;
use super::timeline::objective;
use crate::report::facts::Facts;
use crate::report::words::{capital, count, duration};

#[derive(Debug, Serialize)]
pub(crate) struct Verdict {
    /// How the run ended; absent of an open one.
    pub(crate) outcome: Option<Outcome>,
    pub(crate) tone: Tone,
    pub(crate) sentence: String,
    /// Why it ended so, in the run's own words.
    pub(crate) reason: Option<String>,
}

pub(super) fn of(facts: &Facts) -> Verdict {
    let manifest = facts.manifest.as_ref();
    let outcome = manifest.map(|manifest| manifest.outcome);
    let told = format!("{}; {}; {}.", what(facts, outcome), lost(facts), time(facts));
    let is_broken = facts.verified.verdict == verify::Verdict::Broken;
    Verdict {
        outcome,
        tone: if is_broken { Tone::Bad } else { tone(facts, outcome) },
        sentence: match is_broken {
            true => format!("By evidence that is BROKEN, and proves nothing as it is: {told}"),
            false => capital(&told),
        },
        reason: manifest.map(|manifest| manifest.reason.clone()),
    }
}

fn tone(facts: &Facts, outcome: Option<Outcome>) -> Tone {
    match outcome {
        Some(Outcome::Recovered) if facts.account.rto.as_ref().is_some_and(|rto| !rto.met) => Tone::Warning,
        // Nothing says that nothing was lost, as behind an unproven tail that two persons took on them.
        Some(Outcome::Recovered) if facts.account.rpo.is_none() && !facts.is_by_a_person() => Tone::Warning,
        Some(Outcome::Recovered) => Tone::Good,
        Some(Outcome::StoodDown | Outcome::Refused | Outcome::Superseded | Outcome::HandedBack) => {
            Tone::Neutral
        }
        Some(Outcome::Broken) => Tone::Bad,
        Some(Outcome::Unproven | Outcome::Halted) | None => Tone::Warning,
    }
}

/// What is known of the primary's pen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fenced {
    /// No step was to seal.
    No,
    /// Every stream was sealed.
    Yes,
    /// A step was to seal, and none has said that every stream is.
    Unknown,
}

pub(crate) fn fenced(facts: &Facts) -> Fenced {
    // Said before anything was put, as long as it was the step's first and only answer.
    let looked = ["Advancing", "Broken", "Unproven"];
    let mut outcomes = facts.outcomes(&["seal"]);
    if let (Some(only), None) = (outcomes.next(), outcomes.next())
        && only.verdict().is_some_and(|verdict| looked.contains(&verdict))
        && facts.begun("seal") == 1
    {
        return Fenced::No;
    }
    match (facts.was_begun("seal"), facts.came_to("seal", "Sealed")) {
        (_, true) => Fenced::Yes,
        (true, false) => Fenced::Unknown,
        (false, false) => Fenced::No,
    }
}

fn what(facts: &Facts, outcome: Option<Outcome>) -> String {
    let system =
        facts.verified.plan.as_ref().map_or("the system".to_owned(), |plan| format!("the system {plan}"));
    match outcome {
        Some(Outcome::Recovered) if facts.is_by_a_person() => {
            format!("a person has moved the traffic of {system} to the recovery side")
        }
        Some(Outcome::Recovered) => format!("{system} was brought back on the recovery side"),
        Some(Outcome::StoodDown) => "the run stood down before it fenced the primary".to_owned(),
        Some(Outcome::Refused) => "the run was refused before it did anything".to_owned(),
        Some(Outcome::Broken) => {
            "the run found the ledger broken, and moved no traffic to the recovery side".to_owned()
        }
        Some(Outcome::Unproven) => {
            "the run could not prove the ledger, and moved no traffic to the recovery side".to_owned()
        }
        Some(Outcome::Halted) => {
            let when = match fenced(facts) {
                Fenced::No => "before it fenced the primary",
                Fenced::Yes => "after it had fenced the primary",
                Fenced::Unknown => "while it was fencing the primary",
            };
            format!("the run halted {when}, and a person has to decide")
        }
        Some(Outcome::Superseded) => "the run gave way to a newer one".to_owned(),
        Some(Outcome::HandedBack) => format!("a person gave the ledger of {system} back to the primary"),
        None => "the run is open: no manifest says how it ended".to_owned(),
    }
}

fn lost(facts: &Facts) -> String {
    if let Some(rpo) = &facts.account.rpo {
        return match rpo.lost_entries {
            0 => "nothing that was acknowledged is lost".to_owned(),
            1 => "1 entry that was acknowledged is lost".to_owned(),
            lost => format!("{} that were acknowledged are lost", count(lost, "entry")),
        };
    }
    if facts.manifest.is_none() {
        return "what it did after its last record is not known".to_owned();
    }
    let by_a_person = facts.is_by_a_person();
    match (fenced(facts), facts.came_to("verify_tail", "Proven")) {
        _ if by_a_person => {
            "it left a manifest and no records, so what was lost is for the run before it to say".to_owned()
        }
        (Fenced::No, _) => "it left the ledger and the traffic as they were".to_owned(),
        (_, true) => "all that was acknowledged is proven to be in the ledger, through the seals".to_owned(),
        (_, false) => "that nothing was lost is not shown".to_owned(),
    }
}

fn time(facts: &Facts) -> String {
    if let Some(rto) = &facts.account.rto {
        let against = if rto.met { "within" } else { "later than" };
        let limit = objective(facts).map_or_else(
            || "the objective".to_owned(),
            |objective| format!("the objective of {}", duration(objective)),
        );
        return format!("it took {}, {against} {limit}", duration(rto.milliseconds));
    }
    let began = facts.account.phases.first().map(|phase| phase.began_at);
    let started = || facts.manifest.as_ref()?.admitted.as_ref()?.trigger.at;
    let (Some(began), Some(manifest)) = (began.or_else(started), &facts.manifest) else {
        return "how long it took is not on record".to_owned();
    };
    let took = manifest.closed_at.as_millisecond() - began.as_millisecond();
    let limit = objective(facts).map(|objective| format!(", of {} for recovery", duration(objective)));
    format!("it ended after {}{}", duration(took), limit.unwrap_or_default())
}
