//! Which calls there are: a run's journal, with what differs from run to run masked.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::definition::Definition;
use crate::light::Stage;
use crate::world::ORIGIN_LAMBDA;
use crate::world::error::{Doing as _, WorldError};
use crate::world::proxy::{Call, Record, Scope};

/// The states whose calls come in an order that is chance: they are told as one.
const SIDE_BY_SIDE: [&str; 2] = ["Launch the stacks", "Verify the history"];
const PREPARE: &str = "Prepare the recovery side";
/// Before the first state: what the alarm calls.
const TRIGGER: &str = "alarm-trigger";
/// How the path of a read of a run's records ends. They are read side by side, in an order that is chance: the first of these
/// reads in a state stands for all.
const READ_OF_RECORDS: &str = "/*GetObject";

/// One call of a whole run, the same in every run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallId {
    /// The state in which it is made.
    pub state: String,
    /// What it is, for a person.
    pub what: String,
    /// Which of several alike within the state, from 1.
    pub nth: u32,
    /// Its place in the run, from 1.
    #[serde(default)]
    pub order: u32,
    /// Whether it changes anything.
    pub effect: bool,
    /// The function that makes it, as it is deployed.
    pub function: String,
    at: Place,
    /// What comes by when its state begins; none where the place alone tells its state.
    begins: Option<Place>,
}

/// Where a call goes. `*` in the path stands for any text, `{…}` for a name of the stage.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Place {
    service: String,
    operation: Option<String>,
    method: String,
    path: String,
}

impl CallId {
    /// The call, and that of its state, as the proxy knows them on this stage.
    pub(super) fn scopes(&self, stage: &Stage) -> (Scope, Option<Scope>) {
        (self.at.scope(stage), self.begins.as_ref().map(|begins| begins.scope(stage)))
    }

    /// The call, for a person, as one of several alike.
    pub fn told(&self) -> String {
        match self.nth {
            1 => self.what.clone(),
            2 => format!("{}, 2nd", self.what),
            3 => format!("{}, 3rd", self.what),
            nth => format!("{}, {nth}th", self.what),
        }
    }
}

impl Place {
    fn scope(&self, stage: &Stage) -> Scope {
        let mut path = self.path.clone();
        for (name, placeholder) in names(stage) {
            path = path.replace(placeholder, &name);
        }
        let scope = Scope::origin(ORIGIN_LAMBDA).service(&self.service).method(&self.method).path_like(&path);
        match &self.operation {
            Some(operation) => scope.operation(operation),
            None => scope,
        }
    }
}

