use super::*;
use crate::dns::switch::{METRIC_DIMENSION, METRIC_NAME, METRIC_NAMESPACE, PERIOD_SECONDS, alarm_name, pair};
use crate::dns::{Fence, Half, RecordSet};
use crate::plan::{Names, RecordType, Side};

const GATE: &str = "11111111-2222-3333-4444-555555555555";
const GATEWAY: &str = "gateway.aex.internal A";

fn plan(strategy: Strategy) -> Plan {
    let mut plan =
        Plan::from_json(include_bytes!("../../../tests/plan.json")).expect("the test's plan is valid");
    plan.dns.strategy = strategy;
    plan.dns.health_check = (strategy == Strategy::Switch).then(|| GATE.to_owned());
    plan.dns.names = vec![Names {
        name: "{symbol}.md.aex.internal".to_owned(),
        list: "symbols.txt".to_owned(),
        kind: RecordType::A,
        ttl: 5,
        primary: vec!["10.0.0.20".to_owned()],
        recovery: vec!["10.1.0.20".to_owned()],
    }];
    plan
}

/// All that a look sees, in a state that is sound; tests spoil a part of it.
struct World {
    plan: Plan,
    records: Vec<Record>,
    hosted: HostedZone,
    zone: Vec<Found>,
    networks: Vec<String>,
    epoch: u64,
    flip: Option<FlipObject>,
    unreadable: Option<UnreadableFlip>,
    gate: Option<Gate>,
}

impl World {
    fn sound(strategy: Strategy) -> Self {
        let plan = plan(strategy);
        let mut records = plan.dns.records.clone();
        records.push(plan.dns.names[0].record("msft"));
        let mut zone = vec![
            Found::Set(RecordSet::new("aex.internal", "NS", 172_800, ["ns-0.awsdns-00.com.".to_owned()])),
            Found::Set(RecordSet::new(
                "nvda.md.aex.internal",
                "CNAME",
                300,
                ["msft.md.aex.internal".to_owned()],
            )),
            Found::Set(RecordSet::new("printer.aex.internal", "A", 300, ["10.0.9.9".to_owned()])),
        ];
        for record in &records {
            match strategy {
                Strategy::Switch => zone.extend(pair(record, GATE).map(Found::Set)),
                Strategy::Records => zone.push(Found::Set(plain(record, Side::Primary))),
            }
        }
        let gate = (strategy == Strategy::Switch).then(|| sound_gate(&plan));
        let hosted = HostedZone {
            name: "aex.internal.".to_owned(),
            private: true,
            networks: vec!["vpc-1".to_owned(), "vpc-2".to_owned()],
        };
        let networks = vec!["vpc-2".to_owned()];
        Self { plan, records, hosted, zone, networks, epoch: 3, flip: None, unreadable: None, gate }
    }

    fn check(&self) -> Vec<Finding> {
        check(&Seen {
            plan: &self.plan,
            records: &self.records,
            hosted: &self.hosted,
            zone: &self.zone,
            networks: &self.networks,
            epoch: self.epoch,
            flip: self.flip.as_ref(),
            unreadable: self.unreadable.as_ref(),
            gate: self.gate.as_ref(),
        })
    }

    /// The only finding, and what it says.
    #[track_caller]
    fn finds(&self, kind: Kind, place: &str, what: &str) {
        let found = self.check();
        assert_eq!(found.len(), 1, "{found:#?}");
        let found = &found[0];
        assert_eq!((found.kind, found.place.as_str()), (kind, place), "{found:?}");
        assert!(found.what.contains(what), "{found:?} does not say {what:?}");
        assert!(!found.next.is_empty());
    }

    /// The sets of the gateway's record, to be spoilt.
    fn gateway(&mut self) -> Vec<&mut RecordSet> {
        let sets = self.zone.iter_mut().filter_map(|found| match found {
            Found::Set(set) if set.name == "gateway.aex.internal" => Some(set),
            _ => None,
        });
        sets.collect()
    }

    fn replace_gateway(&mut self, with: Found) {
        self.zone.retain(|found| found.name() != "gateway.aex.internal");
        self.zone.push(with);
    }
}

fn plain(record: &Record, side: Side) -> RecordSet {
    RecordSet::new(&record.name, &record.kind.to_string(), record.ttl, record.values(side).iter().cloned())
}

