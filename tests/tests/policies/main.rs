//! The policies of `infra/`, on an emulator that enforces IAM: what the buckets refuse to an administrator, and what
//! the roles of the orchestrator and the operator's policy let through.
//!
//! Emulated: S3, Route 53, CloudWatch, SNS and Step Functions, signatures, and the evaluation of identity and bucket policies. Real: TLS,
//! so `aws:SecureTransport` is what the connection is. Bridged, in `tests/src/world/enforcing.py`: the condition keys
//! `s3:if-none-match` and `s3:if-match`, absent or present as AWS documents it, `aws:PrincipalArn`, which is the role's and
//! not the session's, and `cloudwatch:namespace`
//! (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/iam-cw-condition-keys-namespace.html>).
//!
//! What this does not prove: that AWS evaluates as the emulator does. Not evaluated here at all are replication from
//! another bucket and `UpdateObjectEncryption`, which the emulator does not have; a retention that is named in the
//! headers of a put; the root user, whom a bucket policy binds on AWS and not here; and the condition on the actions of
//! a Route 53 batch, whose key the emulator lacks: `templates` holds its wording. `If-None-Match` with anything but
//! `*` is no matter on AWS, which knows no other for a put.

mod approver;
mod buckets;
mod roles;

use std::fmt;

use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use lifeboat_tests::world::deploy::{Stack, StackSpec, create_foundation, create_stack};
use lifeboat_tests::world::iam::EnforcingAws;
use lifeboat_tests::world::{Clients, places};

const REGION: &str = "eu-central-1";

/// What came of a call, as far as policies go.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Answer {
    /// It went through, or failed for a reason that is none of IAM's.
    Let(Option<String>),
    /// The bucket's policy denies it.
    DeniedByBucket,
    /// No policy of the caller allows it.
    NotAllowed,
}

impl Answer {
    fn of<T, E>(result: Result<T, SdkError<E>>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let Err(error) = result else { return Self::Let(None) };
        let Some(response) = error.raw_response() else {
            panic!("no answer at all: {}", DisplayErrorContext(error));
        };
        // Read as it came: the emulator refuses some calls in a form that their client does not take for an error's.
        let body = String::from_utf8_lossy(response.body().bytes().unwrap_or_default());
        // SNS has a word of its own.
        let denied = ["AccessDenied", "AuthorizationError"].iter().any(|code| body.contains(code));
        let refused = [400, 403].contains(&response.status().as_u16()) && denied;
        match error.code() {
            _ if refused && body.contains("with an explicit deny in a resource-based policy") => {
                Self::DeniedByBucket
            }
            _ if refused && body.contains("because no identity-based policy allows") => Self::NotAllowed,
            Some(code) => Self::Let(Some(code.to_owned())),
            None => panic!("an answer that says nothing: {}", DisplayErrorContext(error)),
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Let(None) => f.write_str("went through"),
            Self::Let(Some(code)) => write!(f, "was let through ({code})"),
            Self::DeniedByBucket => f.write_str("was denied by the bucket"),
            Self::NotAllowed => f.write_str("was allowed by no policy"),
        }
    }
}

/// The foundation, deployed, and who calls.
struct Stage {
    aws: EnforcingAws,
    administrator: Clients,
    administrator_in_the_clear: Clients,
    keeper: Clients,
    log: String,
    control: String,
    evidence: String,
    signing_key: String,
    zone: String,
}

impl Stage {
    async fn set() -> Self {
        let aws = EnforcingAws::start(REGION).await.unwrap();
        let repository = places::repository();
        let callers = repository.join("tests/fixtures/policies/callers.yaml");
        let callers = create_stack(&aws.root(), &StackSpec::new("callers", &callers)).await.unwrap();
        let foundation = StackSpec::new("foundation", &repository.join("infra/foundation.yaml"))
            .parameter("PlanName", "aex")
            .parameter("ZoneName", "aex.internal")
            .parameter("RecoveryVpcId", "vpc-00000000")
            .parameter("PolicyKeeperArn", callers.output("KeeperArn").unwrap());
        let foundation = create_foundation(&aws.root(), foundation, 1).await.unwrap();
        let output = |stack: &Stack, key: &str| stack.output(key).unwrap().to_owned();
        let evidence = output(&foundation, "EvidenceBucketName");
        let administrator = aws.user("administrator").await.unwrap();
        Self {
            administrator: aws.clients(&administrator),
            administrator_in_the_clear: aws.plain_clients(&administrator),
            keeper: aws.clients(&aws.user("keeper").await.unwrap()),
            log: output(&foundation, "LogBucketName"),
            control: output(&foundation, "ControlBucketName"),
            evidence,
            signing_key: output(&foundation, "SigningKeyArn"),
            zone: output(&foundation, "HostedZoneId").trim_start_matches("/hostedzone/").to_owned(),
            aws,
        }
    }
}
