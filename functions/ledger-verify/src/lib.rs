//! *ledger-verify*: proves the ledger, seals it, and gives the pen to a side.
//!
//! Invariant: nothing here decides by a check made earlier. A seal or an open has its effect through the conditional
//! put of its slot and through the epoch that it carries; a stale run's entry may be stored, and counts for nothing.

mod append;
mod aws;
pub mod checkpoint;
mod copies;
mod delivery;
pub mod history;
pub mod lease;
mod metrics;
pub mod read;
pub mod shards;
mod told;
mod verify;

use lifeboat_ledger::control::{Open, Seal};
use lifeboat_ledger::{Control, Finding, Holder, StreamProof, Tail, Verdict};
use lifeboat_rules::decided::{Because, Measured, Still};
use lifeboat_rules::recovered::Sealed;
use lifeboat_rules::{Plan, Request, Run, Step, StepError};
use lifeboat_runtime::{Context, Log, Store, decide};
use serde::{Deserialize, Serialize};

pub use append::{Append, open_stream};
pub use copies::{Compared, Healed, Mend, Witnessed};
pub use history::Since;
use history::Survey;
use lease::Bound;
pub use metrics::{FINDINGS as FINDINGS_METRIC, LAG as LAG_METRIC, Metrics};
use shards::{Set, ShardRef};

/// What can be asked of this function.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// Prove every stream, from its newest checkpoint or its first entry to its end; or say how that is shared out.
    VerifyHistory {},
    /// Read one shard of a long history, and leave what it gave in the evidence.
    VerifyShard {
        /// The set's name, as `Sharded` told it.
        shards: String,
        /// The shard's number in it.
        shard: usize,
    },
    /// Prove every stream from what the shards have left.
    JoinShards {
        /// The set's name.
        shards: String,
    },
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
    /// `VerifyHistory`, `JoinShards` and `VerifyTail`: every entry is there, in order and unchanged.
    Proven(Examined),
    /// It could not be shown either way.
    Unproven(Examined),
    /// Something is missing or wrong.
    Broken(Examined),
    /// Of `VerifyHistory`: more is to be read than one call does.
    Sharded {
        /// How much, for a person.
        reason: String,
        /// What to call `VerifyShard` for.
        shards: Vec<ShardRef>,
    },
    /// Of `VerifyShard`: the shard's fold is in the evidence, whatever it says.
    Read(ShardRef),
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
    pub findings_count: u64,
    /// How many objects were read.
    pub objects: u64,
    /// How many entries the proven streams hold.
    pub entries: u64,
    /// How many of them a checkpoint stands for: they were proven before, and not read again.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub proven_before: u64,
    /// Which checkpoints were used, and which were passed over and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checkpoints: Vec<String>,
    /// How many entries were delivered and never acknowledged, of a ledger with leases: they are on no chain back from a head.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub void: u64,
    /// How the witness compares, where the plan has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub witness: Option<Witnessed>,
    /// Of `VerifyTail`: every stream there is is sealed by this run, and chains to its seal. What is found besides is of copies.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sealed: bool,
}

impl Examined {
    /// Says which checkpoints were used and passed over.
    fn tell_checkpoints(&mut self, said: impl IntoIterator<Item = String>) {
        self.checkpoints = said.into_iter().map(|said| told::cut(&said, told::CHECKPOINTS_MAX)).collect();
    }
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The findings that an answer names one by one; the state machine hands on no more than 256 KiB.
const FINDINGS_MAX: usize = 20;

/// The greatest sequence of a stream that is proven. Proofs travel through the state machine, whose numbers are exact only
/// up to 2^53: a head that was rounded on the way would be the head of nothing. The half below that leaves what is written
/// while a run lasts. A million entries a second take 142 years to get there.
pub const SEQUENCES_MAX: u64 = 1 << 52;

impl Answer {
    fn half_done(what: &str, streams: Vec<Sealed>, all: usize, finding: &Finding) -> Answer {
        let reason = format!(
            "{} of {all} streams are {what}, the fence stands, the stacks are left; then: {finding}",
            streams.len()
        );
        Answer::HalfDone { reason: told::cut(&reason, told::REASON_MAX), streams }
    }

