//! Content: base images fetched, images and functions' images built, looked into, kept and pruned.
//!
//! Controllers ask for what a resource is to be made of; this room binds the store (what is known),
//! the content on disk (what is there) and the workshop (what builds it). It changes no resource.

use std::sync::Arc;
use std::time::Duration;

use dispatch_driver::language::Languages;
use dispatch_driver::{SourceStore, Workshop};
use dispatch_images::build::{self, Builder};
use dispatch_images::{Error, Result};
use dispatch_store::Store;
use tokio::sync::Semaphore;

use crate::seal::Seal;
use crate::secrets::Secrets;

mod base;
pub mod bill;
mod function;
mod image;
mod kept;
mod metrics;
mod policy;
mod prune;
mod publish;
mod settings;
mod signing;
pub mod vulnerability;

pub use base::Moved;
pub use function::FunctionImage;
pub use kept::Kept;
pub use metrics::ContentMetrics;
pub use policy::{Subject, Verdict};
pub use settings::Settings;
pub use vulnerability::Vulnerabilities;

use signing::Signer;

/// Things held against policies at the same time.
const JUDGING: usize = 1;

/// What images and base images are on this server.
pub struct Contents {
    kept: Kept,
    pub vulnerabilities: Vulnerabilities,
    signer: Signer,
    metrics: Arc<ContentMetrics>,
    settings: Settings,
    /// `None` where no engine of this server can run a build's commands.
    builder: Option<Builder>,
    languages: Languages,
    /// One permit for each build that may run now.
    builds: Semaphore,
    /// One permit for each judgement that may run now.
    judging: Semaphore,
    store: Store,
    secrets: Arc<Secrets>,
    sources: Arc<dyn SourceStore>,
}

impl Contents {
    /// # Errors
    /// When the key that signs images cannot be had.
    pub async fn open(
        kept: Kept,
        settings: Settings,
        languages: Languages,
        workshop: Option<Arc<dyn Workshop>>,
        (store, seal, secrets): (Store, &Seal, Arc<Secrets>),
        sources: Arc<dyn SourceStore>,
        metrics: Arc<ContentMetrics>,
    ) -> anyhow::Result<Self> {
        let limits = build::Limits {
            memory_mib: settings.build_memory_mib,
            max_cpus: settings.build_max_cpus,
            timeout: Duration::from_secs(settings.build_timeout_s),
            egress: settings.build_egress.clone(),
            environment: settings.build_environment.clone(),
            mirrors: settings.build_mirrors.iter().cloned().collect(),
        };
        let content = kept.content.clone();
        let builder = workshop.map(|workshop| Builder { content, workshop, limits });
        Ok(Self {
            kept,
            vulnerabilities: Vulnerabilities::new(store.clone(), metrics.clone()),
            signer: Signer::open(&store, seal).await?,
            metrics,
            builder,
            languages,
            builds: Semaphore::new(settings.max_builds.max(1)),
            judging: Semaphore::new(JUDGING),
            settings,
            store,
            secrets,
            sources,
        })
    }

    /// How often base images' tags are looked at; zero: never.
    pub fn refresh(&self) -> Duration {
        Duration::from_secs(self.settings.refresh_s)
    }

    /// How old content is that nothing needs when it goes; zero: never.
    pub fn unused(&self) -> Duration {
        Duration::from_secs(self.settings.unused_s)
    }

    /// Bytes of the records that one import may have.
    pub fn max_database_bytes(&self) -> u64 {
        self.settings.max_database_mib << 20
    }

    /// The public key of what this installation signs, in PEM.
    pub fn signing_key(&self) -> String {
        self.signer.public_pem()
    }

    fn builder(&self) -> Result<&Builder> {
        let none = || Error::refused("images cannot be built here: no engine runs processes");
        self.builder.as_ref().ok_or_else(none)
    }
}

fn store_failed(error: dispatch_store::Error) -> Error {
    Error::Unavailable(format!("the store: {error}"))
}

/// Content that should be known: what is not is never taken for harmless.
fn unknown(digest: &str) -> Error {
    Error::refused(format!(
        "nothing is known of the content {digest} any more: `dispatch rebuild` the image it is of"
    ))
}
