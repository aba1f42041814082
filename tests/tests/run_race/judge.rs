//! Whether a round came out as it must: all that there is now is the winner's.

use lifeboat_ledger::control::{Open, Seal};
use lifeboat_ledger::{Control, Holder, PenState};
use lifeboat_rules::dns::records::last_fence;
use lifeboat_rules::dns::{fence_record, wanted};
use lifeboat_rules::epoch::Claim;
use lifeboat_rules::evidence::chain::is_record;
use lifeboat_rules::evidence::{Manifest, Phase, Record, manifest_key, prefix};
use lifeboat_rules::plan::Side;
use lifeboat_rules::{Outcome, epoch};
use serde_json::Value;

use crate::runs::End;
use crate::stage::{self, Stage};

/// The states that a run may go into which does not get its epoch. None of them has an effect on anything that the winner
/// has: the claim creates an object or finds that it exists, the others observe and record.
const WITHOUT_EFFECT: [&str; 4] = ["Admit the run", "Confirm the outage", "Claim the epoch", "Close the run"];

/// How the loser ended.
pub enum Loser {
    /// It raced for the claim.
    Superseded,
    /// It came when the winner had claimed already.
    Refused,
    /// It was admitted before the claim, and looked at the log when the winner was sealing it: a log that advances lets no
    /// machine act, whoever writes to it.
    StoodDown,
}

/// The winner and the loser.
pub fn tell_apart(ends: &[End]) -> (&End, &End) {
    let [a, b] = ends else { panic!("two runs: {ends:?}") };
    match (a.outcome.as_str(), b.outcome.as_str()) {
        ("Recovered", "Superseded" | "Refused" | "StoodDown") => (a, b),
        ("Superseded" | "Refused" | "StoodDown", "Recovered") => (b, a),
        _ => panic!("one must recover and the other stand back: {ends:#?}"),
    }
}

/// Judges a round in which `epoch` was at stake.
pub async fn judge(stage: &mut Stage, epoch: u64, winner: &End, loser: &End) -> Loser {
    claim(stage, epoch, winner).await;
    stacks(stage, epoch, winner).await;
    ledger(stage, epoch, winner).await;
    zone(stage, epoch).await;

    let manifest = manifest(stage, &winner.name).await;
    assert_eq!(manifest.outcome, Outcome::Recovered);
    losers_evidence(stage, winner, loser).await
}

async fn claim(stage: &Stage, epoch: u64, winner: &End) {
    assert_eq!(stage.newest_epoch().await, epoch, "one epoch was claimed, and no more");
    let claim: Claim = stage.json(&stage.control_bucket, &epoch::key(&stage.plan.name, epoch)).await;
    assert_eq!((claim.epoch, claim.run.as_str()), (epoch, winner.name.as_str()));
    let key = lifeboat_ledger::slot::fence_key(epoch);
    let fence: Value = stage.json(&stage.log_bucket, &key).await;
    assert_eq!(fence["run"], winner.name.as_str(), "the fence is the winner's");
}

/// One stack a round, with the winner's name on it.
async fn stacks(stage: &Stage, epoch: u64, winner: &End) {
    let expected = (stage.plan.stack_name("cell", epoch), "CREATE_COMPLETE".to_owned(), winner.name.clone());
    assert_eq!(stage.stacks().await, [expected]);
}

/// The winner's seal and its open, and no other control entry; nothing that was acknowledged is lost.
async fn ledger(stage: &mut Stage, epoch: u64, winner: &End) {
    let run = winner.name.clone();
    let seal = Control::Seal(Seal { epoch, run: run.clone() });
    let open = Control::Open(Open { epoch, holder: Holder::Recovery, run });
    assert_eq!(stage.new_controls().await, [seal, open]);
    let state = stage.replica.tail().pen().state();
    assert_eq!(*state, PenState::Open { epoch, holder: Holder::Recovery });
    assert_eq!(stage.replica.entries(), stage.acknowledged, "every acknowledged entry, and no other");
}

async fn zone(stage: &Stage, epoch: u64) {
    let records = &stage.plan.dns.records;
    let mut expected = wanted(records, Side::Recovery);
    expected.push(fence_record(&stage.plan, &last_fence(records, Side::Recovery, epoch)));
    assert_eq!(stage.zone().await, stage::lines(&expected));
}

async fn manifest(stage: &Stage, run: &str) -> Manifest {
    stage.json(&stage.evidence_bucket, &manifest_key(&stage.plan.name, run)).await
}

/// The loser's own record of what it did: nothing.
async fn losers_evidence(stage: &Stage, winner: &End, loser: &End) -> Loser {
    let of_run = prefix(&stage.plan.name, &loser.name);
    let (mut claims, mut fenced) = (0, 0);
    for record in stage.keys(&stage.evidence_bucket, &of_run).await {
        if !is_record(&record[of_run.len()..]) {
            continue;
        }
        let record: Record = stage.json(&stage.evidence_bucket, &record).await;
        let state = record.step.name.as_str();
        assert!(WITHOUT_EFFECT.contains(&state), "{} went into `{state}`", loser.name);
        claims += u32::from(state == "Claim the epoch");
        if state == "Claim the epoch" && record.phase == Phase::Outcome {
            assert!(record.body.get("result").is_none(), "it claimed: {record:?}");
            fenced += u32::from(record.body["error"] == "Fenced");
        }
    }
    let outcome = manifest(stage, &loser.name).await.outcome;
    match outcome {
        Outcome::Superseded => {
            assert_eq!(fenced, 1, "{}: {}", loser.name, loser.reason);
            Loser::Superseded
        }
        Outcome::Refused => {
            assert_eq!(claims, 0);
            // It is told of the winner: that it is under way, or that it has recovered.
            assert!(loser.reason.contains(&winner.name), "{}: {}", loser.name, loser.reason);
            Loser::Refused
        }
        Outcome::StoodDown => {
            assert_eq!(claims, 0);
            assert!(loser.reason.contains("the log advances"), "{}: {}", loser.name, loser.reason);
            Loser::StoodDown
        }
        other => panic!("{} ended {other:?}: {}", loser.name, loser.reason),
    }
}
