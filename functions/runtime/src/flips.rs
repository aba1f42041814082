//! The newest flip of a plan.

use jiff::Timestamp;
use lifeboat_rules::dns::switch::{self, FlipObject};
use lifeboat_rules::{ErrorName, StepError};

use crate::numbered::Numbered;
use crate::store::Store;

/// What the control bucket says about where traffic belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewestFlip {
    /// The flip with the greatest epoch; `None` where traffic was never moved.
    pub flip: Option<StoredFlip>,
    /// When the store said so, by its own clock: the moment of the listing, not of the read behind it.
    pub read_at: Timestamp,
}

/// A flip as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredFlip {
    /// What it says.
    pub object: FlipObject,
    /// Its key in the control bucket.
    pub key: String,
    /// Its version, where the bucket keeps any.
    pub version: Option<String>,
}

/// The flip with the greatest epoch, whether or not it can be read.
#[derive(Debug)]
pub struct FoundFlip {
    /// The epoch of its key.
    pub epoch: u64,
    /// Its key in the control bucket.
    pub key: String,
    /// Its version, where the bucket keeps any.
    pub version: Option<String>,
    /// What it says; a `Defect` where it is no flip object.
    pub object: Result<FlipObject, StepError>,
}

/// Finds the flip of `plan` with the greatest epoch. Its work does not grow with what the plan moves.
///
/// # Errors
/// As [`crate::aws_error`]; `Transient` where the store's answer had no date, or what was listed is not there; `Defect` where
/// the newest object is no flip. Nothing may be concluded about where traffic belongs from any of them.
pub async fn newest_flip(store: &Store, control_bucket: &str, plan: &str) -> Result<NewestFlip, StepError> {
    let (found, read_at) = find_newest_flip(store, control_bucket, plan).await?;
    let flip = match found {
        None => None,
        Some(FoundFlip { key, version, object, .. }) => Some(StoredFlip { object: object?, key, version }),
    };
    Ok(NewestFlip { flip, read_at })
}

/// As [`newest_flip`], for who can act though the newest object is no flip, since he puts a newer one or tells of it: its
/// epoch is then known, and what it says is not. Also when the store said so, by its own clock.
///
/// # Errors
/// As [`newest_flip`], but for an object that is no flip.
pub async fn find_newest_flip(
    store: &Store,
    control_bucket: &str,
    plan: &str,
) -> Result<(Option<FoundFlip>, Timestamp), StepError> {
    let prefix = switch::prefix(plan);
    let what = || format!("find the newest flip below s3://{control_bucket}/{prefix}");
    let row = Numbered { store, bucket: control_bucket, prefix: prefix.clone(), suffix: "" };
    let first = store.page(control_bucket, &prefix, None, None).await?;
    let (newest, read_at) = if first.more {
        let found = row.greatest(0..=u64::MAX).await?;
        (found.as_ref().map(|found| found.number), found.map_or(first.read_at, |found| found.read_at))
    } else {
        (first.objects.iter().rev().find_map(|object| row.parse(&object.key)), first.read_at)
    };
    let transient = |why: &str| StepError::new(ErrorName::Transient, format!("{}: {why}", what()));
    let read_at = read_at.ok_or_else(|| transient("the store's answer had no date"))?;
    let Some(epoch) = newest else { return Ok((None, read_at)) };
    let key = switch::key(plan, epoch);
    let read = store.get_versioned(control_bucket, &key, None).await?;
    let (bytes, version) = read.ok_or_else(|| transient(&format!("{key} was listed and is not there")))?;
    let object = FlipObject::parse(&format!("s3://{control_bucket}/{key}"), epoch, &bytes);
    Ok((Some(FoundFlip { epoch, key, version, object }), read_at))
}
