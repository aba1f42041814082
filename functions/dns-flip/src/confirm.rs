//! Confirming a flip by answers: each name is asked for until it answers from the recovery side, and leaves a receipt.
//!
//! A record is confirmed by its own type: a CNAME by its target, and the addresses of that target by the records that hold
//! them, where the plan has those. What has answered is kept for one call only: a call that says `NotReady` begins anew.

use std::time::Duration;

use jiff::Timestamp;
use lifeboat_rules::dns::{RecordSet, wanted};
use lifeboat_rules::plan::{Record, Side};
use lifeboat_rules::{Plan, Step, StepError};
use lifeboat_runtime::{Context, Left};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep, sleep_until};

use crate::ask::Asker;

/// How long one call asks before it says `NotReady`. Well below the function's own timeout (60 s), and longer than 10,000
/// names take at the pace below.
const WAIT: Duration = Duration::from_secs(20);
/// Names that are asked for until they answer, before all are.
const CANARIES: usize = 3;
/// Questions within one slice of time. A VPC's resolver drops what comes over 1,024 packets a second from one network
/// interface: <https://docs.aws.amazon.com/whitepapers/latest/hybrid-cloud-dns-options-for-vpc/constraints.html>.
/// No second has more than eleven slices, 880 questions.
const QUESTIONS_A_SLICE: usize = 80;
const SLICE: Duration = Duration::from_millis(100);
/// Between two rounds of the same questions.
const PAUSE: Duration = Duration::from_millis(200);
/// Names that are told of those which do not answer as they should.
const TOLD_MAX: usize = 5;
/// The most characters that are told of each.
const TOLD_CHARS_MAX: usize = 300;

/// That a record answered from the recovery side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The name that was asked for.
    pub name: String,
    /// The type that was asked for.
    pub kind: String,
    /// The values in the answer, in the one spelling.
    pub values: Vec<String>,
    /// The time to live in the answer, in seconds.
    pub ttl: u32,
    /// When it was asked for, by the asker's clock.
    pub asked_at: Timestamp,
    /// When the answer came, by the asker's clock.
    pub answered_at: Timestamp,
    /// From the question to the answer, in milliseconds.
    pub millis: u64,
}

/// All receipts of one confirmation, as they lie in the evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipts {
    /// Who was asked: `address:port`, or `system` for the resolver of the network that the asker is in.
    pub resolver: String,
    /// One for each name that was asked for.
    pub receipts: Vec<Receipt>,
}

/// What a confirmation comes to; the receipts are an object of evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmed {
    /// Names that answer from the recovery side: all that were asked for.
    pub names: usize,
    /// Names that the plan moves. Where they are more, those asked for are a sample.
    pub of: usize,
    /// The name whose answer took longest.
    pub slowest: String,
    /// How long that answer took, in milliseconds.
    pub slowest_millis: u64,
    /// When the last name answered from the recovery side.
    pub answered_at: Timestamp,
    /// The longest time to live, in seconds: for so long behind its answer here, a client of the same resolver may hold
    /// the old value of a name.
    pub staleness_seconds_max: u32,
    /// When no client of the same resolver that obeys the time to live holds an old value of these names any more.
    pub stale_until: Timestamp,
    /// Where the receipts are.
    pub receipts: Left,
}

/// Asks until every name answers from the recovery side, or the call's time is over.
///
/// # Errors
/// `NotReady` with how many names are to go, and the first few; as [`Context::leave`].
pub(crate) async fn confirm(
    context: &Context,
    asker: &Asker,
    now: fn() -> Timestamp,
    step: &Step,
    plan: &Plan,
    records: &[Record],
) -> Result<Confirmed, StepError> {
    let chosen = choose(plan, records);
    let receipts = ask(asker, now, &wanted(&chosen, Side::Recovery), WAIT).await?;
    let all = Receipts { resolver: asker.resolver().to_owned(), receipts };
    let left = context.leave(step, "receipts", &all).await?;
    summary(&all.receipts, &chosen, records.len(), left)
}

/// The records to ask for: all, or every one that the plan names itself and a sample of the others, spread evenly.
fn choose(plan: &Plan, records: &[Record]) -> Vec<Record> {
    let Some(confirm) = &plan.dns.confirm else { return records.to_vec() };
    let (named, made) = records.split_at(plan.dns.records.len().min(records.len()));
    let sample = usize::try_from(confirm.sample).unwrap_or(usize::MAX);
    named.iter().chain(spread(made, sample)).cloned().collect()
}

/// `count` of `all`, or all where there are no more, as evenly as they go.
fn spread<T>(all: &[T], count: usize) -> impl Iterator<Item = &T> {
    let count = count.min(all.len());
    (0..count).map(move |index| &all[index * all.len() / count])
}

async fn ask(
    asker: &Asker,
    now: fn() -> Timestamp,
    wanted: &[RecordSet],
    within: Duration,
) -> Result<Vec<Receipt>, StepError> {
    let until = Instant::now() + within;
    let canaries: Vec<RecordSet> = spread(wanted, CANARIES).cloned().collect();
    let all = wanted.len();
    until_all_answer(asker, now, canaries, until).await.map_err(|stale| stale.error(all))?;
    until_all_answer(asker, now, wanted.to_vec(), until).await.map_err(|stale| stale.error(all))
}

/// Names that do not answer from the recovery side yet.
struct Stale {
    /// How many of those that were asked for.
    count: usize,
    asked_for: usize,
    first: Vec<String>,
}

impl Stale {
    fn error(self, all: usize) -> StepError {
        let Stale { count, asked_for, first } = self;
        let asked = if asked_for < all { format!(" asked for first, of {all}") } else { String::new() };
        StepError::not_ready(format!(
            "{count} of {asked_for} names{asked} do not answer from the recovery side yet: {}",
            first.join("; ")
        ))
    }
}

