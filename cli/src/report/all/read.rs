//! The manifests of runs, from a folder of folders or from the bucket.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use futures::{StreamExt, TryStreamExt, stream};
use lifeboat_rules::evidence::verify::{MANIFEST, SIGNATURE};
use lifeboat_rules::evidence::{manifest_key, signature_key};
use lifeboat_runtime::Store;

use crate::args::{ReportArgs, WhereArgs};
use crate::aws;
use crate::evidence::place::unread;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::runs;

/// Runs read at once.
const READS_IN_FLIGHT: usize = 16;

/// What was found.
pub(super) struct Found {
    pub(super) plan: Option<String>,
    pub(super) place: String,
    pub(super) runs: Vec<One>,
    /// What a reader should know of runs that are left out.
    pub(super) notes: Vec<String>,
}

/// One run's manifest and its signature, where there are any.
pub(super) struct One {
    /// The name of its folder, or in the bucket.
    pub(super) run: String,
    pub(super) manifest: Option<Vec<u8>>,
    pub(super) signature: Option<Vec<u8>>,
}

pub(super) fn read(args: &ReportArgs) -> Result<Found, Failure> {
    let place = args.place();
    if !place.place.is_empty() {
        return in_folder(Path::new(&place.place));
    }
    aws::block_on(in_bucket(&place, usize::from(args.runs)))
}

fn in_folder(root: &Path) -> Result<Found, Failure> {
    let mut runs = Vec::new();
    for entry in fs::read_dir(root).map_err(|err| unread(root, &err))? {
        let path = entry.map_err(|err| unread(root, &err))?.path();
        let Some(run) = path.file_name().and_then(|name| name.to_str()).filter(|_| path.is_dir()) else {
            continue;
        };
        let read = |name: &str| match fs::read(path.join(name)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(err) if err.kind() == ErrorKind::NotFound => Ok(None),
            Err(err) => Err(unread(&path.join(name), &err)),
        };
        runs.push(One { run: run.to_owned(), manifest: read(MANIFEST)?, signature: read(SIGNATURE)? });
    }
    if runs.is_empty() {
        let what = format!("{} has no folder of a run in it", root.display());
        return Err(Failure::new(
            Exit::NoInput,
            what,
            "name a folder of folders that `lifeboat evidence fetch` has made",
        ));
    }
    Ok(Found { plan: None, place: root.display().to_string(), runs, notes: Vec::new() })
}

async fn in_bucket(args: &WhereArgs, runs_max: usize) -> Result<Found, Failure> {
    let (Some(plan), Some(bucket)) = (&args.plan, &args.evidence_bucket) else {
        let next = "name a folder of folders, or --plan and --evidence-bucket";
        return Err(Failure::new(Exit::Usage, "--all does not say of which runs", next));
    };
    let config = aws::config(&args.aws, None).await?;
    let store = Store::new(&config);
    let listed = runs::read(&aws::s3(&config), &store, bucket, plan, runs_max).await?;
    let notes = listed.left_out();
    let failed = |error| aws::step_failure(format!("could not read s3://{bucket}/{plan}/"), &error);
    let reads = listed.list.into_iter().map(async |seen| {
        let get = async |key: String| store.get(bucket, &key, None).await.map_err(failed);
        let closed = seen.state != runs::State::Open;
        Ok::<_, Failure>(One {
            manifest: if closed { get(manifest_key(plan, &seen.run)).await? } else { None },
            signature: if closed { get(signature_key(plan, &seen.run)).await? } else { None },
            run: seen.run,
        })
    });
    let runs: Vec<One> = stream::iter(reads).buffered(READS_IN_FLIGHT).try_collect().await?;
    if runs.is_empty() {
        let what = format!("{plan} has left no evidence in s3://{bucket}");
        return Err(Failure::new(Exit::NoInput, what, "see that plan, bucket and Region are the right ones"));
    }
    Ok(Found { plan: Some(plan.clone()), place: format!("s3://{bucket}/{plan}/"), runs, notes })
}
