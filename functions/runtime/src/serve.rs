//! The wrapper around every step: input in, evidence before, the step, evidence after, a named error out.

use std::future::Future;

use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use lifeboat_rules::evidence::{Phase, Record, record_key, sha256};
use lifeboat_rules::{ErrorName, Plan, PlanRef, Request, Step, StepError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tracing::level_filters::LevelFilter;

use crate::store::{Put, Store};
use crate::{clock, deciding, required_env};

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
        let handled = handler(event.payload, event.context.request_id);
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
        let request: Request<A> = parse(payload.clone())?;
        let step = request.step.clone();
        if let Some(run) = &request.run
            && (run.id != step.run || run.plan.key != step.plan_key)
        {
            return Err(StepError::input_invalid("step", "names another run or plan than `run` does"));
        }
        let intent = self.record(&step, request_id, Phase::Intent, payload, None).await?;
        tracing::info!(step = %step, "begin");
        let (result, deciding) = deciding::within(handler(request)).await;
        let result = result.and_then(to_json);
        let mut body = match &result {
            Ok(output) => json!({ "result": output }),
            Err(err) => json!({ "error": err.name.as_str(), "message": err.to_string() }),
        };
        tracing::info!(step = %step, %body, "end");
        deciding.tell(&mut body);
        let recorded = self.record(&step, request_id, Phase::Outcome, body, Some(intent)).await;
        // The step's own error comes first where it has one.
        result.and_then(|output| recorded.map(|_| output))
    }

    /// Stores one record and returns its digest.
    async fn record(
        &self,
        step: &Step,
        request_id: &str,
        phase: Phase,
        body: Value,
        intent_sha256: Option<String>,
    ) -> Result<String, StepError> {
        let key = record_key(step, phase, request_id)?;
        let record = Record {
            phase,
            step: step.clone(),
            at: clock::now(),
            request_id: request_id.into(),
            body,
            intent_sha256,
        };
        let bytes = serde_json::to_vec(&record).expect("a record is strings, numbers and JSON values");
        match self.store.create(&self.evidence_bucket, &key, &bytes).await? {
            Put::Created => Ok(sha256(&bytes)),
            Put::Exists(_) => Err(StepError::defect(format!("evidence {key} exists with other content"))),
        }
    }
}

fn start_tracing() {
    let level =
        std::env::var("LOG_LEVEL").ok().and_then(|level| level.parse().ok()).unwrap_or(LevelFilter::INFO);
    tracing_subscriber::fmt().json().with_max_level(level).with_target(false).without_time().init();
}
