//! What a request has in it that no record may keep: it is taken out before the request is recorded.

use serde::Deserialize as _;
use serde_json::{Value, json};

use crate::Proof;

/// What was taken out.
#[derive(Clone, Debug, Default)]
pub struct Private {
    /// The token that answers a question, of an `ask`.
    pub token: Option<String>,
    /// What shows who has signed a decision, of a `count`: it is good for asking AWS who that is, for a quarter of an hour.
    pub proof: Option<Proof>,
}

impl Private {
    /// Takes it out of a payload. A proof that is none is left out as well, and missed later.
    pub fn take(payload: &mut Value) -> Private {
        let mut private = Private::default();
        if let Some(ask) = payload.pointer_mut("/action/ask").and_then(Value::as_object_mut) {
            private.token = ask.remove("token").and_then(|token| token.as_str().map(str::to_owned));
        }
        if let Some(submission) =
            payload.pointer_mut("/action/count/submission/sent").and_then(Value::as_object_mut)
            && let Some(proof) = submission.get_mut("proof")
        {
            private.proof = Proof::deserialize(proof.take()).ok();
            *proof = json!("not recorded");
        }
        private
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_keeps_neither_token_nor_signature() {
        let mut ask = json!({ "action": { "ask": { "token": "t", "so_far": [] } } });
        assert_eq!(Private::take(&mut ask).token.as_deref(), Some("t"));
        assert_eq!(ask, json!({ "action": { "ask": { "so_far": [] } } }));
        let proof = json!({ "host": "h", "authorization": "a", "x-amz-date": "d" });
        let mut count = json!({ "action": { "count": { "submission": { "sent": { "decision": "{}", "proof": proof } } } } });
        let taken = Private::take(&mut count).proof.unwrap();
        assert_eq!((taken.host.as_str(), taken.authorization.as_str()), ("h", "a"));
        assert_eq!(
            count["action"]["count"]["submission"]["sent"],
            json!({ "decision": "{}", "proof": "not recorded" })
        );
        for other in [json!(null), json!({ "action": { "count": { "submission": null } } })] {
            assert!(Private::take(&mut other.clone()).proof.is_none());
        }
    }
}
