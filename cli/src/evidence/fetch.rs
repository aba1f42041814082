//! `lifeboat evidence fetch`: all that a run has left, as files.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Component, Path};

use serde_json::json;

use super::place;
use crate::args::FetchArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Report;

pub(super) async fn run(args: &FetchArgs) -> Result<Report, Failure> {
    let FetchArgs { run, folder, plan, evidence, aws } = args;
    let bucket = &evidence.evidence_bucket;
    begin(folder)?;
    let (mut objects, mut bytes) = (0_u64, 0_u64);
    place::in_bucket(aws, bucket, plan, run, |key, content| {
        objects += 1;
        bytes += content.len() as u64;
        write(folder, &key, &content)
    })
    .await?;
    let place = folder.display().to_string();
    Ok(Report {
        headline: format!("all that {run} has left is in {place}"),
        details: vec![
            ("objects", format!("{objects}, {bytes} bytes")),
            ("next", format!("lifeboat evidence verify {place} --key FINGERPRINT")),
        ],
        json: json!({ "plan": plan, "run": run, "folder": place, "objects": objects, "bytes": bytes }),
        ..Report::default()
    })
}

/// Makes the folder, or sees that it is empty: evidence is not mixed with anything.
fn begin(folder: &Path) -> Result<(), Failure> {
    fs::create_dir_all(folder).map_err(|err| not_written(folder, &err))?;
    let mut entries = fs::read_dir(folder).map_err(|err| not_written(folder, &err))?;
    match entries.next() {
        None => Ok(()),
        Some(_) => {
            let what = format!("{} is not empty; nothing was fetched", folder.display());
            Err(Failure::new(Exit::NotWritten, what, "name a folder that is empty, or none yet"))
        }
    }
}

fn write(folder: &Path, key: &str, content: &[u8]) -> Result<(), Failure> {
    // A key is what somebody wrote: it leads nowhere but below the folder.
    let below = Path::new(key);
    if !below.components().all(|part| matches!(part, Component::Normal(_))) {
        let what = format!("the key {key} is no path below a folder");
        return Err(Failure::new(Exit::NotWritten, what, "look at it with the AWS command line"));
    }
    let path = folder.join(below);
    let written = path.parent().map_or(Ok(()), fs::create_dir_all);
    let written = written.and_then(|()| File::create_new(&path)?.write_all(content));
    written.map_err(|err| not_written(&path, &err))
}

fn not_written(path: &Path, err: &io::Error) -> Failure {
    let next = "see that there is space and that you may write there";
    Failure::new(Exit::NotWritten, format!("could not write {}", path.display()), next).because(err)
}
