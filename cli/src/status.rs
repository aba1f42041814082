//! `lifeboat status`: where a plan stands. It reads, and changes nothing.

pub(crate) mod admission;
mod ledger;
mod notices;
mod traffic;

use comfy_table::Table;
use lifeboat_ledger::Verdict;
use lifeboat_rules::admission::Holder;
use lifeboat_rules::epoch::Cause;
use lifeboat_rules::notices::NO_ADVICE;
use lifeboat_rules::word::{Says, Word};
use lifeboat_runtime::{Store, now};
use serde_json::json;

use crate::args::StatusArgs;
use crate::aws;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Report, moment, one_line, table};
use crate::runs::{self, Runs, Seen};
use crate::uploaded::uploaded;
use admission::Standing;
use ledger::{Proven, Stream};
use notices::Clocks;
use traffic::Traffic;

/// Words that are told of, the newest.
const WORDS_SHOWN: usize = 10;

pub(crate) async fn run(args: &StatusArgs) -> Result<Report, Failure> {
    let config = aws::config(&args.plan.aws, None).await?;
    let (store, control) = (Store::new(&config), &args.plan.control.bucket);
    let evidence = &args.evidence.evidence_bucket;
    let plan = uploaded(&store, control, &args.plan.name).await?;

    let said = run_control::words(&store, control, &plan.name).await.map_err(|error| {
        aws::step_failure(format!("could not read what was said about {}", plan.name), &error)
    })?;
    let executions = args.state_machine.as_deref().map(|arn| (aws::executions(&config), arn));
    let standing = admission::read(&store, control, evidence, &plan, executions.as_ref()).await?;
    let traffic = traffic::look(&config, &store, control, &plan).await;
    let streams = ledger::look(&store, &plan).await?;
    let proven = if args.verify { Some(ledger::prove(&store, &plan).await?) } else { None };
    let runs = runs::read(&aws::s3(&config), &store, evidence, &plan.name, usize::from(args.runs)).await?;

    let clocks = notices::read(&store, evidence, &plan, &runs.list, now()).await?;

    let newest = standing.before.holders.first();
    let first_shown = said.len().saturating_sub(WORDS_SHOWN);
    let (words, words_left_out) = (&said[first_shown..], first_shown);
    let exit = if args.check { judge(&standing, proven.as_ref()) } else { Exit::Done };
    Ok(Report {
        headline: match standing.alarm.admitted {
            true => format!("{}: an alarm would start a run", plan.name),
            false => format!("{}: no alarm starts a run now", plan.name),
        },
        details: {
            let mut details = details(&plan, &standing, &traffic, proven.as_ref());
            details.extend(clocks.iter().map(|clocks| ("notices", clocks.text())));
            details
        },
        tables: tables(&streams, &runs, clocks.as_ref(), words),
        warnings: {
            let mut warnings = warnings(&standing, &runs, words_left_out);
            warnings.extend(clocks.iter().map(|_| NO_ADVICE.to_owned()));
            warnings
        },
        json: json!({
            "plan": plan.name,
            "digest": plan.digest(),
            "regions": plan.regions,
            "epoch": newest,
            "holders": standing.before.holders,
            "fence": (standing.before.fenced > 0).then_some(standing.before.fenced),
            "traffic": traffic,
            "running": standing.running.as_str(),
            "alarm": standing.alarm,
            "by_hand": standing.by_hand,
            "maintenance": standing.before.words.maintenance,
            "anti_flap_seconds": plan.admission.anti_flap_seconds,
            "acknowledged": standing.before.words.acknowledged,
            "streams": streams,
            "verification": proven,
            "runs": runs,
            "notices": clocks.as_ref().map(Clocks::json),
            "words": words.iter().map(|(number, word)| json!({ "number": number, "word": word })).collect::<Vec<_>>(),
            "words_left_out": words_left_out,
        }),
        exit,
        ..Report::default()
    })
}

