//! Evidence that was fetched into a folder, as `aws s3 sync s3://<bucket>/<plan> DIR` does it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use lifeboat_rules::evidence::LEFT;
use lifeboat_rules::replay::{Evidence, Replayed, is_needed};

use super::Again;
use crate::exit::Exit;
use crate::failure::Failure;

pub(super) fn replay<'a>(
    folders: impl Iterator<Item = &'a Path>,
    again: &Again<'_>,
) -> Result<Vec<Replayed>, Failure> {
    let mut runs = Vec::new();
    for folder in folders {
        let below = entries(folder)?;
        // A run has its records at the top; a folder without any file is of many runs.
        if below.iter().any(|path| path.is_file()) {
            runs.push(folder.to_owned());
        } else {
            runs.extend(below.into_iter().filter(|path| path.is_dir()));
        }
    }
    let steps = Again::steps(runs.len());
    runs.iter().map(|run| Ok(again.one(&read(run)?, &steps))).collect()
}

fn read(folder: &Path) -> Result<Evidence, Failure> {
    let mut objects = BTreeMap::new();
    let left = folder.join(LEFT);
    let left = if left.is_dir() { entries(&left)? } else { Vec::new() };
    for path in entries(folder)?.into_iter().chain(left).filter(|path| path.is_file()) {
        let below = path.strip_prefix(folder).unwrap_or(&path);
        let key = below.to_string_lossy().replace(std::path::MAIN_SEPARATOR, "/");
        if is_needed(&key) {
            objects.insert(key, fs::read(&path).map_err(|error| unreadable(&path, &error))?);
        }
    }
    let name = folder.canonicalize().ok().and_then(|path| Some(path.file_name()?.to_owned()));
    let run = name.unwrap_or_else(|| folder.as_os_str().to_owned()).to_string_lossy().into_owned();
    Ok(Evidence { run, objects })
}

/// What is directly in a folder, by name.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let read = || fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<PathBuf>>>();
    let mut entries = read().map_err(|error| unreadable(folder, &error))?;
    entries.sort();
    Ok(entries)
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    let next = "name a folder of fetched evidence, or say --plan to read it from the bucket";
    Failure::new(Exit::NoInput, format!("could not read {}", path.display()), next).because(error)
}
