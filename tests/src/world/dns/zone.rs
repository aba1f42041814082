//! What a hosted zone answers: pure, so that NXDOMAIN and NODATA can be told apart without a socket.

use std::collections::BTreeMap;

use hickory_proto::rr::rdata::SOA;
use hickory_proto::rr::{LowerName, Name, RData, Record, RecordType};

/// A chain of aliases longer than this is a loop.
const CNAMES_MAX: usize = 8;
/// What Route 53 gives a new zone: how long "there is no such name" may be remembered.
const NEGATIVE_TTL_SECONDS: u32 = 900;

/// All zones that are served.
#[derive(Debug, Default, Clone)]
pub struct Zones(Vec<Zone>);

/// One zone.
#[derive(Debug, Clone)]
pub struct Zone {
    apex: LowerName,
    soa: Record,
    names: BTreeMap<LowerName, BTreeMap<RecordType, Vec<Record>>>,
}

/// What the server says to one question.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// These records.
    Records(Vec<Record>),
    /// The name is there, a record of this type is not. What came before on the way (aliases), and the zone's SOA.
    NoData(Vec<Record>, Box<Record>),
    /// There is no such name. What came before on the way (aliases), and the zone's SOA.
    NoSuchName(Vec<Record>, Box<Record>),
    /// The name is in none of the zones.
    NotOurs,
}

impl Zone {
    /// An empty zone.
    pub fn new(apex: &Name) -> Self {
        let server = Name::from_ascii("ns-local.lifeboat.internal.").unwrap_or_else(|_| apex.clone());
        let soa = SOA::new(server, apex.clone(), 1, 7_200, 900, 1_209_600, NEGATIVE_TTL_SECONDS);
        let soa = Record::from_rdata(apex.clone(), NEGATIVE_TTL_SECONDS, RData::SOA(soa));
        Self { apex: apex.into(), soa, names: BTreeMap::new() }
    }

    /// Adds a record; an SOA takes the place of the one that there is.
    pub fn add(&mut self, record: Record) {
        if record.record_type() == RecordType::SOA {
            self.soa = record.clone();
        }
        let name = LowerName::from(&record.name);
        self.names.entry(name).or_default().entry(record.record_type()).or_default().push(record);
    }

    /// A name exists if it has records, or if a name beneath it has (RFC 8020).
    fn has(&self, name: &LowerName) -> bool {
        *name == self.apex || self.names.keys().any(|known| name.zone_of(known))
    }

    fn look_up(&self, name: &LowerName, wanted: RecordType) -> Option<&Vec<Record>> {
        let types = self.names.get(name)?;
        types.get(&wanted).or_else(|| types.get(&RecordType::CNAME))
    }

    /// The SOA as it goes with a negative answer: its TTL says for how long that may be remembered (RFC 2308).
    fn negative_soa(&self) -> Box<Record> {
        let mut soa = self.soa.clone();
        if let RData::SOA(data) = &soa.data {
            soa.ttl = soa.ttl.min(data.minimum);
        }
        Box::new(soa)
    }
}

impl FromIterator<Zone> for Zones {
    fn from_iter<T: IntoIterator<Item = Zone>>(zones: T) -> Self {
        Self(zones.into_iter().collect())
    }
}

impl Zones {
    /// Answers a question.
    pub fn answer(&self, name: &LowerName, wanted: RecordType) -> Answer {
        let mut name = name.clone();
        let mut so_far: Vec<Record> = Vec::new();
        for _ in 0..=CNAMES_MAX {
            let Some(zone) = self.closest(&name) else {
                // An alias that leads out of our zones: the asker follows it on its own.
                return if so_far.is_empty() { Answer::NotOurs } else { Answer::Records(so_far) };
            };
            let Some(records) = zone.look_up(&name, wanted) else {
                return match zone.has(&name) {
                    true => Answer::NoData(so_far, zone.negative_soa()),
                    false => Answer::NoSuchName(so_far, zone.negative_soa()),
                };
            };
            so_far.extend(records.iter().cloned());
            match records.first().map(|record| &record.data) {
                Some(RData::CNAME(target)) if wanted != RecordType::CNAME => {
                    name = LowerName::from(&target.0)
                }
                _ => return Answer::Records(so_far),
            }
        }
        Answer::Records(so_far)
    }

