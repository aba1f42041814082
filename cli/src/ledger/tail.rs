//! `lifeboat ledger tail`: the last entries of a stream, found without reading the rest, because slots sort as numbers.

mod source;

use std::collections::VecDeque;

use lifeboat_ledger::{Control, Entry, Format, Hash, entry};
use serde_json::json;

use self::source::Segments;
use super::place::{self, Place};
use super::usage;
use crate::args::TailArgs;
use crate::aws;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Report, one_line, table};

/// What of a line a person is shown, in characters.
const LINE_SHOWN: usize = 160;

/// One line of the stream, and where it stands.
struct Line {
    entry: Entry,
    text: String,
    object: String,
    offset: u64,
}

pub(super) fn run(args: &TailArgs) -> Result<Report, Failure> {
    let format = args.format.names.format(args.format.entry_bytes_max).map_err(usage)?;
    aws::block_on(async {
        let segments = match Place::parse(&args.place)? {
            Place::Folder(root) => Segments::in_folder(root, &args.stream)?,
            Place::Bucket { bucket, prefix } => {
                Segments::in_bucket(place::store(&args.aws).await?, bucket, prefix, &args.stream)
            }
        };
        let (lines, wrong) = last(&segments, args, &format).await?;
        Ok(report(args, &lines, wrong))
    })
}

/// The last entries, and the first thing that is wrong with them. The last segment says where the others begin.
async fn last(
    segments: &Segments,
    args: &TailArgs,
    format: &Format,
) -> Result<(Vec<Line>, Option<String>), Failure> {
    let wanted = args.entries as usize;
    let Some(end) = segments.at_or_before(u64::MAX).await? else {
        let what = format!("no segment of stream {} lies below {}", args.stream, args.place);
        let next = "check the path and the name of the stream; only segments have a tail that can be found";
        return Err(Failure::new(Exit::NoInput, what, next));
    };
    let of_slot = async |slot| {
        let bytes = segments.read(slot).await?;
        Ok::<_, Failure>(entries(&args.stream, slot, &segments.key(slot), &bytes, format))
    };
    let (of_end, of_end_wrong) = of_slot(end).await?;
    let (mut lines, mut wrong) = (VecDeque::new(), None);
    if of_end.len() < wanted && of_end_wrong.is_none() {
        let through = end.saturating_add(of_end.len() as u64);
        let first = through.saturating_sub(wanted as u64);
        let first = segments.at_or_before(first).await?.unwrap_or(first);
        for slot in segments.slots(first, end).await? {
            let (of_segment, fault) = of_slot(slot).await?;
            wrong = wrong.or_else(|| misfit(lines.back(), of_segment.first())).or(fault);
            lines.extend(of_segment);
            lines.drain(..lines.len().saturating_sub(wanted));
        }
    }
    wrong = wrong.or_else(|| misfit(lines.back(), of_end.first())).or(of_end_wrong);
    lines.extend(of_end);
    lines.drain(..lines.len().saturating_sub(wanted));
    Ok((lines.into(), wrong))
}

/// The entries of one segment up to the first that is wrong.
fn entries(stream: &str, slot: u64, key: &str, bytes: &[u8], format: &Format) -> (Vec<Line>, Option<String>) {
    let (mut lines, mut offset): (Vec<Line>, usize) = (Vec::new(), 0);
    let at = |offset: usize, what: String| Some(format!("object {key} at byte {offset}: {what}"));
    while offset < bytes.len() {
        let Some(length) = bytes[offset..].iter().position(|byte| *byte == b'\n') else {
            return (lines, at(offset, "the last line has no newline: it is cut off".into()));
        };
        let line = &bytes[offset..offset + length];
        if length > format.entry_bytes_max {
            let what = format!("a line of {length} bytes; the limit is {}", format.entry_bytes_max);
            return (lines, at(offset, what));
        }
        let entry = match entry::parse_named(&format.names, line) {
            Ok(entry) => entry,
            Err(fault) => return (lines, at(offset, fault.to_string())),
        };
        let due = slot.saturating_add(lines.len() as u64);
        if entry.stream != stream || entry.seq != due {
            let what =
                format!("entry {} of stream {} stands where {due} comes next", entry.seq, entry.stream);
            return (lines, at(offset, what));
        }
        let line = Line {
            entry,
            text: String::from_utf8_lossy(line).into_owned(),
            object: key.to_owned(),
            offset: offset as u64,
        };
        if let Some(what) = misfit(lines.last(), Some(&line)) {
            return (lines, Some(what));
        }
        lines.push(line);
        offset += length + 1;
    }
    let empty = lines.is_empty().then(|| at(0, "the object is empty".into())).flatten();
    (lines, empty)
}

