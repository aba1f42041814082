//! The parts of `tests/FAULT_MATRIX.md` that are made from what was played.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;

use lifeboat_rules::plan::Strategy;

use super::call::CallId;
use super::case::Fault;
use super::result::Played;
use super::{Came, Way};
use crate::page::Parts;
use crate::world::places;

/// What a case should take at most, in seconds.
const SECONDS_AIM: f64 = 10.0;

/// What is played: strategy, what it is, whether the alarm is false, and how many faults. Of a false alarm nothing comes that the
/// strategies do differently.
const KINDS: [(Strategy, &str, bool, usize); 5] = [
    (Strategy::Switch, "one fault", false, 1),
    (Strategy::Switch, "two faults", false, 2),
    (Strategy::Switch, "one fault, a false alarm", true, 1),
    (Strategy::Records, "one fault", false, 1),
    (Strategy::Records, "two faults", false, 2),
];

/// The page.
pub fn path() -> PathBuf {
    places::repository().join("tests/FAULT_MATRIX.md")
}

/// The parts, of all that was played.
pub fn parts(played: &[Played]) -> Parts {
    let single = |strategy: Strategy| of(played, strategy, false, 1);
    let pairs = [of(played, Strategy::Switch, false, 2), of(played, Strategy::Records, false, 2)];
    Parts::from([
        ("summary", summary(played)),
        ("faults", by_fault(played)),
        ("switch", table(&single(Strategy::Switch))),
        ("records", table(&single(Strategy::Records))),
        ("false-alarm", table(&of(played, Strategy::Switch, true, 1))),
        ("pairs", of_pairs(&pairs.concat())),
    ])
}

fn of(played: &[Played], strategy: Strategy, false_alarm: bool, troubles: usize) -> Vec<&Played> {
    let of = played.iter().map(|one| (&one.case, one));
    let of = of.filter(|(case, _)| (case.strategy, case.false_alarm) == (strategy, false_alarm));
    of.filter(|(case, _)| case.troubles.len() == troubles).map(|(_, one)| one).collect()
}

fn summary(played: &[Played]) -> String {
    let mut text =
        "| | calls | cases | (a) primary serves | (b) recovery serves | (c) halted, way out taken | forbidden or unexplained | \
         seconds: median, longest | over 10 s |\n|---|---|---|---|---|---|---|---|---|"
            .to_owned();
    for (strategy, what, false_alarm, troubles) in KINDS {
        let of = of(played, strategy, false_alarm, troubles);
        if of.is_empty() {
            let _ = write!(text, "\n| `{strategy}`, {what} | | not played | | | | | | |");
            continue;
        }
        let calls: BTreeSet<String> = of
            .iter()
            .map(|one| &one.case.troubles[0].call)
            .map(|call| call.state.clone() + &call.told())
            .collect();
        let mut seconds: Vec<f64> = of.iter().map(|one| one.seconds).collect();
        seconds.sort_by(f64::total_cmp);
        let (median, longest) = (seconds[seconds.len() / 2], seconds[seconds.len() - 1]);
        let came = |came: Came| of.iter().filter(|one| well(one) && one.came == came).count();
        let wrong = of.iter().filter(|one| !well(one)).count();
        let over = seconds.iter().filter(|seconds| **seconds > SECONDS_AIM).count();
        let _ = write!(
            text,
            "\n| `{strategy}`, {what} | {} | {} | {} | {} | {} | {wrong} | {median:.1}, {longest:.1} | {over} |",
            calls.len(),
            of.len(),
            came(Came::Primary),
            came(Came::Recovery),
            came(Came::Halted),
        );
    }
    let mended = played.iter().filter(|one| well(one) && one.wrong_before > 0).count();
    if mended > 0 {
        let _ = write!(text, "\n\nWrong once, right when played again: {mended}.");
    }
    text
}

fn by_fault(played: &[Played]) -> String {
    let mut text =
        "| Fault | cases | (a) | (b) | (c), and the way out that was taken | seconds: median, longest |\n\
                    |---|---|---|---|---|---|"
            .to_owned();
    for fault in Fault::ALL {
        let single = |one: &&Played| one.case.troubles.len() == 1 && one.case.troubles[0].fault == fault;
        let of: Vec<&Played> = played.iter().filter(single).filter(|one| well(one)).collect();
        let mut seconds: Vec<f64> = of.iter().map(|one| one.seconds).collect();
        seconds.sort_by(f64::total_cmp);
        let (Some(median), Some(longest)) = (seconds.get(seconds.len() / 2), seconds.last()) else {
            continue;
        };
        let count = |came: Came| of.iter().filter(|one| one.came == came).count();
        let mut ways: BTreeMap<Way, usize> = BTreeMap::new();
        for way in of.iter().filter_map(|one| one.way) {
            *ways.entry(way).or_default() += 1;
        }
        let ways: Vec<String> = ways.iter().map(|(way, times)| format!("{times} {}", told(*way))).collect();
        let halted = if ways.is_empty() { "0".to_owned() } else { ways.join(", ") };
        let _ = write!(
            text,
            "\n| {fault} | {} | {} | {} | {halted} | {median:.1}, {longest:.1} |",
            of.len(),
            count(Came::Primary),
            count(Came::Recovery),
        );
    }
    text
}

