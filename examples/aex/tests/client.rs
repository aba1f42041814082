//! The client: it finds the exchange by name, forgets nothing, and is not fooled. See [`support`] for what the bucket
//! of these tests does not prove; the name server here is a few bytes of DNS, and nothing like Route 53.

mod support;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aex::app::Exchange;
use aex::client::{Client, ClientConfig};
use lifeboat_ledger::Holder;
use support::{Bucket, exchange_at, mode};
use tokio::net::UdpSocket;

const PRIMARY: Ipv4Addr = Ipv4Addr::new(127, 0, 1, 1);
const RECOVERY: Ipv4Addr = Ipv4Addr::new(127, 0, 2, 1);
const TTL_SECONDS: u8 = 1;
const PATIENCE: Duration = Duration::from_secs(20);

/// A name server that knows one address, for whatever name it is asked.
struct Dns {
    addr: SocketAddr,
    points_to: Arc<Mutex<Ipv4Addr>>,
}

impl Dns {
    async fn start(first: Ipv4Addr) -> Dns {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let addr = socket.local_addr().unwrap();
        let points_to = Arc::new(Mutex::new(first));
        let now = Arc::clone(&points_to);
        tokio::spawn(async move {
            let mut query = [0; 512];
            loop {
                let (length, from) = socket.recv_from(&mut query).await.unwrap();
                let answer = answer(&query[..length], *now.lock().unwrap());
                socket.send_to(&answer, from).await.unwrap();
            }
        });
        Dns { addr, points_to }
    }

    fn flip(&self, to: Ipv4Addr) {
        *self.points_to.lock().unwrap() = to;
    }
}

fn answer(query: &[u8], address: Ipv4Addr) -> Vec<u8> {
    let name = 12 + query[12..].iter().position(|byte| *byte == 0).unwrap();
    let question = &query[12..name + 5];
    let is_a = question[question.len() - 3] == 1;
    let mut answer = query[..2].to_vec();
    answer.extend([0x81, 0x80, 0, 1, 0, u8::from(is_a), 0, 0, 0, 0]);
    answer.extend(question);
    if is_a {
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, TTL_SECONDS, 0, 4]);
        answer.extend(address.octets());
    }
    answer
}

async fn side(bucket: &Bucket, side: &str, epoch: &str, listen: String) -> Exchange {
    exchange_at(bucket, side, epoch, &listen, "ME1=AAPL+MSFT").await
}

fn config(dns: &Dns, port: u16, directory: &std::path::Path) -> ClientConfig {
    ClientConfig {
        gateway: "gateway.aex.internal".into(),
        port,
        dns_server: dns.addr,
        symbols: vec!["AAPL".into(), "MSFT".into()],
        rate_per_second: 300,
        in_flight: 16,
        journal_path: directory.join("client.ndjson"),
        seed: 7,
    }
}

#[tokio::test]
async fn it_follows_the_name_to_the_other_side_and_finds_all_that_was_acknowledged() {
    let bucket = Bucket::start().await;
    bucket.open(1, Holder::Primary, "genesis");
    let primary = side(&bucket, "primary", "", format!("{PRIMARY}:0")).await;
    let port = primary.addr.port();
    let dns = Dns::start(PRIMARY).await;
    let directory = tempfile::tempdir().unwrap();
    let mut client = Client::start(config(&dns, port, directory.path())).unwrap();
    assert!(client.wait_for_count(200, PATIENCE).await, "{:?}", client.counts());

    primary.stop().await;
    let kill = client.mark_kill(Instant::now());
    assert!(kill.acknowledged >= 200 && kill.in_doubt <= 16, "{kill:?}");
    assert_eq!(kill.gateway, Some(SocketAddr::from((PRIMARY, port))));
    let recovery = side(&bucket, "recovery", "2", format!("{RECOVERY}:{port}")).await;
    bucket.seal(2, "run");
    bucket.open(2, Holder::Recovery, "run");
    mode(&recovery, "serving").await;
    assert_eq!(client.first_ack_after_kill(), None);
    dns.flip(RECOVERY);

    let first = client.wait_for_new_ack(PATIENCE).await.unwrap();
    assert_eq!(first.by, SocketAddr::from((RECOVERY, port)));
    assert!(client.wait_for_count(kill.acknowledged + 200, PATIENCE).await, "{:?}", client.counts());
    assert!(client.first_new_order_ack_after_kill().unwrap().at >= first.at);
    client.stop().await;

    let result = client.reconcile(8).await;
    assert_eq!((result.acknowledged, result.recovered), (kill.acknowledged, kill.acknowledged));
    assert_eq!(result.in_doubt, kill.in_doubt);
    assert!(
        result.lost.is_empty() && result.duplicated.is_empty() && result.unanswered.is_empty(),
        "{result:?}"
    );
    assert!(result.refused.is_empty(), "{result:?}");
    let journal = std::fs::read_to_string(directory.path().join("client.ndjson")).unwrap();
    let lines = |event: &str| journal.lines().filter(|line| line.contains(event)).count();
    assert_eq!(lines(r#""event":"acknowledged""#), client.counts().acknowledged);
    assert_eq!(lines(r#""event":"sent""#), client.counts().sent);
    bucket.tail();
    recovery.stop().await;
}

#[tokio::test]
async fn it_notices_what_is_gone() {
    let bucket = Bucket::start().await;
    bucket.open(1, Holder::Primary, "genesis");
    let first = side(&bucket, "primary", "", format!("{PRIMARY}:0")).await;
    let port = first.addr.port();
    let dns = Dns::start(PRIMARY).await;
    let directory = tempfile::tempdir().unwrap();
    let mut client = Client::start(config(&dns, port, directory.path())).unwrap();
    assert!(client.wait_for_count(50, PATIENCE).await, "{:?}", client.counts());
    client.stop().await;
    first.stop().await;

    // An exchange that has never heard of any of it.
    let empty = Bucket::start().await;
    empty.open(1, Holder::Primary, "genesis");
    let forgetful = side(&empty, "primary", "", format!("{PRIMARY}:{port}")).await;
    mode(&forgetful, "serving").await;
    let result = client.reconcile(8).await;
    assert_eq!((result.recovered, result.lost.len()), (0, client.counts().acknowledged));
    forgetful.stop().await;
}
