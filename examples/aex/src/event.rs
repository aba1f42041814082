//! What AEX writes into the ledger: its own fields of an entry. The format's fields (`stream`, `seq`, `prev`, `epoch`)
//! are added by the ledger's writer and skipped here.

use serde::{Deserialize, Serialize};

use crate::order::Order;

/// How an order was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It trades, or rests in the book.
    Accepted,
    /// Its price is too far from the last trade.
    RejectedPriceBand,
    /// The book of its symbol holds as many resting orders as it may.
    RejectedBookFull,
}

/// A trade between an incoming order and one that rested.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fill {
    /// The incoming order's id.
    pub taker: String,
    /// The resting order's id.
    pub maker: String,
    /// The resting order's price, in cents.
    pub price: u64,
    /// How much was traded.
    pub quantity: u64,
}

/// One entry's own fields. An accepted order is followed by its fills, an entry each, in the same segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// An order was decided on.
    Order {
        /// The order as the client sent it.
        #[serde(flatten)]
        order: Order,
        /// What was decided.
        status: Status,
        /// When, by the exchange's clock. A fact for people; nothing is computed from it.
        at: String,
    },
    /// The order before it traded.
    Fill(Fill),
    /// Nothing happened, and the log shows that somebody is there to say so.
    Heartbeat {
        /// When, by the exchange's clock.
        at: String,
    },
}
