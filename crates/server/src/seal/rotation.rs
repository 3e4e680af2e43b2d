//! Another root key, and everything sealed with it: at a start, and while the server runs.
//!
//! The new key is in the key file, and the database remembers both, before anything is sealed with
//! it; the old one is in both until nothing needs it. So a server may die at any moment, and goes
//! on where it was at its next start.

use std::sync::{Arc, PoisonError};

use anyhow::Context as _;
use dispatch_model::code;
use dispatch_model::resource::now_ms;
use dispatch_model::secret::{Content, Sealed};
use dispatch_store::Store;

use super::{KEY_IDS, KeySource, OWN, Seal, known, root_key};
use crate::app;

/// Most contents resealed in one transaction: each may be a MiB long.
const PAGE: u32 = 50;
/// How often all is looked through again for what others stored meanwhile.
const ROUNDS: u32 = 100;

/// How far a rotation is.
#[derive(Debug, Clone)]
pub struct Rotation {
    pub state: RotationState,
    /// Contents that were to be resealed when it began.
    pub total: u64,
    pub resealed: u64,
    /// Unix milliseconds.
    pub started_ms: i64,
    pub finished_ms: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RotationState {
    Running,
    Done,
    /// Why; what is resealed stays so, and the next one goes on from there.
    Failed(String),
}

impl Seal {
    /// Makes everything that is sealed one of the first root key, so that the others may be
    /// dropped. Returns how many contents were another's. Safe to repeat when it was interrupted:
    /// until the end the database remembers the other keys, and asks for them.
    pub async fn adopt(&self, store: &Store) -> anyhow::Result<u64> {
        let first = self.keys()[0].id().to_owned();
        let own = own_sealed(store).await?;
        // Another server may have sealed with its old first key since the database was adopted.
        if self.is_adopted(store).await?
            && own.iter().all(|(_, own)| own.root_key_id == first)
            && store.sealed_otherwise(&first).await? == 0
        {
            return Ok(0);
        }
        self.remember(store).await?;
        self.reseal(store, |_| ()).await
    }

    /// Changes the root key while the server runs: the new one seals from now on, and what the old
    /// ones sealed is resealed in the background. Where an earlier change did not come to its end,
    /// it goes on with that one instead.
    ///
    /// # Errors
    /// When a change runs already, or this server cannot make one.
    pub async fn rotate(self: &Arc<Self>, store: &Store) -> app::Result<()> {
        let Some(data_dir) = self.own_file.clone() else {
            return Err(conflict(
                "the root key is given by seal.root_key or seal.root_key_file: put a new one \
                 before the old ones there, on every server, and start each again",
            ));
        };
        if !store.is_sqlite() {
            return Err(conflict(
                "servers that share a database each have their own root.key, and one cannot write \
                 another's: give all of them the keys by seal.root_key, the new one first, or stop \
                 them and use dispatch-server rotate-root-key",
            ));
        }
        let _changing = self.changing.write().await;
        if self.rotation().is_some_and(|last| last.state == RotationState::Running) {
            return Err(conflict("a change of the root key runs already"));
        }
        if self.is_adopted(store).await.map_err(app::Error::internal)? {
            let made = tokio::task::spawn_blocking(move || {
                root_key::rotate(&data_dir)?;
                root_key::load(&data_dir, &KeySource::default())
            });
            let keys = made.await.map_err(app::Error::internal)?;
            self.keys.store(Arc::new(keys.map_err(app::Error::internal)?));
        }
        // Nothing can be sealed with it yet: whoever seals waits for the lock.
        self.remember(store).await.map_err(app::Error::internal)?;
        let total = store.sealed_otherwise(self.keys()[0].id()).await?;
        let (state, started_ms) = (RotationState::Running, now_ms());
        let begun = Rotation { state, total, resealed: 0, started_ms, finished_ms: None };
        *self.rotation.lock().unwrap_or_else(PoisonError::into_inner) = Some(begun);
        tokio::spawn(self.clone().finish(store.clone()));
        Ok(())
    }

    /// Forgets the old root keys: they leave the key file.
    ///
    /// # Errors
    /// While something is sealed with one of them.
    pub async fn drop_old(&self, store: &Store) -> app::Result<()> {
        let Some(data_dir) = self.own_file.clone() else {
            return Err(conflict(
                "the root keys are given by seal.root_key or seal.root_key_file: take the old ones \
                 away there",
            ));
        };
        if !store.is_sqlite() {
            return Err(conflict(
                "servers that share a database each have their own root.key, and one of them may \
                 still seal with an old key: stop them, and take the old lines away by hand",
            ));
        }
        let _changing = self.changing.write().await;
        let keys = self.keys();
        if keys.len() == 1 {
            return Err(conflict("there is no old root key"));
        }
        let left = store.sealed_otherwise(keys[0].id()).await?;
        if left > 0 || !self.is_adopted(store).await.map_err(app::Error::internal)? {
            return Err(conflict(format!(
                "{left} secrets and versions are sealed with an old root key, or the change to the \
                 new one has not ended: dispatch rotate root-key ends it"
            )));
        }
        let kept = tokio::task::spawn_blocking(move || {
            root_key::keep_first(&data_dir)?;
            root_key::load(&data_dir, &KeySource::default())
        });
        let kept = kept.await.map_err(app::Error::internal)?.map_err(app::Error::internal)?;
        self.keys.store(Arc::new(kept));
        Ok(())
    }

