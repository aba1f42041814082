//! Route 53 in, DNS answers out, on UDP and TCP.
//!
//! Asked by hickory's own resolver, which is the server's relative, and by dnspython, which has nothing to do with either.
//!
//! What this does not prove: that Route 53 judges health checks on alarms as it documents, and how long it takes to.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::Duration;

use aws_sdk_cloudwatch::types::{MetricDatum, StateValue};
use aws_sdk_route53::types::{
    Change, ChangeAction, ChangeBatch, ResourceRecord, ResourceRecordSet, ResourceRecordSetFailover, RrType,
    Vpc, VpcRegion,
};
use futures::future::join_all;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{RData, RecordType};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::xfer::Protocol;
use hickory_resolver::net::{DnsError, NetError};
use lifeboat_rules::dns::switch::METRIC_NAMESPACE;
use lifeboat_tests::world::deploy::create_gate;
use lifeboat_tests::world::{World, WorldOptions};
use serde_json::{Value, json};
use tokio::process::Command;

fn set(name: &str, kind: RrType, ttl: i64, values: &[&str]) -> ResourceRecordSet {
    let values = values.iter().map(|value| ResourceRecord::builder().value(*value).build().unwrap());
    ResourceRecordSet::builder()
        .name(name)
        .r#type(kind)
        .ttl(ttl)
        .set_resource_records(Some(values.collect()))
        .build()
        .unwrap()
}

fn change(action: ChangeAction, set: ResourceRecordSet) -> Change {
    Change::builder().action(action).resource_record_set(set).build().unwrap()
}

fn resolver(world: &World, protocol: Protocol) -> TokioResolver {
    let at = world.dns_address();
    let mut connection = match protocol {
        Protocol::Tcp => ConnectionConfig::tcp(),
        _ => ConnectionConfig::udp(),
    };
    connection.port = at.port();
    let server = NameServerConfig::new(at.ip(), true, vec![connection]);
    let config = ResolverConfig::from_parts(None, vec![], vec![server]);
    let mut options = ResolverOpts::default();
    options.cache_size = 0;
    options.attempts = 1;
    options.timeout = Duration::from_secs(2);
    TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        .with_options(options)
        .build()
        .unwrap()
}

async fn code(resolver: &TokioResolver, name: &str, kind: RecordType) -> (ResponseCode, bool) {
    match resolver.lookup(name, kind).await {
        Err(NetError::Dns(DnsError::NoRecordsFound(none))) => (none.response_code, none.soa.is_some()),
        Err(NetError::Dns(DnsError::ResponseCode(code))) => (code, false),
        other => panic!("{name} {kind}: {other:?}"),
    }
}

/// A zone, and the control plane that changes it.
struct Zone {
    route53: aws_sdk_route53::Client,
    id: String,
}

impl Zone {
    async fn create(world: &World) -> Zone {
        let route53 = world.clients("us-east-1").route53;
        let vpc = Vpc::builder().vpc_id("vpc-1").vpc_region(VpcRegion::EuCentral1).build();
        let create = route53.create_hosted_zone().name("aex.internal").caller_reference("1").vpc(vpc);
        let id = create.send().await.unwrap().hosted_zone.unwrap().id;
        Zone { route53, id }
    }

