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
    /// How often the case was played before this and was wrong.
    #[serde(default)]
    pub wrong_before: u32,
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
            wrong_before: 0,
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

    /// Whether a fault has met no call, and that is all that is wrong.
    pub(super) fn met_nothing_alone(&self) -> bool {
        self.met.contains(&0) && self.wrongs.is_empty()
    }

    /// The same, behind an earlier one of its case: being right in the end leaves no wrong one without a trace.
    fn after(mut self, earlier: Option<&Played>) -> Played {
        let wrong = |earlier: &Played| earlier.wrong_before + u32::from(!earlier.complaints().is_empty());
        self.wrong_before = self.wrong_before.max(earlier.map_or(0, wrong));
        self
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
        let mut played: BTreeMap<String, Played> = BTreeMap::new();
        // A last line that was cut off is a case that was not played.
        for one in text.lines().filter_map(|line| serde_json::from_str::<Played>(line).ok()) {
            let id = one.case.id();
            let one = one.after(played.get(&id));
            played.insert(id, one);
        }
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
        let id = played.case.id();
        let played = played.after(self.played.get(&id));
        let mut line = serde_json::to_vec(&played).doing(what)?;
        line.push(b'\n');
        self.file.write_all(&line).doing(what)?;
        self.played.insert(id, played);
        Ok(())
    }

    /// All of them, by the case's name.
    pub fn played(&self) -> impl Iterator<Item = &Played> {
        self.played.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_that_was_wrong_stays_known_as_that_when_it_is_right() {
        let case = Case { strategy: Strategy::Switch, false_alarm: false, troubles: Vec::new() };
        let wrong = Played::failed(&case, "lost");
        let right = Played { wrongs: Vec::new(), ..wrong.clone() };
        assert_eq!(right.clone().after(None).wrong_before, 0);
        assert_eq!(right.clone().after(Some(&right)).wrong_before, 0);
        let twice = wrong.clone().after(Some(&wrong));
        let mended = right.clone().after(Some(&twice));
        assert_eq!((twice.wrong_before, mended.wrong_before), (1, 2));
        assert_eq!(right.after(Some(&mended)).wrong_before, 2);
    }

    #[test]
    fn what_met_nothing_is_played_again_and_what_was_wrong_is_not() {
        let case = Case { strategy: Strategy::Switch, false_alarm: false, troubles: Vec::new() };
        let wrong = Played { met: vec![0], ..Played::failed(&case, "lost") };
        let in_vain = Played { wrongs: Vec::new(), ..wrong.clone() };
        let met = Played { met: vec![1], ..in_vain.clone() };
        assert_eq!([wrong, in_vain, met].map(|one| one.met_nothing_alone()), [false, true, false]);
    }
}
