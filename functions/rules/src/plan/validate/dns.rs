//! Rules of the records: what Route 53 takes, and what a flip can delete again exactly.

use std::collections::HashMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::super::{Dns, EPOCH_RECORD, Names, Record, RecordType, SYMBOL, Strategy};
use super::{Problems, bounds, syntax};

pub(super) fn check(dns: &Dns, found: &mut Problems) {
    gate(dns, found);
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
    // One at least, of either kind.
    let least = usize::from(dns.names.is_empty());
    found.count("dns.records", dns.records.len(), &(least..=bounds::RECORDS_MAX), "records");
    let mut named = Named::default();
    for (index, record) in dns.records.iter().enumerate() {
        let at = format!("dns.records[{index}]");
        name(dns, record, zone_is_name, &format!("{at}.name"), found);
        named.check(index, record, &at, found);
        ttl_and_values(dns.strategy, record, &at, found);
    }
    found.count("dns.names", dns.names.len(), &(0..=bounds::NAME_RULES_MAX), "rules");
    for (index, rule) in dns.names.iter().enumerate() {
        by_rule(dns, rule, zone_is_name, &format!("dns.names[{index}]"), found);
    }
    if let Some(confirm) = &dns.confirm {
        found.within("dns.confirm.sample", confirm.sample, &bounds::CONFIRM_SAMPLE, " names");
    }
}

/// The health check belongs to the strategy.
fn gate(dns: &Dns, found: &mut Problems) {
    match (dns.strategy, &dns.health_check) {
        (Strategy::Switch, None) => found.add(
            "dns.health_check",
            "is missing; the strategy `switch` needs the id of the health check that gates the pairs, an output of the \
             foundation stack (or say `strategy: records`)",
        ),
        (Strategy::Switch, Some(id)) if !syntax::is_health_check(id) => found.add(
            "dns.health_check",
            format!("{id:?} must be a health check's id: up to 64 letters, digits and hyphens"),
        ),
        (Strategy::Records, Some(_)) => found.add(
            "dns.health_check",
            "belongs to the strategy `switch`; the strategy `records` has no gate",
        ),
        (Strategy::Switch, Some(_)) | (Strategy::Records, None) => {}
    }
}

/// A rule is judged by the record that it makes of a symbol of one letter; the symbols themselves are judged with the list.
fn by_rule(dns: &Dns, rule: &Names, zone_is_name: bool, at: &str, found: &mut Problems) {
    let field = format!("{at}.name");
    if rule.name.matches(SYMBOL).count() == 1 {
        let sample = rule.record("a");
        name(dns, &sample, zone_is_name, &field, found);
        ttl_and_values(dns.strategy, &sample, at, found);
    } else {
        found.add(field, format!("{:?} must have `{SYMBOL}` in it once", rule.name));
    }
    if rule.list.is_empty() {
        found.add(format!("{at}.list"), "must be the path of a list of symbols, one a line");
    }
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

/// The records so far, by their names: where each stands, and its type.
#[derive(Default)]
struct Named<'a>(HashMap<&'a str, Vec<(usize, RecordType)>>);

impl<'a> Named<'a> {
    fn check(&mut self, index: usize, record: &'a Record, at: &str, found: &mut Problems) {
        let earlier = self.0.entry(&record.name).or_default();
        for (other, kind) in earlier.iter() {
            if *kind == record.kind {
                found.add(
                    format!("{at}.name"),
                    format!("{} {} is dns.records[{other}] already", record.name, record.kind),
                );
            } else if RecordType::Cname == *kind || RecordType::Cname == record.kind {
                found.add(
                    format!("{at}.type"),
                    format!(
                        "a CNAME must be the only record of its name, but dns.records[{other}] is {} {kind}",
                        record.name
                    ),
                );
            }
        }
        earlier.push((index, record.kind));
    }
}

fn ttl_and_values(strategy: Strategy, record: &Record, at: &str, found: &mut Problems) {
    found.within(format!("{at}.ttl"), record.ttl, &bounds::TTL_SECONDS, " s");
    values(record, at, found);
    if strategy == Strategy::Switch {
        pair(record, at, found);
    }
}

/// A pair takes the place of a plain record in one batch: the primary's values go, and come again beside the recovery's; and
/// so on the way back. What a batch may have is Route 53's to say
/// (<https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DNSLimitations.html>); a DELETE and a CREATE count once each.
fn pair(record: &Record, at: &str, found: &mut Problems) {
    let sides = [&record.primary, &record.recovery];
    if sides.iter().any(|side| side.len() > *bounds::RECORD_VALUES.end()) {
        // Told already, with a bound that is nearer.
        return;
    }
    let [primary, recovery] = sides.map(|side| side.iter().map(|value| value.chars().count()).sum::<usize>());
    let values = 2 * record.primary.len() + record.recovery.len();
    let chars = 2 * primary + recovery;
    if values > bounds::BATCH_VALUES_MAX || chars > bounds::BATCH_CHARS_MAX {
        found.add(
            at,
            format!(
                "is too large for a pair: to make it, one batch needs the primary's values twice and the recovery's once, \
                 {values} values of {chars} characters, and Route 53 takes {} of {}; give it fewer values (or say \
                 `strategy: records`)",
                bounds::BATCH_VALUES_MAX,
                bounds::BATCH_CHARS_MAX
            ),
        );
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
