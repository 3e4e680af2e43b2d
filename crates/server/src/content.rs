//! Content: base images fetched, images and functions' images built, looked into, kept and pruned.
//!
//! Controllers ask for what a resource is to be made of; this room binds the store (what is known),
//! the content on disk (what is there) and the workshop (what builds it). It changes no resource.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dispatch_driver::language::Languages;
use dispatch_driver::{SourceStore, Workshop};
use dispatch_images::build::{self, Builder};
use dispatch_images::layer::Limits;
use dispatch_images::registry::{self, Registries};
use dispatch_images::{Content, Error, Result};
use dispatch_store::Store;
use tokio::sync::Semaphore;

use crate::seal::Seal;

mod base;
pub mod bill;
mod function;
mod image;
mod settings;

pub use base::Moved;
pub use function::FunctionImage;
pub use settings::Settings;

/// What images and base images are on this server.
pub struct Contents {
    pub content: Content,
    settings: Settings,
    registries: Registries,
    /// `None` where no engine of this server can run a build's commands.
    builder: Option<Builder>,
    languages: Languages,
    /// One permit for each build that may run now.
    builds: Semaphore,
    store: Store,
    seal: Arc<Seal>,
    sources: Arc<dyn SourceStore>,
}

/// Opens the content on disk: before the engines, which read from it.
pub fn open(settings: &Settings, data_dir: &Path, owner: Option<u32>) -> anyhow::Result<Content> {
    let directory = match settings.dir.as_os_str().is_empty() {
        true => data_dir.join("images"),
        false => settings.dir.clone(),
    };
    let limits = Limits {
        max_bytes: settings.max_unpacked_mib << 20,
        max_entries: settings.max_entries,
        owner: owner.map(|id| (id, id)),
    };
    Ok(Content::open(&directory, limits)?)
}

impl Contents {
    /// # Errors
    /// When a setting names a file that cannot be read or is no certificate.
    pub fn new(
        content: Content,
        settings: Settings,
        languages: Languages,
        workshop: Option<Arc<dyn Workshop>>,
        (store, seal): (Store, Arc<Seal>),
        sources: Arc<dyn SourceStore>,
    ) -> anyhow::Result<Self> {
        let certificates = match settings.ca_file.as_str() {
            "" => Vec::new(),
            file => vec![std::fs::read(file).map_err(|e| anyhow::anyhow!("{file}: {e}"))?],
        };
        let registries = Registries::new(registry::Settings {
            plain_http: settings.plain_http.clone(),
            certificates,
            connect_timeout: Duration::from_secs(settings.connect_timeout_s),
            stall_timeout: Duration::from_secs(settings.stall_timeout_s),
            max_image_bytes: settings.max_image_mib << 20,
        })?;
        let limits = build::Limits {
            memory_mib: settings.build_memory_mib,
            max_cpus: settings.build_max_cpus,
            timeout: Duration::from_secs(settings.build_timeout_s),
            egress: settings.build_egress.clone(),
            environment: settings.build_environment.clone(),
            mirrors: settings.build_mirrors.iter().cloned().collect(),
        };
        let builder =
            workshop.map(|workshop| Builder { content: content.clone(), workshop, limits });
        let builds = Semaphore::new(settings.max_builds.max(1));
        Ok(Self { content, settings, registries, builder, languages, builds, store, seal, sources })
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    fn builder(&self) -> Result<&Builder> {
        let none = || Error::refused("images cannot be built here: no engine runs processes");
        self.builder.as_ref().ok_or_else(none)
    }
}
