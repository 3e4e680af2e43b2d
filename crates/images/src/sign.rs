//! Signatures of images as cosign makes them with keys
//! (<https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md>).
//!
//! What is signed is a small JSON text, the payload, that names an image's digest: ECDSA over
//! P-256 with SHA-256. In a registry the payload is a layer of [`MEDIA_TYPE`] with the signature
//! as its annotation [`ANNOTATION`], in an image that [`tag`] names.

mod image;
mod key;
mod payload;

use aws_lc_rs::rand::SystemRandom;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::Digest;

pub use image::{Listed, SignatureImage, listed};
pub use key::{KeyError, PublicKey, SigningKey};

/// Media type of the layer that is the payload.
pub const MEDIA_TYPE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// Annotation of that layer: the signature in base64.
pub const ANNOTATION: &str = "dev.cosignproject.cosign/signature";
/// Bytes of a payload; and of a signature in base64, which is never longer than 100.
pub const MAX_PAYLOAD: usize = 64 << 10;
pub const MAX_SIGNATURE: usize = 1024;

/// The tag, in the image's own repository, of the image that holds its signatures.
pub fn tag(digest: &Digest) -> String {
    format!("sha256-{}.sig", digest.hex())
}

/// A payload and its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The bytes that are signed; they must be stored as they are.
    pub payload: Vec<u8>,
    /// DER in base64.
    pub signature: String,
}

/// A signature that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Place of the key that made it among those that were given.
    pub key: usize,
    /// What the signer called the image. The signature holds for the digest under any name;
    /// who cares must compare.
    pub reference: String,
}

/// Why an image does not count as signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    #[error("no key is trusted: name public keys")]
    NoKeys,
    #[error("the signature is no base64 of at most {MAX_SIGNATURE} bytes")]
    NoSignature,
    #[error("none of the {0} trusted keys made the signature")]
    OtherKey(usize),
    #[error("the signed payload is none of cosign's: {0}")]
    Payload(String),
    #[error("the signature is for {0}, not for {1}")]
    OtherImage(String, Digest),
}

impl SigningKey {
    /// Signs an image's digest under the name it has (without tag: `registry/name`).
    ///
    /// # Errors
    /// When the machine gives no randomness.
    pub fn sign(&self, digest: &Digest, reference: &str) -> Result<Signature, KeyError> {
        let payload = payload::write(digest, reference);
        let random = SystemRandom::new();
        let signature = self.pair().sign(&random, &payload).map_err(|_| KeyError::Unable)?;
        Ok(Signature { payload, signature: STANDARD.encode(signature.as_ref()) })
    }
}

/// Whether one of the keys signed that digest.
///
/// # Errors
/// The first reason why not. Nothing of a payload is believed before its signature holds.
pub fn verify(
    keys: &[PublicKey],
    digest: &Digest,
    payload: &[u8],
    signature: &str,
) -> Result<Verified, VerifyError> {
    if keys.is_empty() {
        return Err(VerifyError::NoKeys);
    }
    if payload.len() > MAX_PAYLOAD {
        return Err(VerifyError::Payload(format!("it has more than {MAX_PAYLOAD} bytes")));
    }
    let decoded = Some(signature.trim()).filter(|text| text.len() <= MAX_SIGNATURE);
    let der = decoded.and_then(|text| STANDARD.decode(text).ok());
    let der = der.ok_or(VerifyError::NoSignature)?;
    let key = keys.iter().position(|key| key.made(payload, &der));
    let key = key.ok_or(VerifyError::OtherKey(keys.len()))?;
    let signed = payload::read(payload).map_err(VerifyError::Payload)?;
    if signed.digest != digest.as_str() {
        return Err(VerifyError::OtherImage(signed.digest, digest.clone()));
    }
    Ok(Verified { key, reference: signed.reference })
}
