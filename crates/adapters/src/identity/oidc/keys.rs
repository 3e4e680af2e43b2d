//! A provider's keys (RFC 7517), looked for again when a token names one that is not known.

use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use dispatch_driver::{Error, Result};
use jsonwebtoken::jwk::{Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use reqwest::Url;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;

use super::super::http::Http;

/// Most keys of one provider.
const KEYS: usize = 100;
/// Most keys that are tried for a token that names none.
const TRIED: usize = 8;
/// How long keys are believed: one that the provider took back is refused after that.
const LIFE: Duration = Duration::from_secs(3_600);
/// How long a provider that did not answer is left alone.
const PAUSE: Duration = Duration::from_secs(2);

/// The keys that were last heard of.
pub struct Keys {
    known: RwLock<Option<Known>>,
    /// Held by whoever asks for them: tokens with a key that is known do not wait for it. What it
    /// holds is how the last question failed.
    asking: Mutex<Option<(Instant, Error)>>,
    /// Least time between two looks for a key that is not known.
    interval: Duration,
}

struct Known {
    heard: Instant,
    keys: Vec<Key>,
}

#[derive(Clone)]
struct Key {
    id: Option<String>,
    /// The only algorithm it may be used with, where the provider says so.
    algorithm: Option<String>,
    key: DecodingKey,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

impl Keys {
    pub fn new(interval: Duration) -> Self {
        Self { known: RwLock::new(None), asking: Mutex::new(None), interval }
    }

    /// Keys that a token may be signed with; none where the provider has no such key.
    ///
    /// # Errors
    /// When the keys cannot be had.
    pub async fn fitting(
        &self,
        http: &Http,
        url: &Url,
        id: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<Vec<DecodingKey>> {
        if let Some(found) = self.known(id, algorithm) {
            return Ok(found);
        }
        let mut failed = self.asking.lock().await;
        // Whoever asked before may have heard.
        if let Some(found) = self.known(id, algorithm) {
            return Ok(found);
        }
        if let Some((_, error)) = failed.as_ref().filter(|(since, _)| since.elapsed() < PAUSE) {
            return Err(error.clone());
        }
        let heard = http.get::<Document>(url, "keys").await;
        *failed = heard.as_ref().err().map(|error| (Instant::now(), error.clone()));
        let keys = heard?.keys.into_iter().take(KEYS).filter_map(Key::read).collect();
        let fresh = Known { heard: Instant::now(), keys };
        let found = fresh.fitting(id, algorithm);
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some(fresh);
        Ok(found)
    }

    /// None when the provider is to be asked.
    fn known(&self, id: Option<&str>, algorithm: Algorithm) -> Option<Vec<DecodingKey>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let known = known.as_ref().filter(|known| known.heard.elapsed() < LIFE)?;
        let found = known.fitting(id, algorithm);
        (!found.is_empty() || known.heard.elapsed() < self.interval).then_some(found)
    }
}

impl Known {
    /// A key's id is a name to compare, and nothing else: no path, no query.
    fn fitting(&self, id: Option<&str>, algorithm: Algorithm) -> Vec<DecodingKey> {
        let name = format!("{algorithm:?}");
        let fits = |key: &&Key| {
            key.key.family() == algorithm.family()
                && id.is_none_or(|id| key.id.as_deref() == Some(id))
                && key.algorithm.as_ref().is_none_or(|only| *only == name)
        };
        self.keys.iter().filter(fits).take(TRIED).map(|key| key.key.clone()).collect()
    }
}

impl Key {
    /// None for a key that is not for signatures, not public, or of an unknown kind.
    fn read(value: Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(value.clone()).ok()?;
        if matches!(jwk.common.public_key_use, Some(PublicKeyUse::Encryption)) {
            return None;
        }
        let key = DecodingKey::from_jwk(&jwk).ok()?;
        // A shared secret among public keys is a trap.
        if key.family() == AlgorithmFamily::Hmac {
            return None;
        }
        let algorithm = value.get("alg").and_then(Value::as_str).map(str::to_owned);
        Some(Self { id: jwk.common.key_id, algorithm, key })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ec(id: &str) -> Value {
        json!({"kty": "EC", "crv": "P-256", "kid": id,
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"})
    }

    fn with(mut key: Value, name: &str, value: &str) -> Value {
        key[name] = value.into();
        key
    }

    #[test]
    fn only_public_keys_for_signatures_are_kept() {
        assert!(Key::read(ec("a")).is_some());
        assert!(Key::read(with(ec("a"), "use", "sig")).is_some());
        for bad in [
            with(ec("a"), "use", "enc"),
            json!({"kty": "oct", "k": "c2VjcmV0", "alg": "HS256", "kid": "a"}),
            json!({"kty": "unheard-of", "kid": "a"}),
            json!(null),
        ] {
            assert!(Key::read(bad.clone()).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_key_serves_its_own_id_and_algorithm_only() {
        let keys = [ec("a"), with(ec("b"), "alg", "ES384")];
        let keys = keys.into_iter().filter_map(Key::read).collect();
        let known = Known { heard: Instant::now(), keys };
        let count = |id, algorithm| known.fitting(id, algorithm).len();
        assert_eq!(count(Some("a"), Algorithm::ES256), 1);
        assert_eq!(count(Some("b"), Algorithm::ES256), 0);
        assert_eq!(count(Some("../a"), Algorithm::ES256), 0);
        assert_eq!(count(Some("a"), Algorithm::RS256), 0);
        assert_eq!(count(Some("a"), Algorithm::HS256), 0);
        assert_eq!(count(None, Algorithm::ES256), 1);
    }
}
