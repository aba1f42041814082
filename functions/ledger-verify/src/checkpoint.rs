//! Checkpoints: a schedule verifies what is new and records how far it came, so that a run has only the tail left to read.
//!
//! Finding the newest one takes a few listings (`Log::checkpoint_through`), and believing it four reads: itself, the one
//! before it, and the segment that it ends in. One that does not hold is passed over for an older one, and at last for the
//! whole history: that costs time and is said. What a checkpoint rests on is written down in [`lifeboat_ledger::checkpoint`];
//! who may create one is the business of the log bucket's policy.

use std::pin::pin;
use std::time::Duration;

use futures::{StreamExt, stream};
use jiff::Timestamp;
use lifeboat_ledger::checkpoint::{self, Boundary, Checkpoint, Covered};
use lifeboat_ledger::object::Layout;
use lifeboat_ledger::proof::Expect;
use lifeboat_ledger::{Finding, Fold, Proof, StreamProof, Verdict, slot};
use lifeboat_rules::{ErrorName, Plan, StepError};
use lifeboat_runtime::{Context, Found, Listed, Log, Put, Store};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::metrics::Metrics;
use crate::read;

/// How many checkpoints of a stream are tried, from the newest on, before its whole history is read.
const TRIES_MAX: u32 = 4;
/// Objects of one stream in flight at once.
const GETS_IN_FLIGHT: usize = 32;
/// Streams that are extended at once.
const STREAMS_IN_FLIGHT: usize = 8;
/// How often a stream is read before what stands against it is reported: a listing is no snapshot, and one that was taken
/// while somebody wrote could show a slot and not the one before it.
const LOOKS: u32 = 2;

/// From where a stream need not be read again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Base {
    /// What was proven before; none where there is no checkpoint that holds.
    pub proof: Option<StreamProof>,
    /// The last slot that it covers; 0 for none.
    pub last_slot: u64,
    /// Which checkpoint this is, and why others were passed over, for a person; none where there is no checkpoint at all.
    pub said: Option<String>,
    /// The last sequence that a checkpoint vouches for whose last segment is not there any more, or not as it was; 0 for none. A log
    /// that ends before it may have lost its end.
    pub reached: u64,
}

/// The newest checkpoint of `stream` that holds, as something to read on from.
///
/// # Errors
/// `Transient` where the store did not answer just now; as [`lifeboat_runtime::aws_error`] where it cannot be listed.
pub async fn newest(log: &Log<'_>, stream: &str) -> Result<Base, StepError> {
    let (held, passed_over) = newest_that_holds(log, stream).await?;
    let mut said: Vec<String> =
        held.iter().map(|held| format!("verified before through {}", held.key())).collect();
    let reached = passed_over.iter().map(|over| over.reached).max().unwrap_or(0);
    said.extend(passed_over.into_iter().map(|over| over.why));
    Ok(Base {
        reached,
        last_slot: held.as_ref().map_or(0, |held| held.last().slot),
        proof: held.map(|held| held.proof().clone()),
        said: (!said.is_empty()).then(|| said.join("; ")),
    })
}

/// A checkpoint that does not hold.
struct PassedOver {
    why: String,
    /// How far it vouches, where it is sound in itself and only the log is not what it was; 0 otherwise.
    reached: u64,
}

impl From<String> for PassedOver {
    fn from(why: String) -> PassedOver {
        PassedOver { why, reached: 0 }
    }
}

/// The newest checkpoint that holds, and why those that are newer do not.
async fn newest_that_holds(
    log: &Log<'_>,
    stream: &str,
) -> Result<(Option<Checkpoint>, Vec<PassedOver>), StepError> {
    let (mut passed_over, mut through) = (Vec::new(), Some(u64::MAX));
    for _ in 0..TRIES_MAX {
        let Some(up_to) = through else { break };
        let Some(found) = log.checkpoint_through(stream, up_to).await? else { break };
        match holds(log, stream, &found).await {
            Ok(Ok(checkpoint)) => return Ok((Some(checkpoint), passed_over)),
            Ok(Err(PassedOver { why, reached })) => {
                let why = format!("passed over {}: it {why}", found.object.key);
                passed_over.push(PassedOver { why, reached });
            }
            Err(err) if err.name == ErrorName::Transient => return Err(err),
            Err(err) => {
                let why = format!("passed over {}: it could not be read: {err}", found.object.key);
                passed_over.push(why.into());
            }
        }
        through = found.number.checked_sub(1);
    }
    Ok((None, passed_over))
}

