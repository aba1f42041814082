//! The DNS of the local world: answers for the emulator's hosted zones, on UDP and TCP of one loopback port, as the
//! resolver of a VPC would that is associated with all of them.
//!
//! Of a failover pair that half answers which its health check allows, and a health check on an alarm follows the alarm
//! within a fraction of a second. On AWS a change of the zone and of a check's status takes up to a minute more to be seen.

mod gates;
pub mod health;
mod poll;
mod server;
mod source;
mod zone;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hickory_server::Server;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::watch;

pub use zone::{Answer, Failover, Half, Zone, Zones};

use super::clients::Clients;
use super::error::{Doing as _, WorldError};
use gates::HealthReader;
use health::Health;
use poll::{Poll, Rest};
use server::Answerer;
use source::ZonesReader;

/// A large zone takes seconds to list, in which the emulator does little else.
const ZONES_REST: Rest = Rest { at_least: Duration::from_millis(200), times: 4 };
/// Two small calls.
const HEALTH_REST: Rest = Rest { at_least: Duration::from_millis(150), times: 4 };
const TCP_IDLE: Duration = Duration::from_secs(10);
const TCP_ANSWERS_BUFFERED: usize = 32;
/// Tries to find a port that is free for UDP and for TCP.
const PORT_TRIES_MAX: usize = 20;

/// A running DNS server; it stops when it is dropped.
pub struct DnsServer {
    address: SocketAddr,
    zones: Poll,
    health: Poll,
    hold: Arc<AtomicBool>,
    // Dropping it ends its listeners.
    _server: Server<Answerer>,
}

impl DnsServer {
    /// Starts one that reads zones, health checks and alarms at `endpoint`. Each query and its answer goes to `log`.
    ///
    /// # Errors
    /// Where no port is free, or the log cannot be written.
    pub async fn start(endpoint: &str, log: &Path) -> Result<Self, WorldError> {
        let (tcp, udp, address) = bind().await?;
        let (publish_zones, zones) = watch::channel(Arc::new(Zones::default()));
        let (publish_health, health) = watch::channel(Arc::new(Health::default()));
        let answerer =
            Answerer::new(zones, health, log).doing(|| format!("write the DNS log {}", log.display()))?;
        let mut server = Server::new(answerer);
        server.register_socket(udp);
        server.register_listener(tcp, TCP_IDLE, TCP_ANSWERS_BUFFERED);
        let hold = Arc::new(AtomicBool::new(false));
        // Where the control plane of Route 53 is.
        let clients = Clients::new(endpoint, "us-east-1");
        let route53 = clients.route53.clone();
        let zones = ZonesReader { route53, publish: publish_zones, hold: Arc::clone(&hold) };
        let health = HealthReader::new(endpoint, clients, publish_health, Arc::clone(&hold));
        Ok(Self {
            address,
            zones: Poll::start(zones, ZONES_REST),
            health: Poll::start(health, HEALTH_REST),
            hold,
            _server: server,
        })
    }

    /// Where to ask, by UDP or TCP.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on it answers what it answers now, whatever Route 53 takes and alarms say, as a resolver does that changes
    /// do not reach.
    pub fn hold_answers(&self) {
        self.hold.store(true, Ordering::SeqCst);
    }

    /// From now on it answers what Route 53 has and alarms say, within a moment.
    pub fn renew_answers(&self) {
        self.hold.store(false, Ordering::SeqCst);
    }

    /// Returns once every change that Route 53 and CloudWatch took before this call is served.
    pub async fn settled(&self) {
        tokio::join!(self.zones.fresh(), self.health.fresh());
    }

    /// The same of health checks and their alarms alone: a large zone takes seconds to list.
    pub async fn health_settled(&self) {
        self.health.fresh().await;
    }
}

impl std::fmt::Debug for DnsServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DnsServer").field("address", &self.address).finish_non_exhaustive()
    }
}

async fn bind() -> Result<(TcpListener, UdpSocket, SocketAddr), WorldError> {
    let mut last = None;
    for _ in 0..PORT_TRIES_MAX {
        let opened = async {
            let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            let address = tcp.local_addr()?;
            let udp = UdpSocket::bind(address).await?;
            Ok::<_, std::io::Error>((tcp, udp, address))
        };
        match opened.await {
            Ok(bound) => return Ok(bound),
            // Somebody has this number on UDP: take another.
            Err(why) => last = Some(why),
        }
    }
    Err(WorldError::failed("find a port for DNS", last.unwrap_or_else(|| std::io::Error::other("no try"))))
}
