//! Why a command did not do what it was asked: what happened, where, and what to do next.

use std::error::Error;
use std::path::PathBuf;

use serde::Serialize;

use crate::exit::Exit;

/// A command's failure.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    /// What happened.
    pub(crate) what: String,
    /// Why, as whoever refused it says.
    pub(crate) cause: Option<String>,
    /// What to do next.
    pub(crate) next: String,
    /// What is wrong with a plan, each with its place; only with [`Exit::PlanInvalid`].
    pub(crate) problems: Vec<Finding>,
}

/// One problem at a place of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// The plan, or the template.
    pub(crate) file: PathBuf,
    /// From 1; absent where a file as a whole is wrong.
    pub(crate) line: Option<u64>,
    /// From 1.
    pub(crate) column: Option<u64>,
    /// The path of the field.
    pub(crate) field: String,
    /// What is wrong, and what would be right.
    pub(crate) message: String,
    /// The line itself, for a person.
    #[serde(skip)]
    pub(crate) source: Option<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, what: impl Into<String>, next: impl Into<String>) -> Self {
        Self { exit, what: what.into(), cause: None, next: next.into(), problems: Vec::new() }
    }

    pub(crate) fn defect(what: impl Into<String>) -> Self {
        Self::new(Exit::Defect, what, "this is a defect of Lifeboat: please report it with the command line")
    }

    /// The whole chain of causes, in one line.
    pub(crate) fn because(mut self, error: &(dyn Error + 'static)) -> Self {
        let mut causes: Vec<String> = Vec::new();
        let mut error = Some(error);
        while let Some(cause) = error {
            let text = cause.to_string();
            // Many errors print their source themselves; once is enough.
            if !causes.iter().any(|told| told.contains(&text)) {
                causes.push(text);
            }
            error = cause.source();
        }
        self.cause = Some(readable(&causes.join(": ")));
        self
    }

    /// A plan or a template that cannot be used.
    pub(crate) fn invalid(file: &std::path::Path, problems: Vec<Finding>) -> Self {
        let count = match problems.len() {
            1 => "1 problem".to_owned(),
            count => format!("{count} problems"),
        };
        Self {
            problems,
            ..Self::new(
                Exit::PlanInvalid,
                format!("{} cannot be used: {count}", file.display()),
                format!("mend what is named above, then run `lifeboat plan check {}` again", file.display()),
            )
        }
    }
}

/// In one line, and without the internals of the SDK: a service's error that it has no type for it prints as
/// `unhandled error (Code): Error { code: .., message: "..", .. }`.
fn readable(cause: &str) -> String {
    let cause = cause.split_whitespace().collect::<Vec<_>>().join(" ");
    let message = |rest: &str| Some(rest.split_once("message: \"")?.1.split_once('"')?.0.to_owned());
    match cause.split_once(": Error { code: ") {
        Some((known, rest)) => match message(rest) {
            Some(message) => format!("{known}: {message}"),
            None => known.to_owned(),
        },
        None => cause,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_for_a_person() {
        let sdk = "list s3://b/p: service error: unhandled error (NoSuchBucket): Error { code: \"NoSuchBucket\", \
                   message: \"The bucket is not there\", aws_request_id: \"1\" }";
        assert_eq!(
            readable(sdk),
            "list s3://b/p: service error: unhandled error (NoSuchBucket): The bucket is not there"
        );
        assert_eq!(readable("one\n  two"), "one two");
    }
}
