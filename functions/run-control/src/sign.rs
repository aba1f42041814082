//! The signature under a manifest, by a key of KMS that nobody can take out.

use std::time::Duration;

use aws_sdk_kms::Client;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{MessageType, SigningAlgorithmSpec};
use lifeboat_rules::evidence::{SIGNATURE_ALGORITHM, Signature, sha256};
use lifeboat_rules::{ErrorName, StepError};
use lifeboat_runtime::{aws_error, required_env};

/// How long a signature is waited for, in seconds: a function that closes a run (its own timeout is 30 s) still has to store
/// the manifest, with or without.
const SIGN_SECONDS_MAX: u64 = 8;

/// Signs manifests.
#[derive(Clone, Debug)]
pub struct Signer {
    /// KMS in the recovery Region.
    pub kms: Client,
    /// The key's ARN.
    pub key: String,
}

impl Signer {
    /// Reads the key's ARN from the environment that `orchestrator.yaml` sets.
    ///
    /// # Errors
    /// `Defect` where it is missing.
    pub fn from_env(config: &aws_config::SdkConfig) -> Result<Signer, StepError> {
        Ok(Signer::new(config, required_env("SIGNING_KEY_ARN")?))
    }

    /// Signs with `key`, by KMS in the Region of `config`.
    pub fn new(config: &aws_config::SdkConfig, key: String) -> Signer {
        Signer { kms: Client::new(config), key }
    }

    /// Signs the bytes of a manifest.
    ///
    /// # Errors
    /// `Transient` where KMS does not answer in time; `Defect` where the key is of another kind than the foundation makes;
    /// as [`aws_error`].
    pub async fn sign(&self, manifest: &[u8]) -> Result<Signature, StepError> {
        let late = |_| {
            let what = format!("sign the manifest with {}: no answer in {SIGN_SECONDS_MAX} s", self.key);
            StepError::new(ErrorName::Transient, what)
        };
        let signing = self.ask_for_signature(manifest);
        tokio::time::timeout(Duration::from_secs(SIGN_SECONDS_MAX), signing).await.map_err(late)?
    }

    async fn ask_for_signature(&self, manifest: &[u8]) -> Result<Signature, StepError> {
        let Signer { kms, key } = self;
        let of_key = kms.get_public_key().key_id(key).send().await;
        let of_key = of_key.map_err(|err| aws_error(format!("read the public key of {key}"), err))?;
        let signed_sha256 = sha256(manifest);
        let digest = hex::decode(&signed_sha256).expect("a digest is hexadecimal");
        let signed = kms
            .sign()
            .key_id(key)
            .message_type(MessageType::Digest)
            .message(Blob::new(digest))
            .signing_algorithm(SigningAlgorithmSpec::EcdsaSha256)
            .send()
            .await
            .map_err(|err| aws_error(format!("sign the manifest with {key}"), err))?;
        let (Some(public_key), Some(signature)) = (of_key.public_key(), signed.signature()) else {
            return Err(StepError::defect(format!("{key} gave no public key, or no signature")));
        };
        Ok(Signature {
            algorithm: SIGNATURE_ALGORITHM.to_owned(),
            public_key: hex::encode(public_key.as_ref()),
            signed_sha256,
            signature: hex::encode(signature.as_ref()),
        })
    }
}