/// Reads a checkpoint and holds it against the one before it and the log; the inner error says why it does not hold.
async fn holds(
    log: &Log<'_>,
    stream: &str,
    found: &Found,
) -> Result<Result<Checkpoint, PassedOver>, StepError> {
    let bytes = match small(log, &found.object).await? {
        Ok(bytes) => bytes,
        Err(why) => return Ok(Err(why.into())),
    };
    let checkpoint = match Checkpoint::parse(&found.object.key, &bytes) {
        Ok(checkpoint) => checkpoint,
        Err(why) => return Ok(Err(why.to_string().into())),
    };
    if let Some(link) = checkpoint.previous() {
        // Listed first, so that what is read is small, and lies where this stream's checkpoints do.
        let before = match checkpoint::parse_key(&link.key) {
            Some((of, through)) if of == stream => log.checkpoint_through(stream, through).await?,
            _ => None,
        };
        let bytes = match before.filter(|before| before.object.key == link.key) {
            Some(before) => match small(log, &before.object).await? {
                Ok(bytes) => Some(bytes),
                Err(why) => return Ok(Err(format!("names {} before it, which {why}", link.key).into())),
            },
            None => None,
        };
        if let Err(why) = checkpoint.follows(bytes.as_deref()) {
            return Ok(Err(why.to_string().into()));
        }
    }
    let segment = log.key(stream, checkpoint.last().slot);
    let reached = checkpoint.proof().through;
    let Some((bytes, version)) = log.store().get_versioned(log.bucket(), &segment, None).await? else {
        return Ok(Err(PassedOver { why: format!("ends in {segment}, which is not there"), reached }));
    };
    Ok(match checkpoint.ends_in(&segment, version.as_deref(), &bytes) {
        Ok(()) => Ok(checkpoint),
        Err(why) => Err(PassedOver { why: why.to_string(), reached }),
    })
}

/// The bytes of an object that no checkpoint's limit forbids to read.
async fn small(log: &Log<'_>, object: &Listed) -> Result<Result<Vec<u8>, String>, StepError> {
    if object.bytes > checkpoint::BYTES_MAX as u64 {
        return Ok(Err(format!("is {} bytes long; the limit is {}", object.bytes, checkpoint::BYTES_MAX)));
    }
    let bytes = log.store().get(log.bucket(), &object.key, None).await?;
    Ok(bytes.ok_or_else(|| "was listed and is gone".to_owned()))
}

/// How much one call reads. The first catch-up of an old log takes several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Entries of one stream, give or take an object.
    pub entries_max: u64,
    /// Bytes of one stream's lines, give or take an object.
    pub bytes_max: u64,
    /// Seconds for all streams together, give or take a read.
    pub seconds_max: u64,
}

impl Default for Bounds {
    /// Ends well before the next call is due and before the function's own timeout (300 s); so much of one stream that it
    /// cannot keep the others waiting for long.
    fn default() -> Bounds {
        Bounds { entries_max: 5_000_000, bytes_max: 2_000_000_000, seconds_max: 200 }
    }
}

/// What the schedule sends.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scheduled {
    /// Always `extend_checkpoints`.
    pub action: ScheduledAction,
}

/// The one action of a scheduled call.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScheduledAction {
    /// Verify what is new, record how far, write the metrics.
    ExtendCheckpoints,
}

/// What came of it, for the log of the function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Extended {
    /// The greatest lag of all streams; none where nothing is verified ahead, and no point of the metric was written.
    pub lag_seconds: Option<u64>,
    /// Whether anything stands against the log or a checkpoint.
    pub broken: bool,
    /// Each stream. A ledger that is fenced by leases has no segments to make checkpoints of.
    pub streams: Vec<ExtendedStream>,
}

