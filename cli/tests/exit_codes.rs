//! The exit codes of each command: what its help says, the table of `cli/EXIT_CODES.md`, and what it ends with when that is
//! provoked.
//!
//! `LIFEBOAT_WRITE=1 cargo test -p lifeboat --test exit_codes` writes the page.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::thread;

use support::Folder;
use support::evidence::{files, fingerprint, fixture};
use support::s3::S3;
use support::world::World;

/// What each command is called with: the plan, the buckets and the Region are in its environment where it takes them from there.
const CALLS: [(&str, &str); 28] = [
    ("plan new", "plan new aex.yaml --name aex --primary eu-west-1 --recovery eu-central-1"),
    ("plan schema", "plan schema"),
    ("plan check", "plan check plan.yaml"),
    ("plan upload", "plan upload plan.yaml"),
    ("init", "init --plan aex"),
    (
        "failover",
        "failover --plan aex --reason r --by b --yes --state-machine arn:aws:states:eu-central-1:1:stateMachine:x",
    ),
    ("status", "status --plan aex"),
    ("runs", "runs --plan aex"),
    ("handback", "handback --plan aex --reason r --by b --yes"),
    ("flip", "flip --plan aex --reason r --by b --yes"),
    ("approve", "approve --plan aex --reason r --yes"),
    ("decline", "decline --plan aex --reason r --yes"),
    ("acknowledge", "acknowledge --plan aex --reason r --by b"),
    ("maintenance begin", "maintenance begin --plan aex --reason r --by b"),
    ("maintenance end", "maintenance end --plan aex --reason r --by b"),
    ("dns prepare", "dns prepare --plan aex --yes"),
    ("dns check", "dns check --plan aex"),
    ("completions", "completions bash"),
    ("man", "man"),
    ("replay", "replay --plan aex"),
    ("evidence list", "evidence list --plan aex"),
    ("evidence show", "evidence show run --plan aex"),
    ("evidence fetch", "evidence fetch run ./fetched --plan aex"),
    ("evidence verify", "evidence verify run --plan aex"),
    ("report", "report run --plan aex"),
    ("ledger verify", "ledger verify s3://log/log"),
    ("ledger tail", "ledger tail s3://log/log --stream ME1"),
    ("ledger generate", "ledger generate ./made --entries 100"),
];
const BUCKETS: [(&str, &str); 2] =
    [("LIFEBOAT_CONTROL_BUCKET", "control"), ("LIFEBOAT_EVIDENCE_BUCKET", "evidence")];

/// What takes somebody else who acts, or more of AWS than S3, and the tests that have it. What would end with 70 is not known.
const ELSEWHERE: [(&str, &[u8], &str); 11] = [
    ("plan upload", &[3], "upload_and_init.rs"),
    ("init", &[3], "upload_and_init.rs"),
    ("failover", &[0, 3], "failover.rs"),
    ("status", &[1, 2, 3, 4], "status.rs"),
    ("handback", &[0, 1, 2, 3, 4], "handback.rs"),
    ("flip", &[0, 1, 2, 3, 4], "flip.rs"),
    ("approve", &[0, 3], "../../tests/tests/approvals.rs"),
    ("decline", &[0, 3], "../../tests/tests/approvals.rs"),
    ("dns prepare", &[0, 3, 4], "dns.rs"),
    ("dns check", &[0, 3], "dns.rs"),
    ("replay", &[0, 1], "replay.rs"),
];
const DEFECT: u8 = 70;

