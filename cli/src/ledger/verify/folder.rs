//! A ledger in a folder: listed, then read by threads, a piece of a file at a time.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

use lifeboat_ledger::object::Layout;
use lifeboat_ledger::{Expect, Finding, Fold, slot};

use super::job::{Gave, Job, again};
use super::{Reading, no_ledger};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::progress::Bar;

/// What a thread reads at a time.
const PIECE_BYTES: usize = 256 * 1024;
/// Folders in folders; a bound, and far more than any layout has.
const DEPTH_MAX: usize = 64;

pub(super) fn read(root: &Path, reading: &Reading, expect: &Expect) -> Result<Fold, Failure> {
    let bar = Bar::show("proving");
    let mut listing = Listing::new(reading.layout);
    listing.list(root)?;
    bar.expect(listing.bytes);
    if listing.is_empty() {
        return Err(no_ledger(&root.display().to_string(), reading.layout, listing.files > 0));
    }
    let fold = Mutex::new(std::mem::replace(&mut listing.fold, Fold::new(reading.layout)));
    in_parallel(listing.jobs(), reading, |job, piece| {
        let gave = take(root, &job, reading, piece, &bar);
        gave.add_to(&mut fold.lock().expect("nothing panics while it holds this lock"));
    });
    let mut fold = fold.into_inner().expect("nothing panics while it holds this lock");
    // Each answer leaves fewer questions.
    loop {
        let jobs = again(&fold, expect);
        if jobs.is_empty() {
            return Ok(fold);
        }
        let shared = Mutex::new(fold);
        in_parallel(jobs.into_iter(), reading, |job, piece| {
            let gave = take(root, &job, reading, piece, &bar);
            gave.add_to(&mut shared.lock().expect("nothing panics while it holds this lock"));
        });
        fold = shared.into_inner().expect("nothing panics while it holds this lock");
    }
}

/// Does `jobs` in the reading's number of threads, each of which has a buffer.
fn in_parallel(
    jobs: impl Iterator<Item = Job> + Send,
    reading: &Reading,
    work: impl Fn(Job, &mut [u8]) + Sync,
) {
    let jobs = Mutex::new(jobs);
    thread::scope(|scope| {
        for _ in 0..reading.threads {
            scope.spawn(|| {
                let mut piece = vec![0; PIECE_BYTES];
                loop {
                    let job = jobs.lock().expect("nothing panics while it holds this lock").next();
                    let Some(job) = job else { return };
                    work(job, &mut piece);
                }
            });
        }
    });
}

fn take(root: &Path, job: &Job, reading: &Reading, piece: &mut [u8], bar: &Bar) -> Gave {
    let mut object = job.open(reading, None);
    let read = (|| -> io::Result<()> {
        let mut file = File::open(root.join(job.key()))?;
        loop {
            match file.read(piece) {
                Ok(0) => return Ok(()),
                Ok(count) => {
                    object.push(&piece[..count]);
                    bar.advance(count as u64);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    })();
    match read {
        Ok(()) => object.finish(),
        Err(error) => job.unreadable(&error.to_string()),
    }
}

/// What lies below a folder.
struct Listing {
    layout: Layout,
    /// The slots of each stream: eight bytes an object, whatever the ledger's size.
    slots: BTreeMap<Arc<str>, Vec<u64>>,
    /// The objects of a delivery stream.
    deliveries: Vec<String>,
    /// What has no place in the layout.
    fold: Fold,
    files: u64,
    bytes: u64,
}

impl Listing {
    fn new(layout: Layout) -> Listing {
        let fold = Fold::new(layout);
        Listing { layout, slots: BTreeMap::new(), deliveries: Vec::new(), fold, files: 0, bytes: 0 }
    }

    fn is_empty(&self) -> bool {
        self.slots.is_empty() && self.deliveries.is_empty()
    }

    fn list(&mut self, root: &Path) -> Result<(), Failure> {
        let unreadable = |error: &io::Error| {
            let what = format!("{} cannot be read", root.display());
            Failure::new(Exit::NoInput, what, "name the folder that holds the ledger").because(error)
        };
        let mut folders: Vec<(PathBuf, String, usize)> = vec![(root.to_owned(), String::new(), 0)];
        while let Some((folder, key, depth)) = folders.pop() {
            let entries = match fs::read_dir(&folder).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
                Ok(entries) if depth < DEPTH_MAX => entries,
                Ok(_) => {
                    self.not_read(&key, "it is too deep in folders");
                    continue;
                }
                Err(error) if depth == 0 => return Err(unreadable(&error)),
                Err(error) => {
                    self.not_read(&key, &error.to_string());
                    continue;
                }
            };
            for entry in entries {
                let name = entry.file_name();
                let key = format!("{key}{}", name.to_string_lossy());
                let kind = entry.file_type().map_err(|error| unreadable(&error))?;
                if kind.is_dir() {
                    folders.push((entry.path(), format!("{key}/"), depth + 1));
                    continue;
                }
                self.files += 1;
                // A link to a file is read as the file; a link to a folder is not followed, since it could lead in a circle.
                let is_text = name.to_str().is_some();
                match fs::metadata(entry.path()) {
                    Ok(file) if file.is_file() && is_text => self.add(key, file.len()),
                    // Whoever reads it will be told why not, and says which slot that is.
                    Err(_) if is_text => self.add(key, 0),
                    _ => self.not_read(&key, "it is no file with a name in UTF-8"),
                }
            }
        }
        self.slots.values_mut().for_each(|slots| slots.sort_unstable());
        self.deliveries.sort_unstable();
        Ok(())
    }

    fn add(&mut self, key: String, bytes: u64) {
        self.bytes += bytes;
        match self.layout {
            Layout::Firehose => self.deliveries.push(key),
            Layout::Segments => match Job::segment("", &key) {
                Ok(Job::Segment { stream, first_seq, .. }) => {
                    self.slots.entry(stream).or_default().push(first_seq);
                }
                Ok(_) => {}
                Err(finding) => self.fold.add_finding(finding),
            },
        }
    }

    fn not_read(&mut self, key: &str, why: &str) {
        let stream = match self.layout {
            Layout::Segments => key.split_once('/').map_or("", |(stream, _)| stream),
            Layout::Firehose => "",
        };
        let finding = Finding::unproven(stream, None, format!("the object could not be read: {why}"));
        self.fold.add_finding(finding.in_object(key, 0));
    }

    fn jobs(&self) -> impl Iterator<Item = Job> + Send + '_ {
        let segments = self.slots.iter().flat_map(|(stream, slots)| {
            slots.iter().map(|first_seq| Job::Segment {
                stream: Arc::clone(stream),
                first_seq: *first_seq,
                key: slot::key("", stream, *first_seq),
            })
        });
        segments.chain(self.deliveries.iter().map(|key| Job::Delivery { key: key.clone() }))
    }
}
