//! *run-control*: admits a run, claims its epoch, and closes it with a manifest.
//!
//! Invariant: the claim of the epoch is the first effect of a run, and it is the admission lock as well.

mod aws;

use jiff::Timestamp;
use lifeboat_rules::admission::{Admission, Before, GENESIS, Holder, admit};
use lifeboat_rules::epoch::{self, Claim, Taken};
use lifeboat_rules::evidence::{Manifest, manifest_key, prefix, sha256};
use lifeboat_rules::{ErrorName, Mode, Outcome, Plan, PlanRef, Request, Run, Step, StepError, Trigger};
use lifeboat_runtime::{Context, Put, Store};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use aws::newest_epoch;

/// What can be asked of this function.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// May the run begin?
    Admit {
        /// When the execution started.
        started_at: Timestamp,
        /// The execution's input.
        input: Start,
    },
    /// Claim the successor of the epoch that the run was admitted under.
    ClaimEpoch {},
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
    /// The run ends here, recorded.
    Refused {
        /// Why.
        reason: String,
    },
    /// The run holds its epoch.
    Claimed {
        /// The run with its epoch.
        run: Run,
    },
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
    },
}

/// Handles one call.
///
/// # Errors
/// `Fenced` where another run holds the epoch; `Transient`, `PlanInvalid`, `InputInvalid`, `Defect`.
pub async fn handle(
    context: &Context,
    now: fn() -> Timestamp,
    request: Request<Action>,
) -> Result<Answer, StepError> {
    match &request.action {
        Action::Admit { started_at, input } => {
            admit_run(context, &request.step, *started_at, input.clone(), now()).await
        }
        Action::ClaimEpoch {} => {
            let mut run = request.run()?.clone();
            let epoch = run.admitted_epoch + 1;
            let plan = request.step.plan_name()?;
            claim_epoch(&context.store, &context.control_bucket, plan, epoch, &run.id, now()).await?;
            run.epoch = Some(epoch);
            Ok(Answer::Claimed { run })
        }
        Action::Close { outcome, reason, failure, facts } => {
            let reason = failure.as_ref().map_or_else(|| reason.clone(), Failure::reason);
            close(context, &request, *outcome, reason, facts.clone(), now()).await
        }
    }
}

async fn admit_run(
    context: &Context,
    step: &Step,
    started_at: Timestamp,
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
    let found = context.store.get_versioned(&context.control_bucket, &input.plan.key, None).await?;
    let Some((bytes, version)) = found else {
        return Err(StepError::new(
            ErrorName::PlanInvalid,
            format!("{} is not in the control bucket: upload it with `lifeboat plan upload`", input.plan.key),
        ));
    };
    let plan = Context::read_plan(&bytes)?;
    if plan.name != name {
        return Err(StepError::new(
            ErrorName::PlanInvalid,
            format!("field `name`: `{}`, but the plan lies at {}", plan.name, input.plan.key),
        ));
    }
    let version = version.ok_or_else(|| {
        StepError::defect("the control bucket has no versioning: a plan could change under its run")
    })?;
    let before = before(context, name, &plan).await?;
    let mut trigger = input.trigger;
    if trigger.at.is_none() && trigger.kind == lifeboat_rules::TriggerKind::Operator {
        trigger.at = Some(started_at);
    }
    Ok(match admit(&plan, &trigger, &before, now) {
        Admission::Refused { reason } => Answer::Refused { reason },
        Admission::Admitted { deadline } => Answer::Admitted {
            run: Run {
                id: step.run.clone(),
                mode: input.mode,
                plan: PlanRef { key: input.plan.key, version, sha256: sha256(&bytes) },
                trigger,
                admitted_at: now,
                deadline,
                admitted_epoch: before.newest.map_or(0, |newest| newest.epoch),
                epoch: None,
            },
        },
    })
}

/// What earlier runs of the plan have left: the newest epoch, and the newest that has fenced.
async fn before(context: &Context, name: &str, plan: &Plan) -> Result<Before, StepError> {
    let newest = newest_epoch(&context.store, &context.control_bucket, name).await?;
    let fenced = aws::newest_fence(&context.store, &plan.ledger.bucket).await?;
    Ok(Before { newest: holder(context, name, newest).await?, fenced: holder(context, name, fenced).await? })
}

