//! The engines of this server.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use dispatch_driver::{EngineType, Error, ImageStore, Retry, SourceStore, Workshop};
use dispatch_model::code;
use dispatch_sandbox::process::ProcessEngine;
use dispatch_sandbox::wasm::WasmEngine;
use dispatch_store::Store;

use crate::config::Config;
use crate::content::Kept;
use crate::invoke::Engines;
use crate::invoke::engine_maker::Embedded;

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

/// The engines that are a part of the server, the types of others, and what can run the commands of
/// builds.
#[derive(Default)]
pub struct Made {
    pub engines: Engines,
    pub types: Vec<Box<dyn EngineType>>,
    pub workshop: Option<Arc<dyn Workshop>>,
}

/// What the engines that are a part of the server are.
pub fn embedded(engines: &Engines) -> Vec<Embedded> {
    let about = |name: &str| match name {
        "process" => "handlers as processes of the server's machine, each in a sandbox",
        "wasm" => "WebAssembly components inside the server",
        _ => "a part of the server",
    };
    let own = engines.members().into_iter().filter(|member| member.is_embedded());
    own.map(|own| Embedded { name: own.name().to_owned(), about: about(own.name()) }).collect()
}

/// Builds them, the preferred first.
pub async fn build(config: &Config, store: &Store, images: &Kept) -> anyhow::Result<Made> {
    let images: Arc<dyn ImageStore> = Arc::new(images.clone());
    let sources: Arc<dyn SourceStore> = Arc::new(Sources(store.clone()));
    let mut made = Made { types: dispatch_adapters::engine::types(), ..Made::default() };
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
