//! The manifest: what closes a run, or a hand-back.

use lifeboat_rules::evidence::{Manifest, Signature, manifest_key, sha256, signature_key};
use lifeboat_rules::{ErrorName, StepError};
use lifeboat_runtime::{Put, Store};

use crate::read_json;
use crate::sign::Signer;

/// A manifest as it is stored.
#[derive(Clone, Debug)]
pub struct Stored {
    /// What it says: what was given, or what an earlier attempt had said.
    pub manifest: Manifest,
    /// Its key in the evidence bucket.
    pub key: String,
    /// The SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
    /// Why it bears no signature; `None` where it bears one.
    pub unsigned: Option<String>,
}

/// Attempts that may fail for a signature alone. A run that has ended is closed without one rather than not at all: what is
/// not closed, no alarm starts a run after.
const UNSIGNED_AFTER_ATTEMPT: u32 = 3;

/// Signs `manifest` and stores both, the manifest first. It is signed before anything is stored, so that an attempt that fails
/// for KMS is one that the next one still lists. What is stored and signed already stands, and KMS is not asked.
///
/// # Errors
/// As [`put_manifest`]; where one of the first attempts can get no signature, or cannot store it: the next one may.
pub async fn sign_manifest(
    store: &Store,
    evidence_bucket: &str,
    signer: &Signer,
    manifest: Manifest,
    attempt: u32,
) -> Result<Stored, StepError> {
    let bytes = written(&manifest);
    let signature = signature_key(&manifest.plan, &manifest.run);
    if store.get(evidence_bucket, &signature, None).await?.is_some() {
        return Ok(put(store, evidence_bucket, manifest, bytes).await?.0);
    }
    let mut signed = patient(signer.sign(&bytes).await, attempt)?;
    let (mut stored, in_store) = put(store, evidence_bucket, manifest, bytes).await?;
    if let Some(earlier) = in_store {
        signed = patient(signer.sign(&earlier).await, attempt)?;
    }
    let kept = match signed {
        Ok(signed) => patient(put_signature(store, evidence_bucket, &signature, &signed).await, attempt)?,
        Err(err) => Err(err),
    };
    if let Err(err) = kept {
        tracing::error!("the manifest {} bears no signature: {err}", stored.key);
        stored.unsigned = Some(err.to_string());
    }
    Ok(stored)
}

/// The failure that ends this attempt, outside; one that the run is closed in spite of, inside.
fn patient<T>(done: Result<T, StepError>, attempt: u32) -> Result<Result<T, StepError>, StepError> {
    match done {
        Err(err) if err.name == ErrorName::Transient && attempt < UNSIGNED_AFTER_ATTEMPT => Err(err),
        done => Ok(done),
    }
}

async fn put_signature(
    store: &Store,
    evidence_bucket: &str,
    key: &str,
    signature: &Signature,
) -> Result<(), StepError> {
    match store.create(evidence_bucket, key, &signature.to_bytes()).await? {
        Put::Created => Ok(()),
        // No two signatures of one manifest are alike.
        Put::Exists(found) => {
            let earlier: Signature = read_json(key, &found)?;
            match earlier.signed_sha256 == signature.signed_sha256 {
                true => Ok(()),
                false => Err(StepError::defect(format!("{key} is the signature of another manifest"))),
            }
        }
    }
}

/// Stores `manifest`, once, and unsigned: where an earlier attempt of the same run has closed it, what that one said stands.
///
/// # Errors
/// `Defect` where another run of the same name was closed before; as [`lifeboat_runtime::aws_error`].
pub async fn put_manifest(
    store: &Store,
    evidence_bucket: &str,
    manifest: Manifest,
) -> Result<Stored, StepError> {
    let bytes = written(&manifest);
    Ok(put(store, evidence_bucket, manifest, bytes).await?.0)
}

fn written(manifest: &Manifest) -> Vec<u8> {
    serde_json::to_vec_pretty(manifest).expect("strings, numbers and JSON values always serialise")
}

/// As [`put_manifest`], and the bytes in the store where they are an earlier attempt's.
async fn put(
    store: &Store,
    evidence_bucket: &str,
    manifest: Manifest,
    bytes: Vec<u8>,
) -> Result<(Stored, Option<Vec<u8>>), StepError> {
    let key = manifest_key(&manifest.plan, &manifest.run);
    match store.create(evidence_bucket, &key, &bytes).await? {
        Put::Created => Ok((Stored { manifest, sha256: sha256(&bytes), key, unsigned: None }, None)),
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
            Ok((Stored { manifest: earlier, sha256: sha256(&found), key, unsigned: None }, Some(found)))
        }
    }
}
