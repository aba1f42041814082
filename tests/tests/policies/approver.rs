//! Whose signature a decision bears, on an emulator that checks signatures as AWS does.

use lifeboat::signing::submission;
use lifeboat_rules::approval::{Came, Signer};
use lifeboat_tests::world::ACCOUNT;
use run_control::{Identities, Submission};
use serde_json::json;

use crate::{REGION, Stage};

const DECISION: &str = r#"{"plan":"aex","run":"by-hand","epoch":2,"about":"seal","proof":"ab","answer":"approve",
    "reason":"we have looked","signed_at":"2026-11-28T00:00:00Z"}"#;

async fn came(identities: &Identities, sent: &Submission) -> Came {
    let submission = json!({ "decision": sent.decision });
    identities.came(&submission, Some(sent.proof.clone())).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_is_whose_key_has_signed_it_and_of_no_other_text() {
    let stage = Stage::set().await;
    let (person, function) = (&stage.administrator.config, &stage.keeper.config);
    // Asked by another caller, whose own signature is no part of it.
    let identities = Identities::new(function);
    let sent = submission(person, REGION, DECISION).await.unwrap();
    let decision = serde_json::from_str(DECISION).unwrap();
    let by = Signer { arn: format!("arn:aws:iam::{ACCOUNT}:user/administrator") };
    assert_eq!(came(&identities, &sent).await, Came::Signed { decision, by });

    type Spoil = fn(&mut Submission);
    let spoilt: [(&str, Spoil); 4] = [
        ("another text", |sent| sent.decision = sent.decision.replace("approve", "decline")),
        ("another moment", |sent| sent.proof.date = "20260101T000000Z".into()),
        ("another signature", |sent| {
            let last = sent.proof.authorization.pop();
            sent.proof.authorization.push(if last == Some('0') { '1' } else { '0' });
        }),
        ("a session that is none", |sent| sent.proof.token = Some("a token".into())),
    ];
    for (what, spoil) in spoilt {
        let mut sent = submission(person, REGION, DECISION).await.unwrap();
        spoil(&mut sent);
        let found = came(&identities, &sent).await;
        assert!(
            matches!(&found, Came::Unknown { why } if why.contains("AWS does not know")),
            "{what}: {found:?}"
        );
    }
    // A request that was signed for something else covers no decision.
    let mut sent = submission(person, REGION, DECISION).await.unwrap();
    sent.proof.authorization = sent.proof.authorization.replace(";x-lifeboat-decision", "");
    let found = came(&identities, &sent).await;
    assert!(matches!(&found, Came::Unknown { why } if why.contains("does not cover")), "{found:?}");
}