/// The names of the stage, the longest first: those of buckets begin with the plan's.
fn names(stage: &Stage) -> [(String, &'static str); 5] {
    [
        (stage.log_bucket.clone(), "{log}"),
        (stage.control_bucket.clone(), "{control}"),
        (stage.evidence_bucket.clone(), "{evidence}"),
        (stage.zone_id.trim_start_matches("/hostedzone/").to_owned(), "{zone}"),
        (stage.plan.name.clone(), "{plan}"),
    ]
}

/// The calls of a run, in the order of their first coming.
///
/// # Errors
/// Where the definition cannot be read.
pub(super) fn of_run(stage: &Stage, run: &str, journal: &[Record]) -> Result<Vec<CallId>, WorldError> {
    let definition = Definition::read().doing(|| "read the definition".to_owned())?;
    let tasks: Vec<(String, String, &str)> = definition
        .tasks()
        .into_iter()
        .map(|task| (slug(task.name), task.name.to_owned(), task.deployed().unwrap_or_default()))
        .collect();
    let mut found: Vec<CallId> = Vec::new();
    let mut seen: BTreeMap<(String, Place), u32> = BTreeMap::new();
    let (mut state, mut begins, mut last_outcome) = (TRIGGER.to_owned(), None, None);
    for call in journal.iter().map(|record| &record.call).filter(|call| call.origin == ORIGIN_LAMBDA) {
        // The longest name that is in the path: one state's name begins another's.
        let of_state = tasks.iter().filter(|(slug, ..)| is_of_state(call, slug));
        let of_state = of_state.max_by_key(|(slug, ..)| slug.len());
        let at = place(stage, run, call, of_state.map(|(slug, ..)| slug.as_str()));
        let is_intent = call.method == "PUT" && call.path.contains("-intent.json");
        if let Some((_, name, _)) = of_state.filter(|_| is_intent) {
            let entered = if SIDE_BY_SIDE.contains(&name.as_str()) { PREPARE } else { name };
            if state != entered {
                state = entered.to_owned();
                begins = if state == PREPARE { last_outcome.clone() } else { Some(at.clone()) };
            }
        }
        if call.method == "PUT" && call.path.contains("-outcome.json") {
            last_outcome = Some(at.clone());
        }
        let nth = seen.entry((state.clone(), at.clone())).or_default();
        *nth += 1;
        if at.path.ends_with(READ_OF_RECORDS) && *nth > 1 {
            continue;
        }
        // Its path names the state of a record, and there is one of each in a state: it needs no other mark.
        let told_by_path = of_state.is_some();
        found.push(CallId {
            what: what(&at, of_state.filter(|_| state == PREPARE).map(|(_, name, _)| name.as_str())),
            nth: *nth,
            order: u32::try_from(found.len() + 1).unwrap_or(u32::MAX),
            effect: is_effect(call),
            function: function(&tasks, &state, of_state.map(|task| task.2), call).to_owned(),
            begins: if told_by_path { None } else { begins.clone() },
            state: state.clone(),
            at,
        });
    }
    Ok(found)
}

fn slug(name: &str) -> String {
    name.replace(|c: char| !c.is_ascii_alphanumeric(), "-")
}

/// Whether the call writes a record, or what lies beside one, of the state of this slug.
fn is_of_state(call: &Call, slug: &str) -> bool {
    call.method == "PUT" && call.path.contains(&format!("Z-{slug}-"))
}

/// The call with what differs from run to run masked.
fn place(stage: &Stage, run: &str, call: &Call, slug: Option<&str>) -> Place {
    let mut path = call.path.clone();
    for (name, placeholder) in names(stage) {
        path = path.replace(&name, placeholder);
    }
    path = path.replace(run, "*");
    if let Some((before, _)) = path.split_once("versionId=") {
        path = format!("{before}versionId=*");
    }
    let evidence = "/{evidence}/{plan}/*/";
    if path.starts_with(evidence) && !path.contains("manifest.json") {
        let kind = ["intent", "outcome"].into_iter().find(|kind| path.contains(&format!("-{kind}.json")));
        path = match (slug, kind) {
            (Some(slug), Some(kind)) => format!("{evidence}*-{slug}-*-{kind}.json?*"),
            (Some(slug), None) => format!("{evidence}left/*-{slug}-*-{}-*", left(&path, slug)),
            (None, _) if call.method == "GET" => format!("{evidence}*GetObject"),
            (None, _) if path.contains("manifest.sig") => format!("{evidence}manifest.sig?*"),
            // The plan, by its digest, which lies beside the records of no step.
            (None, _) => format!("{evidence}left/plan-*"),
        };
    }
    if let Some((before, _)) = path.split_once("/change/") {
        path = format!("{before}/change/*");
    }
    Place {
        service: call.service.clone().unwrap_or_default(),
        operation: call.operation.clone(),
        method: call.method.clone(),
        path,
    }
}

/// What a step has left: `…-<state>-<attempt>-<what>-<digest>.json`.
fn left(path: &str, slug: &str) -> String {
    let path = path.split('?').next().unwrap_or_default();
    let name = path.rsplit_once(&format!("-{slug}-")).map_or("", |(_, name)| name);
    let name = name.split_once('-').map_or("", |(_attempt, name)| name);
    name.rsplit_once('-').map_or("", |(name, _digest)| name).to_owned()
}

/// The call in words: `s3 PUT {control}/epoch/{plan}/2`.
fn what(at: &Place, state: Option<&str>) -> String {
    if let Some(operation) = &at.operation {
        return format!("{} {operation}", at.service);
    }
    if at.service != "s3" {
        return format!("{} {} {}", at.service, at.method, at.path.trim_start_matches("/2013-04-01/"));
    }
    let path = at.path.replace("%2F", "/");
    let (key, query) = path.split_once('?').unwrap_or((&path, ""));
    let of = state.map_or(String::new(), |state| format!(" of {state}"));
    if let Some(record) = key.strip_prefix("/{evidence}/{plan}/*/") {
        let kind = ["intent.json", "outcome.json", "manifest.json"].into_iter();
        let what = match kind.into_iter().find(|kind| record.ends_with(kind)) {
            Some(kind) => kind.trim_end_matches(".json").to_owned(),
            None if record == "*GetObject" => "records".to_owned(),
            None if record == "left/plan-*" => "the plan".to_owned(),
            None if record == "manifest.sig" => "signature".to_owned(),
            None => record.trim_end_matches("-*").rsplit('-').next().unwrap_or_default().to_owned(),
        };
        return format!("{} {} evidence: {what}{of}", at.service, at.method);
    }
    let parameter = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)).map(short);
    match (parameter("prefix="), parameter("start-after=")) {
        (None, _) => format!("{} {} {}", at.service, at.method, short(key.trim_start_matches('/'))),
        (Some(prefix), after) => {
            let bucket = key.trim_matches('/');
            let after = after.map_or(String::new(), |after| format!(" behind {after}"));
            format!("s3 LIST {bucket}/{prefix}{after}")
        }
    }
}

