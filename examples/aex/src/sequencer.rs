//! The life of one stream: replay, wait for the pen, serve, lose the pen, and on the primary begin again.
//!
//! Invariant: an answer is given only after the segment that holds its entry, or a later one, was stored. Everything
//! that is not stored lives in the matcher, and the matcher is dropped with the pen.
//!
//! There is one primary, and a person may give the pen back to it: it stays, forgets everything, reads the log again and
//! waits. A recovery side was launched under one epoch, which no later `open` can name: it ends.

use std::convert::Infallible;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use futures::{StreamExt, stream};
use lifeboat_ledger::Holder;
use lifeboat_ledger::writer::{NoPen, Writer};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, sleep_until};

use crate::backoff::Backoff;
use crate::commit::{Outcome, commit};
use crate::engine::{Decision, Engine};
use crate::event::{Event, Status as OrderStatus};
use crate::ids::Claim;
use crate::order::Order;
use crate::replica::Replica;
use crate::status::{Mode, Status, StreamStatus};
use crate::store::{Store, StoreError};
use crate::witness::Witness;
use crate::{clock, log};

/// How many requests may wait for a stream.
pub const INBOX_MAX: usize = 4_096;
/// How many orders go into one segment.
const BATCH_MAX: usize = 2_000;
/// How many segments are read at once during a replay.
const READS_AT_ONCE: usize = 16;
/// How often a side without the pen looks at the next slot.
const FOLLOW_EVERY: Duration = Duration::from_millis(200);

/// An order on its way through a stream. Dropped unanswered, it tells its client: unknown, ask again.
#[derive(Debug)]
pub struct Request {
    /// The order.
    pub order: Order,
    /// Where the answer goes.
    pub reply: oneshot::Sender<Answer>,
    /// Keeps the id from other streams meanwhile.
    pub claim: Claim,
}

/// The answer to a request, given once it is true for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The order was decided on, now or earlier.
    Placed {
        /// The sequence of its entry.
        seq: u64,
        /// What was decided.
        status: OrderStatus,
        /// Whether it had been sent before.
        duplicate: bool,
    },
    /// The id belongs to another order.
    Conflict,
    /// The stream takes no more orders.
    Full,
}

/// Why a stream ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Somebody else has the pen, for good. The process ends.
    LostPen {
        /// The stream.
        stream: String,
        /// What was found first.
        reason: String,
    },
    /// The log cannot be replayed, and guessing is not an option. The process stays to say so at `/health`.
    Broken {
        /// The stream.
        stream: String,
        /// What is wrong, and where.
        reason: String,
    },
}

/// One stream and all that it needs.
#[derive(Debug)]
pub struct Sequencer {
    /// The stream's name.
    pub name: String,
    /// What is traded in it.
    pub symbols: Vec<String>,
    /// The side that this process is.
    pub side: Holder,
    /// The epoch that it was launched under, if it was told.
    pub epoch: Option<u64>,
    /// The log.
    pub store: Store,
    /// What is stored, for everybody to read; only this task writes it.
    pub replica: Arc<RwLock<Replica>>,
    /// What `/health` says.
    pub status: Arc<Status>,
    /// Orders from the gateway.
    pub inbox: mpsc::Receiver<Request>,
    /// The newest epoch that has a fence object.
    pub fence: watch::Receiver<u64>,
    /// The second copy.
    pub witness: Option<Witness>,
    /// The least time between two puts.
    pub commit_every: Duration,
    /// The longest that the log stands still.
    pub heartbeat_every: Duration,
}

/// A slot that was lost, or a fence, and so perhaps the pen.
struct Lost {
    epoch: u64,
    reason: String,
    by_writer: bool,
}

impl Sequencer {
    /// Runs the stream until it cannot go on, and says why. The status says it too by then.
    pub async fn run(mut self) -> Stop {
        let Err(stop) = self.live().await;
        let (Stop::LostPen { reason, .. } | Stop::Broken { reason, .. }) = &stop;
        self.report(Mode::Stopped, Some(reason.clone()));
        stop
    }

