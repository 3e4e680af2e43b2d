//! Keys: ECDSA over P-256, in PEM.

use std::fmt;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair,
    UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::Digest;

/// Bytes of a PEM text.
const MAX_PEM: usize = 16 << 10;
const PRIVATE: &str = "PRIVATE KEY";
const PRIVATE_EC: &str = "EC PRIVATE KEY";
const PUBLIC: &str = "PUBLIC KEY";
/// How a SubjectPublicKeyInfo of P-256 begins (RFC 5480); the uncompressed point follows.
const SPKI: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
const POINT: usize = 65;

/// What is wrong with a key. Never holds anything of the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("the key is no PEM block {0}")]
    NoPem(&'static str),
    #[error("the private key is encrypted: give it without a password, as PKCS#8")]
    Encrypted,
    #[error("the key is no ECDSA key over P-256")]
    OtherKind,
    #[error("the machine gave no randomness")]
    Unable,
}

/// A private key.
pub struct SigningKey(EcdsaKeyPair);

impl SigningKey {
    /// # Errors
    /// When the machine gives no randomness.
    pub fn generate() -> Result<Self, KeyError> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING);
        pair.map(Self).map_err(|_| KeyError::Unable)
    }

    /// Reads PKCS#8 (`PRIVATE KEY`) and SEC 1 (`EC PRIVATE KEY`).
    ///
    /// # Errors
    /// What is no such key.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        if pem.contains("ENCRYPTED") {
            return Err(KeyError::Encrypted);
        }
        let der = block(pem, PRIVATE).or_else(|| block(pem, PRIVATE_EC));
        let der = der.ok_or(KeyError::NoPem(PRIVATE))?;
        let pair = EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_ASN1_SIGNING, &der);
        pair.map(Self).map_err(|_| KeyError::OtherKind)
    }

    /// PKCS#8, not encrypted: it is a secret.
    ///
    /// # Errors
    /// When the key cannot be written.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, KeyError> {
        let der = self.0.to_pkcs8v1().map_err(|_| KeyError::OtherKind)?;
        Ok(pem(PRIVATE, der.as_ref()))
    }

    pub fn public(&self) -> PublicKey {
        let der: Result<PublicKeyX509Der<'_>, _> = self.0.public_key().as_der();
        PublicKey(der.expect("a key pair of P-256 has a public key").as_ref().to_vec())
    }

    /// The public key as cosign's `cosign.pub`.
    pub fn public_pem(&self) -> String {
        self.public().to_pem()
    }

    pub(super) fn pair(&self) -> &EcdsaKeyPair {
        &self.0
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningKey").field(&self.public().id()).finish()
    }
}

/// A public key: DER of its SubjectPublicKeyInfo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey(Vec<u8>);

impl PublicKey {
    /// # Errors
    /// What is no public key of P-256.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let der = block(pem, PUBLIC).ok_or(KeyError::NoPem(PUBLIC))?;
        let point = der.strip_prefix(&SPKI).filter(|point| point.len() == POINT);
        let parsed = point.and_then(|point| {
            aws_lc_rs::signature::ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).ok()
        });
        parsed.map(|_| Self(der.to_vec())).ok_or(KeyError::OtherKind)
    }

    pub fn to_pem(&self) -> String {
        pem(PUBLIC, &self.0).as_str().to_owned()
    }

    /// The digest of the key's DER: its name in lists and logs.
    pub fn id(&self) -> Digest {
        Digest::of(&self.0)
    }

    /// Whether this key made a signature.
    pub(super) fn made(&self, message: &[u8], signature: &[u8]) -> bool {
        let Some(point) = self.0.strip_prefix(&SPKI) else { return false };
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).verify(message, signature).is_ok()
    }
}

/// The bytes of the first block of that label.
fn block(pem: &str, label: &str) -> Option<Zeroizing<Vec<u8>>> {
    if pem.len() > MAX_PEM {
        return None;
    }
    let (_, rest) = pem.split_once(&format!("-----BEGIN {label}-----"))?;
    let (body, _) = rest.split_once(&format!("-----END {label}-----"))?;
    let body: Zeroizing<String> = Zeroizing::new(body.split_whitespace().collect());
    STANDARD.decode(body.as_bytes()).ok().map(Zeroizing::new)
}

fn pem(label: &str, der: &[u8]) -> Zeroizing<String> {
    let body = Zeroizing::new(STANDARD.encode(der));
    let mut text = Zeroizing::new(String::with_capacity(body.len() + body.len() / 32 + 100));
    text.push_str(&format!("-----BEGIN {label}-----\n"));
    for line in body.as_bytes().chunks(64) {
        text.push_str(std::str::from_utf8(line).expect("base64 is ASCII"));
        text.push('\n');
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}
