//! Puts the pieces together, and takes them apart when the pen is lost for good.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use axum::serve::ListenerExt;
use lifeboat_ledger::Holder;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::config::Config;
use crate::gateway::{self, StreamDoor};
use crate::replica::Replica;
use crate::sequencer::{INBOX_MAX, Sequencer, Stop};
use crate::status::Status;
use crate::store::Store;
use crate::witness::Witness;
use crate::{fence, log};

/// How often an address that is taken is tried again.
const BIND_EVERY: Duration = Duration::from_millis(200);
/// How long open requests may take to get their last answer, "ask again", before the process ends.
const GOODBYE_MAX: Duration = Duration::from_millis(500);

/// A running exchange.
#[derive(Debug)]
pub struct Exchange {
    /// Where the gateway listens.
    pub addr: SocketAddr,
    end: oneshot::Sender<()>,
    whole: JoinHandle<End>,
}

/// How an exchange ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It was asked to.
    Asked,
    /// Somebody else has the pen, and this process cannot get it back.
    LostPen {
        /// The stream that noticed first.
        stream: String,
        /// What it found.
        reason: String,
    },
    /// A defect of its own.
    Defect(String),
}

impl Exchange {
    /// Starts the gateway and every stream. From here on `/health` says how far it is.
    ///
    /// # Errors
    /// The address cannot be listened on. One that is taken is waited for.
    pub async fn start(config: &Config, store: Store, witness: Option<Witness>) -> io::Result<Exchange> {
        let listener = bind(config.listen).await?;
        let addr = listener.local_addr()?;
        let side = Holder::from(config.side);
        log::event(
            "started",
            &json!({
                "side": side, "epoch": config.epoch.0, "recovery_mode": config.recovery_mode,
                "listen": addr.to_string(), "log_bucket": config.log_bucket, "log_region": config.log_region,
            }),
        );
        let names = config.streams.0.iter().map(|(name, _)| name.clone());
        let status = Arc::new(Status::new(side, config.epoch.0, names));
        let (newest_fence, fence) = watch::channel(0);
        let mut tasks = JoinSet::new();
        let mut doors = Vec::new();
        for (name, symbols) in &config.streams.0 {
            let (inbox_in, inbox) = mpsc::channel(INBOX_MAX);
            let replica = Arc::new(RwLock::new(Replica::new(name, symbols)));
            let door = StreamDoor { name: name.clone(), inbox: inbox_in, replica: Arc::clone(&replica) };
            doors.push((door, symbols.clone()));
            let sequencer = Sequencer {
                name: name.clone(),
                symbols: symbols.clone(),
                side,
                epoch: config.epoch.0,
                store: store.clone(),
                replica,
                status: Arc::clone(&status),
                inbox,
                fence: fence.clone(),
                witness: witness.clone(),
                commit_every: config.commit_ms,
                heartbeat_every: config.heartbeat_ms,
            };
            tasks.spawn(sequencer.run());
        }
        tokio::spawn(fence::watch(store, newest_fence));
        let (end, ended) = oneshot::channel();
        let whole = tokio::spawn(run(listener, gateway::router(doors, status), tasks, ended));
        Ok(Exchange { addr, end, whole })
    }

    /// Waits until it ends by itself. A stream that cannot be replayed does not end it: `/health` goes on saying why.
    pub async fn ended(&mut self) -> End {
        (&mut self.whole).await.unwrap_or_else(|panic| End::Defect(panic.to_string()))
    }

    /// Ends everything at once; what is not stored is not answered.
    pub async fn stop(self) {
        let _ = self.end.send(());
        let _ = self.whole.await;
    }
}

/// Listens on `address`, as soon as it is free. The exchange of an earlier run may still have it, and ends once the newer
/// one's seal has passed it by.
async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let mut said = false;
    loop {
        match TcpListener::bind(address).await {
            Err(err) if err.kind() == io::ErrorKind::AddrInUse => {
                if !said {
                    log::event("address_in_use", &json!({ "listen": address.to_string() }));
                }
                said = true;
                tokio::time::sleep(BIND_EVERY).await;
            }
            bound => return bound,
        }
    }
}

async fn run(
    listener: TcpListener,
    router: axum::Router,
    mut streams: JoinSet<Stop>,
    ended: oneshot::Receiver<()>,
) -> End {
    // Small answers on kept connections: without this each waits for the acknowledgement of the one before.
    let listener = listener.tap_io(|connection| {
        let _ = connection.set_nodelay(true);
    });
    let (goodbye, said) = oneshot::channel::<()>();
    let mut serving = tokio::spawn(
        axum::serve(listener, router)
            .with_graceful_shutdown(async move {
                let _ = said.await;
            })
            .into_future(),
    );
    let end = tokio::select! {
        end = first_end(&mut streams) => end,
        _ = ended => End::Asked,
    };
    match &end {
        End::Asked => log::event("stopped", &json!({ "reason": "asked to" })),
        End::LostPen { .. } => {}
        End::Defect(detail) => log::event("stopped", &json!({ "reason": "defect", "detail": detail })),
    }
    // Aborted streams drop what waits, and so answer it: unknown, ask again.
    streams.shutdown().await;
    let _ = goodbye.send(());
    if tokio::time::timeout(GOODBYE_MAX, &mut serving).await.is_err() {
        serving.abort();
    }
    end
}

/// Waits for the first stream that loses its pen for good or panics. One that cannot be replayed is logged and stays stopped.
async fn first_end(streams: &mut JoinSet<Stop>) -> End {
    while let Some(stop) = streams.join_next().await {
        match stop {
            Ok(Stop::LostPen { stream, reason }) => return End::LostPen { stream, reason },
            Ok(Stop::Broken { stream, reason }) => {
                log::event("stopped", &json!({ "stream": stream, "reason": reason }));
            }
            Err(panic) => return End::Defect(panic.to_string()),
        }
    }
    std::future::pending().await
}
