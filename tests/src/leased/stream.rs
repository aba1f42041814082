//! The life of one stream: wait for the lease, read back everything that was acknowledged, serve, lose the lease, begin again.
//!
//! Invariant: an answer is given only when the lease's watermark has passed its entry, by a put of `If-Match`. Everything else
//! is in memory, and forgotten with the lease.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use aex::status::{Mode, Status, StreamStatus};
use lifeboat_ledger::lease::{self, Lease, LeaseWriter};
use lifeboat_ledger::{Hash, Holder};
use lifeboat_runtime::Store;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

use super::advance::advance;
use super::chain::Delivered;
use super::gateway::{Known, Placed, Request};

/// How often a side without the lease looks for it, and a call that failed is made again.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// One call of the delivery stream.
const CALL_WITHIN: Duration = Duration::from_secs(2);
/// Orders that are acknowledged at once.
const BATCH_MAX: usize = 500;

/// One stream and all that it needs.
pub(super) struct Stream {
    pub name: String,
    pub side: Holder,
    /// The epoch that it was launched under, if it was told.
    pub epoch: Option<u64>,
    pub store: Store,
    pub bucket: String,
    /// Where deliveries are.
    pub prefix: String,
    /// The delivery stream's address.
    pub delivery: String,
    pub http: reqwest::Client,
    pub status: Arc<Status>,
    /// What was acknowledged, for everybody to read.
    pub known: Arc<RwLock<Known>>,
    pub inbox: mpsc::Receiver<Request>,
    /// The newest epoch that has a fence object.
    pub fence: watch::Receiver<u64>,
    /// The least time between two puts.
    pub commit_every: Duration,
    /// The longest that the lease stands still.
    pub heartbeat_every: Duration,
}

impl Stream {
    /// Runs it until it is passed by: a side that was launched under one epoch never holds a newer one's lease.
    pub async fn run(mut self) -> String {
        let mut delivered = Delivered::default();
        loop {
            let writer = match self.await_lease(&mut delivered).await {
                Ok(writer) => writer,
                Err(passed_by) => {
                    self.report(Mode::Stopped, 0, None, Some(passed_by.clone()));
                    return passed_by;
                }
            };
            let lost = self.serve(writer).await;
            // Said first: who asks for an order looks at the status too, and must not believe that it is unknown.
            self.report(Mode::Replaying, 0, None, Some(lost));
        }
    }

    /// Waits until the lease is this side's, and everything up to its watermark has been delivered and read.
    async fn await_lease(&mut self, delivered: &mut Delivered) -> Result<LeaseWriter, String> {
        loop {
            match self.look(delivered).await {
                Ok(Ok(writer)) => return Ok(writer),
                Ok(Err(passed_by)) => return Err(passed_by),
                Err((mode, seq, why)) => self.report(mode, seq, None, Some(why)),
            }
            // Unanswered requests tell their clients to ask again.
            while self.inbox.try_recv().is_ok() {}
            sleep(LOOK_EVERY).await;
        }
    }

    /// One look; where it is not enough, how far this is and why.
    async fn look(
        &self,
        delivered: &mut Delivered,
    ) -> Result<Result<LeaseWriter, String>, (Mode, u64, String)> {
        let starting = |why: String| (Mode::Replaying, 0, why);
        let (found, etag) = self.lease().await.map_err(starting)?;
        if self.epoch.is_some_and(|own| found.epoch > own) {
            return Ok(Err(format!("stream {}: epoch {} has passed it by", self.name, found.epoch)));
        }
        let (watermark, head) = (found.watermark, found.head);
        let mut writer = LeaseWriter::new(found, etag, self.side, self.epoch);
        writer.saw_fence(*self.fence.borrow());
        let epoch = writer.has_lease().map_err(|no_lease| (Mode::WaitingForOpen, 0, no_lease.to_string()))?;
        let read = delivered.read_on(&self.store, &self.bucket, &self.prefix).await;
        read.map_err(|err| starting(err.to_string()))?;
        let chain =
            delivered.back(&self.name, watermark, head).map_err(|missing| starting(missing.to_string()))?;
        let mut known = Known::new();
        for line in chain {
            if let Some(id) = &line.client_order_id {
                known.entry(id.clone()).or_insert((line.seq, 0)).1 += 1;
            }
        }
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = known;
        self.report(Mode::Serving, watermark, Some(epoch), None);
        Ok(Ok(writer))
    }

