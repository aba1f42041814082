//! `lifeboat maintenance begin` and `end`: while it is on, no run of the plan is admitted.

use lifeboat_rules::word::{Says, Word, Words};
use lifeboat_runtime::Store;
use serde_json::json;

use crate::args::MaintenanceArgs;
use crate::aws;
use crate::failure::Failure;
use crate::output::{Report, State, moment};
use crate::person;
use crate::uploaded::uploaded;

pub(crate) async fn begin(args: &MaintenanceArgs) -> Result<Report, Failure> {
    run(args, Says::MaintenanceBegin).await
}

pub(crate) async fn end(args: &MaintenanceArgs) -> Result<Report, Failure> {
    run(args, Says::MaintenanceEnd).await
}

async fn run(args: &MaintenanceArgs, says: Says) -> Result<Report, Failure> {
    let control = &args.plan.control.bucket;
    let by = person::name(&args.word)?;
    let store = Store::new(&aws::config(&args.plan.aws, None).await?);
    let plan = uploaded(&store, control, &args.plan.name).await?;
    let said = run_control::words(&store, control, &plan.name).await.map_err(|error| {
        aws::step_failure(
            format!("could not read what was said about {}; nothing was done", plan.name),
            &error,
        )
    })?;
    let on = Words::hear(said.iter().map(|(_, word)| word.clone())).maintenance;
    let wanted = says == Says::MaintenanceBegin;
    if on.is_some() == wanted {
        // The word that made it so; none where maintenance never was.
        let since = on.or_else(|| said.into_iter().map(|(_, word)| word).rfind(|word| word.says == says));
        return Ok(report(&plan.name, wanted, State::DoneAlready, since.as_ref()));
    }
    let word = Word { at: lifeboat_runtime::now(), by, reason: args.word.reason.clone(), says };
    run_control::say(&store, control, &plan.name, &word).await.map_err(|error| {
        let what = match wanted {
            true => format!("could not begin the maintenance of {}", plan.name),
            false => format!("could not end the maintenance of {}", plan.name),
        };
        aws::step_failure(what, &error)
    })?;
    Ok(report(&plan.name, wanted, State::Done, Some(&word)))
}

/// `since` is the word that made it so.
fn report(plan: &str, on: bool, state: State, since: Option<&Word>) -> Report {
    let headline = match (on, state) {
        (true, State::Done) => format!("{plan} is in maintenance: no run is admitted until it is ended"),
        (true, State::DoneAlready) => format!("{plan} is in maintenance already; nothing was said"),
        (false, State::Done) => format!("the maintenance of {plan} is over: runs are admitted again"),
        (false, State::DoneAlready) => format!("{plan} is not in maintenance; nothing was said"),
    };
    let details = since.map(|word| {
        vec![("since", moment(word.at)), ("by", word.by.clone()), ("reason", word.reason.clone())]
    });
    Report {
        headline,
        details: details.unwrap_or_default(),
        json: json!({
            "plan": plan,
            "maintenance": { "on": on, "change": state, "since": since },
        }),
        ..Report::default()
    }
}
