//! Each fault of the proxy, against a small server of our own: what the caller sees, and what the server saw.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use lifeboat_tests::world::Clients;
use lifeboat_tests::world::proxy::{Fault, Proxy, ProxyHandle, Scope};
use tempfile::TempDir;

/// What the server was asked.
#[derive(Debug, Clone)]
struct Seen {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
}

type Log = Arc<Mutex<Vec<Seen>>>;

struct Bench {
    proxy: Proxy,
    faults: ProxyHandle,
    endpoint: String,
    seen: Log,
    folder: TempDir,
}

impl Bench {
    async fn start() -> Self {
        let seen = Log::default();
        let app = Router::new().fallback(answer).with_state(Arc::clone(&seen));
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let upstream: SocketAddr = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });

        let folder = tempfile::tempdir().unwrap();
        let mut proxy = Proxy::new(&folder.path().join("calls.ndjson")).unwrap();
        proxy.lead_to(upstream);
        let endpoint = proxy.entrance("eu-west-1").await.unwrap();
        Self { faults: proxy.handle(), proxy, endpoint, seen, folder }
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Asks as a signed call to this Region and service would.
    fn ask(&self, region: &str, service: &str) -> reqwest::RequestBuilder {
        ask_at(&self.endpoint, region, service)
    }
}

fn ask_at(endpoint: &str, region: &str, service: &str) -> reqwest::RequestBuilder {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let signed = format!(
        "AWS4-HMAC-SHA256 Credential=test/20261123/{region}/{service}/aws4_request, SignedHeaders=host, Signature=0"
    );
    http.get(format!("{endpoint}/x")).header("authorization", signed)
}

async fn answer(
    State(seen): State<Log>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, [(&'static str, &'static str); 1], &'static str) {
    seen.lock().unwrap().push(Seen { method, uri, headers, body });
    (StatusCode::IM_A_TEAPOT, [("x-amz-version-id", "v1")], "done")
}

#[tokio::test]
async fn a_call_goes_through_byte_for_byte() {
    let bench = Bench::start().await;
    let raw = b"5;chunk-signature=00\r\nhello\r\n0;chunk-signature=00\r\n\r\n";
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let sent = http
        .put(format!("{}/log/ME1%2F..%2Fa%20b//c?x-id=PutObject&empty=&%41", bench.endpoint))
        .header("host", "log.s3.eu-central-1.amazonaws.com")
        .header("if-none-match", "*")
        .header("content-encoding", "aws-chunked")
        .body(raw.to_vec())
        .send()
        .await
        .unwrap();
    assert_eq!(sent.status(), 418);
    assert_eq!(sent.headers()["x-amz-version-id"], "v1");
    assert_eq!(sent.text().await.unwrap(), "done");

    let seen = bench.seen().remove(0);
    assert_eq!(seen.method, Method::PUT);
    assert_eq!(seen.uri, "/log/ME1%2F..%2Fa%20b//c?x-id=PutObject&empty=&%41");
    assert_eq!(seen.headers["host"], "log.s3.eu-central-1.amazonaws.com");
    assert_eq!(seen.headers["if-none-match"], "*");
    assert_eq!(seen.headers["content-length"], raw.len().to_string());
    assert_eq!(&seen.body[..], raw);
}

#[tokio::test]
async fn a_region_that_was_taken_away_answers_nothing_until_it_is_back() {
    let bench = Bench::start().await;
    let gone = bench.faults.refuse_region("eu-west-1");
    let error = bench.ask("eu-west-1", "ecs").send().await.unwrap_err();
    assert!(error.status().is_none() && !error.is_timeout(), "{error:?}");
    assert!(bench.seen().is_empty(), "it got through");
    assert_eq!(bench.ask("eu-central-1", "ecs").send().await.unwrap().status(), 418);

    assert!(bench.faults.lift(gone));
    assert_eq!(bench.ask("eu-west-1", "ecs").send().await.unwrap().status(), 418);
}

