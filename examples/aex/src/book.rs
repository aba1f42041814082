//! The order book of one symbol: price-time priority, pure and deterministic.
//!
//! Invariant: between two calls the book is not crossed (the best bid is below the best ask), and no order rests with
//! nothing left.

use std::collections::{BTreeMap, VecDeque};

use crate::event::Fill;
use crate::order::{Order, Side};

/// One side's resting orders: by price, and at one price in the order of arrival.
type Levels = BTreeMap<u64, VecDeque<Resting>>;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Resting {
    id: String,
    remaining: u64,
}

/// A price and how much is on offer at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Level {
    /// The price, in cents.
    pub price: u64,
    /// The sum of what rests there.
    pub quantity: u64,
}

/// The book of one symbol.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Book {
    bids: Levels,
    asks: Levels,
    resting: usize,
    last_trade: Option<u64>,
}

impl Book {
    /// Matches `order` against what rests, best price first and at one price the oldest first; what is left rests.
    pub fn execute(&mut self, order: &Order) -> Vec<Fill> {
        let mut fills = Vec::new();
        let mut left = order.quantity;
        while left > 0
            && let Some(price) = self.best_against(order)
        {
            let level = self.opposite(order.side).entry(price).or_default();
            let maker = level.front_mut().expect("a level holds at least one order");
            let quantity = left.min(maker.remaining);
            let (taker, maker_id) = (order.client_order_id.clone(), maker.id.clone());
            fills.push(Fill { taker, maker: maker_id, price, quantity });
            left -= quantity;
            maker.remaining -= quantity;
            if maker.remaining == 0 {
                level.pop_front();
                if level.is_empty() {
                    self.opposite(order.side).remove(&price);
                }
                self.resting -= 1;
            }
            self.last_trade = Some(price);
        }
        if left > 0 {
            let own = match order.side {
                Side::Buy => &mut self.bids,
                Side::Sell => &mut self.asks,
            };
            let resting = Resting { id: order.client_order_id.clone(), remaining: left };
            own.entry(order.price).or_default().push_back(resting);
            self.resting += 1;
        }
        fills
    }

    /// The price of the best resting order that `order` would trade with.
    fn best_against(&self, order: &Order) -> Option<u64> {
        match order.side {
            Side::Buy => self.asks.keys().next().copied().filter(|ask| *ask <= order.price),
            Side::Sell => self.bids.keys().next_back().copied().filter(|bid| *bid >= order.price),
        }
    }

    fn opposite(&mut self, side: Side) -> &mut Levels {
        match side {
            Side::Buy => &mut self.asks,
            Side::Sell => &mut self.bids,
        }
    }

    /// How many orders rest.
    pub fn resting(&self) -> usize {
        self.resting
    }

    /// The price of the last trade, in cents.
    pub fn last_trade(&self) -> Option<u64> {
        self.last_trade
    }

    /// The best `depth` bids, highest first.
    pub fn bids(&self, depth: usize) -> Vec<Level> {
        self.bids.iter().rev().take(depth).map(level).collect()
    }

    /// The best `depth` asks, lowest first.
    pub fn asks(&self, depth: usize) -> Vec<Level> {
        self.asks.iter().take(depth).map(level).collect()
    }
}

fn level((price, orders): (&u64, &VecDeque<Resting>)) -> Level {
    Level { price: *price, quantity: orders.iter().map(|order| order.remaining).sum() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(id: &str, side: Side, price: u64, quantity: u64) -> Order {
        Order { client_order_id: id.into(), symbol: "AAPL".into(), side, price, quantity }
    }

    fn fill(taker: &str, maker: &str, price: u64, quantity: u64) -> Fill {
        Fill { taker: taker.into(), maker: maker.into(), price, quantity }
    }

    #[test]
    fn the_better_price_trades_first_and_at_the_makers_price() {
        let mut book = Book::default();
        book.execute(&order("dear", Side::Sell, 102, 5));
        book.execute(&order("cheap", Side::Sell, 101, 5));
        let fills = book.execute(&order("taker", Side::Buy, 105, 7));
        assert_eq!(fills, [fill("taker", "cheap", 101, 5), fill("taker", "dear", 102, 2)]);
        assert_eq!(book.asks(9), [Level { price: 102, quantity: 3 }]);
        assert_eq!(book.last_trade(), Some(102));
    }

    #[test]
    fn at_one_price_the_older_order_trades_first() {
        let mut book = Book::default();
        book.execute(&order("first", Side::Buy, 100, 5));
        book.execute(&order("second", Side::Buy, 100, 5));
        let fills = book.execute(&order("taker", Side::Sell, 100, 6));
        assert_eq!(fills, [fill("taker", "first", 100, 5), fill("taker", "second", 100, 1)]);
    }

    #[test]
    fn what_does_not_trade_rests() {
        let mut book = Book::default();
        book.execute(&order("ask", Side::Sell, 101, 5));
        assert_eq!(book.execute(&order("bid", Side::Buy, 100, 4)), []);
        assert_eq!((book.bids(1)[0].quantity, book.asks(1)[0].quantity, book.resting()), (4, 5, 2));
    }
}
