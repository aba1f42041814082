//! The Python environment of the local world: made once for each version of `tests/requirements.txt`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest as _, Sha256};

use super::error::{Doing as _, WorldError};
use super::places;
use super::prerequisites::Prerequisites;
use super::run_folder;

/// A venv with the pinned requirements, whole.
#[derive(Debug, Clone)]
pub struct Venv {
    path: PathBuf,
}

impl Venv {
    /// Takes the venv of the repository's requirements, and makes it first if it is not there.
    /// `report` is told when there is something to wait for.
    pub fn ensure(found: &Prerequisites, report: &dyn Fn(&str)) -> Result<Self, WorldError> {
        let requirements = places::repository().join("tests").join("requirements.txt");
        Self::ensure_for(found, &requirements, &places::target()?, report)
    }

    /// The same for any requirements and any folder to keep the venv in.
    pub fn ensure_for(
        found: &Prerequisites,
        requirements: &Path,
        parent: &Path,
        report: &dyn Fn(&str),
    ) -> Result<Self, WorldError> {
        let wanted = fs::read_to_string(requirements).doing(|| format!("read {}", requirements.display()))?;
        let name = name(found.python_version, &wanted);
        let venv = Self { path: parent.join(&name) };
        // Nobody takes a whole one apart, so this needs no lock.
        if venv.is_whole() {
            return Ok(venv);
        }
        fs::create_dir_all(parent).doing(|| format!("make {}", parent.display()))?;

        // Two drills started at once: one makes it, the other waits here and then finds it whole. The system frees
        // the lock however its holder ends.
        let lock = parent.join(format!("{name}.lock"));
        let lock = File::create(&lock).doing(|| format!("make {}", lock.display()))?;
        if lock.try_lock().is_err() {
            report("another run is making the Python environment: waiting for it");
            lock.lock().doing(|| "wait for the Python environment".to_owned())?;
        }
        if venv.is_whole() {
            return Ok(venv);
        }
        report("making the Python environment with the emulator in it (once, about a minute)");
        venv.make(found, requirements, &parent.join(format!("{name}.log")))?;
        Ok(venv)
    }

    /// The interpreter.
    pub fn python(&self) -> PathBuf {
        self.program("python")
    }

    /// A command that the requirements brought along: `aws`, `cfn-lint`, `cargo-lambda`, `ministack`.
    pub fn program(&self, name: &str) -> PathBuf {
        self.path.join("bin").join(name)
    }

    /// The folder of its commands, for a `PATH`.
    pub fn bin(&self) -> PathBuf {
        self.path.join("bin")
    }

    /// A venv cannot be made elsewhere and moved into place: its scripts name their own folder. So the last act of
    /// making it is a marker that names the folder too, and only a venv with the right marker is whole.
    fn is_whole(&self) -> bool {
        let marked = fs::read_to_string(self.marker());
        marked.is_ok_and(|path| Path::new(&path) == self.path)
            // The Python it was made from may have been upgraded away since.
            && Command::new(self.python()).args(["-c", ""]).status().is_ok_and(|status| status.success())
    }

    fn marker(&self) -> PathBuf {
        self.path.join("whole")
    }

    fn make(&self, found: &Prerequisites, requirements: &Path, log: &Path) -> Result<(), WorldError> {
        if self.path.exists() {
            fs::remove_dir_all(&self.path)
                .doing(|| format!("clear away the half-made {}", self.path.display()))?;
        }
        let output = File::create(log).doing(|| format!("make {}", log.display()))?;
        let mut make = Command::new(&found.python);
        make.args(["-m", "venv"]).arg(&self.path);
        run("make the Python environment", make, &output, log)?;

        let mut install = Command::new(self.python());
        install
            .args(["-m", "pip", "install", "--no-deps", "--no-input", "--disable-pip-version-check"])
            .args(["--progress-bar", "off", "--requirement"])
            .arg(requirements);
        run("install tests/requirements.txt", install, &output, log)?;

        fs::write(self.marker(), self.path.as_os_str().as_encoded_bytes())
            .doing(|| format!("mark {} as whole", self.path.display()))
    }
}

/// Another Python or another requirement is another venv, so branches do not spoil each other's.
fn name((major, minor): (u32, u32), requirements: &str) -> String {
    let digest = Sha256::digest(format!("{major}.{minor}\n{requirements}"));
    format!("venv-{}", hex::encode(&digest[..8]))
}

fn run(what: &str, mut command: Command, output: &File, log: &Path) -> Result<(), WorldError> {
    let failed = |why: String| {
        WorldError::failed(
            what,
            format!("{why}; the whole of it is in {}, which ends:\n{}", log.display(), run_folder::tail(log)),
        )
    };
    let out = output.try_clone().doing(|| what.to_owned())?;
    let err = output.try_clone().doing(|| what.to_owned())?;
    let status = command
        // Nothing of the caller's own Python may reach in.
        .env_remove("PYTHONPATH")
        .env_remove("PYTHONHOME")
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err)
        .status()
        .map_err(|why| failed(why.to_string()))?;
    if status.success() { Ok(()) } else { Err(failed(status.to_string())) }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::world::prerequisites;

    #[test]
    fn another_requirement_or_another_python_is_another_venv() {
        let one = name((3, 11), "a==1\n");
        assert_eq!(one, name((3, 11), "a==1\n"));
        assert_ne!(one, name((3, 11), "a==2\n"));
        assert_ne!(one, name((3, 12), "a==1\n"));
    }

    #[test]
    fn a_half_made_venv_is_made_again_and_a_whole_one_is_kept() {
        let found = prerequisites::look().unwrap();
        let parent = tempfile::tempdir().unwrap();
        let requirements = parent.path().join("requirements.txt");
        fs::write(&requirements, "# nothing, so that no network is needed\n").unwrap();
        let told = Mutex::new(0);
        let report = |_: &str| *told.lock().unwrap() += 1;
        let ensure = || Venv::ensure_for(&found, &requirements, parent.path(), &report).unwrap();

        let venv = ensure();
        assert_eq!(*told.lock().unwrap(), 1);
        ensure();
        assert_eq!(*told.lock().unwrap(), 1, "a whole venv is kept");

        fs::remove_file(venv.marker()).unwrap();
        fs::write(venv.path.join("half"), "").unwrap();
        ensure();
        assert_eq!(*told.lock().unwrap(), 2, "a half-made venv is not taken for whole");
        assert!(!venv.path.join("half").exists(), "and nothing of it stays");
    }

    #[test]
    fn a_failed_install_leaves_no_whole_venv_and_says_why() {
        let found = prerequisites::look().unwrap();
        let parent = tempfile::tempdir().unwrap();
        let requirements = parent.path().join("requirements.txt");
        fs::write(&requirements, "./no-such-package\n").unwrap();
        let error = Venv::ensure_for(&found, &requirements, parent.path(), &|_| {}).unwrap_err();
        let text = crate::world::error::explain(&error);
        assert!(text.contains("no-such-package"), "{text}");
    }
}
