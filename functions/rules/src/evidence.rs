//! What a run leaves behind: a record before and after each step, each chained to those before it, and a manifest that names
//! them all. `functions/EVIDENCE.md` is the same for whoever reads it without this code.

mod account;
pub mod chain;
pub mod cost;
mod manifest;
pub mod verify;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{Step, StepError};

pub use account::{Account, PhaseTime, Rpo, Rto, Stacks, account};
pub use manifest::{Deployment, Listed, Manifest, SIGNATURE_ALGORITHM, Signature, Template};

/// Whether a record was written before its step acted, or after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Before: what the step is about to do.
    Intent,
    /// After: what came of it.
    Outcome,
}

impl Phase {
    fn as_str(self) -> &'static str {
        match self {
            Phase::Intent => "intent",
            Phase::Outcome => "outcome",
        }
    }
}

/// One record of evidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Before or after.
    pub phase: Phase,
    /// Which attempt at which state.
    pub step: Step,
    /// The epoch that the run holds, once it has claimed one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// When the record was made, by the Lambda's clock. When its state was entered, by that of Step Functions, is in `step`.
    pub at: Timestamp,
    /// Intent only: S3's clock, as it answered which records there were. `None` where the answer had no readable `Date`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub s3_at: Option<Timestamp>,
    /// The id of the Lambda invocation.
    pub request_id: String,
    /// The SHA-256 of the records before this one, in hexadecimal. Intent: the heads of the run's chain, and none for the
    /// first record of a run ([`chain`]). Outcome: its intent.
    pub previous: Vec<String>,
    /// Intent: the request, whole. Outcome: the verdict, or the error's name and message.
    pub body: Value,
}

/// Below the prefix of a run: what is no record of a step, and too large to be in one.
pub const LEFT: &str = "left/";

/// Hexadecimal digits of a digest in the key of what was left.
const SHA256_DIGITS: usize = 16;

/// The prefix of all evidence of a run.
pub fn prefix(plan: &str, run: &str) -> String {
    format!("{plan}/{run}/")
}

/// The key of the manifest.
pub fn manifest_key(plan: &str, run: &str) -> String {
    format!("{}manifest.json", prefix(plan, run))
}

/// The key of the manifest's signature.
pub fn signature_key(plan: &str, run: &str) -> String {
    format!("{}manifest.sig", prefix(plan, run))
}

/// The key of one record. The invocation's id is in it, so that a redriven or repeated attempt writes a record of its
/// own and never meets an older one.
///
/// # Errors
/// As [`Step::plan_name`].
pub fn record_key(step: &Step, phase: Phase, request_id: &str) -> Result<String, StepError> {
    Ok(format!(
        "{}{}-{}-{}-{}-{}.json",
        prefix(step.plan_name()?, &step.run),
        slug(&step.entered),
        slug(&step.name),
        step.attempt,
        slug(request_id),
        phase.as_str()
    ))
}

/// The key of an object that a step leaves beside its records: `name` says what it is, and its digest tells it from what
/// another attempt of the same step has left.
///
/// # Errors
/// As [`Step::plan_name`].
pub fn left_key(step: &Step, name: &str, sha256: &str) -> Result<String, StepError> {
    let sha256 = &sha256[..sha256.len().min(SHA256_DIGITS)];
    Ok(format!("{}{}-{}-{sha256}.json", left_prefix(step)?, step.attempt, slug(name)))
}

/// The key of the plan that a run obeys, the very bytes: left once, whichever attempt at its admission reads it.
pub fn plan_key(plan: &str, run: &str, sha256: &str) -> String {
    format!("{}{LEFT}plan-{sha256}.json", prefix(plan, run))
}

/// The prefix of all that any attempt of this visit of the state has left.
///
/// # Errors
/// As [`Step::plan_name`].
pub fn left_prefix(step: &Step) -> Result<String, StepError> {
    let run = prefix(step.plan_name()?, &step.run);
    Ok(format!("{run}{LEFT}{}-{}-", slug(&step.entered), slug(&step.name)))
}

/// The attempt that has left `key` under this `name`; `None` for any other key below `prefix` ([`left_prefix`]).
pub fn left_by(key: &str, prefix: &str, name: &str) -> Option<u32> {
    let (attempt, rest) = key.strip_prefix(prefix)?.split_once('-')?;
    let digits = rest.strip_prefix(&slug(name))?.strip_prefix('-')?.strip_suffix(".json")?;
    let is_digest = digits.len() == SHA256_DIGITS && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    attempt.parse().ok().filter(|_| is_digest)
}

fn slug(text: &str) -> String {
    text.replace(|c: char| !c.is_ascii_alphanumeric() && !"-_.:".contains(c), "-")
}

/// SHA-256 in lower-case hexadecimal, as all digests of evidence are written.
pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_is_told_from_other_attempts_states_and_names() {
        let step = |attempt, name: &str| Step {
            run: "run-2".into(),
            plan_key: "plan/aex.json".into(),
            name: name.into(),
            entered: "2026-11-24T00:00:00Z".into(),
            attempt,
        };
        let digest = sha256(b"x");
        let of = step(0, "Confirm the flip");
        let prefix = left_prefix(&of).unwrap();
        let key = |attempt, state: &str, name: &str| left_key(&step(attempt, state), name, &digest).unwrap();
        let by = |key: &str| left_by(key, &prefix, "answered");
        assert_eq!(by(&key(0, "Confirm the flip", "answered")), Some(0));
        assert_eq!(by(&key(12, "Confirm the flip", "answered")), Some(12));
        for other in [
            key(0, "Confirm the flip", "receipts"),
            key(0, "Confirm the flip", "answered-again"),
            key(0, "Confirm the flip", "not-answered"),
            key(0, "Confirm the flip again", "answered"),
            key(0, "Flip the traffic", "answered"),
            record_key(&of, Phase::Intent, "answered-0123456789abcdef").unwrap(),
        ] {
            assert_eq!(by(&other), None, "{other}");
        }
        let later = Step { entered: "2026-11-24T00:00:01Z".into(), ..of };
        assert_eq!(by(&left_key(&later, "answered", &digest).unwrap()), None);
    }
}
