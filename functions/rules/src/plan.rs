//! The plan: what the user writes before the day, and all that a run may do on it.
//!
//! People write YAML; `lifeboat plan upload` turns it into the canonical JSON that the Lambdas read. Both
//! readers come through [`Plan::from_value`], so a plan that the command line passed is one that the Lambdas
//! accept. Every problem is found at once, because a plan that is mended one error at a time is mended on the
//! night it is needed.
//!
//! `version: 1` is the only version. A field exists only once code obeys it, and an unknown field is an error:
//! a misspelt limit that is silently ignored is a limit that does not hold.

mod read;
mod schema;
mod shape;
pub mod template;
mod validate;

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::notices::Regime;

pub use validate::bounds;
pub(crate) use validate::{is_dns_label, is_dns_name};

/// The name, inside the plan's zone, of the TXT record that holds the epoch of the newest flip. It is the
/// compare-and-swap of every batch, so no plan may use the name for anything else.
pub const EPOCH_RECORD: &str = "_lifeboat-epoch";

/// The parameters that Lifeboat sets on every stack that it launches, so no plan may set them.
pub const RESERVED_PARAMETERS: [&str; 2] = ["Epoch", "RecoveryMode"];

/// A disaster-recovery plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The version of this format: 1.
    pub version: u32,
    /// What the plan is called, `[a-z][a-z0-9-]{0,31}`: part of the names of functions, stacks and keys.
    pub name: String,
    /// Where the system runs, and where it is brought back.
    pub regions: Regions,
    /// What the business asks of a run.
    pub objectives: Objectives,
    /// How to ask either side whether it serves.
    pub probe: Probe,
    /// What to launch in the recovery Region, at least one stack.
    pub stacks: Vec<Stack>,
    /// Where the ledger is, and which streams it has.
    pub ledger: Ledger,
    /// The records that send clients to one side or the other.
    pub dns: Dns,
    /// When a machine may start a run by itself. The whole section may be left out.
    #[serde(default)]
    pub admission: AdmissionRules,
    /// Which persons a run asks before it seals the ledger. Without this section it asks nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// Bounds on waiting and on size. The whole section may be left out.
    #[serde(default)]
    pub limits: Limits,
    /// Regimes whose clocks `lifeboat status` and the report tell of, each once; none where it is left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regulation: Vec<Regime>,
}

/// The two Regions. They differ, or nothing is gained; everything that Lifeboat runs is in `recovery`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Regions {
    /// Where the system normally runs. Not us-east-1 with the strategy `records`: see [`Plan::validate`].
    pub primary: String,
    /// Where it is brought back, and where the alarm, the Lambdas, the log and the evidence live.
    pub recovery: String,
}

/// What the business asks of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Objectives {
    /// Seconds from the outage to the first new acknowledgement. Before the first seal a run that passes it
    /// stands down; after it a person is paged and the run goes on.
    pub rto_seconds: u32,
}

/// How to ask either side whether it serves. Asked from the recovery Region, by an address that no flip moves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// What to ask of the primary, at least one: `http://…` or `https://…` (a health endpoint: it serves when its status is
    /// a success) or `tcp://<host>:<port>` (it serves when the connection is accepted).
    pub primary: Vec<String>,
    /// URL of the recovery side's health endpoint, http or https.
    pub recovery: String,
    /// Seconds that one attempt waits for its answer.
    pub timeout_seconds: u32,
    /// Rounds in one confirmation. In each, every target of the primary is asked once, at the same time.
    pub attempts: u32,
    /// How many targets must fail for a round to count as failed; all of them where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quorum: Option<u32>,
    /// How many rounds in a row, the last ones of a confirmation, must have failed; all of them where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consecutive_failures: Option<u32>,
    /// Seconds from the start of one attempt to the start of the next.
    pub interval_seconds: u32,
    /// Seconds: with the newest log object at least this old, by S3's own clock, the log stands still. Longer
    /// than the application's heartbeat, or a healthy log looks dead.
    pub log_still_seconds: u32,
}

