//! Whether a token is what it says (OpenID Connect Core 1.0, 3.1.3.7; RFC 8725).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dispatch_driver::Error;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation};
use reqwest::Url;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use super::super::browser::now_s;
use super::super::http::Http;
use super::keys::Keys;

/// Longest token, in bytes.
pub const TOKEN_BYTES: usize = 64 * 1024;

/// Signatures that anybody can check and only the issuer can make. `none`, and those by a shared
/// secret, for which a public key could be taken, are not among them.
const ALGORITHMS: &[Algorithm] = &[
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// Why a token is not accepted.
pub enum Bad {
    /// It is not good.
    Token(String),
    /// It could not be found out.
    Error(Error),
}

impl From<Error> for Bad {
    fn from(error: Error) -> Self {
        Bad::Error(error)
    }
}

fn bad<T>(why: impl Into<String>) -> Result<T, Bad> {
    Err(Bad::Token(why.into()))
}

/// Who must have made a token, and for whom.
pub struct Expected<'a> {
    pub issuer: &'a str,
    pub audience: &'a str,
    pub skew: Duration,
}

/// A token whose signature, issuer, audience and times are good.
#[derive(Debug)]
pub struct Token {
    pub algorithm: Algorithm,
    pub claims: Map<String, Value>,
}