    fn of(
        mut verdict: Verdict,
        streams: Vec<StreamProof>,
        mut findings: Vec<Finding>,
        objects: u64,
    ) -> Answer {
        for StreamProof { stream, through, .. } in &streams {
            if *through > SEQUENCES_MAX {
                let what =
                    format!("sequences go to {SEQUENCES_MAX}: a state machine hands on no greater number");
                findings.push(Finding::unproven(stream, Some(*through), what));
                verdict = verdict.max(Verdict::Unproven);
            }
        }
        let entries = streams.iter().map(|stream| stream.entries).sum();
        let findings_count = findings.len() as u64;
        let reason = match findings.first() {
            None => format!("{} streams, {entries} entries in {objects} objects", streams.len()),
            Some(worst) => told::cut(&told::finding(worst.clone()).to_string(), told::REASON_MAX),
        };
        findings.truncate(FINDINGS_MAX);
        let findings = findings.into_iter().map(told::finding).collect();
        let (proven_before, checkpoints) = (0, Vec::new());
        let examined = Examined {
            reason,
            streams,
            findings,
            findings_count,
            objects,
            entries,
            proven_before,
            checkpoints,
            void: 0,
            witness: None,
            sealed: false,
        };
        match verdict {
            Verdict::Proven => Answer::Proven(examined),
            Verdict::Unproven => Answer::Unproven(examined),
            Verdict::Broken => Answer::Broken(examined),
        }
    }

    /// Adds how many of the delivered entries are void.
    fn with_void(mut self, void: u64) -> Answer {
        if let Answer::Proven(examined) | Answer::Unproven(examined) | Answer::Broken(examined) = &mut self {
            examined.void = void;
            if void > 0 && examined.findings_count == 0 {
                examined.reason += &format!("; {void} more were delivered and are void");
            }
        }
        self
    }

    /// Adds whether every stream is sealed. A sequence that no state machine hands on is no place to go on from.
    fn with_sealed(mut self, sealed: bool) -> Answer {
        if let Answer::Proven(examined) | Answer::Unproven(examined) | Answer::Broken(examined) = &mut self {
            examined.sealed = sealed && examined.streams.iter().all(|proof| proof.through <= SEQUENCES_MAX);
        }
        self
    }

    /// Adds what the witness said.
    fn with_witness(mut self, mut witness: Option<Witnessed>) -> Answer {
        if let Some(witness) = &mut witness {
            witness.reason = told::cut(&witness.reason, told::REASON_MAX);
            let unreadable = std::mem::take(&mut witness.unreadable);
            witness.unreadable = unreadable.into_iter().map(told::finding).collect();
        }
        if let Answer::Proven(examined) | Answer::Unproven(examined) | Answer::Broken(examined) = &mut self {
            if let Some(notable) = witness.as_ref().filter(|witness| witness.is_notable()) {
                let both = format!("{}; {}", examined.reason, notable.reason);
                examined.reason = told::cut(&both, 2 * told::REASON_MAX);
            }
            examined.witness = witness;
        }
        self
    }
}

/// Handles one call.
///
/// # Errors
/// `Fenced` where a newer epoch has sealed or opened; `NotReady` where entries of a ledger with leases are still to be
/// delivered; `Transient`, `PlanInvalid`, `InputInvalid`, `Defect`.
pub async fn handle(context: &Context, request: Request<Action>) -> Result<Answer, StepError> {
    let (store, step) = (&context.store, &request.step);
    match &request.action {
        Action::VerifyHistory {} => verify_or_cut(context, step, request.run()?).await,
        Action::VerifyShard { shards, shard } => {
            // A child of the map is handed no run: it is in the set.
            let set = Set::read(context, step, shards).await?;
            let plan = context.plan(&set.run.plan).await?;
            set.verify(context, &plan, step, shards, *shard).await?;
            Ok(Answer::Read(ShardRef { run: step.run.clone(), shards: shards.clone(), shard: *shard }))
        }
        Action::JoinShards { shards } => {
            let set = Set::read(context, step, shards).await?;
            let plan = context.plan(&set.run.plan).await?;
            let fold = set.join(context, step, shards).await?;
            set.survey.conclude(store, &plan, fold, Mend::Holes).await
        }
        Action::Seal { history } => {
            let (run, plan, epoch) = acting(context, &request).await?;
            seal(store, &plan, epoch, &run.id, history).await
        }
        Action::VerifyTail { history } => {
            let (run, plan, epoch) = acting(context, &request).await?;
            match &plan.ledger.lease {
                Some(wait) => lease::tail(store, &plan, wait, (epoch, &run.id), history).await,
                None => verify::tail(store, &plan, epoch, &run.id, history).await,
            }
        }
        Action::Open { sealed } => {
            let (run, plan, epoch) = acting(context, &request).await?;
            open(store, &plan, Holder::Recovery, epoch, &run.id, sealed).await
        }
    }
}

/// The run, its plan, and the epoch that it still holds.
async fn acting<'a>(
    context: &Context,
    request: &'a Request<Action>,
) -> Result<(&'a Run, Plan, u64), StepError> {
    let run = request.run()?;
    let plan = context.plan(&run.plan).await?;
    let epoch = context.acting_epoch(&plan.name, run).await?;
    Ok((run, plan, epoch))
}

