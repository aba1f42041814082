//! Rules of the repository itself: what may depend on what, how a Lambda's crate is laid out, and what no file says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;

use lifeboat_tests::template;
use lifeboat_tests::world::places;
use serde_json::Value;

/// The crates that decide without I/O.
const PURE: [&str; 2] = ["lifeboat-ledger", "lifeboat-rules"];
/// The crates of the Lambdas.
const LAMBDAS: [&str; 6] =
    ["alarm-trigger", "dns-flip", "health-check", "ledger-verify", "run-control", "stack-launch"];
/// More than this in a `main` is no wiring.
const MAIN_LINES_MAX: usize = 45;

#[test]
fn ledger_and_rules_depend_on_no_sdk_and_no_runtime() {
    let graph = Graph::read();
    for name in PURE {
        let below = graph.below(name);
        assert!(below.contains("serde"), "{name}: the graph was not read");
        assert_eq!(impure(&below), Vec::<&str>::new(), "{name}");
    }
    // The same look at a crate that does have them.
    assert!(impure(&graph.below("dns-flip")).contains(&"tokio"));
    assert!(impure(&graph.below("dns-flip")).iter().any(|name| name.starts_with("aws-")));
}

fn impure<'a>(names: &BTreeSet<&'a str>) -> Vec<&'a str> {
    let banned = |name: &str| {
        name.starts_with("aws-")
            || ["tokio", "hyper", "reqwest", "lambda_runtime", "async-std", "smol", "socket2", "mio"]
                .contains(&name)
    };
    names.iter().filter(|name| banned(name)).copied().collect()
}

#[test]
fn nothing_depends_on_the_tests() {
    let graph = Graph::read();
    assert!(graph.members.contains("lifeboat-tests"));
    for member in &graph.members {
        assert!(!graph.any(member).contains(&"lifeboat-tests"), "{member} depends on lifeboat-tests");
    }
    assert!(graph.any("lifeboat-tests").contains(&"lifeboat-rules"), "the graph was not read");
}

#[test]
fn a_lambda_has_its_wiring_its_handler_and_its_calls_apart() {
    for name in LAMBDAS {
        let source = places::repository().join("functions").join(name).join("src");
        for file in ["main.rs", "lib.rs", "aws.rs"] {
            assert!(source.join(file).is_file(), "{name} has no {file}");
        }
        let main = std::fs::read_to_string(source.join("main.rs")).expect("main.rs");
        let lines = main.lines().count();
        assert!(
            lines < MAIN_LINES_MAX,
            "{name}: main.rs has {lines} lines; what needs a test belongs into lib.rs"
        );
        assert!(!main.contains("#[cfg(test)]"), "{name}: what needs a test does not belong into main.rs");
    }
    let graph = Graph::read();
    let deployed =
        template::read(&places::repository().join("infra/orchestrator.yaml")).expect("the template");
    let functions = deployed["Resources"].as_object().expect("resources").values();
    let functions = functions.filter(|resource| resource["Type"] == "AWS::Serverless::Function");
    let packages = functions.filter_map(|function| function["Properties"]["CodeUri"]["Key"].as_str());
    let packages: BTreeSet<&str> =
        packages.map(|key| key.trim_start_matches("${ArtifactPrefix}").trim_end_matches(".zip")).collect();
    assert_eq!(packages, BTreeSet::from(LAMBDAS), "the packages that are deployed are the crates");
    assert!(LAMBDAS.iter().all(|name| graph.members.contains(*name)));
}

#[test]
fn ledger_and_rules_cannot_read_a_clock() {
    for folder in ["functions/ledger", "functions/rules"] {
        let text = std::fs::read_to_string(places::repository().join(folder).join("clippy.toml"));
        let text = text.expect("a crate that decides has a clippy.toml of its own");
        for clock in ["std::time::SystemTime::now", "std::time::Instant::now"] {
            assert!(text.contains(&format!("path = \"{clock}\"")), "{folder} does not ban {clock}");
        }
        // A crate that knows no jiff cannot name its clock.
        let manifest = std::fs::read_to_string(places::repository().join(folder).join("Cargo.toml"))
            .expect("a manifest");
        let jiff = manifest.lines().any(|line| line.starts_with("jiff"));
        assert_eq!(jiff, text.contains("path = \"jiff::Timestamp::now\""), "{folder}: jiff's clock");
    }
    let root = std::fs::read_to_string(places::repository().join("Cargo.toml")).expect("the manifest");
    assert!(root.contains("disallowed_methods = \"deny\""), "the bans are not errors");
}

/// The files that may step out of the compiler's proofs, each for processor instructions that it has made sure of.
const UNSAFE: [&str; 2] = ["functions/ledger/src/fast/plain.rs", "functions/ledger/src/hash/sha_ni.rs"];

