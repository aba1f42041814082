//! The folder of one run: logs of everything, and what the emulator keeps on disk while it lives.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use super::clock;
use super::error::{Doing as _, WorldError};

/// How much of a log an error quotes.
const TAIL_BYTES: u64 = 2_000;
/// How many runs that are over keep their logs.
const RUNS_KEPT_MAX: usize = 50;

/// `target/drill/<run>/`, which belongs to this process as long as this value lives.
#[derive(Debug)]
pub struct RunFolder {
    name: String,
    path: PathBuf,
    /// Held locked: whoever can take the lock knows that the run is over, however it ended.
    _alive: File,
}

impl RunFolder {
    /// Makes a new folder that no other run has, and clears away what runs that were killed left behind.
    pub fn create(parent: &Path) -> Result<Self, WorldError> {
        fs::create_dir_all(parent).doing(|| format!("make {}", parent.display()))?;
        sweep(parent);
        let started = clock::now().strftime("%Y%m%dT%H%M%SZ").to_string();
        // Two runs in one second differ by process, two worlds in one process by number.
        for number in 1..=1_000 {
            let name = format!("{started}-{}-{number}", std::process::id());
            let path = parent.join(&name);
            match fs::create_dir(&path) {
                Ok(()) => return Self::take(name, path),
                Err(taken) if taken.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(other) => return Err(WorldError::failed(format!("make {}", path.display()), other)),
            }
        }
        Err(WorldError::failed("make a run folder", format!("too many in {}", parent.display())))
    }

    fn take(name: String, path: PathBuf) -> Result<Self, WorldError> {
        let alive = File::create(path.join("alive")).doing(|| format!("make {}/alive", path.display()))?;
        alive.lock().doing(|| format!("lock {}/alive", path.display()))?;
        let folder = Self { name, path, _alive: alive };
        for sub in ["tmp", "home"] {
            fs::create_dir_all(folder.scratch().join(sub))
                .doing(|| format!("make {}", folder.scratch().display()))?;
        }
        Ok(folder)
    }

    /// The run's name, unique on this machine.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file in the folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// What is only needed while the world lives (unpacked Lambdas are large), gone afterwards.
    pub fn scratch(&self) -> PathBuf {
        self.path.join("scratch")
    }
}

impl Drop for RunFolder {
    /// The logs stay, the scratch goes. Best effort: what is left is swept away by the next run.
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.scratch());
    }
}

/// Clears away after runs whose process is gone: their scratch, which they could not clear when they were killed, and
/// the oldest runs whole. A run whose lock is held is alive and is left alone.
fn sweep(parent: &Path) {
    let mut over: Vec<(PathBuf, File)> = fs::read_dir(parent)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|run| Some((run.path(), File::open(run.path().join("alive")).ok()?)))
        .filter(|(_, alive)| alive.try_lock().is_ok())
        .collect();
    // Names begin with the time, so this is by age.
    over.sort_by(|(one, _), (other, _)| other.cmp(one));
    for (index, (run, _)) in over.iter().enumerate() {
        let leftover = if index < RUNS_KEPT_MAX { run.join("scratch") } else { run.clone() };
        // Best effort: the next run tries again.
        let _ = fs::remove_dir_all(leftover);
    }
}

/// The end of a log, for an error to quote; a sentence when it cannot be read.
pub fn tail(log: &Path) -> String {
    let read = || -> std::io::Result<String> {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
    };
    read().unwrap_or_else(|why| format!("(it cannot be read: {why})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_run_sweeps_up_after_the_dead_and_spares_the_living() {
        let parent = tempfile::tempdir().unwrap();
        let alive = RunFolder::create(parent.path()).unwrap();
        for number in 0..=RUNS_KEPT_MAX {
            let dead = parent.path().join(format!("20200101T{number:06}Z-1-1"));
            fs::create_dir_all(dead.join("scratch")).unwrap();
            fs::write(dead.join("alive"), "").unwrap();
        }
        fs::write(parent.path().join("summary.json"), "{}").unwrap();

        let next = RunFolder::create(parent.path()).unwrap();
        assert_ne!(alive.name(), next.name());
        assert!(alive.scratch().is_dir() && next.scratch().is_dir());
        assert!(!parent.path().join("20200101T000000Z-1-1").exists(), "the oldest is gone");
        let kept = parent.path().join("20200101T000001Z-1-1");
        assert!(kept.is_dir() && !kept.join("scratch").exists(), "a dead one keeps its logs only");
        assert!(parent.path().join("summary.json").is_file());

        let (path, scratch) = (next.path().to_owned(), next.scratch());
        drop(next);
        assert!(path.is_dir() && !scratch.exists());
    }

    #[test]
    fn a_log_is_quoted_by_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        fs::write(&log, "x".repeat(5_000) + "the end\n").unwrap();
        let quoted = tail(&log);
        assert!(quoted.ends_with("the end") && quoted.len() < 2_001, "{quoted}");
        assert!(tail(&folder.path().join("none")).contains("cannot be read"));
    }
}
