//! Route 53 in, DNS answers out, on UDP and TCP.

use std::time::Duration;

use aws_sdk_route53::types::{
    Change, ChangeAction, ChangeBatch, ResourceRecord, ResourceRecordSet, RrType, Vpc, VpcRegion,
};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{RData, RecordType};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::xfer::Protocol;
use hickory_resolver::net::{DnsError, NetError};
use lifeboat_tests::world::{World, WorldOptions};

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

#[tokio::test(flavor = "multi_thread")]
async fn what_route_53_holds_is_what_dns_answers() {
    let world = World::start(WorldOptions::default()).await.unwrap();
    let route53 = world.clients("us-east-1").route53;
    let made = route53
        .create_hosted_zone()
        .name("aex.internal")
        .caller_reference("1")
        .vpc(Vpc::builder().vpc_id("vpc-1").vpc_region(VpcRegion::EuCentral1).build())
        .send()
        .await
        .unwrap();
    let zone = made.hosted_zone.unwrap().id;
    let alter = |changes: Vec<Change>| {
        let batch = ChangeBatch::builder().set_changes(Some(changes)).build().unwrap();
        route53.change_resource_record_sets().hosted_zone_id(&zone).change_batch(batch).send()
    };
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
    .await
    .unwrap();
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
    .await
    .unwrap();
    world.dns().settled().await;
    let answer =
        resolver(&world, Protocol::Udp).lookup("gateway.aex.internal.", RecordType::A).await.unwrap();
    assert_eq!(answer.answers()[0].data.to_string(), "127.0.2.1");

    // Refusing the API takes no name away.
    world.proxy().refuse_service("us-east-1", "route53");
    world.dns().settled().await;
    resolver(&world, Protocol::Udp).lookup("gateway.aex.internal.", RecordType::A).await.unwrap();
}
