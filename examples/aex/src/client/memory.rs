//! What the client remembers: every order sent, and its acknowledgement.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use jiff::Timestamp;
use tokio::sync::Notify;

/// An acknowledgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    /// The order's id.
    pub client_order_id: String,
    /// The stream that took it.
    pub stream: String,
    /// The sequence of its entry.
    pub seq: u64,
    /// Whether the exchange had it already when it answered.
    pub duplicate: bool,
    /// Who answered.
    pub by: SocketAddr,
    /// When the answer came.
    pub at: Instant,
    /// When the answer came, by the clock of the wall.
    pub wall: Timestamp,
    /// Whether the order was first sent after the kill. False before one was marked.
    pub sent_after_kill: bool,
}

/// How the client stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Orders sent at least once.
    pub sent: usize,
    /// Orders acknowledged.
    pub acknowledged: usize,
    /// Orders sent and not answered.
    pub in_doubt: usize,
    /// Orders that the exchange called wrong: a defect of one of the two.
    pub refused: usize,
    /// Tries that failed and were made again.
    pub retries: usize,
}

/// The client's view of the moment of the kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kill {
    /// The moment.
    pub at: Instant,
    /// Distinct orders acknowledged by then.
    pub acknowledged: usize,
    /// Orders sent by then and not answered by then.
    pub in_doubt: usize,
    /// The address in use then.
    pub gateway: Option<SocketAddr>,
}

#[derive(Debug)]
struct Sent {
    at: Instant,
    fate: Fate,
}

#[derive(Debug)]
enum Fate {
    InDoubt,
    Acknowledged(Ack),
    Refused(String),
}

#[derive(Debug, Default)]
struct Inner {
    orders: HashMap<String, Sent>,
    counts: Counts,
    kill: Option<Kill>,
}

/// The memory, shared by all of a client's tasks.
#[derive(Debug, Default)]
pub(super) struct Memory {
    inner: Mutex<Inner>,
    acked: Notify,
}

impl Memory {
    /// Notes the first try of an order, before it is made.
    pub fn sent(&self, id: &str) {
        let mut inner = self.lock();
        inner.orders.insert(id.to_owned(), Sent { at: Instant::now(), fate: Fate::InDoubt });
        inner.counts.sent += 1;
        inner.counts.in_doubt += 1;
    }

    /// Notes that a try had no answer.
    pub fn retried(&self) {
        self.lock().counts.retries += 1;
    }

    /// Notes the answer to an order.
    pub fn acknowledged(&self, mut ack: Ack) {
        let mut inner = self.lock();
        let kill = inner.kill;
        if let Some(order) = inner.orders.get_mut(&ack.client_order_id) {
            ack.sent_after_kill = kill.is_some_and(|kill| order.at > kill.at);
            order.fate = Fate::Acknowledged(ack);
            inner.counts.acknowledged += 1;
            inner.counts.in_doubt -= 1;
        }
        drop(inner);
        self.acked.notify_waiters();
    }

    /// Notes that the exchange called an order wrong.
    pub fn refused(&self, id: &str, why: String) {
        let mut inner = self.lock();
        if let Some(order) = inner.orders.get_mut(id) {
            order.fate = Fate::Refused(why);
            inner.counts.refused += 1;
            inner.counts.in_doubt -= 1;
        }
    }

    pub fn counts(&self) -> Counts {
        self.lock().counts
    }

    pub fn mark_kill(&self, at: Instant, gateway: Option<SocketAddr>) -> Kill {
        let mut inner = self.lock();
        let (mut acknowledged, mut in_doubt) = (0, 0);
        for order in inner.orders.values_mut().filter(|order| order.at <= at) {
            match &order.fate {
                Fate::Acknowledged(ack) if ack.at <= at => acknowledged += 1,
                Fate::Acknowledged(_) | Fate::InDoubt => in_doubt += 1,
                Fate::Refused(_) => {}
            }
        }
        // Orders sent and answered between the kill and this call.
        for order in inner.orders.values_mut() {
            if let Sent { at: sent, fate: Fate::Acknowledged(ack) } = order {
                ack.sent_after_kill = *sent > at;
            }
        }
        let kill = Kill { at, acknowledged, in_doubt, gateway };
        inner.kill = Some(kill);
        kill
    }

    pub fn kill(&self) -> Option<Kill> {
        self.lock().kill
    }

    /// The earliest acknowledgement after the kill from another address, among those that `which` wants.
    pub fn first_ack_after_kill(&self, which: impl Fn(&Ack) -> bool) -> Option<Ack> {
        let inner = self.lock();
        let kill = inner.kill?;
        let after = inner.orders.values().filter_map(acknowledgement);
        let after = after.filter(|ack| ack.at > kill.at && Some(ack.by) != kill.gateway && which(ack));
        after.min_by_key(|ack| ack.at).cloned()
    }

    /// Waits for the first acknowledgement after the kill; without a kill, for the next acknowledgement of any order.
    pub async fn wait_for_new_ack(&self) -> Ack {
        let asked = Instant::now();
        self.wait_until(|| match self.kill() {
            Some(_) => self.first_ack_after_kill(|_| true),
            None => {
                self.lock().orders.values().filter_map(acknowledgement).find(|ack| ack.at > asked).cloned()
            }
        })
        .await
    }

    pub async fn wait_for_count(&self, acknowledged: usize) {
        self.wait_until(|| (self.counts().acknowledged >= acknowledged).then_some(())).await;
    }

    /// Looks again at each acknowledgement until `look` finds something.
    async fn wait_until<T>(&self, look: impl Fn() -> Option<T>) -> T {
        loop {
            // Listening before looking, or an acknowledgement in between would be missed.
            let mut next = std::pin::pin!(self.acked.notified());
            next.as_mut().enable();
            if let Some(found) = look() {
                return found;
            }
            next.await;
        }
    }

    /// Every acknowledgement.
    pub fn acks(&self) -> Vec<Ack> {
        self.lock().orders.values().filter_map(acknowledgement).cloned().collect()
    }

    /// The orders sent and not answered yet.
    pub fn in_doubt(&self) -> Vec<String> {
        let inner = self.lock();
        let in_doubt = inner.orders.iter().filter(|(_, order)| matches!(order.fate, Fate::InDoubt));
        in_doubt.map(|(id, _)| id.clone()).collect()
    }

    /// The orders that the exchange called wrong, each with what it said.
    pub fn refusals(&self) -> Vec<(String, String)> {
        let inner = self.lock();
        let refused = inner.orders.iter().filter_map(|(id, order)| match &order.fate {
            Fate::Refused(why) => Some((id.clone(), why.clone())),
            Fate::InDoubt | Fate::Acknowledged(_) => None,
        });
        refused.collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn acknowledgement(order: &Sent) -> Option<&Ack> {
    match &order.fate {
        Fate::Acknowledged(ack) => Some(ack),
        Fate::InDoubt | Fate::Refused(_) => None,
    }
}