    async fn change(&self, changes: Vec<Change>) {
        let batch = ChangeBatch::builder().set_changes(Some(changes)).build().unwrap();
        let change = self.route53.change_resource_record_sets().hosted_zone_id(&self.id);
        change.change_batch(batch).send().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_route_53_holds_is_what_dns_answers() {
    let world = World::start(WorldOptions::default()).await.unwrap();
    let zone = Zone::create(&world).await;
    let alter = |changes: Vec<Change>| zone.change(changes);
    let gateway = |value: &str| set("gateway.aex.internal", RrType::A, 5, &[value]);
    alter(vec![
        change(ChangeAction::Create, gateway("127.0.1.1")),
        change(ChangeAction::Create, set("six.aex.internal", RrType::Aaaa, 6, &["fd00::1"])),
        change(
            ChangeAction::Create,
            set("aapl.md.aex.internal", RrType::Cname, 7, &["gateway.aex.internal"]),
        ),
        change(ChangeAction::Create, set("_lifeboat-epoch.aex.internal", RrType::Txt, 0, &["\"1/1of1/ab\""])),
        change(
            ChangeAction::Create,
            set("many.aex.internal", RrType::Txt, 0, &[&"\"0123456789\" ".repeat(150)]),
        ),
    ])
    .await;
    world.dns().settled().await;

    for protocol in [Protocol::Udp, Protocol::Tcp] {
        let resolver = resolver(&world, protocol);
        let answer = resolver.lookup("gateway.aex.internal.", RecordType::A).await.unwrap();
        assert_eq!(answer.answers()[0].ttl, 5);
        assert_eq!(answer.answers()[0].data.to_string(), "127.0.1.1");
        let answer = resolver.lookup("six.aex.internal.", RecordType::AAAA).await.unwrap();
        assert_eq!(answer.answers()[0].data.to_string(), "fd00::1");
        let answer = resolver.lookup("AAPL.md.aex.internal.", RecordType::A).await.unwrap();
        assert!(answer.answers().iter().any(|record| record.data.to_string() == "127.0.1.1"), "{answer:?}");
        let answer = resolver.lookup("_lifeboat-epoch.aex.internal.", RecordType::TXT).await.unwrap();
        let RData::TXT(text) = &answer.answers()[0].data else { panic!("{answer:?}") };
        assert_eq!(&text.txt_data[0][..], b"1/1of1/ab");

        let nobody = code(&resolver, "nobody.aex.internal.", RecordType::A).await;
        assert_eq!(nobody, (ResponseCode::NXDomain, true));
        let nodata = code(&resolver, "gateway.aex.internal.", RecordType::AAAA).await;
        assert_eq!(nodata, (ResponseCode::NoError, true));
        let other = code(&resolver, "example.com.", RecordType::A).await;
        assert_eq!(other.0, ResponseCode::Refused);
    }
    // Too long for one datagram: truncated there, and whole by TCP.
    let long = resolver(&world, Protocol::Tcp).lookup("many.aex.internal.", RecordType::TXT).await.unwrap();
    let RData::TXT(text) = &long.answers()[0].data else { panic!("{long:?}") };
    assert_eq!(text.txt_data.len(), 150);

    // The flip: exact values out, new ones in, in one batch.
    alter(vec![
        change(ChangeAction::Delete, gateway("127.0.1.1")),
        change(ChangeAction::Create, gateway("127.0.2.1")),
    ])
    .await;
    world.dns().settled().await;
    let answer =
        resolver(&world, Protocol::Udp).lookup("gateway.aex.internal.", RecordType::A).await.unwrap();
    assert_eq!(answer.answers()[0].data.to_string(), "127.0.2.1");

    // Refusing the API takes no name away.
    world.proxy().refuse_service("us-east-1", "route53");
    world.dns().settled().await;
    resolver(&world, Protocol::Udp).lookup("gateway.aex.internal.", RecordType::A).await.unwrap();
}

const ALARM: &str = "lifeboat-aex-traffic-on-recovery";

/// Both halves of a pair, the primary one behind `check`.
fn pair(name: &str, check: &str) -> [Change; 2] {
    let half = |value: &str, failover: ResourceRecordSetFailover, check: Option<&str>| {
        let mut half = set(name, RrType::A, 7, &[value]);
        half.set_identifier = Some(format!("lifeboat-{}", failover.as_str().to_lowercase()));
        half.failover = Some(failover);
        half.health_check_id = check.map(str::to_owned);
        change(ChangeAction::Create, half)
    };
    [
        half("127.0.1.1", ResourceRecordSetFailover::Primary, Some(check)),
        half("127.0.2.1", ResourceRecordSetFailover::Secondary, None),
    ]
}

/// The one address of a name, with its TTL.
async fn address(resolver: &TokioResolver, name: &str) -> (String, u32) {
    let answer = resolver.lookup(format!("{name}."), RecordType::A).await.unwrap();
    let addresses: Vec<_> =
        answer.answers().iter().filter(|record| record.record_type() == RecordType::A).collect();
    assert_eq!(addresses.len(), 1, "{answer:?}");
    (addresses[0].data.to_string(), addresses[0].ttl)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_pair_answers_by_the_alarm_of_its_check() {
    let world = World::start(WorldOptions::default()).await.unwrap();
    let check = create_gate(&world.clients(world.recovery()), "aex").await.unwrap();
    let zone = Zone::create(&world).await;
    let alias = set("aapl.md.aex.internal", RrType::Cname, 5, &["gateway.aex.internal"]);
    let [primary, secondary] = pair("gateway.aex.internal", &check);
    zone.change(vec![primary, secondary, change(ChangeAction::Create, alias)]).await;
    world.dns().settled().await;

    let cloudwatch = world.clients(world.recovery()).cloudwatch;
    let point = async |value: f64| {
        let datum = MetricDatum::builder().metric_name("TrafficOnRecovery").value(value).build();
        cloudwatch.put_metric_data().namespace(METRIC_NAMESPACE).metric_data(datum).send().await.unwrap();
    };
    let state = async |state: StateValue| {
        let set = cloudwatch.set_alarm_state().alarm_name(ALARM).state_value(state);
        set.state_reason("a test").send().await.unwrap();
    };
    let answers = async |expected: &str| {
        world.dns().health_settled().await;
        for protocol in [Protocol::Udp, Protocol::Tcp] {
            let resolver = resolver(&world, protocol);
            for name in ["gateway.aex.internal", "aapl.md.aex.internal"] {
                assert_eq!(address(&resolver, name).await, (expected.to_owned(), 7), "{protocol} {name}");
            }
        }
    };
    let (primary, secondary) = ("127.0.1.1", "127.0.2.1");
    // Nobody has published anything: the alarm has no data, and the check is new.
    answers(primary).await;
    point(0.0).await;
    answers(primary).await;
    point(1.0).await;
    answers(secondary).await;
    state(StateValue::InsufficientData).await;
    answers(secondary).await;
    state(StateValue::Ok).await;
    answers(primary).await;
    state(StateValue::Alarm).await;
    answers(secondary).await;
    cloudwatch.delete_alarms().alarm_names(ALARM).send().await.unwrap();
    answers(secondary).await;
    // What changes do not reach says what it said.
    world.dns().hold_answers();
    zone.route53.delete_health_check().health_check_id(&check).send().await.unwrap();
    answers(secondary).await;
    world.dns().renew_answers();
    answers(primary).await;
}

/// Asks one server for the addresses of each name, once by UDP and once by TCP: a line of JSON for each answer, every section
/// that matters in it.
const DNSPYTHON: &str = r#"
import json, sys
import dns.flags, dns.message, dns.query, dns.rcode, dns.rdatatype

host, port, *names = sys.argv[1:]
for name in names:
    for by, ask in (("udp", dns.query.udp), ("tcp", dns.query.tcp)):
        answer = ask(dns.message.make_query(name, "A"), host, port=int(port), timeout=5)
        records = [
            [rrset.name.to_text(), rrset.ttl, dns.rdatatype.to_text(rrset.rdtype), sorted(data.to_text() for data in rrset)]
            for rrset in answer.answer
        ]
        print(json.dumps({
            "by": by, "name": name, "code": dns.rcode.to_text(answer.rcode()),
            "authoritative": bool(answer.flags & dns.flags.AA), "truncated": bool(answer.flags & dns.flags.TC),
            "answer": records,
        }))
"#;

/// What dnspython is told, by UDP and by TCP.
async fn dnspython(world: &World, names: &[&str]) -> Vec<Value> {
    let at = world.dns_address();
    let mut command = Command::new(world.venv().python());
    command.args(["-c", DNSPYTHON, &at.ip().to_string(), &at.port().to_string()]).args(names);
    command.env_remove("PYTHONPATH").stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout)
        .expect("UTF-8")
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

/// An ordinary client, of no kin to the server: addresses, times to live, a name that is not there, and a pair before and
/// behind the change of its gate's alarm.
#[tokio::test(flavor = "multi_thread")]
async fn an_ordinary_client_is_told_the_same_by_udp_and_tcp() {
    let world = World::start(WorldOptions::default()).await.unwrap();
    let check = create_gate(&world.clients(world.recovery()), "aex").await.unwrap();
    let zone = Zone::create(&world).await;
    let plain = set("plain.aex.internal", RrType::A, 11, &["127.0.3.1", "127.0.3.2"]);
    let alias = set("aapl.md.aex.internal", RrType::Cname, 5, &["gateway.aex.internal"]);
    let [primary, secondary] = pair("gateway.aex.internal", &check);
    let create = |set| change(ChangeAction::Create, set);
    zone.change(vec![primary, secondary, create(alias), create(plain)]).await;
    world.dns().settled().await;

    let names =
        ["plain.aex.internal.", "gateway.aex.internal.", "AAPL.md.aex.internal.", "nobody.aex.internal."];
    let told = async |address: &str| {
        world.dns().health_settled().await;
        let gateway = json!(["gateway.aex.internal.", 7, "A", [address]]);
        // The zone's own spelling, whatever was asked.
        let alias = json!(["aapl.md.aex.internal.", 5, "CNAME", ["gateway.aex.internal."]]);
        let mut expected = Vec::new();
        for (name, code, answer) in [
            (names[0], "NOERROR", json!([["plain.aex.internal.", 11, "A", ["127.0.3.1", "127.0.3.2"]]])),
            (names[1], "NOERROR", json!([gateway])),
            (names[2], "NOERROR", json!([alias, gateway])),
            (names[3], "NXDOMAIN", json!([])),
        ] {
            for by in ["udp", "tcp"] {
                expected.push(json!({
                    "by": by, "name": name, "code": code, "authoritative": true, "truncated": false, "answer": answer,
                }));
            }
        }
        assert_eq!(dnspython(&world, &names).await, expected);
    };
    let cloudwatch = world.clients(world.recovery()).cloudwatch;
    let alarm = async |state: StateValue| {
        let set = cloudwatch.set_alarm_state().alarm_name(ALARM).state_value(state);
        set.state_reason("a test").send().await.unwrap();
    };
    told("127.0.1.1").await;
    alarm(StateValue::Alarm).await;
    told("127.0.2.1").await;
    alarm(StateValue::Ok).await;
    told("127.0.1.1").await;
}

/// More sets than the listing has pages of, by a multiple.
const PAIRS: usize = 1_000;
/// As many changes as Route 53 takes values in one batch.
const PAIRS_A_BATCH: usize = 500;

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_pairs_move_together_and_answer_while_the_zone_is_listed() {
    let world = World::start(WorldOptions::default()).await.unwrap();
    let check = create_gate(&world.clients(world.recovery()), "aex").await.unwrap();
    let zone = Zone::create(&world).await;
    let names: Vec<String> = (0..PAIRS).map(|number| format!("s{number}.md.aex.internal")).collect();
    for names in names.chunks(PAIRS_A_BATCH) {
        zone.change(names.iter().flat_map(|name| pair(name, &check)).collect()).await;
    }
    world.dns().settled().await;
    let resolver = resolver(&world, Protocol::Udp);
    let all = async || -> BTreeSet<String> {
        let mut said = BTreeSet::new();
        for names in names.chunks(50) {
            let answers = join_all(names.iter().map(|name| address(&resolver, name))).await;
            said.extend(answers.into_iter().map(|(address, _)| address));
        }
        said
    };
    let ((), said) = tokio::join!(world.dns().settled(), all());
    assert_eq!(said, BTreeSet::from(["127.0.1.1".to_owned()]));
    let cloudwatch = world.clients(world.recovery()).cloudwatch;
    let set = cloudwatch.set_alarm_state().alarm_name(ALARM).state_value(StateValue::Alarm);
    set.state_reason("a test").send().await.unwrap();
    world.dns().health_settled().await;
    let ((), said) = tokio::join!(world.dns().settled(), all());
    assert_eq!(said, BTreeSet::from(["127.0.2.1".to_owned()]));
}
