//! What is due by the plan's regimes, after the newest run whose outage was confirmed.

use jiff::Timestamp;
use lifeboat_rules::Plan;
use lifeboat_rules::evidence::{Manifest, Record, manifest_key, prefix};
use lifeboat_rules::notices::{CONFIRMED, Due, NO_ADVICE, Notice, confirmed_at, notices, notices_so_far};
use lifeboat_runtime::Store;
use serde_json::{Value, json};

use crate::aws;
use crate::failure::Failure;
use crate::output::moment;
use crate::runs::{Seen, State};

/// What [`Clocks::rows`] has in its columns.
pub(super) const HEADING: [&str; 4] = ["due", "by", "what", "stands"];

/// Objects below a run that are looked through for the confirmation.
const OBJECTS_MAX: usize = 20_000;

/// What is due, and after which run.
pub(super) struct Clocks {
    run: String,
    confirmed_at: Timestamp,
    notices: Vec<Notice>,
    now: Timestamp,
}

/// Looks through the runs, the newest first. Reads nothing where the plan names no regime.
pub(super) async fn read(
    store: &Store,
    bucket: &str,
    plan: &Plan,
    runs: &[Seen],
    now: Timestamp,
) -> Result<Option<Clocks>, Failure> {
    if plan.regulation.is_empty() {
        return Ok(None);
    }
    for seen in runs {
        let run = seen.run.clone();
        let found = match seen.state {
            State::Closed => closed(store, bucket, plan, &run).await?,
            State::Open => open(store, bucket, plan, &run).await?,
            State::Unreadable => None,
        };
        if let Some((confirmed_at, notices)) = found {
            return Ok(Some(Clocks { run, confirmed_at, notices, now }));
        }
    }
    Ok(None)
}

/// A manifest of another version of Lifeboat is passed over.
async fn closed(
    store: &Store,
    bucket: &str,
    plan: &Plan,
    run: &str,
) -> Result<Option<(Timestamp, Vec<Notice>)>, Failure> {
    let bytes = get(store, bucket, &manifest_key(&plan.name, run)).await?;
    let manifest = serde_json::from_slice::<Manifest>(&bytes).ok();
    Ok(manifest.and_then(|manifest| Some((confirmed_at(&manifest)?, notices(plan, &manifest)))))
}

async fn open(
    store: &Store,
    bucket: &str,
    plan: &Plan,
    run: &str,
) -> Result<Option<(Timestamp, Vec<Notice>)>, Failure> {
    let of_run = prefix(&plan.name, run);
    let listed = store.list(bucket, &of_run, OBJECTS_MAX).await.map_err(|error| {
        aws::step_failure(format!("could not list the evidence s3://{bucket}/{of_run}"), &error)
    })?;
    let confirms = |key: &&str| key.contains("-Confirm-the-outage-") && key.ends_with("-outcome.json");
    for key in listed.iter().map(|object| object.key.as_str()).filter(confirms) {
        let Ok(record) = serde_json::from_slice::<Record>(&get(store, bucket, key).await?) else { continue };
        if record.body["result"]["verdict"] == CONFIRMED {
            return Ok(Some((record.at, notices_so_far(plan, run, record.at))));
        }
    }
    Ok(None)
}

async fn get(store: &Store, bucket: &str, key: &str) -> Result<Vec<u8>, Failure> {
    let bytes = store.get(bucket, key, None).await.map_err(|error| {
        aws::step_failure(format!("could not read the evidence s3://{bucket}/{key}"), &error)
    })?;
    Ok(bytes.unwrap_or_default())
}

impl Clocks {
    pub(super) fn rows(&self) -> impl Iterator<Item = [String; 4]> {
        self.notices.iter().map(|notice| {
            let due = match notice.due {
                Due::AtOnce => "at once".to_owned(),
                Due::By { at } => moment(at),
                Due::NotKnown => "see --json".to_owned(),
            };
            let stands = notice.state(self.now).words().to_owned();
            [due, notice.regime.called().to_owned(), notice.what.to_owned(), stands]
        })
    }

    /// For a person.
    pub(super) fn text(&self) -> String {
        format!(
            "counted from the outage that run {} confirmed at {}; Lifeboat files nothing, and does not know what was filed",
            self.run,
            moment(self.confirmed_at)
        )
    }

    pub(super) fn json(&self) -> Value {
        let one = |notice: &Notice| {
            let mut told = json!(notice);
            told["state"] = json!(notice.state(self.now));
            told
        };
        json!({
            "run": self.run,
            "confirmed_at": self.confirmed_at,
            "no_advice": NO_ADVICE,
            "notices": self.notices.iter().map(one).collect::<Vec<_>>(),
        })
    }
}