    async fn live(&mut self) -> Result<Infallible, Stop> {
        self.replay(None).await?;
        let (mut writer, mut epoch) = self.await_pen().await?;
        loop {
            let lost = self.serve(writer, epoch).await?;
            (writer, epoch) = self.settle(lost).await?;
        }
    }

    /// Reads the log from its beginning, many segments at once, and applies them in order.
    /// `why` is what the status says meanwhile.
    async fn replay(&mut self, why: Option<String>) -> Result<(), Stop> {
        self.report(Mode::Replaying, why.clone());
        loop {
            let from = self.replica().tail().next_seq();
            let slots = until_answered(|| self.store.slots(&self.name, from)).await;
            if slots.is_empty() {
                break;
            }
            let (store, name) = (self.store.clone(), self.name.clone());
            let mut segments = stream::iter(slots)
                .map(|slot| {
                    let (store, name) = (&store, &name);
                    async move { (slot, until_answered(|| store.segment(name, slot)).await) }
                })
                .buffered(READS_AT_ONCE);
            while let Some((slot, bytes)) = segments.next().await {
                let bytes =
                    bytes.ok_or_else(|| self.broken(format!("slot {slot} was listed and is gone")))?;
                self.absorb(slot, &bytes)?;
            }
            self.report(Mode::Replaying, why.clone());
        }
        let waits_for = self.writer().has_pen().err().map(|no_pen| no_pen.to_string());
        self.report(Mode::WaitingForOpen, waits_for.or(why));
        Ok(())
    }

    /// Follows the log until its newest counting control entry is an `open` for this side, and of its own epoch where
    /// it has one.
    async fn await_pen(&mut self) -> Result<(Writer, u64), Stop> {
        loop {
            if self.follow().await? {
                continue;
            }
            let writer = self.writer();
            match writer.has_pen() {
                Ok(epoch) => {
                    self.report(Mode::Serving, None);
                    return Ok((writer, epoch));
                }
                // Launched for an epoch that is over before it began: a newer run, or a hand-back, has passed it by.
                Err(no_pen) if self.is_passed_by() => {
                    let reason = no_pen.to_string();
                    self.log_lost(&reason, &Err(no_pen));
                    return Err(Stop::LostPen { stream: self.name.clone(), reason });
                }
                Err(no_pen) => self.report(Mode::WaitingForOpen, Some(no_pen.to_string())),
            }
            self.turn_away();
            sleep(FOLLOW_EVERY).await;
        }
    }

    /// Whether the log is beyond the one epoch under which this side could serve.
    fn is_passed_by(&self) -> bool {
        self.epoch.is_some_and(|own| self.replica().tail().pen().newest_epoch() > own)
    }

    /// What `lost` comes to, by the log itself. An inert control entry took a slot and not the pen: the stream goes on.
    /// Whoever can never have the pen again ends. Whoever can forgets everything, and gives the pen that it is given.
    async fn settle(&mut self, lost: Lost) -> Result<(Writer, u64), Stop> {
        if lost.by_writer {
            // Behind somebody else, who knows how far.
            self.report(Mode::Replaying, Some(lost.reason.clone()));
        }
        loop {
            let moved = self.follow().await?;
            let taken = self.replica().tail().pen().newest_epoch() > lost.epoch;
            // Decided where it is found: there may be hours of the other side's entries behind it.
            if moved && !taken {
                continue;
            }
            let writer = self.writer();
            let pen = writer.has_pen();
            if pen == Ok(lost.epoch) && !lost.by_writer {
                return Ok((writer, lost.epoch));
            }
            // Two processes believe to be this side, under one epoch. This one was slower: it goes.
            let slower_twin = pen == Ok(lost.epoch);
            if slower_twin || (taken && !self.may_resume()) {
                self.log_lost(&lost.reason, &pen);
                return Err(Stop::LostPen { stream: self.name.clone(), reason: lost.reason });
            }
            if self.may_resume() {
                self.log_lost(&lost.reason, &pen);
                self.start_over(lost.reason).await?;
                return self.await_pen().await;
            }
            // Fenced, and not sealed yet: not serving any more, and not knowing yet for whom.
            self.turn_away();
            sleep(FOLLOW_EVERY).await;
        }
    }

