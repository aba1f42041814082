//! *run-control*: admits a run, claims its epoch, asks persons for leave, and closes it with a manifest.
//!
//! Invariant: the claim of the epoch is the first effect of a run, and it is the admission lock as well.

mod approval;
mod aws;
mod before;
mod claims;
mod deployed;
mod identity;
mod manifests;
mod notify;
mod private;
mod sign;
mod words;

use jiff::Timestamp;
use lifeboat_rules::admission::Admission;
use lifeboat_rules::approval::{Came, Count, Counted, Question};
use lifeboat_rules::decided::{Admitted, Asked, Because, Claimed, Claiming, Wanted};
use lifeboat_rules::epoch::Claim;
use lifeboat_rules::evidence::{Deployment, Manifest, Template, account, prefix};
use lifeboat_rules::notification::Notification;
use lifeboat_rules::plan::Strategy;
use lifeboat_rules::{ErrorName, Mode, Outcome, PlanRef, Request, Run, Step, StepError, Trigger};
use lifeboat_runtime::{Context, decide};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use approval::{Asking, Posted, newest_question, question_prefix};
pub use aws::{Executions, listed, newest_fence};
pub use before::before;
pub use claims::{claim_epoch, flip_name, holders, newest_epoch};
pub use deployed::Orchestrator;
pub use identity::{CONTENT_TYPE, DECISION_HEADER, GET_CALLER_IDENTITY, Identities, Proof, Submission};
pub use lifeboat_rules::decided::Deployed;
pub use manifests::{put_manifest, sign_manifest};
pub use notify::{Topic, notify};
pub use private::Private;
pub use sign::Signer;
pub use words::{say, words};

/// What can be asked of this function.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// May the run begin?
    Admit {
        /// The ARN of the execution.
        execution: String,
        /// When it started.
        started_at: Timestamp,
        /// The execution's input.
        input: Start,
    },
    /// Claim the successor of the epoch that the run was admitted under.
    ClaimEpoch {},
    /// Ask persons for leave, where they find it, and hand out what answers.
    Ask {
        /// What about.
        question: Asking,
        /// What counts so far.
        so_far: Vec<Counted>,
        /// What answers: for nobody's record ([`Private::take`]).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<String>,
    },
    /// Count what has come in.
    Count {
        /// What was asked.
        question: Asking,
        /// What counts so far.
        so_far: Vec<Counted>,
        /// What whoever had the token has sent: `{"sent": …}`, whatever it is; none where the time was over.
        submission: Option<Sent>,
        /// Why nobody could be asked.
        unasked: Option<String>,
    },
    /// Close the run.
    Close {
        /// How it ended.
        outcome: Outcome,
        /// Why, for a person; a failure says it better.
        reason: String,
        /// The error that ended the run, where one did.
        failure: Option<Failure>,
        /// What the run found and did.
        facts: Value,
    },
}

/// An error as Step Functions caught it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// The state that it came from.
    pub state: String,
    /// Its name.
    pub error: String,
    /// Of a Lambda's own error, JSON with `errorMessage`; else plain text, where there is any.
    #[serde(default)]
    pub cause: Option<String>,
}

impl Failure {
    fn reason(&self) -> String {
        let cause = self.cause.clone().unwrap_or_default();
        let message = serde_json::from_str::<Value>(&cause)
            .ok()
            .and_then(|cause| cause.get("errorMessage")?.as_str().map(str::to_owned))
            .unwrap_or(cause);
        format!("{}: {}: {message}", self.state, self.error)
    }
}

/// What came with a token: anything, from anybody who had it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sent {
    /// As it came; null is something too.
    #[serde(default)]
    pub sent: Value,
}

/// Attempts at a count that wait for STS.
const PATIENT_ATTEMPTS: u32 = 4;

/// The input of an execution.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// What the run is for.
    pub mode: Mode,
    /// Which plan.
    pub plan: PlanKey,
    /// Who or what starts it.
    pub trigger: Trigger,
}

/// A plan by its key; the run takes the version that is newest when it is admitted.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanKey {
    /// `plan/<name>.json` in the control bucket.
    pub key: String,
    /// The version that whoever starts the run has in mind. Where another one is newest, the run is refused.
    #[serde(default)]
    pub version: Option<String>,
}

