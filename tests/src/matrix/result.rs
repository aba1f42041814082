//! What was played: a line of JSON each, so that a matrix that was interrupted goes on where it was.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use lifeboat_rules::plan::Strategy;
use serde::{Deserialize, Serialize};

use super::case::Case;
use super::judge::Came;
use super::way_out::Way;
use crate::world::error::{Doing as _, WorldError};
use crate::world::places;

/// One case that was played.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Played {
    /// The case.
    pub case: Case,
    /// The run's outcome; none where no run was started.
    pub outcome: Option<String>,
    /// Why, in its own words.
    pub reason: String,
    /// What it came to.
    pub came: Came,
    /// The way out that was taken, where a person was needed.
    pub way: Option<Way>,
    /// How many calls each trouble has met.
    pub met: Vec<u64>,
    /// What may not be, and was.
    pub wrongs: Vec<String>,
    /// From the alarm until the run was judged.
    pub run_seconds: f64,
    /// The same with the way out.
    pub seconds: f64,
}

impl Played {
    /// A case that came to no end.
    pub(super) fn failed(case: &Case, why: &str) -> Played {
        Played {
            case: case.clone(),
            outcome: None,
            reason: String::new(),
            came: Came::Halted,
            way: None,
            met: Vec::new(),
            wrongs: vec![why.to_owned()],
            run_seconds: 0.0,
            seconds: 0.0,
        }
    }

    /// What may not be, and was. A fault that has met nothing shows nothing: that is wrong as well.
    pub fn complaints(&self) -> Vec<String> {
        let mut complaints = self.wrongs.clone();
        if self.met.contains(&0) {
            complaints.push("a fault has met no call".to_owned());
        }
        complaints
    }
}

/// All that was played so far, in a file.
#[derive(Debug)]
pub struct Results {
    path: PathBuf,
    file: File,
    played: BTreeMap<String, Played>,
}

impl Results {
    /// Where they are kept.
    ///
    /// # Errors
    /// Where the target folder cannot be told.
    pub fn path(strategy: Strategy, false_alarm: bool) -> Result<PathBuf, WorldError> {
        let kind = if false_alarm { "-false-alarm" } else { "" };
        Ok(places::target()?.join(format!("fault-matrix/{strategy}{kind}.ndjson")))
    }

    /// Reads what was played; none of it where this begins anew.
    ///
    /// # Errors
    /// Where the file cannot be read or written.
    pub fn open(path: &Path, anew: bool) -> Result<Results, WorldError> {
        let what = || format!("open {}", path.display());
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).doing(what)?;
        }
        if anew && path.exists() {
            std::fs::remove_file(path).doing(what)?;
        }
        let text = if path.exists() { std::fs::read_to_string(path).doing(what)? } else { String::new() };
        // A last line that was cut off is a case that was not played.
        let played = text.lines().filter_map(|line| serde_json::from_str::<Played>(line).ok());
        let played = played.map(|played| (played.case.id(), played)).collect();
        let file = OpenOptions::new().create(true).append(true).open(path).doing(what)?;
        Ok(Results { path: path.to_owned(), file, played })
    }

    /// Whether a case has been played and nothing was wrong with it.
    pub fn has(&self, case: &Case) -> bool {
        self.played.get(&case.id()).is_some_and(|played| played.complaints().is_empty())
    }

    /// Keeps one more.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn add(&mut self, played: Played) -> Result<(), WorldError> {
        let what = || format!("write {}", self.path.display());
        let mut line = serde_json::to_vec(&played).doing(what)?;
        line.push(b'\n');
        self.file.write_all(&line).doing(what)?;
        self.played.insert(played.case.id(), played);
        Ok(())
    }

    /// All of them, by the case's name.
    pub fn played(&self) -> impl Iterator<Item = &Played> {
        self.played.values()
    }
}
