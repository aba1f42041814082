//! `lifeboat init`: the beginning of a ledger. Epoch 1 is claimed under the name `genesis`, and every stream of the
//! plan is opened for the primary (with leases: its lease is made), by the code that the Lambdas run.

use ledger_verify::{lease, open_stream};
use lifeboat_ledger::control::Open;
use lifeboat_ledger::{Control, Holder, Tail};
use lifeboat_rules::admission::{GENESIS, GENESIS_EPOCH};
use lifeboat_rules::epoch::{self, Cause, Claim};
use lifeboat_rules::{ErrorName, Plan, StepError};
use lifeboat_runtime::{Log, Store};
use run_control::{claim_epoch, newest_epoch};
use serde_json::json;

use crate::args::InitArgs;
use crate::aws;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Report, State};
use crate::source;
use crate::uploaded::{plan_key, uploaded};

pub(crate) async fn run(args: &InitArgs) -> Result<Report, Failure> {
    let control = &args.control.bucket;
    let local = match &args.file {
        Some(file) => Some(source::check(file)?.plan),
        None => None,
    };
    let home = local.as_ref().map(|plan| plan.regions.recovery.as_str());
    let store = Store::new(&aws::config(&args.aws, home).await?);
    let mut warnings = Vec::new();
    let plan = match (local, &args.plan) {
        (Some(plan), _) => {
            warnings.extend(unlike_uploaded(&store, control, &plan).await?);
            plan
        }
        (None, name) => uploaded(&store, control, name.as_deref().unwrap_or_default()).await?,
    };

    let newest = claim(&store, control, &plan.name).await?;
    let claimed = if newest == 0 { State::Done } else { State::DoneAlready };
    let mut streams = Vec::new();
    for stream in &plan.ledger.streams {
        let state = match plan.ledger.lease {
            None => open(&store, &plan, stream, newest).await?,
            Some(_) => make_lease(&store, &plan, stream, newest).await?,
        };
        streams.push((stream.as_str(), state));
    }
    Ok(report(&plan, claimed, &streams, warnings))
}

fn report(plan: &Plan, claimed: State, streams: &[(&str, State)], warnings: Vec<String>) -> Report {
    let named = |wanted: State| {
        let names: Vec<&str> =
            streams.iter().filter(|(_, state)| *state == wanted).map(|(name, _)| *name).collect();
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    };
    let all_open = streams.iter().all(|(_, state)| *state == State::DoneAlready);
    Report {
        headline: if all_open {
            format!("the ledger of {} is already open", plan.name)
        } else {
            format!("opened the ledger of {} for the primary in {}", plan.name, plan.regions.primary)
        },
        details: vec![
            (
                "epoch",
                match claimed {
                    State::Done => format!("{GENESIS_EPOCH}, claimed"),
                    State::DoneAlready => format!("{GENESIS_EPOCH}, claimed before"),
                },
            ),
            ("opened", named(State::Done)),
            ("already open", named(State::DoneAlready)),
        ],
        warnings,
        json: json!({
            "plan": plan.name,
            "epoch": { "number": GENESIS_EPOCH, "claim": claimed },
            "streams": streams
                .iter()
                .map(|(stream, state)| json!({ "stream": stream, "open": state }))
                .collect::<Vec<_>>(),
        }),
        ..Report::default()
    }
}

/// What to say where the file is not what the Lambdas will read.
async fn unlike_uploaded(store: &Store, control: &str, plan: &Plan) -> Result<Option<String>, Failure> {
    let key = plan_key(&plan.name);
    let found = store
        .get(control, &key, None)
        .await
        .map_err(|error| aws::step_failure(format!("could not read s3://{control}/{key}"), &error))?;
    Ok(match found {
        None => Some(format!(
            "s3://{control}/{key} is not there yet: run `lifeboat plan upload` before a failover"
        )),
        Some(bytes) if bytes != plan.canonical_json() => Some(format!(
            "s3://{control}/{key} is another version of this plan: `lifeboat plan upload` stores this one"
        )),
        Some(_) => None,
    })
}

