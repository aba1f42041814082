//! The fault proxy: between whoever calls AWS and the emulator, so that a Region can be taken away, a call delayed,
//! throttled or done and never answered, and so that one can tell afterwards who called what.

mod call;
mod fault;
mod forward;
mod journal;
mod refusal;
mod scope;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

pub use call::Call;
pub use fault::{Fault, Meets, RuleId};
pub use journal::{Journal, Record};
pub use scope::Scope;

use super::error::{Doing as _, WorldError};
use fault::Rules;
use forward::Upstream;

/// More open connections than this is a leak in whoever calls.
const CONNECTIONS_MAX: usize = 4_096;

/// A running proxy. It listens once for each origin, so that a call is known by who made it as well as by where it
/// goes. Dropping it closes every connection.
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
    listeners: BTreeMap<String, (SocketAddr, JoinHandle<()>)>,
}

/// What all connections share.
#[derive(Debug)]
struct Shared {
    upstream: OnceLock<Upstream>,
    rules: Mutex<Rules>,
    journal: Journal,
    /// Calls that go on without their caller.
    on_their_own: Mutex<JoinSet<()>>,
}

impl Shared {
    fn rules(&self) -> std::sync::MutexGuard<'_, Rules> {
        // A rule book is whole between any two statements: a panic elsewhere does not spoil it.
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn on_their_own(&self) -> std::sync::MutexGuard<'_, JoinSet<()>> {
        self.on_their_own.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Proxy {
    /// A proxy that leads nowhere yet; each call is written to `log`, one JSON line each.
    pub fn new(log: &Path) -> Result<Self, WorldError> {
        let journal = Journal::create(log).doing(|| format!("write {}", log.display()))?;
        let shared = Shared {
            upstream: OnceLock::new(),
            rules: Mutex::default(),
            journal,
            on_their_own: Mutex::default(),
        };
        Ok(Self { shared: Arc::new(shared), listeners: BTreeMap::new() })
    }

    /// Where calls go from now on. Calls before this are dropped. The first address stays.
    pub fn lead_to(&self, upstream: SocketAddr) {
        self.shared.upstream.get_or_init(|| Upstream::new(upstream));
    }

    /// A way in for callers known as `origin`: an endpoint for `AWS_ENDPOINT_URL`. The same origin, the same way in.
    pub async fn entrance(&mut self, origin: &str) -> Result<String, WorldError> {
        if let Some((address, _)) = self.listeners.get(origin) {
            return Ok(format!("http://{address}"));
        }
        let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = bound.doing(|| format!("open the proxy for {origin}"))?;
        let address = listener.local_addr().doing(|| format!("open the proxy for {origin}"))?;
        let task = tokio::spawn(listen(listener, Arc::from(origin), Arc::clone(&self.shared)));
        self.listeners.insert(origin.to_owned(), (address, task));
        Ok(format!("http://{address}"))
    }

    /// The handle that sets faults and reads the journal; clones share one proxy.
    pub fn handle(&self) -> ProxyHandle {
        ProxyHandle { shared: Arc::clone(&self.shared) }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        for (_, task) in self.listeners.values() {
            task.abort();
        }
        self.shared.on_their_own().abort_all();
    }
}

/// Sets faults while the world runs, and tells what was called.
#[derive(Debug, Clone)]
pub struct ProxyHandle {
    shared: Arc<Shared>,
}

impl ProxyHandle {
    /// Adds a fault for every call in the scope, until it is lifted.
    pub fn add(&self, scope: Scope, fault: Fault) -> RuleId {
        self.add_where(scope, fault, Meets::default())
    }

    /// Adds a fault for the next `times` calls in the scope.
    pub fn add_times(&self, scope: Scope, fault: Fault, times: u32) -> RuleId {
        self.add_where(scope, fault, Meets::times(times))
    }

    /// Adds a fault for some of the calls in the scope.
    pub fn add_where(&self, scope: Scope, fault: Fault, meets: Meets) -> RuleId {
        self.shared.rules().add(scope, fault, meets)
    }

    /// Lifts one fault; false when it was lifted or used up before.
    pub fn lift(&self, rule: RuleId) -> bool {
        self.shared.rules().lift(rule)
    }

    /// How many calls a fault has met so far; it may be lifted or used up since.
    pub fn met(&self, rule: RuleId) -> u64 {
        self.shared.rules().met(rule)
    }

    /// Lifts a [`Fault::Hold`], lets the calls go that it holds, and returns the status of each one's answer, once all of
    /// them have one. None where there is no such rule any more, or it holds nothing.
    pub async fn release(&self, rule: RuleId) -> Option<Vec<u16>> {
        let mut answers = self.shared.rules().release(rule)?;
        let mut statuses = Vec::new();
        while let Some(status) = answers.recv().await {
            statuses.push(status);
        }
        Some(statuses)
    }

    /// Lifts all faults.
    pub fn lift_all(&self) {
        self.shared.rules().lift_all();
    }

    /// Takes a Region's APIs away: every call to them loses its connection and gets no answer.
    pub fn refuse_region(&self, region: &str) -> RuleId {
        self.add(Scope::region(region), Fault::Refuse)
    }

    /// Takes one service in one Region away.
    pub fn refuse_service(&self, region: &str, service: &str) -> RuleId {
        self.add(Scope::region(region).service(service), Fault::Refuse)
    }

    /// Cuts an origin off: none of its calls reaches any Region.
    pub fn refuse_origin(&self, origin: &str) -> RuleId {
        self.add(Scope::origin(origin), Fault::Refuse)
    }

    /// Every call so far, in order of arrival.
    pub fn calls(&self) -> Vec<Record> {
        self.shared.journal.records()
    }

    /// How many calls there were so far: where [`Self::calls_since`] goes on from.
    pub fn count(&self) -> usize {
        self.shared.journal.count()
    }

    /// The calls behind the first `count`, in order of arrival.
    pub fn calls_since(&self, count: usize) -> Vec<Record> {
        self.shared.journal.since(count)
    }

    /// The calls so far that are in the scope: for asserting that something was, or never was, called.
    pub fn calls_in(&self, scope: &Scope) -> Vec<Record> {
        self.shared.journal.records().into_iter().filter(|record| scope.covers(&record.call)).collect()
    }
}

async fn listen(listener: TcpListener, origin: Arc<str>, shared: Arc<Shared>) {
    // The set is dropped with this task, and every connection with it.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                Ok((stream, _)) => {
                    // Small answers must not wait for an acknowledgement of the ones before.
                    let _ = stream.set_nodelay(true);
                    connections.spawn(converse(stream, Arc::clone(&origin), Arc::clone(&shared)));
                }
                // Out of file descriptors, most likely: let some close.
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            },
        }
    }
}

async fn converse(stream: tokio::net::TcpStream, origin: Arc<str>, shared: Arc<Shared>) {
    let service = service_fn(|request| forward::handle(request, &origin, &shared));
    // An error here is a connection that either side dropped, often because a fault asked for it.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}
