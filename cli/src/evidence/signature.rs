//! Whether a manifest's signature is one, and by which key: ECDSA on P-256 over the SHA-256 of its bytes.

use std::collections::BTreeMap;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use lifeboat_rules::evidence::verify::{MANIFEST, Object, SIGNATURE, Signed};
use lifeboat_rules::evidence::{SIGNATURE_ALGORITHM, Signature, sha256};

/// What stands before the 65 bytes of the point in the `SubjectPublicKeyInfo` of every key on P-256.
const P256: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// Checks the signature among the objects of a run.
pub(crate) fn check(objects: &BTreeMap<String, Object>) -> Signed {
    let content = |key: &str| objects.get(key).and_then(Object::content);
    match (content(MANIFEST), content(SIGNATURE)) {
        (Some(manifest), Some(signature)) => match by(manifest, signature) {
            Ok(fingerprint) => Signed::By { fingerprint },
            Err(why) => Signed::Wrong { why },
        },
        _ => Signed::Absent,
    }
}

/// The fingerprint of the key that has signed `manifest`.
fn by(manifest: &[u8], signature: &[u8]) -> Result<String, String> {
    let signature = Signature::read(signature)?;
    if signature.algorithm != SIGNATURE_ALGORITHM {
        return Err(format!("it is signed by {}, and not by {SIGNATURE_ALGORITHM}", signature.algorithm));
    }
    let digest = sha256(manifest);
    if signature.signed_sha256 != digest {
        let signed = &signature.signed_sha256;
        return Err(format!(
            "it signs another manifest: one with the SHA-256 {signed}, and this one has {digest}"
        ));
    }
    let bytes = |what: &str, hexadecimal: &str| {
        // Lower case only, or one signature could be written in many ways.
        let bytes = hex::decode(hexadecimal).ok().filter(|bytes| hex::encode(bytes) == hexadecimal);
        bytes.ok_or_else(|| format!("its {what} is not in hexadecimal"))
    };
    let public_key = bytes("public key", &signature.public_key)?;
    let point = public_key.strip_prefix(&P256).ok_or("its public key is none on the curve P-256")?;
    let signed = bytes("signature", &signature.signature)?;
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point)
        .verify(manifest, &signed)
        .map_err(|_| "the signature is not one of this manifest by this key".to_owned())?;
    Ok(sha256(&public_key))
}
