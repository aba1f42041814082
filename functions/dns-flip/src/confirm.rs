//! Confirming a flip by answers: each name is asked for until it answers from the recovery side, and leaves a receipt.
//!
//! A record is confirmed by its own type: a CNAME by its target, and the addresses of that target by the records that hold
//! them, where the plan has those.
//!
//! A call that says `NotReady` leaves the receipts that it has; the next one reads them, and asks for the rest alone. When the
//! time is over that the plan gives its names ([`lifeboat_rules::dns::confirm::within`]), the answer is `FlipUnconfirmed`: what goes on being silent keeps
//! a person waiting no longer than that.

mod receipts;
mod round;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use lifeboat_rules::decided::{Waited, Waiting};
use lifeboat_rules::dns::{RecordSet, wanted};
use lifeboat_rules::plan::{Record, Side};
use lifeboat_rules::{Plan, Step, StepError};
use lifeboat_runtime::{Context, Left, decide};
use tokio::time::Instant;

use crate::Answer;
use crate::ask::Asker;
pub use receipts::{Confirmed, Receipt, Receipts, Unconfirmed};
use round::Asking;

/// How long one call asks before it says `NotReady`: well below the function's own timeout (60 s).
const WAIT: Duration = Duration::from_secs(20);
/// Names that are asked for before all are, until one of them answers: as long as none does, the flip is seen nowhere.
const CANARIES: usize = 3;
/// By how many names each call begins further on in the list: nearly as many as a call has time for where none of them
/// answers, and a prime, so that each call begins elsewhere in a list of any length.
const FURTHER_EACH_CALL: usize = 797;
/// What a call leaves for the next one.
const ANSWERED: &str = "answered";
/// Names that an error tells of those which do not answer as they should, and that the last answer tells.
const TOLD_MAX: usize = 5;
const TOLD_LAST_MAX: usize = 20;

/// Asks until every name answers from the recovery side, or the call's time is over, or that of the whole confirmation.
///
/// # Errors
/// `NotReady` with how many names are to go, and the first few; as [`Context::leave`] and [`Context::left`].
pub(crate) async fn confirm(
    context: &Context,
    asker: &Asker,
    now: fn() -> Timestamp,
    step: &Step,
    plan: &Plan,
    records: &[Record],
) -> Result<Answer, StepError> {
    let chosen = choose(plan, records);
    let wanted = wanted(&chosen, Side::Recovery);
    let kept = kept(context, asker, step, &wanted).await?;
    let mut pending = without(wanted, &kept);
    let mut asking = Asking::new(asker, now, Instant::now() + WAIT);
    // Whoever is silent is not always the first, or those behind him would never be asked.
    let further = step.attempt as usize * FURTHER_EACH_CALL % pending.len().max(1);
    pending.rotate_left(further);
    let canaries: Vec<RecordSet> = spread(&pending, CANARIES).cloned().collect();
    if !kept.is_empty() || asking.any(canaries).await {
        pending = without(pending, &asking.receipts);
        pending = asking.all(pending).await;
    }
    let (new, silent) = asking.told();
    let not_asked = pending.len().saturating_sub(silent.len());
    let leave = async |name: &str, receipts: &[Receipt]| {
        let all = Receipts {
            resolver: asker.resolver().to_owned(),
            receipts: receipts.to_vec(),
            silent: silent.clone(),
        };
        context.leave(step, name, &all).await
    };
    let all = || [kept.as_slice(), new.as_slice()].concat();
    let seen = Waited { names: chosen.len(), pending: pending.len(), entered: entered(step)?, now: now() };
    match decide(plan, &seen) {
        Waiting::Over => {
            let receipts = all();
            let left = leave("receipts", &receipts).await?;
            return Ok(Answer::FlipConfirmed(summary(&receipts, &chosen, records.len(), left)?));
        }
        Waiting::InVain => {
            let left = leave("receipts", &all()).await?;
            let answered = kept.len() + new.len();
            let unconfirmed = unconfirmed(&silent, not_asked, answered, records.len(), seen.waited(), left);
            return Ok(Answer::FlipUnconfirmed(unconfirmed));
        }
        Waiting::On => {}
    }
    if !new.is_empty() {
        leave(ANSWERED, &new).await?;
    }
    Err(StepError::not_ready(format!(
        "{} of {} names do not answer from the recovery side yet{}: {}",
        silent.len(),
        chosen.len(),
        and_not_asked(not_asked),
        first(&silent, TOLD_MAX)
    )))
}

