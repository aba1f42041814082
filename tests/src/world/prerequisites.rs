//! The first look: what this machine lacks for the local world, said at once and in full.

use std::fmt;
use std::path::PathBuf;
use std::process::Command;

/// The oldest Python that the pinned requirements run on.
const PYTHON_OLDEST: (u32, u32) = (3, 10);
/// Tried in this order: the plain name first, because that is what a person gets by typing it.
const PYTHON_NAMES: [&str; 6] =
    ["python3", "python3.14", "python3.13", "python3.12", "python3.11", "python3.10"];
/// Asks Python for its version and for the two modules without which it can make no venv (Debian and Ubuntu ship them
/// apart from Python itself).
const PYTHON_LOOK: &str = "import sys, importlib.util as u; \
    print(sys.version_info[0], sys.version_info[1], int(bool(u.find_spec('venv') and u.find_spec('ensurepip'))))";

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prerequisites {
    /// The Python to make the venv with.
    pub python: PathBuf,
    /// Its version, major and minor.
    pub python_version: (u32, u32),
}

/// One thing that is missing, and how to get it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lack {
    /// What is missing.
    pub what: String,
    /// How to get it.
    pub how: String,
}

/// Everything that is missing, at once: nobody should have to come back five times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing(pub Vec<Lack>);

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "this machine lacks what the local world needs:")?;
        for Lack { what, how } in &self.0 {
            writeln!(f, "  - {what}\n    {how}")?;
        }
        write!(
            f,
            "Then run the same command again. The first run needs the network: it fetches crates and Python \
             packages (550 MB on disk), and takes about five minutes on two cores; later ones start in seconds."
        )
    }
}

/// Looks at the machine.
pub fn look() -> Result<Prerequisites, Missing> {
    let mut lacks = Vec::new();
    if !answers("cargo") {
        lacks.push(Lack {
            what: "cargo, on the PATH".to_owned(),
            how: "Rust by https://rustup.rs, stable".to_owned(),
        });
    }
    let python = judge_pythons(PYTHON_NAMES.iter().filter_map(|name| ask_python(name)));
    match python {
        Ok(found) if lacks.is_empty() => return Ok(found),
        Ok(_) => {}
        Err(lack) => lacks.push(lack),
    }
    Err(Missing(lacks))
}

/// One Python of this machine, as it describes itself.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Python {
    path: PathBuf,
    version: (u32, u32),
    makes_venvs: bool,
}

/// The first one that will do, or the lack that says what is nearest to doing.
fn judge_pythons(found: impl Iterator<Item = Python>) -> Result<Prerequisites, Lack> {
    let mut nearest: Option<Python> = None;
    for python in found {
        if python.version >= PYTHON_OLDEST && python.makes_venvs {
            return Ok(Prerequisites { python: python.path, python_version: python.version });
        }
        if nearest.as_ref().is_none_or(|other| other.version < python.version) {
            nearest = Some(python);
        }
    }
    let (major, minor) = PYTHON_OLDEST;
    Err(match nearest {
        None => Lack {
            what: format!("Python {major}.{minor} or newer, with venv"),
            how: "Debian, Ubuntu: apt install python3 python3-venv; Fedora: dnf install python3; \
                  macOS: brew install python3"
                .to_owned(),
        },
        Some(Python { path, version: (major, minor), .. }) if (major, minor) >= PYTHON_OLDEST => Lack {
            what: format!("venv and ensurepip for Python {major}.{minor} ({})", path.display()),
            how: format!("Debian, Ubuntu: apt install python3-venv (or python{major}.{minor}-venv)"),
        },
        Some(Python { path, version: (has_major, has_minor), .. }) => Lack {
            what: format!("Python {major}.{minor} or newer ({} is {has_major}.{has_minor})", path.display()),
            how: "a newer python3 first on the PATH, or python3.10 to python3.14 beside it: \
                  Debian, Ubuntu: apt install python3.11 python3.11-venv; macOS: brew install python3"
                .to_owned(),
        },
    })
}

fn ask_python(name: &str) -> Option<Python> {
    let answer = Command::new(name).args(["-c", PYTHON_LOOK]).output().ok().filter(|a| a.status.success())?;
    let answer = String::from_utf8(answer.stdout).ok()?;
    let mut numbers = answer.split_whitespace().map(str::parse::<u32>);
    let mut next = || numbers.next()?.ok();
    Some(Python { path: name.into(), version: (next()?, next()?), makes_venvs: next()? == 1 })
}

fn answers(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|answer| answer.status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn python(path: &str, version: (u32, u32), makes_venvs: bool) -> Python {
        Python { path: path.into(), version, makes_venvs }
    }

    #[test]
    fn the_first_python_that_will_do_is_taken() {
        let found = [python("python3", (3, 9), true), python("python3.12", (3, 12), true)];
        let taken = judge_pythons(found.into_iter()).unwrap();
        assert_eq!(taken.python, PathBuf::from("python3.12"));
    }

    #[test]
    fn a_lack_names_what_is_nearest() {
        let lack = judge_pythons(std::iter::empty()).unwrap_err();
        assert!(lack.what.contains("Python 3.10 or newer, with venv"), "{lack:?}");

        let lack = judge_pythons([python("python3", (3, 9), true)].into_iter()).unwrap_err();
        assert!(lack.what.contains("python3 is 3.9"), "{lack:?}");

        let found = [python("python3", (3, 9), true), python("python3.11", (3, 11), false)];
        let lack = judge_pythons(found.into_iter()).unwrap_err();
        assert!(lack.what.contains("venv and ensurepip for Python 3.11"), "{lack:?}");
        assert!(lack.how.contains("python3.11-venv"), "{lack:?}");
    }

    #[test]
    fn everything_missing_is_said_at_once() {
        let lack = |what: &str| Lack { what: what.to_owned(), how: "so".to_owned() };
        let text = Missing(vec![lack("one"), lack("two")]).to_string();
        assert!(text.contains("- one") && text.contains("- two") && text.contains("minutes"), "{text}");
    }
}
