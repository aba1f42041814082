//! One call's way through the proxy.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, CONTENT_TYPE};
use hyper::{Request, Response, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::Shared;
use super::call::Call;
use super::fault::Fault;
use super::refusal;

/// A form is read whole, for the operation it names; none that AWS takes is larger.
const FORM_BYTES_MAX: usize = 2 << 20;
/// An answer that is to be lost is still taken whole, so that the call is surely done.
const ANSWER_BYTES_MAX: usize = 256 << 20;
/// Shorter than the emulator keeps an idle connection, so that we never send on one that it is closing.
const IDLE: Duration = Duration::from_secs(20);

pub(super) type Cause = Box<dyn std::error::Error + Send + Sync>;
type Body = BoxBody<Bytes, Cause>;

/// Where calls go.
#[derive(Debug)]
pub(super) struct Upstream {
    address: SocketAddr,
    client: Client<HttpConnector, Body>,
}

impl Upstream {
    pub(super) fn new(address: SocketAddr) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            // The caller's own `Host`: it is signed, and the emulator tells buckets by it.
            .set_host(false)
            .build(connector);
        Self { address, client }
    }
}

/// Takes a call through. An error drops the connection without an answer, which is what a lost Region looks like.
pub(super) async fn handle(
    request: Request<Incoming>,
    origin: &str,
    shared: &Arc<Shared>,
) -> Result<Response<Body>, Cause> {
    let (head, body) = request.into_parts();
    let is_form = head
        .headers
        .get(CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/x-www-form-urlencoded"));
    // Anything but a form streams through as it comes: the bytes are signed, and may be large.
    let (form, body) = if is_form {
        let form = Limited::new(body, FORM_BYTES_MAX).collect().await?.to_bytes();
        (Some(form.clone()), whole(form))
    } else {
        (None, body.map_err(Cause::from).boxed())
    };

    let call = Call::read(origin, &head, form.as_deref());
    let verdict = shared.rules().judge(&call);
    let throttled = (verdict.fault == Some(Fault::Throttle)).then(|| refusal::throttled(&call, &head));
    let mut record = shared.journal.open(call);
    record.fault = match verdict.fault {
        Some(Fault::Refuse) => Some("refused"),
        Some(Fault::Throttle) => Some("throttled"),
        Some(Fault::LoseAnswer) => Some("answer lost"),
        _ if verdict.delay > Duration::ZERO => Some("delayed"),
        _ => None,
    };

    tokio::time::sleep(verdict.delay).await;
    if verdict.fault == Some(Fault::Refuse) {
        return Err("refused by a rule".into());
    }
    if let Some(answer) = throttled {
        record.status = Some(answer.status().as_u16());
        return Ok(answer.map(whole));
    }

    let upstream = shared.upstream.get().ok_or("there is no emulator yet")?;
    let mut request = Request::from_parts(head, body);
    *request.uri_mut() = at(upstream.address, request.uri())?;
    // Each side has its own connection to keep or to close.
    request.headers_mut().remove(CONNECTION);
    let mut answer = upstream.client.request(request).await?;
    answer.headers_mut().remove(CONNECTION);
    if verdict.fault == Some(Fault::LoseAnswer) {
        Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await?;
        return Err("done, and its answer lost by a rule".into());
    }
    record.status = Some(answer.status().as_u16());
    Ok(answer.map(|body| body.map_err(Cause::from).boxed()))
}

/// The same path and query, byte for byte, at the emulator's address.
fn at(address: SocketAddr, uri: &Uri) -> Result<Uri, Cause> {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    Ok(Uri::builder().scheme("http").authority(address.to_string()).path_and_query(path).build()?)
}

fn whole(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed()
}
