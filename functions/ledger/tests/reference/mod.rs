//! A second verifier, written to be read: the whole ledger in memory, every entry in a map, each rule of the format where
//! it can be found. It shares no code with the crate but the two libraries that decompress, and it is what the crate is
//! held against.

pub mod json;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use json::Json;
use sha2::{Digest, Sha256};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    #[default]
    Proven,
    Unproven,
    Broken,
}

const UNREADABLE: &str = "it could not be read";
const UNDECODABLE: &str = "what is compressed in it cannot be had";

/// What the fields are called, and how long a line may be.
#[derive(Clone, Debug)]
pub struct Format {
    pub stream: String,
    pub seq: String,
    pub prev: Option<String>,
    pub epoch: Option<String>,
    pub control: Option<String>,
    pub entry_bytes_max: usize,
}

#[derive(Clone, Debug)]
pub struct Object {
    pub place: Place,
    /// `None` where it is known to be there and could not be read.
    pub bytes: Option<Vec<u8>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A slot: the entries of one stream from `first_seq` on, and no slot holds an entry that another holds.
    Slot { stream: String, first_seq: u64 },
    /// Something that was delivered: any streams in any order, and the same entry any number of times.
    Delivered,
}

/// What must be true of the ledger beyond its being whole.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    pub streams: BTreeSet<String>,
    pub watermarks: BTreeMap<String, u64>,
    /// The ledger is closed: each stream ends in a seal, or a watermark says how far it must reach.
    pub closed: bool,
    /// What was proven before, by stream.
    pub from: BTreeMap<String, Prefix>,
}

#[derive(Clone, Debug)]
pub struct Prefix {
    pub first_seq: u64,
    pub through: u64,
    pub head: [u8; 32],
    pub entries: u64,
    pub pen: Pen,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Defect {
    /// `None`: of the stream, or of the object, as a whole.
    pub seq: Option<u64>,
    pub verdict: Verdict,
    pub what: String,
}

#[derive(Debug, Default)]
pub struct Judgement {
    pub verdict: Verdict,
    pub streams: BTreeMap<String, Stream>,
    /// What is wrong with objects and cannot be laid at any stream's door.
    pub nameless: BTreeSet<Defect>,
    pub objects: u64,
    pub bytes: u64,
    pub entries: u64,
    pub repeated: u64,
}

#[derive(Debug, Default)]
pub struct Stream {
    pub defects: BTreeSet<Defect>,
    pub first_seq: u64,
    pub through: u64,
    pub head: [u8; 32],
    pub entries: u64,
    pub pen: Pen,
}

impl Stream {
    pub fn verdict(&self) -> Verdict {
        self.defects.iter().map(|defect| defect.verdict).max().unwrap_or_default()
    }

    fn defect(&mut self, seq: Option<u64>, verdict: Verdict, what: impl Into<String>) {
        self.defects.insert(Defect { seq, verdict, what: what.into() });
    }