#[test]
fn unsafe_code_is_where_its_proof_is() {
    let (mut found, mut inherits) = (Vec::new(), 0);
    for path in files() {
        let name = path.strip_prefix(places::repository()).expect("below the root").display().to_string();
        let is_manifest = name.ends_with("Cargo.toml") && !["Cargo.toml", FUZZING].contains(&name.as_str());
        if !is_manifest && !name.ends_with(".rs") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("text");
        if is_manifest {
            assert!(text.contains("[lints]\nworkspace = true"), "{name} has not the workspace's lints");
            inherits += 1;
        } else if unproven_unsafe(&text) > 0 {
            panic!("{name}: what is unsafe has no `SAFETY:` in the comment above it");
        } else if lifts(&text).next().is_some() || text.contains(concat!("unsafe", " {")) {
            found.push(name);
        }
    }
    found.sort();
    assert_eq!(found, UNSAFE);
    assert_eq!(inherits, Graph::read().members.len(), "manifests");
    let root = std::fs::read_to_string(places::repository().join("Cargo.toml")).expect("the manifest");
    assert!(root.contains("unsafe_code = \"deny\""), "unsafe code is no error");
    // The same look at a file that proves nothing, or not at this place.
    let (allow, safety) = (concat!("#[allow(unsafe", "_code)]"), "// SAFETY: it is.");
    assert_eq!(unproven_unsafe(&format!("    {safety}\n    // It was.\n    {allow}\n")), 0);
    assert_eq!(unproven_unsafe(&format!("{safety}\n{allow}\nfn f() {{}}\n{allow}\n")), 1);
}

/// A workspace of its own, without the lint: what is unsafe there is found by the word alone.
const FUZZING: &str = "tests/fuzz/Cargo.toml";

/// The numbers of the lines that lift the ban on unsafe code; written apart, so that this file has none.
fn lifts(text: &str) -> impl Iterator<Item = usize> {
    let names = |line: &str| line.contains(concat!("unsafe", "_code")) && line.contains("#");
    text.lines().enumerate().filter(move |(_, line)| names(line)).map(|(number, _)| number)
}

/// How many of them have no proof in the comment right above them.
fn unproven_unsafe(text: &str) -> usize {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let proven = |number: usize| {
        lines[..number]
            .iter()
            .rev()
            .take_while(|line| line.starts_with("//"))
            .any(|line| line.contains("SAFETY:"))
    };
    lifts(text).filter(|number| !proven(*number)).count()
}

#[test]
fn no_file_names_a_place_on_one_machine() {
    let mut found = Vec::new();
    for path in files() {
        // Not every file is text.
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        found.extend(
            places_on_a_machine(&text).into_iter().map(|place| format!("{}: {place}", path.display())),
        );
    }
    assert!(found.is_empty(), "\n  {}", found.join("\n  "));
    for home in HOMES {
        assert_eq!(places_on_a_machine(&format!("see {home}x for more")).len(), 1);
    }
}

/// Written apart, so that this file does not name them.
const HOMES: [&str; 4] =
    [concat!("/ro", "ot/"), concat!("/wo", "rk/"), concat!("/ho", "me/"), concat!("/Us", "ers/")];

fn places_on_a_machine(text: &str) -> Vec<String> {
    let named = |line: &&str| HOMES.iter().any(|home| starts_a_path(line, home));
    text.lines().filter(named).map(|line| line.trim().chars().take(100).collect()).collect()
}

/// A folder begins a path after a blank or a quote, but not in the middle of an address or of another path.
fn starts_a_path(line: &str, home: &str) -> bool {
    line.match_indices(home)
        .any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || "._-}$".contains(c)))
}

#[test]
fn what_is_fetched_comes_from_the_public_registries() {
    let lock = std::fs::read_to_string(places::repository().join("Cargo.lock")).expect("the lock");
    let sources: BTreeSet<&str> = lock.lines().filter(|line| line.starts_with("source = ")).collect();
    let expected = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";
    assert_eq!(sources, BTreeSet::from([expected]));

    // An option, an address or a path beside the pins would be one machine's mirror.
    let requirements =
        std::fs::read_to_string(places::repository().join("tests/requirements.txt")).expect("the pins");
    for line in requirements.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let pin = line.split_once("==").is_some_and(|(name, version)| {
            let plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
            plain(name) && plain(version)
        });
        assert!(pin, "tests/requirements.txt: `{line}` is no plain pin");
    }
    let cargo =
        std::fs::read_to_string(places::repository().join(".cargo/config.toml")).expect("the configuration");
    for table in ["[source", "[registr"] {
        assert!(!cargo.contains(table), ".cargo/config.toml has a table {table}…]");
    }
}

