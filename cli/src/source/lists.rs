//! The lists of symbols that a plan's rules are over, each file read once.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use lifeboat_rules::dns::names::{self, Fault};
use lifeboat_rules::evidence::sha256;
use lifeboat_rules::plan::{Dns, Problem, bounds};
use serde_json::Value;

use super::{Source, not_read, place};
use crate::document::Place;
use crate::failure::Finding;

/// Faulty lines that are told; a list that was saved as something else has one on each.
const FAULTS_TOLD_MAX: usize = 20;

/// The lists by the paths that the plan has for them.
pub(super) struct Lists {
    /// The plan's folder, which the paths start from.
    folder: PathBuf,
    texts: BTreeMap<String, String>,
}

impl Lists {
    pub(super) fn new(plan: &Path) -> Self {
        Self { folder: plan.parent().unwrap_or(Path::new("")).to_owned(), texts: BTreeMap::new() }
    }

    /// Reads every list that can be read, and judges the names that the rules make where the rest of `dns` is in order.
    pub(super) fn check(&mut self, plan: &Source, problems: &mut Vec<Finding>) {
        let Some(dns) = plan.document.value.get("dns") else { return };
        let sound = !problems.iter().any(|problem| problem.field.starts_with("dns"));
        for (index, rule) in dns.get("names").and_then(Value::as_array).into_iter().flatten().enumerate() {
            // A missing path is told by the rules already.
            let path = rule.get("list").and_then(Value::as_str).unwrap_or_default();
            if path.is_empty() || self.texts.contains_key(path) {
                continue;
            }
            match self.read(path) {
                Ok(text) => {
                    self.texts.insert(path.to_owned(), text);
                }
                Err(message) => {
                    problems.push(plan.finding(Problem::new(format!("dns.names[{index}].list"), message)))
                }
            }
        }
        if sound
            && let Ok(dns) = serde_json::from_value::<Dns>(dns.clone())
            && let Err(faults) = names::judge(&dns, &self.texts)
        {
            problems.extend(self.findings(&faults));
        }
    }

    fn read(&self, path: &str) -> Result<String, String> {
        let file = self.folder.join(path);
        let bytes = fs::read(&file).map_err(|error| not_read(&file, &error))?;
        if bytes.len() > bounds::LIST_BYTES_MAX {
            let most = bounds::LIST_BYTES_MAX;
            return Err(format!(
                "{} is {} bytes long, but may be {most} at most",
                file.display(),
                bytes.len()
            ));
        }
        String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            format!("{} is not UTF-8 text: the byte at offset {at} is no part of a character", file.display())
        })
    }

    fn findings(&self, faults: &[Fault]) -> Vec<Finding> {
        let finding = |fault: &Fault, message: String| {
            let text = self.texts.get(&fault.list).map_or("", String::as_str);
            let at = Place { line: fault.line as u64, column: 1 };
            place(&self.folder.join(&fault.list), text.as_bytes(), Some(at), Problem::new("", message))
        };
        let mut told: Vec<Finding> =
            faults.iter().take(FAULTS_TOLD_MAX).map(|fault| finding(fault, fault.message.clone())).collect();
        if let Some(next) = faults.get(FAULTS_TOLD_MAX) {
            told.push(finding(next, format!("{}; and {} more", next.message, faults.len() - told.len() - 1)));
        }
        told
    }

    /// Names the lists of a plan without a problem by their content, and gives the contents by those keys.
    pub(super) fn settle(&self, dns: &mut Dns) -> BTreeMap<String, Vec<u8>> {
        let mut contents = BTreeMap::new();
        for rule in &mut dns.names {
            let text = self.texts.get(&rule.list).expect("a plan without a problem has all of its lists");
            let key = format!("names/{}.txt", sha256(text.as_bytes()));
            contents.insert(key.clone(), text.clone().into_bytes());
            rule.list = key;
        }
        contents
    }
}
