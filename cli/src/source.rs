//! A plan, its templates and its lists as files, checked together.

mod lists;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use lifeboat_rules::dns::names;
use lifeboat_rules::evidence::sha256;
use lifeboat_rules::plan::{Plan, Problem, template};
use serde_json::Value;

use self::lists::Lists;
use crate::document::{Document, Place};
use crate::exit::Exit;
use crate::failure::{Failure, Finding};

/// Bytes in a plan. The largest that the rules allow are far smaller; what is larger is another file.
const PLAN_BYTES_MAX: usize = 4_000_000;

/// A plan without a problem, with the templates of its stacks and the lists of its names.
#[derive(Debug)]
pub(crate) struct Checked {
    /// As it is uploaded: templates and lists by their content.
    pub(crate) plan: Plan,
    /// The templates by their keys in the control bucket, each once.
    pub(crate) templates: BTreeMap<String, Vec<u8>>,
    /// The lists by their keys in the control bucket, each once.
    pub(crate) lists: BTreeMap<String, Vec<u8>>,
    /// How many records the plan moves, those of its rules included.
    pub(crate) records: usize,
}

/// Reads and checks a plan, its templates and its lists, offline. All problems at once, in the order of the files.
pub(crate) fn check(file: &Path) -> Result<Checked, Failure> {
    let bytes = fs::read(file).map_err(|error| unreadable(file, &error))?;
    let source = Source::parse(file, bytes, PLAN_BYTES_MAX)
        .map_err(|problem| Failure::invalid(file, vec![*problem]))?;

    let plan = Plan::from_value(source.document.value.clone());
    let mut problems: Vec<Finding> = match &plan {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(|problem| source.finding(problem.clone())).collect(),
    };
    let mut templates = Templates::new(file);
    templates.check_stacks(&source, &mut problems);
    let mut lists = Lists::new(file);
    lists.check(&source, &mut problems);
    problems
        .sort_by_key(|problem| (problem.file != file, problem.file.clone(), problem.line, problem.column));

    match plan {
        Ok(mut plan) if problems.is_empty() => {
            let mut contents = BTreeMap::new();
            for stack in &mut plan.stacks {
                let bytes = templates.bytes(&stack.template);
                let key = format!("templates/{}.yaml", sha256(&bytes));
                contents.insert(key.clone(), bytes);
                stack.template = key;
            }
            let lists = lists.settle(&mut plan.dns);
            let texts =
                lists.iter().map(|(key, bytes)| (key.clone(), String::from_utf8_lossy(bytes).into_owned()));
            let records = names::expand(&plan.dns, &texts.collect())
                .map_err(|error| Failure::defect(format!("names that were judged good: {error}")))?
                .len();
            Ok(Checked { plan, templates: contents, lists, records })
        }
        _ => Err(Failure::invalid(file, problems)),
    }
}

fn unreadable(file: &Path, error: &io::Error) -> Failure {
    let next = match error.kind() {
        io::ErrorKind::NotFound => "check the path; infra/plans/example.yaml is a plan to start from",
        _ => "check the path and its permissions",
    };
    Failure::new(Exit::NoInput, format!("{} cannot be read", file.display()), next).because(error)
}

/// Why a file that the plan names was not read.
fn not_read(file: &Path, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => format!("there is no file {}", file.display()),
        _ => format!("{} cannot be read: {error}", file.display()),
    }
}

/// One file: its text and its parts with their places.
struct Source {
    file: PathBuf,
    bytes: Vec<u8>,
    document: Document,
}

impl Source {
    fn parse(file: &Path, bytes: Vec<u8>, bytes_max: usize) -> Result<Self, Box<Finding>> {
        let whole = |message: String| Box::new(place(file, &[], None, Problem::new("", message)));
        if bytes.len() > bytes_max {
            return Err(whole(format!("is {} bytes long, but may be {bytes_max} at most", bytes.len())));
        }
        let text = std::str::from_utf8(&bytes).map_err(|error| {
            whole(format!(
                "is not UTF-8 text: the byte at offset {} is no part of a character",
                error.valid_up_to()
            ))
        })?;
        match Document::parse(text) {
            Ok(document) => Ok(Self { file: file.to_owned(), bytes, document }),
            Err(error) => {
                let problem = Problem::new("", format!("is no YAML: {}", error.message));
                Err(Box::new(place(file, &bytes, error.place, problem)))
            }
        }
    }

    fn finding(&self, problem: Problem) -> Finding {
        place(&self.file, &self.bytes, self.document.place(&problem.field), problem)
    }
}

fn place(file: &Path, bytes: &[u8], place: Option<Place>, problem: Problem) -> Finding {
    let line = |place: Place| {
        let index = usize::try_from(place.line).ok()?.checked_sub(1)?;
        let line = bytes.split(|byte| *byte == b'\n').nth(index)?;
        Some(String::from_utf8_lossy(line).trim_end().to_owned())
    };
    Finding {
        file: file.to_owned(),
        line: place.map(|place| place.line),
        column: place.map(|place| place.column),
        field: problem.field,
        message: problem.message,
        source: place.and_then(line),
    }
}

/// The templates of a plan, each file read once.
struct Templates {
    /// The plan's folder, which the paths of templates start from.
    folder: PathBuf,
    read: BTreeMap<String, Option<Source>>,
}

impl Templates {
    fn new(plan: &Path) -> Self {
        Self { folder: plan.parent().unwrap_or(Path::new("")).to_owned(), read: BTreeMap::new() }
    }

    /// Judges what can be read of the stacks, even where the plan has other problems.
    fn check_stacks(&mut self, plan: &Source, problems: &mut Vec<Finding>) {
        let stacks = plan.document.value.get("stacks").and_then(Value::as_array);
        for (index, stack) in stacks.into_iter().flatten().enumerate() {
            // A missing path is told by the rules already.
            let path = stack.get("template").and_then(Value::as_str).unwrap_or_default();
            if path.is_empty() {
                continue;
            }
            if !self.read.contains_key(path) {
                let at = format!("stacks[{index}].template");
                let template = self.read(path, plan, &at, problems);
                self.read.insert(path.to_owned(), template);
            }
            if let Some(Some(template)) = self.read.get(path) {
                let at = format!("stacks[{index}].parameters");
                let given = given(stack);
                let found = template::check_parameters(&at, &given, &template.document.value);
                problems.extend(found.into_iter().map(|problem| plan.finding(problem)));
            }
        }
    }

    /// Reads one template and judges it by itself; none if it cannot be read, which is told.
    fn read(&self, path: &str, plan: &Source, at: &str, problems: &mut Vec<Finding>) -> Option<Source> {
        let file = self.folder.join(path);
        let bytes = match fs::read(&file) {
            Ok(bytes) => bytes,
            Err(error) => {
                problems.push(plan.finding(Problem::new(at, not_read(&file, &error))));
                return None;
            }
        };
        match Source::parse(&file, bytes, template::TEMPLATE_BYTES_MAX) {
            Ok(template) => {
                let found = template::check(&template.document.value);
                problems.extend(found.into_iter().map(|problem| template.finding(problem)));
                Some(template)
            }
            Err(problem) => {
                problems.push(*problem);
                None
            }
        }
    }

    fn bytes(&self, path: &str) -> Vec<u8> {
        let template = self.read.get(path).and_then(Option::as_ref);
        template.expect("a plan without a problem has all of its templates").bytes.clone()
    }
}

/// The parameters that are texts; what else stands there is told by the rules of the plan.
fn given(stack: &Value) -> BTreeMap<String, String> {
    let parameters = stack.get("parameters").and_then(Value::as_object);
    parameters
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
        .collect()
}
