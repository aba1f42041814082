//! How Route 53 is called, against a server that answers as its documentation has it: how fast, how often, and what is kept
//! of its answers. What this does not prove: when Route 53 gives which of them.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_route53::config::{Credentials, SharedCredentialsProvider};
use axum::Router;
use axum::extract::State;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use dns_flip::{Rejected, Zone};
use futures::future::join_all;
use lifeboat_rules::ErrorName;
use lifeboat_rules::dns::{Change, RecordSet};

/// Requests that the whole account may send in a second.
const A_SECOND: usize = 5;

/// The next answers are these statuses and codes; all others are good.
#[derive(Clone, Default)]
struct Route53 {
    next: Arc<Mutex<VecDeque<(u16, &'static str)>>>,
    arrived: Arc<Mutex<Vec<Instant>>>,
}

impl Route53 {
    async fn start(&self) -> Zone {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let app = Router::new().fallback(answer).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        let credentials = Credentials::new("test", "test", None, None, "test");
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(format!("http://{address}"))
            .region(Region::new("eu-central-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .retry_config(RetryConfig::disabled())
            .build();
        Zone::new(aws_sdk_route53::Client::new(&config))
    }

    fn answers(&self, next: &[(u16, &'static str)]) {
        self.next.lock().expect("no panic in the server").extend(next);
    }

    fn arrived(&self) -> Vec<Instant> {
        std::mem::take(&mut self.arrived.lock().expect("no panic in the server"))
    }
}

async fn answer(State(route53): State<Route53>, method: Method) -> Response {
    let number = {
        let mut arrived = route53.arrived.lock().expect("no panic in the server");
        arrived.push(Instant::now());
        arrived.len()
    };
    let request =
        [("x-amzn-requestid", format!("request-{number}")), ("content-type", "text/xml".to_owned())];
    let next = route53.next.lock().expect("no panic in the server").pop_front();
    if let Some((status, code)) = next {
        let body = format!(
            "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>no</Message></Error></ErrorResponse>"
        );
        return (StatusCode::from_u16(status).expect("a status"), request, body).into_response();
    }
    let body = match method {
        Method::POST => {
            "<ChangeResourceRecordSetsResponse><ChangeInfo><Id>/change/C1</Id><Status>PENDING</Status>\
             <SubmittedAt>2026-11-24T12:00:00Z</SubmittedAt></ChangeInfo></ChangeResourceRecordSetsResponse>"
        }
        _ => {
            "<ListResourceRecordSetsResponse><ResourceRecordSets></ResourceRecordSets><IsTruncated>false</IsTruncated>\
             <MaxItems>300</MaxItems></ListResourceRecordSetsResponse>"
        }
    };
    (request, body).into_response()
}

fn changes() -> Vec<Change> {
    vec![Change::Create(RecordSet::new("a.aex.internal", "A", 5, ["10.0.0.1".to_owned()]))]
}

#[tokio::test(flavor = "multi_thread")]
async fn however_many_ask_at_once_no_second_has_more_requests_than_the_account_may_send() {
    let route53 = Route53::default();
    let zone = route53.start().await;
    let began = Instant::now();
    // Clones share the pace, and a refusal counts as a request.
    route53.answers(&[(400, "Throttling")]);
    let reads = (0..3 * A_SECOND).map(|_| {
        let zone = zone.clone();
        async move { zone.read_all("Z1").await }
    });
    for read in join_all(reads).await {
        assert_eq!(read.expect("a listing"), []);
    }
    let arrived = route53.arrived();
    assert_eq!(arrived.len(), 3 * A_SECOND + 1, "one was refused and asked again");
    // No request is sent early, however late a busy machine may send it: so many seconds are behind each of them.
    for (number, at) in arrived.iter().enumerate() {
        let earliest = Duration::from_secs((number / A_SECOND) as u64);
        assert!(*at - began >= earliest, "request {number} after {:?}", *at - began);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_route_53_says_of_a_batch_is_kept_with_the_id_of_the_request() {
    let route53 = Route53::default();
    let zone = route53.start().await;
    let taken = zone.change("Z1", "a test", &changes()).await.expect("an answer").expect("taken");
    assert_eq!((taken.change.as_str(), taken.status.as_str()), ("/change/C1", "PENDING"));
    assert_eq!(taken.request_id.as_deref(), Some("request-1"));
    assert_eq!(taken.submitted_at.map(|at| at.to_string()).as_deref(), Some("2026-11-24T12:00:00Z"));

    route53.answers(&[(400, "InvalidChangeBatch")]);
    let Rejected(why) =
        zone.change("Z1", "a test", &changes()).await.expect("an answer").expect_err("refused");
    assert!(why.ends_with("(request request-2)"), "{why}");

    for (status, code, name) in
        [(403, "AccessDenied", ErrorName::Defect), (500, "InternalFailure", ErrorName::Transient)]
    {
        route53.answers(&[(status, code)]);
        let sent = route53.arrived().len();
        let error = zone.change("Z1", "a test", &changes()).await.expect_err("an error");
        assert_eq!((error.name, route53.arrived().len()), (name, 1), "{sent} before: a change is sent once");
        assert!(error.to_string().contains("(request request-1)"), "{error}");
    }

    // What was not taken for now is sent again, a few times.
    route53.answers(&[(400, "PriorRequestNotComplete"), (400, "Throttling")]);
    zone.change("Z1", "a test", &changes()).await.expect("an answer").expect("taken");
    assert_eq!(route53.arrived().len(), 3);
}
