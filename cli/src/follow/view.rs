//! What is to be told of a run's records, without I/O. They are read as plain JSON, of which only this is taken: those of
//! another version of Lifeboat can be followed too.

use std::collections::BTreeSet;

use jiff::Timestamp;
use lifeboat_rules::evidence::LEFT;
use serde::Serialize;
use serde_json::Value;

use super::span;
use crate::output::one_line;

/// How a step's outcome names a wait.
const NOT_READY: &str = "NotReady";

/// All that was read of a run so far.
#[derive(Debug, Default)]
pub(super) struct View {
    keys: BTreeSet<String>,
    /// Visits of states that were told of: name and moment of entry.
    begun: BTreeSet<(String, String)>,
    /// The state that was entered last, and when.
    current: Option<(String, Timestamp)>,
    /// What it said that it waits for.
    waits_for: Option<String>,
    began_at: Option<Timestamp>,
    deadline: Option<Timestamp>,
    /// What was told of a question: it is asked every 40 s anew.
    asked: BTreeSet<(String, String)>,
    events: Vec<Event>,
}

/// Something that is told once.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Event {
    at: Timestamp,
    seconds: f64,
    state: String,
    /// `begins`, a verdict, or the name of an error.
    what: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

impl Event {
    /// For a person.
    pub(super) fn line(&self) -> String {
        let message =
            self.message.as_deref().map_or_else(String::new, |text| format!(": {}", one_line(text)));
        format!("{:8.1} s  {}  {}{message}", self.seconds, one_line(&self.state), one_line(&self.what))
    }
}

impl View {
    /// Whether `key` is a record that was not read yet; from now on it was.
    pub(super) fn is_new(&mut self, prefix: &str, key: &str) -> bool {
        let name = key.strip_prefix(prefix).unwrap_or(key);
        let is_record =
            !name.starts_with(LEFT) && (name.ends_with("-intent.json") || name.ends_with("-outcome.json"));
        is_record && self.keys.insert(key.to_owned())
    }

