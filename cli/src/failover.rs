//! `lifeboat failover`: a person starts a run. The run decides everything: this looks, asks, and starts it.

use alarm_trigger::StateMachine;
use jiff::Timestamp;
use lifeboat_rules::ErrorName;
use lifeboat_rules::evidence::sha256;
use lifeboat_runtime::{Context, Store};
use serde_json::json;

use crate::args::FailoverArgs;
use crate::aws;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Report, State, one_line};
use crate::person;
use crate::status::admission;
use crate::uploaded::{no_such_plan, plan_key};

pub(crate) async fn run(args: &FailoverArgs) -> Result<Report, Failure> {
    person::must_be_there(args.yes)?;
    let by = person::name(&args.word)?;
    let config = aws::config(&args.plan.aws, None).await?;
    let (store, control) = (Store::new(&config), &args.plan.control.bucket);
    let key = plan_key(&args.plan.name);
    let read = |error| aws::step_failure(format!("could not read the plan s3://{control}/{key}"), &error);
    let found = store.get_versioned(control, &key, None).await.map_err(read)?;
    let (bytes, version) = found.ok_or_else(|| no_such_plan(control, &key))?;
    let plan = Context::read_plan(&bytes).map_err(read)?;
    let executions = (aws::executions(&config), args.state_machine.as_str());
    let evidence = &args.evidence.evidence_bucket;
    let standing = admission::read(&store, control, evidence, &plan, Some(&executions)).await?;
    if !standing.by_hand.admitted {
        let what = format!("a run of {} {}; nothing was started", plan.name, standing.by_hand.text());
        let next = format!("see with `lifeboat status --plan {}` what stands in its way", plan.name);
        return Err(Failure::new(Exit::Halted, what, next));
    }
    let reason = &args.word.reason;
    let question = [
        format!(
            "Start a failover of {} from {} to {}:",
            plan.name, plan.regions.primary, plan.regions.recovery
        ),
        "  it confirms the outage, and stands down if the primary is not down;".to_owned(),
        format!(
            "  if it is, it launches {} stacks, takes the pen of {} streams from the primary, and moves the traffic.",
            plan.stacks.len(),
            plan.ledger.streams.len()
        ),
        format!("  plan     {} as it is now, digest {}", plan.name, plan.digest()),
        format!("  word     {}: {}", one_line(&by), one_line(reason)),
        "Go on?".to_owned(),
    ];
    person::agree(args.yes, &question)?;

    let machine = StateMachine { sfn: executions.0.sfn, arn: args.state_machine.clone() };
    let name = name(lifeboat_runtime::now(), &by, reason);
    let input = json!({
        "mode": "failover",
        "plan": { "key": key, "version": version },
        "trigger": { "kind": "operator", "by": by, "reason": reason },
    });
    let started = machine.start(&name, &input).await.map_err(|error| match error.name {
        ErrorName::Transient => {
            let what = format!("whether the run {name} of {} was started is not known", args.state_machine);
            let next = format!("see with `lifeboat status --plan {} --follow --run {name}`", plan.name);
            Failure::new(Exit::TryAgain, what, next).because(&error)
        }
        _ => aws::step_failure(format!("could not start the run {name} of {}", args.state_machine), &error),
    })?;
    Ok(Report {
        headline: format!("the run {name} of {} is started", plan.name),
        details: vec![
            ("confirms", "the outage first; it stands down if the primary is not down".to_owned()),
            ("follow", format!("lifeboat status --plan {} --follow --run {name}", plan.name)),
        ],
        json: json!({
            "plan": plan.name,
            "failover": if started { State::Done } else { State::DoneAlready },
            "run": name,
            "state_machine": args.state_machine,
            "input": input,
        }),
        ..Report::default()
    })
}

/// The moment, for people, and a digest of who and why: the same command twice within a second is one run.
fn name(now: Timestamp, by: &str, reason: &str) -> String {
    let digest = sha256(format!("{by}\n{reason}").as_bytes());
    format!("by-hand-{}-{}", now.strftime("%Y%m%dT%H%M%SZ"), &digest[..8])
}