impl Probe {
    /// How many targets must fail for a round to count as failed.
    pub fn quorum(&self) -> usize {
        self.quorum.map_or(self.primary.len(), |quorum| quorum as usize)
    }

    /// How many rounds in a row must have failed.
    pub fn consecutive_failures(&self) -> u32 {
        self.consecutive_failures.unwrap_or(self.attempts)
    }
}

/// When a machine may start a run by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AdmissionRules {
    /// Seconds after an automatic failover in which no alarm starts another, unless a person has acknowledged that one;
    /// default 3,600.
    pub anti_flap_seconds: u32,
}

impl Default for AdmissionRules {
    fn default() -> Self {
        Self { anti_flap_seconds: 3_600 }
    }
}

/// Which persons a run asks before it seals the ledger, and, where the sealed ledger is `Unproven`, whether to go on all the
/// same: that always takes two.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// How many have to agree before the seal.
    pub needed: Needed,
    /// Who may: ARNs as STS gives them, `arn:aws:iam::<account>:user/<name>` or
    /// `arn:aws:sts::<account>:assumed-role/<role>/<session>`; a closing `*` stands for any rest.
    pub approvers: Vec<String>,
    /// Seconds that a question stands. Then `on_expiry` decides.
    pub wait_seconds: u32,
    /// What becomes of a run whose question before the seal nobody has answered in time.
    pub on_expiry: OnExpiry,
}

/// How many persons have to agree before the seal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Needed {
    /// None: a run seals by itself.
    Automatic,
    /// One.
    One,
    /// Two, and not the same person twice.
    Two,
}

impl Needed {
    /// The number.
    pub fn persons(self) -> usize {
        match self {
            Needed::Automatic => 0,
            Needed::One => 1,
            Needed::Two => 2,
        }
    }
}

/// What becomes of a run whose question nobody has answered in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnExpiry {
    /// It seals, as if it had been approved.
    GoOn,
    /// It takes down what it launched and halts; the primary keeps the pen.
    StandDown,
}

/// One CloudFormation stack of the recovery side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stack {
    /// The stack's name in the plan; CloudFormation sees `<plan>-<stack>-e<epoch>` ([`Plan::stack_name`]).
    pub name: String,
    /// The template: a path beside the plan as written, `templates/<sha256>.yaml` in the control bucket once
    /// uploaded.
    pub template: String,
    /// Stacks of this plan that must be complete before this one starts.
    pub depends_on: Vec<String>,
    /// The template's parameters, but not `Epoch` and `RecoveryMode`, which Lifeboat sets.
    pub parameters: BTreeMap<String, String>,
}

/// Where the ledger is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    /// The log bucket, in the recovery Region.
    pub bucket: String,
    /// What comes before `<stream>/<first sequence>.ndjson`, with its closing slash: `log/`. With a lease, what comes before
    /// Firehose's own `YYYY/MM/DD/HH/`: `witness/`.
    pub prefix: String,
    /// The streams, each with one writer.
    pub streams: Vec<String>,
    /// The second copy of the same entries. Without this section nothing is compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub witness: Option<Witness>,
    /// For an application that cannot write slots: what Firehose delivers is then the ledger, and a lease a stream says who
    /// may acknowledge, and how far he has. Without this section the ledger is slots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<LeasePlan>,
}

/// How a ledger is proven that Amazon Data Firehose delivers and leases guard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LeasePlan {
    /// Seconds after a lease was taken over in which an entry up to its watermark may still be delivered. What is not
    /// there by then makes the ledger `Unproven`.
    pub delivery_wait_seconds_max: u32,
}

/// The witness: what Amazon Data Firehose has delivered into the log's bucket, sent by the application after the put.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Witness {
    /// What comes before Firehose's own `YYYY/MM/DD/HH/`, with its closing slash: `witness/`.
    pub prefix: String,
    /// Whether a proof needs it: with `true` a delivered object that cannot be read makes the ledger `Unproven`, with
    /// `false` it is only said.
    pub required: bool,
    /// How many of the newest delivered objects one comparison reads; default 1,000.
    #[serde(default = "witness_objects_max")]
    pub objects_max: u32,
}

