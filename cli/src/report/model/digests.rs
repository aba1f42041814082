//! By what the run went: plan, templates, packages, keys, each with the digest that tells it from any other.

use serde::Serialize;

use crate::report::facts::Facts;

#[derive(Debug, Serialize)]
pub(crate) struct Digest {
    pub(crate) what: String,
    /// A SHA-256, or the name that holds one.
    pub(crate) name: String,
}

pub(super) fn of(facts: &Facts) -> Vec<Digest> {
    let mut digests = Vec::new();
    let mut tell = |what: &str, name: &str| {
        digests.push(Digest { what: what.to_owned(), name: name.to_owned() });
    };
    if let Some(run) = facts.manifest.as_ref().and_then(|manifest| manifest.admitted.as_ref()) {
        tell("Plan, SHA-256", &run.plan.sha256);
        tell("Plan, version", &format!("{} of {}", run.plan.version, run.plan.key));
    }
    if let Some(deployment) = facts.manifest.as_ref().and_then(|manifest| manifest.deployment.as_ref()) {
        for template in &deployment.templates {
            tell(&format!("Template of the stack {}", template.stack), &template.key);
        }
        tell("Packages of the functions", &deployment.packages);
        tell("Definition of the state machine", &deployment.definition);
        tell("Key that signs", &deployment.signing_key);
    }
    if let Some(sha256) = &facts.manifest_sha256 {
        tell("Manifest, SHA-256", sha256);
    }
    if let Some(fingerprint) = &facts.verified.signed_by {
        tell("Fingerprint of the key that signed", fingerprint);
    }
    digests
}
