//! `lifeboat report`: a page of what runs have left. `facts` reads, `model` says what there is to tell (and is what `--json` prints),
//! `page` lays it out; `all` is the view across runs.

mod all;
mod facts;
mod json;
mod model;
mod page;
mod words;

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;

use lifeboat_rules::evidence::LEFT;
use serde_json::json;

use crate::args::ReportArgs;
use crate::evidence::{place, verify};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Report;
use facts::{Facts, Left};
use model::Page;

pub(crate) fn run(args: &ReportArgs) -> Result<Report, Failure> {
    if args.all {
        return all::run(args);
    }
    let mut left = Left::new();
    let evidence = place::read_and(&args.place(), |key, bytes| {
        if key.starts_with(LEFT) {
            left.insert(key.to_owned(), bytes.to_vec());
        }
    })?;
    let pinned = args.key.clone();
    let (run, verified) = verify::verified(&evidence, pinned.as_deref())?;
    let (exit, worth) = verify::told(&run, &verified, pinned.as_deref());
    let page = Page::of(&Facts::gather(run.clone(), &evidence, verified, pinned, left));
    let (file, bytes) = write(args, &run, &page::render(&page))?;
    let mut json = json!(page);
    json["file"] = json!(file);
    Ok(Report {
        headline: format!("the report of {run} is in {file}"),
        details: vec![
            ("page", format!("{file}, {bytes} bytes")),
            ("says", page.verdict.sentence.clone()),
            ("evidence", worth),
        ],
        json,
        exit,
        ..Report::default()
    })
}

/// Writes a page, and says where and how long it is. Nothing is overwritten without `--force`.
fn write(args: &ReportArgs, name: &str, page: &str) -> Result<(String, usize), Failure> {
    // A run's name is what its evidence says: it leads to no other folder.
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    let default = || PathBuf::from(format!("{}.html", name.chars().map(plain).collect::<String>()));
    let file = args.out.clone().unwrap_or_else(default);
    let mut options = OpenOptions::new();
    options.write(true);
    match args.force {
        true => options.create(true).truncate(true),
        false => options.create_new(true),
    };
    let written = options.open(&file).and_then(|mut open| open.write_all(page.as_bytes()));
    written.map_err(|err| {
        let there = err.kind() == std::io::ErrorKind::AlreadyExists;
        let next = if there {
            "--force overwrites it, --out names another"
        } else {
            "see that there is space and that you may write there"
        };
        Failure::new(Exit::NotWritten, format!("could not write {}", file.display()), next).because(&err)
    })?;
    Ok((file.display().to_string(), page.len()))
}
