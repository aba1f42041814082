//! Failover without one of its safety mechanisms.

/// A mechanism that is taken away, in the model alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// Batches overwrite what is there, whatever it is (UPSERT), in place of a compare-and-swap.
    Upsert,
    /// Batches compare the records, and bear no TXT with an epoch.
    NoEpochInTxt,
    /// Of an epoch's batches only the first compares the TXT.
    OneTxtForAllBatches,
    /// A put looks whether its slot is free, and is sent without a condition.
    CheckThenAct,
    /// A control entry counts however old its epoch is.
    OldSealCounts,
    /// A run claims whichever epoch is free when it claims.
    ClaimOfAnyEpoch,
    /// The key of a compressed object has another suffix: the primary compresses, the orchestrator does not.
    CompressionInKey,
    /// The primary's writer has two puts in flight.
    SeveralPutsInFlight,
    /// Stacks are named without the epoch, and whoever undoes takes down what bears the name.
    UndoByNameWithoutEpoch,
    /// A refused conditional put is taken for lost, without a look at what is there.
    TakenIsLost,
    /// The proof of the history is taken for the proof of the ledger.
    ProofNotBoundToSeal,
    /// Traffic moves before the streams are opened.
    FlipBeforeOpen,
    /// No step looks first whether its epoch is still the newest.
    NoLookAtTheEpoch,
    /// The keeper publishes the flip that was put last, not the newest.
    LastFlipCounts,
    /// Nobody looks behind a flip whether it is the newest.
    NoLookAtTheNewestFlip,
}

impl Mutant {
    /// All of them.
    pub const ALL: [Mutant; 15] = [
        Mutant::Upsert,
        Mutant::NoEpochInTxt,
        Mutant::OneTxtForAllBatches,
        Mutant::CheckThenAct,
        Mutant::OldSealCounts,
        Mutant::ClaimOfAnyEpoch,
        Mutant::CompressionInKey,
        Mutant::SeveralPutsInFlight,
        Mutant::UndoByNameWithoutEpoch,
        Mutant::TakenIsLost,
        Mutant::ProofNotBoundToSeal,
        Mutant::FlipBeforeOpen,
        Mutant::NoLookAtTheEpoch,
        Mutant::LastFlipCounts,
        Mutant::NoLookAtTheNewestFlip,
    ];
}
