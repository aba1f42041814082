//! How results and failures are told: to a person, or as one line of JSON on standard output.

use std::fmt::Write as _;
use std::io::Write as _;

use anstyle::{AnsiColor, Style};
use clap::error::ErrorKind;
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::failure::{Failure, Finding};

const BOLD: Style = Style::new().bold();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const DIM: Style = Style::new().dimmed();

/// What a command did.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// What was asked for is this text: it is told as it is, and nothing else of the report.
    pub(crate) text: Option<String>,
    /// The first line for a person.
    pub(crate) headline: String,
    /// Names and values, one a line.
    pub(crate) details: Vec<(&'static str, String)>,
    /// Tables, each under its title.
    pub(crate) tables: Vec<(&'static str, Table)>,
    /// What a person should know besides.
    pub(crate) warnings: Vec<String>,
    /// The same for a machine: an object.
    pub(crate) json: Value,
    /// How the command ends.
    pub(crate) exit: Exit,
}

/// What became of one thing that a command was asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    Done,
    DoneAlready,
}

/// A moment for a person: UTC, to the second.
pub(crate) fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// One line of what somebody wrote: a table keeps its rows, and a terminal gets no control characters.
pub(crate) fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().filter(|character| !character.is_control()).collect()
}

/// A table for a person: columns with a heading, and no lines drawn.
pub(crate) fn table<const N: usize>(
    heading: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(heading);
    table.add_rows(rows);
    table
}

/// Where a command tells what it did.
pub(crate) struct Output {
    json: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    /// Tells a success.
    pub(crate) fn report(&self, report: &Report) -> Exit {
        if self.json {
            let mut object = report.json.clone();
            object["ok"] = Value::Bool(report.exit == Exit::Done);
            if !report.warnings.is_empty() {
                object["warnings"] = json!(report.warnings);
            }
            print(&format!("{object}\n"));
            return report.exit;
        }
        if let Some(text) = &report.text {
            print(text);
            return report.exit;
        }
        let style = if report.exit == Exit::Done { GOOD } else { BAD };
        let mut text = format!("{style}{}{style:#}\n", report.headline);
        let width = report.details.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
        for (name, value) in &report.details {
            let _ = writeln!(text, "  {DIM}{name:width$}{DIM:#}  {}", one_line(value));
        }
        for (title, table) in &report.tables {
            let _ = writeln!(text, "\n{BOLD}{title}{BOLD:#}");
            if table.is_empty() {
                let _ = writeln!(text, "  none");
                continue;
            }
            for line in table.lines() {
                let _ = writeln!(text, " {}", line.trim_end());
            }
        }
        for warning in &report.warnings {
            let _ = writeln!(text, "{BOLD}note:{BOLD:#} {warning}");
        }
        print(&text);
        report.exit
    }

    /// Tells something on the way, which is a line of its own.
    pub(crate) fn event(&self, line: &str, json: &Value) {
        if self.json { print(&format!("{json}\n")) } else { print(&format!("{line}\n")) }
    }

    /// Tells a failure.
    pub(crate) fn failure(&self, failure: &Failure) -> Exit {
        if self.json {
            let object = json!({
                "ok": false,
                "exit": failure.exit as u8,
                "error": { "what": failure.what, "cause": failure.cause, "next": failure.next },
                "problems": failure.problems,
            });
            print(&format!("{object}\n"));
        } else {
            print_error(&for_a_person(failure));
        }
        failure.exit
    }

    /// Tells what clap has to say: help and version, or a usage error.
    pub(crate) fn usage(&self, error: &clap::Error) -> Exit {
        if !error.use_stderr() {
            let _ = error.print();
            return Exit::Done;
        }
        if self.json {
            let what = match error.kind() {
                ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => "a command is missing".to_owned(),
                _ => {
                    let text = error.render().to_string();
                    let lines = text.lines().take_while(|line| !line.is_empty()).map(str::trim);
                    lines.collect::<Vec<_>>().join(" ").trim_start_matches("error: ").to_owned()
                }
            };
            return self.failure(&Failure::new(Exit::Usage, what, "run the command with --help"));
        }
        let _ = error.print();
        Exit::Usage
    }
}

fn for_a_person(failure: &Failure) -> String {
    let mut text = String::new();
    for problem in &failure.problems {
        finding(problem, &mut text);
    }
    let _ = writeln!(text, "{BAD}error:{BAD:#} {}", failure.what);
    if let Some(cause) = &failure.cause {
        let _ = writeln!(text, "  {DIM}cause{DIM:#}  {cause}");
    }
    let _ = writeln!(text, "  {DIM}next{DIM:#}   {}", failure.next);
    text
}

/// `file:line:column: field: message`, which editors can follow, and the line itself below.
fn finding(problem: &Finding, text: &mut String) {
    let _ = write!(text, "{BOLD}{}", problem.file.display());
    if let (Some(line), Some(column)) = (problem.line, problem.column) {
        let _ = write!(text, ":{line}:{column}");
    }
    let _ = write!(text, ":{BOLD:#} ");
    if !problem.field.is_empty() {
        let _ = write!(text, "{BAD}{}{BAD:#}: ", problem.field);
    }
    let _ = writeln!(text, "{}", problem.message);
    if let (Some(line), Some(source)) = (problem.line, &problem.source) {
        let _ = writeln!(text, "  {DIM}{line:>4} |{DIM:#} {source}");
    }
}

// A reader that went away (`lifeboat … | head -1`) is no failure of the command, so what cannot be told is not
// told. Colours are dropped by anstream where no terminal is.
fn print(text: &str) {
    let mut out = anstream::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn print_error(text: &str) {
    let mut out = anstream::stderr().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
