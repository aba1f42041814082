//! Where the evidence of a run lies, and reading it: a folder, or the bucket.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use futures::{StreamExt, TryStreamExt, stream};
use lifeboat_rules::evidence::prefix;
use lifeboat_rules::evidence::verify::Object;
use lifeboat_runtime::Store;

use crate::args::{AwsArgs, WhereArgs};
use crate::aws;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::progress::Progress;

/// Objects that one run may leave, as many as a manifest may name.
const OBJECTS_MAX: usize = 20_000;
/// Objects read at once.
const READS_IN_FLIGHT: usize = 16;
/// Folders in folders; a run's own has two.
const DEPTH_MAX: usize = 8;

/// The objects of a run, and what they were read from, for a person.
pub(crate) struct Evidence {
    pub(crate) objects: BTreeMap<String, Object>,
    pub(crate) place: String,
    /// The run that was asked for by its name.
    pub(crate) run: Option<String>,
}

/// Reads what the command line names.
pub(super) fn read(args: &WhereArgs) -> Result<Evidence, Failure> {
    read_and(args, |_, _| ())
}

/// As [`read`]; `look` sees each object's key and bytes on the way, of which [`Object`] keeps those alone that are to be verified.
pub(crate) fn read_and(args: &WhereArgs, mut look: impl FnMut(&str, &[u8])) -> Result<Evidence, Failure> {
    let folder = PathBuf::from(&args.place);
    // With a plan it is a run's name, whatever lies here: who has fetched a run into a folder of its name asks for the bucket then.
    if args.plan.is_none() && folder.is_dir() {
        return Ok(Evidence { objects: in_folder(&folder, look)?, place: args.place.clone(), run: None });
    }
    let (Some(plan), Some(bucket)) = (&args.plan, &args.evidence_bucket) else {
        return Err(Failure::new(
            Exit::NoInput,
            format!("there is no folder {}", args.place),
            "name a folder that `lifeboat evidence fetch` has made, or a run with --plan and --evidence-bucket",
        ));
    };
    let run = &args.place;
    let mut objects = BTreeMap::new();
    aws::block_on(in_bucket(&args.aws, bucket, plan, run, |key, bytes| {
        look(&key, &bytes);
        let object = Object::new(&key, bytes);
        objects.insert(key, object);
        Ok(())
    }))?;
    Ok(Evidence { objects, place: format!("s3://{bucket}/{}", prefix(plan, run)), run: Some(run.clone()) })
}

/// Hands on every object of a run, by its key below the run's prefix.
pub(super) async fn in_bucket(
    aws: &AwsArgs,
    bucket: &str,
    plan: &str,
    run: &str,
    mut take: impl FnMut(String, Vec<u8>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let store = Store::new(&aws::config(aws, None).await?);
    let prefix = prefix(plan, run);
    let _progress = Progress::show(format!("reading s3://{bucket}/{prefix}"));
    let failed = |error| aws::step_failure(format!("could not read s3://{bucket}/{prefix}"), &error);
    let listed = store.list(bucket, &prefix, OBJECTS_MAX).await.map_err(failed)?;
    if listed.is_empty() {
        return Err(Failure::new(
            Exit::NoInput,
            format!("the run {run} of {plan} has left nothing in s3://{bucket}"),
            format!("see `lifeboat evidence list --plan {plan}`"),
        ));
    }
    let reads = listed.iter().map(async |object| {
        let bytes = store.get(bucket, &object.key, None).await.map_err(failed)?;
        let gone = || Failure::defect(format!("s3://{bucket}/{} was listed and is gone", object.key));
        let key = object.key.strip_prefix(&prefix).unwrap_or(&object.key);
        Ok::<_, Failure>((key.to_owned(), bytes.ok_or_else(gone)?))
    });
    let mut reads = stream::iter(reads).buffered(READS_IN_FLIGHT);
    while let Some((key, bytes)) = reads.try_next().await? {
        take(key, bytes)?;
    }
    Ok(())
}

fn in_folder(root: &Path, mut look: impl FnMut(&str, &[u8])) -> Result<BTreeMap<String, Object>, Failure> {
    let mut objects = BTreeMap::new();
    let mut folders = vec![(root.to_owned(), String::new(), 0)];
    while let Some((folder, below, depth)) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(|err| unread(&folder, &err))? {
            let path = entry.map_err(|err| unread(&folder, &err))?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
                return Err(unread(&path, &io::Error::other("its name is no text")));
            };
            let key = format!("{below}{name}");
            if path.is_dir() && depth < DEPTH_MAX {
                folders.push((path, format!("{key}/"), depth + 1));
            } else {
                let bytes = fs::read(&path).map_err(|err| unread(&path, &err))?;
                look(&key, &bytes);
                objects.insert(key.clone(), Object::new(&key, bytes));
            }
            if objects.len() > OBJECTS_MAX {
                let what = format!("{} holds more than {OBJECTS_MAX} files", root.display());
                return Err(Failure::new(Exit::NoInput, what, "name the folder of one run"));
            }
        }
    }
    Ok(objects)
}

pub(crate) fn unread(path: &Path, err: &io::Error) -> Failure {
    let next = "see that it is there and may be read";
    Failure::new(Exit::NoInput, format!("could not read {}", path.display()), next).because(err)
}
