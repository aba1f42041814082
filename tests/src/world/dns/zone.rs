//! What a hosted zone answers: pure, so that NXDOMAIN and NODATA can be told apart without a socket.

use std::collections::BTreeMap;

use hickory_proto::rr::rdata::SOA;
use hickory_proto::rr::{LowerName, Name, RData, Record, RecordType};

use super::health::Health;

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
    names: BTreeMap<LowerName, BTreeMap<RecordType, Sets>>,
}

/// The record sets of one name and type.
#[derive(Debug, Clone, Default)]
struct Sets {
    plain: Vec<Record>,
    primary: Option<Half>,
    secondary: Option<Half>,
}

/// Which half of a failover pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failover {
    /// It answers while it is healthy.
    Primary,
    /// It answers otherwise.
    Secondary,
}

/// One half of a failover pair.
#[derive(Debug, Clone)]
pub struct Half {
    /// What it answers.
    pub records: Vec<Record>,
    /// Its health check; without one it is always healthy.
    pub check: Option<String>,
}

impl Sets {
    /// What is answered. Of a pair, the first healthy half in the order of the policy; where none is healthy, all count as
    /// healthy, and so the primary answers
    /// (<https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/health-checks-how-route-53-chooses-records.html>).
    fn chosen(&self, health: &Health) -> &[Record] {
        let halves = || self.primary.iter().chain(&self.secondary);
        let healthy = halves().find(|half| health.holds(half.check.as_deref()));
        match healthy.or_else(|| halves().next()) {
            Some(half) => &half.records,
            None => &self.plain,
        }
    }
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
        self.sets(&record.name, record.record_type()).plain.push(record);
    }

    /// Adds one half of the failover pair of a name and type.
    pub fn add_half(&mut self, name: &Name, kind: RecordType, failover: Failover, half: Half) {
        let sets = self.sets(name, kind);
        match failover {
            Failover::Primary => sets.primary = Some(half),
            Failover::Secondary => sets.secondary = Some(half),
        }
    }

    fn sets(&mut self, name: &Name, kind: RecordType) -> &mut Sets {
        self.names.entry(LowerName::from(name)).or_default().entry(kind).or_default()
    }

    /// A name exists if it has records, or if a name beneath it has (RFC 8020). Names beneath it follow it in the order of
    /// the map, which is DNS's canonical one.
    fn has(&self, name: &LowerName) -> bool {
        *name == self.apex || self.names.range(name..).next().is_some_and(|(known, _)| name.zone_of(known))
    }

    fn look_up(&self, name: &LowerName, wanted: RecordType, health: &Health) -> Option<&[Record]> {
        let types = self.names.get(name)?;
        Some(types.get(&wanted).or_else(|| types.get(&RecordType::CNAME))?.chosen(health))
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
    /// Answers a question, where checks are as `health` says.
    pub fn answer(&self, name: &LowerName, wanted: RecordType, health: &Health) -> Answer {
        let mut name = name.clone();
        let mut so_far: Vec<Record> = Vec::new();
        for _ in 0..=CNAMES_MAX {
            let Some(zone) = self.closest(&name) else {
                // An alias that leads out of our zones: the asker follows it on its own.
                return if so_far.is_empty() { Answer::NotOurs } else { Answer::Records(so_far) };
            };
            let Some(records) = zone.look_up(&name, wanted, health) else {
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
        zones().answer(&LowerName::from(name(question)), wanted, &Health::default())
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

    /// A pair, its primary half behind the check `gate`, its secondary half behind `check`.
    fn pair(check: Option<&str>) -> Zones {
        let mut zone = Zone::new(&name("aex.internal."));
        let owner = name("aapl.aex.internal.");
        for (failover, ttl, last, check) in
            [(Failover::Secondary, 9, 2, check), (Failover::Primary, 7, 1, Some("gate"))]
        {
            let a = RData::A(A(Ipv4Addr::new(10, 0, 0, last)));
            let half = Half {
                records: vec![Record::from_rdata(owner.clone(), ttl, a)],
                check: check.map(str::to_owned),
            };
            zone.add_half(&owner, RecordType::A, failover, half);
        }
        let alias = RData::CNAME(CNAME(owner));
        zone.add(Record::from_rdata(name("alias.aex.internal."), 5, alias));
        [zone].into_iter().collect()
    }

    /// What is answered, each with its TTL.
    fn told(zones: &Zones, question: &str, health: &Health) -> Vec<String> {
        let question = LowerName::from(name(question));
        let Answer::Records(records) = zones.answer(&question, RecordType::A, health) else { panic!() };
        records.iter().map(|record| format!("{} {}", record.data, record.ttl)).collect()
    }

    #[test]
    fn of_a_pair_the_primary_half_answers_while_its_check_holds() {
        let (primary, secondary) = ("10.0.0.1 7", "10.0.0.2 9");
        let (well, ill, others) =
            (Health::default(), Health::without(["gate"]), Health::without(["another"]));
        let zones = pair(None);
        assert_eq!(told(&zones, "aapl.aex.internal.", &well), [primary]);
        assert_eq!(told(&zones, "aapl.aex.internal.", &others), [primary]);
        assert_eq!(told(&zones, "aapl.aex.internal.", &ill), [secondary]);
        let alias = "aapl.aex.internal. 5";
        assert_eq!(told(&zones, "alias.aex.internal.", &well), [alias, primary]);
        assert_eq!(told(&zones, "alias.aex.internal.", &ill), [alias, secondary]);
        // Where nothing is healthy, everything counts as healthy.
        let both = pair(Some("second"));
        assert_eq!(told(&both, "aapl.aex.internal.", &Health::without(["gate", "second"])), [primary]);
        assert_eq!(told(&both, "aapl.aex.internal.", &ill), [secondary]);
    }

    #[test]
    fn a_half_alone_answers_whatever_its_check_says() {
        let mut zone = Zone::new(&name("aex.internal."));
        let owner = name("half.aex.internal.");
        let record = Record::from_rdata(owner.clone(), 7, RData::A(A(Ipv4Addr::new(10, 0, 0, 1))));
        let half = Half { records: vec![record], check: Some("gate".into()) };
        zone.add_half(&owner, RecordType::A, Failover::Primary, half);
        let zones = [zone].into_iter().collect();
        assert_eq!(told(&zones, "half.aex.internal.", &Health::without(["gate"])).len(), 1);
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
