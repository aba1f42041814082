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
use lifeboat_tests::light::lines;
use lifeboat_tests::light::runs::End;
use serde_json::Value;

use crate::stage::Stage;

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
    let light = &stage.light;
    let claim: Claim = light.json(&light.control_bucket, &epoch::key(&light.plan.name, epoch)).await.unwrap();
    assert_eq!((claim.epoch, claim.run.as_str()), (epoch, winner.name.as_str()));
    let key = lifeboat_ledger::slot::fence_key(epoch);
    let fence: Value = light.json(&light.log_bucket, &key).await.unwrap();
    assert_eq!(fence["run"], winner.name.as_str(), "the fence is the winner's");
}

/// One stack a round, with the winner's name on it.
async fn stacks(stage: &Stage, epoch: u64, winner: &End) {
    let expected =
        (stage.light.plan.stack_name("cell", epoch), "CREATE_COMPLETE".to_owned(), winner.name.clone());
    assert_eq!(stage.light.stacks().await.unwrap(), [expected]);
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
    let plan = &stage.light.plan;
    let records = &plan.dns.records;
    let mut expected = wanted(records, Side::Recovery);
    expected.push(fence_record(plan, &last_fence(records, Side::Recovery, epoch)));
    assert_eq!(stage.light.zone().await.unwrap(), lines(&expected));
}

async fn manifest(stage: &Stage, run: &str) -> Manifest {
    let light = &stage.light;
    light.json(&light.evidence_bucket, &manifest_key(&light.plan.name, run)).await.unwrap()
}

/// The loser's own record of what it did: nothing.
async fn losers_evidence(stage: &Stage, winner: &End, loser: &End) -> Loser {
    let light = &stage.light;
    let of_run = prefix(&light.plan.name, &loser.name);
    let (mut claims, mut fenced) = (0, 0);
    for record in light.keys(&light.evidence_bucket, &of_run).await.unwrap() {
        if !is_record(&record[of_run.len()..]) {
            continue;
        }
        let record: Record = light.json(&light.evidence_bucket, &record).await.unwrap();
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
