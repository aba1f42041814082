//! An exchange in this process, on a bucket in this process.
//!
//! The bucket enforces `If-None-Match: *` and can misbehave on demand, which is all that these tests need of S3. They do
//! not prove that S3 itself does so, nor anything about signatures, permissions, or a real network: the drill against
//! the emulator and the conformance tests against a real account are for that.

// Each test file is a crate of its own and uses a part of this.
#![allow(dead_code)]

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use aex::app::{End, Exchange};
use aex::config::Config;
use aex::store::Store;
use aex::witness::Witness;
use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig};
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use clap::Parser;
use lifeboat_ledger::control::{Control, Open, Seal};
use lifeboat_ledger::{Holder, Tail, slot};
use serde_json::{Value, json};
use tokio::net::TcpListener;

pub const STREAM: &str = "ME1";
const BUCKET: &str = "log";
const ORDER: &[u8] = br#""kind":"order""#;
const DEADLINE: Duration = Duration::from_secs(20);

/// What the bucket does with the next put, instead of what it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Stores it and loses the answer.
    LoseAnswer,
    /// Stores nothing and loses the answer.
    LosePut,
    /// 409: ask again.
    Conflict,
}

#[derive(Debug, Default)]
struct Inside {
    objects: BTreeMap<String, Vec<u8>>,
    faults: VecDeque<Fault>,
    /// While set, puts wait here.
    held: Option<tokio::sync::watch::Receiver<bool>>,
    /// While set, puts of orders wait here.
    held_orders: Option<tokio::sync::watch::Receiver<bool>>,
    /// How many puts of orders have come to wait.
    waiting_orders: usize,
    /// How often each object was read.
    reads: BTreeMap<String, usize>,
}

/// The bucket.
#[derive(Clone, Debug)]
pub struct Bucket {
    inside: Arc<Mutex<Inside>>,
    addr: SocketAddr,
}

impl Bucket {
    pub async fn start() -> Bucket {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let inside = Arc::new(Mutex::new(Inside::default()));
        let router = Router::new().fallback(serve).with_state(Arc::clone(&inside));
        tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        Bucket { inside, addr }
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap()
    }

    pub fn store(&self) -> Store {
        Store::new(&sdk_config(self.addr), BUCKET, "log/")
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The next puts of orders misbehave. Heartbeats go through.
    pub fn inject(&self, faults: impl IntoIterator<Item = Fault>) {
        self.inside().faults.extend(faults);
    }

    /// The next puts behave again.
    pub fn mend(&self) {
        self.inside().faults.clear();
    }

    /// Makes every put wait until the sender says `true`.
    pub fn hold_puts(&self) -> tokio::sync::watch::Sender<bool> {
        let (release, held) = tokio::sync::watch::channel(false);
        self.inside().held = Some(held);
        release
    }

    /// Makes every put of an order wait until the sender says `true`. Heartbeats go through.
    pub fn hold_orders(&self) -> tokio::sync::watch::Sender<bool> {
        let (release, held) = tokio::sync::watch::channel(false);
        let mut inside = self.inside();
        (inside.held_orders, inside.waiting_orders) = (Some(held), 0);
        release
    }

    /// Whether a put of an order waits, or has waited since [`Bucket::hold_orders`].
    pub fn order_waits(&self) -> bool {
        self.inside().waiting_orders > 0
    }

    /// How often the object that begins the stream was read: once a replay.
    pub fn replays(&self) -> usize {
        self.reads(1)
    }

    /// How often the object in this slot was read.
    pub fn reads(&self, first_seq: u64) -> usize {
        self.inside().reads.get(&slot::key("log/", STREAM, first_seq)).copied().unwrap_or(0)
    }

    pub fn insert(&self, key: &str, bytes: Vec<u8>) -> bool {
        let mut inside = self.inside();
        let free = !inside.objects.contains_key(key);
        if free {
            inside.objects.insert(key.to_owned(), bytes);
        }
        free
    }

    /// The whole log of the stream, verified.
    pub fn tail(&self) -> Tail {
        self.tail_of(STREAM)
    }

    pub fn tail_of(&self, stream: &str) -> Tail {
        let mut tail = Tail::new(stream);
        for (_, bytes) in self.segments(stream) {
            tail.absorb_segment(tail.next_seq(), &bytes).unwrap();
        }
        tail
    }

    fn segments(&self, stream: &str) -> Vec<(u64, Vec<u8>)> {
        let inside = self.inside();
        let segments = inside.objects.iter().filter_map(|(key, bytes)| {
            let (of, seq) = slot::parse("log/", key)?;
            (of == stream).then(|| (seq, bytes.clone()))
        });
        segments.collect()
    }

    pub fn lines(&self) -> Vec<Value> {
        let bytes: Vec<u8> = self.segments(STREAM).into_iter().flat_map(|(_, bytes)| bytes).collect();
        lines(&bytes)
    }

    /// How many orders of this id the log of the stream has.
    pub fn orders(&self, id: &str) -> usize {
        self.lines().iter().filter(|line| line["client_order_id"] == id).count()
    }

    /// Puts a control entry into the next free slot, as the orchestrator does.
    pub fn control(&self, stream: &str, control: &Control) {
        loop {
            let tail = self.tail_of(stream);
            let key = slot::key("log/", stream, tail.next_seq());
            if self.insert(&key, tail.control_segment(control)) {
                return;
            }
        }
    }

    pub fn open(&self, epoch: u64, holder: Holder, run: &str) {
        self.open_in(STREAM, epoch, holder, run);
    }

    pub fn open_in(&self, stream: &str, epoch: u64, holder: Holder, run: &str) {
        self.control(stream, &Control::Open(Open { epoch, holder, run: run.into() }));
    }

    pub fn seal(&self, epoch: u64, run: &str) {
        self.seal_in(STREAM, epoch, run);
    }

    pub fn seal_in(&self, stream: &str, epoch: u64, run: &str) {
        self.control(stream, &Control::Seal(Seal { epoch, run: run.into() }));
    }

    /// Puts the object that a run puts before it seals.
    pub fn fence(&self, epoch: u64) {
        assert!(self.insert(&slot::fence_key(epoch), b"{}".to_vec()));
    }
}

/// A delivery stream that takes every record and keeps it. Nothing is delivered anywhere, and nothing comes twice.
#[derive(Clone, Debug)]
pub struct Firehose {
    taken: Arc<Mutex<Vec<u8>>>,
    addr: SocketAddr,
}

impl Firehose {
    pub async fn start() -> Firehose {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let taken = Arc::new(Mutex::new(Vec::new()));
        let router = Router::new().fallback(take).with_state(Arc::clone(&taken));
        tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        Firehose { taken, addr }
    }

