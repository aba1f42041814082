//! Who has signed a decision. Whoever decides signs a request that asks STS "who am I", with the decision's digest in one of
//! its signed headers; sent on to STS as it is, it is answered with the signer's ARN, or refused. The decision's own words are
//! asked nothing about who wrote them.
//!
//! The same way of proving an identity is documented for HashiCorp Vault's AWS auth method and the authenticator of EKS.

use std::sync::Arc;

use aws_sdk_sts::Client;
use aws_sdk_sts::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_sts::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_sts::error::{BoxError, ProvideErrorMetadata as _, SdkError};
use lifeboat_rules::StepError;
use lifeboat_rules::approval::{Came, Decision, Signer};
use lifeboat_rules::evidence::sha256;
use lifeboat_runtime::aws_error;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The header that holds the SHA-256 of the decision, in hexadecimal. It is signed, so that the signature is good for this
/// decision alone.
pub const DECISION_HEADER: &str = "x-lifeboat-decision";
/// The body of the request that is signed, and sent on.
pub const GET_CALLER_IDENTITY: &str = "Action=GetCallerIdentity&Version=2011-06-15";
/// Its `Content-Type`, as the SDK sends it.
pub const CONTENT_TYPE: &str = "application/x-www-form-urlencoded";
/// Characters of a decision, and of one header.
const LENGTH_MAX: usize = 8_192;

/// What answers a question: sent with its token.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Submission {
    /// The [`Decision`], as the JSON text that was signed.
    pub decision: String,
    /// What shows who has signed it.
    pub proof: Proof,
}

/// The signed headers of a request for GetCallerIdentity.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// `Host`: of STS, as the signer calls it.
    pub host: String,
    /// `Authorization`.
    pub authorization: String,
    /// `X-Amz-Date`.
    #[serde(rename = "x-amz-date")]
    pub date: String,
    /// `X-Amz-Security-Token`, of a session.
    #[serde(rename = "x-amz-security-token", default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

/// Asks STS in the recovery Region.
#[derive(Clone, Debug)]
pub struct Identities {
    /// STS.
    pub sts: Client,
}

impl Identities {
    /// Asks STS in the Region of `config`.
    pub fn new(config: &aws_config::SdkConfig) -> Identities {
        Identities { sts: Client::new(config) }
    }

    /// Reads what somebody has sent for a question, and asks who has signed it.
    ///
    /// # Errors
    /// `Transient` where STS does not answer.
    pub async fn came(&self, submission: &Value, proof: Option<Proof>) -> Result<Came, StepError> {
        let unknown = |why: &str| Ok(Came::Unknown { why: why.to_owned() });
        let Some(text) = submission["decision"].as_str().filter(|text| text.len() <= LENGTH_MAX) else {
            return unknown("what came has no field `decision`, or one that is too long");
        };
        let decision: Decision = match serde_json::from_str(text) {
            Ok(decision) => decision,
            Err(_) => return unknown("`decision` is none of this Lifeboat's"),
        };
        let Some(proof) = proof else {
            return unknown("what came has no field `proof` with the headers of a signed request");
        };
        if !signs(&proof.authorization, DECISION_HEADER) {
            return unknown(&format!("the signature does not cover {DECISION_HEADER}, and so no decision"));
        }
        match self.signer(&sha256(text.as_bytes()), proof).await? {
            Ok(by) => Ok(Came::Signed { decision, by }),
            Err(why) => unknown(&why),
        }
    }

    /// Sends the signed request on. The inner error says why AWS knows nobody by it.
    async fn signer(&self, decision_sha256: &str, proof: Proof) -> Result<Result<Signer, String>, StepError> {
        let headers = [
            ("host", Some(proof.host)),
            ("authorization", Some(proof.authorization)),
            ("x-amz-date", Some(proof.date)),
            ("x-amz-security-token", proof.token),
            (DECISION_HEADER, Some(decision_sha256.to_owned())),
        ];
        let plain = |text: &String| {
            text.len() <= LENGTH_MAX && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
        };
        if headers.iter().any(|(_, value)| value.as_ref().is_some_and(|value| !plain(value))) {
            return Ok(Err("a header of the proof is too long, or no plain text".to_owned()));
        }
        let sent_on = SentOn(Arc::new(headers));
        let sent = self.sts.get_caller_identity().customize().interceptor(sent_on).send().await;
        match sent {
            Ok(answer) => match answer.arn() {
                Some(arn) => Ok(Ok(Signer { arn: arn.to_owned() })),
                None => Ok(Err("STS names nobody".to_owned())),
            },
            Err(SdkError::ServiceError(err))
                if err.raw().status().is_client_error() && !is_throttled(err.err().code()) =>
            {
                // Its message may have the signed headers in it, and a record is kept for years.
                let code = err.err().code().unwrap_or("refused");
                Ok(Err(format!("AWS does not know who has signed it: {code}")))
            }
            Err(err) => Err(aws_error("ask STS who has signed the decision", err)),
        }
    }
}

fn is_throttled(code: Option<&str>) -> bool {
    const WORDS: [&str; 4] = ["Throttl", "TooMany", "LimitExceeded", "SlowDown"];
    code.is_some_and(|code| WORDS.iter().any(|word| code.contains(word)))
}

/// Whether the signature of an `Authorization` header covers a header.
fn signs(authorization: &str, header: &str) -> bool {
    let signed = authorization.split("SignedHeaders=").nth(1).and_then(|rest| rest.split([',', ' ']).next());
    signed.is_some_and(|signed| signed.split(';').any(|name| name == header))
}

/// Replaces this function's own signature by the one that came.
#[derive(Clone, Debug)]
struct SentOn(Arc<[(&'static str, Option<String>); 5]>);

impl Intercept for SentOn {
    fn name(&self) -> &'static str {
        "SentOn"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let headers = context.request_mut().headers_mut();
        // AWS wants every header that says something signed, and the SDK's own are not by this signature.
        let of_sdk = |name: &str| name.starts_with("x-amz-") || name.starts_with("amz-sdk-");
        let own: Vec<String> =
            headers.iter().map(|(name, _)| name.to_owned()).filter(|name| of_sdk(name)).collect();
        for name in own {
            headers.remove(name);
        }
        for (name, value) in self.0.iter() {
            headers.remove(*name);
            if let Some(value) = value {
                headers.try_insert(*name, value.clone())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_names_the_headers_that_it_covers() {
        let header = |signed: &str| {
            format!(
                "AWS4-HMAC-SHA256 Credential=AK/20260101/eu-central-1/sts/aws4_request, SignedHeaders={signed}, Signature=ab"
            )
        };
        assert!(signs(&header("host;x-amz-date;x-lifeboat-decision"), DECISION_HEADER));
        for other in ["host;x-amz-date", "host;x-lifeboat-decisions", ""] {
            assert!(!signs(&header(other), DECISION_HEADER), "{other}");
        }
        assert!(!signs("x-lifeboat-decision", DECISION_HEADER));
    }
}
