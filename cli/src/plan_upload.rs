//! `lifeboat plan upload`: checks, then stores templates, lists and plan in the control bucket. While the traffic is on the
//! recovery side no plan is stored by which a hand-back would not move all of it.

mod guard;

use std::collections::BTreeMap;

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use serde_json::json;

use crate::args::UploadArgs;
use crate::aws;
use crate::failure::Failure;
use crate::output::Report;
use crate::source::{self, Checked};

pub(crate) async fn run(args: &UploadArgs) -> Result<Report, Failure> {
    let Checked { plan, templates, lists, .. } = source::check(&args.file)?;
    let bucket = &args.control.bucket;
    let config = aws::config(&args.aws, Some(&plan.regions.recovery)).await?;
    guard::refuse_to_leave_behind(&config, bucket, &plan, &lists).await?;
    let client = aws::s3(&config);

    // The plan last: what it names is there before anyone can read it.
    let stored = store_all(&client, bucket, &templates, "application/yaml").await?;
    let listed = store_all(&client, bucket, &lists, "text/plain; charset=utf-8").await?;
    let key = format!("plan/{}.json", plan.name);
    let version = store_plan(&client, bucket, &key, plan.canonical_json()).await?;

    let digest = plan.digest();
    let mut warnings = Vec::new();
    if version.is_none() {
        warnings.push(format!(
            "the bucket {bucket} keeps no versions, so a run cannot pin the plan that it was admitted under; the \
             foundation stack's control bucket does"
        ));
    }
    Ok(Report {
        headline: format!("stored the plan {}", plan.name),
        details: vec![
            ("bucket", bucket.clone()),
            ("key", key.clone()),
            ("version", version.clone().unwrap_or_else(|| "none".to_owned())),
            ("digest", digest.clone()),
            ("templates", format!("{stored} new, {} there already", templates.len() - stored)),
            ("lists", format!("{listed} new, {} there already", lists.len() - listed)),
        ],
        warnings,
        json: json!({
            "plan": plan.name,
            "bucket": bucket,
            "key": key,
            "version": version,
            "digest": digest,
            "templates": templates.keys().collect::<Vec<_>>(),
            "lists": lists.keys().collect::<Vec<_>>(),
        }),
        ..Report::default()
    })
}

/// Stores what has its content's digest as its key, and says how much of it was not there.
async fn store_all(
    client: &Client,
    bucket: &str,
    contents: &BTreeMap<String, Vec<u8>>,
    content_type: &str,
) -> Result<usize, Failure> {
    let mut stored = 0;
    for (key, bytes) in contents {
        stored += usize::from(store_once(client, bucket, key, bytes, content_type).await?);
    }
    Ok(stored)
}

/// Stores one content; true if it was not there. What is there under its key is the same, so nothing is ever overwritten.
async fn store_once(
    client: &Client,
    bucket: &str,
    key: &str,
    bytes: &[u8],
    content_type: &str,
) -> Result<bool, Failure> {
    let put = client
        .put_object()
        .bucket(bucket)
        .key(key)
        .if_none_match("*")
        .content_type(content_type)
        .body(ByteStream::from(bytes.to_vec()));
    match put.send().await {
        Ok(_) => Ok(true),
        Err(error) if aws::exists_already(&error) => Ok(false),
        Err(error) => Err(aws::failure(format!("could not store s3://{bucket}/{key}"), error)),
    }
}

/// Stores the plan as a new version, which is returned.
async fn store_plan(
    client: &Client,
    bucket: &str,
    key: &str,
    json: Vec<u8>,
) -> Result<Option<String>, Failure> {
    let put = client
        .put_object()
        .bucket(bucket)
        .key(key)
        .content_type("application/json")
        .body(ByteStream::from(json));
    match put.send().await {
        // "null" is S3's name for the only version in a bucket that keeps none.
        Ok(stored) => Ok(stored.version_id.filter(|version| version != "null")),
        Err(error) => Err(aws::failure(format!("could not store s3://{bucket}/{key}"), error)),
    }
}
