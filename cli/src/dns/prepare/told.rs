//! What a person is asked and told.

use lifeboat_rules::dns::prepare::{Edit, LeftAlone, Prepared, To};
use lifeboat_rules::dns::{Change, RecordSet};
use lifeboat_rules::plan::Strategy;
use serde_json::json;

use super::Work;
use crate::dns::eyes::Eyes;
use crate::exit::Exit;
use crate::output::{Report, State, one_line, table};

/// Edits, and records left alone, that a person is shown; with --json all are told.
const SHOWN: usize = 20;

impl Work<'_> {
    pub(super) fn question(&self, prepared: &Prepared) -> Vec<String> {
        let Eyes { plan, records, .. } = self.eyes;
        let count = prepared.edits().count();
        let mut lines = vec![format!(
            "This makes {} of {count} of the {} records of {} in {}, in {} batches:",
            self.becomes(),
            records.len(),
            plan.name,
            plan.dns.zone,
            prepared.batches.len()
        )];
        for edit in prepared.edits().take(SHOWN) {
            lines.push(format!("  {} {}", edit.name, edit.kind));
            lines.extend(edit.changes.iter().map(|change| match change {
                Change::Delete(set) => format!("    - {}", in_words(set)),
                Change::Create(set) => format!("    + {}", in_words(set)),
            }));
        }
        if count > SHOWN {
            lines.push(format!("  and {} more", count - SHOWN));
        }
        if !prepared.left_alone.is_empty() {
            lines.push(format!("It leaves {} alone:", prepared.left_alone.len()));
            lines.extend(
                prepared
                    .left_alone
                    .iter()
                    .take(SHOWN)
                    .map(|left| format!("  {} {}: {}", left.name, left.kind, one_line(&left.why))),
            );
        }
        if let Some(warning) = self.unlike_the_plan() {
            lines.push(warning);
        }
        lines.push(format!("{} Go on?", answers(prepared)));
        lines
    }

    /// Plain records under a plan that says `switch` are moved by no run.
    fn unlike_the_plan(&self) -> Option<String> {
        let plan = &self.eyes.plan;
        (self.to == To::Plain && plan.dns.strategy == Strategy::Switch).then(|| {
            format!(
                "until a plan with `strategy: records` is stored, no failover of {} moves these records: begin \
                 maintenance until then",
                plan.name
            )
        })
    }

    pub(super) fn report(&self, state: State, edits: &[Edit], batches: usize, last: &Prepared) -> Report {
        let Eyes { plan, records, .. } = self.eyes;
        let left = &last.left_alone;
        let becomes = self.becomes();
        let rows = left.iter().take(SHOWN).map(row);
        let mut warnings: Vec<String> = self.unlike_the_plan().into_iter().collect();
        if left.len() > SHOWN {
            warnings.push(format!("{} more are left alone; --json tells of all", left.len() - SHOWN));
        }
        Report {
            headline: match (state, left.len()) {
                (State::Done, 0) => format!("the {} records of {} are {becomes}", records.len(), plan.name),
                (State::DoneAlready, 0) => {
                    format!(
                        "the {} records of {} are {becomes} already; nothing was done",
                        records.len(),
                        plan.name
                    )
                }
                (_, count) => format!(
                    "{} of the {} records of {} are {becomes}; {count} are left alone",
                    last.done,
                    records.len(),
                    plan.name
                ),
            },
            details: vec![
                ("zone", format!("{} ({})", plan.dns.zone, plan.dns.zone_id)),
                ("edited", format!("{} records in {batches} batches", edits.len())),
                ("new answers", few(&given(edits.iter()))),
            ],
            tables: match left.is_empty() {
                true => vec![],
                false => vec![("Left alone", table(["record", "why", "next"], rows))],
            },
            warnings,
            json: json!({
                "plan": plan.name,
                "prepare": state,
                "to": match self.to { To::Pairs { .. } => "pairs", To::Plain => "plain" },
                "records": records.len(),
                "as_they_are_to_be": last.done,
                "batches": batches,
                "edits": edits,
                "new_answers": given(edits.iter()),
                "left_alone": left,
            }),
            exit: if left.is_empty() { Exit::Done } else { Exit::Halted },
            ..Report::default()
        }
    }
}

/// The names that get a record for the primary side where they had none.
fn given<'a>(edits: impl Iterator<Item = &'a Edit>) -> Vec<String> {
    edits.filter(|edit| edit.gives_an_answer()).map(|edit| format!("{} {}", edit.name, edit.kind)).collect()
}

/// What becomes of the names' answers.
fn answers(prepared: &Prepared) -> String {
    let given = given(prepared.edits());
    match given.len() {
        0 => "No name changes its answer.".to_owned(),
        count => format!(
            "{count} of them have no record for the primary side now, and get one, which changes what they answer: {}. No \
             other name changes its answer.",
            few(&given)
        ),
    }
}

/// The first names, and how many more there are.
fn few(names: &[String]) -> String {
    match (names.len(), names.len().saturating_sub(SHOWN)) {
        (0, _) => "none".to_owned(),
        (_, 0) => names.join(", "),
        (_, more) => format!("{} and {more} more", names[..SHOWN].join(", ")),
    }
}

fn row(left: &LeftAlone) -> [String; 3] {
    [format!("{} {}", left.name, left.kind), one_line(&left.why), one_line(&left.next)]
}

/// A record set in a line.
fn in_words(set: &RecordSet) -> String {
    let values = set.values.join(" ");
    match &set.half {
        None => format!("{} s: {values}", set.ttl),
        Some(half) => {
            let gate = half.health_check.as_ref().map_or_else(String::new, |id| format!(", gated by {id}"));
            format!("{} s, {}{gate}: {values}", set.ttl, half.identifier)
        }
    }
}
