//! The calls to Route 53.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_route53::Client;
use aws_sdk_route53::config::Builder;
use aws_sdk_route53::config::http::HttpResponse;
use aws_sdk_route53::config::retry::RetryConfig;
use aws_sdk_route53::config::timeout::TimeoutConfig;
use aws_sdk_route53::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_route53::operation::RequestId;
use aws_sdk_route53::operation::change_resource_record_sets::ChangeResourceRecordSetsOutput;
use aws_sdk_route53::operation::list_resource_record_sets::ListResourceRecordSetsOutput;
use aws_sdk_route53::types::{
    Change as ApiChange, ChangeAction, ChangeBatch, ResourceRecord, ResourceRecordSet,
    ResourceRecordSetFailover, RrType,
};
use jiff::Timestamp;
use lifeboat_rules::dns::{Change, Failover, Found, Half, RecordSet, spell};
use lifeboat_rules::plan::Record;
use lifeboat_rules::{ErrorName, Plan, StepError};
use lifeboat_runtime::aws_error;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// Pages of 300 record sets that a read takes at most.
const PAGES_MAX: usize = 200;
/// Requests in any second: Route 53 takes five of an account
/// (<https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DNSLimitations.html>).
const REQUESTS_A_SECOND_MAX: usize = 5;
/// What is waited before each further try of a request that Route 53 would not take yet, in milliseconds: too many
/// requests of the account, or a change of the same zone still under way.
const BACKOFF_MILLISECONDS: [u64; 4] = [500, 1_000, 2_000, 4_000];
/// One batch of a thousand values, answered.
const CHANGE_SECONDS_MAX: u64 = 10;

/// Route 53, asked no faster than it answers.
#[derive(Clone, Debug)]
pub struct Zone {
    route53: Client,
    /// When the last requests began.
    begun: Arc<Mutex<VecDeque<Instant>>>,
}

/// Why Route 53 refused a batch, and the id of the request; nothing of it was applied.
#[derive(Clone, Debug)]
pub struct Rejected(pub String);

/// What Route 53 said of a batch that it has taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// The id of the change, by which Route 53 is asked whether its servers have it (`GetChange`).
    pub change: String,
    /// `PENDING`, or `INSYNC` where all its servers have it.
    pub status: String,
    /// When Route 53 took it, by its own clock.
    pub submitted_at: Option<Timestamp>,
    /// The id of the request, for AWS's support.
    pub request_id: Option<String>,
}

/// Where a page of a listing begins.
#[derive(Debug)]
struct Start {
    name: String,
    kind: Option<RrType>,
    identifier: Option<String>,
}

impl Start {
    fn name(name: &str) -> Start {
        Start { name: name.to_owned(), kind: None, identifier: None }
    }
}

impl Zone {
    /// Of a client.
    pub fn new(route53: Client) -> Zone {
        Zone { route53, begun: Arc::default() }
    }

    /// Everything in the zone under the names and types of `records`, and the fence of the plan. The fence is read first:
    /// what a batch replaces it in was read while it stood.
    ///
    /// # Errors
    /// As [`aws_error`]; `Defect` where the zone has too many record sets.
    pub async fn read(&self, plan: &Plan, records: &[Record]) -> Result<Vec<Found>, StepError> {
        let zone_id = &plan.dns.zone_id;
        let fence = plan.epoch_record();
        let from = Start { kind: Some(RrType::Txt), ..Start::name(&fence) };
        let first = self.page(zone_id, Some(from), 1).await?;
        let is_fence = |found: &Found| is_at(found, &fence, "TXT");
        let mut found: Vec<Found> =
            first.resource_record_sets().iter().map(read_set).filter(is_fence).collect();
        let Some(top) = common_ancestor(records.iter().map(|record| record.name.as_str())) else {
            return Ok(found);
        };
        let kinds: Vec<(&str, String)> =
            records.iter().map(|record| (record.name.as_str(), record.kind.to_string())).collect();
        let concerned: HashSet<(&str, &str)> =
            kinds.iter().map(|(name, kind)| (*name, kind.as_str())).collect();
        found.extend(self.below(zone_id, Some(top), |found| concerned.contains(&place(found))).await?);
        Ok(found)
    }

