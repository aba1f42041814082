//! Where the zones come from: the emulator's Route 53.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_sdk_route53::Client;
use aws_sdk_route53::types::{ResourceRecordSet, ResourceRecordSetFailover, RrType};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, SOA, TXT};
use hickory_proto::rr::{Name, RData, Record};
use tokio::sync::watch;

use super::poll::Read;
use super::zone::{Failover, Half, Zone, Zones};
use crate::world::error::{Doing as _, WorldError};

/// Of 300 record sets each: enough for 10,000 pairs and what else there is.
const PAGES_MAX: usize = 100;

/// Reads the zones, and publishes them unless they are to stay as they are.
pub(super) struct ZonesReader {
    pub(super) route53: Client,
    pub(super) publish: watch::Sender<Arc<Zones>>,
    pub(super) hold: Arc<AtomicBool>,
}

impl Read for ZonesReader {
    async fn read(&mut self) -> Result<(), WorldError> {
        let fresh = zones(&self.route53).await?;
        if !self.hold.load(Ordering::SeqCst) {
            self.publish.send_replace(Arc::new(fresh));
        }
        Ok(())
    }
}

/// Lists every zone and all its records.
async fn zones(route53: &Client) -> Result<Zones, WorldError> {
    let mut zones = Vec::new();
    let mut pages = route53.list_hosted_zones().into_paginator().send();
    while let Some(page) = pages.next().await {
        for zone in page.doing(|| "list the hosted zones".to_owned())?.hosted_zones {
            let Ok(apex) = name(&zone.name) else { continue };
            let mut served = Zone::new(&apex);
            record_sets(route53, &zone.id).await?.iter().for_each(|set| add(&mut served, set));
            zones.push(served);
        }
    }
    Ok(zones.into_iter().collect())
}

async fn record_sets(route53: &Client, zone: &str) -> Result<Vec<ResourceRecordSet>, WorldError> {
    let what = || format!("list the records of the zone {zone}");
    let mut sets = Vec::new();
    let mut next = (None, None, None);
    for _ in 0..PAGES_MAX {
        let (name, kind, identifier) = next;
        let page = route53
            .list_resource_record_sets()
            .hosted_zone_id(zone)
            .set_start_record_name(name)
            .set_start_record_type(kind)
            .set_start_record_identifier(identifier)
            .send()
            .await
            .doing(what)?;
        sets.extend(page.resource_record_sets);
        if !page.is_truncated {
            return Ok(sets);
        }
        next = (page.next_record_name, page.next_record_type, page.next_record_identifier);
    }
    Err(WorldError::failed(what(), format!("it has more than {PAGES_MAX} pages")))
}

/// Adds a set to what is served. Of those that Route 53 chooses between (they have an identifier) only failover pairs are:
/// the local world knows no other policy.
fn add(zone: &mut Zone, set: &ResourceRecordSet) {
    let Ok(owner) = name(&set.name) else { return };
    let records = records(&owner, set);
    let failover = match set.failover() {
        Some(ResourceRecordSetFailover::Primary) => Some(Failover::Primary),
        Some(ResourceRecordSetFailover::Secondary) => Some(Failover::Secondary),
        _ => None,
    };
    match failover {
        Some(failover) => {
            let Some(kind) = records.first().map(Record::record_type) else { return };
            let check = set.health_check_id().map(str::to_owned);
            zone.add_half(&owner, kind, failover, Half { records, check });
        }
        None if set.set_identifier.is_none() => records.into_iter().for_each(|record| zone.add(record)),
        None => {}
    }
}

