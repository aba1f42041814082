//! `lifeboat runs`, which is `lifeboat evidence list` too: the last runs, by what they left in the evidence bucket.

use std::collections::BTreeMap;

use aws_sdk_s3::Client;
use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use lifeboat_runtime::Store;
use serde::Serialize;
use serde_json::Value;

use crate::args::RunsArgs;
use crate::aws;
use crate::failure::Failure;
use crate::output::{Report, moment, one_line, table};

/// Objects that one listing looks at: fifty calls. A run leaves some four (a refusal) to two hundred.
const OBJECTS_MAX: usize = 50_000;

/// Runs read at once.
const READS_IN_FLIGHT: usize = 16;

const MANIFEST: &str = "manifest.json";

/// The runs that were found.
#[derive(Debug, Serialize)]
pub(crate) struct Runs {
    /// The newest, up to as many as were asked for.
    pub(crate) list: Vec<Seen>,
    /// How many there are in all that was looked at.
    pub(crate) found: usize,
    /// Whether there is more evidence than was looked at.
    pub(crate) cut: bool,
    #[serde(skip)]
    last_looked_at: String,
}

impl Runs {
    /// What a person should know of the runs that are not told of.
    pub(crate) fn left_out(&self) -> Vec<String> {
        let mut told = Vec::new();
        if self.cut {
            told.push(format!(
                "the evidence holds more than {OBJECTS_MAX} objects: runs whose names come after {} were not looked at",
                self.last_looked_at
            ));
        }
        if self.found > self.list.len() {
            told.push(format!(
                "{} older runs are left out; --runs N tells of more",
                self.found - self.list.len()
            ));
        }
        told
    }
}

/// What [`Seen::row`] has in its columns.
pub(crate) const HEADING: [&str; 6] = ["began", "run", "started by", "took", "outcome", "reason"];

/// One run.
#[derive(Debug, Serialize)]
pub(crate) struct Seen {
    pub(crate) run: String,
    /// When its first object was stored, by the store's clock.
    began_at: Timestamp,
    closed_at: Option<Timestamp>,
    /// What its start says, of an alarm or a person; of a hand-back or a flip, who did it.
    started_by: Option<Value>,
    pub(crate) state: State,
    outcome: Option<String>,
    reason: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// It has a manifest.
    Closed,
    /// It has none: under way, or stopped.
    Open,
    /// It has one that says no outcome.
    Unreadable,
}

/// What a listing tells of a run.
struct Listed {
    began_at: Timestamp,
    /// The first key below the run's prefix: keys begin with the moment at which their state was entered.
    first_key: String,
    has_manifest: bool,
}

pub(crate) async fn run(args: &RunsArgs) -> Result<Report, Failure> {
    let config = aws::config(&args.aws, None).await?;
    let (store, bucket) = (Store::new(&config), &args.evidence.evidence_bucket);
    let runs = read(&aws::s3(&config), &store, bucket, &args.name, usize::from(args.runs)).await?;
    Ok(Report {
        headline: match runs.found {
            0 => format!("{} has left no evidence in s3://{bucket}", args.name),
            1 => format!("1 run of {} has left evidence", args.name),
            found => format!("{found} runs of {} have left evidence", args.name),
        },
        tables: vec![("Runs, the newest first", table(HEADING, runs.list.iter().map(Seen::row)))],
        warnings: runs.left_out(),
        json: serde_json::json!({ "plan": args.name, "runs": runs }),
        ..Report::default()
    })
}

/// The newest runs of a plan, as many as `runs_max`.
pub(crate) async fn read(
    client: &Client,
    store: &Store,
    bucket: &str,
    plan: &str,
    runs_max: usize,
) -> Result<Runs, Failure> {
    let (listed, cut) = list(client, bucket, plan).await?;
    let last_looked_at = listed.keys().next_back().cloned().unwrap_or_default();
    let found = listed.len();
    let mut newest: Vec<(String, Listed)> = listed.into_iter().collect();
    newest.sort_by(|(name, run), (other_name, other)| {
        other.began_at.cmp(&run.began_at).then_with(|| other_name.cmp(name))
    });
    newest.truncate(runs_max);
    let looks = newest.into_iter().map(|(run, listed)| look(store, bucket, plan, run, listed));
    let list = stream::iter(looks).buffered(READS_IN_FLIGHT).try_collect().await?;
    Ok(Runs { list, found, cut, last_looked_at })
}