    /// Whether a later `open` can name this side. A recovery side is another one at each failover; the primary stays.
    fn may_resume(&self) -> bool {
        self.side == Holder::Primary && self.epoch.is_none()
    }

    /// Forgets everything and reads the log again from its beginning: what was not stored is gone.
    async fn start_over(&mut self, why: String) -> Result<(), Stop> {
        // Said first: whoever reads the replica looks at the status while holding it, and must not believe an empty one.
        self.report(Mode::Replaying, Some(why.clone()));
        self.turn_away();
        *self.replica.write().unwrap_or_else(PoisonError::into_inner) =
            Replica::new(&self.name, &self.symbols);
        self.replay(Some(why)).await
    }

    /// A writer at the end of what was read.
    fn writer(&self) -> Writer {
        let tail = self.replica().tail().clone();
        let mut writer = Writer::new(self.store.prefix(), tail, self.side, self.epoch);
        writer.saw_fence(*self.fence.borrow());
        writer
    }

    /// Applies the next segment, if there is one; whether there was.
    async fn follow(&mut self) -> Result<bool, Stop> {
        let next = self.replica().tail().next_seq();
        match until_answered(|| self.store.segment(&self.name, next)).await {
            Some(bytes) => self.absorb(next, &bytes).map(|()| true),
            None => Ok(false),
        }
    }

    /// Takes orders, matches them, stores them, answers; one segment at a time, for as long as it has the pen.
    async fn serve(&mut self, mut writer: Writer, epoch: u64) -> Result<Lost, Stop> {
        let mut matcher = self.replica().engine().clone();
        let mut last_put = Instant::now();
        loop {
            let work = self.gather(last_put).await;
            writer.saw_fence(*self.fence.borrow_and_update());
            if writer.has_pen().is_err() {
                return Ok(self.fenced(epoch));
            }
            let (entries, answers) = decide(&mut matcher, work, writer.tail().next_seq());
            let segment = writer.segment(&entries).map_err(|err| self.broken(err.to_string()))?;
            last_put = Instant::now();
            match commit(&self.store, &writer, &segment, epoch, &self.fence).await {
                Outcome::Stored => {}
                Outcome::Fenced => return Ok(self.fenced(epoch)),
                Outcome::Refused { reason, by_writer } => {
                    let refused = json!({ "stream": self.name, "key": segment.key, "reason": reason });
                    log::event("put_refused", &refused);
                    return Ok(Lost { epoch, reason, by_writer });
                }
            }
            writer.stored(&segment);
            self.absorb(segment.first_seq, &segment.bytes)?;
            self.report(Mode::Serving, None);
            for pending in answers {
                // A client that has gone away asks again under the same id.
                let _ = pending.reply.send(pending.answer);
            }
            if let Some(witness) = &self.witness {
                witness.offer(segment.bytes);
            }
        }
    }

    /// Waits for work, or until the log has stood still for long enough, or until a fence appears. Whatever arrives
    /// while the last put was in flight, or before the next one may begin, goes into one batch.
    async fn gather(&mut self, last_put: Instant) -> Vec<Request> {
        let mut work = Vec::new();
        tokio::select! {
            request = self.inbox.recv() => work.extend(request),
            () = sleep_until(last_put + self.heartbeat_every) => {}
            // An error means that nobody watches for fences any more, which happens only as the process ends.
            _ = self.fence.changed() => {}
        }
        sleep_until(last_put + self.commit_every).await;
        while work.len() < BATCH_MAX
            && let Ok(request) = self.inbox.try_recv()
        {
            work.push(request);
        }
        work
    }

