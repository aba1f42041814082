//! What stands in for the recovered exchange: asked for its health it replays the log, and says under which epoch it has the pen
//! and how far it came. It is there before any run and serves for each in turn, so it does not show that a run brings one up.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use aex::store::Store;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use lifeboat_ledger::{Holder, PenState};
use lifeboat_rules::recovered::{Health, StreamHealth};
use tokio::net::TcpListener;

use super::Replica;
use crate::world::error::{Doing as _, WorldError, explain};

/// A place for it, which must be known before there is a log.
#[derive(Debug)]
pub struct Place {
    listener: TcpListener,
    address: SocketAddr,
}

impl Place {
    /// On loopback, at a port that is free.
    ///
    /// # Errors
    /// Where no port can be had.
    pub async fn take() -> Result<Place, WorldError> {
        let what = || "find a place for the recovered exchange".to_owned();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.doing(what)?;
        let address = listener.local_addr().doing(what)?;
        Ok(Place { listener, address })
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers there, for as long as the runtime lives.
    pub fn serve(self, store: Store, streams: Vec<String>) {
        let log = Arc::new((store, streams));
        let app = Router::new().route("/health", get(health)).with_state(log);
        tokio::spawn(async move { axum::serve(self.listener, app).await });
    }
}

/// The log is short, so it is replayed for each question: nothing is remembered of a log that has been replaced.
async fn health(State(log): State<Arc<(Store, Vec<String>)>>) -> Result<Json<Health>, (StatusCode, String)> {
    let (store, streams) = &*log;
    let (mut applied, mut epochs) = (BTreeMap::new(), Vec::new());
    for stream in streams {
        let mut replica = Replica::new(store.clone(), stream);
        replica.read_on().await.map_err(|why| (StatusCode::SERVICE_UNAVAILABLE, explain(&why)))?;
        epochs.push(match replica.tail().pen().state() {
            PenState::Open { epoch, holder: Holder::Recovery } => Some(*epoch),
            _ => None,
        });
        applied.insert(stream.clone(), StreamHealth { seq: replica.tail().next_seq() - 1 });
    }
    // It serves as a whole or not at all.
    let epoch = epochs[0].filter(|epoch| epochs.iter().all(|other| *other == Some(*epoch)));
    let mode = if epoch.is_some() { "serving" } else { "waiting for its open" };
    Ok(Json(Health { mode: mode.to_owned(), epoch, streams: applied }))
}