#[tokio::test]
async fn a_service_or_an_origin_can_be_taken_away_alone() {
    let mut bench = Bench::start().await;
    bench.faults.refuse_service("us-east-1", "route53");
    assert!(bench.ask("us-east-1", "route53").send().await.is_err());
    assert!(bench.ask("us-east-1", "iam").send().await.is_ok());

    let lambda = bench.proxy.entrance("lambda").await.unwrap();
    bench.faults.refuse_origin("eu-west-1");
    assert!(bench.ask("eu-central-1", "s3").send().await.is_err());
    assert!(ask_at(&lambda, "eu-central-1", "s3").send().await.is_ok());
    assert_eq!(lambda, bench.proxy.entrance("lambda").await.unwrap());
}

#[tokio::test]
async fn a_delay_holds_the_call_back_and_then_lets_it_through() {
    let bench = Bench::start().await;
    bench.faults.add(Scope::everything().service("s3"), Fault::Delay(Duration::from_millis(200)));
    let began = Instant::now();
    assert_eq!(bench.ask("eu-west-1", "s3").send().await.unwrap().status(), 418);
    assert!(began.elapsed() >= Duration::from_millis(200));
}

#[tokio::test]
async fn a_call_can_be_done_and_its_answer_lost() {
    let bench = Bench::start().await;
    bench.faults.add_times(Scope::region("eu-west-1"), Fault::LoseAnswer, 1);
    // A POST: the client must not send it again by itself.
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let signed = "AWS4-HMAC-SHA256 Credential=t/1/eu-west-1/s3/aws4_request";
    let post = || http.post(format!("{}/x", bench.endpoint)).header("authorization", signed).body("once");
    assert!(post().send().await.is_err());
    assert_eq!(bench.seen().len(), 1, "it was done once");
    assert_eq!(post().send().await.unwrap().status(), 418);
}

#[tokio::test]
async fn throttling_speaks_each_service_s_own_protocol() {
    let bench = Bench::start().await;
    bench.faults.add(Scope::everything(), Fault::Throttle);
    let clients = Clients::new(&bench.endpoint, "eu-west-1");

    // The SDK parses the error; what it makes of it is what counts.
    macro_rules! code {
        ($call:expr) => {{
            let error = $call.send().await.unwrap_err();
            aws_sdk_s3::error::ProvideErrorMetadata::code(&error).map(str::to_owned)
        }};
    }
    assert_eq!(code!(clients.s3.list_buckets()).as_deref(), Some("SlowDown"));
    assert_eq!(code!(clients.route53.list_hosted_zones()).as_deref(), Some("Throttling"));
    assert_eq!(code!(clients.cloudformation.describe_stacks()).as_deref(), Some("Throttling"));
    assert_eq!(code!(clients.ecs.list_clusters()).as_deref(), Some("ThrottlingException"));
    assert_eq!(code!(clients.sfn.list_state_machines()).as_deref(), Some("ThrottlingException"));
    assert_eq!(code!(clients.cloudwatch.describe_alarms()).as_deref(), Some("ThrottlingException"));
    assert!(bench.seen().is_empty());
}

#[tokio::test]
async fn the_journal_tells_who_called_what() {
    let bench = Bench::start().await;
    bench
        .ask("eu-central-1", "states")
        .header("x-amz-target", "AWSStepFunctions.StartExecution")
        .send()
        .await
        .unwrap();
    bench.faults.refuse_region("eu-west-1");
    bench.ask("eu-west-1", "s3").send().await.unwrap_err();

    let calls = bench.faults.calls_in(&Scope::origin("eu-west-1").service("states"));
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].call.operation.as_deref(), Some("StartExecution"));
    assert_eq!((calls[0].status, calls[0].fault), (Some(418), None));
    let refused = bench.faults.calls_in(&Scope::region("eu-west-1"));
    assert!(!refused.is_empty() && refused.iter().all(|call| call.fault == Some("refused")));
    assert!(bench.faults.calls_in(&Scope::region("us-east-1")).is_empty());

    let written = std::fs::read_to_string(bench.folder.path().join("calls.ndjson")).unwrap();
    let first: serde_json::Value = serde_json::from_str(written.lines().next().unwrap()).unwrap();
    assert_eq!(first["region"], "eu-central-1");
    assert_eq!(first["operation"], "StartExecution");
    assert_eq!(first["status"], 418);
}
