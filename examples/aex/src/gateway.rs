//! The public face: orders in, answers out, market data. Everything it shows was stored first.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Request as HttpRequest, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::ids::Ids;
use crate::order::{Invalid, Order};
use crate::replica::Replica;
use crate::sequencer::{Answer, Request};
use crate::status::{Mode, Status};

/// The largest request body.
const BODY_BYTES_MAX: usize = 4_096;
/// How many requests are worked on at once; one more is told to come back.
const REQUESTS_MAX: usize = 2_048;
/// How long a request waits for its entry to be stored before its client is told that nobody knows yet.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// How many price levels of each side the market data shows.
const DEPTH: usize = 10;

/// One stream, as the gateway sees it.
#[derive(Debug)]
pub struct StreamDoor {
    /// The stream's name.
    pub name: String,
    /// Orders for it.
    pub inbox: mpsc::Sender<Request>,
    /// What it has stored.
    pub replica: Arc<RwLock<Replica>>,
}

/// What all requests share.
#[derive(Debug)]
pub struct Gateway {
    streams: Vec<StreamDoor>,
    by_symbol: HashMap<String, usize>,
    status: Arc<Status>,
    ids: Ids,
    permits: Semaphore,
}

impl Gateway {
    /// Whether the stream of `door` serves: one that does not may know less than everything that was acknowledged.
    fn serves(&self, door: &StreamDoor) -> Result<(), Refusal> {
        let Some(status) = self.status.stream(&door.name).filter(|status| status.mode != Mode::Serving)
        else {
            return Ok(());
        };
        let why = status.reason.unwrap_or_else(|| "it has not read its log yet".into());
        Err(Refusal::Later(format!("stream {} does not serve: {why}", door.name)))
    }

    /// What the stream of `door` has stored. Whether it serves is asked with the replica in hand: a stream that loses its
    /// pen says so before it empties its replica, and an empty one would deny orders that were acknowledged.
    fn replica<'a>(&self, door: &'a StreamDoor) -> Result<RwLockReadGuard<'a, Replica>, Refusal> {
        let replica = door.replica.read().unwrap_or_else(PoisonError::into_inner);
        self.serves(door)?;
        Ok(replica)
    }
}

/// The routes, for streams given with their symbols.
pub fn router(streams: Vec<(StreamDoor, Vec<String>)>, status: Arc<Status>) -> Router {
    let by_symbol = streams
        .iter()
        .enumerate()
        .flat_map(|(stream, (_, symbols))| symbols.iter().map(move |symbol| (symbol.clone(), stream)))
        .collect();
    let gateway = Arc::new(Gateway {
        streams: streams.into_iter().map(|(door, _)| door).collect(),
        by_symbol,
        status,
        ids: Ids::default(),
        permits: Semaphore::new(REQUESTS_MAX),
    });
    Router::new()
        .route("/orders", post(place))
        .route("/orders/{client_order_id}", get(find))
        .route("/book/{symbol}", get(book))
        .layer(middleware::from_fn_with_state(Arc::clone(&gateway), bounded))
        // A busy exchange is a healthy one: outside of the bound.
        .route("/health", get(health))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(gateway)
}

/// Why there is no other answer.
enum Refusal {
    /// The request is wrong, and will be as wrong the next time.
    Invalid(Invalid),
    /// The id belongs to another order.
    Conflict,
    /// No such order or symbol.
    Unknown(&'static str),
    /// The same request again, later or elsewhere, may succeed. Whether this one did is unknown.
    Later(String),
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, body) = match self {
            Refusal::Invalid(Invalid { field, message }) => {
                (StatusCode::BAD_REQUEST, json!({ "error": "invalid", "field": field, "message": message }))
            }
            Refusal::Conflict => (
                StatusCode::CONFLICT,
                json!({ "error": "conflict", "field": "client_order_id", "message": "is the id of another order" }),
            ),
            Refusal::Unknown(what) => (StatusCode::NOT_FOUND, json!({ "error": "unknown", "message": what })),
            Refusal::Later(why) => {
                (StatusCode::SERVICE_UNAVAILABLE, json!({ "error": "unavailable", "message": why }))
            }
        };
        (status, Json(body)).into_response()
    }
}