    /// The zone that answers for a name: the one with the longest apex, as in a VPC with overlapping zones.
    fn closest(&self, name: &LowerName) -> Option<&Zone> {
        self.0.iter().filter(|zone| zone.apex.zone_of(name)).max_by_key(|zone| zone.apex.num_labels())
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use hickory_proto::rr::rdata::{A, CNAME, TXT};

    use super::*;

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    fn zones() -> Zones {
        let mut zone = Zone::new(&name("aex.internal."));
        let a = |last| RData::A(A(Ipv4Addr::new(10, 0, 0, last)));
        zone.add(Record::from_rdata(name("gateway.aex.internal."), 5, a(1)));
        zone.add(Record::from_rdata(name("gateway.aex.internal."), 5, a(2)));
        zone.add(Record::from_rdata(
            name("AAPL.md.aex.internal."),
            7,
            RData::CNAME(CNAME(name("gateway.aex.internal."))),
        ));
        zone.add(Record::from_rdata(name("out.aex.internal."), 7, RData::CNAME(CNAME(name("example.com.")))));
        zone.add(Record::from_rdata(
            name("loop.aex.internal."),
            7,
            RData::CNAME(CNAME(name("loop.aex.internal."))),
        ));
        zone.add(Record::from_rdata(
            name("_lifeboat-epoch.aex.internal."),
            0,
            RData::TXT(TXT::new(vec!["42/3of21/ab".to_owned()])),
        ));
        [zone].into_iter().collect()
    }

    fn ask(question: &str, wanted: RecordType) -> Answer {
        zones().answer(&LowerName::from(name(question)), wanted)
    }

    #[test]
    fn a_record_is_answered_with_its_own_ttl_whatever_the_case() {
        let Answer::Records(records) = ask("GateWay.aex.internal.", RecordType::A) else { panic!() };
        assert_eq!(records.iter().map(|record| record.ttl).collect::<Vec<_>>(), [5, 5]);
    }

    #[test]
    fn an_alias_is_followed_inside_and_left_to_the_asker_outside() {
        let Answer::Records(records) = ask("aapl.md.aex.internal.", RecordType::A) else { panic!() };
        assert_eq!(records.len(), 3);
        let Answer::Records(records) = ask("aapl.md.aex.internal.", RecordType::CNAME) else { panic!() };
        assert_eq!(records.len(), 1);
        let Answer::Records(records) = ask("out.aex.internal.", RecordType::A) else { panic!() };
        assert_eq!(records.len(), 1);
        let Answer::Records(records) = ask("loop.aex.internal.", RecordType::A) else { panic!() };
        assert_eq!(records.len(), CNAMES_MAX + 1);
    }

    #[test]
    fn no_such_name_and_no_such_record_are_told_apart() {
        assert!(matches!(ask("nobody.aex.internal.", RecordType::A), Answer::NoSuchName(_, _)));
        assert!(matches!(ask("gateway.aex.internal.", RecordType::AAAA), Answer::NoData(_, _)));
        // Nothing at this name, but something beneath it.
        assert!(matches!(ask("md.aex.internal.", RecordType::A), Answer::NoData(_, _)));
        assert!(matches!(ask("aex.internal.", RecordType::A), Answer::NoData(_, _)));
        let Answer::NoData(before, soa) = ask("aapl.md.aex.internal.", RecordType::TXT) else { panic!() };
        assert_eq!((before.len(), soa.record_type(), soa.ttl), (1, RecordType::SOA, NEGATIVE_TTL_SECONDS));
    }

    #[test]
    fn other_zones_are_not_ours() {
        assert_eq!(ask("example.com.", RecordType::A), Answer::NotOurs);
        assert_eq!(ask("notaex.internal.", RecordType::A), Answer::NotOurs);
    }
}
