//! *ledger-verify*: proves the ledger, seals it, and gives the pen to a side.
//!
//! Invariant: nothing here decides by a check made earlier. A seal or an open has its effect through the conditional
//! put of its slot and through the epoch that it carries; a stale run's entry may be stored, and counts for nothing.

mod append;
mod aws;
mod verify;

use lifeboat_ledger::control::{Open, Seal};
use lifeboat_ledger::{Control, Finding, Holder, StreamProof, Tail, Verdict};
use lifeboat_rules::recovered::Sealed;
use lifeboat_rules::{Plan, Request, StepError};
use lifeboat_runtime::{Context, Log, Store};
use serde::{Deserialize, Serialize};

pub use append::{Append, open_stream};

/// What can be asked of this function.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// Prove every stream, from its first entry to its end.
    VerifyHistory {},
    /// Close every stream.
    Seal {
        /// The streams as `VerifyHistory` proved them.
        history: Vec<StreamProof>,
    },
    /// Prove what came after the history, up to the seals.
    VerifyTail {
        /// The streams as `VerifyHistory` proved them.
        history: Vec<StreamProof>,
    },
    /// Give the pen to the recovery side.
    Open {
        /// The streams as `VerifyTail` proved them.
        sealed: Vec<StreamProof>,
    },
}

/// What came of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "verdict")]
pub enum Answer {
    /// `VerifyHistory` and `VerifyTail`: every entry is there, in order and unchanged.
    Proven(Examined),
    /// It could not be shown either way.
    Unproven(Examined),
    /// Something is missing or wrong.
    Broken(Examined),
    /// Every stream is closed.
    Sealed {
        /// Where.
        streams: Vec<Sealed>,
    },
    /// Of `Seal`: the log still advances, so somebody acknowledges. Nothing was put.
    Advancing {
        /// What was seen.
        reason: String,
    },
    /// Of `Seal` and `Open`: a stream changed under the step, after others had been done. Nothing is taken back.
    HalfDone {
        /// What stands against the next stream.
        reason: String,
        /// The streams that were done, with their sequence.
        streams: Vec<Sealed>,
    },
    /// The side that was meant has the pen: the recovery side, or by [`hand_back`] the primary.
    Opened {
        /// The streams, with the sequence of their open.
        streams: Vec<Sealed>,
    },
}

/// What a verification saw.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Examined {
    /// The verdict in one sentence.
    pub reason: String,
    /// The streams that are whole.
    pub streams: Vec<StreamProof>,
    /// What stands against the proof, the worst first, 20 at most.
    pub findings: Vec<Finding>,
    /// How many findings there are.
    pub findings_count: usize,
    /// How many objects were read.
    pub objects: usize,
    /// How many entries the proven streams hold.
    pub entries: u64,
}

/// The findings that an answer names one by one; the state machine hands on no more than 256 KiB.
const FINDINGS_MAX: usize = 20;

impl Answer {
    fn half_done(what: &str, streams: Vec<Sealed>, all: usize, finding: &Finding) -> Answer {
        let reason = format!(
            "{} of {all} streams are {what}, the fence stands, the stacks are left; then: {finding}",
            streams.len()
        );
        Answer::HalfDone { reason, streams }
    }

    fn of(verdict: Verdict, streams: Vec<StreamProof>, mut findings: Vec<Finding>, objects: usize) -> Answer {
        let entries = streams.iter().map(|stream| stream.entries).sum();
        let findings_count = findings.len();
        let reason = match findings.first() {
            None => format!("{} streams, {entries} entries in {objects} objects", streams.len()),
            Some(worst) => worst.to_string(),
        };
        findings.truncate(FINDINGS_MAX);
        let examined = Examined { reason, streams, findings, findings_count, objects, entries };
        match verdict {
            Verdict::Proven => Answer::Proven(examined),
            Verdict::Unproven => Answer::Unproven(examined),
            Verdict::Broken => Answer::Broken(examined),
        }
    }
}

/// Handles one call.
///
/// # Errors
/// `Fenced` where a newer epoch has sealed or opened; `Transient`, `PlanInvalid`, `InputInvalid`, `Defect`.
pub async fn handle(context: &Context, request: Request<Action>) -> Result<Answer, StepError> {
    let run = request.run()?;
    let plan = context.plan(&run.plan).await?;
    match &request.action {
        Action::VerifyHistory {} => verify_history(&context.store, &plan).await,
        Action::Seal { history } => {
            let epoch = context.acting_epoch(&plan.name, run).await?;
            seal(&context.store, &plan, epoch, &run.id, history).await
        }
        Action::VerifyTail { history } => {
            let epoch = context.acting_epoch(&plan.name, run).await?;
            verify::tail(&context.store, &plan, epoch, &run.id, history).await
        }
        Action::Open { sealed } => {
            let epoch = context.acting_epoch(&plan.name, run).await?;
            open(&context.store, &plan, Holder::Recovery, epoch, &run.id, sealed).await
        }
    }
}