/// Every file that is, or is about to be, part of the repository.
fn files() -> Vec<PathBuf> {
    let root = places::repository();
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(&root)
        .output()
        .expect("git starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let listed = String::from_utf8(output.stdout).expect("names in UTF-8");
    let files: Vec<PathBuf> = listed
        .split('\0')
        .filter(|name| !name.is_empty())
        .map(|name| root.join(name))
        // Listed, but deleted and not yet committed.
        .filter(|path| path.is_file())
        .collect();
    assert!(files.len() > 100, "only {} files were found", files.len());
    files
}

/// Who depends on whom, as cargo resolves it for this machine.
struct Graph {
    members: BTreeSet<String>,
    /// By package: its dependencies, each with whether it is more than a development dependency.
    depends: BTreeMap<String, Vec<(String, bool)>>,
}

impl Graph {
    fn read() -> Graph {
        // Only what this machine's build has fetched: without the filter, cargo would fetch other systems' crates.
        let host = Command::new("rustc").arg("-vV").output().expect("rustc starts").stdout;
        let host = String::from_utf8(host).expect("text");
        let host = host.lines().find_map(|line| line.strip_prefix("host: ")).expect("a host");
        let output = Command::new(env!("CARGO"))
            .args(["metadata", "--format-version", "1", "--locked", "--filter-platform", host])
            .current_dir(places::repository())
            .output()
            .expect("cargo starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let names: BTreeMap<String, String> = list(&metadata["packages"])
            .iter()
            .map(|package| (text(&package["id"]), text(&package["name"])))
            .collect();
        let members =
            list(&metadata["workspace_members"]).iter().map(|id| names[&text(id)].clone()).collect();
        let mut depends: BTreeMap<String, Vec<(String, bool)>> = BTreeMap::new();
        for node in list(&metadata["resolve"]["nodes"]) {
            // Two versions of one package count as one, which can only make the answer stricter.
            let known = depends.entry(names[&text(&node["id"])].clone()).or_default();
            for dependency in list(&node["deps"]) {
                let normal = list(&dependency["dep_kinds"]).iter().any(|kind| kind["kind"].is_null());
                known.push((names[&text(&dependency["pkg"])].clone(), normal));
            }
        }
        Graph { members, depends }
    }

    /// Everything that a package is built with.
    fn below(&self, name: &str) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        let mut ahead = vec![name];
        while let Some(name) = ahead.pop() {
            for (dependency, normal) in self.depends.get(name).into_iter().flatten() {
                if *normal && found.insert(dependency.as_str()) {
                    ahead.push(dependency);
                }
            }
        }
        found
    }

    /// Everything that a package names, for development too.
    fn any(&self, name: &str) -> BTreeSet<&str> {
        self.depends.get(name).into_iter().flatten().map(|(dependency, _)| dependency.as_str()).collect()
    }
}

/// The page of guarantees names what shows each promise; a test that was renamed or removed must not leave a promise behind.
#[test]
fn what_shows_a_promise_is_there() {
    let page =
        std::fs::read_to_string(places::repository().join("functions/GUARANTEES.md")).expect("the page");
    assert_eq!(missing(&page), Vec::<String>::new());
    let promises = page.split("## Not promised").next().expect("the first part");
    for promise in promises.split("\n**").skip(1) {
        let (title, rest) = promise.split_once("**").expect("a title between stars");
        let shown = rest.lines().filter(|line| line.starts_with("Shown by") || line.starts_with('|'));
        assert!(shown.flat_map(quoted).any(is_reference), "{title} is shown by nothing");
    }
    // The same look at a page that promises too much.
    let spoilt =
        page.replace("scenario:alarm-flaps", "scenario:alarm-sings").replace("outage.rs", "outrage.rs");
    assert_eq!(missing(&spoilt), ["functions/rules/src/outrage.rs", "scenario:alarm-sings"]);
}

fn missing(page: &str) -> Vec<String> {
    let root = places::repository();
    let there = |name: &str| match name.strip_prefix("scenario:") {
        Some(scenario) => root.join("tests/scenarios").join(scenario).join("transcript.txt").is_file(),
        None => root.join(name).is_file(),
    };
    let mut missing: Vec<String> = page
        .lines()
        .flat_map(quoted)
        .filter(|name| is_reference(name) && !there(name))
        .map(str::to_owned)
        .collect();
    missing.sort();
    missing.dedup();
    missing
}

/// What stands between back-ticks.
fn quoted(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

fn is_reference(name: &str) -> bool {
    name.strip_prefix("scenario:").is_some_and(|name| !name.is_empty())
        || (name.contains('/') && (name.ends_with(".rs") || name.ends_with(".md")))
}