async fn bounded(State(gateway): State<Arc<Gateway>>, request: HttpRequest, next: Next) -> Response {
    match gateway.permits.try_acquire() {
        Ok(_permit) => next.run(request).await,
        Err(_) => Refusal::Later(format!("{REQUESTS_MAX} requests are under way")).into_response(),
    }
}

async fn place(State(gateway): State<Arc<Gateway>>, body: Bytes) -> Result<Json<Value>, Refusal> {
    let order = Order::from_json(&body).map_err(Refusal::Invalid)?;
    let Some(&stream) = gateway.by_symbol.get(&order.symbol) else {
        let message = format!("`{}` is not listed", order.symbol);
        return Err(Refusal::Invalid(Invalid { field: "symbol".into(), message }));
    };
    let door = &gateway.streams[stream];
    // Every stream, not only the order's own: the same id may lie in one that is still being replayed.
    gateway.streams.iter().try_for_each(|door| gateway.serves(door))?;
    let claim = gateway.ids.claim(&order.client_order_id, stream).ok_or(Refusal::Conflict)?;
    for (other, door) in gateway.streams.iter().enumerate() {
        if other != stream && gateway.replica(door)?.engine().order(&order.client_order_id).is_some() {
            return Err(Refusal::Conflict);
        }
    }
    let client_order_id = order.client_order_id.clone();
    let (reply, answer) = oneshot::channel();
    door.inbox
        .try_send(Request { order, reply, claim })
        .map_err(|_| Refusal::Later(format!("stream {} has too much waiting", door.name)))?;
    match tokio::time::timeout(ANSWER_TIMEOUT, answer).await {
        Ok(Ok(Answer::Placed { seq, status, duplicate })) => Ok(Json(json!({
            "client_order_id": client_order_id, "stream": door.name, "seq": seq, "status": status,
            "duplicate": duplicate,
        }))),
        Ok(Ok(Answer::Conflict)) => Err(Refusal::Conflict),
        Ok(Ok(Answer::Full)) => Err(Refusal::Later(format!("stream {} takes no more orders", door.name))),
        Ok(Err(_)) => Err(Refusal::Later("the pen was lost on the way; ask again under the same id".into())),
        Err(_) => Err(Refusal::Later("the log does not answer; ask again under the same id".into())),
    }
}

async fn find(
    State(gateway): State<Arc<Gateway>>,
    Path(client_order_id): Path<String>,
) -> Result<Json<Value>, Refusal> {
    // "No such order" may be said only by an exchange that has read all of its log: every stream is looked at.
    let mut found = None;
    let mut acceptances = 0;
    for door in &gateway.streams {
        if let Some(known) = gateway.replica(door)?.engine().order(&client_order_id) {
            acceptances += known.acceptances;
            found.get_or_insert_with(|| {
                json!({
                    "client_order_id": client_order_id, "stream": door.name, "seq": known.seq,
                    "status": known.status, "filled": known.filled,
                })
            });
        }
    }
    let mut found = found.ok_or(Refusal::Unknown("no stored order has this id"))?;
    found["acceptances"] = json!(acceptances);
    Ok(Json(found))
}

async fn book(
    State(gateway): State<Arc<Gateway>>,
    Path(symbol): Path<String>,
) -> Result<Json<Value>, Refusal> {
    let stream = gateway.by_symbol.get(&symbol).ok_or(Refusal::Unknown("this symbol is not listed"))?;
    let door = &gateway.streams[*stream];
    let replica = gateway.replica(door)?;
    let book = replica.engine().book(&symbol).ok_or(Refusal::Unknown("this symbol has no book"))?;
    Ok(Json(json!({
        "symbol": symbol, "stream": door.name, "seq": replica.through(), "last_trade": book.last_trade(),
        "bids": book.bids(DEPTH), "asks": book.asks(DEPTH),
    })))
}

async fn health(State(gateway): State<Arc<Gateway>>) -> (StatusCode, Json<Value>) {
    let body = gateway.status.health();
    let serving = gateway.status.mode() == Mode::Serving;
    (if serving { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, Json(body))
}
