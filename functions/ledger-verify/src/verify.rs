//! The proof of the tail: what came after the history, up to the seal.

use lifeboat_ledger::append::Sealed;
use lifeboat_ledger::control::Seal;
use lifeboat_ledger::{Control, Finding, StreamProof, Tail};
use lifeboat_rules::decided::Reached;
use lifeboat_rules::{Plan, StepError};
use lifeboat_runtime::{Log, Store, decide};

use crate::append::taken_over;
use crate::copies::Copies;
use crate::{Answer, aws, unknown_stream};

/// Proves what came after `history`, through the seals of this run, from a fresh read. The gate before the flip.
pub async fn tail(
    store: &Store,
    plan: &Plan,
    epoch: u64,
    run: &str,
    history: &[StreamProof],
) -> Result<Answer, StepError> {
    if history.is_empty() {
        return Err(StepError::input_invalid(
            "action.verify_tail.history",
            "no streams: was the history proven?",
        ));
    }
    let log = Log::new(store, &plan.ledger);
    let own_seal = Seal { epoch, run: run.to_owned() };
    let awaited = Control::Seal(own_seal.clone());
    let (mut proven, mut findings) = (Vec::new(), Vec::new());
    let unknown = unknown_stream(&log, history).await?;
    let all_are_known = unknown.is_none();
    findings.extend(unknown);
    for before in history {
        let mut tail = Tail::resume(before);
        let at = match aws::read_on(&log, &mut tail, &awaited).await? {
            Ok(at) => at,
            Err(finding) => {
                findings.push(finding);
                continue;
            }
        };
        let reached = Reached { before: before.clone(), tail, at, seal: own_seal.clone() };
        match decide(&(), &reached) {
            Sealed::Proven(proof) => proven.push(proof),
            Sealed::TakenOver => return Err(taken_over(&reached.tail)),
            Sealed::Not(finding) => findings.push(finding),
        }
    }
    let witness = match Copies::read_new(&log, plan, history).await? {
        None => None,
        Some(copies) => {
            let streams: Vec<String> = history.iter().map(|proof| proof.stream.clone()).collect();
            let (witness, found) = copies.compare(&streams, &proven).await?;
            findings.extend(found);
            Some(witness)
        }
    };
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.verdict));
    let verdict = Finding::worst(&findings);
    let sealed = all_are_known && proven.len() == history.len();
    Ok(Answer::of(verdict, proven, findings, 0).with_witness(witness).with_sealed(sealed))
}