/// With what a command line has ended, by the command's words.
struct Provoked(BTreeMap<&'static str, BTreeSet<u8>>);

impl Provoked {
    #[track_caller]
    fn is(&mut self, code: u8, folder: &Folder, line: &str, environment: &[(&str, &str)]) {
        let (command, _) = CALLS
            .into_iter()
            .filter(|(words, _)| line.starts_with(words))
            .max_by_key(|(words, _)| words.len())
            .expect("a command");
        let environment = [environment, &BUCKETS].concat();
        let run = folder.lifeboat_with(&line.split(' ').collect::<Vec<_>>(), &environment);
        assert_eq!(run.code, i32::from(code), "{line}: {run:?}");
        self.0.entry(command).or_default().insert(code);
    }
}

/// The codes that a command's help names.
fn in_help(command: &str) -> BTreeSet<u8> {
    let mut arguments: Vec<&str> = command.split(' ').collect();
    arguments.push("--help");
    let help = Folder::new().lifeboat(&arguments);
    let codes = help.out.split("Exit codes:\n").nth(1).unwrap_or_else(|| panic!("{command}: {help:?}"));
    codes.lines().filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect()
}

/// The environment of an S3 at `endpoint`.
fn aws(endpoint: &str) -> [(&str, &str); 4] {
    [
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_REGION", "eu-central-1"),
    ]
}

#[test]
fn each_command_ends_as_its_help_says() {
    let mut all = Provoked(BTreeMap::new());
    let folder = Folder::new();
    let on_aws = |command: &str| in_help(command).contains(&75);
    let reads_stored_plan = |line: &str| {
        line.contains("--plan aex") && !line.starts_with("evidence") && !line.starts_with("report") && {
            !line.starts_with("runs") && !line.starts_with("replay")
        }
    };
    for (command, line) in CALLS {
        all.is(64, &folder, &format!("{line} --no-such-option"), &[]);
        if on_aws(command) {
            all.is(69, &folder, line, &[]);
        }
    }
    nothing_answers(&mut all, &CALLS.into_iter().filter(|(command, _)| on_aws(command)).collect::<Vec<_>>());

    let (empty, spoilt) = (S3::start(), S3::start());
    spoilt.put("control/plan/aex.json", b"{}");
    for (_, line) in CALLS.into_iter().filter(|(_, line)| reads_stored_plan(line)) {
        all.is(66, &folder, line, &aws(&empty.endpoint));
        all.is(65, &folder, line, &aws(&spoilt.endpoint));
    }
    for line in ["runs --plan aex", "evidence list --plan aex"] {
        all.is(0, &folder, line, &aws(&empty.endpoint));
    }
    all.is(2, &folder, "replay --plan aex", &aws(&empty.endpoint));
    for line in ["evidence show run --plan aex", "evidence fetch run ./fetched --plan aex"] {
        all.is(66, &folder, line, &aws(&empty.endpoint));
    }
    files_alone(&mut all);
    a_plan_and_its_runs(&mut all);

    for (command, _) in CALLS {
        let elsewhere = ELSEWHERE.iter().filter(|(of, ..)| *of == command).flat_map(|(_, codes, _)| *codes);
        let elsewhere: BTreeSet<u8> = elsewhere.copied().chain([DEFECT]).collect();
        let provoked = &all.0[command];
        assert!(provoked.is_disjoint(&elsewhere), "{command}: {provoked:?} was provoked here");
        assert_eq!(provoked | &elsewhere, in_help(command), "{command}: provoked, and in its help");
    }
    for (.., file) in ELSEWHERE {
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(file).is_file(), "{file}");
    }
}

/// Nobody listens there. Each waits for its own tries, so they wait at once.
fn nothing_answers(all: &mut Provoked, calls: &[(&'static str, &'static str)]) {
    let called = thread::scope(|scope| {
        let one = |(_, line): &(&'static str, &'static str)| {
            let line = *line;
            scope.spawn(move || {
                let mut one = Provoked(BTreeMap::new());
                one.is(75, &Folder::new(), line, &aws("http://127.0.0.1:1"));
                one
            })
        };
        let begun: Vec<_> = calls.iter().map(one).collect();
        begun.into_iter().map(|one| one.join().expect("it ends with 75")).collect::<Vec<_>>()
    });
    for (command, codes) in called.into_iter().flat_map(|one| one.0) {
        all.0.entry(command).or_default().extend(codes);
    }
}

