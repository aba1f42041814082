//! `lifeboat ledger generate`: writes a made-up ledger into an empty folder.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use serde_json::json;

use super::generate::{ControlNames, Fault, Injected, Layout, Names, Spec};
use super::usage;
use crate::args::{GenerateArgs, NamesArgs};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Report, one_line, table};
use crate::progress::Bar;

const ENTRIES_DEFAULT: u64 = 10_000;

pub(super) fn run(args: &GenerateArgs) -> Result<Report, Failure> {
    let spec = spec(args)?;
    let bytes_expected = spec.entries.saturating_mul(spec.entry_bytes as u64 + 1);
    let mut ledger = spec.ledger().map_err(|error| usage(error.to_string()))?;
    begin(&args.folder)?;
    let (mut objects, mut bytes) = (0u64, 0u64);
    let bar = Bar::show("writing");
    bar.expect(bytes_expected);
    for object in ledger.by_ref() {
        put(&args.folder.join(&object.key), &object.bytes)?;
        objects += 1;
        bytes += object.bytes.len() as u64;
        bar.advance(object.bytes.len() as u64);
    }
    drop(bar);
    let (ends, faults) = (ledger.ends(), ledger.injected());
    let entries: u64 = ends.iter().map(|end| end.through).sum();
    Ok(Report {
        headline: format!(
            "{entries} entries of {} streams in {objects} objects, {bytes} bytes, below {}",
            ends.len(),
            args.folder.display()
        ),
        tables: vec![
            (
                "Streams",
                table(
                    ["stream", "through", "head"],
                    ends.iter().map(|end| [end.stream.clone(), end.through.to_string(), end.head.clone()]),
                ),
            ),
            (
                "Faults",
                table(["fault", "stream", "sequence", "object", "byte"], faults.iter().map(row_of_fault)),
            ),
        ],
        json: json!({
            "folder": args.folder,
            "seed": args.seed,
            "objects": objects,
            "entries": entries,
            "bytes": bytes,
            "streams": ends,
            "faults": faults,
        }),
        ..Report::default()
    })
}

fn spec(args: &GenerateArgs) -> Result<Spec, Failure> {
    let entries = match (args.entries, args.bytes) {
        (Some(entries), _) => entries,
        (None, Some(bytes)) => bytes / (args.entry_bytes as u64 + 1),
        (None, None) => ENTRIES_DEFAULT,
    };
    let streams = u64::from(args.streams);
    let of_control = match args.layout {
        Layout::Segments if !args.names.no_control => streams
            .saturating_mul(1u64.saturating_add(args.hand_overs.saturating_mul(2)) + u64::from(args.seal)),
        _ => 0,
    };
    let objects = args.objects.unwrap_or_else(|| {
        let of_data = match args.layout {
            Layout::Segments => {
                let least = streams.saturating_mul(1u64.saturating_add(args.hand_overs));
                entries.div_ceil(args.object_entries).max(least)
            }
            Layout::Firehose => {
                entries.div_ceil(args.object_entries).max(1u64.saturating_add(args.hand_overs))
            }
        };
        of_data.saturating_add(of_control)
    });
    Ok(Spec {
        seed: args.seed,
        streams: (1..=args.streams).map(|number| format!("ME{number}")).collect(),
        entries,
        objects,
        layout: args.layout,
        compression: args.compress,
        entry_bytes: args.entry_bytes,
        hand_overs: args.hand_overs,
        seal: args.seal,
        repeats_percent: args.repeats,
        names: names(&args.names)?,
        faults: args.faults.clone(),
    })
}

fn names(args: &NamesArgs) -> Result<Names, Failure> {
    let names = args.format(lifeboat_ledger::format::ENTRY_BYTES_MAX).map_err(usage)?.names;
    let control = names.epoch.zip(names.control);
    Ok(Names {
        stream: names.stream,
        seq: names.seq,
        prev: names.prev,
        control: control.map(|(epoch, control)| ControlNames { epoch, control }),
    })
}

/// Makes the folder; one that holds anything is somebody's.
fn begin(folder: &Path) -> Result<(), Failure> {
    match fs::read_dir(folder).map(|mut files| files.next().is_none()) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failure::new(
            Exit::NotWritten,
            format!("{} is not empty; nothing was written", folder.display()),
            "name a folder that is empty or not there",
        )),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(folder).map_err(|error| not_written(folder, &error))
        }
        Err(error) => Err(not_written(folder, &error)),
    }
}

fn put(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let write = || {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        File::create_new(path)?.write_all(bytes)
    };
    write().map_err(|error| not_written(path, &error))
}

fn not_written(path: &Path, error: &io::Error) -> Failure {
    let next =
        "check the path, its permissions and the free space; what was written so far is no ledger: remove it";
    Failure::new(Exit::NotWritten, format!("{} could not be written", path.display()), next).because(error)
}

fn row_of_fault(injected: &Injected) -> [String; 5] {
    let Injected { fault, stream, seq, object, offset } = injected;
    [
        name(*fault),
        one_line(stream),
        seq.map_or_else(String::new, |seq| seq.to_string()),
        one_line(object),
        offset.to_string(),
    ]
}

fn name(fault: Fault) -> String {
    clap::ValueEnum::to_possible_value(&fault).map_or_else(String::new, |value| value.get_name().to_owned())
}