/// What came of one stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExtendedStream {
    /// Its name.
    pub stream: String,
    /// The last sequence that was ever verified; none where there is nothing yet.
    pub through: Option<u64>,
    /// How many objects this call read.
    pub objects: u64,
    /// The key of the checkpoint that this call put, or that another put in its place.
    pub checkpoint: Option<String>,
    /// How old, by the store's clock, the oldest object is that is not verified; 0 where all are.
    pub lag_seconds: u64,
    /// What stands against the stream; nothing is recorded then.
    pub findings: Vec<Finding>,
    /// Newer checkpoints that do not hold, and why.
    pub passed_over: Vec<String>,
}

impl ExtendedStream {
    /// A person should look: the log is broken, or was not what somebody said of it.
    fn broken(&self) -> bool {
        !self.passed_over.is_empty() || self.findings.iter().any(|finding| finding.verdict == Verdict::Broken)
    }
}

/// Extends the checkpoints of every stream of the plan as it is now, and writes the metrics. What could not be looked at
/// writes none: missing points raise the alarm as well.
///
/// # Errors
/// `PlanInvalid`; the first stream's that could not be read, once all others are done.
pub async fn extend_on_schedule(
    context: &Context,
    metrics: &Metrics,
    plan_key: &str,
    bounds: Bounds,
    made_by: &str,
) -> Result<Extended, StepError> {
    let bytes = context.store.get(&context.control_bucket, plan_key, None).await?;
    let bytes = bytes
        .ok_or_else(|| StepError::new(ErrorName::PlanInvalid, format!("{plan_key} was never uploaded")))?;
    let plan = Context::read_plan(&bytes)?;
    let (streams, failed) = extend(&context.store, &plan, bounds, made_by).await?;
    let lag_seconds = Some(streams.iter().map(|stream| stream.lag_seconds).max().unwrap_or(0));
    let broken = streams.iter().any(ExtendedStream::broken);
    for stream in &streams {
        for finding in &stream.findings {
            tracing::error!(%finding, "the ledger does not verify");
        }
        for why in &stream.passed_over {
            tracing::error!("stream {}: {why}", stream.stream);
        }
    }
    let all_looked_at = failed.is_none();
    metrics
        .put(&plan.name, lag_seconds.filter(|_| all_looked_at), (all_looked_at || broken).then_some(broken))
        .await?;
    match failed {
        None => Ok(Extended { lag_seconds, broken, streams }),
        Some(err) => Err(err),
    }
}

/// Extends the checkpoints of every stream, and returns what came of each, with the first error of those that could not be
/// read.
///
/// # Errors
/// As [`lifeboat_runtime::aws_error`] where the streams cannot be listed.
pub async fn extend(
    store: &Store,
    plan: &Plan,
    bounds: Bounds,
    made_by: &str,
) -> Result<(Vec<ExtendedStream>, Option<StepError>), StepError> {
    let log = Log::new(store, &plan.ledger);
    let until = Instant::now() + Duration::from_secs(bounds.seconds_max);
    let names = log.streams().await?;
    let mut results = stream::iter(&names)
        .map(async |name| extend_stream(&log, name, bounds, until, made_by).await)
        .buffered(STREAMS_IN_FLIGHT);
    let (mut extended, mut failed) = (Vec::new(), None);
    while let Some(result) = results.next().await {
        match result {
            Ok(stream) => extended.push(stream),
            Err(err) => {
                tracing::error!("{err}");
                failed.get_or_insert(err);
            }
        }
    }
    Ok((extended, failed))
}

