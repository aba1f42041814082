//! The second copy: the same entries to Amazon Data Firehose, after the put. Best effort: it never delays an answer,
//! and what it loses it counts. The log is the authority; this copy proves nothing past what was delivered.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_sdk_firehose::Client;
use aws_sdk_firehose::primitives::Blob;
use aws_sdk_firehose::types::Record;
use serde_json::json;
use tokio::sync::mpsc;

use crate::backoff::Backoff;
use crate::log;
use crate::store::detail;

/// Segments that may wait to be sent.
const QUEUE_MAX: usize = 1_024;
/// Firehose's own limits: 1,000 KiB a record, 500 records and 4 MiB a call.
const RECORD_BYTES_MAX: usize = 1_000 * 1_024;
const CALL_RECORDS_MAX: usize = 500;
const CALL_BYTES_MAX: usize = 4 * 1_024 * 1_024;
const TRIES_MAX: u32 = 5;

/// Where segments go after they were stored.
#[derive(Clone, Debug)]
pub struct Witness {
    queue: mpsc::Sender<Vec<u8>>,
    lost_records: Arc<AtomicU64>,
}

impl Witness {
    /// Starts sending to `delivery_stream`.
    pub fn start(client: Client, delivery_stream: String) -> Witness {
        let (queue, segments) = mpsc::channel(QUEUE_MAX);
        let lost_records = Arc::new(AtomicU64::new(0));
        tokio::spawn(send_all(client, delivery_stream, segments, Arc::clone(&lost_records)));
        Witness { queue, lost_records }
    }

    /// Takes a stored segment, or counts it as lost when the queue is full.
    pub fn offer(&self, segment: Vec<u8>) {
        if self.queue.try_send(segment).is_err() {
            lose(&self.lost_records, 1, "the queue is full");
        }
    }
}

async fn send_all(client: Client, to: String, mut segments: mpsc::Receiver<Vec<u8>>, lost: Arc<AtomicU64>) {
    while let Some(first) = segments.recv().await {
        let mut records: Vec<Vec<u8>> = split(&first).map(<[u8]>::to_vec).collect();
        let mut bytes = first.len();
        // Half of each limit for what is waiting leaves room for one whole segment more.
        while records.len() < CALL_RECORDS_MAX / 2
            && bytes < CALL_BYTES_MAX / 2
            && let Ok(next) = segments.try_recv()
        {
            bytes += next.len();
            records.extend(split(&next).map(<[u8]>::to_vec));
        }
        send(&client, &to, records, &lost).await;
    }
}

async fn send(client: &Client, to: &str, mut records: Vec<Vec<u8>>, lost: &AtomicU64) {
    let mut backoff = Backoff::default();
    let mut trouble = String::new();
    for _ in 0..TRIES_MAX {
        let batch = records.iter().map(|bytes| {
            Record::builder().data(Blob::new(bytes.clone())).build().expect("a record needs only its data")
        });
        let call = client.put_record_batch().delivery_stream_name(to).set_records(Some(batch.collect()));
        match call.send().await {
            Ok(answer) => {
                // One answer a record, in the order sent; those with an error code were not taken.
                let mut refused =
                    answer.request_responses().iter().map(|record| record.error_code().is_some());
                records.retain(|_| refused.next().unwrap_or(false));
                trouble = "the delivery stream refused records".into();
            }
            Err(err) => trouble = detail(&err),
        }
        if records.is_empty() {
            return;
        }
        tokio::time::sleep(backoff.step()).await;
    }
    lose(lost, records.len() as u64, &trouble);
}

fn lose(counter: &AtomicU64, records: u64, why: &str) {
    let before = counter.fetch_add(records, Ordering::Relaxed);
    log::event("witness_lost", &json!({ "records": records, "so_far": before + records, "detail": why }));
}

/// Cuts a segment into records at the ends of lines.
fn split(segment: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = segment;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let most = &rest[..rest.len().min(RECORD_BYTES_MAX)];
        let end = most.iter().rposition(|byte| *byte == b'\n').map_or(most.len(), |newline| newline + 1);
        let (record, after) = rest.split_at(end);
        rest = after;
        Some(record)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_holds_whole_lines_and_nothing_is_lost() {
        let line = [b"x".repeat(65_000), b"\n".to_vec()].concat();
        let segment = line.repeat(40);
        let records: Vec<&[u8]> = split(&segment).collect();
        assert_eq!(records.concat(), segment);
        assert!(records.len() > 1);
        for record in records {
            assert!(record.len() <= RECORD_BYTES_MAX && record.ends_with(b"\n"));
        }
        assert_eq!(split(b"one\n").collect::<Vec<_>>(), [b"one\n"]);
    }
}
