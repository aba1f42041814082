//! A service's own errors, in the protocol that the caller speaks.

use bytes::Bytes;
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};

use super::call::Call;

/// What the caller would get from a service that has had enough of it.
pub(super) fn throttled(call: &Call, head: &Parts) -> Response<Bytes> {
    let header =
        |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let content_type = header("content-type");
    if header("smithy-protocol") == "rpc-v2-cbor" {
        let body = cbor("__type", "com.amazonaws.lifeboat#ThrottlingException");
        return answer(
            StatusCode::BAD_REQUEST,
            "application/cbor",
            body,
            &[("smithy-protocol", "rpc-v2-cbor")],
        );
    }
    if content_type.starts_with("application/x-amz-json") {
        let body = r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#;
        return answer(
            StatusCode::BAD_REQUEST,
            content_type,
            body.into(),
            &[("x-amzn-errortype", "ThrottlingException")],
        );
    }
    if call.service.as_deref() == Some("s3") {
        let body = "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>";
        return answer(StatusCode::SERVICE_UNAVAILABLE, "application/xml", body.into(), &[]);
    }
    let body = "<ErrorResponse><Error><Type>Sender</Type><Code>Throttling</Code><Message>Rate exceeded</Message>\
                </Error><RequestId>lifeboat</RequestId></ErrorResponse>";
    answer(StatusCode::BAD_REQUEST, "text/xml", body.into(), &[])
}

/// What the caller would get from a bucket that it has no permission for; none where the service is not S3.
pub(super) fn denied(call: &Call) -> Option<Response<Bytes>> {
    let body = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>";
    (call.service.as_deref() == Some("s3"))
        .then(|| answer(StatusCode::FORBIDDEN, "application/xml", body.into(), &[]))
}

fn answer(
    status: StatusCode,
    content_type: &str,
    body: Bytes,
    headers: &[(&'static str, &'static str)],
) -> Response<Bytes> {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    if let Ok(content_type) = content_type.parse() {
        answer.headers_mut().insert("content-type", content_type);
    }
    for (name, value) in headers {
        answer.headers_mut().insert(*name, hyper::header::HeaderValue::from_static(value));
    }
    answer
}

/// A CBOR map of one short text to one text of at most 255 bytes (RFC 8949).
fn cbor(key: &str, value: &str) -> Bytes {
    let mut bytes = vec![0xa1];
    for text in [key, value] {
        bytes.extend([0x78, u8::try_from(text.len()).unwrap_or(u8::MAX)]);
        bytes.extend(text.as_bytes().iter().take(usize::from(u8::MAX)));
    }
    bytes.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_calls_to_s3_are_denied() {
        let call = |service: &str| Call {
            origin: "lambda".to_owned(),
            region: Some("eu-central-1".to_owned()),
            service: Some(service.to_owned()),
            operation: None,
            method: "PUT".to_owned(),
            path: "/evidence/x".to_owned(),
        };
        let denied_s3 = denied(&call("s3")).unwrap();
        assert_eq!(denied_s3.status(), StatusCode::FORBIDDEN);
        assert!(denied_s3.body().starts_with(b"<Error><Code>AccessDenied</Code>"));
        assert!(denied(&call("route53")).is_none());
    }
}
