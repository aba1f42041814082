//! The records of a plan whose rules make them over lists: the lists are in the control bucket, by their content.

use std::collections::BTreeMap;

use lifeboat_rules::dns::names::expand;
use lifeboat_rules::evidence::sha256;
use lifeboat_rules::plan::{Record, bounds};
use lifeboat_rules::{ErrorName, Plan, StepError};

use crate::serve::Context;
use crate::store::Store;

impl Context {
    /// Every record that the plan moves, as [`records`] has them.
    ///
    /// # Errors
    /// As [`records`].
    pub async fn records(&self, plan: &Plan) -> Result<Vec<Record>, StepError> {
        records(&self.store, &self.control_bucket, plan).await
    }
}

/// Every record that the plan moves, those of its rules included. A plan without rules needs no read.
///
/// # Errors
/// `PlanInvalid` where a list is gone, is not what its key says or has a faulty line; as [`Store::get`] besides.
pub async fn records(store: &Store, control_bucket: &str, plan: &Plan) -> Result<Vec<Record>, StepError> {
    let mut lists = BTreeMap::new();
    for rule in &plan.dns.names {
        if !lists.contains_key(&rule.list) {
            let bytes = store.get(control_bucket, &rule.list, None).await?;
            lists.insert(rule.list.clone(), list(control_bucket, &rule.list, bytes)?);
        }
    }
    expand(&plan.dns, &lists)
}

/// The text of a list, held against the digest in its key.
fn list(control_bucket: &str, key: &str, bytes: Option<Vec<u8>>) -> Result<String, StepError> {
    let invalid = |what: &str| {
        let next = "`lifeboat plan upload` stores it again";
        StepError::new(ErrorName::PlanInvalid, format!("the list s3://{control_bucket}/{key} {what}; {next}"))
    };
    let bytes = bytes.ok_or_else(|| invalid("is not there"))?;
    if bytes.len() > bounds::LIST_BYTES_MAX {
        return Err(invalid(&format!("has {} bytes, and may have {}", bytes.len(), bounds::LIST_BYTES_MAX)));
    }
    if key != format!("names/{}.txt", sha256(&bytes)) {
        return Err(invalid("has other bytes than its key says"));
    }
    String::from_utf8(bytes).map_err(|_| invalid("is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(bytes: &[u8]) -> String {
        format!("names/{}.txt", sha256(bytes))
    }

    #[test]
    fn a_list_is_what_its_key_says() {
        let bytes = b"aapl\nmsft\n".to_vec();
        assert_eq!(list("control", &key(&bytes), Some(bytes.clone())).unwrap(), "aapl\nmsft\n");
        let long = vec![b'\n'; bounds::LIST_BYTES_MAX + 1];
        for (key, bytes, says) in [
            (key(&bytes), None, "is not there"),
            (key(&bytes), Some(b"aapl\n".to_vec()), "other bytes than its key says"),
            (key(&long), Some(long.clone()), "has 1280001 bytes"),
            (key(b"\xff"), Some(b"\xff".to_vec()), "is not UTF-8"),
        ] {
            let err = list("control", &key, bytes).unwrap_err();
            assert_eq!(err.name, ErrorName::PlanInvalid);
            let text = err.to_string();
            assert!(text.contains(says) && text.contains("lifeboat plan upload"), "{text}");
        }
    }
}
