//! Where a ledger lies: a folder, or a bucket and what comes before its keys.

use std::path::PathBuf;

use lifeboat_runtime::Store;

use super::usage;
use crate::args::AwsArgs;
use crate::aws;
use crate::failure::Failure;

/// What a command line names.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    Folder(PathBuf),
    Bucket {
        bucket: String,
        /// With its closing slash; empty for a whole bucket.
        prefix: String,
    },
}

impl Place {
    pub(super) fn parse(text: &str) -> Result<Place, Failure> {
        let Some(rest) = text.strip_prefix("s3://") else { return Ok(Place::Folder(PathBuf::from(text))) };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(usage(format!("{text} names no bucket; s3://<bucket>/<prefix> does")));
        }
        let slash = if prefix.is_empty() || prefix.ends_with('/') { "" } else { "/" };
        Ok(Place::Bucket { bucket: bucket.to_owned(), prefix: format!("{prefix}{slash}") })
    }
}

/// The store behind `s3://`.
pub(super) async fn store(args: &AwsArgs) -> Result<Store, Failure> {
    Ok(Store::new(&aws::config(args, None).await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_has_a_scheme() {
        let bucket =
            |bucket: &str, prefix: &str| Place::Bucket { bucket: bucket.into(), prefix: prefix.into() };
        for (text, expected) in [
            ("s3://b", bucket("b", "")),
            ("s3://b/", bucket("b", "")),
            ("s3://b/log", bucket("b", "log/")),
            ("s3://b/a/log/", bucket("b", "a/log/")),
            ("log", Place::Folder("log".into())),
        ] {
            assert_eq!(Place::parse(text).unwrap(), expected, "{text}");
        }
        assert!(Place::parse("s3:///log").is_err());
    }
}
