//! The form of a plan, as data: which fields there are, of which kind.
//!
//! Serde stops at the first fault and cannot say where it was. This walks the whole document, names every fault
//! by its path, and puts a placeholder where a fault was, so that the rest can be read and judged as well.
//! `tests::shape_and_types_agree` holds this table and the types together.

use serde_json::{Map, Number, Value};

use super::Problem;

/// What a part of the document must be.
enum Shape {
    /// Text.
    Text,
    /// A whole number that is not negative. No plan needs more than 32 bits.
    Whole,
    /// `true` or `false`.
    Truth,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A list.
    List(&'static Shape),
    /// Names with texts.
    Texts,
    /// Named fields.
    Fields(&'static [Field]),
}

struct Field {
    name: &'static str,
    shape: Shape,
    required: bool,
}

const fn required(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, required: true }
}

const fn optional(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, required: false }
}

const TEXTS: Shape = Shape::List(&Shape::Text);
const RECORD_TYPE: Shape = Shape::Word(&["A", "AAAA", "CNAME"]);

const PLAN: Shape = Shape::Fields(&[
    required("version", Shape::Whole),
    required("name", Shape::Text),
    required(
        "regions",
        Shape::Fields(&[required("primary", Shape::Text), required("recovery", Shape::Text)]),
    ),
    required("objectives", Shape::Fields(&[required("rto_seconds", Shape::Whole)])),
    required(
        "probe",
        Shape::Fields(&[
            required("primary", TEXTS),
            required("recovery", Shape::Text),
            required("timeout_seconds", Shape::Whole),
            required("attempts", Shape::Whole),
            optional("quorum", Shape::Whole),
            optional("consecutive_failures", Shape::Whole),
            required("interval_seconds", Shape::Whole),
            required("log_still_seconds", Shape::Whole),
        ]),
    ),
    required(
        "stacks",
        Shape::List(&Shape::Fields(&[
            required("name", Shape::Text),
            required("template", Shape::Text),
            required("depends_on", TEXTS),
            required("parameters", Shape::Texts),
        ])),
    ),
    required(
        "ledger",
        Shape::Fields(&[
            required("bucket", Shape::Text),
            required("prefix", Shape::Text),
            required("streams", TEXTS),
            optional(
                "witness",
                Shape::Fields(&[
                    required("prefix", Shape::Text),
                    required("required", Shape::Truth),
                    optional("objects_max", Shape::Whole),
                ]),
            ),
            optional("lease", Shape::Fields(&[required("delivery_wait_seconds_max", Shape::Whole)])),
        ]),
    ),
    required(
        "dns",
        Shape::Fields(&[
            optional("strategy", Shape::Word(&["switch", "records"])),
            optional("health_check", Shape::Text),
            required("zone_id", Shape::Text),
            required("zone", Shape::Text),
            optional(
                "records",
                Shape::List(&Shape::Fields(&[
                    required("name", Shape::Text),
                    required("type", RECORD_TYPE),
                    required("ttl", Shape::Whole),
                    required("primary", TEXTS),
                    required("recovery", TEXTS),
                ])),
            ),
            optional(
                "names",
                Shape::List(&Shape::Fields(&[
                    required("name", Shape::Text),
                    required("list", Shape::Text),
                    required("type", RECORD_TYPE),
                    required("ttl", Shape::Whole),
                    required("primary", TEXTS),
                    required("recovery", TEXTS),
                ])),
            ),
            optional("confirm", Shape::Fields(&[required("sample", Shape::Whole)])),
        ]),
    ),
    optional("admission", Shape::Fields(&[optional("anti_flap_seconds", Shape::Whole)])),
    optional(
        "approval",
        Shape::Fields(&[
            required("needed", Shape::Word(&["automatic", "one", "two"])),
            required("approvers", TEXTS),
            required("wait_seconds", Shape::Whole),
            required("on_expiry", Shape::Word(&["go_on", "stand_down"])),
        ]),
    ),
    optional(
        "limits",
        Shape::Fields(&[
            optional("stack_wait_seconds_max", Shape::Whole),
            optional("seal_tries_max", Shape::Whole),
            optional("shard_entries", Shape::Whole),
        ]),
    ),
    optional("regulation", Shape::List(&Shape::Word(&["reg_sci", "dora"]))),
]);

/// A problem of form, and how much of the plan it keeps from being judged.
pub(super) struct Fault {
    pub(super) problem: Problem,
    /// The part that holds a placeholder now; `None` where something superfluous was dropped.
    blurred: Option<String>,
}

impl Fault {
    fn dropped(problem: Problem) -> Self {
        Self { problem, blurred: None }
    }

    /// What stands beside the fault, in the same section, is blurred with it: a rule that compares two fields
    /// would otherwise judge a placeholder.
    fn replaced(problem: Problem, section: &str) -> Self {
        let blurred = if section.is_empty() { problem.field.clone() } else { section.to_owned() };
        Self { problem, blurred: Some(blurred) }
    }

