//! With which exit codes each command may end, and what they mean of it: what its `--help` says, and `cli/EXIT_CODES.md`.

use std::fmt::Write as _;

use crate::exit::Exit;

/// A code, and what it means.
type Means = (Exit, &'static str);

const DONE: Means = (Exit::Done, "done, or done already");
const BROKEN: Means = (Exit::Broken, "the ledger is broken; what and where is told, and nothing was changed");
const UNPROVEN: Means =
    (Exit::Unproven, "the ledger could not be proven; why is told, and nothing was changed");
const HALTED: Means =
    (Exit::Halted, "a person has to decide; nothing was changed that the message does not name");
const SUPERSEDED: Means =
    (Exit::Superseded, "somebody newer acts; nothing was changed that the message does not name");
const NO_INPUT: Means = (Exit::NoInput, "a file or an object cannot be read");
const NO_RUN: Means = (Exit::NoInput, "there is no such folder or run, or a file cannot be read");
const PLAN_INVALID: Means =
    (Exit::PlanInvalid, "the plan or a template is wrong; each problem is told with file and line");
const NOT_WRITTEN: Means = (Exit::NotWritten, "a file or a folder cannot be written");

/// What any command may come to.
const ANY: &[Means] = &[(Exit::Usage, "the command line is wrong"), (Exit::Defect, "a defect of Lifeboat")];
/// Of a command that calls AWS.
const AWS: &[Means] = &[
    (Exit::Refused, "AWS refuses: no permission, no such bucket"),
    (Exit::TryAgain, "AWS did not answer; the same command again is safe"),
];
/// Of a command that reads a plan, from a file or from the control bucket.
const PLAN: &[Means] = &[PLAN_INVALID, NO_INPUT];

/// Each command by its words, with what it may come to besides [`ANY`].
const COMMANDS: [(&str, &[&[Means]]); 28] = [
    ("plan new", &[&[DONE, NOT_WRITTEN]]),
    ("plan schema", &[&[DONE]]),
    ("plan check", &[&[DONE], PLAN]),
    ("plan upload", &[&[DONE, HALTED], PLAN, AWS]),
    ("init", &[&[DONE, HALTED], PLAN, AWS]),
    ("failover", &[&[DONE, HALTED], PLAN, AWS]),
    (
        "status",
        &[
            &[
                (Exit::Done, "done; with --follow the run recovered, stood down or was refused"),
                (Exit::Broken, "with --check --verify, or the run with --follow: the ledger is broken"),
                (Exit::Unproven, "the same: the ledger could not be proven"),
                (
                    Exit::Halted,
                    "with --check an alarm would not be admitted now; with --follow the run halted",
                ),
                (Exit::Superseded, "with --follow: the run was superseded"),
            ],
            PLAN,
            AWS,
        ],
    ),
    ("runs", &[&[DONE], AWS]),
    ("handback", &[&[DONE, BROKEN, UNPROVEN, HALTED, SUPERSEDED], PLAN, AWS]),
    ("flip", &[&[DONE, BROKEN, UNPROVEN, HALTED, SUPERSEDED], PLAN, AWS]),
    ("approve", &[&[DONE, HALTED], PLAN, AWS]),
    ("decline", &[&[DONE, HALTED], PLAN, AWS]),
    ("acknowledge", &[&[DONE, HALTED], PLAN, AWS]),
    ("maintenance begin", &[&[DONE], PLAN, AWS]),
    ("maintenance end", &[&[DONE], PLAN, AWS]),
    ("dns prepare", &[&[DONE, HALTED, SUPERSEDED], PLAN, AWS]),
    ("dns check", &[&[DONE, (Exit::Halted, "something is not as a flip needs it; each is told")], PLAN, AWS]),
    ("completions", &[&[DONE]]),
    ("man", &[&[DONE, NOT_WRITTEN]]),
    (
        "replay",
        &[
            &[
                (Exit::Done, "every decision that the evidence holds comes out as it did"),
                (Exit::Broken, "some come out otherwise; which, and how the runs would have ended, is told"),
                (
                    Exit::Unproven,
                    "a run could not be replayed: it has left no record, or its evidence is damaged",
                ),
            ],
            PLAN,
            AWS,
        ],
    ),
    ("evidence list", &[&[DONE], AWS]),
    ("evidence show", &[&[DONE, NO_RUN], AWS]),
    ("evidence fetch", &[&[DONE, NO_RUN, NOT_WRITTEN], AWS]),
    (
        "evidence verify",
        &[
            &[
                (Exit::Done, "authentic: complete and unchanged, signed by the key that --key pins"),
                (
                    Exit::Broken,
                    "broken: something is missing, changed, added or not where it belongs; each is told with its key",
                ),
                (
                    Exit::Unproven,
                    "open (there is no manifest), unauthenticated (no --key, or no signature), or authentic with \
                     something beside it that came late; nothing is known to be wrong",
                ),
                NO_RUN,
            ],
            AWS,
        ],
    ),
    (
        "report",
        &[
            &[
                (
                    Exit::Done,
                    "the page is written, and its evidence is authentic (with --all: no signature is wrong)",
                ),
                (
                    Exit::Broken,
                    "the page is written, and its evidence is broken (with --all: a signature is wrong)",
                ),
                (
                    Exit::Unproven,
                    "the page is written, and its evidence is open, unauthenticated, or has something late beside it",
                ),
                NO_RUN,
                NOT_WRITTEN,
            ],
            AWS,
        ],
    ),
    (
        "ledger verify",
        &[
            &[
                (Exit::Done, "proven: every entry is there, in order and unchanged, through the stated end"),
                (Exit::Broken, "broken; what and where is told"),
                (Exit::Unproven, "could not be proven; why is told"),
            ],
            PLAN,
            AWS,
        ],
    ),
    (
        "ledger tail",
        &[&[DONE, (Exit::Broken, "an entry does not follow the one before; which is told"), NO_INPUT], AWS],
    ),
    ("ledger generate", &[&[DONE, NOT_WRITTEN]]),
];

/// With what the command of these words may end, by code. One that is not in the table has not said.
fn of(command: &str) -> Vec<Means> {
    let (_, own) = COMMANDS.iter().find(|(words, _)| *words == command).expect("the command is in the table");
    let mut codes: Vec<Means> = own.iter().chain([&ANY]).flat_map(|some| some.iter().copied()).collect();
    codes.sort_by_key(|(exit, _)| *exit as u8);
    codes
}

/// What `--help` says below the examples.
pub(crate) fn help(command: &str) -> String {
    let mut text = "Exit codes:".to_owned();
    for (exit, means) in of(command) {
        let _ = write!(text, "\n  {:<3} {means}", exit as u8);
    }
    text
}

/// The table of all commands, in Markdown: a line each, a column for each code.
pub fn table() -> String {
    let codes = Exit::ALL.map(|exit| exit as u8);
    let cells = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let mut text = cells([vec!["".to_owned()], codes.map(|code| code.to_string()).to_vec()].concat());
    text += &cells(vec!["---".to_owned(); codes.len() + 1]);
    for (command, _) in COMMANDS {
        let may: Vec<u8> = of(command).iter().map(|(exit, _)| *exit as u8).collect();
        let marks = codes.map(|code| if may.contains(&code) { "×" } else { "" }.to_owned());
        text += &cells([vec![format!("`lifeboat {command}`")], marks.to_vec()].concat());
    }
    text
}
