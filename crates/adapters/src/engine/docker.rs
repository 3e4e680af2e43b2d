//! Engines that are a Docker or Podman socket: containers of functions' own images, kept warm.
//!
//! A container serves one deployment for one server; calls go to it directly, and Docker is asked
//! for nothing while a warm container has room. Whose a container is stands in its labels, so that
//! several servers may use one engine, and what a killed one left is found.

mod api;
mod container;
mod driver;
mod ending;
mod log;
mod owner;
mod pool;
mod port;
mod settings;
mod underway;

use std::sync::Arc;

use async_trait::async_trait;
use dispatch_driver::{Beside, Config, Engine, EngineType, Result, Setting};

/// Makes engines of the type `docker`.
#[derive(Debug)]
pub struct DockerType;

#[async_trait]
impl EngineType for DockerType {
    fn name(&self) -> &'static str {
        "docker"
    }

    fn about(&self) -> &'static str {
        "containers of a Docker or Podman engine, started when they are needed and kept warm"
    }

    fn settings(&self) -> &'static [Setting] {
        settings::SETTINGS
    }

    async fn make(&self, config: Config, beside: &Beside) -> Result<Arc<dyn Engine>> {
        Ok(Arc::new(driver::Docker::new(&config, beside).await?))
    }
}
