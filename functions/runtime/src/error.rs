use std::error::Error;

use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::http::Response;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use lifeboat_rules::{ErrorName, StepError};

/// Names a failed call by what may be done next. `what` says which call it was, and upon what.
///
/// No answer, a throttled call and a fault of the service are `Transient`: the outcome may be unknown, and every effect
/// here can be done again. Anything else (a missing permission, a bucket that is not there) is a `Defect` of how
/// Lifeboat is deployed: repeating does not mend it.
pub fn aws_error<E>(what: impl Into<String>, err: SdkError<E, Response>) -> StepError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let name = match &err {
        SdkError::ServiceError(service) => {
            let status = service.raw().status().as_u16();
            let code = service.err().code().unwrap_or_default();
            if status >= 500 || status == 429 || THROTTLED.iter().any(|known| code.contains(known)) {
                ErrorName::Transient
            } else {
                ErrorName::Defect
            }
        }
        SdkError::ConstructionFailure(_) => ErrorName::Defect,
        _ => ErrorName::Transient,
    };
    StepError::caused(name, what, err)
}

/// Parts of the codes by which AWS says "later": Throttling, ThrottlingException, RequestThrottled, SlowDown,
/// TooManyRequests, RequestLimitExceeded, PriorRequestNotComplete (Route 53), ConditionalRequestConflict (S3's 409),
/// RequestTimeout.
const THROTTLED: [&str; 8] = [
    "Throttl",
    "SlowDown",
    "TooManyRequests",
    "LimitExceeded",
    "PriorRequestNotComplete",
    "ConditionalRequestConflict",
    "OperationAborted",
    "RequestTimeout",
];
