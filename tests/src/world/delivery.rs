//! A delivery stream on loopback: what it accepts it puts into the log's bucket as Amazon Data Firehose does it, later, many
//! records in one object, some of them twice, and in no order. (The emulator's own stores each record at once.) It belongs to
//! no process of the world, so what it has accepted comes though the sender has died.
//!
//! It can be told to keep everything back for a while, and to lose a record, which Firehose does not do and an operator may: a
//! bucket that refuses it for a day, a transformation that drops lines.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_s3::Client;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::error::{Doing as _, WorldError};

/// How long records wait for company. Firehose's shortest is 60 s by default; no test has that long.
const BUFFER: Duration = Duration::from_millis(300);
/// Each so many deliveries one of their objects comes once more.
const AGAIN_EVERY: u64 = 3;
/// Records that may wait: more is a sender that has gone mad.
const WAITING_MAX: usize = 100_000;

/// A running delivery stream; dropping it ends it, and what waits is gone.
#[derive(Debug)]
pub struct DeliveryStream {
    address: SocketAddr,
    desk: Arc<Desk>,
    _tasks: JoinSet<()>,
}

#[derive(Debug)]
struct Desk {
    s3: Client,
    bucket: String,
    prefix: String,
    taken: Mutex<Taken>,
    /// How many deliveries were made; held by the one that is.
    deliveries: tokio::sync::Mutex<u64>,
}

#[derive(Debug, Default)]
struct Taken {
    waiting: Vec<Vec<u8>>,
    kept_back: bool,
    to_lose: usize,
    lost: usize,
}

impl DeliveryStream {
    /// Starts one that delivers to `bucket`, below `prefix`.
    ///
    /// # Errors
    /// Where no port can be had.
    pub async fn start(s3: Client, bucket: &str, prefix: &str) -> Result<Self, WorldError> {
        let what = || "open a delivery stream".to_owned();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.doing(what)?;
        let address = listener.local_addr().doing(what)?;
        let desk = Arc::new(Desk {
            s3,
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            taken: Mutex::default(),
            deliveries: tokio::sync::Mutex::default(),
        });
        let router = Router::new().route("/records", post(accept)).with_state(Arc::clone(&desk));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            // It ends with the listener, which is here.
            let _ = axum::serve(listener, router).await;
        });
        let delivering = Arc::clone(&desk);
        tasks.spawn(async move {
            loop {
                tokio::time::sleep(BUFFER).await;
                // What could not be put waits for the next time.
                let _ = delivering.deliver().await;
            }
        });
        Ok(Self { address, desk, _tasks: tasks })
    }

    /// Where it takes records: `POST /records`, one a line.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on records are accepted, and none is delivered.
    pub fn keep_back(&self) {
        self.desk.taken().kept_back = true;
    }

    /// Delivers what was kept back, and goes on.
    ///
    /// # Errors
    /// Where the bucket does not take it.
    pub async fn go_on(&self) -> Result<(), WorldError> {
        self.desk.taken().kept_back = false;
        self.desk.deliver().await
    }

    /// Delivers at once what has waited, unless it is kept back.
    ///
    /// # Errors
    /// Where the bucket does not take it.
    pub async fn flush(&self) -> Result<(), WorldError> {
        self.desk.deliver().await
    }

    /// Loses the next record that it accepts.
    pub fn lose_one(&self) {
        self.desk.taken().to_lose += 1;
    }

    /// How many records it has accepted and lost.
    pub fn lost(&self) -> usize {
        self.desk.taken().lost
    }
}

/// Takes the records of the body, all of them or none.
async fn accept(State(desk): State<Arc<Desk>>, body: Bytes) -> StatusCode {
    let mut taken = desk.taken();
    if taken.waiting.len() > WAITING_MAX {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    for record in body.split_inclusive(|byte| *byte == b'\n') {
        if taken.to_lose > 0 {
            taken.to_lose -= 1;
            taken.lost += 1;
        } else {
            taken.waiting.push(record.to_vec());
        }
    }
    StatusCode::OK
}

impl Desk {
    fn taken(&self) -> MutexGuard<'_, Taken> {
        // It is whole between any two statements: a panic elsewhere does not spoil it.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Delivers all that waits, in two objects that each have every other record, the later one first.
    async fn deliver(&self) -> Result<(), WorldError> {
        let mut deliveries = self.deliveries.lock().await;
        let records = {
            let mut taken = self.taken();
            if taken.kept_back || taken.waiting.is_empty() {
                return Ok(());
            }
            std::mem::take(&mut taken.waiting)
        };
        *deliveries += 1;
        let every_other = |from: usize| records.iter().skip(from).step_by(2).flatten().copied().collect();
        let (even, odd): (Vec<u8>, Vec<u8>) = (every_other(0), every_other(1));
        let again = (*deliveries % AGAIN_EVERY == 0).then(|| even.clone());
        for (part, bytes) in [Some(odd), Some(even), again].into_iter().flatten().enumerate() {
            if bytes.is_empty() {
                continue;
            }
            let at = super::now().strftime("%Y/%m/%d/%H/log-1-%Y-%m-%d-%H-%M-%S").to_string();
            let key = format!("{}{at}-{:06}-{part}", self.prefix, *deliveries);
            let put = self.s3.put_object().bucket(&self.bucket).key(&key).body(bytes.into()).send().await;
            if let Err(why) = put {
                // Some of it may have come: then it comes twice.
                self.taken().waiting.splice(0..0, records);
                return Err(WorldError::failed(format!("deliver {key}"), why));
            }
        }
        Ok(())
    }
}