/// Proves every stream of the plan and of the listing, from its first entry to its end.
///
/// # Errors
/// `Transient`, `Defect`.
pub async fn verify_history(store: &Store, plan: &Plan) -> Result<Answer, StepError> {
    verify::history(store, plan).await
}

/// Gives the pen back to the primary under `epoch`, on a person's word, in every stream as `history` has proved it. The
/// fence comes first, so that a side which trades stops by itself, and the slots are free.
///
/// # Errors
/// `Fenced` where a newer epoch has sealed or opened; `Transient`, `InputInvalid`, `Defect`.
pub async fn hand_back(
    store: &Store,
    plan: &Plan,
    epoch: u64,
    run: &str,
    history: &[StreamProof],
) -> Result<Answer, StepError> {
    if let Some(finding) = unknown_stream(&Log::new(store, &plan.ledger), history).await? {
        return Ok(Answer::of(finding.verdict, vec![], vec![finding], 0));
    }
    aws::put_fence(store, &plan.ledger, epoch, run).await?;
    open(store, plan, Holder::Primary, epoch, run, history).await
}

/// A stream that has appeared since the history was proven: nobody would close it.
async fn unknown_stream(log: &Log<'_>, history: &[StreamProof]) -> Result<Option<Finding>, StepError> {
    let streams = log.streams().await?;
    let unknown = streams.iter().find(|name| !history.iter().any(|proof| proof.stream == **name));
    Ok(unknown.map(|name| Finding::unproven(name, None, "it has appeared since the history was proven")))
}

async fn seal(
    store: &Store,
    plan: &Plan,
    epoch: u64,
    run: &str,
    history: &[StreamProof],
) -> Result<Answer, StepError> {
    let control = Control::Seal(Seal { epoch, run: run.to_owned() });
    let log = Log::new(store, &plan.ledger);
    // Every stream is read to its end before anything is put: what does not chain is found while all can be undone. Unless
    // an earlier attempt of this step has put its fence, or a seal: then it cannot.
    let mut sealed = Vec::new();
    for proof in history {
        let mut tail = Tail::resume(proof);
        match aws::read_on(&log, &mut tail, &control).await? {
            Ok(Some(seq)) => sealed.push(Sealed { stream: proof.stream.clone(), seq }),
            Ok(None) if tail.pen().newest_epoch() > epoch => {
                return Err(append::taken_over(&tail));
            }
            Ok(None) => {}
            Err(finding) if sealed.is_empty() && !aws::has_fence(store, &plan.ledger, epoch).await? => {
                return Ok(Answer::of(finding.verdict, vec![], vec![finding], 0));
            }
            Err(finding) => return Ok(Answer::half_done("sealed", sealed, history.len(), &finding)),
        }
    }
    if sealed.is_empty() && !aws::has_fence(store, &plan.ledger, epoch).await? {
        if let Some(finding) = unknown_stream(&log, history).await? {
            return Ok(Answer::of(finding.verdict, vec![], vec![finding], 0));
        }
        // The last look, in the same breath as the fence: the primary may have come back since it was confirmed to be down.
        if let Some(reason) = aws::advancing(&log, history, plan.probe.log_still_seconds).await? {
            return Ok(Answer::Advancing { reason });
        }
    }
    aws::put_fence(store, &plan.ledger, epoch, run).await?;
    Ok(match append_to_all(store, plan, history, &control).await? {
        (streams, None) => Answer::Sealed { streams },
        (streams, Some(finding)) => Answer::half_done("sealed", streams, history.len(), &finding),
    })
}

async fn open(
    store: &Store,
    plan: &Plan,
    holder: Holder,
    epoch: u64,
    run: &str,
    sealed: &[StreamProof],
) -> Result<Answer, StepError> {
    let control = Control::Open(Open { epoch, holder, run: run.to_owned() });
    Ok(match append_to_all(store, plan, sealed, &control).await? {
        (streams, None) => Answer::Opened { streams },
        (streams, Some(finding)) => Answer::half_done("open", streams, sealed.len(), &finding),
    })
}

/// Appends `control` to each stream, one after the other: a stream is closed within milliseconds, and what has been
/// done when one fails is plain to see.
async fn append_to_all(
    store: &Store,
    plan: &Plan,
    streams: &[StreamProof],
    control: &Control,
) -> Result<(Vec<Sealed>, Option<Finding>), StepError> {
    if streams.is_empty() {
        return Err(StepError::input_invalid("action", "no streams: was the history proven?"));
    }
    let log = Log::new(store, &plan.ledger);
    let append = Append { store, log: &log, ledger: &plan.ledger, tries_max: plan.limits.seal_tries_max };
    let mut done = Vec::new();
    for proof in streams {
        match append.control(Tail::resume(proof), control).await? {
            Ok(seq) => done.push(Sealed { stream: proof.stream.clone(), seq }),
            Err(finding) => return Ok((done, Some(finding))),
        }
    }
    Ok((done, None))
}
