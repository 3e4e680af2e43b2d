//! RS256 tokens: `iss` names the account, `exp` is required, the whole life is bounded.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;

/// Longest token read, in bytes.
const MAX_TOKEN: usize = 8 << 10;
/// How far clocks may differ, in seconds.
const LEEWAY_S: u64 = 60;

#[derive(Deserialize)]
struct Claims {
    exp: u64,
    #[serde(default)]
    iat: Option<u64>,
}

/// Who a token says it is from; nothing is proven yet.
pub fn issuer(token: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Issuer {
        iss: String,
    }
    if token.len() > MAX_TOKEN {
        return None;
    }
    let payload = token.split('.').nth(1)?;
    let bytes = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    serde_json::from_slice::<Issuer>(&bytes).ok().map(|issuer| issuer.iss)
}

/// Proves a token against a key; the error is for the caller.
pub fn verify(token: &str, key: &DecodingKey, max_lifetime_s: u64) -> Result<(), String> {
    let mut validation = Validation::new(Algorithm::RS256);
    validation.leeway = LEEWAY_S;
    validation.validate_nbf = true;
    validation.validate_aud = false;
    validation.set_required_spec_claims(&["exp", "iss"]);
    let token = jsonwebtoken::decode::<Claims>(token, key, &validation).map_err(|error| {
        use jsonwebtoken::errors::ErrorKind;
        match error.kind() {
            ErrorKind::ExpiredSignature => "the token has expired".to_owned(),
            ErrorKind::ImmatureSignature => "the token is not valid yet".to_owned(),
            ErrorKind::MissingRequiredClaim(claim) => format!("the token has no {claim}"),
            ErrorKind::InvalidAlgorithm => "the token must be signed with RS256".to_owned(),
            _ => "the token's signature is wrong".to_owned(),
        }
    })?;
    let now = jsonwebtoken::get_current_timestamp();
    let issued = token.claims.iat.unwrap_or(now);
    if issued > now + LEEWAY_S {
        return Err("the token was issued in the future".to_owned());
    }
    if token.claims.exp.saturating_sub(issued) > max_lifetime_s + LEEWAY_S {
        return Err(format!("the token lives longer than {max_lifetime_s} s"));
    }
    Ok(())
}