    /// Every record set of the zone.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub async fn read_all(&self, zone_id: &str) -> Result<Vec<Found>, StepError> {
        self.below(zone_id, None, |_| true).await
    }

    /// What lies at or below the name `top`, page by page, and is wanted. A listing is sorted by names with their labels
    /// reversed, so all of it stands together.
    async fn below(
        &self,
        zone_id: &str,
        top: Option<&str>,
        wanted: impl Fn(&Found) -> bool,
    ) -> Result<Vec<Found>, StepError> {
        let mut found = Vec::new();
        let mut from = top.map(Start::name);
        for _ in 0..PAGES_MAX {
            let page = self.page(zone_id, from.take(), 300).await?;
            found.extend(page.resource_record_sets().iter().map(read_set).filter(&wanted));
            if !page.is_truncated() {
                return Ok(found);
            }
            let name = page.next_record_name().ok_or_else(|| {
                let what = format!("{}: a truncated answer without a next name", listing(zone_id));
                StepError::new(ErrorName::Transient, what)
            })?;
            if top.is_some_and(|top| !is_at_or_below(&spell(name), top)) {
                return Ok(found);
            }
            from = Some(Start {
                name: name.to_owned(),
                kind: page.next_record_type().cloned(),
                identifier: page.next_record_identifier().map(str::to_owned),
            });
        }
        Err(StepError::defect(format!("{}: more than {PAGES_MAX} pages", listing(zone_id))))
    }

    async fn page(
        &self,
        zone_id: &str,
        from: Option<Start>,
        sets_max: i32,
    ) -> Result<ListResourceRecordSetsOutput, StepError> {
        let (name, kind, identifier) =
            from.map_or((None, None, None), |from| (Some(from.name), from.kind, from.identifier));
        let list = self
            .route53
            .list_resource_record_sets()
            .hosted_zone_id(zone_id)
            .max_items(sets_max)
            .set_start_record_name(name)
            .set_start_record_type(kind)
            .set_start_record_identifier(identifier);
        self.patiently(|| list.clone().send()).await.map_err(|err| aws_error(listing(zone_id), err))
    }

    /// Puts one batch: all of it or nothing. It is sent once more only where Route 53 would not take it yet; after any other
    /// failure the outcome is unknown, and a fresh read tells.
    ///
    /// # Errors
    /// As [`aws_error`].
    pub async fn change(
        &self,
        zone_id: &str,
        comment: &str,
        changes: &[Change],
    ) -> Result<Result<Accepted, Rejected>, StepError> {
        let what = || format!("change the records of {zone_id}");
        let invalid = |err| StepError::caused(ErrorName::Defect, what(), err);
        let mut batch = ChangeBatch::builder().comment(comment);
        for change in changes {
            let (action, record) = match change {
                Change::Delete(record) => (ChangeAction::Delete, record),
                Change::Create(record) => (ChangeAction::Create, record),
            };
            batch = batch.changes(
                ApiChange::builder()
                    .action(action)
                    .resource_record_set(write_set(record).map_err(invalid)?)
                    .build()
                    .map_err(invalid)?,
            );
        }
        let batch = batch.build().map_err(invalid)?;
        let request = self.route53.change_resource_record_sets().hosted_zone_id(zone_id).change_batch(batch);
        let sent = self.patiently(|| request.clone().customize().config_override(once()).send()).await;
        match sent {
            Ok(taken) => Ok(Ok(accepted(&taken))),
            Err(err) => {
                let request = err.request_id().map_or_else(String::new, |id| format!(" (request {id})"));
                match err.as_service_error() {
                    Some(service) if service.is_invalid_change_batch() => {
                        Ok(Err(Rejected(format!("{service}{request}"))))
                    }
                    _ => Err(aws_error(what() + &request, err)),
                }
            }
        }
    }

    /// Sends a request until Route 53 takes it, within [`BACKOFF_MILLISECONDS`].
    async fn patiently<T, E, F>(&self, send: impl Fn() -> F) -> Result<T, SdkError<E, HttpResponse>>
    where
        E: ProvideErrorMetadata,
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        for wait in BACKOFF_MILLISECONDS {
            self.pace().await;
            match send().await {
                Err(err) if is_throttled(&err) => tokio::time::sleep(Duration::from_millis(wait)).await,
                sent => return sent,
            }
        }
        self.pace().await;
        send().await
    }

    /// Waits until one more request stays within [`REQUESTS_A_SECOND_MAX`].
    async fn pace(&self) {
        let begins = {
            let mut begun = self.begun.lock().expect("nothing panics while it holds this lock");
            next_begin(&mut begun, Instant::now())
        };
        tokio::time::sleep_until(begins).await;
    }
}

