//! The matching engine of one stream: a book for each of its symbols, and every order id that it has decided on.
//!
//! Pure and deterministic: the same events in the same order give the same engine, so a recovery by replay is the
//! engine that was lost, and [`Engine::replay`] checks that it is: it decides each order again and compares.

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::book::Book;
use crate::event::{Event, Status};
use crate::order::Order;

/// How many orders may rest in one book.
pub const RESTING_ORDERS_MAX: usize = 200_000;
/// How many order ids one stream remembers. At the limit it takes no new order; the operator starts a new day.
pub const ORDERS_MAX: usize = 5_000_000;
/// An order is rejected whose price is more than this many times the last trade, or less than that part of it.
const PRICE_BAND: u64 = 2;

/// What the engine remembers of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The order as it was sent.
    pub order: Order,
    /// The sequence of the entry that took it.
    pub seq: u64,
    /// How it was answered.
    pub status: Status,
    /// How many entries of the log took an order of this id. More than one is a fault that this engine never makes,
    /// but counts when it reads it.
    pub acceptances: u32,
    /// How much of it has traded.
    pub filled: u64,
}

/// The answer to an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// A new order.
    New {
        /// How it is answered.
        status: Status,
        /// Its entries: its own, and then its fills.
        entries: Vec<Event>,
    },
    /// The same order again: the earlier answer stands.
    Duplicate {
        /// The sequence of the entry that took it.
        seq: u64,
        /// How it was answered.
        status: Status,
    },
    /// The same id with another content.
    Conflict,
    /// The stream takes no more orders.
    Full,
}

/// Why a replay is not the engine that wrote the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("entry {seq} says {found}, where this engine decides {decided}")]
pub struct Diverged {
    /// The entry.
    pub seq: u64,
    /// What the log says.
    pub found: String,
    /// What this engine makes of the entries before it.
    pub decided: String,
}

/// The matching engine of one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Engine {
    books: BTreeMap<String, Book>,
    known: HashMap<String, Known>,
    /// While an order is replayed: its fills, which must come next.
    due: VecDeque<Event>,
}

impl Engine {
    /// An engine with an empty book for each of `symbols`.
    pub fn new(symbols: impl IntoIterator<Item = String>) -> Engine {
        let books = symbols.into_iter().map(|symbol| (symbol, Book::default())).collect();
        Engine { books, known: HashMap::new(), due: VecDeque::new() }
    }

    /// Decides on `order`, whose own entry will be `seq` if it is new.
    ///
    /// # Panics
    /// When the symbol is not this engine's: the gateway routes by symbol.
    pub fn submit(&mut self, order: Order, seq: u64, at: &str) -> Decision {
        match self.known.get(&order.client_order_id) {
            Some(known) if known.order == order => {
                Decision::Duplicate { seq: known.seq, status: known.status }
            }
            Some(_) => Decision::Conflict,
            None if self.known.len() >= ORDERS_MAX => Decision::Full,
            None => {
                let (status, entries) = self.take(order, seq, at);
                Decision::New { status, entries }
            }
        }
    }

    /// Applies an entry of the log.
    ///
    /// # Errors
    /// The entry is not what this engine would have written.
    pub fn replay(&mut self, seq: u64, event: Event) -> Result<(), Diverged> {
        let decided = match (&event, self.due.pop_front()) {
            (Event::Fill(_), decided) => decided,
            (_, Some(fill)) => Some(fill),
            (Event::Heartbeat { .. }, None) => Some(event.clone()),
            (Event::Order { order, .. }, None) if !self.books.contains_key(&order.symbol) => None,
            (Event::Order { order, at, .. }, None) => {
                self.due = self.take(order.clone(), seq, at).1.into();
                self.due.pop_front()
            }
        };
        if decided.as_ref() == Some(&event) {
            return Ok(());
        }
        let decided = decided.map_or("nothing".into(), |event| format!("{event:?}"));
        Err(Diverged { seq, found: format!("{event:?}"), decided })
    }

    /// Whether every replayed order has all its fills. A segment ends so.
    pub fn is_settled(&self) -> bool {
        self.due.is_empty()
    }

