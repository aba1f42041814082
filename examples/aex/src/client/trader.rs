//! One of a client's workers: it has one order in flight at a time and does not let go of it without an answer.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::json;
use tokio::time::sleep;

use super::journal::Journal;
use super::memory::{Ack, Memory};
use super::names::Names;
use crate::backoff::Backoff;
use crate::clock;
use crate::order::{Order, Side};

const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_MOST: Duration = Duration::from_millis(500);
/// Orders are priced around this, in cents, close enough to each other that most of them trade.
const MID_PRICE: u64 = 10_000;
const SPREAD: u64 = 50;

/// Hands out the moments at which orders may be sent, the same distance apart. A pause is not made up for.
#[derive(Debug)]
pub(super) struct Pace {
    every: Duration,
    next: Mutex<Instant>,
}

impl Pace {
    pub fn new(rate_per_second: u32) -> Pace {
        let every = Duration::from_secs(1) / rate_per_second.max(1);
        Pace { every, next: Mutex::new(Instant::now()) }
    }

    async fn turn(&self) {
        let wait = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let mine = (*next).max(now);
            *next = mine + self.every;
            mine - now
        };
        sleep(wait).await;
    }
}

pub(super) struct Trader {
    pub memory: Arc<Memory>,
    pub names: Arc<Names>,
    pub journal: Arc<Journal>,
    pub pace: Arc<Pace>,
    pub http: reqwest::Client,
    pub symbols: Vec<String>,
    pub seed: u64,
    pub worker: usize,
}

#[derive(Deserialize)]
struct Placed {
    stream: String,
    seq: u64,
    duplicate: bool,
}

/// What one try came to.
enum Try {
    Placed(Placed),
    /// Wrong as it is; sending it again changes nothing.
    Refused(String),
    /// No answer, or "ask again": taken or not, nobody knows.
    InDoubt,
}

impl Trader {
    pub async fn trade(self) {
        let mut dice = Dice(self.seed ^ (self.worker as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        for number in 0u64.. {
            self.pace.turn().await;
            let order = self.order(&mut dice, number);
            self.place(&order).await;
        }
    }

    fn order(&self, dice: &mut Dice, number: u64) -> Order {
        Order {
            client_order_id: format!("{:x}-{}-{number}", self.seed, self.worker),
            symbol: self.symbols[dice.below(self.symbols.len() as u64) as usize].clone(),
            side: if dice.below(2) == 0 { Side::Buy } else { Side::Sell },
            price: MID_PRICE - SPREAD + dice.below(2 * SPREAD + 1),
            quantity: 1 + dice.below(100),
        }
    }

    /// Sends `order` under its one id until it has an answer.
    async fn place(&self, order: &Order) {
        let id = &order.client_order_id;
        self.journal.write(json!({ "at": now(), "event": "sent", "order": order }));
        self.memory.sent(id);
        let mut backoff = Backoff::new(RETRY_FIRST, RETRY_MOST);
        for attempt in 0.. {
            if let Some(gateway) = self.names.address(attempt).await {
                match self.send(gateway, order).await {
                    Try::Placed(placed) => return self.acknowledged(id, placed, gateway),
                    Try::Refused(why) => {
                        self.journal.write(json!({ "at": now(), "event": "refused", "id": id, "why": why }));
                        return self.memory.refused(id, why);
                    }
                    Try::InDoubt => {}
                }
            }
            self.memory.retried();
            sleep(backoff.step()).await;
        }
    }

    async fn send(&self, gateway: SocketAddr, order: &Order) -> Try {
        let url = format!("http://{gateway}/orders");
        let Ok(answer) = self.http.post(url).json(order).send().await else { return Try::InDoubt };
        match answer.status() {
            StatusCode::OK => answer.json().await.map_or(Try::InDoubt, Try::Placed),
            status if status.is_client_error() => {
                Try::Refused(format!("{status}: {}", answer.text().await.unwrap_or_default()))
            }
            _ => Try::InDoubt,
        }
    }

    fn acknowledged(&self, id: &str, placed: Placed, by: SocketAddr) {
        let Placed { stream, seq, duplicate } = placed;
        let (at, wall) = (Instant::now(), clock::now());
        self.journal.write(json!({
            "at": clock::rfc3339(wall), "event": "acknowledged", "id": id, "stream": stream, "seq": seq,
            "duplicate": duplicate, "by": by,
        }));
        let client_order_id = id.to_owned();
        self.memory.acknowledged(Ack {
            client_order_id,
            stream,
            seq,
            duplicate,
            by,
            at,
            wall,
            sent_after_kill: false,
        });
    }
}

fn now() -> String {
    clock::rfc3339(clock::now())
}

/// SplitMix64: the same orders from the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}
