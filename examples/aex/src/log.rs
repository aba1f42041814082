//! What AEX says about itself: one line of JSON an event, on standard output.

use std::io::Write;

use serde_json::{Value, json};

use crate::clock;

/// Writes one line: `ts`, `event`, and the members of `fields`, which must be an object.
pub fn event(name: &str, fields: &Value) {
    let mut line = json!({ "ts": clock::rfc3339(clock::now()), "event": name });
    if let (Some(line), Some(fields)) = (line.as_object_mut(), fields.as_object()) {
        line.extend(fields.iter().map(|(key, value)| (key.clone(), value.clone())));
    }
    // Nobody reading is no reason to stop trading.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}