/// Why `after` does not follow `before`, where there are both.
fn misfit(before: Option<&Line>, after: Option<&Line>) -> Option<String> {
    let (before, after) = (before?, after?);
    let at = format!("object {} at byte {}", after.object, after.offset);
    if before.entry.seq.checked_add(1) != Some(after.entry.seq) {
        return Some(format!("{at}: entry {} follows entry {}", after.entry.seq, before.entry.seq));
    }
    match after.entry.prev {
        Some(prev) if prev != before.entry.hash => Some(format!(
            "{at}: `prev` is {prev}, but entry {} hashes to {}",
            before.entry.seq, before.entry.hash
        )),
        _ => None,
    }
}

fn report(args: &TailArgs, lines: &[Line], wrong: Option<String>) -> Report {
    let head: Option<Hash> = lines.last().map(|line| line.entry.hash);
    let through = lines.last().map(|line| line.entry.seq);
    let control = lines.iter().rev().find_map(|line| Some((line.entry.seq, line.entry.control.as_ref()?)));
    let number = |number: Option<u64>| number.map_or_else(|| "none".to_owned(), |number| number.to_string());
    Report {
        headline: match &wrong {
            None => format!("the last {} entries of stream {}, which fit together", lines.len(), args.stream),
            Some(wrong) => format!("the end of stream {} is broken: {}", args.stream, one_line(wrong)),
        },
        details: vec![
            ("through", number(through)),
            ("head", head.map_or_else(String::new, |head| head.to_string())),
            ("written", lines.last().map_or_else(String::new, |line| written(&line.entry))),
            (
                "control",
                control.map_or("none among these".to_owned(), |(seq, control)| format!("{seq}: {control}")),
            ),
        ],
        tables: vec![("Entries", table(["sequence", "line"], lines.iter().map(row)))],
        json: json!({
            "place": args.place,
            "stream": args.stream,
            "through": through,
            "head": head,
            "last_control": control.map(|(seq, control): (u64, &Control)| json!({ "seq": seq, "control": control })),
            "wrong": wrong,
            "entries": lines
                .iter()
                .map(|line| json!({
                    "seq": line.entry.seq, "hash": line.entry.hash, "epoch": line.entry.epoch,
                    "object": line.object, "offset": line.offset, "line": line.text,
                }))
                .collect::<Vec<_>>(),
        }),
        exit: if wrong.is_some() { Exit::Broken } else { Exit::Done },
        ..Report::default()
    }
}

fn written(entry: &Entry) -> String {
    match (&entry.control, entry.epoch) {
        (Some(control), _) => format!("the last entry is {control}"),
        (None, Some(epoch)) => format!("the last entry under epoch {epoch}"),
        (None, None) => "the last entry without an epoch".to_owned(),
    }
}

fn row(line: &Line) -> [String; 2] {
    let text = one_line(&line.text);
    let cut: String = text.chars().take(LINE_SHOWN).collect();
    let more = if cut.len() < text.len() { "…" } else { "" };
    [line.entry.seq.to_string(), format!("{cut}{more}")]
}
