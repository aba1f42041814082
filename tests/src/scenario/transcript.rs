//! What is written down of a scenario: what happened, in the same words each time.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use lifeboat_ledger::control::Weight;
use lifeboat_ledger::{Control, PenState};
use lifeboat_rules::dns::switch::FlipObject;
use lifeboat_rules::plan::Side;

use super::ending::{Ending, Stream, Traffic};
use super::mask::sentence;
use super::runs::{self, End};
use crate::definition::Definition;

/// One run, as far as it is written down.
#[derive(Debug)]
pub struct Told {
    /// Its name.
    pub name: String,
    /// The states that it went into, in order.
    pub states: Vec<String>,
    /// What came of each state.
    pub verdicts: BTreeMap<String, String>,
    /// How it ended.
    pub end: End,
}

/// Everything that is written down.
#[derive(Debug)]
pub struct Transcript<'a> {
    /// What it shows.
    pub about: &'a str,
    /// What was answered on the way, by the number of the step.
    pub answers: &'a [(usize, String)],
    /// The runs, in the order of their start.
    pub runs: Vec<Told>,
    /// How the world stands.
    pub ending: &'a Ending,
    /// What each run is called: name and label.
    pub names: Vec<(String, String)>,
}

/// Gives each run its label. Which of the runs that were started together comes first is chance: the first label of the
/// group goes to the one that claimed an epoch.
pub fn names(
    executions: &[runs::Execution],
    together: &[Vec<String>],
    epochs: &[(u64, String, String)],
    with_evidence: &[String],
) -> Vec<(String, String)> {
    let mut names: Vec<(String, String)> =
        runs::labels(executions).into_iter().map(|(label, run)| (run.name.clone(), label)).collect();
    // Who leaves a manifest and is no execution is a person at the command line.
    let mut of_people: BTreeMap<&str, usize> = BTreeMap::new();
    for run in with_evidence {
        if executions.iter().all(|execution| execution.name != *run) {
            let command = run.split('-').next().unwrap_or(run);
            let count = of_people.entry(command).or_default();
            *count += 1;
            names.push((run.clone(), format!("{command}-{count}")));
        }
    }
    for group in together {
        let claimed =
            |name: &String| epochs.iter().find(|(_, run, _)| run == name).map_or(u64::MAX, |at| at.0);
        let mut members = group.clone();
        members.sort_by_key(claimed);
        // Into the places that the group has, so that nobody else's changes.
        let places: Vec<usize> = (0..names.len()).filter(|at| group.contains(&names[*at].0)).collect();
        for (at, pair) in places.into_iter().zip(members.into_iter().zip(group.clone())) {
            names[at] = pair;
        }
    }
    names
}

