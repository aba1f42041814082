//! Ledgers made to order: any size, both layouts, with faults on request. The same [`Spec`] gives the same bytes, always
//! and everywhere.
//!
//! Written without any of the verifier's code, so that the two can be held against each other: what is shared is the format
//! as its page has it, and SHA-256.
//!
//! ```
//! use lifeboat::ledger::generate::Spec;
//!
//! let mut ledger = Spec { entries: 1_000, ..Spec::default() }.ledger()?;
//! let bytes: usize = ledger.by_ref().map(|object| object.bytes.len()).sum();
//! assert!(bytes > 200_000);
//! assert_eq!(ledger.ends()[0].through, 1_000);
//! # Ok::<(), lifeboat::ledger::generate::SpecError>(())
//! ```

mod chain;
mod compress;
mod fault;
mod firehose;
mod random;
mod schedule;
mod segments;

use chain::Chain;
pub use compress::Compression;
pub use fault::{Fault, Injected};
use firehose::Deliveries;
use schedule::Schedule;
use segments::Segments;

/// The shortest line that can be asked for, in bytes; shorter ones have no room for the fields.
pub const ENTRY_BYTES_MIN: usize = 160;
/// How far the length of a line strays from what was asked for, in bytes, to either side.
const ENTRY_BYTES_STRAY: usize = 16;
const ENTRIES_MAX: u64 = 1_000_000_000_000;
const OBJECTS_MAX: u64 = 10_000_000;
const STREAMS_MAX: usize = 10_000;

/// How the objects are laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Layout {
    /// `<stream>/<first sequence, 20 digits>.ndjson`, each slot once: what a writer puts.
    #[default]
    Segments,
    /// Date prefixes, streams mixed in an object, records out of order and more than once: what a delivery stream leaves.
    Firehose,
}

/// What the fields of a line are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// The stream.
    pub stream: String,
    /// The place in the stream.
    pub seq: String,
    /// The hash of the line before; `None` for a ledger without links.
    pub prev: Option<String>,
    /// Epoch and control entries; `None` for a ledger that knows neither.
    pub control: Option<ControlNames>,
}

/// What the fields that say who may write are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlNames {
    /// The writer's epoch, in an entry of data.
    pub epoch: String,
    /// The body of a control entry.
    pub control: String,
}

impl Default for Names {
    fn default() -> Names {
        Names {
            stream: "stream".into(),
            seq: "seq".into(),
            prev: Some("prev".into()),
            control: Some(ControlNames { epoch: "epoch".into(), control: "control".into() }),
        }
    }
}

/// What to make.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Two seeds give two ledgers of the same shape.
    pub seed: u64,
    /// The names of the streams.
    pub streams: Vec<String>,
    /// How many entries all streams have together, control entries included.
    pub entries: u64,
    /// How many objects there are in all; control entries have an object each in segments.
    pub objects: u64,
    /// How they are laid out.
    pub layout: Layout,
    /// How each object is compressed.
    pub compression: Compression,
    /// The mean length of a line of data in bytes, without its newline; [`ENTRY_BYTES_MIN`] to 65,000.
    pub entry_bytes: usize,
    /// How often the pen changes hands in each stream: a seal and an open each time.
    pub hand_overs: u64,
    /// Whether each stream ends with a seal.
    pub seal: bool,
    /// How many records in a hundred are delivered twice. Firehose only.
    pub repeats_percent: u8,
    /// What the fields are called.
    pub names: Names,
    /// What is wrong with the ledger, each at a place that the seed decides.
    pub faults: Vec<Fault>,
}

impl Default for Spec {
    /// One open stream of 10,000 entries of 220 bytes in 10 segments, with nothing wrong.
    fn default() -> Spec {
        Spec {
            seed: 1,
            streams: vec!["ME1".into()],
            entries: 10_000,
            objects: 10,
            layout: Layout::Segments,
            compression: Compression::None,
            entry_bytes: 220,
            hand_overs: 0,
            seal: false,
            repeats_percent: 2,
            names: Names::default(),
            faults: Vec::new(),
        }
    }
}

/// Why a ledger cannot be made as asked: what is asked for, and what is possible.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SpecError(pub(crate) String);