/// What came of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "verdict")]
pub enum Answer {
    /// The run may go on.
    Admitted {
        /// What every later step is given.
        run: Run,
    },
    /// The run ends here, recorded. Nothing was done.
    Refused {
        /// Why.
        reason: String,
    },
    /// The run holds its epoch.
    Claimed {
        /// The run with its epoch.
        run: Run,
        /// Why people were not told that it has begun; absent where they were, or where there is nobody to tell.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        not_told: Option<String>,
    },
    /// The question is where persons find it.
    Asked {
        /// The question.
        question: Question,
        /// Why people were not told of it; absent where they were, were told before, or where there is nobody to tell.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        not_told: Option<String>,
    },
    /// Nobody has decided yet.
    Waiting(Count),
    /// Enough have agreed, or the plan goes on without them.
    Approved(Count),
    /// Somebody has said no.
    Declined(Count),
    /// Nobody has decided in time.
    Unanswered(Count),
    /// The manifest is stored.
    Closed {
        /// As it was asked for.
        outcome: Outcome,
        /// As it was asked for.
        reason: String,
        /// The manifest's key in the evidence bucket.
        manifest: String,
        /// The SHA-256 of the manifest's bytes.
        sha256: String,
        /// Why the manifest bears no signature; absent where it bears one.
        #[serde(skip_serializing_if = "Option::is_none")]
        unsigned: Option<String>,
        /// Why people were not told of the end; absent where they were, or where there is nobody to tell.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        not_told: Option<String>,
    },
}

/// What this function has besides the stores.
#[derive(Clone, Debug)]
pub struct Control {
    /// The other runs.
    pub executions: Executions,
    /// Signs manifests.
    pub signer: Signer,
    /// Says who has signed a decision.
    pub identities: Identities,
    /// How it is deployed.
    pub orchestrator: Orchestrator,
}

/// Handles one call.
///
/// # Errors
/// `NotReady` where an alarm's run waits for another run's end; `Fenced` where another run holds the epoch; `Transient`, `PlanInvalid`, `InputInvalid`, `Defect`.
pub async fn handle(
    context: &Context,
    control: &Control,
    now: fn() -> Timestamp,
    private: Private,
    request: Request<Action>,
) -> Result<Answer, StepError> {
    let Control { executions, signer, identities, orchestrator } = control;
    match &request.action {
        Action::Admit { execution, started_at, input } => {
            let started = Started { execution, at: *started_at };
            admit_run(
                context,
                executions,
                &orchestrator.deployed,
                &request.step,
                &started,
                input.clone(),
                now(),
            )
            .await
        }
        Action::Ask { question, so_far, .. } => {
            let topic = orchestrator.topic.as_ref();
            approval::ask(context, &request, question, so_far, private.token, topic, now()).await
        }
        Action::Count { question, so_far, submission, unasked } => {
            let came = match (submission, unasked) {
                (Some(Sent { sent }), _) => {
                    let came = identities.came(sent, private.proof).await;
                    // Whoever has answered can answer again, and no trouble of STS ends a failover.
                    came.or_else(|err| match request.step.attempt < PATIENT_ATTEMPTS {
                        true => Err(err),
                        false => Ok(Came::Unknown {
                            why: format!("who has signed could not be asked: {}", err.name.as_str()),
                        }),
                    })?
                }
                (None, Some(why)) => Came::Unasked { why: why.clone() },
                (None, None) => Came::Nothing,
            };
            approval::count(context, &request, question, so_far, came, now()).await
        }
        Action::ClaimEpoch {} => {
            let plan = request.step.plan_name()?;
            claim(context, orchestrator.topic.as_ref(), request.run()?, plan, now()).await
        }
        Action::Close { outcome, reason, failure, facts } => {
            let reason = failure.as_ref().map_or_else(|| reason.clone(), Failure::reason);
            let manifest =
                manifest(context, &orchestrator.deployment, &request, *outcome, reason, facts.clone())
                    .await?;
            let manifest = Manifest { closed_at: now(), ..manifest };
            close(context, signer, orchestrator.topic.as_ref(), &request.step, manifest).await
        }
    }
}

/// The execution that asks to be admitted.
struct Started<'a> {
    execution: &'a str,
    at: Timestamp,
}