/// The default of [`Witness::objects_max`].
fn witness_objects_max() -> u32 {
    1_000
}

/// The records that a flip moves, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dns {
    /// How traffic is moved; `switch` where it is left out.
    #[serde(default)]
    pub strategy: Strategy,
    /// Id of the Route 53 health check that gates the primary half of every pair. `switch` needs it, `records` has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check: Option<String>,
    /// Id of the Route 53 hosted zone, without `/hostedzone/`.
    pub zone_id: String,
    /// The zone's name, in lower case, without the closing dot.
    pub zone: String,
    /// Records one by one. They may be left out where `names` has a rule.
    #[serde(default)]
    pub records: Vec<Record>,
    /// Records by a rule, each over a list of symbols.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<Names>,
    /// How many of the names are asked for after a flip; all of them where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<Confirm>,
}

impl Dns {
    /// Whether a flip moves the records of `name`. Without the lists at hand a name that a rule could make counts as one
    /// that it makes.
    pub fn moves(&self, name: &str) -> bool {
        self.records.iter().any(|record| record.name == name)
            || self.names.iter().any(|rule| rule.makes(name))
    }

    /// The longest time to live of any record, in seconds.
    pub fn ttl_max(&self) -> u32 {
        let by_rule = self.names.iter().map(|rule| rule.ttl);
        self.records.iter().map(|record| record.ttl).chain(by_rule).max().unwrap_or_default()
    }
}

/// How traffic is moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Strategy {
    /// By the data plane alone: the records are failover pairs, made before the day and gated by one health check.
    #[default]
    Switch,
    /// By editing the records, through Route 53's control plane in us-east-1.
    Records,
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Switch => "switch",
            Self::Records => "records",
        })
    }
}

/// What stands in a rule's name for each symbol of its list.
pub const SYMBOL: &str = "{symbol}";

/// A rule that makes a record of each symbol of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Names {
    /// The full name with [`SYMBOL`] in it once, e.g. `{symbol}.md.aex.internal`.
    pub name: String,
    /// The symbols, one a line: a path beside the plan as written, `names/<sha256>.txt` in the control bucket once
    /// uploaded.
    pub list: String,
    /// As a record's.
    #[serde(rename = "type")]
    pub kind: RecordType,
    /// As a record's, in seconds.
    pub ttl: u32,
    /// As a record's.
    pub primary: Vec<String>,
    /// As a record's.
    pub recovery: Vec<String>,
}

impl Names {
    /// The record of one symbol.
    pub fn record(&self, symbol: &str) -> Record {
        Record {
            name: self.name.replacen(SYMBOL, symbol, 1),
            kind: self.kind,
            ttl: self.ttl,
            primary: self.primary.clone(),
            recovery: self.recovery.clone(),
        }
    }

    /// Whether some symbol would make `name`.
    pub(crate) fn makes(&self, name: &str) -> bool {
        let symbol = self
            .name
            .split_once(SYMBOL)
            .and_then(|(before, after)| name.strip_prefix(before)?.strip_suffix(after));
        symbol.is_some_and(|symbol| !symbol.is_empty() && !symbol.contains('.'))
    }
}

/// How many names are asked for after a flip.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Confirm {
    /// So many of the names that rules make, spread evenly, besides every one of `records`.
    pub sample: u32,
}

/// One record set, with its values on either side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The full name, in lower case, without the closing dot, inside the zone.
    pub name: String,
    /// A, AAAA or CNAME.
    #[serde(rename = "type")]
    pub kind: RecordType,
    /// Seconds that a resolver may keep the answer: clients see a flip up to this much later.
    pub ttl: u32,
    /// The values while the primary serves.
    pub primary: Vec<String>,
    /// The values while the recovery side serves; none of the primary's among them.
    pub recovery: Vec<String>,
}

/// One of the two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// Where the system normally runs.
    Primary,
    /// Where it is brought back.
    Recovery,
}

