//! Regulatory clocks: what is due to whom, from the moment at which the outage was confirmed, and the facts that Lifeboat has for
//! it. Lifeboat files nothing, and does not know what a person has filed.
//!
//! Sources, as they stood in November 2026: Regulation SCI, 17 CFR 242.1001 and 242.1002
//! (<https://www.ecfr.gov/current/title-17/chapter-II/part-242>); DORA, Regulation (EU) 2022/2554, Article 19(4)
//! (<https://eur-lex.europa.eu/eli/reg/2022/2554/oj>), with its time limits in Article 5 of Commission Delegated Regulation (EU)
//! 2025/301 (<https://eur-lex.europa.eu/eli/reg_del/2025/301/oj>).

mod facts;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Plan;
use crate::evidence::Manifest;
use facts::Known;

/// What stands beside every list of notices.
pub const NO_ADVICE: &str = "These are facts and arithmetic from the evidence of a run, and no legal advice: whether a rule \
                             applies, when its clock began, and what is filed is for the entity and its counsel.";

/// A regime whose clocks a plan asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Regime {
    /// Regulation Systems Compliance and Integrity, of the SEC.
    RegSci,
    /// The Digital Operational Resilience Act, of the European Union.
    Dora,
}

impl Regime {
    /// As people call it.
    pub fn called(self) -> &'static str {
        match self {
            Regime::RegSci => "Reg SCI",
            Regime::Dora => "DORA",
        }
    }
}

/// When something is due, as far as the evidence tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "when", rename_all = "snake_case")]
pub enum Due {
    /// At once.
    AtOnce,
    /// At the latest.
    By {
        /// The moment.
        at: Timestamp,
    },
    /// What the clock hangs on is not in the evidence: [`Notice::clock`] says what it is.
    NotKnown,
}

/// How something that is due stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Due at once.
    AtOnce,
    /// Its time has not come yet.
    Pending,
    /// Its time has passed. Whether a person has filed it, Lifeboat does not know.
    Overdue,
    /// It was done in time.
    Met,
    /// It was done, and too late.
    Missed,
    /// A person has to say.
    NotKnown,
}

impl State {
    /// For a person.
    pub fn words(self) -> &'static str {
        match self {
            State::AtOnce => "at once",
            State::Pending => "pending",
            State::Overdue => "OVERDUE, unless filed",
            State::Met => "met",
            State::Missed => "MISSED",
            State::NotKnown => "a person has to say",
        }
    }
}

/// One thing that is known of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fact {
    /// What it is.
    pub what: &'static str,
    /// As it is written into a notice.
    pub value: String,
}

/// One thing that is due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// By which rules.
    pub regime: Regime,
    /// What is due, to whom.
    pub what: &'static str,
    /// When.
    pub due: Due,
    /// From what to what that is counted, and what of it Lifeboat does not know.
    pub clock: &'static str,
    /// When it was done, of what a run itself does; a filing is a person's.
    pub done_at: Option<Timestamp>,
    /// The rule, by document and paragraph.
    pub source: &'static str,
    /// What there is to write into it.
    pub facts: Vec<Fact>,
}

impl Notice {
    /// How it stands at `now`.
    pub fn state(&self, now: Timestamp) -> State {
        match (self.due, self.done_at) {
            (Due::By { at }, Some(done)) if done <= at => State::Met,
            (Due::By { .. }, Some(_)) => State::Missed,
            (Due::By { at }, None) if now > at => State::Overdue,
            (Due::By { .. }, None) => State::Pending,
            (Due::AtOnce, _) => State::AtOnce,
            (Due::NotKnown, _) => State::NotKnown,
        }
    }
}

/// When *Confirm the outage* said for the first time that the primary is down, by health-check's clock; `None` of a run in which
/// it never did, and then no clock runs.
pub fn confirmed_at(manifest: &Manifest) -> Option<Timestamp> {
    let phases = &manifest.account.as_ref()?.phases;
    let confirmed = |phase: &&_| {
        matches!(phase, crate::evidence::PhaseTime { action, verdict: Some(verdict), .. }
            if action == CONFIRMS && verdict == CONFIRMED)
    };
    phases.iter().find(confirmed).map(|phase| phase.ended_at)
}

/// The action that confirms an outage, as its records name it.
pub const CONFIRMS: &str = "confirm_outage";
/// The verdict that confirms it.
pub const CONFIRMED: &str = "PrimaryDown";

/// Everything that is due by the plan's regimes after a run that has ended, in the order of the plan's list and of each clock.
/// Empty where the plan names none, or the outage was not confirmed.
pub fn notices(plan: &Plan, manifest: &Manifest) -> Vec<Notice> {
    confirmed_at(manifest).map_or_else(Vec::new, |at| all(plan, &Known::ended(plan, manifest, at)))
}

