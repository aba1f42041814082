//! What stands in for the recovered exchange: it replays the log, and says under which epoch it has the pen and how far it
//! came. It is there before any run and serves for each in turn, so it does not show that a run brings one up.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use aex::store::Store;
use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use lifeboat_ledger::{Holder, PenState};
use lifeboat_rules::recovered::{Health, StreamHealth};
use tokio::net::TcpListener;
use tokio::sync::Mutex;

use crate::replica::Replica;

/// A place for it, which must be known before there is a log.
pub struct Place {
    listener: TcpListener,
}

impl Place {
    /// On loopback, at a port that is free.
    pub async fn take() -> Place {
        Place { listener: TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap() }
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    /// Answers there, for as long as the test's runtime lives.
    pub fn serve(self, store: Store, stream: &str) {
        let replica = Arc::new(Mutex::new(Replica::new(store, stream)));
        let app = Router::new().route("/health", get(health)).with_state(replica);
        tokio::spawn(async move { axum::serve(self.listener, app).await });
    }
}

async fn health(State(replica): State<Arc<Mutex<Replica>>>) -> Json<Health> {
    let mut replica = replica.lock().await;
    replica.read_on().await;
    let epoch = match replica.tail().pen().state() {
        PenState::Open { epoch, holder: Holder::Recovery } => Some(*epoch),
        _ => None,
    };
    let mode = if epoch.is_some() { "serving" } else { "waiting for its open" };
    let applied = StreamHealth { seq: replica.tail().next_seq() - 1 };
    let streams = [(replica.tail().stream().to_owned(), applied)].into();
    Json(Health { mode: mode.to_owned(), epoch, streams })
}
