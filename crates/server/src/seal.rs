//! Secrets at rest. Alone holds key material.
//!
//! Every secret has a data key of its own (XChaCha20-Poly1305), which is wrapped by a root key.
//! The ciphertext is bound to its organization and name, so that it is worth nothing elsewhere.
//! Root keys come from the environment or a file that only the server's user may read; the first
//! one seals, the others still open what they sealed.

mod audit_key;
mod envelope;
mod root_key;
mod rotation;
mod sign_in_key;

pub use audit_key::AuditKey;
pub use envelope::{Error, Values};
pub use root_key::{KeySource, rotate};
pub use rotation::{Rotation, RotationState};
pub use sign_in_key::SignInKey;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use anyhow::Context as _;
use arc_swap::ArcSwap;
use dispatch_model::secret::Sealed;
use dispatch_model::{Name, OrgName};
use dispatch_store::Store;
use tokio::sync::{RwLock, RwLockReadGuard};
use zeroize::Zeroizing;

use root_key::RootKey;

/// The setting that remembers which root keys secrets may be sealed with: ids, comma-separated.
const KEY_IDS: &str = "seal.root_key_id";
/// The settings that hold values of the installation's own, sealed like secrets, and the names
/// they are sealed under, which no secret can have.
const OWN: [(&str, &str); 3] = [SIGNING_KEY, AUDIT_KEY, SIGN_IN_KEY];
const SIGNING_KEY: (&str, &str) = ("images.signing_key", "images signing key");
const AUDIT_KEY: (&str, &str) = ("audit.key", "audit key");
const SIGN_IN_KEY: (&str, &str) = ("sign_in.key", "sign-in key");

/// Seals and opens secrets.
pub struct Seal {
    /// At least one; the first one seals.
    keys: ArcSwap<Vec<RootKey>>,
    /// The data directory, when the keys are in its file and may be changed there.
    own_file: Option<PathBuf>,
    /// Held by all who seal something until it is stored, so that after a change of the key
    /// nothing comes into the database any more that an old one sealed.
    changing: RwLock<()>,
    rotation: Mutex<Option<Rotation>>,
}

impl Seal {
    /// Reads the root keys, and makes the key file of a new database.
    ///
    /// # Errors
    /// When the database was sealed with a key that is not here: a lost key file must not be
    /// replaced by a new one silently.
    pub async fn open(data_dir: &Path, source: &KeySource, store: &Store) -> anyhow::Result<Self> {
        let known = known(store).await?;
        if known.is_empty() {
            root_key::make(data_dir, source)?;
        }
        let keys = root_key::load(data_dir, source)?;
        let lost = known.iter().find(|known| keys.iter().all(|key| key.id() != known.as_str()));
        if let Some(lost) = lost {
            let code = dispatch_model::code::SECRET002;
            anyhow::bail!(
                "{code}: the database was sealed with root key {lost}, which is not among the \
                 server's keys: put the root.key it had back, or give it as seal.root_key"
            );
        }
        let own_file = (*source == KeySource::default()).then(|| data_dir.to_owned());
        Ok(Self::of(keys, own_file))
    }

    fn of(keys: Vec<RootKey>, own_file: Option<PathBuf>) -> Self {
        let keys = ArcSwap::from_pointee(keys);
        Self { keys, own_file, changing: RwLock::default(), rotation: Mutex::default() }
    }

    fn keys(&self) -> Arc<Vec<RootKey>> {
        self.keys.load_full()
    }

    /// The key that signs images.
    ///
    /// # Errors
    /// When the store does not answer, or it cannot be opened.
    pub async fn signing_key(&self, store: &Store) -> anyhow::Result<Option<Zeroizing<String>>> {
        self.own_value(store, SIGNING_KEY).await
    }

    /// Stores it sealed, unless another server was faster; returns the one that holds.
    pub async fn signing_key_or(
        &self,
        store: &Store,
        value: &str,
    ) -> anyhow::Result<Zeroizing<String>> {
        let _sealing = self.sealing().await;
        let sealed = self.sealed_own(SIGNING_KEY, value)?;
        store.setting_put_new(SIGNING_KEY.0, &sealed).await?;
        self.signing_key(store).await?.context("a setting that was just stored is there")
    }

