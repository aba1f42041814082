//! Rules of the records: what Route 53 takes in one batch, and what a flip can delete again exactly.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::super::{Dns, EPOCH_RECORD, Record, RecordType};
use super::{Problems, bounds, syntax};

pub(super) fn check(dns: &Dns, found: &mut Problems) {
    if !syntax::is_zone_id(&dns.zone_id) {
        found.add(
            "dns.zone_id",
            format!(
                "{:?} must be a hosted zone's id: Z and then capital letters and digits, without `/hostedzone/`",
                dns.zone_id
            ),
        );
    }
    let zone_is_name = syntax::is_dns_name(&dns.zone);
    if !zone_is_name {
        found.add("dns.zone", bad_name(&dns.zone));
    }
    found.count("dns.records", dns.records.len(), &bounds::RECORDS, "records");
    for (index, record) in dns.records.iter().enumerate() {
        let at = format!("dns.records[{index}]");
        name(dns, record, zone_is_name, &format!("{at}.name"), found);
        repeated(&dns.records[..index], record, &at, found);
        found.within(format!("{at}.ttl"), record.ttl, &bounds::TTL_SECONDS, " s");
        values(record, &at, found);
    }
    batch(dns, found);
}

fn name(dns: &Dns, record: &Record, zone_is_name: bool, field: &str, found: &mut Problems) {
    let name = &record.name;
    if !syntax::is_dns_name(name) {
        found.add(field, bad_name(name));
    } else if zone_is_name && !syntax::is_in_zone(name, &dns.zone) {
        found.add(field, format!("{name:?} is not inside the zone {}", dns.zone));
    } else if name.strip_prefix(EPOCH_RECORD).and_then(|rest| rest.strip_prefix('.')) == Some(&dns.zone) {
        found.add(field, format!("{name:?} is reserved: Lifeboat keeps the epoch of the newest flip there"));
    } else if record.kind == RecordType::Cname && name == &dns.zone {
        found.add(field, "is the zone itself, which cannot be a CNAME");
    }
}

fn repeated(earlier: &[Record], record: &Record, at: &str, found: &mut Problems) {
    for (index, other) in earlier.iter().enumerate().filter(|(_, other)| other.name == record.name) {
        if other.kind == record.kind {
            found.add(
                format!("{at}.name"),
                format!("{} {} is dns.records[{index}] already", record.name, record.kind),
            );
        } else if RecordType::Cname == other.kind || RecordType::Cname == record.kind {
            found.add(
                format!("{at}.type"),
                format!(
                    "a CNAME must be the only record of its name, but dns.records[{index}] is {} {}",
                    other.name, other.kind
                ),
            );
        }
    }
}

fn values(record: &Record, at: &str, found: &mut Problems) {
    for (side, values) in [("primary", &record.primary), ("recovery", &record.recovery)] {
        let field = format!("{at}.{side}");
        if record.kind == RecordType::Cname && values.len() != 1 {
            found.add(&field, format!("a CNAME has exactly one name, but here are {}", values.len()));
        } else {
            found.count(&field, values.len(), &bounds::RECORD_VALUES, "values");
        }
        for (index, value) in values.iter().enumerate() {
            let at = format!("{field}[{index}]");
            if let Err(why) = fits(record, value) {
                found.add(at, format!("{value:?} {why}"));
            } else if values[..index].contains(value) {
                found.add(at, format!("{value:?} is listed twice"));
            } else if side == "recovery" && record.primary.contains(value) {
                // Also when the two sides differ otherwise: what both share would go on sending clients to a
                // side that no longer has the pen.
                found.add(at, format!("{value:?} is a value of the primary too; the two sides must differ"));
            }
        }
    }
}

/// Whether a value is of its record's type, in the one form that Route 53 gives back unchanged.
fn fits(record: &Record, value: &str) -> Result<(), String> {
    match record.kind {
        RecordType::A => match value.parse::<Ipv4Addr>() {
            Ok(address) if address.is_unspecified() || address.is_multicast() || address.is_broadcast() => {
                Err("is no address of a host".into())
            }
            Ok(_) => Ok(()),
            Err(_) => Err("is no IPv4 address, which a record of type A needs".into()),
        },
        RecordType::Aaaa => match value.parse::<Ipv6Addr>() {
            Ok(address) if address.is_unspecified() || address.is_multicast() => {
                Err("is no address of a host".into())
            }
            Ok(address) if address.to_string() != value => Err(format!("must be written {address}")),
            Ok(_) => Ok(()),
            Err(_) => Err("is no IPv6 address, which a record of type AAAA needs".into()),
        },
        RecordType::Cname if value == record.name => Err("is the record's own name".into()),
        RecordType::Cname if value.parse::<Ipv4Addr>().is_ok() => {
            Err("is an address, but a CNAME needs a name".into())
        }
        RecordType::Cname if !syntax::is_dns_name(value) => {
            Err("is no name, which a CNAME needs: lower case, without the closing dot".into())
        }
        RecordType::Cname => Ok(()),
    }
}

fn bad_name(name: &str) -> String {
    format!(
        "{name:?} must be a full DNS name in lower case, without the closing dot: labels of letters, digits, `-` \
         and `_`"
    )
}

/// One flip is one batch: old values deleted, new ones created, the epoch's TXT replaced.
fn batch(dns: &Dns, found: &mut Problems) {
    let values = || dns.records.iter().flat_map(|record| record.primary.iter().chain(&record.recovery));
    let count = values().count() + 2;
    let chars = values().map(|value| value.chars().count()).sum::<usize>() + 2 * bounds::EPOCH_VALUE_CHARS;
    if count > bounds::BATCH_VALUES_MAX {
        found.add(
            "dns.records",
            format!(
                "a flip would need {count} values, old and new and the epoch's, but one Route 53 batch takes {}; \
                 point many names at few with CNAMEs that stay",
                bounds::BATCH_VALUES_MAX
            ),
        );
    }
    if chars > bounds::BATCH_CHARS_MAX {
        found.add(
            "dns.records",
            format!(
                "a flip would need {chars} characters of values, old and new and the epoch's, but one Route 53 \
                 batch takes {}",
                bounds::BATCH_CHARS_MAX
            ),
        );
    }
}
