//! The schedule's look at a ledger with leases: all of it, as a run's history reads it. What would end a run before its seal calls a
//! person before the day.

use lifeboat_ledger::Finding;
use lifeboat_rules::plan::LeasePlan;
use lifeboat_rules::{Plan, StepError};
use lifeboat_runtime::Store;

use super::{Extended, ExtendedStream};
use crate::lease::{self, Bound, Looked};
use crate::{Answer, Examined};

/// Proves every stream as far as it was delivered. Anything that stands against it is told as a finding, what could not be proven
/// as well: a delivery that is overdue, a stream without a lease, more than a run can read; and, while a run still can, that it is
/// nearly `bound`, which it is for a person to see to before the day.
///
/// # Errors
/// As [`lifeboat_runtime::aws_error`].
pub(super) async fn look(
    store: &Store,
    plan: &Plan,
    wait: &LeasePlan,
    bound: Bound,
) -> Result<Extended, StepError> {
    let Looked { answer, lag_seconds, nearly } = lease::look(store, plan, wait, bound).await?;
    let (Answer::Proven(examined) | Answer::Unproven(examined) | Answer::Broken(examined)) = answer else {
        return Err(StepError::defect(format!("the proof of the ledger answered {answer:?}")));
    };
    let Examined { streams, mut findings, objects, .. } = examined;
    findings.extend(nearly.map(|what| Finding::unproven("", None, what)));
    for finding in &findings {
        tracing::error!(%finding, "the ledger does not verify");
    }
    let extended = |stream: String, through| ExtendedStream {
        findings: findings.iter().filter(|finding| finding.stream == stream).cloned().collect(),
        stream,
        through,
        objects,
        checkpoint: None,
        lag_seconds: lag_seconds.unwrap_or_default(),
        passed_over: Vec::new(),
    };
    let whole = streams.into_iter().map(|proof| extended(proof.stream, Some(proof.through)));
    let mut streams: Vec<ExtendedStream> = whole.collect();
    for finding in &findings {
        if streams.iter().all(|known| known.stream != finding.stream) {
            streams.push(extended(finding.stream.clone(), None));
        }
    }
    Ok(Extended { lag_seconds, broken: !findings.is_empty(), streams })
}
