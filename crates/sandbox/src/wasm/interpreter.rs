//! Python and JavaScript handlers as components, where the tools for it are installed.

use dispatch_driver::{Deployment, Error, Result};
use dispatch_model::code;

use super::config::WasmConfig;

/// The tools found at start.
pub struct Interpreters {}

impl Interpreters {
    pub fn find(_config: &WasmConfig) -> Self {
        Self {}
    }

    pub fn languages(&self) -> Vec<String> {
        Vec::new()
    }

    pub fn missing(&self) -> Vec<String> {
        Vec::new()
    }

    pub fn version(&self, _language: &str) -> String {
        String::new()
    }

    pub async fn componentize(&self, deployment: &Deployment, _source: &[u8]) -> Result<Vec<u8>> {
        Err(Error::caller(code::ENGINE001, format!("{} is not known", deployment.language)))
    }
}
