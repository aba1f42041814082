//! The public face: what AEX's has, less the book.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use aex::order::Order;
use aex::status::{Mode, Status};
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

/// How long a request waits before its client is told that nobody knows yet.
const ANSWER_WITHIN: Duration = Duration::from_secs(4);

/// Acknowledged orders: their place, and how often the ledger has them.
pub(super) type Known = BTreeMap<String, (u64, u64)>;

/// One stream, from outside.
#[derive(Debug)]
pub(super) struct Door {
    pub name: String,
    pub symbols: Vec<String>,
    pub inbox: mpsc::Sender<Request>,
    pub known: Arc<RwLock<Known>>,
}

/// An order on its way. Dropped unanswered, it tells its client: unknown, ask again.
#[derive(Debug)]
pub(super) struct Request {
    pub order: Order,
    pub reply: oneshot::Sender<Placed>,
}

/// Where an order is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed {
    pub seq: u64,
    pub duplicate: bool,
}

#[derive(Debug)]
struct Gateway {
    doors: Vec<Door>,
    status: Arc<Status>,
}

type Answer = (StatusCode, Json<Value>);

pub(super) fn router(doors: Vec<Door>, status: Arc<Status>) -> Router {
    Router::new()
        .route("/orders", post(place))
        .route("/orders/{client_order_id}", get(find))
        .route("/health", get(health))
        .with_state(Arc::new(Gateway { doors, status }))
}

async fn place(State(gateway): State<Arc<Gateway>>, body: Bytes) -> Answer {
    let order = match Order::from_json(&body) {
        Ok(order) => order,
        Err(invalid) => return refused(StatusCode::BAD_REQUEST, &invalid.to_string()),
    };
    let Some(door) = gateway.doors.iter().find(|door| door.symbols.contains(&order.symbol)) else {
        return refused(StatusCode::BAD_REQUEST, "the symbol is not listed");
    };
    if gateway.status.mode() != Mode::Serving {
        return later("it does not serve");
    }
    let id = order.client_order_id.clone();
    let (reply, answer) = oneshot::channel();
    if door.inbox.try_send(Request { order, reply }).is_err() {
        return later("too much waits");
    }
    match tokio::time::timeout(ANSWER_WITHIN, answer).await {
        Ok(Ok(Placed { seq, duplicate })) => (
            StatusCode::OK,
            Json(json!({ "client_order_id": id, "stream": door.name, "seq": seq, "duplicate": duplicate })),
        ),
        _ => later("unknown; ask again under the same id"),
    }
}

async fn find(State(gateway): State<Arc<Gateway>>, Path(id): Path<String>) -> Answer {
    for door in &gateway.doors {
        let known = door.known.read().unwrap_or_else(PoisonError::into_inner);
        // Asked with the orders in hand: a stream that forgets them has said before that it does not serve.
        if gateway.status.mode() != Mode::Serving {
            return later("it does not serve");
        }
        if let Some((seq, acceptances)) = known.get(&id) {
            let found =
                json!({ "client_order_id": id, "stream": door.name, "seq": seq, "acceptances": acceptances });
            return (StatusCode::OK, Json(found));
        }
    }
    refused(StatusCode::NOT_FOUND, "no acknowledged order has this id")
}

async fn health(State(gateway): State<Arc<Gateway>>) -> Answer {
    let serving = gateway.status.mode() == Mode::Serving;
    let status = if serving { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(gateway.status.health()))
}

fn later(why: &str) -> Answer {
    refused(StatusCode::SERVICE_UNAVAILABLE, why)
}

fn refused(status: StatusCode, why: &str) -> Answer {
    (status, Json(json!({ "message": why })))
}