fn records(owner: &Name, set: &ResourceRecordSet) -> Vec<Record> {
    let ttl = set.ttl.and_then(|ttl| u32::try_from(ttl).ok()).unwrap_or_default();
    set.resource_records
        .iter()
        .flatten()
        .filter_map(|value| rdata(&set.r#type, &value.value))
        .map(|data| Record::from_rdata(owner.clone(), ttl, data))
        .collect()
}

fn rdata(kind: &RrType, value: &str) -> Option<RData> {
    Some(match kind {
        RrType::A => RData::A(A(value.trim().parse().ok()?)),
        RrType::Aaaa => RData::AAAA(AAAA(value.trim().parse().ok()?)),
        RrType::Cname => RData::CNAME(CNAME(name(value.trim()).ok()?)),
        RrType::Txt => RData::TXT(TXT::new(strings(value))),
        RrType::Soa => RData::SOA(soa(value)?),
        _ => return None,
    })
}

fn soa(value: &str) -> Option<SOA> {
    let mut parts = value.split_whitespace();
    let (server, mail) = (name(parts.next()?).ok()?, name(parts.next()?).ok()?);
    let serial = parts.next()?.parse().ok()?;
    let mut seconds = || parts.next()?.parse::<i32>().ok();
    let (refresh, retry, expire, minimum) = (seconds()?, seconds()?, seconds()?, seconds()?);
    Some(SOA::new(server, mail, serial, refresh, retry, expire, u32::try_from(minimum).ok()?))
}

/// Names are absolute here with or without the last dot.
fn name(text: &str) -> Result<Name, hickory_proto::ProtoError> {
    let mut name = Name::from_ascii(text)?;
    name.set_fqdn(true);
    Ok(name)
}

/// A TXT value is one or more quoted strings, with `\"` and `\\` in them.
fn strings(value: &str) -> Vec<String> {
    let mut strings = Vec::new();
    let mut current: Option<String> = None;
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        match (character, &mut current) {
            ('"', None) => current = Some(String::new()),
            ('"', Some(_)) => strings.extend(current.take()),
            ('\\', Some(text)) => text.extend(characters.next()),
            (other, Some(text)) => text.push(other),
            (_, None) => {}
        }
    }
    strings
}

#[cfg(test)]
mod tests {
    use aws_sdk_route53::types::ResourceRecord;
    use aws_sdk_route53::types::builders::ResourceRecordSetBuilder;
    use hickory_proto::rr::{LowerName, RecordType};

    use super::*;
    use crate::world::dns::health::Health;
    use crate::world::dns::zone::Answer;

    #[test]
    fn quoted_strings_are_taken_apart() {
        assert_eq!(strings(r#""42/3of21/ab""#), ["42/3of21/ab"]);
        assert_eq!(strings(r#""a b" "c\"d\\""#), ["a b", r#"c"d\"#]);
        assert!(strings("unquoted").is_empty());
    }

    #[test]
    fn of_sets_to_choose_between_only_failover_pairs_are_served() {
        let set = |value: &str| {
            let value = ResourceRecord::builder().value(value).build().unwrap();
            ResourceRecordSet::builder().name("a.b.").r#type(RrType::A).ttl(5).resource_records(value)
        };
        let half = |value: &str, failover: ResourceRecordSetFailover| {
            set(value).set_identifier(failover.as_str()).failover(failover)
        };
        let served = |sets: Vec<ResourceRecordSetBuilder>, health: &Health| {
            let mut zone = Zone::new(&name("b.").unwrap());
            sets.into_iter().for_each(|set| add(&mut zone, &set.build().unwrap()));
            let zones: Zones = [zone].into_iter().collect();
            let asked = LowerName::from(name("a.b.").unwrap());
            match zones.answer(&asked, RecordType::A, health) {
                Answer::Records(records) => records.iter().map(|record| record.data.to_string()).collect(),
                _ => Vec::new(),
            }
        };
        let well = Health::default();
        assert_eq!(served(vec![set("10.0.0.1")], &well), ["10.0.0.1"]);
        assert!(served(vec![set("10.0.0.1").set_identifier("weighted").weight(1)], &well).is_empty());
        let pair = || {
            let primary = half("10.0.0.1", ResourceRecordSetFailover::Primary).health_check_id("gate");
            vec![primary, half("10.0.0.2", ResourceRecordSetFailover::Secondary)]
        };
        assert_eq!(served(pair(), &well), ["10.0.0.1"]);
        assert_eq!(served(pair(), &Health::without(["gate"])), ["10.0.0.2"]);
    }
}
