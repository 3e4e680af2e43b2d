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
    /// A service account (`ORG/NAME`, or a bootstrap user) and the PEM of its private key.
    Account { issuer: String, private_key_pem: String },
    /// `name=value` of a session.
    Cookie(String),
}

impl Credentials {
    /// The bearer token of a call; a service account makes a fresh one.
    pub(super) fn bearer(&self) -> Result<Option<String>> {
        match self {
            Credentials::None | Credentials::Cookie(_) => Ok(None),
            Credentials::Token(token) => Ok(Some(token.clone())),
            Credentials::Account { issuer, private_key_pem } => {
                let key = EncodingKey::from_rsa_pem(private_key_pem.as_bytes())
                    .map_err(|_| Error::Credentials("the private key is no RSA PEM".to_owned()))?;
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let now = since.as_secs();
                let claims = json!({"iss": issuer, "iat": now - BACK_S, "exp": now + LIFETIME_S});
                let token = jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &key);
                token.map(Some).map_err(|e| Error::Credentials(e.to_string()))
            }
        }
    }
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