fn sound_gate(plan: &Plan) -> Gate {
    let watched = Watched {
        metric: format!("{METRIC_NAMESPACE} {METRIC_NAME}"),
        dimensions: vec![(METRIC_DIMENSION.to_owned(), plan.name.clone())],
        statistic: "Maximum".to_owned(),
        period_seconds: PERIOD_SECONDS,
        evaluation_periods: 1,
        comparison: "GreaterThanOrEqualToThreshold".to_owned(),
        threshold: 1.0,
    };
    Gate {
        health_check: Some(HealthCheck {
            kind: "CLOUDWATCH_METRIC".to_owned(),
            alarm: Some((alarm_name(&plan.name), "eu-central-1".to_owned())),
            inverted: false,
            disabled: false,
            insufficient_data: Some("LastKnownStatus".to_owned()),
            copy: Some(watched.clone()),
        }),
        alarm: Some(Alarm {
            watched,
            datapoints_to_alarm: None,
            missing_data: Some("ignore".to_owned()),
            state: "OK".to_owned(),
        }),
    }
}

fn flip(epoch: u64, side: Side) -> FlipObject {
    FlipObject { epoch, run: format!("run-{epoch}"), side }
}

#[test]
fn a_sound_zone_has_no_finding() {
    for strategy in [Strategy::Switch, Strategy::Records] {
        assert_eq!(World::sound(strategy).check(), []);
    }
    // On the recovery side as well.
    let mut world = World::sound(Strategy::Switch);
    world.flip = Some(flip(3, Side::Recovery));
    world.gate.as_mut().unwrap().alarm.as_mut().unwrap().state = "ALARM".to_owned();
    assert_eq!(world.check(), []);
    let mut world = World::sound(Strategy::Records);
    world.zone.retain(|found| !matches!(found.kind(), "A"));
    let recovery: Vec<Found> =
        world.records.iter().map(|record| Found::Set(plain(record, Side::Recovery))).collect();
    world.zone.extend(recovery);
    assert_eq!(world.check(), []);
}

#[test]
fn the_zone_itself_is_looked_at() {
    let mut world = World::sound(Strategy::Switch);
    world.hosted.name = "other.internal.".to_owned();
    world.finds(Kind::Zone, "zone Z0123456789", "it is other.internal, and the plan's zone is aex.internal");
    let mut world = World::sound(Strategy::Switch);
    world.hosted.private = false;
    world.finds(Kind::Zone, "zone Z0123456789", "it is public");
    let mut world = World::sound(Strategy::Records);
    world.networks = vec!["vpc-1".to_owned(), "vpc-9".to_owned()];
    world.finds(Kind::Network, "vpc-9", "not associated with zone Z0123456789 (vpc-1, vpc-2 are)");
}

type Spoil<T> = fn(&mut T);

#[test]
fn a_health_check_that_is_not_as_it_should_be_is_named() {
    let place = format!("health check {GATE}");
    let cases: [(Spoil<HealthCheck>, &str); 7] = [
        (|check| check.kind = "HTTP".to_owned(), "of type HTTP"),
        (|check| check.alarm.as_mut().unwrap().0 = "cpu".to_owned(), "follows the alarm cpu in eu-central-1"),
        (
            |check| check.alarm.as_mut().unwrap().1 = "us-east-1".to_owned(),
            "in us-east-1; the keeper publishes for",
        ),
        (|check| check.inverted = true, "it is inverted"),
        (|check| check.disabled = true, "it is disabled"),
        (|check| check.insufficient_data = Some("Unhealthy".to_owned()), "without data it says Unhealthy"),
        (
            |check| check.copy.as_mut().unwrap().threshold = 2.0,
            "in its copy of the alarm its threshold is \"2\"",
        ),
    ];
    for (spoil, what) in cases {
        let mut world = World::sound(Strategy::Switch);
        spoil(world.gate.as_mut().unwrap().health_check.as_mut().unwrap());
        world.finds(Kind::HealthCheck, &place, what);
    }
    let mut world = World::sound(Strategy::Switch);
    world.gate.as_mut().unwrap().health_check = None;
    world.finds(Kind::HealthCheck, &place, "it is not there");
    // Where Route 53 does not say what it has copied, nothing is made of it.
    let mut world = World::sound(Strategy::Switch);
    world.gate.as_mut().unwrap().health_check.as_mut().unwrap().copy = None;
    assert_eq!(world.check(), []);
}

