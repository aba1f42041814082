//! Evidence where runs have left it.

use std::collections::BTreeMap;

use aws_sdk_s3::Client;
use futures::{StreamExt, TryStreamExt, stream};
use lifeboat_rules::evidence::prefix;
use lifeboat_rules::replay::{Evidence, Replayed, is_needed};
use lifeboat_runtime::Store;

use super::Again;
use crate::args::AwsArgs;
use crate::aws;
use crate::failure::Failure;

/// Runs, and objects of one run, that are read at once.
const RUNS_IN_FLIGHT: usize = 4;
const READS_IN_FLIGHT: usize = 16;

pub(super) async fn replay(
    args: &AwsArgs,
    bucket: &str,
    plan: &str,
    runs: &[String],
    again: &Again<'_>,
) -> Result<Vec<Replayed>, Failure> {
    let config = aws::config(args, None).await?;
    let (client, store) = (aws::s3(&config), Store::new(&config));
    let listed = match runs {
        [] => list(&client, bucket, &format!("{plan}/")).await?,
        named => {
            let mut listed = BTreeMap::new();
            for run in named {
                // One that has left nothing is told as such.
                listed.insert(run.clone(), Vec::new());
                listed.extend(list(&client, bucket, &prefix(plan, run)).await?);
            }
            listed
        }
    };
    let steps = Again::steps(listed.len());
    let replayed = listed.into_iter().map(async |(run, keys)| {
        let evidence = read(&store, bucket, plan, run, keys).await?;
        Ok::<_, Failure>(again.one(&evidence, &steps))
    });
    stream::iter(replayed).buffered(RUNS_IN_FLIGHT).try_collect().await
}

/// The runs below `prefix`, each with the keys of what a replay reads of it. A prefix ends behind a plan's name or a run's.
async fn list(client: &Client, bucket: &str, prefix: &str) -> Result<BTreeMap<String, Vec<String>>, Failure> {
    let of_plan = prefix.split_inclusive('/').next().unwrap_or(prefix);
    let mut pages = client.list_objects_v2().bucket(bucket).prefix(prefix).into_paginator().send();
    let mut runs: BTreeMap<String, Vec<String>> = BTreeMap::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| {
            aws::failure(format!("could not list the evidence s3://{bucket}/{prefix}"), error)
        })?;
        let keys = page.contents().iter().filter_map(|object| object.key());
        for (run, below) in keys.filter_map(|key| key.strip_prefix(of_plan)?.split_once('/')) {
            let run = runs.entry(run.to_owned()).or_default();
            if is_needed(below) {
                run.push(below.to_owned());
            }
        }
    }
    Ok(runs)
}

async fn read(
    store: &Store,
    bucket: &str,
    plan: &str,
    run: String,
    keys: Vec<String>,
) -> Result<Evidence, Failure> {
    let of_run = prefix(plan, &run);
    let reads = keys.into_iter().map(async |below| {
        let key = format!("{of_run}{below}");
        let read = store.get(bucket, &key, None).await;
        let bytes = read.map_err(|error| {
            aws::step_failure(format!("could not read the evidence s3://{bucket}/{key}"), &error)
        })?;
        Ok::<_, Failure>((below, bytes.unwrap_or_default()))
    });
    let objects = stream::iter(reads).buffer_unordered(READS_IN_FLIGHT).try_collect().await?;
    Ok(Evidence { run, objects })
}
