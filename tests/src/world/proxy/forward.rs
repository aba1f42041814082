//! One call's way through the proxy.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, CONTENT_TYPE};
use hyper::http::request::Parts;
use hyper::{Request, Response, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::oneshot;

use super::Shared;
use super::call::Call;
use super::fault::Fault;
use super::refusal;

/// A form is read whole, for the operation it names; none that AWS takes is larger.
const FORM_BYTES_MAX: usize = 2 << 20;
/// A call that waits is read whole; none that is ordered to is larger.
const HELD_BYTES_MAX: usize = 64 << 20;
/// An answer that is to be lost or to wait is taken whole; none is larger.
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
    // Anything but a form streams through as it comes, but where a rule needs it: the bytes are signed, and may be large.
    let (form, body) = if is_form {
        let form = read(body, FORM_BYTES_MAX).await?;
        (Some(form.clone()), Payload::Whole(form))
    } else {
        (None, Payload::Coming(body))
    };

    let call = Call::read(origin, &head, form.as_deref());
    let depends = shared.rules().depend_on_body(&call);
    let body = if depends { body.whole().await? } else { body };
    let verdict = shared.rules().judge(&call, body.bytes());
    let refusal = match verdict.fault {
        Some(Fault::Throttle) => Some(refusal::throttled(&call, &head)),
        Some(Fault::Deny) => Some(refusal::denied(&call).ok_or("denied by a rule, and not a call to S3")?),
        _ => None,
    };
    let mut record = shared.journal.open(call);
    record.fault = match verdict.fault {
        Some(Fault::Refuse) => Some("refused"),
        Some(Fault::Throttle) => Some("throttled"),
        Some(Fault::Deny) => Some("denied"),
        Some(Fault::LoseAnswer) => Some("answer lost"),
        _ if verdict.held.is_some() => Some("held"),
        _ if verdict.delay > Duration::ZERO => Some("delayed"),
        _ => None,
    };

    if verdict.fault == Some(Fault::Refuse) {
        tokio::time::sleep(verdict.delay).await;
        return Err("refused by a rule".into());
    }
    if let Some(answer) = refusal {
        tokio::time::sleep(verdict.delay).await;
        record.status = Some(answer.status().as_u16());
        return Ok(answer.map(whole));
    }
    if verdict.held.is_none() && verdict.delay == Duration::ZERO && verdict.fault.is_none() {
        let answer = send(head, body, shared).await?;
        record.status = Some(answer.status().as_u16());
        return Ok(answer);
    }

    // A call on its way does not come back when its caller dies: it goes on by itself, and arrives when it arrives.
    let body = body.whole().await?;
    let (answered, answer) = oneshot::channel();
    let alone = Arc::clone(shared);
    shared.on_their_own().spawn(async move {
        tokio::time::sleep(verdict.delay).await;
        let mut held = verdict.held;
        if let Some(held) = &mut held {
            held.released().await;
        }
        let answer = match send(head, body, &alone).await {
            Ok(answer) => taken(answer).await,
            Err(cause) => Err(cause),
        };
        if let (Some(held), Ok(answer)) = (&held, &answer) {
            // Nobody needs to listen.
            let _ = held.answered.send(answer.status().as_u16());
        }
        let _ = answered.send(answer);
    });
    let answer = answer.await??;
    if verdict.fault == Some(Fault::LoseAnswer) {
        return Err("done, and its answer lost by a rule".into());
    }
    record.status = Some(answer.status().as_u16());
    Ok(answer.map(whole))
}

/// A request's body.
enum Payload {
    Coming(Incoming),
    Whole(Bytes),
}

impl Payload {
    async fn whole(self) -> Result<Self, Cause> {
        match self {
            Payload::Coming(body) => Ok(Payload::Whole(read(body, HELD_BYTES_MAX).await?)),
            whole @ Payload::Whole(_) => Ok(whole),
        }
    }

    fn bytes(&self) -> Option<&[u8]> {
        match self {
            Payload::Coming(_) => None,
            Payload::Whole(bytes) => Some(bytes),
        }
    }
}

async fn read(body: Incoming, bytes_max: usize) -> Result<Bytes, Cause> {
    Ok(Limited::new(body, bytes_max).collect().await?.to_bytes())
}

async fn send(head: Parts, body: Payload, shared: &Shared) -> Result<Response<Body>, Cause> {
    let upstream = shared.upstream.get().ok_or_else(|| Cause::from("there is no emulator yet"))?;
    let body = match body {
        Payload::Coming(body) => body.map_err(|err| Box::new(err) as Cause).boxed(),
        Payload::Whole(bytes) => whole(bytes),
    };
    let mut request = Request::from_parts(head, body);
    *request.uri_mut() = at(upstream.address, request.uri())?;
    // Each side has its own connection to keep or to close.
    request.headers_mut().remove(CONNECTION);
    let mut answer = upstream.client.request(request).await.map_err(|err| Box::new(err) as Cause)?;
    answer.headers_mut().remove(CONNECTION);
    Ok(answer.map(|body| body.map_err(|err| Box::new(err) as Cause).boxed()))
}

/// Takes an answer whole, so that the call is surely done.
async fn taken(answer: Response<Body>) -> Result<Response<Bytes>, Cause> {
    let (head, mut body) = answer.into_parts();
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            bytes.extend_from_slice(&data);
        }
        if bytes.len() > ANSWER_BYTES_MAX {
            return Err(format!("an answer of more than {ANSWER_BYTES_MAX} bytes").into());
        }
    }
    Ok(Response::from_parts(head, bytes.into()))
}

/// The same path and query, byte for byte, at the emulator's address.
fn at(address: SocketAddr, uri: &Uri) -> Result<Uri, Cause> {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    Ok(Uri::builder().scheme("http").authority(address.to_string()).path_and_query(path).build()?)
}

fn whole(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed()
}
