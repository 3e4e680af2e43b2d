//! What the values of secrets are, wherever they are kept: sealed here, or in a store outside.
//!
//! Opens by the `seal` room, reads by the stores that operators configured, and keeps what was read
//! for the time that is stated. Knows no HTTP and no concrete store but by its settings.

mod cached;
mod metrics;
mod opened;
mod settings;
mod stores;

use std::sync::Arc;
use std::time::Duration;

use dispatch_model::secret::{Content, Secret, SecretSpec, SecretUse, Source};
use dispatch_model::{Name, OrgName, Resource, Violation};
use dispatch_store::Store;

pub use cached::Cached;
pub use metrics::SecretMetrics;
pub use opened::{OpenError, Opened};
pub use settings::Settings;
pub use stores::{Make, Stores};

use crate::invoke::OpenSealed;

/// Opens secrets. One for each server, shared.
pub struct Secrets {
    seal: Arc<dyn OpenSealed>,
    stores: Stores,
    settings: Settings,
    metrics: SecretMetrics,
}

impl Secrets {
    /// # Errors
    /// When the file of stores, or one of them, is not as it should be.
    pub fn open(
        settings: Settings,
        store: &Store,
        seal: Arc<dyn OpenSealed>,
        metrics: SecretMetrics,
        make: Make,
    ) -> anyhow::Result<Self> {
        settings.check()?;
        let stores = Stores::open(&settings.stores_file, store, &seal, make)?;
        Ok(Self { seal, stores, settings, metrics })
    }

    /// For secrets that are sealed alone.
    pub fn sealed(seal: Arc<dyn OpenSealed>) -> Self {
        let (stores, settings) = (Stores::default(), Settings::default());
        let metrics = SecretMetrics::register(&mut Default::default());
        Self { seal, stores, settings, metrics }
    }

    /// Whether an organization may have a secret there.
    ///
    /// # Errors
    /// The field of the secret that is not allowed.
    pub fn check(&self, org: &OrgName, source: &Source) -> Result<(), Violation> {
        let longest = self.settings.max_cache_s;
        if source.cache_s.is_some_and(|asked| asked > longest) {
            let rule = format!("must be at most {longest} (secrets.max_cache_s)");
            return Err(Violation::new("source.cacheSeconds", rule));
        }
        self.stores.permitted(org, source).map(drop)
    }

    /// The values of a secret as they are now.
    pub async fn values(&self, secret: &Resource<Secret>) -> Result<Opened, OpenError> {
        self.read(&secret.meta.org, &secret.meta.name, &secret.spec).await
    }

    /// The same of any of its versions.
    pub async fn read(
        &self,
        org: &OrgName,
        name: &Name,
        spec: &SecretSpec,
    ) -> Result<Opened, OpenError> {
        let used = |source_version| SecretUse {
            name: name.to_string(),
            version: spec.version,
            source_version,
        };
        match &spec.content {
            Content::Sealed(sealed) => {
                let values = self.seal.open_sealed(org, name, sealed).map_err(|error| {
                    tracing::error!(%org, secret = %name, %error, "cannot open a secret");
                    OpenError::sealed(name)
                })?;
                Ok(Opened { used: used(None), values, lease: None })
            }
            Content::Source(source) => {
                let limit = Duration::from_millis(self.settings.read_timeout_ms);
                let begun = std::time::Instant::now();
                let read = self.stores.read(org, source, limit).await;
                self.metrics.read(&source.store, begun.elapsed(), read.as_ref().err());
                let read = read.map_err(|error| {
                    let store = &source.store;
                    tracing::warn!(%org, secret = %name, %store, %error, "a secret was not read");
                    OpenError::unread(name, store, &error)
                })?;
                Ok(Opened { used: used(read.version), values: read.values, lease: read.lease })
            }
        }
    }
}