fn tables(
    streams: &[Stream],
    runs: &Runs,
    clocks: Option<&Clocks>,
    words: &[(u64, Word)],
) -> Vec<(&'static str, Table)> {
    let words = words.iter().rev().map(|(_, word)| row_of_word(word));
    let mut tables = vec![
        ("Streams", table(["stream", "last entry", "", "age"], streams.iter().map(Stream::row))),
        ("Runs, the newest first", table(runs::HEADING, runs.list.iter().map(Seen::row))),
    ];
    tables.extend(clocks.map(|clocks| ("Notices", table(notices::HEADING, clocks.rows()))));
    tables.push(("Words, the newest first", table(["said", "by", "what", "reason"], words)));
    tables
}

/// What `--check` answers. `Broken` outranks `Unproven`, which outranks a refusal.
fn judge(standing: &Standing, proven: Option<&Proven>) -> Exit {
    match proven.map(|proven| proven.verdict) {
        Some(Verdict::Broken) => Exit::Broken,
        Some(Verdict::Unproven) => Exit::Unproven,
        _ if !standing.alarm.admitted => Exit::Halted,
        _ => Exit::Done,
    }
}

fn details(
    plan: &lifeboat_rules::Plan,
    standing: &Standing,
    traffic: &Traffic,
    proven: Option<&Proven>,
) -> Vec<(&'static str, String)> {
    let before = &standing.before;
    let mut details = vec![
        ("alarm", standing.alarm.text()),
        ("by hand", standing.by_hand.text()),
        ("epoch", before.holders.first().map_or("none was ever claimed".to_owned(), holder)),
        (
            "fence",
            match before.fenced {
                0 => "none: the pen was never taken from the primary".to_owned(),
                epoch => format!("the newest is that of epoch {epoch}"),
            },
        ),
        ("traffic", traffic.text()),
        (
            "maintenance",
            match &before.words.maintenance {
                None => "off".to_owned(),
                Some(word) => format!("since {}, by {}: {}", moment(word.at), word.by, word.reason),
            },
        ),
        (
            "anti-flap",
            match before.words.acknowledged {
                0 => format!("{} s", plan.admission.anti_flap_seconds),
                epoch => {
                    format!("{} s, acknowledged through epoch {epoch}", plan.admission.anti_flap_seconds)
                }
            },
        ),
    ];
    if let Some(proven) = proven {
        details.push(("ledger", format!("{:?}: {}", proven.verdict, proven.reason)));
        details.extend(proven.streams.iter().map(|stream| {
            let pen = crate::handback::pen(stream.pen.state());
            ("proven", format!("{} through {}: {pen}", stream.stream, stream.through))
        }));
    }
    details
}

fn holder(holder: &Holder) -> String {
    let cause = match holder.cause {
        Cause::Genesis => "the beginning of the ledger",
        Cause::Alarm => "started by the alarm",
        Cause::Operator => "started by hand",
        Cause::HandBack => "the pen given back to the primary",
    };
    let came_to = match (holder.cause, holder.outcome) {
        (Cause::Genesis, None) => String::new(),
        (_, None) => ", no manifest".to_owned(),
        (_, Some(outcome)) => format!(", {outcome}"),
    };
    format!("{}, run {}, {cause}, claimed {}{came_to}", holder.epoch, holder.run, moment(holder.at))
}

fn row_of_word(word: &Word) -> [String; 4] {
    let says = match word.says {
        Says::MaintenanceBegin => "maintenance begins".to_owned(),
        Says::MaintenanceEnd => "maintenance ends".to_owned(),
        Says::Acknowledge { epoch } => format!("acknowledged through epoch {epoch}"),
    };
    [moment(word.at), one_line(&word.by), says, one_line(&word.reason)]
}

fn warnings(standing: &Standing, runs: &Runs, words_left_out: usize) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(newest) = standing.before.holders.first() {
        match (newest.cause, newest.outcome) {
            (Cause::HandBack, None) => warnings.push(format!(
                "the hand-back {} was not finished: `lifeboat handback` again finishes it",
                newest.run
            )),
            _ if standing.running == admission::Running::NotAsked => warnings.push(format!(
                "run {} has no manifest: it is under way, or was stopped before it could write one; --state-machine asks \
                 Step Functions which",
                newest.run
            )),
            _ => {}
        }
    }
    warnings.extend(runs.left_out());
    if words_left_out > 0 {
        warnings.push(format!("{words_left_out} older words are left out"));
    }
    warnings
}
