//! What people are told while a run goes on: at its start, at every question to a person, at its end. Short texts, each with the
//! command that comes next. Whoever sends them has a clock and a topic; here is neither.
//!
//! The start is told of when a run has claimed its epoch, and not when it is admitted: by then the outage is confirmed, and the
//! run is about to act. An alarm that flaps starts runs that are refused or stand down before that, and none of them says
//! anything; that an alarm led to no failover is told by a rule outside the state machine.

use std::fmt::Write as _;

use jiff::{Timestamp, Unit};

use crate::approval::{About, Question};
use crate::evidence::Manifest;
use crate::plan::OnExpiry;
use crate::{Outcome, Run, TriggerKind};

/// Characters of a subject. SNS takes fewer than 100, without line breaks or control characters
/// (<https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>); by e-mail only ASCII is sure to arrive.
pub const SUBJECT_CHARACTERS_MAX: usize = 99;
/// Characters of a reason: a text is read on a telephone. The whole is in the evidence.
const REASON_CHARACTERS_MAX: usize = 1_000;

/// What is told.
#[derive(Clone, Debug)]
pub enum Notification<'a> {
    /// The run has claimed its epoch: the primary is down, and it goes on to take the pen.
    Started {
        /// The run, with its epoch.
        run: &'a Run,
    },
    /// The run waits for a person.
    Question {
        /// The run.
        run: &'a Run,
        /// What it asks.
        question: &'a Question,
        /// What the plan says for the case that nobody answers.
        on_expiry: OnExpiry,
    },
    /// The run is closed.
    Ended {
        /// What closes it.
        manifest: &'a Manifest,
        /// Its key in the evidence bucket.
        key: &'a str,
    },
}

/// A text, as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// At most [`SUBJECT_CHARACTERS_MAX`] printable ASCII characters.
    pub subject: String,
    /// Lines of `what  value`.
    pub message: String,
}

impl<'a> Notification<'a> {
    /// The end of a run, where people are told of it: every run that has claimed an epoch, and every other that needs a person.
    /// One that was refused, stood down or was overtaken before it claimed anything has cried no wolf.
    pub fn of_end(manifest: &'a Manifest, key: &'a str) -> Option<Notification<'a>> {
        let claimed = manifest.admitted.as_ref().is_some_and(|run| run.epoch.is_some());
        let quiet = matches!(manifest.outcome, Outcome::Refused | Outcome::StoodDown | Outcome::Superseded);
        (claimed || !quiet).then_some(Notification::Ended { manifest, key })
    }

    /// The text, told at `now`.
    pub fn text(&self, now: Timestamp) -> Text {
        match self {
            Notification::Started { run } => started(run, now),
            Notification::Question { run, question, on_expiry } => asked(run, question, *on_expiry, now),
            Notification::Ended { manifest, key } => ended(manifest, key, now),
        }
    }
}

fn started(run: &Run, now: Timestamp) -> Text {
    let plan = plan(run);
    let mut text = Lines::new(
        "The primary is confirmed down. This run has claimed its epoch: it launches the recovery side, proves the ledger, \
         seals it, and moves traffic.",
    );
    text.of_run(run, now);
    let trigger = &run.trigger;
    let by = match trigger.kind {
        TriggerKind::Alarm => format!("alarm {}", trigger.alarm.as_deref().unwrap_or_default()),
        TriggerKind::Operator => trigger.by.clone().unwrap_or_else(|| "a person".to_owned()),
    };
    text.line("started by", by.trim_end());
    if let Some(reason) = &trigger.reason {
        text.line("reason", reason);
    }
    text.line("next", &format!("lifeboat status --plan {plan} --follow"));
    text.under(&format!("[{plan}] failover STARTED: run {}", run.id))
}

fn asked(run: &Run, question: &Question, on_expiry: OnExpiry, now: Timestamp) -> Text {
    let Question { plan, run: id, about, reason, needed, expires_at, .. } = question;
    let mut text = Lines::new("The run waits for persons.");
    text.of_run(run, now);
    text.line("asks", &format!("leave for {about}; persons who have to agree: {needed}"));
    text.line("reason", reason);
    let otherwise = match (about, on_expiry) {
        (About::Seal, OnExpiry::GoOn) => "it seals, as if they had agreed",
        (About::Seal, OnExpiry::StandDown) => "it takes down what it launched, and halts",
        (About::Unproven, _) => "it ends as Unproven",
    };
    text.line("until", &format!("{}; without an answer {otherwise}", second(*expires_at)));
    text.line("next", &format!("lifeboat approve --plan {plan} --run {id} --reason '<why>'"));
    text.line("or", &format!("lifeboat decline --plan {plan} --run {id} --reason '<why>'"));
    text.under(&format!("[{plan}] QUESTION, {about}: run {id}"))
}

