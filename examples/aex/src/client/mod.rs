//! A client that trades without pause and remembers each acknowledgement: the witness from outside.
//!
//! It finds the exchange by DNS and believes an answer for as long as its TTL says, as clients do. It keeps a bounded
//! number of orders in flight at a bounded rate. An order without an answer is in doubt, and is sent again under the
//! same id until it has one, wherever the name points by then.

mod journal;
mod memory;
mod names;
mod reconcile;
mod trader;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

pub use memory::{Ack, Counts, Kill};
pub use reconcile::Reconciliation;

use journal::Journal;
use memory::Memory;
use names::Names;
use trader::{Pace, Trader};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// What a client is to do.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// The name of the gateway, e.g. `gateway.aex.internal`.
    pub gateway: String,
    /// The gateway's port.
    pub port: u16,
    /// The DNS server to ask for that name.
    pub dns_server: SocketAddr,
    /// The symbols to trade.
    pub symbols: Vec<String>,
    /// The most new orders a second.
    pub rate_per_second: u32,
    /// The most orders that are sent and unanswered.
    pub in_flight: usize,
    /// Where to append what was sent and acknowledged, one line of JSON each.
    pub journal_path: PathBuf,
    /// What the orders are made of. Order ids begin with it, so no two clients of an exchange may have the same.
    pub seed: u64,
}

/// Why a client could not start.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The journal cannot be written.
    #[error("open the journal {path}")]
    Journal {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The DNS client could not be set up.
    #[error("set up the resolver: {0}")]
    Resolver(String),
    /// The HTTP client could not be set up.
    #[error("set up the HTTP client")]
    Http(#[from] reqwest::Error),
}

/// A trading client. Dropped, it stops at once.
#[derive(Debug)]
pub struct Client {
    memory: Arc<Memory>,
    names: Arc<Names>,
    http: reqwest::Client,
    tasks: JoinSet<()>,
    journal: Arc<Journal>,
}

impl Client {
    /// Starts trading, on the current Tokio runtime.
    ///
    /// # Errors
    /// The journal cannot be opened, or a client cannot be set up. An exchange that does not answer is no error.
    pub fn start(config: ClientConfig) -> Result<Client, ClientError> {
        let path = &config.journal_path;
        let journal =
            Journal::open(path).map_err(|source| ClientError::Journal { path: path.clone(), source })?;
        let journal = Arc::new(journal);
        let names = Names::new(&config.gateway, config.port, config.dns_server)
            .map_err(|err| ClientError::Resolver(err.to_string()))?;
        let names = Arc::new(names);
        let http = reqwest::Client::builder()
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REQUEST_TIMEOUT)
            .tcp_nodelay(true)
            .pool_max_idle_per_host(config.in_flight)
            .build()?;
        let memory = Arc::new(Memory::default());
        let pace = Arc::new(Pace::new(config.rate_per_second));
        let mut tasks = JoinSet::new();
        for worker in 0..config.in_flight {
            let trader = Trader {
                memory: Arc::clone(&memory),
                names: Arc::clone(&names),
                journal: Arc::clone(&journal),
                pace: Arc::clone(&pace),
                http: http.clone(),
                symbols: config.symbols.clone(),
                seed: config.seed,
                worker,
            };
            tasks.spawn(trader.trade());
        }
        Ok(Client { memory, names, http, tasks, journal })
    }

    /// How much was sent, acknowledged, refused, and is in doubt, now.
    pub fn counts(&self) -> Counts {
        self.memory.counts()
    }

    /// Notes that the exchange was killed at `at`, and says what was acknowledged by then and what was in doubt: sent,
    /// and not answered by then. Call it once, right after the kill.
    pub fn mark_kill(&self, at: Instant) -> Kill {
        self.memory.mark_kill(at, self.names.last_used())
    }

    /// The first acknowledgement after the kill from another address than the one in use at the kill: of an order that
    /// was first sent after the kill, or of one that was in doubt ([`Ack::sent_after_kill`] tells). The killed side's
    /// last answers may still lie in a socket; the address keeps them out.
    pub fn first_ack_after_kill(&self) -> Option<Ack> {
        self.memory.first_ack_after_kill(|_| true)
    }

    /// As [`Client::first_ack_after_kill`], but only of an order that was first sent after the kill.
    pub fn first_new_order_ack_after_kill(&self) -> Option<Ack> {
        self.memory.first_ack_after_kill(|ack| ack.sent_after_kill)
    }

    /// Every acknowledgement, in no particular order.
    pub fn acks(&self) -> Vec<Ack> {
        self.memory.acks()
    }

    /// Waits for [`Client::first_ack_after_kill`], or `timeout`. Without a kill marked: for the next acknowledgement.
    pub async fn wait_for_new_ack(&self, timeout: Duration) -> Option<Ack> {
        tokio::time::timeout(timeout, self.memory.wait_for_new_ack()).await.ok()
    }

    /// Waits until `acknowledged` orders are acknowledged, or `timeout`; whether they are.
    pub async fn wait_for_count(&self, acknowledged: usize, timeout: Duration) -> bool {
        tokio::time::timeout(timeout, self.memory.wait_for_count(acknowledged)).await.is_ok()
    }

    /// Asks the exchange that the name points to now for every acknowledged order, by its public query, `concurrency`
    /// at a time, and compares with what this client remembers.
    pub async fn reconcile(&self, concurrency: usize) -> Reconciliation {
        reconcile::reconcile(&self.memory, &self.names, &self.http, concurrency).await
    }

    /// Stops trading and completes the journal. What was in flight stays in doubt.
    pub async fn stop(&mut self) {
        self.tasks.shutdown().await;
        self.journal.flush();
    }
}
