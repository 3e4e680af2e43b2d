//! The one-time credential of a new installation. Whoever has it may, once, put a public key of
//! its own in its place; tokens signed with that key's private half are the bootstrap user's until
//! they expire. So nothing that is printed or stored can be used a second time.
//!
//! All servers of an installation share it: it is a setting of the store, and holds a digest only.

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dispatch_model::resource::now_ms;
use dispatch_store::{Store, Told};
use rand::RngCore as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::key::PublicKey;

/// The issuer of tokens whose key took the credential's place. No account's: theirs have a slash.
pub const ISSUER: &str = "bootstrap";
/// What a credential that the server made begins with, so that searches for leaked ones find it.
pub const PREFIX: &str = "dispatch_bootstrap_";

const SETTING: &str = "bootstrap.credential";
/// Random bytes of a credential.
const RANDOM: usize = 32;
/// Least length of one that is given, in bytes.
const LEAST: usize = 32;
/// How long the key that took its place is accepted, in milliseconds: ten minutes.
const KEY_LIFETIME_MS: i64 = 600_000;

/// As it is stored.
#[derive(Clone, Serialize, Deserialize)]
struct Stored {
    /// SHA-256, base64; empty when it was taken.
    digest: String,
    expires_ms: i64,
    /// Base64 of the PEM of the key that took its place.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    public_key: String,
}

/// The key that took the credential's place.
pub struct OneTime {
    pub key: PublicKey,
    expires_ms: i64,
}

/// A credential that was just made.
#[derive(Clone)]
pub struct Credential {
    /// Secret: printed once, nowhere else.
    pub text: String,
    pub expires_ms: i64,
}

impl OneTime {
    pub async fn read(store: &Store) -> anyhow::Result<Option<Self>> {
        let Some(Stored { public_key, expires_ms, .. }) = stored(store).await?.1 else {
            return Ok(None);
        };
        if public_key.is_empty() {
            return Ok(None);
        }
        Ok(Some(Self { key: PublicKey::read(&public_key)?, expires_ms }))
    }

    pub fn has_expired(&self) -> bool {
        self.expires_ms <= now_ms()
    }
}

/// Makes a credential, in place of one that nobody has used; none while the key that took the
/// place of another is accepted. `given` is one that the operator chose.
///
/// # Errors
/// One that is given and too short to be hard to guess.
pub async fn make(
    store: &Store,
    given: Option<&str>,
    lifetime_s: u64,
) -> anyhow::Result<Option<Credential>> {
    if OneTime::read(store).await?.is_some_and(|taken| !taken.has_expired()) {
        return Ok(None);
    }
    let text = match given.map(str::trim) {
        Some(given) if given.len() < LEAST => {
            bail!("bootstrap.credential_file must hold {LEAST} bytes or more, hard to guess")
        }
        Some(given) => given.to_owned(),
        None => {
            let mut random = [0; RANDOM];
            rand::rng().fill_bytes(&mut random);
            format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random))
        }
    };
    let lifetime_ms = i64::try_from(lifetime_s).unwrap_or(i64::MAX).saturating_mul(1_000);
    let expires_ms = now_ms().saturating_add(lifetime_ms);
    let stored = Stored { digest: hashed(&text), expires_ms, public_key: String::new() };
    store.setting_put(SETTING, &serde_json::to_string(&stored)?).await?;
    Ok(Some(Credential { text, expires_ms }))
}

/// Puts a public key in the credential's place; returns until when tokens signed with it are
/// accepted, in unix milliseconds, or `None` when the credential is not the one that holds.
pub async fn claim(
    store: &Store,
    told: &Told,
    credential: &str,
    public_key: &str,
) -> anyhow::Result<Option<i64>> {
    let (text, Some(held)) = stored(store).await? else { return Ok(None) };
    if held.expires_ms <= now_ms() || held.digest != hashed(credential) {
        return Ok(None);
    }
    let expires_ms = now_ms() + KEY_LIFETIME_MS;
    let public_key = public_key.trim().to_owned();
    let claimed = Stored { digest: String::new(), expires_ms, public_key };
    let claimed = serde_json::to_string(&claimed)?;
    // Of two who have it at the same time, one is first.
    let swapped = store.audited(told).setting_swap(SETTING, &text, &claimed).await?;
    Ok(swapped.then_some(expires_ms))
}

/// Ends the credential, and the key that took its place.
pub async fn disable(store: &Store, told: &Told) -> anyhow::Result<()> {
    let ended = Stored { digest: String::new(), expires_ms: 0, public_key: String::new() };
    store.audited(told).setting_put(SETTING, &serde_json::to_string(&ended)?).await?;
    Ok(())
}

async fn stored(store: &Store) -> anyhow::Result<(String, Option<Stored>)> {
    let text = store.setting_get(SETTING).await?.unwrap_or_default();
    let stored = match text.is_empty() {
        true => None,
        false => Some(serde_json::from_str(&text).context("the stored bootstrap credential")?),
    };
    Ok((text, stored))
}

fn hashed(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(text))
}