fn ended(manifest: &Manifest, key: &str, now: Timestamp) -> Text {
    let Manifest { plan, run, outcome, .. } = manifest;
    let needs_person = outcome.exit_code() != 0;
    let mut text = Lines::new(match outcome {
        Outcome::Recovered => "The recovery side serves, and traffic reaches it.",
        Outcome::Superseded => "A newer run acts; this one has stopped.",
        _ if needs_person => "The run has stopped, and a person is needed.",
        _ => "The run has ended by itself, and nothing of it is left.",
    });
    match &manifest.admitted {
        Some(admitted) => text.of_run(admitted, now),
        None => {
            text.line("plan", plan);
            text.line("run", run);
        }
    }
    text.line("outcome", outcome.as_str());
    text.line("reason", &manifest.reason);
    text.line("evidence", key);
    let verify = if needs_person { " --verify" } else { "" };
    text.line("next", &format!("lifeboat status --plan {plan}{verify}"));
    text.line("then", &format!("lifeboat evidence show {run} --plan {plan}"));
    let calls = if needs_person { ", a person is needed" } else { "" };
    text.under(&format!("[{plan}] {}{calls}: run {run}", outcome.as_str().to_uppercase()))
}

struct Lines(String);

impl Lines {
    fn new(sentence: &str) -> Lines {
        Lines(format!("{sentence}\n\n"))
    }

    fn line(&mut self, what: &str, value: &str) {
        let value = one_line(value, REASON_CHARACTERS_MAX);
        writeln!(self.0, "{what:<10}  {value}").expect("a text takes any text");
    }

    fn of_run(&mut self, run: &Run, now: Timestamp) {
        self.line("plan", plan(run));
        self.line("run", &run.id);
        self.line("mode", run.mode.as_str());
        self.line("epoch", &run.epoch.map_or("none claimed".to_owned(), |epoch| epoch.to_string()));
        let seconds = |from: Timestamp, to: Timestamp| to.duration_since(from).as_secs();
        let (elapsed, left) = (seconds(run.began_at(), now), seconds(now, run.deadline));
        let objective = match left {
            0.. => format!("the time for recovery ends {}, in {left} s", second(run.deadline)),
            _ => format!("the time for recovery ended {}, {} s ago", second(run.deadline), -left),
        };
        self.line("elapsed", &format!("{elapsed} s; {objective}"));
    }

    fn under(self, subject: &str) -> Text {
        let subject = one_line(subject, usize::MAX);
        let subject = subject.chars().map(|c| if c.is_ascii() { c } else { '?' });
        Text { subject: subject.take(SUBJECT_CHARACTERS_MAX).collect(), message: self.0 }
    }
}

/// Without line breaks and control characters, and cut where it is longer than `characters_max`.
fn one_line(text: &str, characters_max: usize) -> String {
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut line: String = plain.clone().take(characters_max).collect();
    if plain.count() > characters_max {
        line.push_str(" ...");
    }
    line
}

fn plan(run: &Run) -> &str {
    run.plan.key.strip_prefix("plan/").and_then(|key| key.strip_suffix(".json")).unwrap_or(&run.plan.key)
}