impl Transcript<'_> {
    /// The text.
    pub fn text(&self) -> String {
        let mut text = format!("{}\n", self.about);
        if !self.answers.is_empty() {
            text += "\nanswers on the way\n";
        }
        for (step, answer) in self.answers {
            let _ = writeln!(text, "  step {step}: {}", sentence(answer, &self.names));
        }
        let mut runs: Vec<&Told> = self.runs.iter().collect();
        runs.sort_by_key(|run| self.rank(&run.name));
        for run in runs {
            self.tell_run(run, &mut text);
        }
        self.tell_world(&mut text);
        text
    }

    /// Its place among the runs.
    fn rank(&self, name: &str) -> usize {
        self.names.iter().position(|(known, _)| known == name).unwrap_or(usize::MAX)
    }

    fn label(&self, name: &str) -> String {
        self.names.iter().find(|(known, _)| known == name).map_or(name.to_owned(), |(_, label)| label.clone())
    }

    fn tell_run(&self, run: &Told, text: &mut String) {
        let _ = writeln!(text, "\nrun {}", self.label(&run.name));
        let stopped = run.end.outcome == runs::STOPPED;
        for (index, state) in run.states.iter().enumerate() {
            // What a stopped state still comes to depends on who is faster, and no state of the run hears of it.
            let stopped_here = stopped && index + 1 == run.states.len();
            let verdict = |state: &str| match run.verdicts.get(state) {
                _ if stopped_here => "stopped",
                Some(verdict) => verdict,
                None => "no outcome",
            };
            let inner = branches_of(state);
            if inner.is_empty() {
                let _ = writeln!(text, "  {state:<38} {}", verdict(state));
                continue;
            }
            let _ = writeln!(text, "  {state}");
            for (state, is_first) in inner {
                // Each branch is begun; what follows in it only where the run came by.
                if is_first || run.verdicts.contains_key(&state) {
                    let _ = writeln!(text, "    {state:<36} {}", verdict(&state));
                }
            }
        }
        let _ = writeln!(text, "  => {}", run.end.outcome);
        if !run.end.reason.is_empty() {
            let _ = writeln!(text, "     {}", sentence(&run.end.reason, &self.names));
        }
    }

    fn tell_world(&self, text: &mut String) {
        let ending = self.ending;
        text.push_str("\nthe world at the end\n");
        let epochs = ending.epochs.iter();
        let epochs = epochs.map(|(epoch, run, cause)| format!("{epoch} {} ({cause})", self.label(run)));
        line(text, "epochs", epochs.collect());
        line(text, "fences", ending.fences.iter().map(ToString::to_string).collect());
        line(text, "proof of the log", vec![format!("{:?}", ending.proof.verdict)]);
        for finding in &ending.proof.findings {
            let _ = writeln!(text, "    {}", sentence(&finding.to_string(), &self.names));
        }
        let mut alike: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for (name, stream) in &ending.streams {
            alike.entry(self.stream(stream)).or_default().push(name);
        }
        for (says, streams) in alike {
            let _ = writeln!(text, "  {}\n{says}", streams.join(" "));
        }
        let mut records: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (name, points) in &ending.records {
            records.entry(points).or_default().push(name);
        }
        let told = |(points, names): (&&str, &Vec<&str>)| match names.len() == ending.records.len() {
            true => format!("all {points}"),
            false => format!("{} {points}", names.join(" ")),
        };
        line(text, "records", records.iter().map(told).collect());
        match &ending.traffic {
            Traffic::Flips(flips) => {
                let told = |flip: &FlipObject| {
                    let side = if flip.side == Side::Primary { "primary" } else { "recovery" };
                    format!("{} to the {side}, by {}", flip.epoch, self.label(&flip.run))
                };
                line(text, "flips", flips.iter().map(told).collect());
            }
            Traffic::Fence(epoch) => {
                line(text, "fence in the zone", epoch.iter().map(|epoch| format!("epoch {epoch}")).collect());
            }
        }
        let stacks = ending.stacks.iter().map(|(name, run)| format!("{name} of {}", self.label(run)));
        line(text, "stacks", stacks.collect());
        for exchange in &ending.exchanges {
            let _ = writeln!(text, "  the exchange of {}", sentence(exchange, &self.names));
        }
        match &ending.orders {
            None => text.push_str("  nobody traded\n"),
            Some(_) if ending.lost_records > 0 => {
                text.push_str(
                    "  acknowledged orders: some are gone with what the delivery stream has lost\n",
                );
            }
            Some(orders) => {
                let (lost, duplicated) = (orders.lost.len(), orders.duplicated.len());
                let _ =
                    writeln!(text, "  acknowledged orders: lost {lost}, duplicated {duplicated}, by the log");
                if let Some(query) = &orders.by_query {
                    let (lost, duplicated) = (query.lost.len(), query.duplicated.len());
                    let _ = writeln!(
                        text,
                        "  acknowledged orders: lost {lost}, duplicated {duplicated}, by the exchange that serves"
                    );
                }
            }
        }
    }

    fn stream(&self, stream: &Stream) -> String {
        let mut text = String::new();
        for (control, weight) in &stream.controls {
            let (what, run) = match control {
                Control::Seal(seal) => (format!("seal of epoch {}", seal.epoch), &seal.run),
                Control::Open(open) => {
                    (format!("open of epoch {} for the {}", open.epoch, open.holder), &open.run)
                }
            };
            let inert = if *weight == Weight::Inert { ", inert" } else { "" };
            let _ = writeln!(text, "    {what}, by {}{inert}", self.label(run));
        }
        for epoch in &stream.closed {
            let _ = writeln!(text, "    the lease of epoch {epoch} was closed");
        }
        if stream.branched {
            text.push_str(
                "    what a process had sent and not acknowledged when it died was delivered as well\n",
            );
        }
        let pen = match stream.pen.state() {
            PenState::Unopened => "nobody, for it was never opened".to_owned(),
            PenState::Open { epoch, holder } => format!("the {holder}, under epoch {epoch}"),
            PenState::Sealed { epoch, .. } => format!("nobody, since the seal of epoch {epoch}"),
        };
        text + &format!("    the pen is with {pen}")
    }
}

/// The tasks in the branches of a parallel state, in the definition's order, and whether a branch begins with it; none for
/// any other state.
fn branches_of(state: &str) -> Vec<(String, bool)> {
    let Ok(definition) = Definition::read() else { return Vec::new() };
    let machines = definition.machines();
    let branches = machines.iter().filter(|machine| machine.within == Some(state));
    let first: Vec<&str> = branches.map(|branch| branch.start).collect();
    let surroundings = definition.surroundings();
    let tasks = definition.tasks().into_iter();
    let inner = tasks.filter(|task| surroundings.get(task.name) == Some(&state));
    inner.map(|task| (task.name.to_owned(), first.contains(&task.name))).collect()
}

fn line(text: &mut String, what: &str, values: Vec<String>) {
    let values = if values.is_empty() { "none".to_owned() } else { values.join(", ") };
    let _ = writeln!(text, "  {what}: {values}");
}

#[cfg(test)]
mod tests {
    use aws_sdk_sfn::types::ExecutionStatus;
    use jiff::Timestamp;

    use super::*;

    fn started(name: &str, second: i64) -> runs::Execution {
        runs::Execution {
            name: name.into(),
            arn: String::new(),
            started_at: Timestamp::from_second(second).unwrap(),
            status: ExecutionStatus::Succeeded,
        }
    }

    #[test]
    fn of_runs_started_together_the_one_that_claimed_is_told_first() {
        let executions = [
            started("before", 1),
            started("one", 2),
            started("two", 2),
            started("alarm-20261123T142508Z-0123456789ab", 3),
        ];
        let together = [vec!["one".to_owned(), "two".to_owned()]];
        for (winner, loser) in [("one", "two"), ("two", "one")] {
            let epochs = [
                (1, "genesis".to_owned(), "genesis".to_owned()),
                (2, winner.to_owned(), "operator".to_owned()),
                (3, "handback-x".to_owned(), "hand_back".to_owned()),
            ];
            let names = names(&executions, &together, &epochs, &["one".to_owned(), "handback-x".to_owned()]);
            let names: Vec<_> = names.iter().map(|(name, label)| (name.as_str(), label.as_str())).collect();
            let expected = [
                ("before", "before"),
                (winner, "one"),
                (loser, "two"),
                ("alarm-20261123T142508Z-0123456789ab", "alarm-1"),
                ("handback-x", "handback-1"),
            ];
            assert_eq!(names, expected);
        }
    }
}