async fn admit_run(
    context: &Context,
    executions: &Executions,
    deployed: &Deployed,
    step: &Step,
    started: &Started<'_>,
    input: Start,
    now: Timestamp,
) -> Result<Answer, StepError> {
    if input.plan.key != step.plan_key {
        return Err(StepError::input_invalid(
            "action.admit.input.plan.key",
            "is not the key that the step names",
        ));
    }
    let name = step.plan_name()?;
    let (bytes, version) = newest_plan(context, &input.plan.key).await?;
    if let Some(Because { reason }) =
        decide(&(), &Wanted { wanted: input.plan.version, newest: version.clone() })
    {
        return Ok(Answer::Refused { reason });
    }
    let plan = Context::read_plan(&bytes)?;
    let plan_sha256 = context.leave_plan(step, &bytes).await?;
    if plan.name != name {
        return Err(StepError::new(
            ErrorName::PlanInvalid,
            format!("field `name`: `{}`, but the plan lies at {}", plan.name, input.plan.key),
        ));
    }
    if let Some(Because { reason }) = decide(&plan, deployed) {
        return Ok(Answer::Refused { reason });
    }
    let running = async |run: &str| executions.is_running(started.execution, run).await;
    let Context { store, control_bucket, evidence_bucket } = context;
    let before = before(store, control_bucket, evidence_bucket, &plan, now, running).await?;
    let asked = Asked { trigger: input.trigger, started_at: started.at, before, now };
    let Admitted { admission, admitted_epoch, fenced_epoch } = decide(&plan, &asked);
    let deadline = match admission {
        Admission::NotYet { reason } => return Err(StepError::not_ready(reason)),
        Admission::Refused { reason } => return Ok(Answer::Refused { reason }),
        Admission::Admitted { deadline } => deadline,
    };
    // The lists are a part of the plan that lies beside it, and `records` first needs them behind the seal: a fault in one is
    // found here as a fault in the plan is. `switch` moves every name without them, and no list is to hold it up.
    if plan.dns.strategy == Strategy::Records {
        context.records(&plan).await?;
    }
    Ok(Answer::Admitted {
        run: Run {
            id: step.run.clone(),
            mode: input.mode,
            plan: PlanRef { key: input.plan.key, version, sha256: plan_sha256 },
            trigger: asked.trigger(),
            admitted_at: now,
            deadline,
            admitted_epoch,
            fenced_epoch,
            epoch: None,
            approvals: plan.approval.as_ref().map(|approval| approval.needed.persons()),
        },
    })
}

/// The newest version of a plan, and that version's name.
async fn newest_plan(context: &Context, key: &str) -> Result<(Vec<u8>, String), StepError> {
    let found = context.store.get_versioned(&context.control_bucket, key, None).await?;
    let Some((bytes, version)) = found else {
        return Err(StepError::new(
            ErrorName::PlanInvalid,
            format!("{key} is not in the control bucket: upload it with `lifeboat plan upload`"),
        ));
    };
    let version = version.ok_or_else(|| {
        StepError::defect("the control bucket has no versioning: a plan could change under its run")
    })?;
    Ok((bytes, version))
}

/// Claims the successor of the epoch that the run was admitted under, unless the plan has changed since: a run does not
/// begin to act by a plan that its owner has replaced. With the epoch the run begins to act, and people are told.
async fn claim(
    context: &Context,
    topic: Option<&Topic>,
    run: &Run,
    plan: &str,
    now: Timestamp,
) -> Result<Answer, StepError> {
    let epoch = run.admitted_epoch + 1;
    let (_, newest_version) = newest_plan(context, &run.plan.key).await?;
    let (store, control_bucket) = (&context.store, &context.control_bucket);
    let found = if newest_version == run.plan.version {
        let claim = Claim { epoch, run: run.id.clone(), at: now, cause: run.trigger.kind.into() };
        claims::put(store, control_bucket, plan, &claim).await?
    } else {
        claims::find(store, control_bucket, plan, epoch).await?
    };
    let admitted_version = run.plan.version.clone();
    match decide(&(), &Claiming { run: run.id.clone(), epoch, admitted_version, newest_version, found }) {
        Claimed::Mine(epoch) => {
            let run = Run { epoch: Some(epoch), ..run.clone() };
            let not_told = notify(topic, &Notification::Started { run: &run }, now).await;
            Ok(Answer::Claimed { run, not_told })
        }
        Claimed::Fenced { by } => Err(claims::held(epoch, &by)),
        Claimed::Refused { reason } => Ok(Answer::Refused { reason }),
    }
}

