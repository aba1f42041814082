//! Each safety mechanism taken away in turn, in the model alone: the property that it is there for must stop to hold, and the
//! shortest way to where it does not is printed.
//!
//! A row that is not caught is a finding about the model, or about the mechanism, and fails.

use lifeboat_model::{Actor, Bounds, Moves, Mutant, explore_mutant};

const LEDGER: &str = "what was acknowledged is in the ledger, written by who had the pen";
const MOVE: &str = "a stale actor moves no traffic";
const PROOF: &str = "traffic moves on a proof through its own seal, to who has the pen";
const PEN: &str = "a stale control entry changes nothing";
const SERVING: &str = "no machine takes the pen from the recovery side";
const UNDO: &str = "nobody deletes what another made";
const SUPERSEDED: &str = "a superseded run was superseded by somebody";
const REFUSED: &str = "what was refused is not in the ledger";
const WHOLE: &str = "who says that all traffic is moved is right";
const SIDES: &str = "never two sides whose acknowledgements both count";

const BOUNDS: Bounds = Bounds {
    streams: 1,
    primary_orders: 2,
    recovery_orders: 1,
    faults: 1,
    actors: &[Actor::Alarm1, Actor::Alarm2, Actor::HandBack],
    rescued_of: 16,
};

/// What is taken away, how traffic moves, and what no longer holds then.
const MUTANTS: &[(Mutant, Moves, &str)] = &[
    (Mutant::Upsert, Moves::Records, MOVE),
    (Mutant::NoEpochInTxt, Moves::Records, MOVE),
    (Mutant::OneTxtForAllBatches, Moves::Records, MOVE),
    (Mutant::CheckThenAct, Moves::Switch, LEDGER),
    (Mutant::OldSealCounts, Moves::Switch, PEN),
    (Mutant::ClaimOfAnyEpoch, Moves::Switch, SERVING),
    (Mutant::CompressionInKey, Moves::Switch, LEDGER),
    (Mutant::CompressionInKey, Moves::Switch, SIDES),
    (Mutant::SeveralPutsInFlight, Moves::Switch, LEDGER),
    (Mutant::UndoByNameWithoutEpoch, Moves::Switch, UNDO),
    (Mutant::TakenIsLost, Moves::Switch, SUPERSEDED),
    (Mutant::TakenIsLost, Moves::Switch, REFUSED),
    (Mutant::ProofNotBoundToSeal, Moves::Switch, PROOF),
    (Mutant::FlipBeforeOpen, Moves::Switch, PROOF),
    (Mutant::NoLookAtTheEpoch, Moves::Switch, SERVING),
    (Mutant::LastFlipCounts, Moves::Switch, MOVE),
    (Mutant::NoLookAtTheNewestFlip, Moves::Switch, WHOLE),
];

/// As few orders and actors as the mechanism needs to be missed.
fn bounds(mutant: Mutant) -> Bounds {
    let idle = Bounds { primary_orders: 0, recovery_orders: 0, ..BOUNDS };
    match mutant {
        Mutant::ClaimOfAnyEpoch => idle,
        Mutant::NoLookAtTheEpoch => Bounds { actors: &Actor::ALL, ..idle },
        _ => BOUNDS,
    }
}

#[test]
fn every_mutant_is_caught() {
    let mut missed = Vec::new();
    for (mutant, moves, property) in MUTANTS {
        let found = explore_mutant(*moves, bounds(*mutant), *mutant, property);
        match found.broken.first() {
            Some((_, path)) => {
                println!(
                    "{mutant:?}: caught after {} states, {:.1} s: not any more: {property}",
                    found.unique,
                    found.took.as_secs_f64()
                );
                for action in path {
                    println!("    {action:?}");
                }
            }
            None => missed.push(format!("{mutant:?}: still holds: {property}\n{found}")),
        }
    }
    assert!(missed.is_empty(), "not caught:\n{}", missed.join("\n"));
    for mutant in Mutant::ALL {
        assert!(MUTANTS.iter().any(|(of, ..)| *of == mutant), "{mutant:?} is in no row");
    }
}
