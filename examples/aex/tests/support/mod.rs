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

use aex::app::Exchange;
use aex::config::Config;
use aex::store::Store;
use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig};
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
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
    puts: usize,
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
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .endpoint_url(format!("http://{}", self.addr))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
                "test", "test", None, None, "test",
            )))
            .retry_config(RetryConfig::disabled())
            .build();
        Store::new(&config, BUCKET, "log/")
    }

    /// The next puts of orders misbehave. Heartbeats go through.
    pub fn inject(&self, faults: impl IntoIterator<Item = Fault>) {
        self.inside().faults.extend(faults);
    }

    /// Makes every put wait until the sender says `true`.
    pub fn hold_puts(&self) -> tokio::sync::watch::Sender<bool> {
        let (release, held) = tokio::sync::watch::channel(false);
        self.inside().held = Some(held);
        release
    }

    pub fn puts(&self) -> usize {
        self.inside().puts
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
        let mut tail = Tail::new(STREAM);
        for (_, bytes) in self.segments() {
            tail.absorb_segment(tail.next_seq(), &bytes).unwrap();
        }
        tail
    }

    pub fn segments(&self) -> Vec<(u64, Vec<u8>)> {
        let inside = self.inside();
        let segments = inside.objects.iter().filter_map(|(key, bytes)| {
            let (stream, seq) = slot::parse("log/", key)?;
            (stream == STREAM).then(|| (seq, bytes.clone()))
        });
        segments.collect()
    }

    pub fn lines(&self) -> Vec<Value> {
        let bytes: Vec<u8> = self.segments().into_iter().flat_map(|(_, bytes)| bytes).collect();
        let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
    }

    /// Puts a control entry into the next free slot, as the orchestrator does.
    pub fn control(&self, control: &Control) {
        loop {
            let tail = self.tail();
            let key = slot::key("log/", STREAM, tail.next_seq());
            if self.insert(&key, tail.control_segment(control)) {
                return;
            }
        }
    }

    pub fn open(&self, epoch: u64, holder: Holder, run: &str) {
        self.control(&Control::Open(Open { epoch, holder, run: run.into() }));
    }

    pub fn seal(&self, epoch: u64, run: &str) {
        self.control(&Control::Seal(Seal { epoch, run: run.into() }));
    }
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
        Method::GET => match inside.lock().unwrap().objects.get(&key) {
            Some(bytes) => bytes.clone().into_response(),
            None => error(StatusCode::NOT_FOUND, "NoSuchKey"),
        },
        Method::PUT => put(&inside, key, &headers, body).await,
        _ => error(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed"),
    }
}

async fn put(inside: &Mutex<Inside>, key: String, headers: &HeaderMap, body: Bytes) -> Response {
    let held = inside.lock().unwrap().held.clone();
    if let Some(mut held) = held {
        let _ = held.wait_for(|released| *released).await;
    }
    let mut inside = inside.lock().unwrap();
    inside.puts += 1;
    assert_eq!(headers.get("if-none-match").unwrap(), "*", "a put without its condition");
    let has_order = body.windows(ORDER.len()).any(|part| part == ORDER);
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
    let mut args = vec!["aex", "--log-bucket", BUCKET, "--log-region", "eu-central-1"];
    args.extend(["--side", side, "--epoch", epoch, "--listen", listen, "--streams", streams]);
    args.extend(["--commit-ms", "5", "--heartbeat-ms", "50"]);
    Exchange::start(&Config::try_parse_from(args).unwrap(), bucket.store(), None).await.unwrap()
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