    fn take(&mut self, order: Order, seq: u64, at: &str) -> (Status, Vec<Event>) {
        let book = self.books.get_mut(&order.symbol).expect("orders are routed by symbol");
        let status = judge(book, &order);
        let fills = if status == Status::Accepted { book.execute(&order) } else { Vec::new() };

        let filled = fills.iter().map(|fill| fill.quantity).sum();
        for fill in &fills {
            self.known.get_mut(&fill.maker).expect("what rests is known").filled += fill.quantity;
        }
        self.known
            .entry(order.client_order_id.clone())
            .and_modify(|known| {
                known.acceptances += 1;
                known.filled += filled;
            })
            .or_insert_with(|| Known { order: order.clone(), seq, status, acceptances: 1, filled });

        let mut events = vec![Event::Order { order, status, at: at.to_owned() }];
        events.extend(fills.into_iter().map(Event::Fill));
        (status, events)
    }

    /// What is known of an order.
    pub fn order(&self, client_order_id: &str) -> Option<&Known> {
        self.known.get(client_order_id)
    }

    /// The book of a symbol.
    pub fn book(&self, symbol: &str) -> Option<&Book> {
        self.books.get(symbol)
    }
}

fn judge(book: &Book, order: &Order) -> Status {
    let too_far =
        |last: u64| order.price > last.saturating_mul(PRICE_BAND) || order.price < last.div_ceil(PRICE_BAND);
    if book.last_trade().is_some_and(too_far) {
        Status::RejectedPriceBand
    } else if book.resting() >= RESTING_ORDERS_MAX {
        Status::RejectedBookFull
    } else {
        Status::Accepted
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::order::Side;

    const SYMBOLS: [&str; 2] = ["AAPL", "MSFT"];

    fn engine() -> Engine {
        Engine::new(SYMBOLS.map(String::from))
    }

    fn order(id: &str, side: Side, price: u64, quantity: u64) -> Order {
        Order { client_order_id: id.into(), symbol: "AAPL".into(), side, price, quantity }
    }

    /// Runs `orders` live and gives the log that they make, with its sequence numbers from 1.
    fn live(engine: &mut Engine, orders: &[Order]) -> Vec<Event> {
        let mut log = Vec::new();
        for order in orders {
            if let Decision::New { entries, .. } = engine.submit(order.clone(), log.len() as u64 + 1, "t") {
                log.extend(entries);
            }
        }
        log
    }

    fn replay(log: &[Event]) -> Result<Engine, Diverged> {
        let mut engine = engine();
        for (index, event) in log.iter().enumerate() {
            engine.replay(index as u64 + 1, event.clone())?;
        }
        Ok(engine)
    }

    #[test]
    fn the_same_id_again_gets_the_earlier_answer() {
        let mut engine = engine();
        engine.submit(order("a", Side::Buy, 100, 1), 5, "t");
        let again = engine.submit(order("a", Side::Buy, 100, 1), 9, "t");
        assert_eq!(again, Decision::Duplicate { seq: 5, status: Status::Accepted });
        assert_eq!(engine.submit(order("a", Side::Buy, 101, 1), 9, "t"), Decision::Conflict);
        assert_eq!(engine.order("a").unwrap().acceptances, 1);
    }

    #[test]
    fn a_price_far_from_the_last_trade_is_rejected() {
        let mut engine = engine();
        live(&mut engine, &[order("a", Side::Buy, 100, 1), order("b", Side::Sell, 100, 1)]);
        for (id, price, status) in [
            ("low", 49, Status::RejectedPriceBand),
            ("high", 201, Status::RejectedPriceBand),
            ("edge", 200, Status::Accepted),
        ] {
            engine.submit(order(id, Side::Sell, price, 1), 9, "t");
            assert_eq!(engine.order(id).unwrap().status, status, "{id}");
        }
    }

    #[test]
    fn an_order_taken_twice_by_the_log_is_counted_twice() {
        let mut first = engine();
        let mut log = live(&mut first, &[order("a", Side::Buy, 100, 1)]);
        log.push(log[0].clone());
        let replayed = replay(&log).unwrap();
        assert_eq!((replayed.order("a").unwrap().acceptances, replayed.order("a").unwrap().seq), (2, 1));
    }

    #[test]
    fn a_log_that_this_engine_would_not_write_is_refused() {
        let mut first = engine();
        let log = live(&mut first, &[order("a", Side::Buy, 100, 2), order("b", Side::Sell, 100, 1)]);
        let mut dearer = log.clone();
        if let Event::Fill(fill) = &mut dearer[2] {
            fill.price += 1;
        }
        assert_eq!(replay(&dearer).unwrap_err().seq, 3);

        let mut engine = replay(&log[..2]).unwrap();
        assert!(!engine.is_settled());
        assert_eq!(engine.replay(3, Event::Heartbeat { at: "t".into() }).unwrap_err().seq, 3);

        let unlisted = Event::Order {
            order: Order { symbol: "NONE".into(), ..order("c", Side::Buy, 1, 1) },
            status: Status::Accepted,
            at: "t".into(),
        };
        assert_eq!(replay(&[unlisted]).unwrap_err().seq, 1);
    }

    prop_compose! {
        fn any_orders()(drafts in prop::collection::vec((0..60u32, 0..2usize, any::<bool>(), 95..106u64, 1..20u64), 0..120))
            -> Vec<Order> {
            drafts.into_iter().map(|(id, symbol, buy, price, quantity)| Order {
                // Few ids, so that duplicates and conflicts occur.
                client_order_id: format!("o{id}"),
                symbol: SYMBOLS[symbol].into(),
                side: if buy { Side::Buy } else { Side::Sell },
                price,
                quantity,
            }).collect()
        }
    }

    proptest! {
        #[test]
        fn no_book_is_ever_crossed(orders in any_orders()) {
            let mut engine = engine();
            for (seq, order) in orders.into_iter().enumerate() {
                let symbol = order.symbol.clone();
                engine.submit(order, seq as u64 + 1, "t");
                let book = engine.book(&symbol).unwrap();
                if let (Some(bid), Some(ask)) = (book.bids(1).first(), book.asks(1).first()) {
                    prop_assert!(bid.price < ask.price);
                }
            }
        }

        #[test]
        fn quantity_is_conserved(orders in any_orders()) {
            let mut engine = engine();
            live(&mut engine, &orders);
            for symbol in SYMBOLS {
                let book = engine.book(symbol).unwrap();
                for (side, levels) in [(Side::Buy, book.bids(usize::MAX)), (Side::Sell, book.asks(usize::MAX))] {
                    let taken = engine.known.values().filter(|known| {
                        known.order.symbol == symbol && known.order.side == side && known.status == Status::Accepted
                    });
                    let (mut ordered, mut filled) = (0, 0);
                    for known in taken {
                        prop_assert!(known.filled <= known.order.quantity);
                        ordered += known.order.quantity;
                        filled += known.filled;
                    }
                    prop_assert_eq!(ordered - filled, levels.iter().map(|level| level.quantity).sum::<u64>());
                }
            }
            let sides = |side| engine.known.values().filter(move |known| known.order.side == side);
            let bought: u64 = sides(Side::Buy).map(|known| known.filled).sum();
            let sold: u64 = sides(Side::Sell).map(|known| known.filled).sum();
            prop_assert_eq!(bought, sold);
        }

        /// A model that knows only the rule: among the orders that a fill could have taken, it took the one with the
        /// best price, and at that price the oldest.
        #[test]
        fn every_fill_takes_the_best_price_and_then_the_oldest(orders in any_orders()) {
            let mut engine = engine();
            let log = live(&mut engine, &orders);
            let mut resting: Vec<(Order, u64)> = Vec::new();
            let mut incoming: Option<(Order, u64)> = None;
            for event in log {
                match event {
                    Event::Order { order, status, .. } => {
                        resting.extend(incoming.take());
                        if status == Status::Accepted {
                            let quantity = order.quantity;
                            incoming = Some((order, quantity));
                        }
                    }
                    Event::Fill(fill) => {
                        let (taker, left) = incoming.as_mut().unwrap();
                        let best = resting.iter_mut()
                            .filter(|(maker, left)| {
                                *left > 0 && maker.symbol == taker.symbol && maker.side != taker.side
                                    && match taker.side {
                                        Side::Buy => maker.price <= taker.price,
                                        Side::Sell => maker.price >= taker.price,
                                    }
                            })
                            .min_by_key(|(maker, _)| match taker.side {
                                Side::Buy => maker.price,
                                Side::Sell => u64::MAX - maker.price,
                            })
                            .unwrap();
                        prop_assert_eq!(&best.0.client_order_id, &fill.maker);
                        prop_assert_eq!(best.0.price, fill.price);
                        prop_assert!(fill.quantity <= *left && fill.quantity <= best.1 && fill.quantity > 0);
                        *left -= fill.quantity;
                        best.1 -= fill.quantity;
                    }
                    Event::Heartbeat { .. } => {}
                }
            }
        }

        #[test]
        fn replay_equals_live(orders in any_orders()) {
            let mut first = engine();
            let log = live(&mut first, &orders);
            prop_assert_eq!(replay(&log).unwrap(), first);
        }
    }
}
