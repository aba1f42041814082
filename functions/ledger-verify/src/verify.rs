//! The two proofs: the history from its beginning, and the tail up to the seal.

use futures::{StreamExt, stream};
use lifeboat_ledger::control::Seal;
use lifeboat_ledger::{Control, Finding, Fold, PenState, Run, StreamProof, Tail, Verdict, slot};
use lifeboat_rules::{ErrorName, Plan, StepError};
use lifeboat_runtime::{Log, Store};

use crate::append::taken_over;
use crate::{Answer, aws, unknown_stream};

/// Objects in flight at once; each is one commit of a writer, so memory stays small.
const GETS_IN_FLIGHT: usize = 32;

/// Proves every stream of the plan and of the listing.
pub async fn history(store: &Store, plan: &Plan) -> Result<Answer, StepError> {
    let log = Log::new(store, &plan.ledger);
    let streams = log.streams().await?;
    let mut fold = Fold::default();
    let mut objects = 0;
    for name in &streams {
        let segments = log.segments(name, plan.limits.segments_max as usize).await?;
        objects += segments.len();
        let mut runs = stream::iter(segments)
            .map(async |segment| {
                let Some((_, first_seq)) = slot::parse(&plan.ledger.prefix, &segment.key) else {
                    return Ok(Err(
                        Finding::broken(name, None, "an object that is no slot").in_object(&segment.key, 0)
                    ));
                };
                match log.segment(&segment.key).await {
                    Ok(Some(bytes)) => Ok(Run::of_segment(name, first_seq, &segment.key, &bytes)),
                    Ok(None) => {
                        Ok(Err(unreadable(name, first_seq, &segment.key, "it was listed and is gone")))
                    }
                    // A moment's trouble is worth another attempt of the whole step; anything else is a hole in the proof.
                    Err(err) if err.name == ErrorName::Transient => Err(err),
                    Err(err) => Ok(Err(unreadable(name, first_seq, &segment.key, &err.to_string()))),
                }
            })
            .buffer_unordered(GETS_IN_FLIGHT);
        while let Some(run) = runs.next().await {
            fold.add(run?);
        }
    }
    let (proof, _) = fold.finish(&streams);
    Ok(Answer::of(proof.verdict, proof.streams, proof.findings, objects))
}

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
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.verdict));
    let verdict = findings.first().map_or(Verdict::Proven, |worst| worst.verdict);
    Ok(Answer::of(verdict, proven, findings, 0))
}

fn unreadable(stream: &str, seq: u64, object: &str, why: &str) -> Finding {
    Finding::unproven(stream, Some(seq), format!("the object could not be read: {why}")).in_object(object, 0)
}