impl Record {
    /// The values that send clients to `side`.
    pub fn values(&self, side: Side) -> &[String] {
        match side {
            Side::Primary => &self.primary,
            Side::Recovery => &self.recovery,
        }
    }
}

/// The record types that a flip can move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum RecordType {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// Another name, exactly one.
    Cname,
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Cname => "CNAME",
        })
    }
}

/// Bounds on waiting and on size. Each has a default, so each may be left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Seconds that a run waits for all stacks together; default 1,200.
    pub stack_wait_seconds_max: u32,
    /// Slots that one seal may lose to a fast writer before it gives up; default 50.
    pub seal_tries_max: u32,
    /// Entries of one stream that one call of a verification reads; default 200,000. A longer history is read in as
    /// many calls at once as it takes.
    pub shard_entries: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { stack_wait_seconds_max: 1_200, seal_tries_max: 50, shard_entries: 200_000 }
    }
}

/// One thing that is wrong with a plan.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Problem {
    /// Where: a path such as `stacks[1].depends_on[0]`; empty for the plan as a whole.
    pub field: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl Problem {
    /// A problem at a field.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.field, self.message)
        }
    }
}

impl Plan {
    /// Reads the canonical JSON of an *uploaded* plan, and validates it. For the Lambdas.
    ///
    /// A template or a list that is still a path on somebody's disk is a problem here: found now, before the epoch is
    /// claimed, rather than when it is needed.
    pub fn from_json(json: &[u8]) -> Result<Self, Vec<Problem>> {
        let plan = read::from_json(json)?;
        let problems = validate::uploaded(&plan);
        if problems.is_empty() { Ok(plan) } else { Err(problems) }
    }

    /// Reads a plan from a parsed document, and validates it: as the user wrote it, templates and lists still paths.
    ///
    /// All problems at once: those of form (unknown, missing, of the wrong type) and those of content. What
    /// stands beside a malformed field is not judged, so that one mistake is told once.
    pub fn from_value(value: serde_json::Value) -> Result<Self, Vec<Problem>> {
        read::from_value(value)
    }

    /// Everything that is wrong with the plan's content, in the order of the plan; empty when it may be run.
    ///
    /// Pure: no I/O, no clock. So it cannot know whether a template exists or a bucket is there, nor which names a list
    /// makes ([`crate::dns::names`] judges those).
    ///
    /// - The primary Region is not us-east-1 where the strategy is `records`. It moves traffic through Route 53's control
    ///   plane, which is in us-east-1: a plan that needs it while it is down is no plan.
    /// - No record's TTL is above 60 s: clients see a flip only when their cached answer expires, and a minute
    ///   is as much of the objective as a cache may have.
    /// - Each record by itself moves in one batch, old values, new ones and the epoch's TXT record together: a record's
    ///   own bounds see to that (a test says so). A pair of the strategy `switch` is larger, and is bounded besides: the
    ///   batch that makes it of a plain record has the primary's values twice.
    pub fn validate(&self) -> Vec<Problem> {
        validate::plan(self)
    }

    /// The plan as the Lambdas read it: JSON without spaces, fields in this module's order, maps sorted. The
    /// same plan always has the same bytes.
    pub fn canonical_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a plan is strings, numbers, lists and maps with text keys")
    }

    /// SHA-256 of [`Self::canonical_json`], 64 hex digits: what a run's evidence says it was run under.
    pub fn digest(&self) -> String {
        crate::evidence::sha256(&self.canonical_json())
    }

    /// CloudFormation's name for one of the plan's stacks in one epoch. Each epoch has its own stacks, so a
    /// stale run cannot touch those of a newer one.
    pub fn stack_name(&self, stack: &str, epoch: u64) -> String {
        format!("{}-{stack}-e{epoch}", self.name)
    }

    /// The full name of the TXT record that holds the epoch of the newest flip.
    pub fn epoch_record(&self) -> String {
        format!("{EPOCH_RECORD}.{}", self.dns.zone)
    }
}

#[cfg(test)]
mod tests;
