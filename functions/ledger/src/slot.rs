//! Where entries live: one object a slot, named by the first sequence that it holds.
//!
//! Invariant: the key is the slot, so it never varies with anything else. Two writers that both believe to be next
//! meet at the same key, and the store's conditional put lets one of them win.

/// What ends the name of a segment.
pub const SUFFIX: &str = ".ndjson";

/// The key of the segment of `stream` whose first entry is `first_seq`, e.g. `log/ME1/00000000000000000001.ndjson`.
/// Twenty digits hold any `u64`, so keys sort as the numbers do.
pub fn key(prefix: &str, stream: &str, first_seq: u64) -> String {
    format!("{prefix}{stream}/{first_seq:020}{SUFFIX}")
}

/// The prefix under which all segments of `stream` lie.
pub fn stream_prefix(prefix: &str, stream: &str) -> String {
    format!("{prefix}{stream}/")
}

/// Reads a key back into stream and first sequence; `None` for a key that [`key`] would not make.
pub fn parse<'a>(prefix: &str, key: &'a str) -> Option<(&'a str, u64)> {
    let (stream, name) = key.strip_prefix(prefix)?.split_once('/')?;
    let digits = name.strip_suffix(SUFFIX)?;
    if digits.len() != 20 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some((stream, digits.parse().ok()?))
}

/// The key of another slot of the same stream; `None` where `key` is no slot's.
pub(crate) fn sibling(key: &str, first_seq: u64) -> Option<String> {
    let (folder, name) = key.rsplit_once('/')?;
    let digits = name.get(..20)?;
    let rest = name.get(20..)?;
    let is_slot = digits.bytes().all(|byte| byte.is_ascii_digit()) && rest == SUFFIX;
    is_slot.then(|| format!("{folder}/{first_seq:020}{SUFFIX}"))
}

/// The prefix of all fence objects in the log's bucket.
pub const FENCE_PREFIX: &str = "fence/";

/// The key of the object that a run puts before it seals: a fast writer that sees it stops by itself, so that the
/// sealer's tries are bounded.
pub fn fence_key(epoch: u64) -> String {
    format!("{FENCE_PREFIX}{epoch:020}")
}

/// The epoch that a fence object's key names.
pub fn parse_fence(key: &str) -> Option<u64> {
    let digits = key.strip_prefix(FENCE_PREFIX)?;
    if digits.len() == 20 { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_round_trip_and_sort_as_numbers() {
        for seq in [1, 9, 10, u64::MAX] {
            assert_eq!(parse("log/", &key("log/", "ME1", seq)), Some(("ME1", seq)));
        }
        assert!(key("log/", "ME1", 9) < key("log/", "ME1", 10));
        assert_eq!(parse_fence(&fence_key(42)), Some(42));
    }

    #[test]
    fn foreign_keys_are_not_slots() {
        for foreign in ["log/ME1/1.ndjson", "log/ME1/00000000000000000001.ndjson.gz", "log/x", "other/ME1/0"]
        {
            assert_eq!(parse("log/", foreign), None, "{foreign}");
        }
    }
}
