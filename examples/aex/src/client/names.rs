//! Where the exchange is, by DNS.

use std::net::SocketAddr;
use std::sync::{Mutex as StdMutex, PoisonError};
use std::time::{Duration, Instant};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use tokio::sync::Mutex;

/// The least time between two questions, also when an answer may not be kept at all.
const ASK_EVERY_MIN: Duration = Duration::from_millis(200);

#[derive(Debug)]
struct Answer {
    addrs: Vec<SocketAddr>,
    valid_until: Instant,
}

/// One name, asked again when its answer's TTL has passed and never before. A dead address is no reason to ask
/// earlier: a cache on the way would give the same answer, and the TTL is what the exchange's plan counts with.
#[derive(Debug)]
pub(super) struct Names {
    resolver: TokioResolver,
    name: String,
    port: u16,
    answer: Mutex<Answer>,
    last_used: StdMutex<Option<SocketAddr>>,
}

impl Names {
    pub fn new(name: &str, port: u16, server: SocketAddr) -> Result<Names, NetError> {
        let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
            connection.port = server.port();
            connection
        });
        let server = NameServerConfig::new(server.ip(), true, connections.into());
        let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
        let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        // The one cache is in this type.
        builder.options_mut().cache_size = 0;
        builder.options_mut().timeout = Duration::from_secs(1);
        Ok(Names {
            resolver: builder.build()?,
            // Absolute, so that no search list is tried.
            name: format!("{}.", name.trim_end_matches('.')),
            port,
            answer: Mutex::new(Answer { addrs: Vec::new(), valid_until: Instant::now() }),
            last_used: StdMutex::new(None),
        })
    }

    /// An address of the gateway; `attempt` turns through them where there are several. `None` until the name has ever
    /// resolved; later the last answer is kept for as long as the server gives no other.
    pub async fn address(&self, attempt: usize) -> Option<SocketAddr> {
        let mut answer = self.answer.lock().await;
        let now = Instant::now();
        if now >= answer.valid_until {
            answer.valid_until = now + ASK_EVERY_MIN;
            if let Ok(found) = self.resolver.lookup_ip(&self.name).await {
                let addrs: Vec<_> = found.iter().map(|ip| SocketAddr::new(ip, self.port)).collect();
                if !addrs.is_empty() {
                    let valid_until = found.valid_until().max(answer.valid_until);
                    *answer = Answer { addrs, valid_until };
                }
            }
        }
        let addr = *answer.addrs.get(attempt % answer.addrs.len().max(1))?;
        *self.last_used.lock().unwrap_or_else(PoisonError::into_inner) = Some(addr);
        Some(addr)
    }

    /// The address that was given out last.
    pub fn last_used(&self) -> Option<SocketAddr> {
        *self.last_used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
