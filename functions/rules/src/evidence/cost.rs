//! What a run has cost, as far as its evidence counts it: an estimate by list price, and no bill.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::account::action;
use super::{Listed, Phase, Record};

/// Which prices these are: of the Region whose prices the documentation of this project uses, and of the dearer processor. A bill
/// has those of the recovery Region, of the account's own processor, and what is free of charge each month.
pub const PRICES: &str = "list prices of us-east-1 in US dollars, as of November 2026, without what is free";

/// What one of each costs, in billionths of a dollar.
///
/// Sources: <https://aws.amazon.com/lambda/pricing/> (0.0000166667 a GB-second on x86_64, 0.20 a million requests),
/// <https://aws.amazon.com/step-functions/pricing/> (0.025 a thousand transitions), <https://aws.amazon.com/s3/pricing/> (0.005 a
/// thousand puts), <https://aws.amazon.com/kms/pricing/> (0.15 for ten thousand requests of an elliptic-curve key).
const NANODOLLARS: [(Counted, u64); 5] = [
    (Counted::LambdaGbMilliseconds, 17),
    (Counted::LambdaInvocations, 200),
    (Counted::StateTransitions, 25_000),
    (Counted::S3Puts, 5_000),
    (Counted::KmsRequests, 15_000),
];

/// What is not in the records, and so not in the estimate.
const LEFT_OUT: [&str; 5] = [
    "the plan's own stacks, which cost what they are made of",
    "reads and listings of S3, and what is put anywhere but into the evidence",
    "states that call no function, and the executions of a long history's shards but for their calls",
    "metrics, logs, notifications, DNS queries and data transfer",
    "calls whose end was not recorded, but for the call itself; and of each call what comes before its first record and behind its \
     last",
];

/// Memory of a function in `infra/orchestrator.yaml`, in MB.
pub const MEMORY_MB: u64 = 256;
/// Memory of *ledger-verify* there, in MB.
pub const MEMORY_VERIFY_MB: u64 = 1_769;
/// What *ledger-verify* is asked for.
const OF_VERIFY: [&str; 6] = ["verify_history", "verify_shard", "join_shards", "seal", "verify_tail", "open"];

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counted {
    /// Thousandths of a GB-second: memory in GB times milliseconds between a call's two records.
    LambdaGbMilliseconds,
    /// Calls of functions.
    LambdaInvocations,
    /// Entered states that call a function, each try.
    StateTransitions,
    /// Objects of evidence, with the manifest and its signature.
    S3Puts,
    /// The signature, and the public key beside it.
    KmsRequests,
}

/// One line of the estimate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CostItem {
    /// What.
    pub of: Counted,
    /// How many.
    pub count: u64,
    /// What they cost, in billionths of a dollar.
    pub nanodollars: u64,
}

/// The estimate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CostEstimate {
    /// All of it, in billionths of a US dollar.
    pub nanodollars: u64,
    /// Line by line.
    pub items: Vec<CostItem>,
    /// Which prices.
    pub prices: String,
    /// What could not be counted.
    pub left_out: Vec<String>,
}

/// Estimates what a run has cost. `listed` is everything that it has left but for what closes it, `records` those among them
/// that are records.
pub fn cost_estimate(listed: &[Listed], records: &[(String, Record)]) -> CostEstimate {
    let mut begun: BTreeMap<&str, &Record> = BTreeMap::new();
    let mut mb_milliseconds = 0;
    for (_, record) in records.iter().filter(|(_, record)| record.phase == Phase::Intent) {
        begun.insert(&record.request_id, record);
    }
    for (_, record) in records.iter().filter(|(_, record)| record.phase == Phase::Outcome) {
        let Some(intent) = begun.get(record.request_id.as_str()) else { continue };
        let verifies = action(intent).is_some_and(|action| OF_VERIFY.contains(&action));
        let memory = if verifies { MEMORY_VERIFY_MB } else { MEMORY_MB };
        let milliseconds = record.at.as_millisecond() - intent.at.as_millisecond();
        mb_milliseconds += memory * u64::try_from(milliseconds).unwrap_or_default();
    }
    let calls = begun.len() as u64;
    let items = NANODOLLARS.map(|(of, price)| {
        let count = match of {
            Counted::LambdaGbMilliseconds => mb_milliseconds / 1_024,
            Counted::LambdaInvocations | Counted::StateTransitions => calls,
            Counted::S3Puts => listed.len() as u64 + 2,
            Counted::KmsRequests => 2,
        };
        CostItem { of, count, nanodollars: count * price }
    });
    CostEstimate {
        nanodollars: items.iter().map(|item| item.nanodollars).sum(),
        items: items.to_vec(),
        prices: PRICES.to_owned(),
        left_out: LEFT_OUT.map(str::to_owned).to_vec(),
    }
}
