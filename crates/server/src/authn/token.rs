//! Signed tokens (RFC 7519): `iss` names the account, `exp` is required, `aud` is checked, and the
//! whole life is bounded, and with it the time in which a token that was seen can be used again.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Validation;
use jsonwebtoken::errors::ErrorKind;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::Settings;
use super::key::PublicKey;

/// Longest token read, in bytes.
const MAX_TOKEN: usize = 8 << 10;
/// How far clocks may differ, in seconds.
const LEEWAY_S: u64 = 60;
/// One answer for an unknown account, a wrong key and another algorithm: it tells nobody which
/// accounts exist.
pub const WRONG: &str = "the token's signature is wrong";
/// As much of an audience as an error repeats, in characters.
const MAX_SHOWN: usize = 64;

#[derive(Deserialize)]
struct Claims {
    exp: u64,
    #[serde(default)]
    iat: Option<u64>,
    #[serde(default)]
    aud: Audience,
}

/// Whom a token is for.
#[derive(Deserialize, Default)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
    #[default]
    None,
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
    part::<Issuer>(token, 1).map(|issuer| issuer.iss)
}

/// Proves a token against a key; the error is for the caller.
///
/// Nothing of what it says of the key may be said of an account that is not there: see [`WRONG`].
pub fn verify(token: &str, key: &PublicKey, settings: &Settings) -> Result<(), String> {
    let mut validation = Validation::new(key.algorithm);
    validation.leeway = LEEWAY_S;
    validation.validate_nbf = true;
    validation.validate_aud = false;
    validation.set_required_spec_claims(&["exp", "iss"]);
    let decoded = jsonwebtoken::decode::<Claims>(token, &key.key, &validation);
    let claims = decoded.map_err(|error| unproven(error.kind()))?.claims;
    check_life(&claims, settings.max_token_lifetime_s)?;
    check_audience(&claims.aud, settings)
}

/// A header may say that it must not be ignored what nobody here knows (RFC 7515, 4.1.11).
pub fn refuse_critical(token: &str) -> Result<(), String> {
    #[derive(Deserialize)]
    struct Critical {
        #[serde(default)]
        crit: Option<IgnoredAny>,
    }
    match part::<Critical>(token, 0) {
        Some(Critical { crit: None }) => Ok(()),
        Some(_) => Err("the token's header has crit, of which nothing is known here".to_owned()),
        None => Err("the token is not a JWT".to_owned()),
    }
}

fn unproven(kind: &ErrorKind) -> String {
    match kind {
        ErrorKind::ExpiredSignature => "the token has expired".to_owned(),
        ErrorKind::ImmatureSignature => "the token is not valid yet".to_owned(),
        ErrorKind::MissingRequiredClaim(claim) => format!("the token has no {claim}"),
        // Which algorithm it had to be would tell that there is such an account.
        _ => WRONG.to_owned(),
    }
}

fn check_life(claims: &Claims, max_lifetime_s: u64) -> Result<(), String> {
    let now = jsonwebtoken::get_current_timestamp();
    let issued = claims.iat.unwrap_or(now);
    if issued > now + LEEWAY_S {
        return Err("the token was issued in the future".to_owned());
    }
    if claims.exp.saturating_sub(issued) > max_lifetime_s + LEEWAY_S {
        return Err(format!("the token lives longer than {max_lifetime_s} s"));
    }
    Ok(())
}

/// v1's tokens name nobody they are for; where they are still accepted, others must name this
/// installation.
fn check_audience(audience: &Audience, settings: &Settings) -> Result<(), String> {
    let wanted = &settings.audience;
    let (is_for_us, named) = match audience {
        Audience::One(one) => (one == wanted, one.clone()),
        Audience::Many(many) => (many.contains(wanted), many.join(", ")),
        Audience::None if settings.require_audience => {
            return Err(format!("the token has no aud; it must be {wanted:?}"));
        }
        Audience::None => return Ok(()),
    };
    if is_for_us {
        return Ok(());
    }
    let named: String = named.chars().take(MAX_SHOWN).collect();
    Err(format!("the token is for {named:?}; its aud must be {wanted:?}"))
}

/// One part of a token, unproven.
fn part<T: serde::de::DeserializeOwned>(token: &str, index: usize) -> Option<T> {
    let part = token.split('.').nth(index)?;
    let bytes = URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).ok()?;
    serde_json::from_slice(&bytes).ok()
}
