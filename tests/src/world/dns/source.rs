//! Where the zones come from: the emulator's Route 53.

use aws_sdk_route53::Client;
use aws_sdk_route53::types::{ResourceRecordSet, RrType};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, SOA, TXT};
use hickory_proto::rr::{Name, RData, Record};

use super::zone::{Zone, Zones};
use crate::world::error::{Doing as _, WorldError};

/// A zone holds at most 10,000 record sets, 300 a page.
const PAGES_MAX: usize = 40;

/// Lists every zone and all its records.
pub(super) async fn zones(route53: &Client) -> Result<Zones, WorldError> {
    let mut zones = Vec::new();
    let mut pages = route53.list_hosted_zones().into_paginator().send();
    while let Some(page) = pages.next().await {
        for zone in page.doing(|| "list the hosted zones".to_owned())?.hosted_zones {
            let Ok(apex) = name(&zone.name) else { continue };
            let mut served = Zone::new(&apex);
            for set in record_sets(route53, &zone.id).await? {
                records(&set).into_iter().for_each(|record| served.add(record));
            }
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

/// The records of one set. Sets that Route 53 would choose between (failover, weighted..) have an identifier, and are
/// not served here: to serve them is to judge health first, and that choice belongs between the listing and this.
fn records(set: &ResourceRecordSet) -> Vec<Record> {
    let Ok(owner) = name(&set.name) else { return Vec::new() };
    if set.set_identifier.is_some() {
        return Vec::new();
    }
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
    use super::*;

    #[test]
    fn quoted_strings_are_taken_apart() {
        assert_eq!(strings(r#""42/3of21/ab""#), ["42/3of21/ab"]);
        assert_eq!(strings(r#""a b" "c\"d\\""#), ["a b", r#"c"d\"#]);
        assert!(strings("unquoted").is_empty());
    }

    #[test]
    fn sets_to_choose_between_are_left_out() {
        let plain = || {
            ResourceRecordSet::builder().name("a.b.").r#type(RrType::A).ttl(5).resource_records(
                aws_sdk_route53::types::ResourceRecord::builder().value("10.0.0.1").build().unwrap(),
            )
        };
        assert_eq!(records(&plain().build().unwrap()).len(), 1);
        assert!(records(&plain().set_identifier("primary").build().unwrap()).is_empty());
    }
}