/// What closes the run of `request`, but for the moment.
async fn manifest(
    context: &Context,
    deployment: &Deployment,
    request: &Request<Action>,
    outcome: Outcome,
    reason: String,
    facts: Value,
) -> Result<Manifest, StepError> {
    let step = &request.step;
    let plan = step.plan_name()?;
    let reason = match &request.run {
        Some(run) if !matches!(outcome, Outcome::Recovered | Outcome::Superseded) => {
            reason + &pen(context, run, &facts).await
        }
        _ => reason,
    };
    let (listed, records) = aws::read_records(context, &prefix(plan, &step.run)).await?;
    let run = request.run.as_ref();
    let (templates, stacks) = stacks(context, run).await;
    let deployment = Deployment { templates, ..deployment.clone() };
    Ok(Manifest {
        plan: plan.to_owned(),
        run: step.run.clone(),
        admitted: run.cloned(),
        outcome,
        reason,
        closed_at: Timestamp::UNIX_EPOCH,
        facts,
        deployment: Some(deployment),
        account: Some(account(run, outcome, &stacks, &listed, &records)),
        records: listed,
    })
}

/// The templates of the run's stacks, and their full names once it has claimed an epoch; none where its plan cannot be read: a run
/// is closed all the same.
async fn stacks(context: &Context, run: Option<&Run>) -> (Vec<Template>, Vec<String>) {
    let Some(run) = run else { return Default::default() };
    let Ok(plan) = context.plan(&run.plan).await else { return Default::default() };
    let named = |epoch| plan.stacks.iter().map(|stack| plan.stack_name(&stack.name, epoch)).collect();
    let names = run.epoch.map(named).unwrap_or_default();
    let templates = plan.stacks.into_iter().map(|stack| Template { stack: stack.name, key: stack.template });
    (templates.collect(), names)
}

/// Stores the manifest, and tells people what it says: the run is closed by then, whoever can be told.
async fn close(
    context: &Context,
    signer: &Signer,
    topic: Option<&Topic>,
    step: &Step,
    manifest: Manifest,
) -> Result<Answer, StepError> {
    let Context { store, evidence_bucket, .. } = context;
    let stored = sign_manifest(store, evidence_bucket, signer, manifest, step.attempt).await?;
    let not_told = match Notification::of_end(&stored.manifest, &stored.key) {
        Some(end) => notify(topic, &end, stored.manifest.closed_at).await,
        None => None,
    };
    Ok(Answer::Closed {
        outcome: stored.manifest.outcome,
        reason: stored.manifest.reason,
        manifest: stored.key,
        sha256: stored.sha256,
        unsigned: stored.unsigned,
        not_told,
    })
}

/// What a run that did not recover has left of the pen, as the end of its reason: a person has to know that nobody can
/// write, and what to do about it. Empty where the run has fenced nobody.
async fn pen(context: &Context, run: &Run, facts: &Value) -> String {
    let Some(epoch) = run.epoch else { return String::new() };
    let fenced = async {
        let plan = context.plan(&run.plan).await?;
        Ok::<_, StepError>(newest_fence(&context.store, &plan.ledger.bucket).await? >= epoch)
    };
    // A ledger that this run has proven through its seals is one that it has fenced, whether that can be read now or not.
    let sealed = facts["tail"]["verdict"] == "Proven";
    match fenced.await {
        Ok(false) => String::new(),
        Err(err) if !sealed => format!(
            "; whether the primary is fenced could not be read ({err}): `lifeboat status --verify` tells who may write"
        ),
        _ if facts["flip_confirmed"]["verdict"] == "FlipUnconfirmed" => format!(
            "; the recovery side holds the pen under epoch {epoch}, and the traffic was flipped to it: go on, once those names \
             answer from it, with `lifeboat flip`, which asks no resolver and closes the run, or back with `lifeboat handback \
             --take-from-recovery`"
        ),
        _ if facts["open"]["verdict"] == "Opened" => format!(
            "; the recovery side holds the pen under epoch {epoch}: go on with `lifeboat flip`, or back with `lifeboat handback \
             --take-from-recovery`"
        ),
        // The outcome of the open is unknown, or some streams have it.
        _ if sealed => format!(
            "; the primary is fenced by epoch {epoch}, and the recovery side may hold the pen already: `lifeboat status \
             --verify` tells who may write, and so whether `lifeboat flip`, a new run or `lifeboat handback` comes next"
        ),
        _ => format!(
            "; the primary is fenced by epoch {epoch}, and neither side may write until a new run, started by hand, or \
             `lifeboat handback`"
        ),
    }
}

fn read_json<T: DeserializeOwned>(key: &str, bytes: &[u8]) -> Result<T, StepError> {
    serde_json::from_slice(bytes)
        .map_err(|err| StepError::caused(ErrorName::Defect, format!("{key} is not what its name says"), err))
}
