//! Stores of secrets outside of Dispatch: read by reference, never written.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use dispatch_model::code;
use zeroize::Zeroizing;

use crate::{Error, Result, Retry};

/// Keys and values of one secret. Overwritten when dropped.
pub type SecretValues = BTreeMap<String, Zeroizing<String>>;

/// Reads secrets of one store.
#[async_trait]
pub trait SecretStore: Send + Sync + 'static {
    /// Reads one secret as it is now. Takes a bounded time.
    ///
    /// # Errors
    /// `Fault::Caller` when the store answers that the secret is not there, or is not given to this
    /// server: what was read before must not be used any more. `Fault::Backend` when it does not
    /// answer, or cannot. Never holds a value, nor the store's address: tenants see it.
    async fn read(&self, reference: &SecretReference) -> Result<SecretRead>;
}

/// Which secret. Who made it has checked that it lies where its organization may read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretReference {
    /// Vault: the path below the mount. Kubernetes: NAMESPACE/NAME.
    pub path: String,
    /// The newest when absent.
    pub version: Option<u64>,
}

/// What a store gave.
#[derive(Clone)]
pub struct SecretRead {
    pub values: SecretValues,
    /// As the store names it: a number of Vault, a resource version of Kubernetes.
    pub version: Option<String>,
    /// How long the values are good for at most, when the store says so.
    pub lease: Option<Duration>,
}

/// What a store's account is proved with: read anew whenever the server has to sign in.
#[async_trait]
pub trait SecretCredentials: Send + Sync + 'static {
    /// # Errors
    /// When they cannot be had now.
    async fn read(&self) -> Result<SecretValues>;
}

/// The store does not have the secret, or does not give it to this server.
pub fn refused(message: impl Into<String>) -> Error {
    Error::caller(code::SECRET003, message)
}

/// The store does not answer, or cannot do its work now.
pub fn failed(message: impl Into<String>) -> Error {
    Error::backend(code::SECRET003, Retry::After(Duration::from_secs(1)), message).unreached()
}
