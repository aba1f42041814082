//! How the old primary was kept from acknowledging anything, and who may write since.

use std::collections::BTreeMap;

use jiff::Timestamp;
use lifeboat_rules::recovered::Sealed;
use serde::Serialize;

use super::verdict::{Fenced, fenced};
use crate::report::facts::{Facts, Kept};
use crate::report::words::count;

#[derive(Debug, Serialize)]
pub(crate) struct Fence {
    pub(crate) fenced: Fenced,
    pub(crate) words: String,
    pub(crate) epoch: Option<u64>,
    pub(crate) sealed_at: Option<Timestamp>,
    pub(crate) opened_at: Option<Timestamp>,
    pub(crate) streams: Vec<Stream>,
}

/// Where the pen changed hands.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Stream {
    pub(crate) stream: String,
    pub(crate) sealed_seq: Option<u64>,
    pub(crate) opened_seq: Option<u64>,
}

pub(super) fn of(facts: &Facts) -> Fence {
    let last = |action, verdict| facts.outcomes(action).rfind(|kept| kept.verdict() == Some(verdict));
    let (sealed, opened) = (last(&["seal"], "Sealed"), last(&["open"], "Opened"));
    let mut streams: BTreeMap<String, Stream> = BTreeMap::new();
    let mut named = |seen: Option<&Kept>, put: fn(&mut Stream, u64)| {
        for Sealed { stream, seq } in seen.into_iter().flat_map(positions) {
            put(streams.entry(stream).or_default(), seq);
        }
    };
    named(sealed, |stream, seq| stream.sealed_seq = Some(seq));
    named(opened, |stream, seq| stream.opened_seq = Some(seq));
    let streams: Vec<Stream> =
        streams.into_iter().map(|(name, stream)| Stream { stream: name, ..stream }).collect();
    let state = fenced(facts);
    Fence {
        words: words(facts, state, opened.is_some(), streams.len() as u64),
        fenced: state,
        epoch: facts.manifest.as_ref().and_then(|manifest| manifest.admitted.as_ref()?.epoch),
        sealed_at: sealed.map(|kept| kept.record.at),
        opened_at: opened.map(|kept| kept.record.at),
        streams,
    }
}

fn positions(kept: &Kept) -> Vec<Sealed> {
    serde_json::from_value(kept.result()["streams"].clone()).unwrap_or_default()
}

fn words(facts: &Facts, state: Fenced, opened: bool, streams: u64) -> String {
    match state {
        Fenced::No if facts.is_by_a_person() => {
            "A person's command leaves no records; its manifest says what it did.".to_owned()
        }
        Fenced::No if facts.manifest.is_none() => {
            "No record says that the run began to seal. It has no manifest, so that need not be all.".to_owned()
        }
        Fenced::No => "The run put no seal. The primary was not fenced by it, and kept its pen.".to_owned(),
        Fenced::Unknown => "The run began to seal, and no record says that every stream was. Some streams may be closed to the \
                            primary, and others open: `lifeboat status --verify` reads the ledger itself."
            .to_owned(),
        Fenced::Yes => {
            let then = match (opened, facts.was_begun("open")) {
                (true, _) => "Then the pen was given to the recovery side.",
                (false, true) => "To give the pen to the recovery side was begun, and no record says that every stream was opened: \
                                  `lifeboat status --verify` tells who holds each.",
                (false, false) => "No record says that the pen was given to the recovery side: until a person acts, neither side acknowledges.",
            };
            format!(
                "A seal closes {}. The old primary finds it where its own next entry would go, and stops without \
                 acknowledging; no call to the lost Region was needed. {then}",
                if streams == 1 { "the one stream".to_owned() } else { format!("each of {}", count(streams, "stream")) }
            )
        }
    }
}