    /// Drops what waits: unanswered requests tell their clients to ask again.
    fn turn_away(&mut self) {
        while self.inbox.try_recv().is_ok() {}
    }

    fn absorb(&self, first_seq: u64, bytes: &[u8]) -> Result<(), Stop> {
        let mut replica = self.replica.write().unwrap_or_else(PoisonError::into_inner);
        replica.absorb(first_seq, bytes).map_err(|fault| self.broken(fault.to_string()))
    }

    fn replica(&self) -> RwLockReadGuard<'_, Replica> {
        self.replica.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn fenced(&self, epoch: u64) -> Lost {
        let reason = format!("epoch {epoch} is fenced by epoch {}", *self.fence.borrow());
        log::event("fenced", &json!({ "stream": self.name, "reason": reason }));
        // At once, while the requests that are under way still hold their ids: their outcome may be unknown.
        let mode = if self.may_resume() { Mode::Replaying } else { Mode::Stopped };
        self.report(mode, Some(reason.clone()));
        Lost { epoch, reason, by_writer: false }
    }

    fn log_lost(&self, reason: &str, pen: &Result<u64, NoPen>) {
        let pen = match pen {
            Ok(epoch) => format!("open for the {} under epoch {epoch}", self.side),
            Err(no_pen) => no_pen.to_string(),
        };
        log::event("lost_pen", &json!({ "stream": self.name, "reason": reason, "pen": pen }));
    }

    fn broken(&self, reason: String) -> Stop {
        Stop::Broken { stream: self.name.clone(), reason }
    }

    fn report(&self, mode: Mode, reason: Option<String>) {
        let (seq, open_epoch) = {
            let replica = self.replica();
            (replica.through(), replica.open_epoch())
        };
        match self.status.set(&self.name, StreamStatus { mode, seq, open_epoch, reason }) {
            Some(Mode::WaitingForOpen) => {
                log::event("recovered", &json!({ "through": self.status.through() }));
            }
            Some(Mode::Serving) => {
                let (epoch, through) = (self.status.epoch(), self.status.through());
                log::event("serving", &json!({ "epoch": epoch, "through": through }));
            }
            _ => {}
        }
    }
}

/// An answer that waits for its entry to be stored. The claim on the id ends with it.
struct Pending {
    reply: oneshot::Sender<Answer>,
    answer: Answer,
    _claim: Claim,
}

/// Matches `work` and gives the entries to store and the answers to give then. A batch that changes nothing stores a
/// heartbeat: even "you had that answer already" is said only by a side that has just shown that it holds the pen.
fn decide(matcher: &mut Engine, work: Vec<Request>, first_seq: u64) -> (Vec<Value>, Vec<Pending>) {
    let at = clock::rfc3339(clock::now());
    let (mut events, mut answers) = (Vec::new(), Vec::new());
    for Request { order, reply, claim } in work {
        let seq = first_seq + events.len() as u64;
        let answer = match matcher.submit(order, seq, &at) {
            Decision::New { status, entries } => {
                events.extend(entries);
                Answer::Placed { seq, status, duplicate: false }
            }
            Decision::Duplicate { seq, status } => Answer::Placed { seq, status, duplicate: true },
            Decision::Conflict => Answer::Conflict,
            Decision::Full => Answer::Full,
        };
        answers.push(Pending { reply, answer, _claim: claim });
    }
    if events.is_empty() {
        events.push(Event::Heartbeat { at });
    }
    let entries = events.iter().map(|event| json!(event)).collect();
    (entries, answers)
}

/// Asks until the bucket answers. Not knowing is no reason to stop, and there is nobody else to ask.
async fn until_answered<T, F>(mut ask: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, StoreError>>,
{
    let mut backoff = Backoff::default();
    let mut tries = 0u64;
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(err) => {
                tries += 1;
                if tries.is_power_of_two() {
                    log::event("log_unreachable", &json!({ "tries": tries, "detail": err.to_string() }));
                }
                sleep(backoff.step()).await;
            }
        }
    }
}
