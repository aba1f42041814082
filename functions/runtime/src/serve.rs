//! The wrapper around every step: input in, evidence before, the step, evidence after, a named error out.

use std::future::Future;

use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use lifeboat_rules::evidence::{manifest_key, sha256};
use lifeboat_rules::{ErrorName, Plan, PlanRef, Request, Step, StepError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tracing::level_filters::LevelFilter;

use crate::chain::Begun;
use crate::deciding::{self, Deciding};
use crate::required_env;
use crate::store::Store;

/// What a step has to work with besides its input.
#[derive(Clone, Debug)]
pub struct Context {
    /// Object storage in the recovery Region.
    pub store: Store,
    /// Plans, epochs, templates.
    pub control_bucket: String,
    /// What runs leave behind.
    pub evidence_bucket: String,
}

impl Context {
    /// Reads the names of the buckets from the environment that `orchestrator.yaml` sets.
    ///
    /// # Errors
    /// `Defect` where one is missing.
    pub fn from_env(config: &aws_config::SdkConfig) -> Result<Context, StepError> {
        Ok(Context {
            store: Store::new(config),
            control_bucket: required_env("CONTROL_BUCKET")?,
            evidence_bucket: required_env("EVIDENCE_BUCKET")?,
        })
    }

    /// Loads the exact plan that the run was admitted under, and validates it again.
    ///
    /// # Errors
    /// `PlanInvalid` where it is gone, has other bytes than it was admitted with, or is not valid.
    pub async fn plan(&self, plan: &PlanRef) -> Result<Plan, StepError> {
        let bytes = self.store.get(&self.control_bucket, &plan.key, Some(&plan.version)).await?;
        let invalid = |what: String| StepError::new(ErrorName::PlanInvalid, what);
        let Some(bytes) = bytes else {
            return Err(invalid(format!("{} has no version {}", plan.key, plan.version)));
        };
        let found = sha256(&bytes);
        if found != plan.sha256 {
            return Err(invalid(format!(
                "{} has the digest {found}; the run was admitted with {}",
                plan.key, plan.sha256
            )));
        }
        deciding::by_plan(&found);
        Context::read_plan(&bytes)
    }

    /// Reads a plan as it was uploaded.
    ///
    /// # Errors
    /// `PlanInvalid` with every problem, each by its field.
    pub fn read_plan(bytes: &[u8]) -> Result<Plan, StepError> {
        Plan::from_json(bytes).map_err(|problems| {
            let all: Vec<String> = problems.iter().map(ToString::to_string).collect();
            StepError::new(ErrorName::PlanInvalid, all.join("; "))
        })
    }
}

/// Reads the input of a function.
///
/// # Errors
/// `InputInvalid`, which names the field.
pub fn parse<T: DeserializeOwned>(payload: Value) -> Result<T, StepError> {
    serde_path_to_error::deserialize(payload).map_err(|err| {
        let field = err.path().to_string();
        StepError::input_invalid(&field, err.inner())
    })
}

/// The error as the Lambda service reports it: `errorType` is the name that `Retry` and `Catch` match.
pub fn function_error(err: StepError) -> Diagnostic {
    Diagnostic { error_type: err.name.as_str().into(), error_message: err.to_string() }
}

/// Serves a function until its environment ends; `handler` is called with the payload and the invocation's id.
///
/// # Errors
/// Where the Lambda runtime API cannot be reached.
pub async fn serve<F, Fut, O>(handler: F) -> Result<(), lambda_runtime::Error>
where
    F: Fn(Value, String) -> Fut,
    Fut: Future<Output = Result<O, StepError>>,
    O: Serialize,
{
    start_tracing();
    lambda_runtime::run(service_fn(|event: LambdaEvent<Value>| {
        // On the heap: as a part of this future its type is too deep for the compiler.
        let handled = Box::pin(handler(event.payload, event.context.request_id));
        async {
            handled.await.and_then(to_json).map_err(|err| {
                match err.name {
                    ErrorName::NotReady => tracing::info!(error = err.name.as_str(), "{err}"),
                    _ => tracing::error!(error = err.name.as_str(), "{err}"),
                }
                function_error(err)
            })
        }
    }))
    .await
}

fn to_json(output: impl Serialize) -> Result<Value, StepError> {
    serde_json::to_value(output)
        .map_err(|err| StepError::caused(ErrorName::Defect, "the result cannot be written as JSON", err))
}

impl Context {
    /// Runs one step of a run. The intent is stored before `handler` is called and its outcome after, so a step that
    /// left no outcome is known to have been begun.
    ///
    /// # Errors
    /// `InputInvalid` by field; the handler's own; `Transient` where evidence cannot be written, in which case a step
    /// that acted is called again by Step Functions: every effect may be done again.
    pub async fn step<A, F, Fut, O>(
        &self,
        payload: Value,
        request_id: &str,
        handler: F,
    ) -> Result<Value, StepError>
    where
        A: DeserializeOwned,
        F: FnOnce(Request<A>) -> Fut,
        Fut: Future<Output = Result<O, StepError>>,
        O: Serialize,
    {
        let request = request::<A>(&payload)?;
        let begun = Begun::of(&request, request_id);
        let intent = self.intent(&begun, payload).await?;
        let (result, deciding) = run(&begun, handler(request)).await;
        let recorded = self.outcome(&begun, outcome(&result, deciding), intent).await;
        // The step's own error comes first where it has one.
        result.and_then(|output| recorded.map(|_| output))
    }

    /// Runs the step that closes a run. Its outcome is the manifest, which names every record: nothing is recorded once that
    /// is stored, and an attempt that finds it stored only finishes.
    ///
    /// # Errors
    /// As [`Context::step`].
    pub async fn closing_step<A, F, Fut, O>(
        &self,
        payload: Value,
        request_id: &str,
        handler: F,
    ) -> Result<Value, StepError>
    where
        A: DeserializeOwned,
        F: FnOnce(Request<A>) -> Fut,
        Fut: Future<Output = Result<O, StepError>>,
        O: Serialize,
    {
        let request = request::<A>(&payload)?;
        let begun = Begun::of(&request, request_id);
        if self.is_closed(&begun.step).await? {
            return run(&begun, handler(request)).await.0;
        }
        let intent = self.intent(&begun, payload).await?;
        let (result, deciding) = run(&begun, handler(request)).await;
        if result.is_err() && matches!(self.is_closed(&begun.step).await, Ok(false)) {
            // The step's own error is told, whatever comes of this.
            let _ = self.outcome(&begun, outcome(&result, deciding), intent).await;
        }
        result
    }

    /// Whether the run has its manifest.
    async fn is_closed(&self, step: &Step) -> Result<bool, StepError> {
        let key = manifest_key(step.plan_name()?, &step.run);
        Ok(self.store.get(&self.evidence_bucket, &key, None).await?.is_some())
    }
}

fn request<A: DeserializeOwned>(payload: &Value) -> Result<Request<A>, StepError> {
    let request: Request<A> = parse(payload.clone())?;
    match &request.run {
        Some(run) if run.id != request.step.run || run.plan.key != request.step.plan_key => {
            Err(StepError::input_invalid("step", "names another run or plan than `run` does"))
        }
        _ => Ok(request),
    }
}

/// Runs the step, and gives back what it has decided by besides its result.
async fn run<O: Serialize>(
    begun: &Begun<'_>,
    handled: impl Future<Output = Result<O, StepError>>,
) -> (Result<Value, StepError>, Deciding) {
    tracing::info!(step = %begun.step, "begin");
    let (result, deciding) = deciding::within(handled).await;
    let result = result.and_then(to_json);
    tracing::info!(step = %begun.step, body = %told(&result), "end");
    (result, deciding)
}

/// What came of a step.
fn told(result: &Result<Value, StepError>) -> Value {
    match result {
        Ok(output) => json!({ "result": output }),
        Err(err) => json!({ "error": err.name.as_str(), "message": err.to_string() }),
    }
}

/// What an outcome says: what came of the step, and what was decided by.
fn outcome(result: &Result<Value, StepError>, deciding: Deciding) -> Value {
    let mut body = told(result);
    deciding.tell(&mut body);
    body
}

fn start_tracing() {
    let level =
        std::env::var("LOG_LEVEL").ok().and_then(|level| level.parse().ok()).unwrap_or(LevelFilter::INFO);
    tracing_subscriber::fmt().json().with_max_level(level).with_target(false).without_time().init();
}