fn second(at: Timestamp) -> Timestamp {
    at.round(Unit::Second).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::{Mode, PlanRef, Trigger};

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn run(epoch: Option<u64>) -> Run {
        Run {
            id: "alarm-1".into(),
            mode: Mode::Failover,
            plan: PlanRef { key: "plan/aex.json".into(), version: "1".into(), sha256: "00".into() },
            trigger: Trigger {
                kind: TriggerKind::Alarm,
                at: Some(at("2026-11-27T23:00:00Z")),
                alarm: Some("lifeboat-aex-primary-down".into()),
                by: None,
                reason: None,
            },
            admitted_at: at("2026-11-27T23:00:05Z"),
            deadline: at("2026-11-28T01:00:05Z"),
            admitted_epoch: 2,
            fenced_epoch: 0,
            approvals: None,
            epoch,
        }
    }

    fn manifest(outcome: Outcome, admitted: Option<Run>) -> Manifest {
        Manifest {
            plan: "aex".into(),
            run: "alarm-1".into(),
            admitted,
            outcome,
            reason: "because".into(),
            closed_at: at("2026-11-27T23:00:20Z"),
            facts: Value::Null,
            deployment: None,
            account: None,
            records: vec![],
        }
    }

    #[test]
    fn the_start_says_what_is_under_way_and_how_to_follow_it() {
        let text = Notification::Started { run: &run(Some(3)) }.text(at("2026-11-27T23:00:12Z"));
        assert_eq!(text.subject, "[aex] failover STARTED: run alarm-1");
        assert_eq!(
            text.message,
            "The primary is confirmed down. This run has claimed its epoch: it launches the recovery side, proves the \
             ledger, seals it, and moves traffic.

plan        aex
run         alarm-1
mode        failover
epoch       3
elapsed     12 s; the time for recovery ends 2026-11-28T01:00:05Z, in 7193 s
started by  alarm lifeboat-aex-primary-down
next        lifeboat status --plan aex --follow
"
        );
    }

    #[test]
    fn a_question_says_what_is_asked_until_when_and_how_to_answer() {
        let mut question = Question {
            plan: "aex".into(),
            run: "alarm-1".into(),
            epoch: 3,
            about: About::Seal,
            proof: "00".into(),
            reason: "PrimaryDown: the last 3 of 3 rounds failed\nand the log stands still".into(),
            needed: 2,
            asked_at: at("2026-11-27T23:00:12Z"),
            expires_at: at("2026-11-27T23:15:12Z"),
        };
        let told = |question: &Question, on_expiry| {
            let run = run(Some(3));
            Notification::Question { run: &run, question, on_expiry }.text(at("2026-11-27T23:00:12Z"))
        };
        let text = told(&question, OnExpiry::StandDown);
        assert_eq!(text.subject, "[aex] QUESTION, sealing the ledger: run alarm-1");
        assert!(
            text.message.ends_with(
                "
asks        leave for sealing the ledger; persons who have to agree: 2
reason      PrimaryDown: the last 3 of 3 rounds failed and the log stands still
until       2026-11-27T23:15:12Z; without an answer it takes down what it launched, and halts
next        lifeboat approve --plan aex --run alarm-1 --reason '<why>'
or          lifeboat decline --plan aex --run alarm-1 --reason '<why>'
"
            ),
            "{}",
            text.message
        );
        let says = |text: Text, says: &str| assert!(text.message.contains(says), "{}", text.message);
        says(told(&question, OnExpiry::GoOn), "without an answer it seals, as if they had agreed\n");
        question.about = About::Unproven;
        // Whatever the plan says of the seal.
        says(told(&question, OnExpiry::GoOn), "without an answer it ends as Unproven\n");
    }

    #[test]
    fn the_end_says_how_why_and_what_comes_next() {
        let told = |outcome| {
            let manifest = manifest(outcome, Some(run(Some(3))));
            let end = Notification::of_end(&manifest, "aex/alarm-1/manifest.json").unwrap();
            end.text(at("2026-11-28T01:00:15Z"))
        };
        let halted = told(Outcome::Halted);
        assert_eq!(halted.subject, "[aex] HALTED, a person is needed: run alarm-1");
        assert_eq!(
            halted.message,
            "The run has stopped, and a person is needed.

plan        aex
run         alarm-1
mode        failover
epoch       3
elapsed     7215 s; the time for recovery ended 2026-11-28T01:00:05Z, 10 s ago
outcome     Halted
reason      because
evidence    aex/alarm-1/manifest.json
next        lifeboat status --plan aex --verify
then        lifeboat evidence show alarm-1 --plan aex
"
        );
        let recovered = told(Outcome::Recovered);
        assert_eq!(recovered.subject, "[aex] RECOVERED: run alarm-1");
        assert!(recovered.message.contains("next        lifeboat status --plan aex\n"), "{recovered:?}");
    }

    #[test]
    fn who_has_claimed_nothing_and_needs_nobody_cries_no_wolf() {
        for outcome in Outcome::OF_RUNS {
            let told = |admitted| Notification::of_end(&manifest(outcome, admitted), "key").is_some();
            assert!(told(Some(run(Some(3)))), "{outcome} of a run that has said that it began");
            let needs_person =
                !matches!(outcome, Outcome::Refused | Outcome::StoodDown | Outcome::Superseded);
            assert_eq!(told(Some(run(None))), needs_person, "{outcome}");
            assert_eq!(told(None), needs_person, "{outcome}");
        }
    }

    #[test]
    fn a_subject_is_what_sns_takes_and_a_reason_is_cut() {
        let mut manifest = manifest(Outcome::Halted, Some(run(Some(3))));
        manifest.run = format!("Nacht-übung\n{}", "x".repeat(200));
        manifest.reason = "y".repeat(5_000);
        let text = Notification::of_end(&manifest, "key").unwrap().text(at("2026-11-28T01:00:15Z"));
        assert_eq!(text.subject.len(), SUBJECT_CHARACTERS_MAX);
        assert!(text.subject.chars().all(|c| c.is_ascii() && !c.is_ascii_control()), "{}", text.subject);
        assert!(text.subject.contains("Nacht-?bung x"), "{}", text.subject);
        assert!(text.message.contains("yyy ...\n") && text.message.len() < 2_000, "{}", text.message.len());
    }
}