    /// Takes records in, in any order.
    pub(super) fn add(&mut self, records: impl Iterator<Item = Vec<u8>>) {
        let parsed = records.filter_map(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
        let mut dated: Vec<(Timestamp, Value)> =
            parsed.filter_map(|record| Some((record["at"].as_str()?.parse().ok()?, record))).collect();
        dated.sort_by_key(|(at, _)| *at);
        for (at, record) in dated {
            self.began_at = Some(self.began_at.map_or(at, |began| began.min(at)));
            self.take(at, &record);
        }
    }

    fn take(&mut self, at: Timestamp, record: &Value) {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let body = &record["body"];
        for run in [&body["run"], &body["result"]["run"]] {
            self.deadline = text(&run["deadline"]).and_then(|at| at.parse().ok()).or(self.deadline);
        }
        let state = text(&record["step"]["name"]).unwrap_or_default();
        if record["phase"] == "intent" {
            let entered = text(&record["step"]["entered"]).unwrap_or_default();
            if self.begun.insert((state.clone(), entered)) {
                let asks = !body["action"]["ask"].is_null();
                let waits_for = asks.then(|| "a person: `lifeboat approve` or `lifeboat decline`".to_owned());
                (self.current, self.waits_for) = (Some((state.clone(), at)), waits_for);
                let again = asks || !body["action"]["count"].is_null();
                if !again || self.asked.insert((state.clone(), String::new())) {
                    self.tell(at, state, "begins".to_owned(), None);
                }
            }
            return;
        }
        match (text(&body["error"]), text(&body["message"])) {
            (Some(error), message) if error == NOT_READY => self.waits_for = message,
            (Some(error), message) => self.tell(at, state, error, message),
            (None, _) => {
                let verdict = text(&body["result"]["verdict"]).unwrap_or_else(|| "done".to_owned());
                let reason = text(&body["result"]["reason"]);
                let again = ["Asked", "Waiting"].contains(&verdict.as_str());
                let reason = reason.filter(|reason| !reason.is_empty());
                if !again || self.asked.insert((state.clone(), reason.clone().unwrap_or_default())) {
                    self.tell(at, state, verdict, reason);
                }
            }
        }
    }

    fn tell(&mut self, at: Timestamp, state: String, what: String, message: Option<String>) {
        let seconds = self.began_at.map_or(0.0, |began| at.duration_since(began).as_secs_f64());
        self.events.push(Event { at, seconds, state, what, message });
    }

    /// What is new to tell.
    pub(super) fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// The line that goes on changing: where the run is, which one it is and for how long, until when, and what it waits for.
    pub(super) fn under_way(&self, run: &str, now: Timestamp) -> String {
        let Some((state, since)) = &self.current else {
            return format!("waiting for the first record of {run}");
        };
        let mut line = format!("{} ({})", one_line(state), span(*since, now));
        if let Some(began) = self.began_at {
            line += &format!("; {run} {}", span(began, now));
        }
        match self.deadline {
            Some(deadline) if deadline >= now => {
                line += &format!(", {} to its objective", span(now, deadline))
            }
            Some(deadline) => line += &format!(", {} past its objective", span(deadline, now)),
            None => {}
        }
        if let Some(waits_for) = &self.waits_for {
            line += &format!("; waits: {}", one_line(waits_for));
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(second: u32, state: &str, entered: &str, phase: &str, body: Value) -> Vec<u8> {
        let at = format!("2026-11-27T10:00:{second:02}Z");
        let step = json!({ "name": state, "entered": entered, "attempt": 0 });
        json!({ "at": at, "step": step, "phase": phase, "body": body }).to_string().into_bytes()
    }

    fn told(view: &mut View) -> Vec<String> {
        view.take_events().iter().map(Event::line).collect()
    }

    #[test]
    fn a_wait_is_told_in_the_changing_line_and_a_retry_is_not_begun_again() {
        let mut view = View::default();
        let now =
            |second: u32| format!("2026-11-27T10:{:02}:{:02}Z", second / 60, second % 60).parse().unwrap();
        assert_eq!(view.under_way("run-1", now(0)), "waiting for the first record of run-1");
        let run = json!({ "run": { "deadline": "2026-11-27T10:01:40Z" } });
        let waiting = json!({ "error": "NotReady", "message": "stack\texchange is being created" });
        view.add(
            [
                record(4, "Launch the stacks", "a", "outcome", waiting.clone()),
                record(2, "Launch the stacks", "a", "intent", run.clone()),
                record(5, "Launch the stacks", "a", "intent", run.clone()),
                record(0, "Admit the run", "0", "intent", json!({})),
                record(1, "Admit the run", "0", "outcome", json!({ "result": { "verdict": "Admitted" } })),
            ]
            .into_iter(),
        );
        assert_eq!(
            told(&mut view),
            [
                "     0.0 s  Admit the run  begins",
                "     1.0 s  Admit the run  Admitted",
                "     2.0 s  Launch the stacks  begins",
            ]
        );
        assert_eq!(
            view.under_way("run-1", now(12)),
            "Launch the stacks (10 s); run-1 12 s, 1 min 28 s to its objective; waits: stack exchange is being created"
        );
        view.add([record(30, "Launch the stacks", "b", "intent", run)].into_iter());
        assert_eq!(
            told(&mut view),
            ["    30.0 s  Launch the stacks  begins"],
            "another visit of the same state"
        );
        assert_eq!(
            view.under_way("run-1", now(119)),
            "Launch the stacks (1 min 29 s); run-1 1 min 59 s, 19 s past its objective",
            "what the earlier visit waited for is over"
        );
    }

    #[test]
    fn a_question_that_is_asked_anew_is_told_once_and_each_answer_to_it() {
        let mut view = View::default();
        let (ask, count) = (json!({ "action": { "ask": {} } }), json!({ "action": { "count": {} } }));
        let said =
            |verdict: &str, reason: &str| json!({ "result": { "verdict": verdict, "reason": reason } });
        let mut lines = Vec::new();
        for (round, reason) in [(0, "0 of 2"), (1, "0 of 2"), (2, "1 of 2")] {
            let entered = round.to_string();
            let mut add = |second: u32, state: &str, phase: &str, body: &Value| {
                view.add([record(round * 10 + second, state, &entered, phase, body.clone())].into_iter());
            };
            add(0, "Ask", "intent", &ask);
            add(1, "Ask", "outcome", &said("Asked", ""));
            add(2, "Count", "intent", &count);
            add(3, "Count", "outcome", &said("Waiting", reason));
            lines.extend(told(&mut view));
        }
        assert_eq!(
            lines,
            [
                "     0.0 s  Ask  begins",
                "     2.0 s  Count  begins",
                "     3.0 s  Count  Waiting: 0 of 2",
                "    23.0 s  Count  Waiting: 1 of 2",
            ]
        );
        view.add([record(30, "Ask", "3", "intent", ask)].into_iter());
        let line = view.under_way("run-1", "2026-11-27T10:00:31Z".parse().unwrap());
        assert!(line.contains("waits: a person: `lifeboat approve`"), "{line}");
    }

    #[test]
    fn an_error_is_told_with_its_message_and_damage_is_passed_over() {
        let mut view = View::default();
        let error = json!({ "error": "Transient", "message": "S3\u{7} is away" });
        view.add(
            [b"{".to_vec(), b"{}".to_vec(), record(3, "Seal the ledger", "x", "outcome", error)].into_iter(),
        );
        assert_eq!(told(&mut view), ["     0.0 s  Seal the ledger  Transient: S3 is away"]);
    }

    #[test]
    fn only_records_are_read_and_each_once() {
        let mut view = View::default();
        assert!(view.is_new("aex/run/", "aex/run/t-Admit-0-id-intent.json"));
        assert!(!view.is_new("aex/run/", "aex/run/t-Admit-0-id-intent.json"));
        assert!(!view.is_new("aex/run/", "aex/run/left/t-Flip-0-batch-intent.json"));
        assert!(!view.is_new("aex/run/", "aex/run/manifest.json"));
    }
}
