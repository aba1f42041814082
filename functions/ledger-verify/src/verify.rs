//! The proof of the tail: what came after the history, up to the seal.

use lifeboat_ledger::control::Seal;
use lifeboat_ledger::{Control, Finding, PenState, StreamProof, Tail, Verdict};
use lifeboat_rules::{Plan, StepError};
use lifeboat_runtime::{Log, Store};

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
    let own_seal = Control::Seal(Seal { epoch, run: run.to_owned() });
    let sealed = PenState::Sealed { epoch, run: run.to_owned() };
    let (mut proven, mut findings) = (Vec::new(), Vec::new());
    findings.extend(unknown_stream(&log, history).await?);
    for before in history {
        let mut tail = Tail::resume(before);
        let at = match aws::read_on(&log, &mut tail, &own_seal).await? {
            Ok(at) => at,
            Err(finding) => {
                findings.push(finding);
                continue;
            }
        };
        if tail.pen().newest_epoch() > epoch {
            return Err(taken_over(&tail));
        }
        if at.is_none() || *tail.pen().state() != sealed {
            findings.push(Finding::unproven(tail.stream(), None, "it is not sealed by this run"));
            continue;
        }
        proven.push(StreamProof {
            stream: before.stream.clone(),
            first_seq: before.first_seq,
            through: tail.next_seq() - 1,
            head: tail.head(),
            entries: before.entries + (tail.next_seq() - 1 - before.through),
            pen: tail.pen().clone(),
        });
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
    let verdict = findings.first().map_or(Verdict::Proven, |worst| worst.verdict);
    Ok(Answer::of(verdict, proven, findings, 0).with_witness(witness))
}
