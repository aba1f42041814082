//! How the traffic moved: what the names said before and after, what was sent, and who has answered.

mod changes;
mod read;
mod receipts;

use dns_flip::{Answer, Confirmed, Moved, Unconfirmed};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

pub(crate) use changes::{Batch, By, Changes};
pub(crate) use receipts::Receipts;

use crate::report::facts::{Facts, Kept};
use crate::report::words::{count, grouped};

#[derive(Debug, Serialize)]
pub(crate) struct Dns {
    pub(crate) strategy: Option<&'static str>,
    /// In plain words, a paragraph each.
    pub(crate) words: Vec<String>,
    pub(crate) flip: Option<FlipObject>,
    pub(crate) changes: Changes,
    pub(crate) batches: Vec<Batch>,
    pub(crate) receipts: Option<Receipts>,
    /// What was left and could not be read: the key, and what is wrong.
    pub(crate) unread: Vec<String>,
}

/// By `switch`: the one object that moved every name.
#[derive(Debug, Serialize)]
pub(crate) struct FlipObject {
    pub(crate) key: String,
    pub(crate) version: Option<String>,
    pub(crate) at: Timestamp,
}

pub(super) fn of(facts: &Facts) -> Dns {
    let moved = facts.outcomes(&["flip"]).filter_map(moved).next_back();
    let read = read::read(&facts.left);
    let changes = changes::of(facts, &read);
    let batches = changes::batches(&read);
    let receipts = receipts::of(facts, &read.receipts);
    let mut words = vec![how(facts, moved.as_ref().map(|(_, moved)| moved))];
    words.extend(confirmed(facts));
    Dns {
        strategy: match &moved {
            Some((_, Moved::Switch(_))) => Some("switch"),
            Some((_, Moved::Records(_))) => Some("records"),
            None => (!batches.is_empty()).then_some("records"),
        },
        words,
        flip: moved.as_ref().and_then(|(kept, moved)| flip_object(kept, moved)),
        changes,
        batches,
        receipts,
        unread: read.unread,
    }
}

fn moved(kept: &Kept) -> Option<(&Kept, Moved)> {
    match serde_json::from_value(kept.result().clone()).ok()? {
        Answer::Flipped(moved) => Some((kept, moved)),
        _ => None,
    }
}

fn flip_object(kept: &Kept, moved: &Moved) -> Option<FlipObject> {
    matches!(moved, Moved::Switch(_)).then(|| {
        let text = |field: &str| kept.result()[field].as_str().map(str::to_owned);
        FlipObject { key: text("key").unwrap_or_default(), version: text("version"), at: kept.record.at }
    })
}

fn how(facts: &Facts, moved: Option<&Moved>) -> String {
    match moved {
        Some(Moved::Switch(_)) => "Every name moved at once, by one object that says on which side the traffic is. No record was \
                                   edited on the day: each had been made beforehand as a failover pair, whose primary half stops \
                                   answering by that object."
            .to_owned(),
        Some(Moved::Records(moved)) => format!(
            "The records themselves were edited: {} of {}, in batches that the zone takes whole or not at all, and only where it \
             still holds what was read before.",
            grouped(moved.changed as u64),
            count(moved.records as u64, "record")
        ),
        None if facts.was_begun("flip") => "The run began to move the traffic, and no record says that it was moved. Which side the \
                                            names point at has to be asked of the zone."
            .to_owned(),
        None if facts.is_by_a_person() => traffic_of_a_person(facts),
        None if facts.manifest.is_none() => {
            "No record says that the run began to move the traffic. It has no manifest, so that need not be all.".to_owned()
        }
        None => "The run moved no traffic: every name points where it pointed before.".to_owned(),
    }
}

/// What a manifest without records says of the traffic.
fn traffic_of_a_person(facts: &Facts) -> String {
    let traffic = facts.manifest.as_ref().map(|manifest| &manifest.facts["traffic"]);
    match traffic.map(|traffic| &traffic["kept"]) {
        Some(Value::Bool(true)) => "The traffic was left where it was.".to_owned(),
        _ => "What the command did with the traffic is in the manifest's facts; no record tells more."
            .to_owned(),
    }
}

/// Whether real answers were seen to follow.
fn confirmed(facts: &Facts) -> Option<String> {
    let last = facts.outcomes(&["confirm_flip"]).rfind(|kept| kept.verdict().is_some());
    match last.map(|kept| serde_json::from_value(kept.result().clone())) {
        Some(Ok(Answer::FlipConfirmed(Confirmed { names, of, staleness_seconds_max, .. }))) => Some(format!(
            "{} of {} asked for by real DNS questions, and each answered from the recovery side. A client that obeys the time to \
             live has the new value {staleness_seconds_max} s after that at the latest.",
            grouped(names as u64),
            if of == 1 { "1 name was".to_owned() } else { format!("{} were", count(of as u64, "name")) }
        )),
        Some(Ok(Answer::FlipUnconfirmed(Unconfirmed { reason, .. }))) => {
            Some(format!("Not all were seen to follow: {reason}."))
        }
        _ if facts.was_begun("confirm_flip") => {
            Some("Whether real answers follow was asked, and no record says that they do.".to_owned())
        }
        _ => None,
    }
}
