//! A small application that cannot write slots: it sends its entries to a delivery stream, and acknowledges by its leases
//! ([`lifeboat_ledger::lease`]). What the scenarios with `ledger: leases` kill and bring back.
//!
//! To the world it looks like AEX: the same settings from the same task definition, `/health`, `POST /orders`, and the query of one
//! order. It matches nothing: an order is written down, and that is its answer. What it shares with AEX is what a client
//! sees; how it writes and recovers is its own ([`stream`]), and how it reads its ledger back ([`chain`]) shares no code with the
//! proof that it is held against.

pub mod advance;
pub mod chain;
pub mod fence;
mod gateway;
mod stream;

use std::io;
use std::sync::{Arc, RwLock};

use aex::config::Config;
use aex::status::Status;
use aex::store::sdk_config;
use lifeboat_ledger::Holder;
use lifeboat_runtime::Store;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use gateway::Door;
use stream::Stream;

/// Requests that may wait for a stream.
const INBOX_MAX: usize = 4_096;

/// Runs the application until a stream can never be its own again, and says why.
///
/// # Errors
/// Where its address cannot be listened on, or a task of its own has panicked.
pub async fn run(config: &Config) -> io::Result<String> {
    let store = Store::new(&sdk_config(&config.log_region).await);
    let side = Holder::from(config.side);
    let names = config.streams.0.iter().map(|(name, _)| name.clone());
    let status = Arc::new(Status::new(side, config.epoch.0, names));
    let (newest_fence, fence) = watch::channel(0);
    tokio::spawn(fence::watch(store.clone(), config.log_bucket.clone(), newest_fence));
    let (mut doors, mut streams) = (Vec::new(), JoinSet::new());
    for (name, symbols) in &config.streams.0 {
        let (inbox_in, inbox) = mpsc::channel(INBOX_MAX);
        let known = Arc::new(RwLock::default());
        let (name, symbols) = (name.clone(), symbols.clone());
        doors.push(Door { name: name.clone(), symbols, inbox: inbox_in, known: Arc::clone(&known) });
        streams.spawn(
            Stream {
                name,
                side,
                epoch: config.epoch.0,
                store: store.clone(),
                bucket: config.log_bucket.clone(),
                prefix: config.log_prefix.clone(),
                delivery: config.firehose.clone(),
                http: reqwest::Client::builder().no_proxy().build().map_err(io::Error::other)?,
                status: Arc::clone(&status),
                known,
                inbox,
                fence: fence.clone(),
                commit_every: config.commit_ms,
                heartbeat_every: config.heartbeat_ms,
            }
            .run(),
        );
    }
    let listener = TcpListener::bind(config.listen).await?;
    tokio::select! {
        served = axum::serve(listener, gateway::router(doors, status)) => {
            served.map(|()| "nobody listens any more".to_owned())
        }
        ended = streams.join_next() => match ended {
            Some(Ok(why)) => Ok(why),
            Some(Err(panic)) => Err(io::Error::other(panic)),
            None => Ok("it has no stream".to_owned()),
        },
    }
}
