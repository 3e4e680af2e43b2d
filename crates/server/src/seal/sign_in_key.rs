//! The key that seals what browsers, devices and the database keep for the server of sign-ins.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::envelope::{decrypt_bytes, encrypt_bytes};
use super::root_key::random_key;
use crate::authn::session_token::Mint;

/// Longest text that is opened, in bytes: more than a cookie can be.
const LONGEST: usize = 64 << 10;

pub struct SignInKey(Zeroizing<[u8; 32]>);

impl SignInKey {
    /// A new one, as text that can be kept.
    pub fn made() -> Zeroizing<String> {
        Zeroizing::new(STANDARD.encode(random_key().as_slice()))
    }

    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let bytes = Zeroizing::new(STANDARD.decode(text)?);
        let bytes: [u8; 32] = bytes.as_slice().try_into()?;
        Ok(Self(Zeroizing::new(bytes)))
    }

    /// Seals something for one purpose; opened for another it is nothing.
    pub fn seal<T: Serialize>(&self, purpose: &str, what: &T) -> anyhow::Result<String> {
        let plain = Zeroizing::new(serde_json::to_vec(what)?);
        Ok(URL_SAFE_NO_PAD.encode(encrypt_bytes(&self.0, &plain, purpose.as_bytes())?))
    }

    /// What makes the tokens of sessions, with a key that is good for nothing else.
    pub fn mint(&self) -> Mint {
        let own = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &*self.0), b"session tokens");
        Mint::new(hmac::Key::new(hmac::HMAC_SHA256, own.as_ref()))
    }

    /// None for what this key has not sealed for the purpose.
    pub fn open<T: DeserializeOwned>(&self, purpose: &str, text: &str) -> Option<T> {
        if text.len() > LONGEST {
            return None;
        }
        let sealed = URL_SAFE_NO_PAD.decode(text).ok()?;
        let plain = decrypt_bytes(&self.0, &sealed, purpose.as_bytes()).ok()?;
        serde_json::from_slice(&plain).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_for_its_purpose_and_its_key_only() {
        let key = SignInKey::parse(&SignInKey::made()).unwrap();
        let sealed = key.seal("code", &("canary", 7)).unwrap();
        let open = |key: &SignInKey, purpose, text: &str| key.open::<(String, u8)>(purpose, text);
        assert_eq!(open(&key, "code", &sealed), Some(("canary".to_owned(), 7)));
        assert_eq!(open(&key, "cookie", &sealed), None);
        assert_eq!(open(&SignInKey::parse(&SignInKey::made()).unwrap(), "code", &sealed), None);
        let mut changed = sealed.clone().into_bytes();
        changed[40] ^= 1;
        assert_eq!(open(&key, "code", std::str::from_utf8(&changed).unwrap()), None);
        assert_eq!(open(&key, "code", ""), None);
        assert_eq!(open(&key, "code", &"A".repeat(LONGEST + 1)), None);
    }
}
