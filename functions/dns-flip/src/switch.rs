//! The `switch` strategy: a flip is one object, and what the newest one says is published as a metric.
//!
//! Nothing here grows with the number of names, and nothing calls Route 53.

use lifeboat_rules::decided::{Newest, Taken};
use lifeboat_rules::dns::switch::{FlipObject, key};
use lifeboat_rules::plan::Side;
use lifeboat_rules::{ErrorName, StepError};
use lifeboat_runtime::{
    NewestFlip, Put, Store, StoredFlip, claimed_epochs, decide, newest_flip as newest_stored,
};
use serde::{Deserialize, Serialize};

use crate::gate::{Gate, Point};

/// What a flip has left, and what it said of it at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Switched {
    /// The flip object's key in the control bucket.
    pub key: String,
    /// Its version, where the bucket keeps any.
    pub version: Option<String>,
    /// The point of the metric; `None` where CloudWatch did not take it just now, which the keeper's next call makes good.
    pub published: Option<Point>,
}

/// Moves all traffic of `plan` to `side` under `epoch`: creates the flip object, sees to it that none is newer, and publishes
/// it. Done twice it is done once.
///
/// # Errors
/// `Fenced` where a newer epoch has moved the traffic, or another run under this epoch: nothing has come of this flip then.
/// `Transient`, `Defect` as [`Store::create`], [`lifeboat_runtime::newest_flip`] and [`Gate::publish`]; the
/// same call again is safe.
pub async fn flip(
    store: &Store,
    control_bucket: &str,
    gate: &Gate,
    plan: &str,
    wanted: &FlipObject,
) -> Result<Switched, StepError> {
    let key = key(plan, wanted.epoch);
    if let Put::Exists(bytes) = store.create(control_bucket, &key, &wanted.to_json()).await? {
        let found = FlipObject::parse(&key, wanted.epoch, &bytes)?;
        decide(&(), &Taken { found, mine: wanted.clone() })?;
    }
    let NewestFlip { flip, read_at } = newest_stored(store, control_bucket, plan).await?;
    let newest = flip.as_ref().map(|newest| newest.object.clone());
    decide(&(), &Newest { newest, mine: wanted.clone() })?;
    let Some(newest) = flip else {
        return Err(StepError::defect(format!("{key} was judged and is not there")));
    };
    let StoredFlip { key, version, .. } = newest;
    let published = match gate.publish(plan, wanted.side, read_at).await {
        Ok(point) => Some(point),
        // The traffic is moved as soon as anybody publishes, and the keeper does each minute.
        Err(err) if err.name == ErrorName::Transient => {
            tracing::warn!("{err}; the keeper's next call publishes the flip");
            None
        }
        Err(err) => return Err(err),
    };
    Ok(Switched { key, version, published })
}

/// What the keeper found and wrote.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// The epoch of the newest flip; `None` where traffic was never moved.
    pub epoch: Option<u64>,
    /// Where traffic belongs: to the primary, where it was never moved.
    pub side: Side,
    /// The point that says so.
    pub published: Point,
}

/// Publishes what the newest flip of `plan` says. Where that cannot be found out nothing is written, and traffic stays.
///
/// # Errors
/// As [`lifeboat_runtime::newest_flip`] and [`Gate::publish`]; `Defect` where the bucket has not even an epoch of the plan.
pub async fn keep(store: &Store, control_bucket: &str, gate: &Gate, plan: &str) -> Result<Kept, StepError> {
    let NewestFlip { flip, read_at } = newest_stored(store, control_bucket, plan).await?;
    let (epoch, side) = match flip {
        Some(StoredFlip { object, .. }) => (Some(object.epoch), object.side),
        // A bucket that knows neither a flip nor an epoch of the plan is not the one in which it is led: it says nothing about
        // where traffic belongs, and nothing is published.
        None if claimed_epochs(store, control_bucket, plan).await?.is_empty() => {
            return Err(StepError::defect(format!(
                "s3://{control_bucket} has no epoch of {plan}: name its control bucket, or run `lifeboat init`"
            )));
        }
        None => (None, Side::Primary),
    };
    // The time of the point is that of the look, not of the writing: a keeper that slept in between writes into the past, and
    // not over what was published since.
    let published = gate.publish(plan, side, read_at).await?;
    Ok(Kept { epoch, side, published })
}

/// The newest flip of `plan`, without any effect; `None` where traffic was never moved.
///
/// # Errors
/// As [`lifeboat_runtime::newest_flip`].
pub async fn newest_flip(
    store: &Store,
    control_bucket: &str,
    plan: &str,
) -> Result<Option<FlipObject>, StepError> {
    let newest = newest_stored(store, control_bucket, plan).await?;
    Ok(newest.flip.map(|flip| flip.object))
}