fn accepted(taken: &ChangeResourceRecordSetsOutput) -> Accepted {
    let info = taken.change_info();
    let submitted_at = info.and_then(|info| info.submitted_at().to_millis().ok());
    Accepted {
        change: info.map_or_else(String::new, |info| info.id().to_owned()),
        status: info.map_or_else(String::new, |info| info.status().as_str().to_owned()),
        submitted_at: submitted_at.and_then(|millis| Timestamp::from_millisecond(millis).ok()),
        request_id: taken.request_id().map(str::to_owned),
    }
}

/// When the next request may begin; `begun` keeps the last [`REQUESTS_A_SECOND_MAX`].
fn next_begin(begun: &mut VecDeque<Instant>, now: Instant) -> Instant {
    let free = match begun.len() {
        REQUESTS_A_SECOND_MAX => begun.pop_front().map(|at| at + Duration::from_secs(1)),
        _ => None,
    };
    let begins = free.map_or(now, |free| free.max(now));
    begun.push_back(begins);
    begins
}

/// A change is sent once: the SDK's own retry would send it again after an answer that was lost.
fn once() -> Builder {
    let longest = Duration::from_secs(CHANGE_SECONDS_MAX);
    Builder::new().retry_config(RetryConfig::disabled()).timeout_config(
        TimeoutConfig::builder().operation_attempt_timeout(longest).operation_timeout(longest).build(),
    )
}

/// Whether Route 53 has refused a request for now: `Throttling` for the account's rate, `PriorRequestNotComplete` for a zone
/// that is still being changed. Nothing of it was done.
fn is_throttled<E: ProvideErrorMetadata>(err: &SdkError<E, HttpResponse>) -> bool {
    let code = err.as_service_error().and_then(ProvideErrorMetadata::code).unwrap_or_default();
    code.starts_with("Throttling") || code == "PriorRequestNotComplete"
}

fn listing(zone_id: &str) -> String {
    format!("list the records of {zone_id}")
}

fn place(found: &Found) -> (&str, &str) {
    match found {
        Found::Set(RecordSet { name, kind, .. }) | Found::Foreign { name, kind, .. } => (name, kind),
    }
}

fn is_at(found: &Found, name: &str, kind: &str) -> bool {
    place(found) == (name, kind)
}

/// The name at or below which all of `names` lie.
fn common_ancestor<'a>(mut names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let first = names.next()?;
    Some(names.fold(first, |mut top, name| {
        while !is_at_or_below(name, top) {
            top = top.split_once('.').map_or("", |(_, rest)| rest);
        }
        top
    }))
}

fn is_at_or_below(name: &str, top: &str) -> bool {
    name.strip_suffix(top).is_some_and(|rest| rest.is_empty() || top.is_empty() || rest.ends_with('.'))
}

fn read_set(set: &ResourceRecordSet) -> Found {
    let name = spell(&set.name().replace("\\052", "*"));
    let kind = set.r#type().as_str();
    let foreign =
        |why: &str| Found::Foreign { name: name.clone(), kind: kind.to_owned(), why: why.to_owned() };
    if set.alias_target().is_some() {
        return foreign("is an alias");
    }
    let Some(ttl) = set.ttl().and_then(|ttl| u32::try_from(ttl).ok()) else {
        return foreign("has no time to live of its own");
    };
    let half = match (set.failover(), set.set_identifier(), set.health_check_id()) {
        (None, None, None) => None,
        (None, None, Some(_)) => return foreign("has a health check of its own"),
        (Some(ResourceRecordSetFailover::Primary), Some(identifier), gate) => {
            Some(half(Failover::Primary, identifier, gate))
        }
        (Some(ResourceRecordSetFailover::Secondary), Some(identifier), gate) => {
            Some(half(Failover::Secondary, identifier, gate))
        }
        _ => return foreign("has a routing policy"),
    };
    let values = set.resource_records().iter().map(|record| record.value().to_owned()).collect();
    Found::Set(RecordSet { half, ..RecordSet::as_listed(&name, kind, ttl, values) })
}

fn half(failover: Failover, identifier: &str, health_check: Option<&str>) -> Half {
    Half { failover, identifier: identifier.to_owned(), health_check: health_check.map(str::to_owned) }
}

