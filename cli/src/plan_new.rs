//! `lifeboat plan new`: a commented plan to begin with, and a template beside it.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use serde_json::json;

use crate::args::NewArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Report;

const PLAN: &str = include_str!("plan_new/starter.yaml");
const STACK: &str = include_str!("plan_new/stack.yaml");

pub(crate) fn run(args: &NewArgs) -> Result<Report, Failure> {
    let stem = args.file.file_stem().unwrap_or_default().to_string_lossy();
    let template_name = format!("{stem}-stack.yaml");
    let template = args.file.with_file_name(&template_name);
    let fill = |text: &str| {
        let file = args.file.file_name().unwrap_or_default().to_string_lossy();
        let filled = text.replace("{file}", &file).replace("{name}", &args.name);
        let filled = filled.replace("{primary}", &args.primary).replace("{recovery}", &args.recovery);
        filled.replace("{template}", &template_name)
    };
    // The plan is made last: where it stands, both do.
    write_new(&template, &fill(STACK))?;
    write_new(&args.file, &fill(PLAN)).inspect_err(|_| {
        // Made a moment ago by this command, and of no use alone.
        let _ = std::fs::remove_file(&template);
    })?;
    let file = args.file.display();
    Ok(Report {
        headline: format!("{file} is a plan to begin with"),
        details: vec![
            ("template", template.display().to_string()),
            ("next", format!("change what is yours, then `lifeboat plan check {file}`")),
        ],
        json: json!({ "file": args.file, "template": template }),
        ..Report::default()
    })
}

/// Nothing is ever overwritten.
fn write_new(path: &Path, text: &str) -> Result<(), Failure> {
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| {
        let next = "choose another name, or move what is there out of the way; nothing was overwritten";
        Failure::new(Exit::NotWritten, format!("could not make {}", path.display()), next).because(&error)
    })
}
