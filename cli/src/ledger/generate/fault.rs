//! What can be wrong with a ledger, where it is put, and where it shows.

use super::chain::Chain;
use super::random::Random;
use super::schedule::{Schedule, Step};
use super::{Compression, Layout, Spec, SpecError};

/// A line of this many bytes is longer than any reader's limit by default.
const OVERSIZE_BYTES: usize = 70_000;
/// A fault between lines has one before and one behind it in its object.
const DATA_ENTRIES_MIN: u64 = 4;

/// One thing that is wrong with a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// An entry is missing from its object.
    Gap,
    /// A whole object is missing. Segments only.
    LostObject,
    /// A second history of some entries.
    Fork,
    /// One bit of an entry is changed; the entry after it tells.
    Flip,
    /// An entry names another hash than that of the entry before it.
    BadLink,
    /// An object ends in the middle of a line.
    Truncate,
    /// Two neighbouring entries have changed places in their object. Segments only.
    Swap,
    /// A key occurs twice in an entry.
    DuplicateKey,
    /// A sequence is no whole number.
    BadNumber,
    /// A line is no UTF-8.
    BadUtf8,
    /// A line is no JSON.
    NotJson,
    /// A line is longer than 65,536 bytes.
    Oversize,
    /// An object begins with a byte-order mark.
    Bom,
    /// An entry of another stream stands in a segment. Segments only.
    WrongStream,
    /// An entry was written under an epoch that nobody opened.
    WrongEpoch,
    /// A writer that came back has written behind the seal. Segments that end with a seal only.
    AfterSeal,
    /// An object holds nothing. Segments only.
    Empty,
    /// An object that is no slot lies in a stream's folder. Segments only.
    Stray,
    /// A byte of a compressed object is changed.
    Corrupt,
    /// Some entries are delivered with the last object: nothing is wrong with that. Firehose only.
    Late,
}

/// A fault that was put in.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Injected {
    /// What is wrong.
    pub fault: Fault,
    /// The stream that it is in.
    pub stream: String,
    /// The sequence at which it shows, where it has one.
    pub seq: Option<u64>,
    /// The key of the object in which it shows.
    pub object: String,
    /// The byte at which the line begins, after decompression; 0 where the object as a whole is at fault.
    pub offset: u64,
}

/// A fault and its place: in which group of which stream's schedule, and at which entry of data there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed {
    pub(super) fault: Fault,
    pub(super) stream: usize,
    pub(super) group: usize,
    pub(super) line: u64,
}

/// Where a fault shows among bytes that were written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    pub(super) seq: u64,
    pub(super) offset: usize,
}

impl Fault {
    /// Why this fault cannot be had with what is asked for.
    fn refusal(self, spec: &Spec) -> Option<&'static str> {
        use Fault::{
            AfterSeal, BadLink, Corrupt, Empty, Flip, Late, LostObject, Stray, Swap, WrongEpoch, WrongStream,
        };
        match self {
            LostObject | Swap | WrongStream | AfterSeal | Empty | Stray
                if spec.layout == Layout::Firehose =>
            {
                Some("is for --layout segments")
            }
            Late if spec.layout == Layout::Segments => Some("is for --layout firehose"),
            AfterSeal if !spec.seal => Some("needs --seal"),
            WrongEpoch if spec.names.control.is_none() => Some("needs a ledger with epochs"),
            Flip | BadLink if spec.names.prev.is_none() => Some("does not show in a ledger without links"),
            Corrupt if spec.compression == Compression::None => Some("needs --compress gzip or zstd"),
            _ => None,
        }
    }
}