/// Each call with each fault, by state, in the order of the run.
fn table(played: &[&Played]) -> String {
    if played.is_empty() {
        return "Not played.".to_owned();
    }
    let mut text = String::new();
    for state in states(played) {
        let of: Vec<&&Played> =
            played.iter().filter(|one| one.case.troubles[0].call.state == state).collect();
        let _ = write!(text, "### {state}\n\n| Call |");
        Fault::ALL.iter().for_each(|fault| {
            let _ = write!(text, " {fault} |");
        });
        let _ = write!(text, "\n|---|{}", "---|".repeat(Fault::ALL.len()));
        let mut calls: BTreeMap<String, &CallId> = BTreeMap::new();
        for call in of.iter().map(|one| &one.case.troubles[0].call) {
            let known = calls.entry(call.told()).or_insert(call);
            if known.order < call.order {
                *known = call;
            }
        }
        let mut calls: Vec<&CallId> = calls.into_values().collect();
        calls.sort_by_key(|call| call.order);
        for call in calls {
            let _ = write!(text, "\n| {} |", call.told());
            for fault in Fault::ALL {
                let is = |one: &&&&Played| {
                    let trouble = &one.case.troubles[0];
                    trouble.fault == fault && trouble.call.told() == call.told()
                };
                let _ = write!(text, " {} |", of.iter().find(is).map_or(String::new(), |one| cell(one)));
            }
        }
        text.push_str("\n\n");
    }
    text.trim_end().to_owned()
}

fn of_pairs(played: &[&Played]) -> String {
    if played.is_empty() {
        return "None was played.".to_owned();
    }
    let mut lines: Vec<String> = played
        .iter()
        .map(|one| {
            let told = |at: usize| {
                let trouble = &one.case.troubles[at];
                format!("{}: {}, {}", trouble.call.state, trouble.call.told(), trouble.fault)
            };
            format!("| `{}` | {} | {} | {} |", one.case.strategy, told(0), told(1), cell(one))
        })
        .collect();
    lines.sort();
    format!("| Strategy | First | Second | End |\n|---|---|---|---|\n{}", lines.join("\n"))
}

/// The states, in the order of the run.
fn states(played: &[&Played]) -> Vec<String> {
    let mut last: BTreeMap<&str, u32> = BTreeMap::new();
    for call in played.iter().map(|one| &one.case.troubles[0].call) {
        let at = last.entry(&call.state).or_insert(call.order);
        *at = (*at).max(call.order);
    }
    let mut states: Vec<(u32, &str)> = last.into_iter().map(|(state, at)| (at, state)).collect();
    states.sort_unstable();
    states.into_iter().map(|(_, state)| state.to_owned()).collect()
}

/// The end and the seconds of one case: `b 2.6`, `c run 14.8`.
fn cell(one: &Played) -> String {
    if !well(one) {
        return format!("**wrong** {:.1}", one.seconds);
    }
    let end = match (one.came, one.way) {
        (Came::Primary, _) => "a".to_owned(),
        (Came::Recovery, _) => "b".to_owned(),
        (Came::Halted, way) => format!("c {}", way.map_or("", told)),
    };
    format!("{end} {:.1}", one.seconds)
}

fn told(way: Way) -> &'static str {
    match way {
        Way::NewRun => "run",
        Way::Flip => "flip",
        Way::HandBack => "back",
        Way::HandBackFromRecovery => "take back",
    }
}

fn well(one: &Played) -> bool {
    one.complaints().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::case::Case;

    #[test]
    fn the_summary_counts_what_was_wrong_once() {
        let case = Case { strategy: Strategy::Switch, false_alarm: false, troubles: Vec::new() };
        let wrong = Played { wrong_before: 1, ..Played::failed(&case, "lost") };
        let right = Played { wrongs: Vec::new(), ..wrong.clone() };
        let never = Played { wrong_before: 0, ..right.clone() };
        assert!(!summary(&[wrong.clone(), never.clone()]).contains("played again"));
        assert!(summary(&[wrong, right, never]).ends_with("\n\nWrong once, right when played again: 1."));
    }
}
