//! Secrets at rest. Alone holds key material.
//!
//! Every secret has a data key of its own (XChaCha20-Poly1305), which is wrapped by a root key.
//! The ciphertext is bound to its organization and name, so that it is worth nothing elsewhere.
//! Root keys come from the environment or a file that only the server's user may read; the first
//! one seals, the others still open what they sealed.

mod audit_key;
mod envelope;
mod root_key;

pub use audit_key::AuditKey;
pub use envelope::{Error, Values};
pub use root_key::{KeySource, rotate};

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use dispatch_model::secret::{Sealed, Secret};
use dispatch_model::{ListQuery, Name, OrgName};
use dispatch_store::Store;
use zeroize::Zeroizing;

use root_key::RootKey;

/// Most secrets resealed before the next page is read.
const PAGE: u32 = 200;

/// The setting that remembers which root keys secrets may be sealed with: ids, comma-separated.
const KEY_IDS: &str = "seal.root_key_id";
/// The settings that hold values of the installation's own, sealed like secrets, and the names
/// they are sealed under, which no secret can have.
const OWN: [(&str, &str); 2] = [SIGNING_KEY, AUDIT_KEY];
const SIGNING_KEY: (&str, &str) = ("images.signing_key", "images signing key");
const AUDIT_KEY: (&str, &str) = ("audit.key", "audit key");

/// Seals and opens secrets.
pub struct Seal {
    /// At least one; the first one seals.
    keys: Vec<RootKey>,
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
        Ok(Self { keys })
    }

    /// Makes every secret one of the first root key, so that the others may be dropped. Returns
    /// how many were another's. Safe to repeat when it was interrupted: until the end the database
    /// remembers the other keys, and asks for them.
    pub async fn adopt(&self, store: &Store) -> anyhow::Result<u64> {
        let first = self.keys[0].id();
        let mut ids = known(store).await?;
        if ids == [first] {
            return Ok(0);
        }
        if !ids.iter().any(|id| id == first) {
            ids.push(first.to_owned());
            store.setting_put(KEY_IDS, &ids.join(",")).await?;
        }
        let changed = self.reseal_all(store).await?;
        for (setting, _) in OWN {
            self.reseal_own(store, setting).await?;
        }
        store.setting_put(KEY_IDS, first).await?;
        Ok(changed)
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
            let sealed = self.sealed_own(AUDIT_KEY, &made)?;
            store.audit_begin(AUDIT_KEY.0, &sealed, &AuditKey::parse(&made)?).await?;
        }
        let value = self.own_value(store, AUDIT_KEY).await?;
        AuditKey::parse(&value.context("a setting that was just stored is there")?)
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

    /// Wraps the data key of a value of our own with the first root key.
    async fn reseal_own(&self, store: &Store, setting: &str) -> anyhow::Result<()> {
        let Some(text) = store.setting_get(setting).await? else { return Ok(()) };
        let sealed: Sealed = serde_json::from_str(&text)?;
        if sealed.root_key_id == self.keys[0].id() {
            return Ok(());
        }
        let old = self.keys.iter().find(|key| key.id() == sealed.root_key_id);
        let new = envelope::rewrap(old.ok_or(Error::UnknownRootKey)?, &self.keys[0], &sealed)?;
        Ok(store.setting_put(setting, &serde_json::to_string(&new)?).await?)
    }

    /// Encrypts the values of a secret.
    pub fn seal(
        &self,
        org: &OrgName,
        name: &Name,
        values: &BTreeMap<String, String>,
    ) -> Result<Sealed, Error> {
        envelope::seal(&self.keys[0], org, name, values)
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
        let key = self.keys.iter().find(|key| key.id() == sealed.root_key_id);
        envelope::open(key.ok_or(Error::UnknownRootKey)?, org, name, sealed)
    }

    /// Wraps every stored secret's data key with the first root key; the values stay as they are.
    async fn reseal_all(&self, store: &Store) -> anyhow::Result<u64> {
        let mut changed = 0;
        let mut query = ListQuery { limit: Some(PAGE), ..ListQuery::default() };
        loop {
            let page = store.list_all::<Secret>(&query).await?;
            for mut secret in page.items {
                let sealed = &secret.spec.sealed;
                if sealed.root_key_id == self.keys[0].id() {
                    continue;
                }
                let old = self.keys.iter().find(|key| key.id() == sealed.root_key_id);
                let old = old.ok_or(Error::UnknownRootKey)?;
                secret.spec.sealed = envelope::rewrap(old, &self.keys[0], sealed)?;
                match store.update(&mut secret).await {
                    Ok(()) => changed += 1,
                    // Whoever changed it in between sealed it with the first key.
                    Err(dispatch_store::Error::Stale { .. } | dispatch_store::Error::Missing) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            query.continue_token = page.continue_token;
            if query.continue_token.is_none() {
                return Ok(changed);
            }
        }
    }
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
        let ids: Vec<_> = self.keys.iter().map(RootKey::id).collect();
        f.debug_struct("Seal").field("root_key_ids", &ids).finish()
    }
}

#[cfg(test)]
mod tests;
