//! The stores outside of Dispatch that this server knows.

use std::sync::Arc;

use dispatch_adapters::secret_store::Settings;
use dispatch_driver::SecretStore;
use dispatch_driver::secret_store::SecretCredentials;
use dispatch_model::secret::StoreKind;
use toml::{Table, Value};

/// Makes one of them. Touches no network.
pub fn make(
    kind: StoreKind,
    table: Table,
    credentials: Option<Arc<dyn SecretCredentials>>,
) -> anyhow::Result<Arc<dyn SecretStore>> {
    let settings = match kind {
        StoreKind::Vault => Settings::Vault(parse(table)?),
        StoreKind::Kubernetes => Settings::Kubernetes(parse(table)?),
    };
    settings.make(credentials).map_err(anyhow::Error::msg)
}

/// The rest of a store's settings, with the name of one that is wrong.
fn parse<T: serde::de::DeserializeOwned>(table: Table) -> anyhow::Result<T> {
    let parsed = serde_path_to_error::deserialize(Value::Table(table));
    parsed.map_err(|error| {
        let path = error.path().to_string();
        anyhow::anyhow!("{path}: {}", error.into_inner().message())
    })
}