#[test]
fn an_alarm_that_is_not_as_it_should_be_is_named() {
    let place = alarm_name("aex");
    let cases: [(Spoil<Alarm>, &str); 9] = [
        (|alarm| alarm.watched.metric = "Lifeboat Other".to_owned(), "its metric is \"Lifeboat Other\""),
        (
            |alarm| alarm.watched.dimensions[0].1 = "other".to_owned(),
            "\"Plan=other\", and \"Plan=aex\" is needed",
        ),
        (|alarm| alarm.watched.statistic = "Average".to_owned(), "its statistic is \"Average\""),
        (|alarm| alarm.watched.period_seconds = 300, "its period is \"300 s\", and \"60 s\""),
        (|alarm| alarm.watched.evaluation_periods = 5, "its evaluation periods is \"5\""),
        (|alarm| alarm.datapoints_to_alarm = Some(2), "datapoints to alarm is \"2\""),
        (
            |alarm| alarm.watched.comparison = "LessThanThreshold".to_owned(),
            "its comparison is \"LessThanThreshold\"",
        ),
        (|alarm| alarm.watched.threshold = 0.5, "its threshold is \"0.5\", and \"1\""),
        (|alarm| alarm.missing_data = None, "missing data is \"missing\", and \"ignore\""),
    ];
    for (spoil, what) in cases {
        let mut world = World::sound(Strategy::Switch);
        spoil(world.gate.as_mut().unwrap().alarm.as_mut().unwrap());
        world.finds(Kind::Alarm, &place, what);
    }
    let mut world = World::sound(Strategy::Switch);
    world.gate.as_mut().unwrap().alarm = None;
    world.finds(Kind::Alarm, &place, "there is no such alarm in the recovery Region");
}

#[test]
fn an_alarm_that_says_another_side_than_the_newest_flip_is_named() {
    let place = alarm_name("aex");
    for (flip, state, what) in [
        (None, "ALARM", "nobody has flipped, for which it is to be OK"),
        (None, "INSUFFICIENT_DATA", "it is in the state INSUFFICIENT_DATA"),
        (Some(flip(2, Side::Primary)), "ALARM", "the newest flip, of epoch 2, says primary"),
        (Some(flip(3, Side::Recovery)), "OK", "says recovery, for which it is to be ALARM"),
    ] {
        let mut world = World::sound(Strategy::Switch);
        world.flip = flip;
        world.gate.as_mut().unwrap().alarm.as_mut().unwrap().state = state.to_owned();
        world.finds(Kind::Alarm, &place, what);
    }
}

#[test]
fn an_epoch_of_nobody_is_named() {
    let mut world = World::sound(Strategy::Switch);
    world.flip = Some(flip(4, Side::Primary));
    world.finds(
        Kind::Epoch,
        "flip/aex/00000000000000000004",
        "run run-4 has flipped under epoch 4, and the newest that was claimed is 3",
    );

    let fence = |value: &str| {
        Found::Set(RecordSet::new("_lifeboat-epoch.aex.internal", "TXT", 60, [value.to_owned()]))
    };
    let of = |epoch, index, of| Fence { epoch, index, of, digest: "0123456789abcdef".to_owned() }.to_txt();
    for (value, what) in [
        (of(4, 1, 1), "epoch 4 has flipped this zone, and the newest that was claimed is 3"),
        (of(3, 2, 21), "epoch 3 was stopped at batch 2 of 21"),
        ("\"v=spf1 -all\"".to_owned(), "it is no fence of Lifeboat's"),
    ] {
        let mut world = World::sound(Strategy::Records);
        world.zone.push(fence(&value));
        world.finds(Kind::Epoch, "_lifeboat-epoch.aex.internal TXT", what);
    }
    let mut world = World::sound(Strategy::Records);
    world.zone.push(fence(&of(3, 21, 21)));
    assert_eq!(world.check(), []);
}

