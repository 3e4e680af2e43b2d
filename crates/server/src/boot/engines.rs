//! The engines of this server.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use dispatch_driver::{Error, ImageStore, Retry, SourceStore, Workshop};
use dispatch_model::code;
use dispatch_sandbox::process::ProcessEngine;
use dispatch_sandbox::wasm::WasmEngine;
use dispatch_store::Store;

use crate::config::Config;
use crate::content::Kept;
use crate::invoke::Engines;

/// Sources as engines read them.
pub struct Sources(pub Store);

#[async_trait]
impl SourceStore for Sources {
    async fn read(&self, digest: &str) -> dispatch_driver::Result<Bytes> {
        let found = self.0.blob_get(digest).await.map_err(|error| {
            let text = format!("the source {digest} cannot be read: {error}");
            Error::backend(code::ENGINE006, Retry::Now, text)
        })?;
        let missing = || Error::ours(code::ENGINE006, format!("the source {digest} is not stored"));
        found.map(Bytes::from).ok_or_else(missing)
    }
}

/// The engines, and what can run the commands of builds.
#[derive(Default)]
pub struct Made {
    pub engines: Engines,
    pub workshop: Option<Arc<dyn Workshop>>,
}

/// Builds them, the preferred first.
pub async fn build(config: &Config, store: &Store, images: &Kept) -> anyhow::Result<Made> {
    let images: Arc<dyn ImageStore> = Arc::new(images.clone());
    let sources: Arc<dyn SourceStore> = Arc::new(Sources(store.clone()));
    let mut made = Made::default();
    let mut process = config.process.clone();
    if process.state_dir.as_os_str().is_empty() {
        process.state_dir = config.data_dir().join("process");
    }
    let process = ProcessEngine::start(process, sources.clone(), Some(images)).await?;
    made.workshop = Some(process.workshop());
    made.engines.add(process);
    made.engines.add(WasmEngine::start(config.wasm.clone(), sources)?);
    Ok(made)
}