/// The same of a run that goes on, of which no more is known than when the outage was confirmed.
pub fn notices_so_far(plan: &Plan, run: &str, confirmed_at: Timestamp) -> Vec<Notice> {
    all(plan, &Known::so_far(plan, run, confirmed_at))
}

fn all(plan: &Plan, known: &Known) -> Vec<Notice> {
    plan.regulation
        .iter()
        .flat_map(|regime| match regime {
            Regime::RegSci => reg_sci(known),
            Regime::Dora => dora(known),
        })
        .collect()
}

/// What is a person's to file, by the rules of `regime`: what, when, by which clock, and the rule. All of it has the same facts.
fn filings(
    regime: Regime,
    facts: Vec<Fact>,
) -> impl Fn(&'static str, Due, &'static str, &'static str) -> Notice {
    move |what, due, clock, source| Notice {
        regime,
        what,
        due,
        clock,
        done_at: None,
        source,
        facts: facts.clone(),
    }
}

fn reg_sci(known: &Known) -> Vec<Notice> {
    let notice = filings(
        Regime::RegSci,
        known.facts(&[
            "when responsible SCI personnel concluded that an SCI event has occurred; which of its kinds it is",
            "the market participants affected, and the impact on the market",
        ]),
    );
    vec![
        notice(
            "notice to the Commission",
            Due::AtOnce,
            "immediately upon a reasonable basis to conclude that an SCI event has occurred",
            "17 CFR 242.1002(b)(1)",
        ),
        Notice {
            done_at: known.resumed_at,
            ..notice(
                "critical SCI systems resume",
                by(known.confirmed_at, SignedDuration::from_hours(2)),
                "the plans are reasonably designed to achieve it within two hours of a wide-scale disruption; counted from the \
                 confirmed outage",
                "17 CFR 242.1001(a)(2)(v)",
            )
        },
        notice(
            "trading resumes, where the systems are not critical",
            Due::NotKnown,
            "the next business day after a wide-scale disruption; Lifeboat has no calendar of business days",
            "17 CFR 242.1001(a)(2)(v)",
        ),
        notice(
            "written notification to the Commission, on Form SCI",
            by(known.confirmed_at, SignedDuration::from_hours(24)),
            "within 24 hours of a reasonable basis to conclude that an SCI event has occurred; counted from the confirmed outage, \
             and whoever concluded earlier counts from then",
            "17 CFR 242.1002(b)(2)",
        ),
        notice(
            "updates to the Commission",
            Due::NotKnown,
            "on a regular basis, or as often as a representative of the Commission reasonably asks, until the event is resolved and \
             its investigation closed",
            "17 CFR 242.1002(b)(3)",
        ),
    ]
}

/// The initial notification's own clock starts when a person classifies the incident, so what is told here is the latest moment
/// that the chain of clocks allows: of three notices each at its last moment.
fn dora(known: &Known) -> Vec<Notice> {
    let initial = known.confirmed_at + SignedDuration::from_hours(24);
    let intermediate = initial + SignedDuration::from_hours(72);
    let month_later = intermediate.to_zoned_datetime(TimeZone::UTC).checked_add(1.month());
    let at = |at| Due::By { at };
    let notice = filings(
        Regime::Dora,
        known.facts(&[
            "when the incident was classified as major, by whom, and by which criteria",
            "the clients, counterparts, transactions and Member States affected",
        ]),
    );
    vec![
        notice(
            "initial notification to the competent authority",
            at(initial),
            "within four hours of the classification as a major incident, which is not known to Lifeboat, and no later than 24 hours \
             from becoming aware of it, which is counted from the confirmed outage; where it is classified after those, within four \
             hours of that",
            "Regulation (EU) 2022/2554, Article 19(4)(a); Delegated Regulation (EU) 2025/301, Article 5(1)(a) and (2)",
        ),
        notice(
            "intermediate report",
            at(intermediate),
            "within 72 hours of the initial notification, so earlier where that one was; an updated one without undue delay, and in \
             any case when regular activities have been recovered",
            "Regulation (EU) 2022/2554, Article 19(4)(b); Delegated Regulation (EU) 2025/301, Article 5(1)(b)",
        ),
        notice(
            "final report",
            month_later.map_or(Due::NotKnown, |zoned| at(zoned.timestamp())),
            "no later than one month after the latest intermediate report, so earlier where that one was",
            "Regulation (EU) 2022/2554, Article 19(4)(c); Delegated Regulation (EU) 2025/301, Article 5(1)(c)",
        ),
    ]
}

fn by(from: Timestamp, duration: SignedDuration) -> Due {
    Due::By { at: from + duration }
}

#[cfg(test)]
mod tests;
