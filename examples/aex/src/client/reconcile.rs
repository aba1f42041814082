//! The client's verdict: is everything that was acknowledged still there?

use std::time::Duration;

use futures::{StreamExt, stream};
use reqwest::StatusCode;
use serde::Deserialize;
use tokio::time::sleep;

use super::memory::{Ack, Memory};
use super::names::Names;
use crate::backoff::Backoff;

const TRIES_MAX: usize = 8;

/// What the exchange's public query says of everything that this client remembers.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Reconciliation {
    /// Distinct orders acknowledged before the kill; without a kill, all that were acknowledged.
    pub acknowledged: usize,
    /// Orders that were in doubt at the kill; without a kill, now.
    pub in_doubt: usize,
    /// How many of `acknowledged` were found, in the same stream and at the same sequence.
    pub recovered: usize,
    /// Acknowledged orders, before the kill or after it, that were not found there.
    pub lost: Vec<String>,
    /// Orders that were taken more than once, or are at another place than was acknowledged.
    pub duplicated: Vec<String>,
    /// Acknowledged orders that the exchange gave no answer about: not shown to be lost, and not recovered either.
    pub unanswered: Vec<String>,
    /// Orders that the exchange called wrong, each with what it said.
    pub refused: Vec<(String, String)>,
}

#[derive(Deserialize)]
struct Stored {
    stream: String,
    seq: u64,
    acceptances: u64,
}

enum Found {
    Stored(Stored),
    Missing,
    NoAnswer,
}

pub(super) async fn reconcile(
    memory: &Memory,
    names: &Names,
    http: &reqwest::Client,
    concurrency: usize,
) -> Reconciliation {
    let kill = memory.kill();
    let acks = memory.acks();
    let mut result = Reconciliation { refused: memory.refusals(), ..Reconciliation::default() };
    result.in_doubt = kill.map_or_else(|| memory.counts().in_doubt, |kill| kill.in_doubt);
    let mut answers = stream::iter(acks)
        .map(|ack| async move { (ask(names, http, &ack.client_order_id).await, ack) })
        .buffer_unordered(concurrency.max(1));
    while let Some((found, ack)) = answers.next().await {
        let Ack { client_order_id: id, stream, seq, at, .. } = ack;
        let before_kill = kill.is_none_or(|kill| at <= kill.at);
        result.acknowledged += usize::from(before_kill);
        match found {
            Found::Missing => result.lost.push(id),
            Found::NoAnswer => result.unanswered.push(id),
            Found::Stored(stored) => {
                let same_place = stored.stream == stream && stored.seq == seq;
                result.recovered += usize::from(before_kill && same_place);
                if !same_place {
                    result.lost.push(id.clone());
                }
                if !same_place || stored.acceptances != 1 {
                    result.duplicated.push(id);
                }
            }
        }
    }
    // What was never answered may be in the log or not, but not twice.
    let mut answers = stream::iter(memory.in_doubt())
        .map(|id| async move { (ask(names, http, &id).await, id) })
        .buffer_unordered(concurrency.max(1));
    while let Some((found, id)) = answers.next().await {
        if matches!(found, Found::Stored(Stored { acceptances: 2.., .. })) {
            result.duplicated.push(id);
        }
    }
    result
}

async fn ask(names: &Names, http: &reqwest::Client, id: &str) -> Found {
    let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));
    for attempt in 0..TRIES_MAX {
        if let Some(gateway) = names.address(attempt).await
            && let Ok(answer) = http.get(format!("http://{gateway}/orders/{id}")).send().await
        {
            match answer.status() {
                StatusCode::OK => {
                    if let Ok(stored) = answer.json().await {
                        return Found::Stored(stored);
                    }
                }
                StatusCode::NOT_FOUND => return Found::Missing,
                _ => {}
            }
        }
        sleep(backoff.step()).await;
    }
    Found::NoAnswer
}