    pub(super) fn blurs(&self, field: &str) -> bool {
        self.blurred.as_deref().is_some_and(|part| {
            part.is_empty()
                || field
                    .strip_prefix(part)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        })
    }
}

/// Finds every fault of form, and makes the document one that can be read.
pub(super) fn mend(plan: &mut Value) -> Vec<Fault> {
    let mut faults = Vec::new();
    PLAN.mend(plan, "", "", &mut faults);
    faults
}

impl Shape {
    /// `section` is the nearest enclosing section that names fields, for [`Fault::replaced`].
    fn mend(&self, value: &mut Value, path: &str, section: &str, faults: &mut Vec<Fault>) {
        match (self, &mut *value) {
            (Self::Text, Value::String(_)) => {}
            (Self::Whole, Value::Number(n)) if n.as_u64().is_some_and(|n| u32::try_from(n).is_ok()) => {}
            (Self::Truth, Value::Bool(_)) => {}
            (Self::Word(words), Value::String(word)) if words.contains(&word.as_str()) => {}
            (Self::List(item), Value::Array(items)) => {
                for (index, value) in items.iter_mut().enumerate() {
                    item.mend(value, &format!("{path}[{index}]"), section, faults);
                }
            }
            (Self::Texts, Value::Object(texts)) => {
                for (name, value) in texts {
                    Self::Text.mend(value, &join(path, name), path, faults);
                }
            }
            (Self::Fields(fields), Value::Object(object)) => mend_fields(fields, object, path, faults),
            (_, found) => {
                let message = format!("must be {}, but is {}", self.expected(), describe(self, found));
                faults.push(Fault::replaced(Problem::new(path, message), section));
                *value = self.placeholder();
            }
        }
    }

    fn expected(&self) -> String {
        match self {
            Self::Text => "text".into(),
            Self::Whole => format!("a whole number from 0 to {}", u32::MAX),
            Self::Truth => "true or false".into(),
            Self::Word(words) => format!("one of {}", words.join(", ")),
            Self::List(_) => "a list".into(),
            Self::Texts => "names with texts (`Key: value`)".into(),
            Self::Fields(fields) => {
                let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
                format!("a section with the fields {}", names.join(", "))
            }
        }
    }

    fn placeholder(&self) -> Value {
        match self {
            Self::Text => Value::String(String::new()),
            Self::Whole => Value::Number(Number::from(0)),
            Self::Truth => Value::Bool(false),
            Self::Word(words) => Value::String(words[0].into()),
            Self::List(_) => Value::Array(Vec::new()),
            Self::Texts => Value::Object(Map::new()),
            Self::Fields(fields) => Value::Object(
                fields.iter().map(|field| (field.name.to_owned(), field.shape.placeholder())).collect(),
            ),
        }
    }
}

fn mend_fields(fields: &[Field], object: &mut Map<String, Value>, path: &str, faults: &mut Vec<Fault>) {
    let known = |name: &str| fields.iter().any(|field| field.name == name);
    let unknown: Vec<String> = object.keys().filter(|name| !known(name)).cloned().collect();
    for name in unknown {
        object.remove(&name);
        let message = match nearest(&name, fields) {
            Some(meant) => format!("no such field; did you mean `{meant}`?"),
            None => format!("no such field; {} here", list(fields)),
        };
        faults.push(Fault::dropped(Problem::new(join(path, &name), message)));
    }
    for field in fields {
        let at = join(path, field.name);
        match object.get_mut(field.name) {
            Some(value) => field.shape.mend(value, &at, path, faults),
            None if field.required => {
                let message = format!("is missing; it must be {}", field.shape.expected());
                faults.push(Fault::replaced(Problem::new(at, message), path));
                object.insert(field.name.to_owned(), field.shape.placeholder());
            }
            None => {}
        }
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn list(fields: &[Field]) -> String {
    let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
    match names.as_slice() {
        [only] => format!("only `{only}` may stand"),
        names => format!("{} may stand", names.join(", ")),
    }
}

fn describe(expected: &Shape, found: &Value) -> String {
    let is = match found {
        Value::Null => "empty".to_owned(),
        Value::Bool(_) | Value::Number(_) => found.to_string(),
        Value::String(text) => format!("the text {text:?}"),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a section".to_owned(),
    };
    match (expected, found) {
        (Shape::Text, Value::Bool(_) | Value::Number(_)) => format!("{is}; put it in quotes: \"{found}\""),
        (Shape::Whole, Value::String(_)) => format!("{is}; write it without quotes and unit"),
        _ => is,
    }
}

/// The field that a misspelt name most likely meant: at most two edits away, and fewer than half its letters.
fn nearest(name: &str, fields: &[Field]) -> Option<&'static str> {
    fields
        .iter()
        .map(|field| (edits(name, field.name), field.name))
        .filter(|(edits, meant)| *edits <= 2 && edits * 2 < meant.len())
        .min()
        .map(|(_, meant)| meant)
}

/// Levenshtein's distance, in bytes: field names are ASCII.
fn edits(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.bytes().enumerate() {
            let replace = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = replace.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
pub(super) fn placeholder_plan() -> Value {
    PLAN.placeholder()
}