/// Proves the history here if it is short, and otherwise cuts it into shards.
async fn verify_or_cut(context: &Context, step: &Step, run: &Run) -> Result<Answer, StepError> {
    let plan = context.plan(&run.plan).await?;
    if let Some(wait) = &plan.ledger.lease {
        return lease::history(&context.store, &plan, wait, lease::READ_MAX).await;
    }
    let survey = Survey::take(&context.store, &plan, Since::Checkpoint).await?;
    let new = survey.new_entries();
    if !decide(&plan, &Measured { new_entries: new }) {
        return survey.read(&context.store, &plan, Mend::Holes).await;
    }
    let shards = Set::new(run, survey, u64::from(plan.limits.shard_entries)).store(context, step).await?;
    Ok(Answer::Sharded {
        reason: format!("{new} entries are to be read, in {} shards", shards.len()),
        shards,
    })
}

/// Proves every stream of the plan and of the listing to its end, in this call, however long that takes: from its newest
/// checkpoint, where it has one that holds.
///
/// # Errors
/// `Transient`, `Defect`.
pub async fn verify_history(store: &Store, plan: &Plan) -> Result<Answer, StepError> {
    verify_history_since(store, plan, Since::Checkpoint).await
}

/// As [`verify_history`], from where `since` says. Whoever asks this way has no 300 s to keep: a ledger with leases that is more
/// than a run can read is read all the same, so that a person has a way on from it.
///
/// # Errors
/// `Transient`, `Defect`.
pub async fn verify_history_since(store: &Store, plan: &Plan, since: Since) -> Result<Answer, StepError> {
    match &plan.ledger.lease {
        // There are no checkpoints: it is always read from the beginning.
        Some(wait) => lease::history(store, plan, wait, Bound::NONE).await,
        None => Survey::take(store, plan, since).await?.read(store, plan, Mend::Nothing).await,
    }
}

/// Gives the pen back to the primary under `epoch`, on a person's word, in every stream as `history` has proved it. The
/// fence comes first, so that a side which trades stops by itself, and the slots are free.
///
/// # Errors
/// `Fenced` where a newer epoch has sealed or opened; `NotReady` where entries of a ledger with leases are still to be
/// delivered; `Transient`, `InputInvalid`, `Defect`.
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
    if let Some(wait) = &plan.ledger.lease {
        return lease::hand_back(store, plan, wait, (epoch, run), history).await;
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
    if plan.ledger.lease.is_some() {
        return lease::seal(store, plan, epoch, run, history).await;
    }
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
        let heads = aws::heads(&log, history).await?;
        if let Some(Because { reason }) = decide(plan, &Still { heads }) {
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
    if plan.ledger.lease.is_some() {
        return lease::open(store, plan, holder, (epoch, run), sealed).await;
    }
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