/// Claims the first epoch, and returns the newest one that there was before; 0 for none.
async fn claim(store: &Store, control: &str, plan: &str) -> Result<u64, Failure> {
    let what = || format!("could not claim s3://{control}/{}", epoch::key(plan, GENESIS_EPOCH));
    let failed = |error: StepError| match error.name {
        ErrorName::Fenced => {
            let next = "this ledger was begun in another way: find out how before it is given to a side";
            Failure::new(Exit::Halted, format!("{}; nothing was opened", what()), next).because(&error)
        }
        _ => aws::step_failure(what(), &error),
    };
    let newest = newest_epoch(store, control, plan).await.map_err(failed)?;
    let claim = Claim {
        epoch: GENESIS_EPOCH,
        run: GENESIS.to_owned(),
        at: lifeboat_runtime::now(),
        cause: Cause::Genesis,
    };
    claim_epoch(store, control, plan, &claim).await.map_err(failed)?;
    Ok(newest)
}

/// Opens one stream, unless this command has opened it before.
async fn open(store: &Store, plan: &Plan, stream: &str, newest: u64) -> Result<State, Failure> {
    let log = Log::new(store, &plan.ledger);
    let key = log.key(stream, 1);
    let what = || format!("could not open stream {stream} in s3://{}/{key}", plan.ledger.bucket);
    let failed = |error: StepError| aws::step_failure(what(), &error);
    if let Some(first) = log.segment(&key).await.map_err(failed)? {
        return if begins_with_genesis(stream, &first) {
            Ok(State::DoneAlready)
        } else {
            Err(Failure::new(
                Exit::Halted,
                format!("stream {stream} begins with something else: s3://{}/{key}", plan.ledger.bucket),
                "look at its first line: only a stream that nobody has written to can be opened here",
            ))
        };
    }
    refuse_late(stream, newest)?;
    open_stream(store, plan, stream, GENESIS_EPOCH, GENESIS).await.map_err(failed)?;
    Ok(State::Done)
}

/// Makes the lease of one stream, unless this command has made it before.
async fn make_lease(store: &Store, plan: &Plan, stream: &str, newest: u64) -> Result<State, Failure> {
    let place = format!("s3://{}/{}", plan.ledger.bucket, lifeboat_ledger::lease::key(stream));
    let failed = |error: StepError| aws::step_failure(format!("could not make the lease {place}"), &error);
    if let Some((found, _)) = Log::new(store, &plan.ledger).lease(stream).await.map_err(failed)? {
        // Whoever has it by now, this is how it began.
        let first = found.closed.first().map_or(found.epoch, |closed| closed.epoch);
        return if first == GENESIS_EPOCH {
            Ok(State::DoneAlready)
        } else {
            Err(Failure::new(
                Exit::Halted,
                format!("the lease of stream {stream} began with epoch {first}: {place}"),
                "find out who made it: only a stream that has no lease yet can be given one here",
            ))
        };
    }
    refuse_late(stream, newest)?;
    lease::first(store, plan, stream, GENESIS_EPOCH, GENESIS).await.map_err(failed)?;
    Ok(State::Done)
}

/// The pen may be with the recovery side by now, and a new stream for the primary would tear them apart.
fn refuse_late(stream: &str, newest: u64) -> Result<(), Failure> {
    if newest <= GENESIS_EPOCH {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Halted,
        format!("stream {stream} is new, but epoch {newest} has been claimed since: it was not opened"),
        "see what came of that run; a stream is added while the primary holds the first epoch",
    ))
}

fn begins_with_genesis(stream: &str, first: &[u8]) -> bool {
    let genesis =
        Control::Open(Open { epoch: GENESIS_EPOCH, holder: Holder::Primary, run: GENESIS.to_owned() });
    let entries = Tail::new(stream).absorb_segment(1, first).unwrap_or_default();
    entries.first().is_some_and(|(entry, _)| entry.control.as_ref() == Some(&genesis))
}
