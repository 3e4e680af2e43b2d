//! Engines that are an Apache OpenWhisk: functions' own images as Docker ("blackbox") actions.
//!
//! A function's image is run rather than its source in one of OpenWhisk's own runtimes: so its
//! packages are there, and its results, failures and logs are what they are on every engine. The
//! hosts in images answer OpenWhisk's `/init` and `/run` for that.

mod action;
mod activation;
mod api;
mod driver;
mod settings;

use std::sync::Arc;

use async_trait::async_trait;
use dispatch_driver::{Beside, Config, Engine, EngineType, Result, Setting};

/// Makes engines of the type `openwhisk`.
#[derive(Debug)]
pub struct OpenWhiskType;

#[async_trait]
impl EngineType for OpenWhiskType {
    fn name(&self) -> &'static str {
        "openwhisk"
    }

    fn about(&self) -> &'static str {
        "a namespace of an Apache OpenWhisk, which runs functions' images as Docker actions"
    }

    fn settings(&self) -> &'static [Setting] {
        settings::SETTINGS
    }

    async fn make(&self, config: Config, beside: &Beside) -> Result<Arc<dyn Engine>> {
        Ok(Arc::new(driver::OpenWhisk::new(&config, beside)?))
    }
}
