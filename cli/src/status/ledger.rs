//! What the log says about its streams: a look at the last object of each (or at its lease), or the whole proof.

use futures::{StreamExt, TryStreamExt, stream};
use ledger_verify::{Answer, Examined, Since};
use lifeboat_ledger::chain::{Run, Span};
use lifeboat_ledger::lease::Lease;
use lifeboat_ledger::{Control, Finding, Holder, StreamProof, Verdict};
use lifeboat_rules::Plan;
use lifeboat_runtime::{Head, Log, Store, Tagged};
use serde::Serialize;

use crate::aws;
use crate::failure::Failure;
use crate::output::one_line;
use crate::progress::Progress;

/// Streams looked at at once.
const READS_IN_FLIGHT: usize = 16;

/// A stream by its last object.
#[derive(Debug, Serialize)]
pub(super) struct Stream {
    stream: String,
    /// The sequence of the last entry; with a lease, the last one that was acknowledged.
    last_seq: Option<u64>,
    last: Last,
    /// How old the last object or the lease is, by the store's clock.
    age_seconds: Option<i64>,
}

/// What the last entry of a stream is.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Last {
    /// There is none.
    Nothing,
    /// Data, under the writer's epoch.
    Written { epoch: Option<u64> },
    /// A control entry; whether it counts is for the entries before it to say.
    Control(Control),
    /// There is a lease; `holder` is `null` where `run` has taken it over and given it to nobody.
    Lease { epoch: u64, run: String, holder: Option<Holder> },
    /// The object cannot be read as a segment.
    Unreadable { why: String },
}

impl Stream {
    pub(super) fn row(&self) -> [String; 4] {
        let what = match &self.last {
            Last::Nothing => "no entries: the stream was never opened".to_owned(),
            Last::Written { epoch: Some(epoch) } => format!("written under epoch {epoch}"),
            Last::Written { epoch: None } => "written without an epoch".to_owned(),
            Last::Control(control) => control.to_string(),
            Last::Lease { epoch, holder: Some(holder), .. } => {
                format!("acknowledged; the {holder} has the lease under epoch {epoch}")
            }
            Last::Lease { epoch, run, holder: None } => {
                format!("acknowledged; run {} has taken the lease over under epoch {epoch}", one_line(run))
            }
            Last::Unreadable { why } => format!("unreadable: {}", one_line(why)),
        };
        [
            one_line(&self.stream),
            self.last_seq.map_or_else(String::new, |seq| seq.to_string()),
            what,
            self.age_seconds.map_or_else(String::new, |seconds| format!("{seconds} s")),
        ]
    }
}

/// Looks at the last object of every stream.
pub(super) async fn look(store: &Store, plan: &Plan) -> Result<Vec<Stream>, Failure> {
    let log = Log::new(store, &plan.ledger);
    let failed = |what: String| {
        let what = format!("could not read {what} in s3://{}", plan.ledger.bucket);
        move |error| aws::step_failure(what.clone(), &error)
    };
    let names = log.streams().await.map_err(failed("the streams".to_owned()))?;
    let looks = names.into_iter().map(async |stream| {
        if plan.ledger.lease.is_some() {
            return Ok(match log.lease(&stream).await.map_err(failed(format!("the lease of {stream}")))? {
                Some(found) => of_lease(found),
                None => Stream { stream, last_seq: None, last: Last::Nothing, age_seconds: None },
            });
        }
        let head = log.head(&stream).await.map_err(failed(format!("stream {stream}")))?;
        let Some(Head { slot, stored_at, read_at }) = head else {
            return Ok(Stream { stream, last_seq: None, last: Last::Nothing, age_seconds: None });
        };
        let key = log.key(&stream, slot);
        let bytes = log.segment(&key).await.map_err(failed(key.clone()))?.unwrap_or_default();
        let (last_seq, last) = last_of(Run::of_segment(&stream, slot, &key, &bytes));
        let age_seconds = read_at.map(|read_at| read_at.duration_since(stored_at).as_secs());
        Ok(Stream { stream, last_seq, last, age_seconds })
    });
    stream::iter(looks).buffered(READS_IN_FLIGHT).try_collect().await
}

fn of_lease((lease, tagged): (Lease, Tagged)) -> Stream {
    let Lease { stream, epoch, run, holder, watermark, .. } = lease;
    Stream {
        stream,
        last_seq: Some(watermark),
        last: Last::Lease { epoch, run, holder },
        age_seconds: tagged.read_at.map(|read_at| read_at.duration_since(tagged.stored_at).as_secs()),
    }
}

fn last_of(run: Result<Run, Finding>) -> (Option<u64>, Last) {
    match run {
        Err(finding) => (None, Last::Unreadable { why: finding.to_string() }),
        Ok(mut run) => match run.spans.pop() {
            Some(Span::Control { control, .. }) => (Some(run.last_seq), Last::Control(control)),
            Some(Span::Written { epoch, .. }) => (Some(run.last_seq), Last::Written { epoch }),
            None => (None, Last::Nothing),
        },
    }
}

/// The whole proof.
#[derive(Debug, Serialize)]
pub(super) struct Proven {
    pub(super) verdict: Verdict,
    pub(super) reason: String,
    pub(super) streams: Vec<StreamProof>,
    findings: Vec<Finding>,
    findings_count: u64,
    objects: u64,
    entries: u64,
}

/// Proves every entry of every stream.
pub(super) async fn prove(store: &Store, plan: &Plan) -> Result<Proven, Failure> {
    let progress = Progress::show(format!("proving the ledger of {}, every entry", plan.name));
    let answer = ledger_verify::verify_history_since(store, plan, Since::Beginning).await;
    drop(progress);
    let answer = answer.map_err(|error| {
        aws::step_failure(format!("could not read the ledger in s3://{}", plan.ledger.bucket), &error)
    })?;
    match answer {
        Answer::Proven(examined) => Ok(Proven::of(Verdict::Proven, examined)),
        Answer::Unproven(examined) => Ok(Proven::of(Verdict::Unproven, examined)),
        Answer::Broken(examined) => Ok(Proven::of(Verdict::Broken, examined)),
        other => Err(Failure::defect(format!("the proof of the ledger answered {other:?}"))),
    }
}

impl Proven {
    fn of(verdict: Verdict, examined: Examined) -> Self {
        let Examined { reason, streams, findings, findings_count, objects, entries, .. } = examined;
        Self { verdict, reason, streams, findings, findings_count, objects, entries }
    }
}
