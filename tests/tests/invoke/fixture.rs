//! A fixture: `tests/fixtures/invoke/<function>/<case>.json`, with a payload and what must come of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use lifeboat_tests::world::places;
use serde::Deserialize;
use serde_json::Value;

/// What a Lambda gave back.
#[derive(Debug)]
pub enum Answer {
    /// A result.
    Result(Value),
    /// An error: its name, and its message on one line.
    Error(String, String),
}

/// One case.
#[derive(Debug)]
pub struct Fixture {
    /// The function that it is for.
    pub function: String,
    /// What the function is called with.
    pub payload: Value,
    case: String,
    expect: Expect,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    payload: Value,
    expect: Expect,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum Expect {
    /// A part of the result: members that are not named may have any value.
    Result(Value),
    /// An error.
    Error {
        /// Its name, which is what the state machine matches.
        name: String,
        /// A part of its message: which field it is about.
        says: String,
    },
}

impl Fixture {
    /// Every fixture, in the order of functions and cases. `${NAME}` in a payload stands for the value of that name,
    /// since some values are known only once the world is up.
    pub fn read_all(values: &BTreeMap<&str, String>) -> Vec<Fixture> {
        let folder = places::repository().join("tests/fixtures/invoke");
        let mut fixtures = Vec::new();
        for function in entries(&folder) {
            for case in entries(&function) {
                let text = fs::read_to_string(&case).unwrap();
                let text = values
                    .iter()
                    .fold(text, |text, (name, value)| text.replace(&format!("${{{name}}}"), value));
                let File { payload, expect } = serde_json::from_str(&text)
                    .unwrap_or_else(|why| panic!("{} is no fixture: {why}", case.display()));
                fixtures.push(Fixture { function: stem(&function), payload, case: stem(&case), expect });
            }
        }
        fixtures
    }

    /// How it is called in messages.
    pub fn name(&self) -> String {
        format!("{}/{}", self.function, self.case)
    }

    /// The name of the error that it is about, if it is about one.
    pub fn expected_error(&self) -> Option<&str> {
        match &self.expect {
            Expect::Result(_) => None,
            Expect::Error { name, .. } => Some(name),
        }
    }

    /// Whether the answer is the expected one; if not, why.
    pub fn judge(&self, answer: &Answer) -> Result<(), String> {
        match (&self.expect, answer) {
            (Expect::Result(expected), Answer::Result(found)) if holds(expected, found) => Ok(()),
            (Expect::Error { name, says }, Answer::Error(found, message))
                if name == found && message.contains(says) =>
            {
                Ok(())
            }
            (expected, found) => Err(format!("expected {expected:?}, found {found:?}")),
        }
    }
}

/// Whether `expected` is a part of `found`: objects may have more members, lists have as many elements.
fn holds(expected: &Value, found: &Value) -> bool {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => expected
            .iter()
            .all(|(name, expected)| found.get(name).is_some_and(|found| holds(expected, found))),
        (Value::Array(expected), Value::Array(found)) => {
            expected.len() == found.len() && expected.iter().zip(found).all(|(one, other)| holds(one, other))
        }
        _ => expected == found,
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let listed = fs::read_dir(folder).unwrap_or_else(|why| panic!("{}: {why}", folder.display()));
    let mut paths: Vec<_> = listed.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}
