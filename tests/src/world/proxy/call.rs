//! What one call is: read from the request alone, the way AWS itself routes it.

use hyper::http::request::Parts;
use serde::Serialize;

/// One call to AWS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Call {
    /// Who made it: the proxy's entrance that it came in by.
    pub origin: String,
    /// The Region that it needs: that of its credential scope, or where the control plane of a global service is.
    pub region: Option<String>,
    /// The service of its credential scope (`s3`, `route53`, `states`, `monitoring`..).
    pub service: Option<String>,
    /// What it asks for, where the protocol names it; S3 and Route 53 speak in methods and paths instead.
    pub operation: Option<String>,
    /// The HTTP method.
    pub method: String,
    /// Path and query.
    pub path: String,
}

/// Services whose control plane is in one Region, whatever Region their caller is in
/// (<https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/global-services.html>). At an endpoint of
/// its own, as here, an SDK signs for the caller's Region.
const GLOBAL_SERVICES: [&str; 4] = ["route53", "iam", "cloudfront", "organizations"];
const GLOBAL_SERVICES_REGION: &str = "us-east-1";

impl Call {
    /// Reads the call from its head, and from its form where it has one.
    pub(super) fn read(origin: &str, head: &Parts, form: Option<&[u8]>) -> Self {
        let query = head.uri.query().unwrap_or_default();
        let (region, service) = scope(head, query);
        Self {
            origin: origin.to_owned(),
            region,
            service,
            operation: operation(head, query, form),
            method: head.method.to_string(),
            path: head.uri.path_and_query().map_or_else(String::new, ToString::to_string),
        }
    }
}

/// Region and service from `Credential=KEY/DATE/REGION/SERVICE/aws4_request`, in the header or in a presigned query.
fn scope(head: &Parts, query: &str) -> (Option<String>, Option<String>) {
    let header = head.headers.get("authorization").and_then(|value| value.to_str().ok());
    let credential = header
        .and_then(|header| header.split_once("Credential="))
        .map(|(_, rest)| rest.split([',', ' ']).next().unwrap_or_default().to_owned())
        .or_else(|| parameter(query, "X-Amz-Credential").map(|value| value.replace("%2F", "/")));
    let Some(credential) = credential else { return (None, None) };
    // From the right: an access key may itself hold a slash.
    let mut parts = credential.rsplit('/');
    let (_request, service, region) = (parts.next(), parts.next(), parts.next());
    let region = match service {
        Some(service) if GLOBAL_SERVICES.contains(&service) => Some(GLOBAL_SERVICES_REGION),
        _ => region,
    };
    (region.map(str::to_owned), service.map(str::to_owned))
}

fn operation(head: &Parts, query: &str, form: Option<&[u8]>) -> Option<String> {
    // JSON protocols: `X-Amz-Target: AWSStepFunctions.StartExecution`.
    let target = head.headers.get("x-amz-target").and_then(|value| value.to_str().ok());
    if let Some(target) = target {
        return Some(target.rsplit('.').next().unwrap_or(target).to_owned());
    }
    // RPC v2 CBOR: `/service/GraniteServiceVersion20100801/operation/PutMetricData`.
    if let Some((before, operation)) = head.uri.path().rsplit_once("/operation/")
        && before.starts_with("/service/")
    {
        return Some(operation.to_owned());
    }
    // The query protocol: `Action=CreateStack`, in the form or in the query.
    let form = form.map(String::from_utf8_lossy);
    form.as_deref().and_then(|form| parameter(form, "Action")).or_else(|| parameter(query, "Action"))
}

fn parameter(query: &str, name: &str) -> Option<String> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;

    fn read(request: hyper::http::request::Builder, form: Option<&[u8]>) -> Call {
        let (head, ()) = request.body(()).unwrap().into_parts();
        Call::read("lambda", &head, form)
    }

    #[test]
    fn region_and_service_come_from_the_credential_scope() {
        let signed = "AWS4-HMAC-SHA256 Credential=te/st/20261123/eu-central-1/s3/aws4_request, \
                      SignedHeaders=host, Signature=00";
        let call = read(Request::put("/log/a%20b?x-id=PutObject").header("authorization", signed), None);
        assert_eq!(call.region.as_deref(), Some("eu-central-1"));
        assert_eq!(call.service.as_deref(), Some("s3"));
        assert_eq!((call.method.as_str(), call.path.as_str()), ("PUT", "/log/a%20b?x-id=PutObject"));
        assert_eq!(call.operation, None);
    }

    #[test]
    fn a_global_service_is_where_its_control_plane_is() {
        let signed =
            "AWS4-HMAC-SHA256 Credential=test/20261123/eu-central-1/route53/aws4_request, Signature=00";
        let call =
            read(Request::post("/2013-04-01/hostedzone/Z1/rrset").header("authorization", signed), None);
        assert_eq!((call.region.as_deref(), call.service.as_deref()), (Some("us-east-1"), Some("route53")));
    }

    #[test]
    fn a_presigned_query_counts_as_well() {
        let call = read(
            Request::get("/b/k?X-Amz-Credential=k%2F20261123%2Feu-west-1%2Fs3%2Faws4_request&x=1"),
            None,
        );
        assert_eq!(call.region.as_deref(), Some("eu-west-1"));
        assert_eq!(call.service.as_deref(), Some("s3"));
    }

    #[test]
    fn a_call_without_a_scope_has_no_region() {
        let call = read(Request::get("/_ministack/health"), None);
        assert_eq!((call.region, call.service), (None, None));
    }

    #[test]
    fn each_protocol_names_its_operation() {
        let operation = |request, form| read(request, form).operation.unwrap();
        let target = Request::post("/").header("x-amz-target", "AWSStepFunctions.StartExecution");
        assert_eq!(operation(target, None), "StartExecution");
        assert_eq!(operation(Request::post("/"), Some(b"Version=1&Action=CreateStack&x=y")), "CreateStack");
        assert_eq!(operation(Request::get("/?Action=GetUser"), None), "GetUser");
        let cbor = Request::post("/service/GraniteServiceVersion20100801/operation/PutMetricData");
        assert_eq!(operation(cbor, None), "PutMetricData");
    }
}
