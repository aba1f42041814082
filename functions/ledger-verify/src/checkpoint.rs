//! Checkpoints: a schedule verifies what is new and records how far it came, so that a run has only the tail left to read.
//!
//! Finding the newest one takes a few listings (`Log::checkpoint_through`), and believing it four reads: itself, the one
//! before it, and the segment that it ends in. One that does not hold is passed over for an older one, and at last for the
//! whole history: that costs time and is said.
//!
//! One that is sound in itself, and whose last entry the log does not hold any more, costs the proof as well: somebody
//! verified an entry that was lost or replaced since, and what was written behind it afterwards may chain without a fault.
//! Nothing is recorded of such a stream, since a newer checkpoint would hide it. It ends when the segment is there again.
//!
//! What a checkpoint rests on is written down in [`lifeboat_ledger::checkpoint`];
//! who may create one is the business of the log bucket's policy.
//!
//! A ledger with leases has none, since its deliveries come in any order: the schedule reads all of it ([`leased`]).

mod leased;

use std::pin::pin;
use std::time::Duration;

use futures::{StreamExt, stream};
use jiff::Timestamp;
use lifeboat_ledger::checkpoint::{self, AtOdds, Boundary, Checkpoint, Covered};
use lifeboat_ledger::object::Layout;
use lifeboat_ledger::proof::Expect;
use lifeboat_ledger::{Finding, Fold, Proof, StreamProof, Verdict, slot};
use lifeboat_rules::{ErrorName, Plan, StepError};
use lifeboat_runtime::{Context, Found, Listed, Log, Put, Store};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::metrics::Metrics;
use crate::{lease, read};

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
    /// The last slot that it covers.
    pub last_slot: Option<u64>,
    /// Which checkpoint this is, and why others were passed over, for a person; none where there is no checkpoint at all.
    pub said: Option<String>,
    /// What stands against the stream: the newest checkpoint whose last entry the log does not hold.
    pub against: Option<Finding>,
}

/// The newest checkpoint of `stream` that holds, as something to read on from.
///
/// # Errors
/// `Transient` where the store did not answer just now. That the checkpoints cannot be listed is said, and no error: the whole
/// history is read then.
pub async fn newest(log: &Log<'_>, stream: &str) -> Result<Base, StepError> {
    let Search { held, passed_over, against, unlisted } = search(log, stream).await?;
    let mut said: Vec<String> =
        held.iter().map(|held| format!("verified before through {}", held.key())).collect();
    said.extend(passed_over);
    said.extend(unlisted.map(|err| format!("stream {stream}: passed over: could not be listed: {err}")));
    Ok(Base {
        against,
        last_slot: held.as_ref().map(|held| held.last().slot),
        proof: held.map(|held| held.proof().clone()),
        said: (!said.is_empty()).then(|| said.join("; ")),
    })
}

/// What the search for the newest checkpoint gave.
#[derive(Default)]
struct Search {
    /// The newest that holds.
    held: Option<Checkpoint>,
    /// Why those that are newer do not.
    passed_over: Vec<String>,
    /// As [`Base::against`].
    against: Option<Finding>,
    /// Why there was no more to see.
    unlisted: Option<StepError>,
}

/// Why a checkpoint does not hold.
enum PassedOver {
    /// There is something wrong with itself, or the same entries were put again.
    Itself(String),
    /// It is sound, and the log does not hold the entry `through`, in which it ends.
    Log { through: u64, why: String },
}

impl From<String> for PassedOver {
    fn from(why: String) -> PassedOver {
        PassedOver::Itself(why)
    }
}

/// The newest checkpoint that holds, and why those that are newer do not.
async fn search(log: &Log<'_>, stream: &str) -> Result<Search, StepError> {
    let (mut search, mut through) = (Search::default(), Some(u64::MAX));
    for _ in 0..TRIES_MAX {
        let Some(up_to) = through else { break };
        let found = match log.checkpoint_through(stream, up_to).await {
            Ok(Some(found)) => found,
            Ok(None) => break,
            Err(err) if err.name == ErrorName::Transient => return Err(err),
            Err(err) => {
                search.unlisted = Some(err);
                break;
            }
        };
        let key = &found.object.key;
        let why = match holds(log, stream, &found).await {
            Ok(Ok(checkpoint)) => {
                search.held = Some(checkpoint);
                break;
            }
            Ok(Err(PassedOver::Itself(why))) => why,
            Ok(Err(PassedOver::Log { through, why })) => {
                search.against.get_or_insert_with(|| {
                    let what = format!(
                        "entry {through} of the log is not what was verified: checkpoint {key} {why}"
                    );
                    // Of no sequence: what the reading itself finds there is not to be taken for told.
                    Finding::unproven(stream, None, what)
                });
                why
            }
            Err(err) if err.name == ErrorName::Transient => return Err(err),
            Err(err) => format!("could not be read: {err}"),
        };
        search.passed_over.push(format!("passed over {key}: it {why}"));
        through = found.number.checked_sub(1);
    }
    Ok(search)
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
    let through = checkpoint.proof().through;
    let Some((bytes, version)) = log.store().get_versioned(log.bucket(), &segment, None).await? else {
        let why = format!("ends in {segment}, which is not there");
        return Ok(Err(PassedOver::Log { through, why }));
    };
    Ok(match checkpoint.ends_in(&segment, version.as_deref(), &bytes) {
        Ok(()) => Ok(checkpoint),
        Err(AtOdds::Version(why)) => Err(PassedOver::Itself(why)),
        Err(AtOdds::Entries(why)) => Err(PassedOver::Log { through, why }),
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
    /// Of a ledger with leases, which is read whole: as much as a run reads.
    pub leased: lease::Bound,
}

impl Default for Bounds {
    /// Ends well before the next call is due and before the function's own timeout (300 s); so much of one stream that it
    /// cannot keep the others waiting for long.
    fn default() -> Bounds {
        Bounds { entries_max: 5_000_000, bytes_max: 2_000_000_000, seconds_max: 200, leased: lease::READ_MAX }
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
    /// The greatest lag of all streams; none where it is not known, and no point of the metric was written.
    pub lag_seconds: Option<u64>,
    /// Whether anything stands against the log or a checkpoint.
    pub broken: bool,
    /// Each stream.
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
/// writes none: missing points raise the alarm as well. Of a ledger with leases nothing is recorded.
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
    if let Some(wait) = &plan.ledger.lease {
        let extended = leased::look(&context.store, &plan, wait, bounds.leased).await?;
        metrics.put(&plan.name, extended.lag_seconds, Some(extended.broken)).await?;
        return Ok(extended);
    }
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
    let Search { held: base, passed_over, against, unlisted } = search(log, name).await?;
    if let Some(err) = unlisted {
        return Err(err);
    }
    let before = base.as_ref().map(Checkpoint::proof);
    let mut looks = 1;
    let (new, objects, proof) = loop {
        let (new, mut fold) = read_new(log, name, base.as_ref(), bounds, until).await?;
        against.iter().for_each(|finding| fold.add_finding(finding.clone()));
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
        findings: against.iter().cloned().collect(),
        passed_over,
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
