//! The store of the Lambdas against an S3 that answers by script, on the wire: what each answer comes to.
//!
//! What this does not prove: that S3 gives these answers. They are as its documentation has them.

use std::collections::{BTreeMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use lifeboat_ledger::lease::Lease;
use lifeboat_ledger::{Hash, slot};
use lifeboat_rules::plan::{LeasePlan, Ledger};
use lifeboat_rules::{ErrorName, StepError};
use lifeboat_runtime::{Log, Put, Replace, Store};

/// What the server does with the next put.
#[derive(Clone, Copy, Debug)]
enum Mishap {
    /// Answers with this status and code, and does nothing.
    Refuse(u16, &'static str),
    /// Takes it, and answers as if it had failed.
    TakeAndFail,
}

#[derive(Clone, Debug, Default)]
struct S3 {
    objects: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    mishaps: Arc<Mutex<VecDeque<Mishap>>>,
    lists: Arc<Mutex<usize>>,
}

impl S3 {
    async fn start(self) -> Store {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        let app = Router::new().fallback(answer).with_state(self);
        tokio::spawn(async move { axum::serve(listener, app).await });
        let credentials = Credentials::new("test", "test", None, None, "test");
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(format!("http://{address}"))
            .region(Region::new("eu-central-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .retry_config(
                RetryConfig::standard().with_max_attempts(3).with_initial_backoff(Duration::from_millis(1)),
            )
            .timeout_config(TimeoutConfig::builder().operation_timeout(Duration::from_secs(10)).build())
            .build();
        Store::new(&config)
    }

    fn next(self, mishaps: impl IntoIterator<Item = Mishap>) -> S3 {
        self.mishaps.lock().unwrap().extend(mishaps);
        self
    }

    fn with(self, key: &str, bytes: &[u8]) -> S3 {
        self.objects.lock().unwrap().insert(format!("/bucket/{key}"), bytes.to_vec());
        self
    }
}

fn error(status: u16, code: &str) -> Response {
    let body = format!("<Error><Code>{code}</Code><Message>by script</Message></Error>");
    (StatusCode::from_u16(status).unwrap(), body).into_response()
}

async fn answer(State(s3): State<S3>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let key = uri.path().to_owned();
    let url = reqwest::Url::parse(&format!("http://s3{uri}")).unwrap();
    let query: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
    match method {
        Method::PUT => {
            let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
            let (none_match, if_match) = (header("if-none-match"), header("if-match"));
            assert!(none_match.as_deref() == Some("*") || if_match.is_some(), "never without a condition");
            let mishap = s3.mishaps.lock().unwrap().pop_front();
            if let Some(Mishap::Refuse(status, code)) = mishap {
                return error(status, code);
            }
            let mut objects = s3.objects.lock().unwrap();
            match (objects.get(&key), if_match) {
                (None, Some(_)) => return error(404, "NoSuchKey"),
                (Some(found), Some(tag)) if etag(found) != tag => return error(412, "PreconditionFailed"),
                (Some(_), None) => return error(412, "PreconditionFailed"),
                _ => {}
            }
            objects.insert(key, body.to_vec());
            match mishap {
                Some(_) => error(500, "InternalError"),
                None => StatusCode::OK.into_response(),
            }
        }
        Method::GET if query.contains_key("list-type") => {
            *s3.lists.lock().unwrap() += 1;
            list(&s3, &key, &query)
        }
        Method::GET => match s3.mishaps.lock().unwrap().pop_front() {
            Some(Mishap::Refuse(status, code)) => error(status, code),
            _ => match s3.objects.lock().unwrap().get(&key) {
                Some(bytes) => {
                    let times = [
                        ("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT"),
                        ("date", "Thu, 01 Jan 2026 00:00:09 GMT"),
                    ];
                    (times, [("etag", etag(bytes))], bytes.clone()).into_response()
                }
                None => error(404, "NoSuchKey"),
            },
        },
        other => panic!("{other} {uri}"),
    }
}

/// The tag of an object: one for each content.
fn etag(bytes: &[u8]) -> String {
    format!("\"{}\"", lifeboat_ledger::Hash::of(bytes))
}

fn list(s3: &S3, bucket: &str, query: &BTreeMap<String, String>) -> Response {
    let bucket = format!("{}/", bucket.trim_end_matches('/'));
    let text = |name: &str| query.get(name).cloned().unwrap_or_default();
    let (prefix, after) = (text("prefix"), text("start-after"));
    let objects = s3.objects.lock().unwrap();
    let from = format!("{bucket}{}", prefix.as_str().max(after.as_str()));
    let keys = objects.range(from..).map_while(|(key, _)| key.strip_prefix(&bucket));
    let below = keys.skip_while(|key| **key <= *after).take_while(|key| key.starts_with(&prefix));
    let mut found: Vec<&str> = below.take(1_001).collect();
    let more = found.len() > 1_000;
    found.truncate(1_000);
    let contents: String = found
        .iter()
        .map(|key| {
            format!("<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><Size>1</Size></Contents>")
        })
        .collect();
    let body = format!("<ListBucketResult><IsTruncated>{more}</IsTruncated>{contents}</ListBucketResult>");
    ([("date", "Thu, 01 Jan 2026 00:00:09 GMT")], body).into_response()
}

fn named(result: Result<impl std::fmt::Debug, StepError>) -> ErrorName {
    result.expect_err("it failed").name
}

#[tokio::test]
async fn a_lost_answer_is_read_back_as_success() {
    let s3 = S3::default().next([Mishap::TakeAndFail]);
    let store = s3.clone().start().await;
    assert_eq!(store.create("bucket", "key", b"mine").await.unwrap(), Put::Created);
    assert_eq!(s3.objects.lock().unwrap()["/bucket/key"], b"mine");
}

#[tokio::test]
async fn another_ones_object_is_returned_and_left_alone() {
    let s3 = S3::default().with("key", b"theirs");
    let store = s3.clone().start().await;
    assert_eq!(store.create("bucket", "key", b"mine").await.unwrap(), Put::Exists(b"theirs".to_vec()));
    assert_eq!(s3.objects.lock().unwrap()["/bucket/key"], b"theirs");
}

#[tokio::test]
async fn a_conflict_is_the_same_request_again() {
    let conflict = Mishap::Refuse(409, "ConditionalRequestConflict");
    let store = S3::default().next([conflict, conflict]).start().await;
    assert_eq!(store.create("bucket", "key", b"mine").await.unwrap(), Put::Created);
    let store = S3::default().next([conflict; 50]).start().await;
    assert_eq!(named(store.create("bucket", "key", b"mine").await), ErrorName::Transient);
}

#[tokio::test]
async fn an_object_is_replaced_only_as_it_was_read() {
    let s3 = S3::default().with("key", b"one");
    let store = s3.clone().start().await;
    let one = store.get_tagged("bucket", "key").await.unwrap().unwrap();
    assert_eq!(one.bytes, b"one");
    assert_eq!(one.read_at.unwrap().duration_since(one.stored_at).as_secs(), 9, "both by the store's clock");
    assert_eq!(store.replace("bucket", "key", &one.etag, b"two").await.unwrap(), Replace::Replaced);
    assert_eq!(s3.objects.lock().unwrap()["/bucket/key"], b"two");
    // Whoever saw the first is told of the second, and leaves it alone.
    let Replace::Differs(Some(two)) = store.replace("bucket", "key", &one.etag, b"three").await.unwrap()
    else {
        panic!("it was replaced")
    };
    assert_eq!(two.bytes, b"two");
    assert_eq!(s3.objects.lock().unwrap()["/bucket/key"], b"two");
    assert_eq!(store.replace("bucket", "gone", &one.etag, b"x").await.unwrap(), Replace::Differs(None));
    assert_eq!(store.get_tagged("bucket", "gone").await.unwrap(), None);
}

#[tokio::test]
async fn a_replacement_whose_answer_was_lost_is_read_back_as_success() {
    let s3 = S3::default().with("key", b"one");
    let store = s3.clone().start().await;
    let one = store.get_tagged("bucket", "key").await.unwrap().unwrap();
    s3.mishaps.lock().unwrap().push_back(Mishap::TakeAndFail);
    assert_eq!(store.replace("bucket", "key", &one.etag, b"two").await.unwrap(), Replace::Replaced);
    let conflict = Mishap::Refuse(409, "ConditionalRequestConflict");
    let two = store.get_tagged("bucket", "key").await.unwrap().unwrap();
    s3.mishaps.lock().unwrap().extend([conflict, conflict]);
    assert_eq!(store.replace("bucket", "key", &two.etag, b"three").await.unwrap(), Replace::Replaced);
    s3.mishaps.lock().unwrap().extend([conflict; 50]);
    assert_eq!(named(store.replace("bucket", "key", &two.etag, b"four").await), ErrorName::Transient);
    s3.mishaps.lock().unwrap().clear();
    s3.mishaps.lock().unwrap().extend([Mishap::Refuse(404, "NoSuchBucket"); 20]);
    assert_eq!(named(store.replace("bucket", "key", &two.etag, b"x").await), ErrorName::Defect);
}

/// A log of leases: its streams are those that have one, and its heads are the leases.
#[tokio::test]
async fn with_leases_the_head_of_a_stream_is_its_lease() {
    let lease = Lease { watermark: 7, head: Hash::of(b"entry 7"), ..Lease::first("ME2", 1, "init") };
    let s3 = S3::default().with("lease/ME2", &lease.to_bytes()).with("lease/ME3", b"{}");
    let store = s3.clone().start().await;
    let ledger = Ledger { lease: Some(LeasePlan { delivery_wait_seconds_max: 60 }), ..ledger() };
    let log = Log::new(&store, &ledger);
    assert_eq!(log.streams().await.unwrap(), ["ME1", "ME2", "ME3"]);
    let head = log.head("ME2").await.unwrap().unwrap();
    assert_eq!((head.slot, head.read_at.unwrap().duration_since(head.stored_at).as_secs()), (7, 9));
    assert_eq!(log.head("ME1").await.unwrap(), None, "it has no lease yet");
    assert_eq!(named(log.head("ME3").await), ErrorName::Defect);
}

#[tokio::test]
async fn errors_are_named_by_what_may_be_done_next() {
    for (status, code, name) in [
        (500, "InternalError", ErrorName::Transient),
        (503, "SlowDown", ErrorName::Transient),
        (400, "RequestTimeout", ErrorName::Transient),
        (403, "AccessDenied", ErrorName::Defect),
        (404, "NoSuchBucket", ErrorName::Defect),
    ] {
        let refuse = Mishap::Refuse(status, code);
        let store = S3::default().next([refuse; 20]).start().await;
        assert_eq!(named(store.create("bucket", "key", b"x").await), name, "put: {code}");
        let store = S3::default().next([refuse; 20]).start().await;
        assert_eq!(named(store.get("bucket", "key", None).await), name, "get: {code}");
    }
    let store = S3::default().next([Mishap::Refuse(404, "NoSuchVersion")]).start().await;
    assert_eq!(store.get("bucket", "key", Some("v")).await.unwrap(), None);
    assert_eq!(store.get("bucket", "nothing", None).await.unwrap(), None);
}

fn ledger() -> Ledger {
    Ledger {
        bucket: "bucket".into(),
        prefix: "log/".into(),
        streams: vec!["ME1".into()],
        witness: None,
        lease: None,
    }
}

/// A log of `count` segments whose slots are `step` apart, with a neighbour that sorts behind it and, as wanted, a stray on
/// each side.
fn log_of(count: u64, step: u64, strays: bool) -> S3 {
    let s3 = S3::default();
    {
        let mut objects = s3.objects.lock().unwrap();
        let mut put = |key: String| objects.insert(format!("/bucket/{key}"), vec![b'x']);
        for number in 0..count {
            put(slot::key("log/", "ME1", 1 + number * step));
        }
        put(slot::key("log/", "ME2", u64::MAX));
        if strays {
            put("log/ME1/!".into());
            put("log/ME1/read.me".into());
        }
    }
    s3
}

fn reads(s3: &S3) -> usize {
    std::mem::take(&mut *s3.lists.lock().unwrap())
}

/// The end of a stream is found without listing it, whatever the slots; compared with the plain maximum.
#[tokio::test]
async fn the_end_of_a_stream_is_found_in_few_reads() {
    for (count, step, strays, reads_max) in [
        (0, 1, false, 1),
        (1, 1, true, 1),
        (1_000, 7, false, 1),
        (1_000, 7, true, 5),
        (1_001, 1, false, 5),
        (5_000, 250, false, 2),
        (30_000, 3, false, 9),
        (30_000, 100_000, true, 12),
        (1_000_000, 1, false, 16),
        (1_000_000, 223, false, 16),
    ] {
        let s3 = log_of(count, step, strays);
        let (store, ledger) = (s3.clone().start().await, ledger());
        let log = Log::new(&store, &ledger);
        let head = log.head("ME1").await.unwrap();
        let newest = (count > 0).then(|| 1 + (count - 1) * step);
        assert_eq!(head.as_ref().map(|head| head.slot), newest, "{count} objects, step {step}");
        if let Some(head) = &head {
            let age = head.read_at.unwrap().duration_since(head.stored_at).as_secs();
            assert_eq!(age, 9, "both times are the store's own");
        }
        let found_in = reads(&s3);
        println!("{count} objects, {step} apart: the end in {found_in} pages of {}", count.div_ceil(1_000));
        assert!(found_in <= reads_max, "{count} objects, step {step}: {found_in} reads");
        // Where a slot near the end is known, as it is from a checkpoint.
        if let Some(newest) = newest {
            let near = 1 + (count - count.min(500)) * step;
            assert_eq!(log.head_from("ME1", near).await.unwrap(), head, "{count} objects, step {step}");
            assert!(reads(&s3) <= 1 + 5 * usize::from(strays), "{count} objects, step {step}");
            assert_eq!(log.head_from("ME1", newest + 1).await.unwrap(), None);
        }
    }
}

/// The end is where the plain maximum is, with slots at random distances and at the ends of their range.
#[tokio::test]
async fn the_end_of_any_stream_and_of_any_part_of_it_is_found() {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = move || {
        // SplitMix64: the same numbers each time.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    };
    for round in 0..12 {
        let mut slots: Vec<u64> = (0..2_500).map(|_| random() >> (round * 4)).collect();
        slots.extend([0, u64::MAX - 1, u64::MAX].iter().take(round % 4));
        slots.sort_unstable();
        slots.dedup();
        let s3 = S3::default();
        for slot in &slots {
            s3.objects.lock().unwrap().insert(format!("/bucket/{}", slot::key("log/", "ME1", *slot)), vec![]);
        }
        let (store, ledger) = (s3.clone().start().await, ledger());
        let log = Log::new(&store, &ledger);
        let head = log.head("ME1").await.unwrap().map(|head| head.slot);
        assert_eq!(head.as_ref(), slots.last(), "round {round}");
        for _ in 0..5 {
            let seq = match random() % 3 {
                0 => random(),
                1 => slots[random() as usize % slots.len()],
                _ => slots[random() as usize % slots.len()].wrapping_sub(1),
            };
            let held = log.at_or_before("ME1", seq).await.unwrap().map(|head| head.slot);
            let expected = slots.iter().rev().find(|slot| **slot <= seq).copied();
            assert_eq!(held, expected, "round {round}, {seq}");
        }
    }
}

/// Keys that are no slots are paged over: a page that is full of them is not the end of a stream.
#[tokio::test]
async fn a_page_full_of_strays_is_not_the_end() {
    for (slots, stray_behind) in [(1, 0), (2, 1), (1_500, 700), (5, 5)] {
        let s3 = log_of(slots, 1, false);
        for number in 0..2_500 {
            let key = format!("/bucket/{}.{number:06}", slot::key("log/", "ME1", stray_behind));
            s3.objects.lock().unwrap().insert(key, vec![b'x']);
        }
        let (store, ledger) = (s3.clone().start().await, ledger());
        let log = Log::new(&store, &ledger);
        for from in [0, 1] {
            let head = log.head_from("ME1", from).await.unwrap().map(|head| head.slot);
            assert_eq!(head, Some(slots), "{slots} slots from {from}, strays behind {stray_behind}");
        }
        let head = log.at_or_before("ME1", slots - 1).await.unwrap().map(|head| head.slot);
        assert_eq!(head, (slots > 1).then_some(slots - 1), "strays behind {stray_behind}");
        reads(&s3);
    }

    // So many that no search goes through them: it ends, and does not say that there is nothing.
    let s3 = log_of(1, 1, false);
    for number in 0..130_000 {
        let key = format!("/bucket/{}.{number:06}", slot::key("log/", "ME1", 0));
        s3.objects.lock().unwrap().insert(key, vec![b'x']);
    }
    let (store, ledger) = (s3.clone().start().await, ledger());
    assert_eq!(named(Log::new(&store, &ledger).head("ME1").await), ErrorName::Transient);
    assert!(reads(&s3) < 135);
}