#[test]
fn under_switch_each_record_is_a_whole_pair_behind_the_gate() {
    fn half(set: &mut RecordSet) -> &mut Half {
        set.half.as_mut().expect("a half")
    }
    type Case = (fn(&mut World), Kind, &'static str);
    let cases: [Case; 9] = [
        (
            |world| world.zone.retain(|found| found.name() != "gateway.aex.internal"),
            Kind::Missing,
            "not in the zone",
        ),
        (
            |world| world.replace_gateway(Found::Set(plain(&world.records[0].clone(), Side::Primary))),
            Kind::NotPrepared,
            "plain record: no flip moves it",
        ),
        (
            |world| {
                world.zone.retain(|found| !matches!(found, Found::Set(set)
                    if set.name == "gateway.aex.internal" && set.half.as_ref().is_some_and(|half| half.health_check.is_some())));
            },
            Kind::Pair,
            "the primary half of its pair is not there",
        ),
        (|world| half(world.gateway()[0]).health_check = None, Kind::Pair, "primary half has no gate"),
        (
            |world| half(world.gateway()[0]).health_check = Some("another".to_owned()),
            Kind::Pair,
            "gated by another health check, another",
        ),
        (
            |world| half(world.gateway()[1]).health_check = Some(GATE.to_owned()),
            Kind::Pair,
            "recovery half is gated by 11111111",
        ),
        (
            |world| world.gateway()[0].values = vec!["10.0.0.99".to_owned()],
            Kind::Values,
            "for the primary side it answers 10.0.0.99, and the plan says 10.0.0.10",
        ),
        (
            |world| world.gateway()[1].values = vec!["10.1.0.99".to_owned()],
            Kind::Values,
            "for the recovery side it answers 10.1.0.99",
        ),
        (
            |world| world.gateway()[1].ttl = 300,
            Kind::Ttl,
            "its time to live is 300 s, over the limit of 60 s, and the plan says 5 s",
        ),
    ];
    for (spoil, kind, what) in cases {
        let mut world = World::sound(Strategy::Switch);
        spoil(&mut world);
        world.finds(kind, GATEWAY, what);
    }
}

#[test]
fn a_record_that_is_not_lifeboats_to_edit_is_named_under_either_strategy() {
    for (strategy, what) in [
        (Strategy::Switch, "it is weighted: no flip moves it"),
        (Strategy::Records, "it is weighted: a flip stops at it"),
    ] {
        let mut world = World::sound(strategy);
        world.replace_gateway(Found::Foreign {
            name: "gateway.aex.internal".to_owned(),
            kind: "A".to_owned(),
            why: "is weighted".to_owned(),
        });
        world.finds(Kind::Foreign, GATEWAY, what);
    }
}

#[test]
fn under_records_each_record_is_plain_and_all_are_on_one_side() {
    let mut world = World::sound(Strategy::Records);
    world.zone.retain(|found| found.name() != "gateway.aex.internal");
    world.finds(Kind::Missing, GATEWAY, "not in the zone");
    world.zone.extend(pair(&world.records[0].clone(), GATE).map(Found::Set));
    world.finds(Kind::NotPrepared, GATEWAY, "it is a failover pair");

    let mut world = World::sound(Strategy::Records);
    world.gateway()[0].values = vec!["10.0.0.99".to_owned()];
    world.finds(Kind::Values, GATEWAY, "it answers 10.0.0.99, which is the plan's value for neither side");
    world.gateway()[0].values = vec!["10.1.0.10".to_owned()];
    world.finds(
        Kind::Epoch,
        "zone aex.internal",
        "2 records hold the primary's values and 1 the recovery side's: a flip was stopped",
    );
}

#[test]
fn what_a_flip_does_not_move_and_looks_as_if_it_should_is_named() {
    let set =
        |name: &str, kind: &str, value: &str| Found::Set(RecordSet::new(name, kind, 5, [value.to_owned()]));
    for (found, place, what) in [
        (
            set("old.aex.internal", "A", "10.0.0.10"),
            "old.aex.internal A",
            "points at the primary's 10.0.0.10",
        ),
        (
            set("new.md.aex.internal", "A", "10.7.7.7"),
            "new.md.aex.internal A",
            "follows the rule {symbol}.md.aex.internal",
        ),
        (
            set("new.md.aex.internal", "CNAME", "elsewhere.aex.internal"),
            "new.md.aex.internal CNAME",
            "follows the rule {symbol}.md.aex.internal",
        ),
        (
            Found::Foreign {
                name: "new.md.aex.internal".to_owned(),
                kind: "A".to_owned(),
                why: "is an alias".to_owned(),
            },
            "new.md.aex.internal A",
            "follows the rule",
        ),
    ] {
        for strategy in [Strategy::Switch, Strategy::Records] {
            let mut world = World::sound(strategy);
            world.zone.push(found.clone());
            world.finds(Kind::OutsideThePlan, place, what);
        }
    }
    // A name below a symbol is another one, and what is not an address or a name is nobody's business.
    for found in [set("a.b.md.aex.internal", "A", "10.7.7.7"), set("new.md.aex.internal", "TXT", "\"x\"")] {
        let mut world = World::sound(Strategy::Switch);
        world.zone.push(found);
        assert_eq!(world.check(), []);
    }
}

#[test]
fn a_newest_flip_that_cannot_be_read_is_one_finding_and_the_rest_is_looked_at() {
    let mut world = World::sound(Strategy::Switch);
    let key = "flip/aex/00000000000000000004".to_owned();
    world.unreadable = Some(UnreadableFlip { key: key.clone(), why: "no JSON".to_owned() });
    // Its alarm may be on for good reason: what it is to say is not known.
    if let Some(alarm) = world.gate.as_mut().and_then(|gate| gate.alarm.as_mut()) {
        alarm.state = "ALARM".to_owned();
    }
    world.finds(Kind::Epoch, &key, "no JSON");
    world.hosted.private = false;
    let kinds: Vec<Kind> = world.check().iter().map(|finding| finding.kind).collect();
    assert_eq!(kinds, [Kind::Zone, Kind::Epoch]);
}
