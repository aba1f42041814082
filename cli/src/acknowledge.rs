//! `lifeboat acknowledge`: the automatic failovers so far are known, and the next alarm may start a run.

use lifeboat_rules::admission::{Holder, in_window, is_automatic_failover};
use lifeboat_rules::word::{Says, Word};
use lifeboat_rules::{Outcome, Plan};
use lifeboat_runtime::Store;
use serde_json::json;

use crate::args::AcknowledgeArgs;
use crate::aws;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Report, State, moment};
use crate::person;
use crate::uploaded::uploaded;

pub(crate) async fn run(args: &AcknowledgeArgs) -> Result<Report, Failure> {
    let control = &args.plan.control.bucket;
    let by = person::name(&args.word)?;
    let store = Store::new(&aws::config(&args.plan.aws, None).await?);
    let plan = uploaded(&store, control, &args.plan.name).await?;
    let unread = |what: &str| {
        let what = format!("could not read {what} of {}; nothing was said", plan.name);
        move |error| aws::step_failure(what.clone(), &error)
    };
    let now = lifeboat_runtime::now();
    let said = run_control::words(&store, control, &plan.name).await.map_err(unread("the words"))?;
    let before = newest_acknowledgement(&said);
    let enough = |holder: &Holder| {
        holder.epoch <= before.map_or(1, |(epoch, _)| epoch) || !in_window(&plan, holder, now)
    };
    let holders = run_control::holders(&store, control, &args.evidence.evidence_bucket, &plan.name, enough)
        .await
        .map_err(unread("the epochs"))?;
    let Some(newest) = holders.first() else {
        return Err(Failure::new(
            Exit::Halted,
            format!("no epoch was ever claimed for {}: there is nothing to acknowledge", plan.name),
            "open its ledger first with `lifeboat init`",
        ));
    };
    if let Some((epoch, word)) = before
        && epoch >= newest.epoch
    {
        return Ok(report(&plan, State::DoneAlready, epoch, word, &[]));
    }
    let epoch = newest.epoch;
    let word = Word { at: now, by, reason: args.word.reason.clone(), says: Says::Acknowledge { epoch } };
    run_control::say(&store, control, &plan.name, &word).await.map_err(|error| {
        aws::step_failure(
            format!("could not acknowledge the failovers of {} through epoch {epoch}", plan.name),
            &error,
        )
    })?;
    let covered: Vec<Holder> = holders
        .into_iter()
        .filter(|holder| is_automatic_failover(holder) && in_window(&plan, holder, now))
        .filter(|holder| before.is_none_or(|(epoch, _)| holder.epoch > epoch))
        .collect();
    Ok(report(&plan, State::Done, epoch, &word, &covered))
}

/// The greatest epoch that was acknowledged, and the word that did it first.
fn newest_acknowledgement(said: &[(u64, Word)]) -> Option<(u64, &Word)> {
    let acknowledgements = said.iter().filter_map(|(_, word)| match word.says {
        Says::Acknowledge { epoch } => Some((epoch, word)),
        _ => None,
    });
    acknowledgements.reduce(|first, next| if next.0 > first.0 { next } else { first })
}

fn report(plan: &Plan, state: State, epoch: u64, word: &Word, covered: &[Holder]) -> Report {
    let name = &plan.name;
    let window = plan.admission.anti_flap_seconds;
    let headline = match state {
        State::Done => format!("the automatic failovers of {name} through epoch {epoch} are acknowledged"),
        State::DoneAlready => {
            format!("the automatic failovers of {name} through epoch {epoch} are acknowledged already")
        }
    };
    let mut details = vec![("at", moment(word.at)), ("by", word.by.clone()), ("reason", word.reason.clone())];
    if state == State::Done && covered.is_empty() {
        details.push(("covers", format!("none: no alarm's run has failed over in the last {window} s")));
    }
    details.extend(covered.iter().map(|holder| {
        let came_to = holder.outcome.map_or("open", Outcome::as_str);
        ("covers", format!("run {} (epoch {}, {}): {came_to}", holder.run, holder.epoch, moment(holder.at)))
    }));
    Report {
        headline,
        details,
        json: json!({
            "plan": name,
            "acknowledge": state,
            "epoch": epoch,
            "word": word,
            "covers": covered,
        }),
        ..Report::default()
    }
}
