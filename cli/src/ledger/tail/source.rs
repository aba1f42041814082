//! The segments of one stream, in a folder or a bucket.

use std::fs;
use std::io::{self, Read as _};
use std::path::PathBuf;

use lifeboat_ledger::{decode, slot};
use lifeboat_rules::StepError;
use lifeboat_rules::plan::Ledger;
use lifeboat_runtime::{Log, Store};

use crate::aws;
use crate::exit::Exit;
use crate::failure::Failure;

/// The largest segment that is looked at, in bytes, compressed and not: a writer's commit is far smaller.
const SEGMENT_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Where they are.
pub(super) enum Segments {
    Folder { root: PathBuf, stream: String, slots: Vec<u64> },
    Bucket { store: Store, ledger: Ledger, stream: String },
}

impl Segments {
    pub(super) fn in_folder(root: PathBuf, stream: &str) -> Result<Segments, Failure> {
        let folder = root.join(stream);
        let names =
            fs::read_dir(&folder).and_then(Iterator::collect::<io::Result<Vec<_>>>).map_err(|error| {
                let next = "check the path, and the name of the stream: it is the folder's";
                Failure::new(Exit::NoInput, format!("{} cannot be read", folder.display()), next)
                    .because(&error)
            })?;
        let slots = names.iter().filter_map(|entry| {
            let key = format!("{stream}/{}", entry.file_name().to_str()?);
            slot::parse("", &key).map(|(_, slot)| slot)
        });
        let mut slots: Vec<u64> = slots.collect();
        slots.sort_unstable();
        Ok(Segments::Folder { root, stream: stream.to_owned(), slots })
    }

    pub(super) fn in_bucket(store: Store, bucket: String, prefix: String, stream: &str) -> Segments {
        let ledger = Ledger { bucket, prefix, streams: vec![stream.to_owned()], witness: None, lease: None };
        Segments::Bucket { store, ledger, stream: stream.to_owned() }
    }

    /// The last slot up to `seq`.
    pub(super) async fn at_or_before(&self, seq: u64) -> Result<Option<u64>, Failure> {
        match self {
            Segments::Folder { slots, .. } => {
                Ok(slots.partition_point(|slot| *slot <= seq).checked_sub(1).map(|at| slots[at]))
            }
            Segments::Bucket { store, ledger, stream } => {
                let found = Log::new(store, ledger).at_or_before(stream, seq).await;
                let found = found.map_err(|error| self.not_listed(&error))?;
                Ok(found.map(|head| head.slot))
            }
        }
    }

    /// The slots from `first` on that come before `end`, in order.
    pub(super) async fn slots(&self, first: u64, end: u64) -> Result<Vec<u64>, Failure> {
        match self {
            Segments::Folder { slots, .. } => {
                Ok(slots.iter().copied().filter(|slot| (first..end).contains(slot)).collect())
            }
            Segments::Bucket { store, ledger, stream } => {
                let (mut found, mut after) = (Vec::new(), first.checked_sub(1));
                loop {
                    let page = Log::new(store, ledger).page(stream, after).await;
                    let page = page.map_err(|error| self.not_listed(&error))?;
                    let slots =
                        page.objects.iter().filter_map(|object| slot::parse(&ledger.prefix, &object.key));
                    let before = found.len();
                    found.extend(slots.map(|(_, slot)| slot).filter(|slot| (first..end).contains(slot)));
                    // A page without one of them is behind the end.
                    if !page.more || found.len() == before {
                        return Ok(found);
                    }
                    after = found.last().copied();
                }
            }
        }
    }

    fn not_listed(&self, error: &StepError) -> Failure {
        let what = match self {
            Segments::Folder { root, stream, .. } => format!("could not list {}/{stream}", root.display()),
            Segments::Bucket { ledger, stream, .. } => {
                format!("could not list s3://{}/{}{stream}/", ledger.bucket, ledger.prefix)
            }
        };
        aws::step_failure(what, error)
    }

    pub(super) fn key(&self, slot: u64) -> String {
        match self {
            Segments::Folder { stream, .. } => slot::key("", stream, slot),
            Segments::Bucket { ledger, stream, .. } => slot::key(&ledger.prefix, stream, slot),
        }
    }

    /// The decoded bytes of a segment.
    pub(super) async fn read(&self, slot: u64) -> Result<Vec<u8>, Failure> {
        let key = self.key(slot);
        let next =
            "check its permissions; `lifeboat ledger verify` says what is wrong with the ledger as a whole";
        let unreadable = |what: &str| Failure::new(Exit::NoInput, format!("{key} {what}"), next);
        let stored = match self {
            Segments::Folder { root, .. } => {
                let mut bytes = Vec::new();
                let read = fs::File::open(root.join(&key))
                    .and_then(|file| file.take(SEGMENT_BYTES_MAX as u64 + 1).read_to_end(&mut bytes));
                read.map_err(|error| unreadable("cannot be read").because(&error))?;
                bytes
            }
            Segments::Bucket { store, ledger, .. } => {
                let read = store.get(&ledger.bucket, &key, None).await;
                let read = read.map_err(|error| {
                    aws::step_failure(format!("could not read s3://{}/{key}", ledger.bucket), &error)
                })?;
                read.ok_or_else(|| unreadable("was listed and is gone"))?
            }
        };
        if stored.len() > SEGMENT_BYTES_MAX {
            return Err(unreadable("is larger than 256 MiB"));
        }
        match decode::decoded(&stored, SEGMENT_BYTES_MAX) {
            Ok(bytes) => Ok(bytes.into_owned()),
            Err(fault) => Err(unreadable("cannot be decompressed").because(&fault)),
        }
    }
}
