//! The manifest: what closes a run, or a hand-back.

use lifeboat_rules::StepError;
use lifeboat_rules::evidence::{Manifest, manifest_key, sha256};
use lifeboat_runtime::{Put, Store};

use crate::read_json;

/// A manifest as it is stored.
#[derive(Clone, Debug)]
pub struct Stored {
    /// What it says: what was given, or what an earlier attempt had said.
    pub manifest: Manifest,
    /// Its key in the evidence bucket.
    pub key: String,
    /// The SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
}

/// Stores `manifest`, once: where an earlier attempt of the same run has closed it, what that one said stands.
///
/// # Errors
/// `Defect` where another run of the same name was closed before; as [`lifeboat_runtime::aws_error`].
pub async fn put_manifest(
    store: &Store,
    evidence_bucket: &str,
    manifest: Manifest,
) -> Result<Stored, StepError> {
    let key = manifest_key(&manifest.plan, &manifest.run);
    let bytes =
        serde_json::to_vec_pretty(&manifest).expect("strings, numbers and JSON values always serialise");
    match store.create(evidence_bucket, &key, &bytes).await? {
        Put::Created => Ok(Stored { manifest, sha256: sha256(&bytes), key }),
        Put::Exists(found) => {
            let earlier: Manifest = read_json(&key, &found)?;
            // Another run of the same name (names are free again after 90 days) is not this one.
            let same = earlier.admitted == manifest.admitted
                && (earlier.admitted.is_some() || earlier.outcome == manifest.outcome);
            if !same {
                return Err(StepError::defect(format!(
                    "{key} is the manifest of an earlier run of the same name"
                )));
            }
            Ok(Stored { manifest: earlier, sha256: sha256(&found), key })
        }
    }
}
