//! What the buckets' policies say, as far as only their wording can be looked at.

use serde_json::{Value, json};

use crate::{list, of_kind, read};

/// The buckets know the verifier by the name of its role, which is said in two templates.
#[test]
fn the_verifier_of_the_buckets_is_the_role_of_ledger_verify() {
    let (foundation, orchestrator) = (read("infra/foundation.yaml"), read("infra/orchestrator.yaml"));
    let role = orchestrator["Resources"]["LedgerVerifyRole"]["Properties"]["RoleName"].as_str();
    for (bucket, sid, keys) in [
        ("LogBucket", "OnlyTheVerifierMakesCheckpoints", "/checkpoint/*"),
        ("EvidenceBucket", "OnlyTheVerifierLeavesShards", "/*/shards/*"),
    ] {
        let policy = &foundation["Resources"][format!("{bucket}Policy")]["Properties"]["PolicyDocument"];
        let statements = policy["Statement"].as_array().into_iter().flatten();
        let of_sid: Vec<&Value> = statements.filter(|statement| statement["Sid"] == sid).collect();
        let verifiers: Vec<&str> = of_sid
            .iter()
            .flat_map(|statement| list(&statement["Condition"]["ArnNotEquals"]["aws:PrincipalArn"]))
            .filter_map(|arn| Some(arn.split_once(":role/")?.1))
            .collect();
        assert_eq!(verifiers, [role.expect("a role with a name")], "{sid}");
        let resources: Vec<&str> = of_sid.iter().flat_map(|statement| list(&statement["Resource"])).collect();
        assert!(matches!(resources[..], [one] if one.ends_with(keys)), "{sid}: {resources:?}");
    }
}

/// The key that signs knows its one signer by the name of the role, and lets nobody else, administrators included.
#[test]
fn the_signer_is_the_role_of_run_control() {
    let (foundation, orchestrator) = (read("infra/foundation.yaml"), read("infra/orchestrator.yaml"));
    let role = orchestrator["Resources"]["RunControlRole"]["Properties"]["RoleName"].as_str();
    let key = &foundation["Resources"]["SigningKey"]["Properties"];
    assert_eq!((&key["KeySpec"], &key["KeyUsage"]), (&json!("ECC_NIST_P256"), &json!("SIGN_VERIFY")));
    let statements = key["KeyPolicy"]["Statement"].as_array().into_iter().flatten();
    let denies: Vec<&Value> = statements.filter(|statement| statement["Effect"] == "Deny").collect();
    assert!(denies.iter().all(|deny| deny["Action"] == "kms:Sign" && deny["Principal"] == "*"));
    let signers: Vec<&str> = denies
        .iter()
        .flat_map(|deny| list(&deny["Condition"]["ArnNotEquals"]["aws:PrincipalArn"]))
        .filter_map(|arn| Some(arn.split_once(":role/")?.1))
        .collect();
    assert_eq!(signers, [role.expect("a role with a name")]);
}

/// What the emulator cannot be asked, so that only the wording is left to look at; `policies` asks all the rest.
const NOT_EMULATED: [&str; 3] = ["s3:ReplicateObject", "s3:ReplicateDelete", "s3:UpdateObjectEncryption"];

#[test]
fn buckets_deny_what_the_emulator_does_not_know() {
    let let_through = |template: &Value| -> Vec<String> {
        let mut found = Vec::new();
        for (name, policy) in of_kind(template, "AWS::S3::BucketPolicy") {
            let statements = policy["Properties"]["PolicyDocument"]["Statement"].as_array();
            let denied: Vec<&str> = statements
                .into_iter()
                .flatten()
                .filter(|statement| {
                    statement["Effect"] == "Deny"
                        && statement["Principal"] == "*"
                        && statement["Condition"].is_null()
                })
                .flat_map(|statement| list(&statement["Action"]))
                .collect();
            for action in NOT_EMULATED {
                if !denied.contains(&action) {
                    found.push(format!("{name}: {action}"));
                }
            }
        }
        found
    };
    let template = read("infra/foundation.yaml");
    assert_eq!(of_kind(&template, "AWS::S3::BucketPolicy").count(), 3);
    assert!(let_through(&template).is_empty(), "{:?}", let_through(&template));
    let mut spoiled = template;
    // The second statement of each is about deletions and replicas.
    spoiled["Resources"]["LogBucketPolicy"]["Properties"]["PolicyDocument"]["Statement"][1]["Principal"] =
        json!({ "AWS": "arn:aws:iam::123456789012:role/one" });
    assert_eq!(let_through(&spoiled).len(), NOT_EMULATED.len());
}
