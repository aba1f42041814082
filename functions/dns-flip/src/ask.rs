//! Asking the network's resolver, as a client would.

use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use futures::{StreamExt, stream};
use hickory_proto::rr::RecordType;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use jiff::Timestamp;
use lifeboat_rules::dns::RecordSet;
use lifeboat_rules::{ErrorName, StepError};
use tokio::time::Instant;

use crate::confirm::Receipt;

/// Questions in flight at once: as many as are handed over at once, so that all that stay silent are waited for together.
pub(crate) const QUESTIONS_IN_FLIGHT: usize = 80;

/// A resolver that keeps nothing: each question goes out.
#[derive(Clone, Debug)]
pub struct Asker {
    resolver: TokioResolver,
    server: String,
}

impl Asker {
    /// Asks `server` (`address:port`), or the machine's own resolver where it is empty: in a VPC, the one that answers
    /// for the private zone.
    ///
    /// # Errors
    /// `Defect` where the server's address or the machine's configuration cannot be read.
    pub fn new(server: &str) -> Result<Asker, StepError> {
        let defect = |what: &str, err: String| StepError::new(ErrorName::Defect, format!("{what}: {err}"));
        let mut builder = if server.is_empty() {
            TokioResolver::builder_tokio()
                .map_err(|err| defect("read the resolver's configuration", err.to_string()))?
        } else {
            let address =
                SocketAddr::from_str(server).map_err(|err| defect("DNS_SERVER", err.to_string()))?;
            let (mut udp, mut tcp) = (ConnectionConfig::udp(), ConnectionConfig::tcp());
            (udp.port, tcp.port) = (address.port(), address.port());
            let config = ResolverConfig::from_parts(
                None,
                vec![],
                vec![NameServerConfig::new(address.ip(), true, vec![udp, tcp])],
            );
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        };
        let options: &mut ResolverOpts = builder.options_mut();
        options.cache_size = 0;
        options.timeout = Duration::from_secs(2);
        // Whoever asks counts the questions, and asks again by himself.
        options.attempts = 0;
        options.use_hosts_file = hickory_resolver::config::ResolveHosts::Never;
        let resolver = builder.build().map_err(|err| defect("make a resolver", err.to_string()))?;
        let server = if server.is_empty() { "system" } else { server };
        Ok(Asker { resolver, server: server.to_owned() })
    }

    /// Who is asked: `address:port`, or `system` for the machine's own resolver.
    pub fn resolver(&self) -> &str {
        &self.server
    }

    /// Asks for each of `records` once; the answers come in their order, whatever they say.
    pub async fn ask_all(
        &self,
        records: &[RecordSet],
        now: fn() -> Timestamp,
    ) -> Vec<Result<Receipt, String>> {
        stream::iter(records)
            .map(|record| self.ask(record, now))
            .buffered(QUESTIONS_IN_FLIGHT)
            .collect()
            .await
    }

    async fn ask(&self, record: &RecordSet, now: fn() -> Timestamp) -> Result<Receipt, String> {
        let kind = RecordType::from_str(&record.kind).map_err(|err| err.to_string())?;
        let (asked_at, began) = (now(), Instant::now());
        let found =
            self.resolver.lookup(format!("{}.", record.name), kind).await.map_err(|err| err.to_string())?;
        let millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let answers: Vec<_> = found.answers().iter().filter(|answer| answer.record_type() == kind).collect();
        let ttl = answers.iter().map(|answer| answer.ttl).min().unwrap_or(0);
        let values = answers.iter().map(|answer| answer.data.to_string());
        let RecordSet { name, kind, ttl, values, .. } =
            RecordSet::new(&record.name, &record.kind, ttl, values);
        Ok(Receipt { name, kind, values, ttl, asked_at, answered_at: now(), millis })
    }
}