/// One object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its key, below whatever prefix the ledger is put.
    pub key: String,
    /// Its bytes, compressed if that was asked for.
    pub bytes: Vec<u8>,
}

/// The end of a stream.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct End {
    /// The stream.
    pub stream: String,
    /// The sequence of the last entry.
    pub through: u64,
    /// Its hash, in hexadecimal.
    pub head: String,
}

/// A ledger in the making: an iterator over its objects, one in memory at a time.
pub struct Ledger {
    objects: Objects,
    compression: Compression,
}

enum Objects {
    Segments(Segments),
    Firehose(Deliveries),
}

impl Spec {
    /// Begins to make it.
    ///
    /// # Errors
    /// What was asked for does not go together, or is beyond a limit.
    pub fn ledger(self) -> Result<Ledger, SpecError> {
        let schedules = self.checked()?;
        let compression = self.compression;
        let chains = self.streams.iter().enumerate().map(|(index, stream)| {
            Chain::new(stream, &self.names, self.entry_bytes, self.seed.wrapping_add(index as u64 + 1))
        });
        let chains: Vec<Chain> = chains.collect();
        let placed = fault::place(&self, &schedules)?;
        let objects = match self.layout {
            Layout::Segments => Objects::Segments(Segments::new(chains, schedules, placed)),
            Layout::Firehose => Objects::Firehose(Deliveries::new(&self, chains, schedules, placed)),
        };
        Ok(Ledger { objects, compression })
    }

    fn checked(&self) -> Result<Vec<Schedule>, SpecError> {
        let check =
            |holds: bool, what: &dyn Fn() -> String| if holds { Ok(()) } else { Err(SpecError(what())) };
        let count = self.streams.len();
        check((1..=STREAMS_MAX).contains(&count), &|| {
            format!("{count} streams; 1 to {STREAMS_MAX} are possible")
        })?;
        for (index, name) in self.streams.iter().enumerate() {
            let usable = !name.is_empty() && !name.contains('/') && !name.starts_with('.');
            check(usable, &|| format!("a stream cannot be called {name:?}: the name is a part of keys"))?;
            check(!self.streams[..index].contains(name), &|| format!("two streams are called {name:?}"))?;
        }
        check(self.entries <= ENTRIES_MAX, &|| format!("more than {ENTRIES_MAX} entries"))?;
        check(self.objects <= OBJECTS_MAX, &|| format!("more than {OBJECTS_MAX} objects"))?;
        check((ENTRY_BYTES_MIN..=65_000).contains(&self.entry_bytes), &|| {
            format!("lines of {} bytes; {ENTRY_BYTES_MIN} to 65,000 are possible", self.entry_bytes)
        })?;
        check(self.repeats_percent <= 100, &|| format!("{} repeats in a hundred", self.repeats_percent))?;
        let controls = self.names.control.is_some();
        check(controls || !(self.seal || self.hand_overs > 0), &|| {
            "a ledger without control entries has neither seals nor hand-overs".into()
        })?;
        (0..count).map(|index| Schedule::new(self, index)).collect()
    }
}

impl Ledger {
    /// Where each stream ends: complete once the iterator is.
    pub fn ends(&self) -> Vec<End> {
        self.chains().iter().map(Chain::end).collect()
    }

    /// The faults and where each shows: complete once the iterator is.
    pub fn injected(&self) -> &[Injected] {
        match &self.objects {
            Objects::Segments(segments) => segments.injected(),
            Objects::Firehose(deliveries) => deliveries.injected(),
        }
    }

    fn chains(&self) -> &[Chain] {
        match &self.objects {
            Objects::Segments(segments) => segments.chains(),
            Objects::Firehose(deliveries) => deliveries.chains(),
        }
    }
}

impl Iterator for Ledger {
    type Item = Object;

    fn next(&mut self) -> Option<Object> {
        let (key, bytes, corrupt) = match &mut self.objects {
            Objects::Segments(segments) => segments.next()?,
            Objects::Firehose(deliveries) => deliveries.next()?,
        };
        let mut bytes = self.compression.compress(bytes);
        if corrupt {
            fault::corrupt(&mut bytes);
        }
        Some(Object { key, bytes })
    }
}
