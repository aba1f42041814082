//! What a replay came to, for a person and for a machine.

use lifeboat_rules::Plan;
use lifeboat_rules::replay::{Decision, Ends, Replay, Replayed};
use serde_json::{Map, Value, json};

use crate::exit::Exit;
use crate::output::{Report, moment, one_line, table};

/// Characters of a decision that a table tells; the whole is in the JSON.
const TOLD_MAX: usize = 120;

pub(super) fn report(replayed: &[Replayed], as_if: Option<&Plan>) -> Report {
    let [agree, differ, lack] = replayed.iter().map(Replayed::counts).fold([0; 3], |mut sum, counts| {
        sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        sum
    });
    let otherwise = replayed.iter().filter(|run| run.differs()).count();
    let unreplayable = replayed.iter().filter(|run| !run.is_replayable()).count();
    let exit = match (otherwise, unreplayable, replayed.len()) {
        (1.., _, _) => Exit::Broken,
        (0, 1.., _) | (0, 0, 0) => Exit::Unproven,
        (0, 0, _) => Exit::Done,
    };
    let runs = match replayed.len() {
        1 => "1 run".to_owned(),
        count => format!("{count} runs"),
    };
    let by = as_if.map(|plan| format!(", as if the plan had been {}", plan.digest())).unwrap_or_default();
    let headline = match exit {
        Exit::Done => format!("{runs}: decided again, all comes out as it did{by}"),
        Exit::Broken => format!("{runs}: {otherwise} would have decided otherwise{by}"),
        _ if replayed.is_empty() => "there is no run to replay".to_owned(),
        _ => format!("{runs}: {unreplayable} could not be replayed{by}"),
    };
    let mut tables = vec![(
        "Runs",
        table(["run", "ended", "agree", "differ", "not replayable", ""], replayed.iter().map(row_of_run)),
    )];
    if let [run] = replayed {
        tables.push((
            "Decisions, in their order",
            table(["began", "state", "rule", "again"], run.decisions.iter().map(row_of_decision)),
        ));
    }
    let rows = |row: fn(&Replayed, &Decision) -> Option<[String; 5]>| {
        let rows =
            replayed.iter().flat_map(move |run| run.decisions.iter().filter_map(move |one| row(run, one)));
        rows.collect::<Vec<_>>()
    };
    let differing = rows(row_of_difference);
    if !differing.is_empty() {
        tables.push((
            "What comes out otherwise",
            table(
                ["run", "state, rule", "recorded", "today's rules say", "so the run would have"],
                differing,
            ),
        ));
    }
    let lacking = rows(row_of_lack);
    if replayed.len() != 1 && !lacking.is_empty() {
        tables.push((
            "What cannot be replayed, and why",
            table(["run", "state", "attempt", "rule", "why"], lacking),
        ));
    }
    Report {
        headline,
        details: vec![
            ("agree", agree.to_string()),
            ("differ", differ.to_string()),
            ("not replayable", lack.to_string()),
        ],
        tables,
        warnings: replayed
            .iter()
            .flat_map(|run| run.damage.iter().map(|damage| format!("{}: {damage}", run.run)))
            .collect(),
        json: json!({
            "as_if": as_if.map(Plan::digest),
            "agree": agree,
            "differ": differ,
            "not_replayable": lack,
            "runs_otherwise": otherwise,
            "runs_not_replayable": unreplayable,
            "runs": replayed,
        }),
        exit,
        ..Report::default()
    }
}

fn row_of_run(run: &Replayed) -> [String; 6] {
    let [agree, differ, lack] = run.counts().map(|count| count.to_string());
    let ended = run.outcome.map_or("open".to_owned(), |outcome| outcome.to_string());
    let what = match (run.by_hand, run.is_replayable(), run.differs()) {
        (true, ..) => "by a person, who leaves no step to decide again",
        (_, false, _) => "it could not be replayed",
        (_, _, true) => "it would have decided otherwise",
        _ => "",
    };
    [one_line(&run.run), ended, agree, differ, lack, what.to_owned()]
}

fn row_of_decision(decision: &Decision) -> [String; 4] {
    let again = match &decision.replay {
        Replay::Agrees => "agrees".to_owned(),
        Replay::Differs { would_have_ended, .. } => {
            format!("differs: it would have {}", ended(*would_have_ended))
        }
        Replay::NotReplayable { why } => format!("not replayable: {}", short(why)),
    };
    [moment(decision.at), one_line(&decision.state), rule(decision), again]
}

fn row_of_difference(run: &Replayed, decision: &Decision) -> Option<[String; 5]> {
    let Replay::Differs { recorded, today, would_have_ended } = &decision.replay else { return None };
    let state = format!("{}, {}", one_line(&decision.state), rule(decision));
    let told = |value: &Value, other: &Value| short(&what_differs(value, other).to_string());
    let (then, now) = (told(recorded, today), told(today, recorded));
    Some([one_line(&run.run), state, then, now, ended(*would_have_ended)])
}

/// The fields that the two say differently, and of those the ones that decide: what is said to a person is the longest.
fn what_differs(value: &Value, other: &Value) -> Value {
    let (Value::Object(fields), Value::Object(others)) = (value, other) else { return value.clone() };
    let differing: Map<String, Value> = fields
        .iter()
        .filter(|(name, field)| {
            others.get(*name) != Some(*field) && !["reason", "message"].contains(&name.as_str())
        })
        .map(|(name, field)| (name.clone(), field.clone()))
        .collect();
    if differing.is_empty() { value.clone() } else { Value::Object(differing) }
}

fn row_of_lack(run: &Replayed, decision: &Decision) -> Option<[String; 5]> {
    let Replay::NotReplayable { why } = &decision.replay else { return None };
    let state = one_line(&decision.state);
    Some([one_line(&run.run), state, decision.attempt.to_string(), rule(decision), short(why)])
}

fn rule(decision: &Decision) -> String {
    let rule = decision.rule.as_deref().map(one_line).unwrap_or_default();
    match decision.subject.as_str() {
        "" => rule,
        subject => format!("{rule} {}", one_line(subject)),
    }
}

fn ended(ends: Ends) -> String {
    match ends {
        Ends::As(outcome) => format!("ended as {outcome}"),
        Ends::NotOnRecord => "gone on, to an end that is not on record".to_owned(),
    }
}

fn short(text: &str) -> String {
    let line = one_line(text);
    match line.char_indices().nth(TOLD_MAX) {
        None => line,
        Some((cut, _)) => format!("{}..", &line[..cut]),
    }
}