async fn until_all_answer(
    asker: &Asker,
    now: fn() -> Timestamp,
    mut pending: Vec<RecordSet>,
    until: Instant,
) -> Result<Vec<Receipt>, Stale> {
    let asked_for = pending.len();
    let mut receipts = Vec::with_capacity(asked_for);
    loop {
        let (mut still, mut first) = (Vec::new(), Vec::new());
        let mut slices = pending.chunks(QUESTIONS_A_SLICE);
        for slice in slices.by_ref() {
            let next = Instant::now() + SLICE;
            for (record, asked) in slice.iter().zip(asker.ask_all(slice, now).await) {
                match asked {
                    Ok(receipt) if receipt.values == record.values => receipts.push(receipt),
                    other => {
                        if first.len() < TOLD_MAX {
                            first.push(told(record, other));
                        }
                        still.push(record.clone());
                    }
                }
            }
            sleep_until(next).await;
            if Instant::now() >= until {
                break;
            }
        }
        still.extend(slices.flatten().cloned());
        if still.is_empty() {
            return Ok(receipts);
        }
        if Instant::now() >= until {
            if first.is_empty() {
                first.push("there was no time to ask for them".to_owned());
            }
            return Err(Stale { count: still.len(), asked_for, first });
        }
        pending = still;
        sleep(PAUSE).await;
    }
}

fn told(record: &RecordSet, asked: Result<Receipt, String>) -> String {
    let told = match asked {
        Ok(receipt) => format!("{} answers {}", record.name, receipt.values.join(" ")),
        Err(why) => format!("{}: {why}", record.name),
    };
    told.chars().take(TOLD_CHARS_MAX).collect()
}

fn summary(receipts: &[Receipt], asked: &[Record], of: usize, left: Left) -> Result<Confirmed, StepError> {
    let none = || StepError::defect("the plan moves no record, and there is nothing to confirm");
    let slowest = receipts.iter().max_by_key(|receipt| receipt.millis).ok_or_else(none)?;
    let answered_at = receipts.iter().map(|receipt| receipt.answered_at).max().ok_or_else(none)?;
    // Of the records and not of the answers: a resolver's answer from its cache says what is left of it.
    let ttl = asked.iter().map(|record| record.ttl).max().ok_or_else(none)?;
    let stale_until = answered_at
        .checked_add(jiff::SignedDuration::from_secs(ttl.into()))
        .map_err(|err| StepError::defect(format!("{ttl} s after {answered_at}: {err}")))?;
    Ok(Confirmed {
        names: receipts.len(),
        of,
        slowest: slowest.name.clone(),
        slowest_millis: slowest.millis,
        answered_at,
        staleness_seconds_max: ttl,
        stale_until,
        receipts: left,
    })
}

#[cfg(test)]
mod tests {
    use lifeboat_rules::plan::Confirm;

    use super::*;

    /// Far below what a state machine hands on (256 KiB).
    const ANSWER_BYTES_MAX: usize = 2_048;

    fn plan(sample: Option<u32>) -> (Plan, Vec<Record>) {
        let mut plan = Plan::from_json(include_bytes!("../../rules/tests/plan.json")).unwrap();
        plan.dns.confirm = sample.map(|sample| Confirm { sample });
        let model = plan.dns.records[0].clone();
        let made = (0..10_000).map(|n| Record { name: format!("s{n}.aex.internal"), ..model.clone() });
        let records = plan.dns.records.iter().cloned().chain(made).collect();
        (plan, records)
    }

    #[test]
    fn a_sample_is_spread_evenly_and_has_every_record_of_the_plan_itself() {
        let (all, records) = plan(None);
        assert_eq!(choose(&all, &records), records);
        let (sampled, records) = plan(Some(500));
        let named = sampled.dns.records.len();
        let chosen = choose(&sampled, &records);
        assert_eq!(chosen.len(), named + 500);
        assert_eq!(chosen[..named], records[..named]);
        for (index, record) in chosen[named..].iter().enumerate() {
            assert_eq!(record.name, format!("s{}.aex.internal", index * 20));
        }
        let (more, records) = plan(Some(20_000));
        assert_eq!(choose(&more, &records), records);
    }

    #[test]
    fn the_answer_for_ten_thousand_names_stays_small_and_says_until_when_clients_may_be_stale() {
        let (_, records) = plan(None);
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        let receipt = |(index, record): (usize, &Record)| Receipt {
            name: format!("{}{}", "x".repeat(200), record.name),
            kind: "A".into(),
            values: vec!["10.0.0.1".into()],
            ttl: 1,
            asked_at: at(100),
            answered_at: at(100 + index as i64 % 7),
            millis: if index == 77 { 900 } else { 3 },
        };
        let receipts: Vec<Receipt> = records.iter().enumerate().map(receipt).collect();
        let left = Left { key: "k".repeat(1_024), sha256: "0".repeat(64), bytes: 2_000_000 };
        let confirmed = summary(&receipts, &records, records.len(), left).unwrap();
        assert_eq!((confirmed.names, confirmed.of), (records.len(), records.len()));
        assert_eq!((confirmed.slowest.as_str(), confirmed.slowest_millis), (receipts[77].name.as_str(), 900));
        let ttl = records.iter().map(|record| record.ttl).max().unwrap();
        assert_eq!(confirmed.staleness_seconds_max, ttl);
        assert_eq!(confirmed.stale_until, at(106 + i64::from(ttl)));
        let bytes = serde_json::to_vec(&confirmed).unwrap().len();
        assert!(bytes < ANSWER_BYTES_MAX, "{bytes} bytes");
    }
}
