//! A ledger in a bucket: listed page by page while the objects of earlier pages are read.

use std::collections::VecDeque;
use std::sync::Arc;

use lifeboat_ledger::{Expect, Fold, Layout};
use lifeboat_rules::{ErrorName, StepError};
use lifeboat_runtime::Store;
use tokio::task::JoinSet;

use super::job::{Gave, Job, again};
use super::{Reading, no_ledger};
use crate::aws;
use crate::failure::Failure;
use crate::progress::Bar;

/// Objects in flight at once. Of each, a piece is held at a time.
const GETS_IN_FLIGHT: usize = 32;
/// How often an object is read anew whose transfer broke off.
const TRIES_MAX: u32 = 3;

/// Where the objects are, and how they are read.
struct Shared {
    store: Store,
    bucket: String,
    reading: Reading,
    bar: Bar,
}

pub(super) async fn read(
    store: Store,
    bucket: &str,
    prefix: &str,
    reading: &Reading,
    expect: &Expect,
) -> Result<Fold, Failure> {
    let place = format!("s3://{bucket}/{prefix}");
    let failed = |error: StepError| aws::step_failure(format!("could not read {place}"), &error);
    let bar = Bar::show("proving");
    let shared = Arc::new(Shared { store, bucket: bucket.to_owned(), reading: reading.clone(), bar });
    let mut fold = Fold::new(reading.layout);
    let mut listing = Listing { prefix, after: None, more: true, jobs: VecDeque::new(), files: 0, found: 0 };
    in_flight(&shared, &mut listing, &mut fold).await.map_err(failed)?;
    if listing.found == 0 {
        return Err(no_ledger(&place, reading.layout, listing.files > 0));
    }
    // Each answer leaves fewer questions.
    loop {
        listing.jobs = again(&fold, expect).into();
        if listing.jobs.is_empty() {
            return Ok(fold);
        }
        in_flight(&shared, &mut listing, &mut fold).await.map_err(failed)?;
    }
}

/// Reads all that is listed, and merges what it gives.
async fn in_flight(
    shared: &Arc<Shared>,
    listing: &mut Listing<'_>,
    fold: &mut Fold,
) -> Result<(), StepError> {
    let mut tasks = JoinSet::new();
    loop {
        if tasks.len() < GETS_IN_FLIGHT
            && let Some(job) = listing.next(shared, fold).await?
        {
            let shared = Arc::clone(shared);
            tasks.spawn(async move { take(&shared, &job).await });
            continue;
        }
        match tasks.join_next().await {
            Some(Ok(gave)) => gave?.add_to(fold),
            // A panic of a task is a panic of the command; nothing cancels one.
            Some(Err(error)) => std::panic::resume_unwind(error.into_panic()),
            None => return Ok(()),
        }
    }
}

async fn take(shared: &Shared, job: &Job) -> Result<Gave, StepError> {
    let mut tries = 0;
    loop {
        tries += 1;
        match take_once(shared, job).await {
            Ok(gave) => return Ok(gave),
            // A moment's trouble is worth another try, and then the whole command; anything else is a hole in the proof.
            Err(error) if error.name != ErrorName::Transient => return Ok(job.unreadable(&error.to_string())),
            Err(error) if tries == TRIES_MAX => return Err(error),
            Err(_) => {}
        }
    }
}

async fn take_once(shared: &Shared, job: &Job) -> Result<Gave, StepError> {
    let Some(mut streamed) = shared.store.get_stream(&shared.bucket, job.key()).await? else {
        return Ok(job.unreadable("it was listed and is gone"));
    };
    let mut object = job.open(&shared.reading, streamed.version.clone());
    streamed
        .for_each(|piece| {
            object.push(piece);
            shared.bar.advance(piece.len() as u64);
        })
        .await?;
    Ok(object.finish())
}

/// What lies below a prefix, a page at a time.
struct Listing<'a> {
    prefix: &'a str,
    after: Option<String>,
    more: bool,
    jobs: VecDeque<Job>,
    files: u64,
    found: u64,
}

impl Listing<'_> {
    async fn next(&mut self, shared: &Shared, fold: &mut Fold) -> Result<Option<Job>, StepError> {
        while self.jobs.is_empty() && self.more {
            let page = shared.store.page(&shared.bucket, self.prefix, self.after.as_deref(), None).await?;
            self.more = page.more && !page.objects.is_empty();
            self.after = page.objects.last().map(|last| last.key.clone());
            for object in page.objects {
                self.files += 1;
                shared.bar.expect(object.bytes);
                let job = match shared.reading.layout {
                    Layout::Segments => Job::segment(self.prefix, &object.key),
                    Layout::Firehose => Ok(Job::Delivery { key: object.key }),
                };
                match job {
                    Ok(job) => {
                        self.found += 1;
                        self.jobs.push_back(job);
                    }
                    Err(finding) => fold.add_finding(finding),
                }
            }
        }
        Ok(self.jobs.pop_front())
    }
}