    /// The change that runs, or the last one since the start.
    pub fn rotation(&self) -> Option<Rotation> {
        self.rotation.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The ids of the keys, the one that seals first, and how much each has sealed.
    pub async fn key_uses(&self, store: &Store) -> app::Result<Vec<(String, u64)>> {
        let own = own_sealed(store).await.map_err(app::Error::internal)?;
        let mut uses = Vec::new();
        for key in self.keys().iter() {
            let own = own.iter().filter(|(_, own)| own.root_key_id == key.id()).count() as u64;
            uses.push((key.id().to_owned(), store.sealed_with(key.id()).await? + own));
        }
        Ok(uses)
    }

    async fn finish(self: Arc<Self>, store: Store) {
        let count = |more| self.edit(|rotation| rotation.resealed += more);
        let state = match self.reseal(&store, count).await {
            Ok(resealed) => {
                tracing::info!(resealed, "the root key was changed");
                RotationState::Done
            }
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "the root key's change stopped");
                RotationState::Failed(error.to_string())
            }
        };
        self.edit(|rotation| {
            (rotation.state, rotation.finished_ms) = (state, Some(now_ms()));
        });
    }

    fn edit(&self, edit: impl FnOnce(&mut Rotation)) {
        let mut rotation = self.rotation.lock().unwrap_or_else(PoisonError::into_inner);
        rotation.as_mut().map(edit);
    }

    /// Whether all is sealed with the first key, as far as the database remembers.
    async fn is_adopted(&self, store: &Store) -> anyhow::Result<bool> {
        Ok(known(store).await? == [self.keys()[0].id()])
    }

    /// Lets the database ask for the first key besides those it asks for so far.
    async fn remember(&self, store: &Store) -> anyhow::Result<()> {
        let (mut ids, keys) = (known(store).await?, self.keys());
        if !ids.iter().any(|id| id == keys[0].id()) {
            ids.push(keys[0].id().to_owned());
            store.setting_put(KEY_IDS, &ids.join(",")).await?;
        }
        Ok(())
    }

    /// Wraps every data key with the first root key, until none is another's; the values stay as
    /// they are.
    async fn reseal(&self, store: &Store, mut count: impl FnMut(u64)) -> anyhow::Result<u64> {
        let (keys, mut changed) = (self.keys(), 0);
        let first = keys[0].id();
        for _ in 0..ROUNDS {
            let mut last = None;
            loop {
                let mut page = store.sealed_page(first, last.as_ref(), PAGE).await?;
                for content in &mut page {
                    let Content::Sealed(sealed) = &content.spec.content else { continue };
                    content.spec.content = Content::Sealed(self.renewed(sealed)?);
                }
                let resealed = store.reseal(&page).await?;
                count(resealed);
                changed += resealed;
                last = page.pop();
                if last.is_none() {
                    break;
                }
            }
            self.reseal_own(store).await?;
            // What was stored behind the back of this is found in the next round.
            if store.sealed_otherwise(first).await? == 0 {
                store.setting_put(KEY_IDS, first).await?;
                return Ok(changed);
            }
        }
        anyhow::bail!("secrets change faster than they can be sealed anew")
    }

    /// The same for the installation's own values.
    async fn reseal_own(&self, store: &Store) -> anyhow::Result<()> {
        for (setting, sealed) in own_sealed(store).await? {
            if sealed.root_key_id != self.keys()[0].id() {
                let renewed = serde_json::to_string(&self.renewed(&sealed)?)?;
                store.setting_put(setting, &renewed).await?;
            }
        }
        Ok(())
    }
}

/// What the installation has sealed of its own, by setting.
async fn own_sealed(store: &Store) -> anyhow::Result<Vec<(&'static str, Sealed)>> {
    let mut own = Vec::new();
    for (setting, _) in OWN {
        if let Some(text) = store.setting_get(setting).await? {
            own.push((setting, serde_json::from_str(&text).context("a sealed setting")?));
        }
    }
    Ok(own)
}

fn conflict(message: impl Into<String>) -> app::Error {
    app::Error::Conflict { code: code::SECRET004, message: message.into() }
}
