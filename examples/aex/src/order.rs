//! What a client asks for, checked field by field before anything else sees it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The longest client order id, in bytes.
pub const ORDER_ID_BYTES_MAX: usize = 64;
/// The highest price, in cents.
pub const PRICE_CENTS_MAX: u64 = 1_000_000_000;
/// The largest quantity of one order.
pub const QUANTITY_MAX: u64 = 1_000_000;

const FIELDS: [&str; 5] = ["client_order_id", "symbol", "side", "price", "quantity"];

/// Which side of the book an order is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// Wants to buy, at its price or lower.
    Buy,
    /// Wants to sell, at its price or higher.
    Sell,
}

/// A limit order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The client's own name for the order: the same name again means the same order again.
    pub client_order_id: String,
    /// What is traded.
    pub symbol: String,
    /// Buy or sell.
    pub side: Side,
    /// The limit, in cents.
    pub price: u64,
    /// How much.
    pub quantity: u64,
}

/// Why a request is no order; `field` is what the client has to look at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct Invalid {
    /// The field, or `body` where no single field is to blame.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

impl Invalid {
    fn new(field: &str, message: impl Into<String>) -> Invalid {
        Invalid { field: field.into(), message: message.into() }
    }
}

impl Order {
    /// Reads an order from a request's body. The symbol is checked to be a word here; whether it is listed is for the
    /// gateway to know.
    ///
    /// # Errors
    /// The first field that is missing, unknown, ill-typed or out of range.
    pub fn from_json(body: &[u8]) -> Result<Order, Invalid> {
        let value: Value = serde_json::from_slice(body)
            .map_err(|err| Invalid::new("body", format!("is not valid JSON: {err}")))?;
        let Value::Object(fields) = value else {
            return Err(Invalid::new("body", "must be a JSON object"));
        };
        if let Some(unknown) = fields.keys().find(|name| !FIELDS.contains(&name.as_str())) {
            return Err(Invalid::new(unknown, format!("is unknown; the fields are {}", FIELDS.join(", "))));
        }
        Ok(Order {
            client_order_id: word(&fields, "client_order_id")?,
            symbol: word(&fields, "symbol")?,
            side: side(&fields)?,
            price: number(&fields, "price", PRICE_CENTS_MAX)?,
            quantity: number(&fields, "quantity", QUANTITY_MAX)?,
        })
    }
}

fn field<'a>(fields: &'a Map<String, Value>, name: &str) -> Result<&'a Value, Invalid> {
    fields.get(name).ok_or_else(|| Invalid::new(name, "is missing"))
}

/// Whether `text` may stand in a path and in a log line as it is.
pub(crate) fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= ORDER_ID_BYTES_MAX
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

fn word(fields: &Map<String, Value>, name: &str) -> Result<String, Invalid> {
    match field(fields, name)?.as_str() {
        Some(text) if is_word(text) => Ok(text.to_owned()),
        _ => Err(Invalid::new(
            name,
            format!("must be a string of 1 to {ORDER_ID_BYTES_MAX} letters, digits, `-`, `_` or `.`"),
        )),
    }
}

fn side(fields: &Map<String, Value>) -> Result<Side, Invalid> {
    match field(fields, "side")?.as_str() {
        Some("buy") => Ok(Side::Buy),
        Some("sell") => Ok(Side::Sell),
        _ => Err(Invalid::new("side", "must be \"buy\" or \"sell\"")),
    }
}

fn number(fields: &Map<String, Value>, name: &str, max: u64) -> Result<u64, Invalid> {
    match field(fields, name)?.as_u64() {
        Some(number @ 1..) if number <= max => Ok(number),
        _ => Err(Invalid::new(name, format!("must be a whole number from 1 to {max}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_complete_order_is_read() {
        let body =
            json!({"client_order_id": "a-1", "symbol": "AAPL", "side": "buy", "price": 10, "quantity": 3});
        let order = Order::from_json(body.to_string().as_bytes()).unwrap();
        assert_eq!((order.side, order.price, order.quantity), (Side::Buy, 10, 3));
    }

    #[test]
    fn an_error_names_the_field() {
        let good =
            json!({"client_order_id": "a", "symbol": "AAPL", "side": "buy", "price": 10, "quantity": 3});
        for (name, bad) in [
            ("client_order_id", json!("")),
            ("client_order_id", json!("a/b")),
            ("client_order_id", json!("x".repeat(65))),
            ("symbol", json!(7)),
            ("side", json!("BUY")),
            ("price", json!(0)),
            ("price", json!(10.5)),
            ("price", json!("10")),
            ("quantity", json!(-1)),
            ("quantity", json!(QUANTITY_MAX + 1)),
            ("colour", json!("red")),
        ] {
            let mut body = good.clone();
            body[name] = bad;
            let invalid = Order::from_json(body.to_string().as_bytes()).unwrap_err();
            assert_eq!(invalid.field, name, "{invalid}");
        }
        for name in FIELDS {
            let mut body = good.clone();
            body.as_object_mut().unwrap().remove(name);
            let invalid = Order::from_json(body.to_string().as_bytes()).unwrap_err();
            assert_eq!((invalid.field.as_str(), invalid.message.as_str()), (name, "is missing"));
        }
        assert_eq!(Order::from_json(b"[]").unwrap_err().field, "body");
        assert_eq!(Order::from_json(b"{").unwrap_err().field, "body");
    }
}