/// # Errors
/// The first thing that is wrong with the token.
pub async fn verify(
    http: &Http,
    keys: &Keys,
    url: &Url,
    token: &str,
    expected: &Expected<'_>,
) -> Result<Token, Bad> {
    let (algorithm, id) = header(token)?;
    let mut validation = Validation::new(algorithm);
    validation.leeway = expected.skew.as_secs();
    validation.validate_nbf = true;
    validation.set_issuer(&[expected.issuer]);
    validation.set_audience(&[expected.audience]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    let fitting = keys.fitting(http, url, id.as_deref(), algorithm).await?;
    if fitting.is_empty() {
        return bad("the issuer has no such key");
    }
    for key in fitting {
        match jsonwebtoken::decode::<Map<String, Value>>(token, &key, &validation) {
            Ok(good) => {
                let token = Token { algorithm, claims: good.claims };
                token.check_times(expected.skew)?;
                return Ok(token);
            }
            Err(error) if *error.kind() == ErrorKind::InvalidSignature => {}
            Err(error) => return bad(why(error.kind())),
        }
    }
    bad("its signature is wrong")
}

/// The algorithm and the key's id. Nothing else of a header is ever used: neither a key in it nor
/// an address of keys.
fn header(token: &str) -> Result<(Algorithm, Option<String>), Bad> {
    if token.len() > TOKEN_BYTES {
        return bad(format!("it has more than {TOKEN_BYTES} bytes"));
    }
    let first = token.split('.').next().unwrap_or_default();
    let bytes = URL_SAFE_NO_PAD.decode(first).unwrap_or_default();
    let Ok(header) = serde_json::from_slice::<Map<String, Value>>(&bytes) else {
        return bad("it is no signed token");
    };
    let text = |name: &str| header.get(name).and_then(Value::as_str);
    let named = text("alg").unwrap_or_default();
    let Some(algorithm) = ALGORITHMS.iter().find(|known| format!("{known:?}") == named) else {
        return bad("its algorithm is not accepted");
    };
    if header.contains_key("crit") || header.contains_key("b64") {
        return bad("its header demands what is not known here");
    }
    let kind = text("typ").map(str::to_ascii_lowercase);
    let kind = kind.as_deref().map(|kind| kind.strip_prefix("application/").unwrap_or(kind));
    // A logout token or the like must not sign anybody in.
    if !matches!(kind, None | Some("jwt" | "at+jwt")) {
        return bad("it is a token for something else");
    }
    match header.get("kid") {
        None => Ok((*algorithm, None)),
        Some(Value::String(id)) => Ok((*algorithm, Some(id.clone()))),
        Some(_) => bad("its key has no name"),
    }
}

fn why(kind: &ErrorKind) -> String {
    match kind {
        ErrorKind::ExpiredSignature => "it has expired".to_owned(),
        ErrorKind::ImmatureSignature => "it is not valid yet".to_owned(),
        ErrorKind::InvalidIssuer => "it is of another issuer".to_owned(),
        ErrorKind::InvalidAudience => "it is for another audience".to_owned(),
        ErrorKind::MissingRequiredClaim(claim) => format!("it has no {claim}"),
        _ => "it cannot be read".to_owned(),
    }
}

impl Token {
    pub fn text(&self, claim: &str) -> Option<&str> {
        self.claims.get(claim).and_then(Value::as_str)
    }

    fn check_times(&self, skew: Duration) -> Result<(), Bad> {
        match self.claims.get("iat").map(Value::as_f64) {
            Some(None) => bad("its time of issue is none"),
            Some(Some(at)) if at > (now_s() + skew.as_secs()) as f64 => {
                bad("it was issued in the future")
            }
            _ => Ok(()),
        }
    }

    /// Whether it is an ID token of one client: that is who asked for it, when it names somebody
    /// (`azp`) and when it is for more than one.
    pub fn check_client(&self, client: &str) -> Result<(), Bad> {
        let many = self.claims.get("aud").and_then(Value::as_array).is_some_and(|a| a.len() > 1);
        match self.claims.get("azp") {
            None if many => bad("it is for several and does not say who asked for it"),
            None => Ok(()),
            Some(azp) if azp.as_str() == Some(client) => Ok(()),
            Some(_) => bad("it was asked for by another client"),
        }
    }

    pub fn check_nonce(&self, nonce: &str) -> Result<(), Bad> {
        match self.text("nonce") == Some(nonce) && !nonce.is_empty() {
            true => Ok(()),
            false => bad("it belongs to another sign-in"),
        }
    }

    /// Whether it came with this access token, when it says.
    pub fn check_access_token(&self, access_token: &str) -> Result<(), Bad> {
        let Some(told) = self.claims.get("at_hash") else { return Ok(()) };
        match told.as_str() == Some(&half_hash(self.algorithm, access_token)) {
            true => Ok(()),
            false => bad("its access token is another"),
        }
    }
}

/// The left half of the hash that goes with an algorithm.
fn half_hash(algorithm: Algorithm, text: &str) -> String {
    let hash = match algorithm {
        Algorithm::RS384 | Algorithm::PS384 | Algorithm::ES384 => Sha384::digest(text).to_vec(),
        Algorithm::RS512 | Algorithm::PS512 | Algorithm::EdDSA => Sha512::digest(text).to_vec(),
        _ => Sha256::digest(text).to_vec(),
    };
    URL_SAFE_NO_PAD.encode(&hash[..hash.len() / 2])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(header_json: &Value) -> Result<(Algorithm, Option<String>), String> {
        let token = format!("{}.e30.c2ln", URL_SAFE_NO_PAD.encode(header_json.to_string()));
        header(&token).map_err(|bad| match bad {
            Bad::Token(why) => why,
            Bad::Error(error) => error.to_string(),
        })
    }

    #[test]
    fn headers_name_an_algorithm_of_ours_and_a_key() {
        assert_eq!(
            told(&json!({"alg": "RS256", "kid": "a"})),
            Ok((Algorithm::RS256, Some("a".into())))
        );
        assert_eq!(told(&json!({"alg": "ES256", "typ": "at+JWT"})), Ok((Algorithm::ES256, None)));
        for bad in [
            json!({"alg": "none"}),
            json!({"alg": "NONE"}),
            json!({"alg": "HS256"}),
            json!({"alg": "HS512", "kid": "a"}),
            json!({"alg": ["RS256"]}),
            json!({"kid": "a"}),
            json!({"alg": "RS256", "crit": ["b64"], "b64": false}),
            json!({"alg": "RS256", "typ": "logout+jwt"}),
            json!({"alg": "RS256", "kid": 7}),
            json!([]),
        ] {
            assert!(told(&bad).is_err(), "{bad}");
        }
        assert!(header("").is_err() && header("a.b").is_err() && header("..").is_err());
        assert!(header(&"a".repeat(TOKEN_BYTES + 1)).is_err());
    }

    fn token(claims: Value) -> Token {
        let claims = claims.as_object().unwrap().clone();
        Token { algorithm: Algorithm::RS256, claims }
    }

    #[test]
    fn a_token_for_several_names_who_asked_for_it() {
        let good = |claims| token(claims).check_client("us").is_ok();
        assert!(good(json!({"aud": "us"})) && good(json!({"aud": ["us"]})));
        assert!(good(json!({"aud": ["us", "them"], "azp": "us"})));
        assert!(!good(json!({"aud": ["us", "them"]})));
        assert!(!good(json!({"aud": "us", "azp": "them"})));
        assert!(!good(json!({"aud": "us", "azp": ["us"]})));
    }

    #[test]
    fn nonce_and_access_token_are_held_against_what_there_is() {
        assert!(token(json!({"nonce": "n"})).check_nonce("n").is_ok());
        assert!(token(json!({"nonce": "m"})).check_nonce("n").is_err());
        assert!(token(json!({})).check_nonce("n").is_err());
        assert!(token(json!({"nonce": ""})).check_nonce("").is_err());
        // Of OpenID Connect Core's example, A.3.
        let access = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y";
        let with = |hash: Value| token(json!({"at_hash": hash})).check_access_token(access);
        assert!(with(json!("77QmUPtjPfzWtF2AnpK9RQ")).is_ok());
        assert!(with(json!("77QmUPtjPfzWtF2AnpK9RA")).is_err());
        assert!(with(json!(7)).is_err());
        assert!(token(json!({})).check_access_token(access).is_ok());
    }
}
