//! How long the proof of a ledger takes: the branch *Verify the history* of the real definition, with the real Lambda, on
//! the local world, over a long ledger without a checkpoint, over the same with one, and over a short one.
//!
//! What it does not show: the network and the processors of AWS. The emulator keeps its objects in one Python process, which
//! serves every read of every shard, so that a map gains here what the machine has processors for, and no more.

pub mod dns;
pub mod estimate;
mod stage;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ledger_verify::read;
use ledger_verify::shards::Shard;
use lifeboat_ledger::slot;
use serde::Serialize;

use crate::world::error::WorldError;
use crate::world::proxy::{Fault, Scope};
use crate::world::{ORIGIN_LAMBDA, World, WorldOptions};
pub use stage::Verified;
use stage::{Ledger, Setting};

/// Entries in a hundred that are written after the checkpoint.
const TAIL_PERCENT: u64 = 1;
/// Calls of the schedule until a checkpoint reaches the end.
const EXTENSIONS_MAX: u32 = 40;
/// Attempts of one read before the SDK gives up, and with it the function's call.
const SDK_ATTEMPTS: u32 = 3;

/// What to measure.
#[derive(Clone)]
pub struct Options {
    /// Entries of the long ledger.
    pub entries: u64,
    /// Objects that they are in.
    pub objects: u64,
    /// The plan's `limits.shard_entries`.
    pub shard_entries: u32,
    /// Whether one shard is made to fail once.
    pub fail_one: bool,
    /// Told each line of progress.
    pub report: Arc<dyn Fn(&str) + Send + Sync>,
}

/// What was measured. Seconds are from the start of an execution to the moment at which its end was seen.
#[derive(Debug, Serialize)]
pub struct Measured {
    /// Bytes of the long ledger.
    pub bytes: u64,
    /// The long ledger, without a checkpoint: over the map.
    pub whole: Verified,
    /// What its shards were.
    pub shards: Vec<Shard>,
    /// The number of the shard that was made to fail.
    pub failed: Option<usize>,
    /// How often the schedule was called until its checkpoints reached the end.
    pub extensions: u32,
    /// Seconds that these calls took together.
    pub extension_seconds: f64,
    /// The long ledger, with checkpoints and a tail behind them.
    pub tail: Verified,
    /// A ledger that is no longer than that tail.
    pub short: Verified,
}

/// Measures it all.
///
/// # Errors
/// Where the local world, the ledger or an execution could not be brought about. A verdict other than `Proven` is no error.
pub async fn run(options: &Options) -> Result<Measured, WorldError> {
    let report = &*options.report;
    let world = WorldOptions { report: Arc::clone(&options.report), ..WorldOptions::default() };
    let world = World::start(world).await?;
    report(&format!("logs of this run: {}", world.run().path().display()));

    let tail_entries = (options.entries * TAIL_PERCENT / 100).max(1);
    let long = Setting { plan: "long", entries: options.entries, objects: options.objects, ..options.into() };
    let short = Setting {
        plan: "short",
        entries: tail_entries,
        objects: (options.objects * TAIL_PERCENT / 100).max(6),
        ..options.into()
    };
    report(&format!("writing {} entries in {} objects", long.entries, long.objects));
    let (mut long, short) =
        (Ledger::set(&world, &long, tail_entries).await?, Ledger::set(&world, &short, 0).await?);

    report("verifying the whole, without a checkpoint");
    let struck = if options.fail_one { Some(long.middle(&world).await?) } else { None };
    if let Some((stream, slot)) = &struck {
        let path = format!("/{}/{}", long.bucket(), slot::key("log/", stream, *slot));
        let scope = Scope::origin(ORIGIN_LAMBDA).method("GET").path_prefix(&path);
        world.proxy().add_times(scope, Fault::Refuse, SDK_ATTEMPTS * read::TRIES_MAX);
    }
    let whole = long.verify(&world, "whole").await?;
    let set = long.set_of(&world, "whole").await?;
    let shards = set.map(|set| set.shards).unwrap_or_default();
    let failed = struck.and_then(|struck| shards.iter().position(|shard| holds(shard, &struck)));

    report("extending the checkpoints, as the schedule does");
    let mut extension_seconds = 0.0;
    let mut extensions = 0;
    while !long.extend(&world, &mut extension_seconds).await? {
        extensions += 1;
        if extensions == EXTENSIONS_MAX {
            return Err(WorldError::TooLate {
                what: "extend the checkpoints to the end".into(),
                within: Duration::from_secs_f64(extension_seconds),
            });
        }
    }
    report(&format!("writing {tail_entries} entries behind them"));
    long.put_tail(&world).await?;
    report("verifying the tail, and the short ledger");
    let tail = long.verify(&world, "tail").await?;
    let short = short.verify(&world, "short").await?;
    Ok(Measured {
        bytes: long.bytes(),
        whole,
        shards,
        failed,
        extensions: extensions + 1,
        extension_seconds,
        tail,
        short,
    })
}

fn holds(shard: &Shard, (stream, seq): &(String, u64)) -> bool {
    shard.iter().any(|range| range.holds(stream, *seq))
}

/// How often each segment was read, by its key.
pub type Reads = BTreeMap<String, usize>;