/// What takes no AWS at all.
fn files_alone(all: &mut Provoked) {
    let folder = Folder::new();
    folder.write("taken", "a file");
    folder.write("wrong.yaml", "version: 1");
    for (code, line) in [
        (0, "plan new aex.yaml --name aex --primary eu-west-1 --recovery eu-central-1"),
        (73, "plan new plan.yaml --name aex --primary eu-west-1 --recovery eu-central-1"),
        (0, "plan schema"),
        (0, "plan check plan.yaml"),
        (65, "plan check wrong.yaml"),
        (66, "plan check none.yaml"),
        (65, "plan upload wrong.yaml"),
        (66, "plan upload none.yaml"),
        (0, "completions bash"),
        (0, "man"),
        (73, "man taken"),
        (65, "replay ./taken --as-if wrong.yaml"),
        (66, "replay ./none"),
        (66, "evidence verify ./none"),
        (0, "ledger generate ./made --entries 100 --seal"),
        (73, "ledger generate ./infra --entries 100"),
        (0, "ledger verify ./made"),
        (0, "ledger tail ./made --stream ME1"),
        (66, "ledger verify ./none"),
        (66, "ledger tail ./none --stream ME1"),
        (65, "ledger verify ./made --plan wrong.yaml"),
        (0, "ledger generate ./open --entries 100"),
        (2, "ledger verify ./open"),
        (0, "ledger generate ./gap --entries 10000 --fault gap --seal"),
        (1, "ledger verify ./gap"),
        (1, "ledger tail ./gap --stream ME1 -n 10000"),
    ] {
        all.is(code, &folder, line, &[]);
    }
    let run = fixture("recovers").display().to_string();
    all.is(0, &folder, &format!("evidence show {run}"), &[]);
    all.is(0, &folder, &format!("evidence verify {run} --key {}", fingerprint()), &[]);
    all.is(1, &folder, &format!("evidence verify {run} --key {}", "0".repeat(64)), &[]);
    all.is(2, &folder, &format!("evidence verify {run}"), &[]);
    all.is(66, &folder, "report ./none", &[]);
    all.is(0, &folder, &format!("report {run} --key {} --out page.html", fingerprint()), &[]);
    all.is(73, &folder, &format!("report {run} --key {} --out page.html", fingerprint()), &[]);
    all.is(1, &folder, &format!("report {run} --key {} --out broken.html", "0".repeat(64)), &[]);
    all.is(2, &folder, &format!("report {run} --out nobodys.html"), &[]);
}

/// A plan from before its ledger was begun, and a run that was fetched.
fn a_plan_and_its_runs(all: &mut Provoked) {
    let world = World::uploaded();
    for (object, bytes) in files("recovers") {
        world.s3.put(&format!("evidence/other/recovers/{object}"), &bytes);
    }
    for (code, line) in [
        (0, "plan upload plan.yaml"),
        (3, "acknowledge --plan aex --reason r --by b"),
        (0, "init --plan aex"),
        (0, "status --plan aex"),
        (0, "acknowledge --plan aex --reason r --by b"),
        (0, "maintenance begin --plan aex --reason r --by b"),
        (0, "maintenance end --plan aex --reason r --by b"),
        (0, "evidence fetch recovers ./fetched --plan other"),
        (73, "evidence fetch recovers ./fetched --plan other"),
    ] {
        all.is(code, &world.folder, line, &aws(&world.s3.endpoint));
    }
}

#[test]
fn the_page_has_the_table_of_all_commands() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("EXIT_CODES.md");
    let text = std::fs::read_to_string(&page).expect("the page");
    let (begin, end) = ("<!-- table -->\n", "<!-- /table -->");
    let (before, rest) = text.split_once(begin).expect("where the table begins");
    let (_, after) = rest.split_once(end).expect("where it ends");
    let made = format!("{before}{begin}{}{end}{after}", lifeboat::exits::table());
    if std::env::var_os("LIFEBOAT_WRITE").is_some() {
        std::fs::write(&page, &made).expect("the page can be written");
    }
    assert!(text == made, "LIFEBOAT_WRITE=1 cargo test -p lifeboat --test exit_codes writes the table");
    let rows: Vec<&str> =
        made.lines().filter_map(|line| line.strip_prefix("| `lifeboat ")?.split('`').next()).collect();
    assert_eq!(rows, CALLS.map(|(command, _)| command), "every command is told of, and called here");
}
