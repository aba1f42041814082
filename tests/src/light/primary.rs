//! What a probe of the primary meets: a server that says it is out of order until somebody says that it is well.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::net::TcpListener;

use crate::world::error::{Doing as _, WorldError};

/// The health of the primary, as the plan's probe is told of it.
#[derive(Debug)]
pub struct PrimaryHealth {
    address: SocketAddr,
    is_well: Arc<AtomicBool>,
}

impl PrimaryHealth {
    /// Out of order, on loopback, for as long as the runtime lives.
    ///
    /// # Errors
    /// Where no port can be had.
    pub(super) async fn serve() -> Result<PrimaryHealth, WorldError> {
        let what = || "find a place for the primary".to_owned();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.doing(what)?;
        let (address, is_well) = (listener.local_addr().doing(what)?, Arc::new(AtomicBool::new(false)));
        let app = Router::new().route("/health", get(health)).with_state(Arc::clone(&is_well));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Ok(PrimaryHealth { address, is_well })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What a probe is told from now on.
    pub fn set_well(&self, is_well: bool) {
        self.is_well.store(is_well, Ordering::Relaxed);
    }
}

async fn health(State(is_well): State<Arc<AtomicBool>>) -> StatusCode {
    if is_well.load(Ordering::Relaxed) { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}