    /// The key of the audit log; the log begins with it.
    ///
    /// # Errors
    /// When the store does not answer, or it cannot be opened.
    pub async fn audit_key(&self, store: &Store) -> anyhow::Result<AuditKey> {
        if self.own_value(store, AUDIT_KEY).await?.is_none() {
            let made = AuditKey::made();
            let _sealing = self.sealing().await;
            let sealed = self.sealed_own(AUDIT_KEY, &made)?;
            store.audit_begin(AUDIT_KEY.0, &sealed, &AuditKey::parse(&made)?).await?;
        }
        let value = self.own_value(store, AUDIT_KEY).await?;
        AuditKey::parse(&value.context("a setting that was just stored is there")?)
    }

    /// The key of sign-ins, which all servers share.
    ///
    /// # Errors
    /// When the store does not answer, or it cannot be opened.
    pub async fn sign_in_key(&self, store: &Store) -> anyhow::Result<SignInKey> {
        if self.own_value(store, SIGN_IN_KEY).await?.is_none() {
            let _sealing = self.sealing().await;
            let sealed = self.sealed_own(SIGN_IN_KEY, &SignInKey::made())?;
            store.setting_put_new(SIGN_IN_KEY.0, &sealed).await?;
        }
        let value = self.own_value(store, SIGN_IN_KEY).await?;
        SignInKey::parse(&value.context("a setting that was just stored is there")?)
    }

    async fn own_value(
        &self,
        store: &Store,
        (setting, name): (&str, &str),
    ) -> anyhow::Result<Option<Zeroizing<String>>> {
        let Some(text) = store.setting_get(setting).await? else { return Ok(None) };
        let sealed: Sealed = serde_json::from_str(&text)?;
        let mut values = self.open_sealed(&own_org()?, &Name::trusted(name), &sealed)?;
        Ok(values.remove(setting))
    }

    fn sealed_own(&self, (setting, name): (&str, &str), value: &str) -> anyhow::Result<String> {
        let values = BTreeMap::from([(setting.to_owned(), value.to_owned())]);
        let sealed = self.seal(&own_org()?, &Name::trusted(name), &values)?;
        Ok(serde_json::to_string(&sealed)?)
    }

    /// Taken before something is sealed, and held until it is stored.
    pub async fn sealing(&self) -> RwLockReadGuard<'_, ()> {
        self.changing.read().await
    }

    /// Encrypts the values of a secret.
    pub fn seal(
        &self,
        org: &OrgName,
        name: &Name,
        values: &BTreeMap<String, String>,
    ) -> Result<Sealed, Error> {
        envelope::seal(&self.keys()[0], org, name, values)
    }

    /// What is sealed already, to be stored again: under the key that seals now.
    pub fn renewed(&self, sealed: &Sealed) -> Result<Sealed, Error> {
        let keys = self.keys();
        if sealed.root_key_id == keys[0].id() {
            return Ok(sealed.clone());
        }
        envelope::rewrap(find(&keys, sealed)?, &keys[0], sealed)
    }

    /// Decrypts the values of a secret.
    ///
    /// # Errors
    /// [`Error`] says whether the root key is missing or the ciphertext is not this secret's; it
    /// never holds a value.
    pub fn open_sealed(
        &self,
        org: &OrgName,
        name: &Name,
        sealed: &Sealed,
    ) -> Result<Values, Error> {
        envelope::open(find(&self.keys.load(), sealed)?, org, name, sealed)
    }
}

fn find<'a>(keys: &'a [RootKey], sealed: &Sealed) -> Result<&'a RootKey, Error> {
    keys.iter().find(|key| key.id() == sealed.root_key_id).ok_or(Error::UnknownRootKey)
}

/// What the installation's own values are bound to.
fn own_org() -> anyhow::Result<OrgName> {
    Ok(OrgName::new(dispatch_model::organization::DEFAULT_ORGANIZATION)?)
}

async fn known(store: &Store) -> anyhow::Result<Vec<String>> {
    let ids = store.setting_get(KEY_IDS).await?.unwrap_or_default();
    Ok(ids.split(',').filter(|id| !id.is_empty()).map(str::to_owned).collect())
}

impl From<Error> for crate::app::Error {
    fn from(error: Error) -> Self {
        let message = format!("the secret cannot be opened: {error}");
        crate::app::Error::unavailable(dispatch_model::code::SECRET002, message)
    }
}

impl crate::invoke::OpenSealed for Seal {
    fn open_sealed(&self, org: &OrgName, name: &Name, sealed: &Sealed) -> anyhow::Result<Values> {
        Ok(Seal::open_sealed(self, org, name, sealed)?)
    }
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let keys = self.keys();
        let ids: Vec<_> = keys.iter().map(RootKey::id).collect();
        f.debug_struct("Seal").field("root_key_ids", &ids).finish()
    }
}

#[cfg(test)]
mod tests;