async fn extend_stream(
    log: &Log<'_>,
    name: &str,
    bounds: Bounds,
    until: Instant,
    made_by: &str,
) -> Result<ExtendedStream, StepError> {
    let (base, passed_over) = newest_that_holds(log, name).await?;
    let before = base.as_ref().map(Checkpoint::proof);
    let mut looks = 1;
    let (new, objects, proof) = loop {
        let (new, fold) = read_new(log, name, base.as_ref(), bounds, until).await?;
        let objects = fold.objects();
        let from = before.into_iter().cloned().collect();
        let (proof, _) = fold.finish(&Expect { from, ..Expect::streams(&[name.to_owned()]) });
        if proof.verdict != Verdict::Broken || looks >= LOOKS {
            break (new, objects, proof);
        }
        looks += 1;
    };
    let mut extended = ExtendedStream {
        stream: name.to_owned(),
        through: before.map(|proof| proof.through),
        objects,
        checkpoint: None,
        lag_seconds: new.lag_seconds,
        findings: Vec::new(),
        passed_over: passed_over.into_iter().map(|over| over.why).collect(),
    };
    let Some(first) = new.first else { return Ok(extended) };
    match (proof, new.last) {
        (Proof { verdict: Verdict::Proven, streams, .. }, Some(last)) => {
            let proof = streams.into_iter().next().expect("a proof of one stream holds it");
            extended.through = Some(proof.through);
            let checkpoint = Checkpoint::new(proof, last, new.covered, base.as_ref(), made_by);
            match log.store().create(log.bucket(), &checkpoint.key(), &checkpoint.to_bytes()).await? {
                // Another call was as far: whatever stands there is held against the log before it is used.
                Put::Created | Put::Exists(_) => extended.checkpoint = Some(checkpoint.key()),
            }
        }
        (proof, _) => {
            extended.findings = proof.findings;
            extended.lag_seconds = extended.lag_seconds.max(first.age_seconds()?);
        }
    }
    Ok(extended)
}

/// What was read of a stream behind its base.
struct New {
    covered: Covered,
    /// The first object, for its age where nothing could be proven.
    first: Option<Age>,
    last: Option<Boundary>,
    /// How old the first object is that was left for the next call; 0 where none was.
    lag_seconds: u64,
}

/// An object's time and when the store told it, both by the store's clock.
#[derive(Clone, Copy)]
struct Age {
    stored_at: Timestamp,
    read_at: Option<Timestamp>,
}

impl Age {
    fn age_seconds(self) -> Result<u64, StepError> {
        let read_at = self.read_at.ok_or_else(|| {
            StepError::new(ErrorName::Transient, "the store's answer carries no date".to_owned())
        })?;
        Ok(u64::try_from(read_at.duration_since(self.stored_at).as_secs()).unwrap_or(0))
    }
}

/// Reads the objects behind `base` in the order of their slots, to the end or to the bounds.
async fn read_new(
    log: &Log<'_>,
    name: &str,
    base: Option<&Checkpoint>,
    bounds: Bounds,
    until: Instant,
) -> Result<(New, Fold), StepError> {
    let mut new = New {
        covered: base.map_or(Covered::NONE, Checkpoint::covered),
        first: None,
        last: None,
        lag_seconds: 0,
    };
    let mut fold = Fold::new(Layout::Segments);
    let mut after = base.map(|base| log.key(name, base.last().slot));
    let prefix = slot::stream_prefix(log.prefix(), name);
    loop {
        let page = log.store().page(log.bucket(), &prefix, after.as_deref(), None).await?;
        after = page.objects.last().map(|object| object.key.clone());
        let mut parts = pin!(
            stream::iter(&page.objects)
                .map(async |object| (object, read::object(log, name, object.key.clone()).await))
                .buffered(GETS_IN_FLIGHT)
        );
        while let Some((object, part)) = parts.next().await {
            let age = Age { stored_at: object.stored_at, read_at: page.read_at };
            let full = fold.entries() >= bounds.entries_max
                || fold.bytes() >= bounds.bytes_max
                || Instant::now() >= until;
            if full && new.first.is_some() {
                new.lag_seconds = age.age_seconds()?;
                return Ok((new, fold));
            }
            let part = part?;
            new.first.get_or_insert(age);
            if let (Some((_, slot)), Some(run)) = (slot::parse(log.prefix(), &object.key), part.runs().next())
            {
                let object_version = run.at.object.version.clone();
                new.covered.add(slot, object_version.as_deref());
                new.last = Some(Boundary { slot, object_version });
            }
            fold.merge(part);
        }
        if !page.more {
            return Ok((new, fold));
        }
    }
}
