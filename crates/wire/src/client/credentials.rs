//! What a client signs in with.

use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;

use super::{Error, Result};

/// How long a token made for one call is valid, and how far it is dated back, in seconds.
const LIFETIME_S: u64 = 3_600;
const BACK_S: u64 = 60;

/// A credential, the strongest first as v1 chooses.
#[derive(Clone, Default)]
pub enum Credentials {
    #[default]
    None,
    /// A JWT as it is.
    Token(String),
    /// A service account (`ORG/NAME`, or a bootstrap user), the PEM of its private key (PKCS #8, or
    /// PKCS #1 of RSA), and whom its tokens are for.
    Account { issuer: String, private_key_pem: String, audience: String },
    /// `name=value` of a session.
    Cookie(String),
}

impl Credentials {
    /// The bearer token of a call; a service account makes a fresh one.
    pub(super) fn bearer(&self) -> Result<Option<String>> {
        match self {
            Credentials::None | Credentials::Cookie(_) => Ok(None),
            Credentials::Token(token) => Ok(Some(token.clone())),
            Credentials::Account { issuer, private_key_pem, audience } => {
                let (algorithm, key) = signing_key(private_key_pem.as_bytes())?;
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let now = since.as_secs();
                let claims = json!({"iss": issuer, "aud": audience, "iat": now - BACK_S,
                    "exp": now + LIFETIME_S});
                let token = jsonwebtoken::encode(&Header::new(algorithm), &claims, &key);
                token.map(Some).map_err(|e| Error::Credentials(e.to_string()))
            }
        }
    }
}

/// The key, and the algorithm that goes with it.
fn signing_key(pem: &[u8]) -> Result<(Algorithm, EncodingKey)> {
    let rsa = EncodingKey::from_rsa_pem(pem).map(|key| (Algorithm::RS256, key));
    let key = rsa
        .or_else(|_| EncodingKey::from_ec_pem(pem).map(|key| (Algorithm::ES256, key)))
        .or_else(|_| EncodingKey::from_ed_pem(pem).map(|key| (Algorithm::EdDSA, key)));
    key.map_err(|_| {
        let text = "the private key is no PEM of an RSA, EC (P-256) or Ed25519 key in PKCS #8; \
                    `openssl pkcs8 -topk8 -nocrypt -in FILE` makes that of others";
        Error::Credentials(text.to_owned())
    })
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Credentials::None => "None",
            Credentials::Token(_) => "Token",
            Credentials::Account { .. } => "Account",
            Credentials::Cookie(_) => "Cookie",
        })
    }
}
