//! The release build, in a target folder of its own, so that the one for development stays as it is.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use lifeboat_tests::FUNCTIONS;
use lifeboat_tests::world::{WorldError, places};

/// Builds them, as they are deployed but for the architecture, and returns the folder that they are in.
pub fn release(folder: &Path) -> Result<PathBuf, WorldError> {
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--release", "--locked", "--bins", "--target-dir"]).arg(folder);
    for function in FUNCTIONS {
        build.args(["--package", function]);
    }
    let what = || "build the Lambdas with the release profile".to_owned();
    let status = build
        .current_dir(places::repository())
        .stdin(Stdio::null())
        .status()
        .map_err(|source| WorldError::failed(what(), source))?;
    if status.success() {
        Ok(folder.join("release"))
    } else {
        Err(WorldError::failed(what(), format!("cargo: {status}")))
    }
}
