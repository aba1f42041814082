//! The least and the most that each number and list of a plan may be. A limit on everything: what has no bound
//! here would have to be bounded in five Lambdas.

use std::ops::RangeInclusive;

/// The version of the format.
pub const VERSION: u32 = 1;
/// `objectives.rto_seconds`: the state machine's own backstop is 24 hours.
pub const RTO_SECONDS: RangeInclusive<u32> = 30..=86_400;
/// `probe.timeout_seconds`: the scheduled probe asks every 10 s.
pub const PROBE_TIMEOUT_SECONDS: RangeInclusive<u32> = 1..=10;
/// `probe.primary`: all targets are asked at once, from one Lambda.
pub const PROBE_TARGETS: RangeInclusive<usize> = 1..=10;
/// `probe.attempts`: one failure alone is noise, so an owner who wants speed says so with 1.
pub const PROBE_ATTEMPTS: RangeInclusive<u32> = 1..=20;
/// `probe.interval_seconds`.
pub const PROBE_INTERVAL_SECONDS: RangeInclusive<u32> = 1..=60;
/// All attempts of one confirmation together: they are one call of *health-check*, whose own timeout is 75 s.
pub const PROBE_ROUND_SECONDS_MAX: u32 = 60;
/// `probe.log_still_seconds`: S3 dates its objects to the second, so less than two means nothing; and the same call
/// waits for the log to have been still for that long.
pub const LOG_STILL_SECONDS: RangeInclusive<u32> = 2..=60;
/// `stacks`: a run polls all of them in one call.
pub const STACKS: RangeInclusive<usize> = 1..=50;
/// Parameters of one stack: CloudFormation allows 200, and Lifeboat sets two.
pub const PARAMETERS_MAX: usize = 198;
/// Bytes in one parameter's value: CloudFormation's own limit.
pub const PARAMETER_BYTES_MAX: usize = 4_096;
/// Characters in CloudFormation's name of a stack, and in the token of a request.
pub const STACK_NAME_CHARS_MAX: usize = 128;
/// Characters that stand before a stack's name in the token of the request that creates it: `create-`.
pub const STACK_TOKEN_CHARS: usize = 7;
/// `ledger.streams`.
pub const STREAMS: RangeInclusive<usize> = 1..=100;
/// `ledger.witness.objects_max`: Firehose makes an object of 1 MiB or more, or one a minute, and one call reads them all.
pub const WITNESS_OBJECTS: RangeInclusive<u32> = 1..=10_000;
/// `ledger.lease.delivery_wait_seconds_max`: Firehose buffers for up to 900 s
/// (<https://docs.aws.amazon.com/firehose/latest/APIReference/API_BufferingHints.html>), and what it could not deliver it
/// tries again for longer. A run polls meanwhile, and an execution's history ends at 25,000 events.
pub const DELIVERY_WAIT_SECONDS: RangeInclusive<u32> = 1..=4_000;
/// Records that one plan moves, one by one and by rules together: the default quota of a hosted zone.
pub const RECORDS_MAX: usize = 10_000;
/// `dns.names`.
pub const NAME_RULES_MAX: usize = 100;
/// Bytes in one list of symbols: a symbol of the longest kind on each line, and as many again for comments.
pub const LIST_BYTES_MAX: usize = 1_280_000;
/// `dns.confirm.sample`.
pub const CONFIRM_SAMPLE: RangeInclusive<u32> = 1..=10_000;
/// Values of one record on one side: Route 53's own limit.
pub const RECORD_VALUES: RangeInclusive<usize> = 1..=400;
/// `ttl`: clients see a flip only when their cached answer expires.
pub const TTL_SECONDS: RangeInclusive<u32> = 0..=60;
/// Values in one Route 53 request.
pub const BATCH_VALUES_MAX: usize = 1_000;
/// Characters of value in one Route 53 request.
pub const BATCH_CHARS_MAX: usize = 32_000;
/// Characters kept free for one value of the epoch's TXT record: quotes, an epoch and two indices of up to 20
/// digits each, a digest of 64.
pub const EPOCH_VALUE_CHARS: usize = 140;
/// `admission.anti_flap_seconds`: a week at most; 0 leaves automatics to the other rules.
pub const ANTI_FLAP_SECONDS: RangeInclusive<u32> = 0..=604_800;
/// `approval.wait_seconds`: a run that waits is asked again every 40 s, with about fifteen history events each time, and an
/// execution's history ends at 25,000.
pub const APPROVAL_WAIT_SECONDS: RangeInclusive<u32> = 30..=7_200;
/// `approval.approvers`.
pub const APPROVERS: RangeInclusive<usize> = 1..=100;
/// `limits.stack_wait_seconds_max`: a poll every 5 s is about ten history events, and an execution's history
/// ends at 25,000.
pub const STACK_WAIT_SECONDS: RangeInclusive<u32> = 10..=7_200;
/// `limits.seal_tries_max`.
pub const SEAL_TRIES: RangeInclusive<u32> = 1..=1_000;
/// `limits.shard_entries`: one call of ledger-verify reads them within its own 300 s. In the worst case each is an object of
/// its own, and how many of those a second it manages on Lambda has not been measured.
pub const SHARD_ENTRIES: RangeInclusive<u32> = 1_000..=10_000_000;