    /// All that was sent, line by line.
    pub fn lines(&self) -> Vec<Value> {
        lines(&self.taken.lock().unwrap())
    }
}

async fn take(State(taken): State<Arc<Mutex<Vec<u8>>>>, body: Bytes) -> Response {
    let call: Value = serde_json::from_slice(&body).unwrap();
    let records = call["Records"].as_array().unwrap();
    for record in records {
        let data = BASE64_STANDARD.decode(record["Data"].as_str().unwrap()).unwrap();
        taken.lock().unwrap().extend(data);
    }
    let answers = vec![json!({ "RecordId": "1" }); records.len()];
    axum::Json(json!({ "FailedPutCount": 0, "RequestResponses": answers })).into_response()
}

fn lines(bytes: &[u8]) -> Vec<Value> {
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
}

/// The configuration of an SDK client that asks `addr` and nobody else.
fn sdk_config(addr: SocketAddr) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .endpoint_url(format!("http://{addr}"))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
            "test", "test", None, None, "test",
        )))
        .retry_config(RetryConfig::disabled())
        .build()
}

async fn serve(
    State(inside): State<Arc<Mutex<Inside>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path = uri.path().trim_start_matches('/');
    let key = path.strip_prefix(BUCKET).unwrap_or_default().trim_start_matches('/').to_owned();
    match method {
        Method::GET if key.is_empty() => {
            list(&inside.lock().unwrap().objects, uri.query().unwrap_or_default())
        }
        Method::GET => {
            let mut inside = inside.lock().unwrap();
            let Some(bytes) = inside.objects.get(&key).cloned() else {
                return error(StatusCode::NOT_FOUND, "NoSuchKey");
            };
            *inside.reads.entry(key).or_default() += 1;
            bytes.into_response()
        }
        Method::PUT => put(&inside, key, &headers, body).await,
        _ => error(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed"),
    }
}

async fn put(inside: &Mutex<Inside>, key: String, headers: &HeaderMap, body: Bytes) -> Response {
    let has_order = body.windows(ORDER.len()).any(|part| part == ORDER);
    let held = {
        let mut inside = inside.lock().unwrap();
        inside.waiting_orders += usize::from(has_order);
        inside.held_orders.clone().filter(|_| has_order).or_else(|| inside.held.clone())
    };
    if let Some(mut held) = held {
        let _ = held.wait_for(|released| *released).await;
    }
    let mut inside = inside.lock().unwrap();
    assert_eq!(headers.get("if-none-match").unwrap(), "*", "a put without its condition");
    let fault = if has_order { inside.faults.pop_front() } else { None };
    match fault {
        Some(Fault::Conflict) => return error(StatusCode::CONFLICT, "ConditionalRequestConflict"),
        Some(Fault::LosePut) => return error(StatusCode::SERVICE_UNAVAILABLE, "SlowDown"),
        Some(Fault::LoseAnswer) | None => {}
    }
    if inside.objects.contains_key(&key) {
        return error(StatusCode::PRECONDITION_FAILED, "PreconditionFailed");
    }
    inside.objects.insert(key, body.to_vec());
    match fault {
        Some(_) => error(StatusCode::INTERNAL_SERVER_ERROR, "InternalError"),
        None => StatusCode::OK.into_response(),
    }
}

fn list(objects: &BTreeMap<String, Vec<u8>>, query: &str) -> Response {
    let parameter = |name: &str| {
        let found = query.split('&').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
        found.unwrap_or_default().replace("%2F", "/")
    };
    let (prefix, after) = (parameter("prefix"), parameter("start-after"));
    let keys = objects.keys().filter(|key| key.starts_with(&prefix) && **key > after).take(1000);
    let contents: String = keys.map(|key| format!("<Contents><Key>{key}</Key></Contents>")).collect();
    format!("<ListBucketResult><IsTruncated>false</IsTruncated>{contents}</ListBucketResult>").into_response()
}

fn error(status: StatusCode, code: &str) -> Response {
    (status, format!("<Error><Code>{code}</Code><Message>as the test wants</Message></Error>"))
        .into_response()
}

/// Starts a side of the exchange on a port of its own.
pub async fn exchange(bucket: &Bucket, side: &str, epoch: &str) -> Exchange {
    exchange_at(bucket, side, epoch, "127.0.0.1:0", "ME1=AAPL+MSFT").await
}

pub async fn exchange_at(bucket: &Bucket, side: &str, epoch: &str, listen: &str, streams: &str) -> Exchange {
    start(bucket, &args(side, epoch, listen, streams), None).await
}

/// A primary that sends the second copy to `witness`.
pub async fn witnessed(bucket: &Bucket, witness: &Firehose) -> Exchange {
    let client = aws_sdk_firehose::Client::new(&sdk_config(witness.addr));
    let witness = Witness::start(client, "aex".into());
    start(bucket, &args("primary", "", "127.0.0.1:0", "ME1=AAPL+MSFT"), Some(witness)).await
}

async fn start(bucket: &Bucket, args: &[&str], witness: Option<Witness>) -> Exchange {
    let config = Config::try_parse_from([&["aex"], args].concat()).unwrap();
    Exchange::start(&config, bucket.store(), witness).await.unwrap()
}

/// The command line of a side.
pub fn args<'a>(side: &'a str, epoch: &'a str, listen: &'a str, streams: &'a str) -> Vec<&'a str> {
    let mut args = vec!["--log-bucket", BUCKET, "--log-region", "eu-central-1"];
    args.extend(["--side", side, "--epoch", epoch, "--listen", listen, "--streams", streams]);
    args.extend(["--commit-ms", "5", "--heartbeat-ms", "50"]);
    args
}

/// An exchange that serves, on a bucket of its own.
pub async fn serving() -> (Bucket, Exchange) {
    let bucket = Bucket::start().await;
    bucket.open(1, Holder::Primary, "genesis");
    let exchange = exchange(&bucket, "primary", "").await;
    mode(&exchange, "serving").await;
    (bucket, exchange)
}

/// Waits until `/health` says `mode`, and gives what it says.
pub async fn mode(exchange: &Exchange, mode: &str) -> Value {
    let health = format!("http://{}/health", exchange.addr);
    eventually(&format!("mode {mode}"), async || {
        let answer = reqwest::get(&health).await.ok()?;
        let status = answer.status();
        let body: Value = answer.json().await.ok()?;
        assert_eq!(status.is_success(), body["mode"] == "serving", "200 only when serving");
        (body["mode"] == mode).then_some(body)
    })
    .await
}

/// Waits until the exchange has ended by itself.
pub async fn ended(exchange: &mut Exchange) -> End {
    tokio::time::timeout(DEADLINE, exchange.ended()).await.expect("it did not end")
}

/// Looks again until there is something, or fails the test.
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(begun.elapsed() < DEADLINE, "waited {DEADLINE:?} for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub fn order(id: &str, side: &str, price: u64, quantity: u64) -> Value {
    json!({ "client_order_id": id, "symbol": "AAPL", "side": side, "price": price, "quantity": quantity })
}

pub async fn post(addr: SocketAddr, order: &Value) -> (u16, Value) {
    let answer =
        reqwest::Client::new().post(format!("http://{addr}/orders")).json(order).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

pub async fn get(addr: SocketAddr, path: &str) -> (u16, Value) {
    let answer = reqwest::get(format!("http://{addr}{path}")).await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}
