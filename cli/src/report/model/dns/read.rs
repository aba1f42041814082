//! What steps have left of DNS beside their records, by the names that they give it.

use dns_flip::{Receipts, Sending, Sent};
use serde::de::DeserializeOwned;

use crate::report::facts::Left;

/// All of it, each with its key where that is told.
#[derive(Default)]
pub(super) struct Read {
    pub(super) batches: Vec<(String, Sending)>,
    pub(super) sent: Vec<Sent>,
    pub(super) receipts: Vec<(String, Receipts)>,
    /// What could not be read: the key, and the field that is wrong.
    pub(super) unread: Vec<String>,
}

pub(super) fn read(left: &Left) -> Read {
    let mut read = Read::default();
    for (key, bytes) in left {
        let is = |name: &str| key.contains(&format!("-{name}-"));
        let all = &mut read;
        let unread = match () {
            () if is("receipts") || is("answered") => take(bytes, |it| all.receipts.push((key.clone(), it))),
            () if is("batches") => take(bytes, |sent: Vec<Sent>| all.sent.extend(sent)),
            () if is("batch") => take(bytes, |it| all.batches.push((key.clone(), it))),
            () => continue,
        };
        read.unread.extend(unread.map(|why| format!("{key}: {why}")));
    }
    read
}

/// Hands on what the bytes are, or says what is wrong with them.
fn take<T: DeserializeOwned>(bytes: &[u8], keep: impl FnOnce(T)) -> Option<String> {
    match serde_json::from_slice(bytes) {
        Ok(value) => {
            keep(value);
            None
        }
        Err(err) => Some(err.to_string()),
    }
}