fn write_set(record: &RecordSet) -> Result<ResourceRecordSet, aws_sdk_route53::error::BuildError> {
    let values = record
        .sent()
        .iter()
        .map(|value| ResourceRecord::builder().value(value).build())
        .collect::<Result<Vec<_>, _>>()?;
    let set = ResourceRecordSet::builder()
        .name(&record.name)
        .r#type(RrType::from(record.kind.as_str()))
        .ttl(i64::from(record.ttl))
        .set_resource_records(Some(values));
    let set = match &record.half {
        None => set,
        Some(half) => set
            .set_identifier(&half.identifier)
            .failover(match half.failover {
                Failover::Primary => ResourceRecordSetFailover::Primary,
                Failover::Secondary => ResourceRecordSetFailover::Secondary,
            })
            .set_health_check_id(half.health_check.clone()),
    };
    set.build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_begins_at_what_its_names_have_in_common() {
        let top = |names: &[&'static str]| common_ancestor(names.iter().copied());
        assert_eq!(top(&[]), None);
        assert_eq!(top(&["a.md.aex.internal"]), Some("a.md.aex.internal"));
        assert_eq!(top(&["a.md.aex.internal", "b.md.aex.internal"]), Some("md.aex.internal"));
        assert_eq!(top(&["a.md.aex.internal", "md.aex.internal"]), Some("md.aex.internal"));
        assert_eq!(top(&["a.md.aex.internal", "bmd.aex.internal"]), Some("aex.internal"));
        assert_eq!(top(&["a.b", "c.d"]), Some(""));
        assert!(is_at_or_below("a.b", "") && is_at_or_below("a.b", "a.b") && !is_at_or_below("xa.b", "a.b"));
    }

    #[test]
    fn record_sets_read_back_as_they_were_written_and_others_are_foreign() {
        let plain = RecordSet::new("aapl.aex.internal", "A", 5, ["10.0.0.2".into(), "10.0.0.1".into()]);
        let halves = [(Failover::Primary, Some("0123-abcd")), (Failover::Secondary, None)];
        let halves = halves.map(|(failover, gate)| RecordSet {
            half: Some(half(failover, "lifeboat-x", gate)),
            ..plain.clone()
        });
        for set in halves.iter().chain([&plain]) {
            assert_eq!(read_set(&write_set(set).expect("complete")), Found::Set(set.clone()));
        }
        let builder = || {
            let value = ResourceRecord::builder().value("10.0.0.1").build().expect("complete");
            ResourceRecordSet::builder().name("a.b.").r#type(RrType::A).ttl(5).resource_records(value)
        };
        let weighted = builder().set_identifier("x").weight(1).build().expect("complete");
        let gated = builder().health_check_id("x").build().expect("complete");
        for (set, says) in [(weighted, "routing policy"), (gated, "health check of its own")] {
            assert!(matches!(read_set(&set), Found::Foreign { why, .. } if why.contains(says)), "{set:?}");
        }
    }

    #[test]
    fn a_delete_sends_the_very_bytes_that_were_listed() {
        for (kind, values) in [
            (RrType::Cname, ["Pair.AEX.internal."].as_slice()),
            (RrType::Aaaa, &["2001:0DB8::00b", "2001:db8::A"]),
            (RrType::A, &["10.0.0.2", "10.0.0.1"]),
        ] {
            let records = values.iter().map(|v| ResourceRecord::builder().value(*v).build().expect("whole"));
            let listed = ResourceRecordSet::builder().name("a.b.").r#type(kind).ttl(5);
            let listed = listed.set_resource_records(Some(records.collect())).build().expect("whole");
            let Found::Set(read) = read_set(&listed) else { panic!("{listed:?}") };
            let sent = write_set(&read).expect("whole");
            assert_eq!(sent.resource_records(), listed.resource_records());
        }
    }

    #[test]
    fn requests_stay_below_the_accounts_rate() {
        let now = Instant::now();
        let mut begun = VecDeque::new();
        let at: Vec<Duration> = (0..35).map(|_| next_begin(&mut begun, now) - now).collect();
        assert_eq!(at[4], Duration::ZERO, "a small flip waits for nothing");
        assert!(at.windows(6).all(|six| six[5] - six[0] >= Duration::from_secs(1)), "{at:?}");
        assert_eq!(at[34], Duration::from_secs(6));
        let later = now + Duration::from_secs(60);
        assert_eq!(next_begin(&mut begun, later), later, "what was not used is free");
    }
}
