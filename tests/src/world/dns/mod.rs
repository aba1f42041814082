//! The DNS of the local world: answers for the emulator's hosted zones, on UDP and TCP of one loopback port, as the
//! resolver of a VPC would that is associated with all of them.

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
use tokio::task::JoinHandle;

pub use zone::{Answer, Zone, Zones};

use super::error::{Doing as _, WorldError};
use server::Answerer;

/// Real Route 53 takes a minute at worst to spread a change; here nobody wants to wait.
const POLL_EVERY: Duration = Duration::from_millis(200);
const TCP_IDLE: Duration = Duration::from_secs(10);
const TCP_ANSWERS_BUFFERED: usize = 32;
/// Tries to find a port that is free for UDP and for TCP.
const PORT_TRIES_MAX: usize = 20;

/// A running DNS server; it stops when it is dropped.
pub struct DnsServer {
    address: SocketAddr,
    polls: watch::Receiver<u64>,
    poll: JoinHandle<()>,
    stale: Arc<AtomicBool>,
    // Dropping it ends its listeners.
    _server: Server<Answerer>,
}

impl DnsServer {
    /// Starts one that reads zones through `route53`. Each query and its answer goes to `log`.
    pub async fn start(route53: aws_sdk_route53::Client, log: &Path) -> Result<Self, WorldError> {
        let (tcp, udp, address) = bind().await?;
        let (publish, zones) = watch::channel(Arc::new(Zones::default()));
        let (polled, polls) = watch::channel(0);
        let answerer = Answerer::new(zones, log).doing(|| format!("write the DNS log {}", log.display()))?;
        let mut server = Server::new(answerer);
        server.register_socket(udp);
        server.register_listener(tcp, TCP_IDLE, TCP_ANSWERS_BUFFERED);
        let stale = Arc::new(AtomicBool::new(false));
        let is_stale = Arc::clone(&stale);
        let poll = tokio::spawn(async move {
            loop {
                // A listing that fails halfway changes nothing: the last whole one stands.
                if let Ok(fresh) = source::zones(&route53).await
                    && !is_stale.load(Ordering::SeqCst)
                {
                    publish.send_replace(Arc::new(fresh));
                }
                polled.send_modify(|count| *count += 1);
                tokio::time::sleep(POLL_EVERY).await;
            }
        });
        Ok(Self { address, polls, poll, stale, _server: server })
    }

    /// Where to ask, by UDP or TCP.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on it answers what it answers now, whatever Route 53 takes, as a resolver does whose zone does not spread.
    pub fn hold_answers(&self) {
        self.stale.store(true, Ordering::SeqCst);
    }

    /// From now on it answers what Route 53 has, within a moment.
    pub fn renew_answers(&self) {
        self.stale.store(false, Ordering::SeqCst);
    }

    /// Returns once every change that Route 53 took before this call is served.
    pub async fn settled(&self) {
        let mut polls = self.polls.clone();
        // The poll under way may have listed before the change; the one after it has not.
        let enough = *polls.borrow() + 2;
        // It ends only when the server does, and then there is nothing to wait for.
        let _ = polls.wait_for(|count| *count >= enough).await;
    }
}

impl Drop for DnsServer {
    fn drop(&mut self) {
        self.poll.abort();
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
