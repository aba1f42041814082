//! What closes a run, and what vouches for it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Account;
use crate::{Outcome, Run};

/// A record as the manifest lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listed {
    /// The key, below the run's prefix.
    pub key: String,
    /// The SHA-256 of the object's bytes, in hexadecimal.
    pub sha256: String,
    /// The object's size.
    pub bytes: u64,
    /// When it was stored, by S3's clock: beside the record's own, the second one.
    pub stored_at: Timestamp,
}

/// Closes a run. A run without one is open, never complete.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The plan's name.
    pub plan: String,
    /// The name of the execution.
    pub run: String,
    /// The admitted run, with the plan's version and digest; absent where admission itself failed.
    pub admitted: Option<Run>,
    /// How it ended.
    pub outcome: Outcome,
    /// Why, for a person.
    pub reason: String,
    /// When, by the closing Lambda's clock.
    pub closed_at: Timestamp,
    /// What the run found and did, as the state machine handed it to the close.
    pub facts: Value,
    /// What was deployed; a person's own command is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<Deployment>,
    /// What the records come to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<Account>,
    /// Every record there was when the run was closed, and what was left beside them, by key.
    pub records: Vec<Listed>,
}

/// What has run, by the names under which it was deployed: the deploy guide makes both of the digest of what they hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deployment {
    /// Where the packages of the functions lie, in the bucket of artifacts.
    pub packages: String,
    /// The key of the state machine's definition there.
    pub definition: String,
    /// The ARN of the key that signs.
    pub signing_key: String,
    /// The templates of the plan's stacks, each by its own digest in the control bucket; empty where the plan could not be
    /// read again.
    #[serde(default)]
    pub templates: Vec<Template>,
}

/// The template of one stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// The stack's name in the plan.
    pub stack: String,
    /// Its template's key, with its digest in it.
    pub key: String,
}

/// The one algorithm that manifests are signed by: ECDSA on P-256 over the SHA-256 of the manifest's bytes.
pub const SIGNATURE_ALGORITHM: &str = "ECDSA_SHA_256";

/// What vouches for a manifest: beside it, in `manifest.sig`. It is worth what the fingerprint is worth against which its key
/// is held, and that one is never taken from here.
///
/// It is stored in one form, as `to_bytes` gives it, so that not a byte of it can be changed unseen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// [`SIGNATURE_ALGORITHM`].
    pub algorithm: String,
    /// The public key, as DER of a `SubjectPublicKeyInfo`, in hexadecimal.
    pub public_key: String,
    /// The SHA-256 of the manifest's bytes, in hexadecimal: what was signed.
    pub signed_sha256: String,
    /// The signature, as DER of an `Ecdsa-Sig-Value`, in hexadecimal.
    pub signature: String,
}

impl Signature {
    /// As it is stored.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).expect("strings always serialise")
    }

    /// Reads one as it is stored.
    ///
    /// # Errors
    /// What is wrong with it, for a person.
    pub fn read(bytes: &[u8]) -> Result<Signature, String> {
        let signature: Signature =
            serde_json::from_slice(bytes).map_err(|err| format!("it is no signature: {err}"))?;
        match signature.to_bytes() == bytes {
            true => Ok(signature),
            false => Err("it was changed: it is not written as it was stored".to_owned()),
        }
    }
}
