//! `lifeboat completions` and `lifeboat man`: what a shell and a manual are told of the command, from the command itself.

use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;
use serde_json::json;

use crate::args::{Cli, ManArgs};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Report;

pub(crate) fn completions(shell: Shell) -> Report {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "lifeboat", &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    Report {
        json: json!({ "shell": shell.to_string(), "script": script }),
        text: Some(script),
        ..Report::default()
    }
}

pub(crate) fn man(args: &ManArgs) -> Result<Report, Failure> {
    match &args.folder {
        Some(folder) => all_pages(folder),
        None => {
            let mut page = Vec::new();
            // A vector takes everything.
            Man::new(Cli::command()).render(&mut page).expect("writing to memory");
            let page = String::from_utf8_lossy(&page).into_owned();
            Ok(Report { json: json!({ "page": page }), text: Some(page), ..Report::default() })
        }
    }
}

fn all_pages(folder: &Path) -> Result<Report, Failure> {
    let written =
        std::fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(Cli::command(), folder));
    written.map_err(|error| {
        let what = format!("could not write the pages to {}", folder.display());
        Failure::new(Exit::NotWritten, what, "name a folder that you may write to").because(&error)
    })?;
    Ok(Report {
        headline: format!("the pages are in {}", folder.display()),
        details: vec![("read", format!("man {}/lifeboat.1", folder.display()))],
        json: json!({ "folder": folder }),
        ..Report::default()
    })
}