    fn broken(&mut self, seq: u64, what: impl Into<String>) {
        self.defect(Some(seq), Verdict::Broken, what);
    }
}

/// Who may write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pen {
    pub newest: u64,
    pub state: PenState,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PenState {
    #[default]
    Nobody,
    Open {
        epoch: u64,
        holder: String,
    },
    Sealed {
        epoch: u64,
        run: String,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control {
    Seal { epoch: u64, run: String },
    Open { epoch: u64, holder: String, run: String },
}

#[derive(Clone, Debug)]
pub struct Entry {
    pub stream: String,
    pub seq: u64,
    pub prev: Option<[u8; 32]>,
    pub epoch: Option<u64>,
    pub control: Option<Control>,
    pub hash: [u8; 32],
}

impl Pen {
    /// Whether the control entry counts; if it does, the pen changes hands.
    pub fn take(&mut self, control: &Control) -> bool {
        let (epoch, matches_its_seal) = match control {
            Control::Seal { epoch, .. } => (*epoch, false),
            Control::Open { epoch, run, .. } => {
                (*epoch, self.state == PenState::Sealed { epoch: *epoch, run: run.clone() })
            }
        };
        let counts = epoch > self.newest || matches_its_seal;
        if counts {
            self.newest = epoch;
            self.state = match control.clone() {
                Control::Seal { epoch, run } => PenState::Sealed { epoch, run },
                Control::Open { epoch, holder, .. } => PenState::Open { epoch, holder },
            };
        }
        counts
    }

    /// Whether an application's entry that carries `epoch` may stand here.
    pub fn entitles(&self, epoch: Option<u64>) -> bool {
        match &self.state {
            PenState::Nobody => epoch.is_none(),
            PenState::Open { epoch: open, .. } => epoch == Some(*open),
            PenState::Sealed { .. } => false,
        }
    }
}

/// Judges a whole ledger.
pub fn judge(format: &Format, objects: &[Object], expected: &Expected) -> Judgement {
    let mut all = Judgement::default();
    // Every entry of every stream, by sequence: one, unless it was delivered again, or somewhere the history forks.
    let mut found: BTreeMap<String, BTreeMap<u64, Vec<Entry>>> = BTreeMap::new();
    for name in expected.streams.iter().chain(expected.watermarks.keys()).chain(expected.from.keys()) {
        all.streams.entry(name.clone()).or_default();
    }
    for object in objects {
        let entries = match (&object.place, &object.bytes) {
            (Place::Slot { stream, first_seq }, None) => {
                let whole = all.streams.entry(stream.clone()).or_default();
                whole.defect(Some(*first_seq), Verdict::Unproven, UNREADABLE);
                continue;
            }
            (Place::Delivered, None) => {
                let defect = Defect { seq: None, verdict: Verdict::Unproven, what: UNREADABLE.into() };
                all.nameless.insert(defect);
                continue;
            }
            (Place::Slot { stream, first_seq }, Some(bytes)) => {
                let whole = all.streams.entry(stream.clone()).or_default();
                read_slot(format, stream, *first_seq, bytes, whole, &mut all.bytes)
            }
            (Place::Delivered, Some(bytes)) => {
                read_delivery(format, bytes, &mut all.nameless, &mut all.bytes)
            }
        };
        all.objects += 1;
        all.entries += entries.len() as u64;
        for entry in entries {
            all.streams.entry(entry.stream.clone()).or_default();
            found.entry(entry.stream.clone()).or_default().entry(entry.seq).or_default().push(entry);
        }
    }
    // What is missing may lie in a delivered object that could not be read.
    let unread = all.nameless.iter().any(|defect| defect.verdict == Verdict::Unproven);
    let missing = if unread { Verdict::Unproven } else { Verdict::Broken };
    let slots_are_unique = objects.iter().any(|object| object.place != Place::Delivered);
    for (name, stream) in &mut all.streams {
        let entries = found.remove(name).unwrap_or_default();
        let rules = Rules { slots_are_unique, linked: format.prev.is_some(), missing };
        all.repeated += judge_stream(stream, entries, &rules, expected.from.get(name));
        judge_end(stream, expected.watermarks.get(name).copied(), expected.closed, missing);
    }
    let worst = all.streams.values().map(Stream::verdict).max().unwrap_or_default();
    all.verdict = all.nameless.iter().map(|defect| defect.verdict).max().unwrap_or_default().max(worst);
    all
}

/// The entries of one slot, up to the first that is wrong.
fn read_slot(
    format: &Format,
    stream: &str,
    first_seq: u64,
    bytes: &[u8],
    whole: &mut Stream,
    bytes_read: &mut u64,
) -> Vec<Entry> {
    let decoded = match decode(bytes) {
        Ok(decoded) => decoded,
        Err(verdict) => {
            whole.defect(Some(first_seq), verdict, UNDECODABLE);
            return Vec::new();
        }
    };
    let (mut entries, mut seq): (Vec<Entry>, u64) = (Vec::new(), first_seq);
    for line in decoded.split_inclusive(|byte| *byte == b'\n') {
        let wrong = match read_line(format, line) {
            Err(why) => why,
            Ok(entry) if entry.stream != stream => format!("an entry of {}", entry.stream),
            Ok(entry) if entry.seq != seq => format!("entry {} where {seq} comes next", entry.seq),
            Ok(entry)
                if entries.last().is_some_and(|last| entry.prev.is_some_and(|prev| prev != last.hash)) =>
            {
                "the link is broken".into()
            }
            Ok(entry) => {
                *bytes_read += line.len() as u64;
                entries.push(entry);
                seq += 1;
                continue;
            }
        };
        whole.broken(seq, wrong);
        return entries;
    }
    if entries.is_empty() {
        whole.broken(first_seq, "the object is empty");
    }
    entries
}

/// The entries of one delivered object: all that can be read, and a defect for each line that cannot.
fn read_delivery(
    format: &Format,
    bytes: &[u8],
    nameless: &mut BTreeSet<Defect>,
    bytes_read: &mut u64,
) -> Vec<Entry> {
    let mut wrong = |verdict, what: String| {
        nameless.insert(Defect { seq: None, verdict, what });
    };
    let decoded = match decode(bytes) {
        Ok(decoded) => decoded,
        Err(verdict) => {
            wrong(verdict, UNDECODABLE.into());
            return Vec::new();
        }
    };
    let mut entries = Vec::new();
    for line in decoded.split_inclusive(|byte| *byte == b'\n') {
        match read_line(format, line) {
            Ok(entry) => {
                *bytes_read += line.len() as u64;
                entries.push(entry);
            }
            Err(why) => wrong(Verdict::Broken, why),
        }
    }
    entries
}

/// One line with its newline.
fn read_line(format: &Format, line: &[u8]) -> Result<Entry, String> {
    let line = line.strip_suffix(b"\n").ok_or("the last line is cut off")?;
    if line.len() > format.entry_bytes_max {
        return Err("the line is too long".into());
    }
    read_entry(format, line)
}

/// One line without its newline.
pub fn read_entry(format: &Format, line: &[u8]) -> Result<Entry, String> {
    let json = Json::read(line)?;
    let Json::Object(_) = json else { return Err("no object".into()) };
    let prev = match &format.prev {
        None => None,
        Some(name) => Some(json.field(name).and_then(hash).ok_or("no hash of the entry before")?),
    };
    let epoch = match format.epoch.as_ref().and_then(|name| json.field(name)) {
        None => None,
        Some(epoch) => Some(epoch.whole_number().ok_or("an epoch that is no number")?),
    };
    let control = match format.control.as_ref().and_then(|name| json.field(name)) {
        None => None,
        Some(_) if epoch.is_some() => return Err("a control entry with an epoch beside it".into()),
        Some(control) => Some(read_control(control).ok_or("no control entry that anybody knows")?),
    };
    let seq = json.field(&format.seq).and_then(Json::whole_number).ok_or("no sequence")?;
    if seq == u64::MAX {
        return Err("no sequence could follow".into());
    }
    Ok(Entry {
        stream: json.field(&format.stream).and_then(Json::text).ok_or("no stream")?.to_owned(),
        seq,
        prev,
        epoch,
        control,
        hash: Sha256::digest(line).into(),
    })
}

fn hash(json: &Json) -> Option<[u8; 32]> {
    let text = json.text()?;
    if text.len() != 64 || text.bytes().any(|byte| !matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    let mut hash = [0; 32];
    for (index, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(hash)
}

fn read_control(json: &Json) -> Option<Control> {
    let Json::Object(kinds) = json else { return None };
    let [(kind, body)] = kinds.as_slice() else { return None };
    let Json::Object(fields) = body else { return None };
    let names: BTreeSet<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
    let epoch = body.field("epoch")?.whole_number()?;
    let run = body.field("run")?.text()?.to_owned();
    match kind.as_str() {
        "seal" if names == BTreeSet::from(["epoch", "run"]) => Some(Control::Seal { epoch, run }),
        "open" if names == BTreeSet::from(["epoch", "holder", "run"]) => {
            let holder = body.field("holder")?.text()?.to_owned();
            matches!(holder.as_str(), "primary" | "recovery").then_some(Control::Open { epoch, holder, run })
        }
        _ => None,
    }
}

struct Rules {
    slots_are_unique: bool,
    linked: bool,
    /// How bad it is that something is missing.
    missing: Verdict,
}

/// Judges what was found of one stream, and says how many entries were there again.
fn judge_stream(
    stream: &mut Stream,
    entries: BTreeMap<u64, Vec<Entry>>,
    rules: &Rules,
    from: Option<&Prefix>,
) -> u64 {
    let Rules { slots_are_unique, linked, missing } = *rules;
    let mut before: Option<(u64, [u8; 32])> = None;
    if let Some(prefix) = from {
        before = Some((prefix.through, prefix.head));
        (stream.first_seq, stream.through) = (prefix.first_seq, prefix.through);
        (stream.head, stream.entries, stream.pen) = (prefix.head, prefix.entries, prefix.pen.clone());
    }
    // Who was entitled to write is told by all that came before: behind the first fault, nobody can say.
    let first_fault = stream.defects.iter().filter_map(|defect| defect.seq).min();
    let mut whole = true;
    let mut repeated = 0;
    for (seq, copies) in &entries {
        let entry = &copies[0];
        if stream.entries == 0 {
            stream.first_seq = *seq;
        }
        let explained = |at: u64| first_fault.is_some_and(|first| first <= at);
        let fault = match before {
            // Of what was proven before, the last entry is known; whether those before it are the same, nobody can say.
            Some((last, hash)) if *seq <= last => {
                repeated += copies.len() as u64;
                if slots_are_unique {
                    stream.broken(*seq, "a slot holds what was proven before");
                    whole = false;
                } else if *seq == last && copies.iter().any(|copy| copy.hash != hash) {
                    stream.broken(*seq, "another entry than was proven before");
                    whole = false;
                }
                continue;
            }
            Some((last, _)) if *seq > last + 1 => Some((last + 1, missing, "missing")),
            _ if slots_are_unique && copies.len() > 1 => Some((*seq, Verdict::Broken, "two slots hold it")),
            Some((_, hash)) if linked && entry.prev != Some(hash) => {
                Some((*seq, Verdict::Broken, "the link is broken"))
            }
            None if linked && entry.prev != Some([0; 32]) && !explained(*seq) => {
                Some((*seq, missing, "no beginning"))
            }
            _ => None,
        };
        if let Some((seq, verdict, what)) = fault
            && !stream.defects.iter().any(|defect| defect.seq == Some(seq))
        {
            stream.defect(Some(seq), verdict, what);
        }
        let forks = !slots_are_unique && copies.iter().any(|copy| copy.hash != entry.hash);
        if forks {
            stream.broken(*seq, "two entries at one place");
        }
        whole &= !forks && fault.is_none() && first_fault.is_none_or(|first| *seq < first);
        repeated += copies.len() as u64 - 1;
        match &entry.control {
            Some(control) => {
                stream.pen.take(control);
            }
            // What was delivered need not hold the control entries: where there is none, it says nothing of the pen.
            None if !slots_are_unique && stream.pen.state == PenState::Nobody => {}
            None if whole && !stream.pen.entitles(entry.epoch) => {
                stream.broken(*seq, "nobody was entitled to write it");
            }
            None => {}
        }
        stream.entries += 1;
        (stream.through, stream.head) = (*seq, entry.hash);
        before = Some((*seq, entry.hash));
    }
    repeated
}

fn judge_end(stream: &mut Stream, watermark: Option<u64>, closed: bool, missing: Verdict) {
    match watermark {
        // Where there is nothing, the objects that could not be read say why.
        _ if stream.entries == 0 && !stream.defects.is_empty() => {}
        Some(watermark) if stream.entries == 0 && watermark > 0 => {
            stream.defect(None, missing, "acknowledged, and nothing is there");
        }
        _ if stream.entries == 0 => stream.defect(None, Verdict::Unproven, "no entries at all"),
        Some(watermark) if watermark > stream.through => {
            let next = Some(stream.through + 1);
            if !stream.defects.iter().any(|defect| defect.seq == next) {
                stream.defect(next, missing, "acknowledged, and missing");
            }
        }
        None if closed && !matches!(stream.pen.state, PenState::Sealed { .. }) => {
            stream.defect(None, Verdict::Unproven, "neither a seal nor a watermark says where it ends");
        }
        _ => {}
    }
}

/// What a decompressor may be asked to keep in memory: 8 MiB, as a power of two.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// The bytes behind the compression. `Broken` where they do not decompress to their end, `Unproven` where that would take more
/// memory than a reader gives.
pub fn decode(bytes: &[u8]) -> Result<Cow<'_, [u8]>, Verdict> {
    let mut decoded = Vec::new();
    if bytes.starts_with(&[0x1f, 0x8b]) {
        flate2::read::MultiGzDecoder::new(bytes).read_to_end(&mut decoded).map_err(|_| Verdict::Broken)?;
    } else if matches!(bytes, [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..]) {
        let read = zstd::stream::read::Decoder::new(bytes).and_then(|mut frames| {
            frames.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
            frames.read_to_end(&mut decoded)
        });
        read.map_err(|err| match err.to_string().contains("too much memory") {
            true => Verdict::Unproven,
            false => Verdict::Broken,
        })?;
    } else {
        return Ok(Cow::Borrowed(bytes));
    }
    Ok(Cow::Owned(decoded))
}
