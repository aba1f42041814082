//! Errors are named by what the machine may do next, not by what broke.

use std::error::Error;
use std::fmt;

use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Serialize, Serializer};

/// The names that the state machine's `Retry` and `Catch` match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ErrorName {
    /// Retry: the same call may work in a moment, or its outcome is unknown and doing it again is safe.
    Transient,
    /// Wait: all is well, it is only not finished.
    NotReady,
    /// Stop: somebody newer acts.
    Fenced,
    /// Page: the plan cannot be obeyed.
    PlanInvalid,
    /// Page: the input of the run or of this call is wrong.
    InputInvalid,
    /// Page: a defect of Lifeboat, or of the way it is deployed (e.g. a permission is missing).
    Defect,
}

impl ErrorName {
    /// All names; a test holds the state machine's definition against them.
    pub const ALL: [ErrorName; 6] = [
        ErrorName::Transient,
        ErrorName::NotReady,
        ErrorName::Fenced,
        ErrorName::PlanInvalid,
        ErrorName::InputInvalid,
        ErrorName::Defect,
    ];

    /// The name as Step Functions sees it.
    pub fn as_str(self) -> &'static str {
        match self {
            ErrorName::Transient => "Transient",
            ErrorName::NotReady => "NotReady",
            ErrorName::Fenced => "Fenced",
            ErrorName::PlanInvalid => "PlanInvalid",
            ErrorName::InputInvalid => "InputInvalid",
            ErrorName::Defect => "Defect",
        }
    }
}

/// Why a step did not give a verdict.
#[derive(Debug)]
pub struct StepError {
    /// What may be done next.
    pub name: ErrorName,
    what: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl StepError {
    /// An error without a deeper cause.
    pub fn new(name: ErrorName, what: impl Into<String>) -> StepError {
        StepError { name, what: what.into(), source: None }
    }

    /// An error at a boundary: what was attempted, and the cause, which is kept.
    pub fn caused(
        name: ErrorName,
        what: impl Into<String>,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> StepError {
        StepError { name, what: what.into(), source: Some(source.into()) }
    }

    /// [`ErrorName::NotReady`].
    pub fn not_ready(what: impl Into<String>) -> StepError {
        StepError::new(ErrorName::NotReady, what)
    }

    /// [`ErrorName::Fenced`].
    pub fn fenced(what: impl Into<String>) -> StepError {
        StepError::new(ErrorName::Fenced, what)
    }

    /// [`ErrorName::InputInvalid`]; `field` names the field of the input.
    pub fn input_invalid(field: &str, what: impl fmt::Display) -> StepError {
        StepError::new(ErrorName::InputInvalid, format!("field `{field}`: {what}"))
    }

    /// [`ErrorName::Defect`].
    pub fn defect(what: impl Into<String>) -> StepError {
        StepError::new(ErrorName::Defect, what)
    }
}

impl Serialize for StepError {
    /// As a record of evidence tells it: its name and its message.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut told = serializer.serialize_struct("StepError", 2)?;
        told.serialize_field("error", &self.name)?;
        told.serialize_field("message", &self.to_string())?;
        told.end()
    }
}

impl fmt::Display for StepError {
    /// The whole chain of causes: the payload that Step Functions keeps has one message.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        let mut source = self.source();
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

impl Error for StepError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}
