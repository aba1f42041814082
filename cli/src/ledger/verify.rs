//! `lifeboat ledger verify`: the proof of a ledger that lies in a folder or a bucket, whoever wrote it.
//!
//! It reads every byte once, in memory that does not grow with the ledger, and of a delivery stream's copy some objects twice:
//! those in which the same sequences were delivered again and the summaries cannot tell whether the entries are the same.

mod bucket;
mod folder;
mod job;
mod told;

use std::thread;

use lifeboat_ledger::Format;
use lifeboat_ledger::lease::Leases;
use lifeboat_ledger::object::Layout;
use lifeboat_ledger::proof::{End, Expect};
use lifeboat_rules::plan::Ledger;
use lifeboat_runtime::{Log, Store};

use super::generate;
use super::place::{self, Place};
use super::usage;
use crate::args::VerifyArgs;
use crate::aws;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Report;
use crate::source;

/// How a ledger is to be read.
#[derive(Clone, Debug)]
struct Reading {
    layout: Layout,
    format: Format,
    threads: usize,
}

pub(super) fn run(args: &VerifyArgs) -> Result<Report, Failure> {
    let plan = match &args.plan {
        Some(file) => Some(source::check(file)?.plan),
        None => None,
    };
    let mut streams = args.streams.clone();
    streams.extend(plan.iter().flat_map(|plan| plan.ledger.streams.iter().cloned()));
    streams.sort();
    streams.dedup();
    let format = args.format.names.format(args.format.entry_bytes_max).map_err(usage)?;
    let mut expect = Expect::streams(&streams);
    expect.end = End::Closed;
    for (stream, seq) in &args.watermarks {
        if expect.watermarks.insert(stream.clone(), *seq).is_some() {
            return Err(usage(format!("stream {stream} has two watermarks")));
        }
    }
    let leased = plan.as_ref().map(|plan| &plan.ledger).filter(|ledger| ledger.lease.is_some());
    let reading = Reading {
        layout: match (args.layout, leased) {
            (generate::Layout::Segments, None) => Layout::Segments,
            (generate::Layout::Firehose, _) | (_, Some(_)) => Layout::Firehose,
        },
        format,
        threads: args.threads.map_or_else(threads, usize::from),
    };
    let fold = match Place::parse(&args.place)? {
        Place::Folder(_) if leased.is_some() => {
            return Err(usage("the leases of this plan are in its bucket: name s3://<bucket>/<prefix>"));
        }
        Place::Folder(root) => folder::read(&root, &reading, &expect)?,
        Place::Bucket { bucket, prefix } => aws::block_on_threads(reading.threads, async {
            let store = place::store(&args.aws).await?;
            if let Some(ledger) = leased {
                // Before the deliveries: what a later holder sends is then newer than the leases.
                expect.leases = leases(&store, &Ledger { bucket: bucket.clone(), ..ledger.clone() }).await?;
            }
            bucket::read(store, &bucket, &prefix, &reading, &expect).await
        })?,
    };
    let (proof, _) = fold.finish(&expect);
    Ok(told::report(&args.place, reading.layout, &expect, &proof))
}

/// Every lease of the log; a stream that has none is judged without one.
async fn leases(store: &Store, ledger: &Ledger) -> Result<Leases, Failure> {
    let failed =
        |error| aws::step_failure(format!("could not read the leases in s3://{}", ledger.bucket), &error);
    let log = Log::new(store, ledger);
    let mut leases = Leases::new();
    for stream in log.streams().await.map_err(failed)? {
        if let Some((lease, _)) = log.lease(&stream).await.map_err(failed)? {
            leases.insert(stream, lease);
        }
    }
    Ok(leases)
}

fn threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Nothing that could be a ledger of this layout; `any` says whether there is anything at all.
fn no_ledger(place: &str, layout: Layout, any: bool) -> Failure {
    if any && layout == Layout::Segments {
        return Failure::new(
            Exit::NoInput,
            format!("no object below {place} is a slot, <stream>/<20 digits>.ndjson"),
            "name the folder that holds the streams' folders; for what a delivery stream wrote say --layout firehose",
        );
    }
    Failure::new(Exit::NoInput, format!("there is nothing below {place}"), "check the path")
}