/// A key with its numbers of twenty digits as people write them.
fn short(key: &str) -> String {
    let mut parts = key.split('/').map(|part| {
        let (number, rest) = part.split_at(part.len().min(20));
        match number.len() == 20 && number.bytes().all(|digit| digit.is_ascii_digit()) {
            true => format!("{}{rest}", number.trim_start_matches('0')),
            false => part.to_owned(),
        }
    });
    let first = parts.next().unwrap_or_default();
    parts.fold(first, |key, part| format!("{key}/{part}"))
}

fn is_effect(call: &Call) -> bool {
    match (&call.operation, call.method.as_str()) {
        (Some(operation), _) => !["Describe", "List", "Get"].iter().any(|read| operation.starts_with(read)),
        (None, method) => method != "GET",
    }
}

/// The function that makes the call: that of the state, and where two are at work, by what they call.
fn function<'a>(
    tasks: &[(String, String, &'a str)],
    state: &str,
    of_record: Option<&'a str>,
    call: &Call,
) -> &'a str {
    if let Some(function) = of_record {
        return function;
    }
    match (state, call.service.as_deref()) {
        (TRIGGER, _) => TRIGGER,
        (PREPARE, Some("cloudformation")) => "stack-launch",
        (PREPARE, _) => "ledger-verify",
        _ => tasks.iter().find(|(_, name, _)| name == state).map_or("", |task| task.2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(service: &str, method: &str, path: &str) -> String {
        let place = Place {
            service: service.to_owned(),
            operation: None,
            method: method.to_owned(),
            path: path.to_owned(),
        };
        what(&place, None)
    }

    #[test]
    fn a_call_is_told_as_people_write_it() {
        for (method, path, told_as) in [
            (
                "PUT",
                "/{log}/log/ME1/00000000000000000006.ndjson?x-id=PutObject",
                "s3 PUT {log}/log/ME1/6.ndjson",
            ),
            ("GET", "/{log}/?list-type=2&prefix=log%2FME1%2F", "s3 LIST {log}/log/ME1/"),
            (
                "GET",
                "/{control}/?list-type=2&prefix=epoch%2F{plan}%2F&start-after=epoch%2F{plan}%2F00000000000000000002",
                "s3 LIST {control}/epoch/{plan}/ behind epoch/{plan}/2",
            ),
            ("PUT", "/{evidence}/{plan}/*/*-Seal-the-ledger-*-intent.json?*", "s3 PUT evidence: intent"),
            ("PUT", "/{evidence}/{plan}/*/left/*-Confirm-the-flip-*-receipts-*", "s3 PUT evidence: receipts"),
            ("GET", "/{evidence}/{plan}/*/*GetObject", "s3 GET evidence: records"),
            ("PUT", "/{evidence}/{plan}/*/manifest.json?x-id=PutObject", "s3 PUT evidence: manifest"),
        ] {
            assert_eq!(told("s3", method, path), told_as);
        }
        // Two reads of one zone differ in what they ask for.
        let asks = told("route53", "GET", "/2013-04-01/hostedzone/{zone}/rrset?name=a&type=TXT");
        assert_eq!(asks, "route53 GET hostedzone/{zone}/rrset?name=a&type=TXT");
    }

    #[test]
    fn what_a_step_has_left_is_told_without_its_attempt_and_digest() {
        let path = "/{evidence}/{plan}/*/left/2026-11-27T22%3A43%3A31.350Z-Confirm-the-flip-0-receipts-4a93.json?x-id=PutObject";
        assert_eq!(left(path, "Confirm-the-flip"), "receipts");
    }
}
