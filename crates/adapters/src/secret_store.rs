//! Stores of secrets that are foreign systems.

#[cfg(feature = "kubernetes")]
pub mod kubernetes;
#[cfg(feature = "vault")]
pub mod vault;

use std::sync::Arc;

use dispatch_driver::secret_store::SecretCredentials;
use dispatch_driver::{Result, SecretStore};
use serde::Deserialize;

/// How one store is reached, as its operator writes it.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Settings {
    #[cfg(feature = "vault")]
    Vault(vault::Settings),
    #[cfg(feature = "kubernetes")]
    Kubernetes(kubernetes::Settings),
}

impl Settings {
    /// Makes the store. Touches no network.
    ///
    /// # Errors
    /// For settings that do not go together, and files that cannot be read.
    pub fn make(
        self,
        credentials: Option<Arc<dyn SecretCredentials>>,
    ) -> Result<Arc<dyn SecretStore>> {
        Ok(match self {
            #[cfg(feature = "vault")]
            Settings::Vault(settings) => Arc::new(vault::Vault::new(settings, credentials)?),
            #[cfg(feature = "kubernetes")]
            Settings::Kubernetes(settings) => {
                Arc::new(kubernetes::KubernetesSecrets::new(&settings, credentials.is_some())?)
            }
        })
    }
}
