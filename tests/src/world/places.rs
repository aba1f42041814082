//! Where things are: the repository, the target folder, the binaries that cargo made.

use std::path::{Path, PathBuf};

use super::error::WorldError;

/// The root of the repository.
pub fn repository() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).to_path_buf()
}

/// The folder of the profile that this program was built in (`target/debug`), where all binaries of the workspace
/// are. Taken from the running program, so a `CARGO_TARGET_DIR` elsewhere needs no say.
pub fn binaries() -> Result<PathBuf, WorldError> {
    let program = std::env::current_exe()
        .map_err(|source| WorldError::failed("ask where this program was started from", source))?;
    let folder = program.parent().unwrap_or(Path::new("/"));
    // Tests are built into `deps`, binaries beside it.
    let folder = if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder };
    Ok(folder.to_path_buf())
}

/// The target folder itself: what is made once and kept over runs lives here.
pub fn target() -> Result<PathBuf, WorldError> {
    let binaries = binaries()?;
    Ok(binaries.parent().unwrap_or(&binaries).to_path_buf())
}

/// A binary of the workspace, which must have been built.
pub fn binary(name: &str) -> Result<PathBuf, WorldError> {
    let path = binaries()?.join(name);
    if path.is_file() {
        return Ok(path);
    }
    Err(WorldError::failed(
        format!("find the binary `{name}`"),
        format!("{} is not there: run `cargo build --workspace --bins` first", path.display()),
    ))
}