/// Every run of the plan, by name, and whether the listing was cut.
async fn list(
    client: &Client,
    bucket: &str,
    plan: &str,
) -> Result<(BTreeMap<String, Listed>, bool), Failure> {
    let prefix = format!("{plan}/");
    let mut pages = client.list_objects_v2().bucket(bucket).prefix(&prefix).into_paginator().send();
    let mut runs: BTreeMap<String, Listed> = BTreeMap::new();
    let mut objects = 0;
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| {
            aws::failure(format!("could not list the evidence s3://{bucket}/{prefix}"), error)
        })?;
        for object in page.contents() {
            if objects == OBJECTS_MAX {
                return Ok((runs, true));
            }
            objects += 1;
            let stored_at = object.last_modified().and_then(|at| at.to_millis().ok());
            let stored_at = stored_at.and_then(|at| Timestamp::from_millisecond(at).ok());
            let name = object.key().and_then(|key| key.strip_prefix(&prefix)?.split_once('/'));
            let (Some(at), Some((run, key))) = (stored_at, name) else { continue };
            let run = runs.entry(run.to_owned()).or_insert_with(|| Listed {
                began_at: at,
                first_key: key.to_owned(),
                has_manifest: false,
            });
            run.began_at = run.began_at.min(at);
            run.has_manifest |= key == MANIFEST;
        }
    }
    Ok((runs, false))
}

/// Reads one run's manifest, and where that does not name who started it, its first record.
///
/// Both are read as plain JSON, of which only this is taken: those of another version of Lifeboat can be read as well.
async fn look(store: &Store, bucket: &str, plan: &str, run: String, listed: Listed) -> Result<Seen, Failure> {
    let read = async |key: &str| {
        let key = format!("{plan}/{run}/{key}");
        let bytes = store.get(bucket, &key, None).await.map_err(|error| {
            aws::step_failure(format!("could not read the evidence s3://{bucket}/{key}"), &error)
        })?;
        Ok(serde_json::from_slice::<Value>(&bytes.unwrap_or_default()).unwrap_or_default())
    };
    let manifest = if listed.has_manifest { read(MANIFEST).await? } else { Value::Null };
    let text = |field: &str| manifest[field].as_str().map(str::to_owned);
    let outcome = text("outcome");
    let mut started_by = start_of_manifest(&manifest);
    if started_by.is_none() && listed.first_key != MANIFEST {
        started_by =
            something(&read(&listed.first_key).await?["body"]["action"]["admit"]["input"]["trigger"]);
    }
    Ok(Seen {
        began_at: listed.began_at,
        closed_at: text("closed_at").and_then(|at| at.parse().ok()),
        started_by,
        state: match (listed.has_manifest, &outcome) {
            (false, _) => State::Open,
            (true, Some(_)) => State::Closed,
            (true, None) => State::Unreadable,
        },
        reason: text("reason"),
        outcome,
        run,
    })
}

fn start_of_manifest(manifest: &Value) -> Option<Value> {
    // A person's act is admitted by nobody. A run that was not admitted either comes to neither of these.
    let kind = match (manifest["admitted"].is_null(), manifest["outcome"].as_str()) {
        (true, Some("HandedBack")) => Some("hand_back"),
        (true, Some("Recovered")) => Some("flip"),
        _ => None,
    };
    if let Some(kind) = kind {
        return Some(serde_json::json!({ "kind": kind, "by": manifest["facts"]["by"] }));
    }
    something(&manifest["admitted"]["trigger"])
}

fn something(value: &Value) -> Option<Value> {
    (!value.is_null()).then(|| value.clone())
}

impl Seen {
    pub(crate) fn row(&self) -> [String; 6] {
        let start = self.started_by.clone().unwrap_or_default();
        let said = |field: &str| start[field].as_str().map(one_line);
        let started_by = match start["kind"].as_str() {
            Some("alarm") => format!("alarm {}", said("alarm").unwrap_or_default()),
            Some("operator") => said("by").unwrap_or_else(|| "by hand".to_owned()),
            Some("hand_back" | "flip") => said("by").unwrap_or_default(),
            _ => "?".to_owned(),
        };
        let outcome = match (self.state, &self.outcome) {
            (State::Open, _) => "open".to_owned(),
            (_, Some(outcome)) => one_line(outcome),
            (_, None) => "its manifest cannot be read".to_owned(),
        };
        let reason = self.reason.as_deref().map(one_line).unwrap_or_default();
        // Two clocks: the store's, to the second, and the closing function's. Where they disagree nothing is said.
        let took = self.closed_at.map(|closed| closed.duration_since(self.began_at).as_secs());
        let took =
            took.filter(|seconds| *seconds >= 0).map_or_else(String::new, |seconds| format!("{seconds} s"));
        let started_by = started_by.trim_end().to_owned();
        [moment(self.began_at), one_line(&self.run), started_by, took, outcome, reason]
    }
}