/// The receipts that earlier calls have left, as far as they say what is wanted.
async fn kept(
    context: &Context,
    asker: &Asker,
    step: &Step,
    wanted: &[RecordSet],
) -> Result<Vec<Receipt>, StepError> {
    if step.attempt == 0 {
        return Ok(Vec::new());
    }
    let mut counts: HashMap<(String, String), &[String]> =
        wanted.iter().map(|set| ((set.name.clone(), set.kind.clone()), set.values.as_slice())).collect();
    let mut kept = Vec::new();
    for left in context.left::<Receipts>(step, ANSWERED).await? {
        let of_this_resolver = left.resolver == asker.resolver();
        kept.extend(left.receipts.into_iter().filter(|receipt| {
            let place = (receipt.name.clone(), receipt.kind.clone());
            of_this_resolver && counts.remove(&place).is_some_and(|values| receipt.values == values)
        }));
    }
    Ok(kept)
}

/// `sets` without those that have a receipt.
fn without(sets: Vec<RecordSet>, receipts: &[Receipt]) -> Vec<RecordSet> {
    let answered: HashSet<(&str, &str)> =
        receipts.iter().map(|receipt| (receipt.name.as_str(), receipt.kind.as_str())).collect();
    sets.into_iter().filter(|set| !answered.contains(&(set.name.as_str(), set.kind.as_str()))).collect()
}

/// When the confirmation began: the state is entered once, however often it calls.
fn entered(step: &Step) -> Result<Timestamp, StepError> {
    step.entered.parse().map_err(|err| StepError::input_invalid("step.entered", err))
}

/// The first of what is told.
fn first(told: &[String], count: usize) -> String {
    match told {
        [] => "there was no time to ask for them".to_owned(),
        told => told.iter().take(count).cloned().collect::<Vec<_>>().join("; "),
    }
}

/// What is added about names that were not asked for.
fn and_not_asked(count: usize) -> String {
    match count {
        0 => String::new(),
        count => format!(", and {count} were not asked for in this call"),
    }
}

fn unconfirmed(
    silent: &[String],
    not_asked_count: usize,
    names: usize,
    of: usize,
    waited: SignedDuration,
    receipts: Left,
) -> Unconfirmed {
    let (seconds, silent_count) = (waited.as_secs(), silent.len());
    Unconfirmed {
        reason: format!(
            "{silent_count} of {} names do not answer from the recovery side after {seconds} s{}: {}. The flip stands, and {names} \
             names are seen to follow it: find with `lifeboat dns check` what keeps the others from it, and mend that",
            names + silent_count + not_asked_count,
            and_not_asked(not_asked_count),
            first(silent, TOLD_MAX)
        ),
        names,
        of,
        silent_count,
        not_asked_count,
        silent: silent.iter().take(TOLD_LAST_MAX).cloned().collect(),
        waited_seconds: seconds,
        receipts,
    }
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

fn summary(receipts: &[Receipt], asked: &[Record], of: usize, left: Left) -> Result<Confirmed, StepError> {
    let none = || StepError::defect("the plan moves no record, and there is nothing to confirm");
    let slowest = receipts.iter().max_by_key(|receipt| receipt.millis).ok_or_else(none)?;
    let answered_at = receipts.iter().map(|receipt| receipt.answered_at).max().ok_or_else(none)?;
    // Of the records and not of the answers: a resolver's answer from its cache says what is left of it.
    let ttl = asked.iter().map(|record| record.ttl).max().ok_or_else(none)?;
    let stale_until = answered_at
        .checked_add(SignedDuration::from_secs(ttl.into()))
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