/// Finds a place for each fault: streams in turn, an object for each, never a stream's first or last share where there are
/// others.
pub(super) fn place(spec: &Spec, schedules: &[Schedule]) -> Result<Vec<Placed>, SpecError> {
    let mut random = Random::new(spec.seed ^ 0xfa17);
    let mut placed: Vec<Placed> = Vec::new();
    for (index, fault) in spec.faults.iter().copied().enumerate() {
        let name =
            || clap::ValueEnum::to_possible_value(&fault).map_or(String::new(), |v| v.get_name().to_owned());
        if let Some(why) = fault.refusal(spec) {
            return Err(SpecError(format!("the fault {} {why}", name())));
        }
        let stream = index % spec.streams.len();
        let groups = &schedules[stream].groups;
        let free = |group: &usize| {
            let taken = |placed: &&Placed| {
                (placed.stream == stream || spec.layout == Layout::Firehose) && placed.group == *group
            };
            data_of(&groups[*group]) >= DATA_ENTRIES_MIN && placed.iter().find(taken).is_none()
        };
        let candidates: Vec<usize> = match fault {
            // A share of its own, behind the last.
            Fault::AfterSeal => vec![groups.len()],
            _ => (1..groups.len().saturating_sub(1)).filter(free).collect(),
        };
        if candidates.is_empty() {
            return Err(SpecError(format!(
                "no object is left for the fault {}: it needs one of {DATA_ENTRIES_MIN} entries that is neither the first \
                 nor the last of stream {}",
                name(),
                spec.streams[stream]
            )));
        }
        let group = candidates[random.below(candidates.len() as u64) as usize];
        let entries = groups.get(group).map_or(0, |group| data_of(group));
        let line = 1 + random.below(entries.saturating_sub(2).max(1));
        placed.push(Placed { fault, stream, group, line });
    }
    Ok(placed)
}

fn data_of(group: &[Step]) -> u64 {
    let data = group.iter().map(|step| if let Step::Data { entries } = step { *entries } else { 0 });
    data.sum()
}

/// Writes `entries` entries of data with the fault in its place, as far as it is a fault of lines, and says where it shows.
pub(super) fn write(chain: &mut Chain, out: &mut Vec<u8>, entries: u64, placed: &Placed) -> Option<Mark> {
    let mut mark = None;
    let mut index = 0;
    while index < entries {
        if index != placed.line {
            chain.data(out);
            index += 1;
            continue;
        }
        let here = Mark { seq: chain.next_seq(), offset: out.len() };
        mark = Some(here);
        index += 1;
        match placed.fault {
            Fault::Gap => {
                chain.data(out);
                out.truncate(here.offset);
            }
            Fault::Flip => {
                chain.data(out);
                let symbol = value_of(&out[here.offset..], "\"sym\":\"");
                out[here.offset + symbol] ^= 1;
                mark = Some(Mark { seq: chain.next_seq(), offset: out.len() });
            }
            Fault::Swap => {
                let mut first = Vec::new();
                chain.data(&mut first);
                chain.data(out);
                out.append(&mut first);
                index += 1;
            }
            Fault::WrongEpoch => {
                let nobodys = chain.epoch() + 1;
                chain.under_epoch(nobodys, |chain| chain.data(out));
            }
            fault => chain.data_with(out, |chain, line| change(fault, chain, line)),
        }
    }
    mark
}

/// Changes a line before it is hashed.
fn change(fault: Fault, chain: &Chain, line: &mut Vec<u8>) {
    let insert = |line: &mut Vec<u8>, at: usize, text: &[u8]| {
        line.splice(at..at, text.iter().copied());
    };
    let last = line.len() - 1;
    match fault {
        Fault::BadLink => {
            if let Some(digit) = chain.at_prev().and_then(|at| line.get_mut(at)) {
                *digit = if *digit == b'0' { b'1' } else { b'0' };
            }
        }
        Fault::DuplicateKey => insert(line, last, br#","qty":1"#),
        Fault::BadNumber => insert(line, chain.behind_seq(), b".0"),
        Fault::BadUtf8 => {
            let symbol = value_of(line, "\"sym\":\"");
            line[symbol] = 0xff;
        }
        Fault::NotJson => line[last] = b']',
        Fault::Oversize => {
            let blob = format!(r#","blob":"{}""#, "x".repeat(OVERSIZE_BYTES));
            insert(line, last, blob.as_bytes());
        }
        Fault::WrongStream => insert(line, chain.behind_stream(), b"x"),
        // These are faults of an object, not of a line.
        _ => {}
    }
}

/// Where the value behind `name` begins in a line that has it.
fn value_of(line: &[u8], name: &str) -> usize {
    let at = line.windows(name.len()).position(|window| window == name.as_bytes());
    at.expect("every line of data has its fields") + name.len()
}

/// Cuts `bytes` off in the middle of its last line, and says where that line begins.
pub(super) fn truncate(bytes: &mut Vec<u8>) -> usize {
    let end = bytes.len().saturating_sub(1);
    let start = bytes[..end].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    bytes.truncate(start + (end - start) / 2);
    start
}

/// Changes a byte in the middle.
pub(super) fn corrupt(bytes: &mut [u8]) {
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 0x55;
    }
}

/// What a byte-order mark is in UTF-8.
pub(super) const BOM: [u8; 3] = [0xef, 0xbb, 0xbf];
