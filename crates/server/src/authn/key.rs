//! One public key, and the one algorithm that tokens signed with it may name: which that is never
//! depends on the token.

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{Algorithm, DecodingKey};

/// A key that tokens are checked against.
pub struct PublicKey {
    pub key: DecodingKey,
    pub algorithm: Algorithm,
}

/// How the DER of a public key begins (RFC 5280's SubjectPublicKeyInfo): an uncompressed point on
/// P-256, and an Ed25519 key (RFC 8410).
const P256: &[u8] = b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\
    \x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00\x04";
const ED25519: &[u8] = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";

/// Least length of the DER of an RSA key of 2048 bits, by the label of its PEM.
const RSA_LEAST: [(&str, usize); 2] = [("PUBLIC KEY", 290), ("RSA PUBLIC KEY", 266)];

impl PublicKey {
    /// Reads the base64 of a PEM. Does not look at an RSA key's length, for keys that were stored
    /// before that was looked at; [`check`] does.
    pub fn read(public_key: &str) -> anyhow::Result<Self> {
        let pem = STANDARD.decode(public_key.trim()).context("is not base64")?;
        let der = body(std::str::from_utf8(&pem)?).unwrap_or_default();
        let read = if der.starts_with(P256) {
            DecodingKey::from_ec_pem(&pem).map(|key| (key, Algorithm::ES256))
        } else if der.starts_with(ED25519) {
            DecodingKey::from_ed_pem(&pem).map(|key| (key, Algorithm::EdDSA))
        } else {
            DecodingKey::from_rsa_pem(&pem).map(|key| (key, Algorithm::RS256))
        };
        let (key, algorithm) =
            read.context("is not the PEM of an RSA, EC (P-256) or Ed25519 public key")?;
        Ok(Self { key, algorithm })
    }
}

/// Whether a public key can be a service account's. Private keys are no account's to give away.
pub fn check(public_key: &str) -> anyhow::Result<()> {
    let pem = String::from_utf8(STANDARD.decode(public_key.trim()).context("is not base64")?)?;
    let begin = pem.lines().find_map(|line| line.trim().strip_prefix("-----BEGIN "));
    let label = begin.and_then(|rest| rest.strip_suffix("-----")).unwrap_or_default();
    let Some((_, least)) = RSA_LEAST.into_iter().find(|(known, _)| *known == label) else {
        bail!("must be the base64 of a PEM block PUBLIC KEY, not {label:?}");
    };
    let read = PublicKey::read(public_key)?;
    let der = body(&pem).context("is not the PEM of a public key")?;
    if read.algorithm == Algorithm::RS256 && der.len() < least {
        bail!("must be an RSA key of at least 2048 bits");
    }
    Ok(())
}

/// What stands between the lines of a PEM block.
fn body(pem: &str) -> Option<Vec<u8>> {
    let lines = pem.lines().filter(|line| !line.starts_with("-----"));
    STANDARD.decode(lines.flat_map(str::split_whitespace).collect::<String>()).ok()
}