/// Who holds `epoch`, and how it ended; `None` for 0, which is no epoch.
async fn holder(context: &Context, plan: &str, epoch: u64) -> Result<Option<Holder>, StepError> {
    /// Of a manifest only this is read, so that one of another version of Lifeboat can be read as well.
    #[derive(Deserialize)]
    struct Ended {
        outcome: Outcome,
    }
    if epoch == 0 {
        return Ok(None);
    }
    let key = epoch::key(plan, epoch);
    let claim = context.store.get(&context.control_bucket, &key, None).await?;
    let claim = claim
        .ok_or_else(|| StepError::defect(format!("{key} is not there, and something bears its number")))?;
    let Claim { run, .. } = read_json(&key, &claim)?;
    let mut outcome = None;
    if run != GENESIS {
        let key = manifest_key(plan, &run);
        let manifest = context.store.get(&context.evidence_bucket, &key, None).await?;
        outcome =
            manifest.map(|bytes| read_json::<Ended>(&key, &bytes)).transpose()?.map(|ended| ended.outcome);
    }
    Ok(Some(Holder { epoch, run, outcome }))
}

fn read_json<T: serde::de::DeserializeOwned>(key: &str, bytes: &[u8]) -> Result<T, StepError> {
    serde_json::from_slice(bytes)
        .map_err(|err| StepError::caused(ErrorName::Defect, format!("{key} is not what its name says"), err))
}

/// Claims `epoch` of `plan` for `run` by creating its object; claimed before by the same run, it is success.
///
/// # Errors
/// `Fenced` where another run holds it.
pub async fn claim_epoch(
    store: &Store,
    control_bucket: &str,
    plan: &str,
    epoch: u64,
    run: &str,
    now: Timestamp,
) -> Result<(), StepError> {
    let claim = Claim { epoch, run: run.to_owned(), at: now };
    let bytes = serde_json::to_vec(&claim).expect("strings and numbers always serialise");
    let key = epoch::key(plan, epoch);
    match store.create(control_bucket, &key, &bytes).await? {
        Put::Created => Ok(()),
        Put::Exists(found) => {
            let found: Claim = read_json(&key, &found)?;
            match epoch::judge_taken(&found, run) {
                Taken::Mine => Ok(()),
                Taken::Fenced { by } => Err(StepError::fenced(format!("epoch {epoch} is held by run {by}"))),
            }
        }
    }
}

async fn close(
    context: &Context,
    request: &Request<Action>,
    outcome: Outcome,
    reason: String,
    facts: Value,
    now: Timestamp,
) -> Result<Answer, StepError> {
    let step = &request.step;
    let plan = step.plan_name()?;
    let key = manifest_key(plan, &step.run);
    let records = aws::list_records(context, &prefix(plan, &step.run), &key).await?;
    let manifest = Manifest {
        plan: plan.to_owned(),
        run: step.run.clone(),
        admitted: request.run.clone(),
        outcome,
        reason,
        closed_at: now,
        facts,
        records,
    };
    let bytes =
        serde_json::to_vec_pretty(&manifest).expect("strings, numbers and JSON values always serialise");
    let (manifest, bytes) = match context.store.create(&context.evidence_bucket, &key, &bytes).await? {
        Put::Created => (manifest, bytes),
        Put::Exists(found) => {
            let earlier: Manifest = read_json(&key, &found)?;
            // An earlier attempt of this run closed it, and what it said stands. Another run of the same name (names are
            // free again after 90 days) is not this one.
            let same = earlier.admitted == manifest.admitted
                && (earlier.admitted.is_some() || earlier.outcome == manifest.outcome);
            if !same {
                return Err(StepError::defect(format!(
                    "{key} is the manifest of an earlier run of the same name"
                )));
            }
            (earlier, found)
        }
    };
    Ok(Answer::Closed {
        outcome: manifest.outcome,
        reason: manifest.reason,
        manifest: key,
        sha256: sha256(&bytes),
    })
}