    async fn lease(&self) -> Result<(Lease, String), String> {
        let key = lease::key(&self.name);
        let found = self.store.get_tagged(&self.bucket, &key).await.map_err(|err| err.to_string())?;
        let found = found.ok_or_else(|| format!("there is no {key}"))?;
        let lease = Lease::parse(&self.name, &found.bytes).map_err(|bad| bad.to_string())?;
        Ok((lease, found.etag))
    }

    /// Takes orders, sends them, advances the lease, answers; for as long as it has the lease. Why it has it no more.
    async fn serve(&mut self, mut writer: LeaseWriter) -> String {
        let mut last = Instant::now();
        loop {
            let work = self.gather(last).await;
            last = Instant::now();
            writer.saw_fence(*self.fence.borrow());
            let epoch = match writer.has_lease() {
                Ok(epoch) => epoch,
                Err(why) => return why.to_string(),
            };
            let Batch { lines, head, placed } = self.write(work, &writer, epoch);
            self.send(lines.concat()).await;
            let through = writer.watermark() + lines.len() as u64;
            if let Err(lost) = advance(&self.store, &self.bucket, &mut writer, through, head).await {
                return lost;
            }
            {
                let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
                for (id, placed, _) in placed.iter().filter(|(_, placed, _)| !placed.duplicate) {
                    known.insert(id.clone(), (placed.seq, 1));
                }
            }
            self.report(Mode::Serving, through, Some(epoch), None);
            for (_, placed, reply) in placed {
                // A client that has gone away asks again under the same id.
                let _ = reply.send(placed);
            }
        }
    }

    /// Waits for work, or until the lease has stood still for long enough.
    async fn gather(&mut self, last: Instant) -> Vec<Request> {
        let mut work = Vec::new();
        tokio::select! {
            request = self.inbox.recv() => work.extend(request),
            () = sleep_until(last + self.heartbeat_every) => {}
        }
        sleep_until(last + self.commit_every).await;
        while work.len() < BATCH_MAX
            && let Ok(request) = self.inbox.try_recv()
        {
            work.push(request);
        }
        work
    }

    /// The lines for `work`, one at least: even "you had that answer before" is said only by a side that has just shown that
    /// it holds the lease.
    fn write(&self, work: Vec<Request>, writer: &LeaseWriter, epoch: u64) -> Batch {
        let at = crate::world::now().to_string();
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let mut batch = Batch { lines: Vec::new(), head: writer.head(), placed: Vec::new() };
        let (mut seq, mut new) = (writer.watermark(), BTreeMap::new());
        let mut line = |batch: &mut Batch, own: Value| {
            seq += 1;
            let mut line =
                json!({ "stream": self.name, "seq": seq, "prev": batch.head, "epoch": epoch, "at": at });
            if let (Some(line), Value::Object(own)) = (line.as_object_mut(), own) {
                line.extend(own);
            }
            let line = line.to_string();
            batch.head = Hash::of(line.as_bytes());
            batch.lines.push((line + "\n").into_bytes());
            seq
        };
        for Request { order, reply } in work {
            let id = order.client_order_id.clone();
            let before = known.get(&id).map(|(seq, _)| *seq).or_else(|| new.get(&id).copied());
            let placed = match before {
                Some(seq) => Placed { seq, duplicate: true },
                None => {
                    let seq = line(&mut batch, json!(order));
                    new.insert(id.clone(), seq);
                    Placed { seq, duplicate: false }
                }
            };
            batch.placed.push((id, placed, reply));
        }
        if batch.lines.is_empty() {
            line(&mut batch, json!({ "kind": "heartbeat" }));
        }
        batch
    }

    /// Sends `records` until the delivery stream has accepted them: more than once at times, and always the same.
    async fn send(&self, records: Vec<u8>) {
        let url = format!("http://{}/records", self.delivery);
        loop {
            let sent = self.http.post(&url).timeout(CALL_WITHIN).body(records.clone()).send().await;
            if sent.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            sleep(LOOK_EVERY).await;
        }
    }

    fn report(&self, mode: Mode, seq: u64, open_epoch: Option<u64>, reason: Option<String>) {
        self.status.set(&self.name, StreamStatus { mode, seq, open_epoch, reason });
    }
}

/// Lines to send, and what to answer once they are acknowledged.
struct Batch {
    lines: Vec<Vec<u8>>,
    /// The hash of the last line.
    head: Hash,
    placed: Vec<(String, Placed, tokio::sync::oneshot::Sender<Placed>)>,
}
