//! The stores that operators opened to organizations. A secret names one of them and a place in
//! what is its organization's there; where the store is, is the operator's to say alone.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use async_trait::async_trait;
use dispatch_driver::secret_store::{SecretCredentials, failed, refused};
use dispatch_driver::{SecretRead, SecretReference, SecretStore, SecretValues};
use dispatch_model::secret::{Secret, Source, StoreKind};
use dispatch_model::{Name, OrgName, Violation};
use dispatch_store::Store;
use dispatch_wire::secret::check_values;
use toml::{Table, Value};

use crate::invoke::OpenSealed;
use crate::invoke::engine_maker::operators;

/// Stands for the organization's name in a place.
const ORGANIZATION: &str = "{organization}";
/// Opens a store to all organizations.
const ALL: &str = "*";

/// Makes a store of a kind from what its operator wrote of it.
pub type Make = fn(
    StoreKind,
    Table,
    Option<Arc<dyn SecretCredentials>>,
) -> anyhow::Result<Arc<dyn SecretStore>>;

/// The stores of this server, by name.
#[derive(Default)]
pub struct Stores(BTreeMap<String, Open>);

/// One store, and to whom it is open.
pub(super) struct Open {
    kind: StoreKind,
    organizations: Vec<String>,
    /// Of Vault the path, of Kubernetes the namespace an organization's secrets lie in.
    place: String,
    store: Arc<dyn SecretStore>,
}

impl Stores {
    /// Reads a file of stores; none when it is not named.
    pub fn open(
        file: &Path,
        store: &Store,
        seal: &Arc<dyn OpenSealed>,
        make: Make,
    ) -> anyhow::Result<Self> {
        if file.as_os_str().is_empty() {
            return Ok(Self::default());
        }
        let shown = || format!("secrets.stores_file, {}", file.display());
        let text = std::fs::read_to_string(file).with_context(shown)?;
        let table: Table = text.parse().with_context(shown)?;
        let mut stores = BTreeMap::new();
        for (name, value) in table {
            let one = || format!("{}: [{name}]", shown());
            let Value::Table(table) = value else {
                bail!("{} stands outside of a store: write [NAME] before it", one());
            };
            Name::new(&name).map_err(anyhow::Error::msg).with_context(one)?;
            let made = Open::new(table, store, seal, make).with_context(one)?;
            stores.insert(name, made);
        }
        Ok(Self(stores))
    }

    /// The store of a source, if it is open to the organization.
    ///
    /// # Errors
    /// The same for a store that is not there and one that is not open: who may not use it learns
    /// nothing of it.
    pub(super) fn permitted(&self, org: &OrgName, source: &Source) -> Result<&Open, Violation> {
        let open = || self.0.iter().filter(|(_, store)| store.is_open_to(org));
        let Some((_, found)) = open().find(|(name, _)| **name == source.store) else {
            let names: Vec<&str> = open().map(|(name, _)| name.as_str()).collect();
            let known = match names.is_empty() {
                true => "it has none; ask the operator of the server".to_owned(),
                false => format!("its stores are: {}", names.join(", ")),
            };
            let rule = format!("{:?} is no store of organization {org}; {known}", source.store);
            return Err(Violation::new("source.store", rule));
        };
        if found.kind != source.kind {
            let (is, said) = (found.kind.as_str(), source.kind.as_str());
            let rule = format!("is {said:?}, but store {} is of type {is:?}", source.store);
            return Err(Violation::new("source.type", rule));
        }
        Ok(found)
    }

    /// What a source says now, under the keys it is wanted as.
    pub(super) async fn read(
        &self,
        org: &OrgName,
        source: &Source,
        limit: Duration,
    ) -> dispatch_driver::Result<SecretRead> {
        // The operator may have closed it since the secret was made.
        let open = self.permitted(org, source).map_err(|no| refused(no.rule))?;
        let place = open.place.replace(ORGANIZATION, org.as_str());
        let path = format!("{place}/{}", source.path);
        let reference = SecretReference { path, version: source.version };
        let read = tokio::time::timeout(limit, open.store.read(&reference)).await;
        let mut read = read.unwrap_or_else(|_| Err(failed("it did not answer in time")))?;
        read.values = chosen(read.values, &source.keys)?;
        let texts: BTreeMap<String, &str> =
            read.values.iter().map(|(key, value)| (key.clone(), value.as_str())).collect();
        check_values(&texts).map_err(|broken| refused(format!("what is there {}", broken.rule)))?;
        Ok(read)
    }
}

/// The keys that are wanted, under the names they are wanted as.
fn chosen(
    mut values: SecretValues,
    keys: &BTreeMap<String, String>,
) -> dispatch_driver::Result<SecretValues> {
    if keys.is_empty() {
        return Ok(values);
    }
    let take = |(key, name): (&String, &String)| match values.remove(key) {
        Some(value) => Ok((name.clone(), value)),
        None => Err(refused(format!("it has no key {key:?}"))),
    };
    keys.iter().map(take).collect()
}

impl Open {
    fn new(
        mut table: Table,
        store: &Store,
        seal: &Arc<dyn OpenSealed>,
        make: Make,
    ) -> anyhow::Result<Self> {
        let organizations: Option<Vec<String>> = take(&mut table, "organizations")?;
        let organizations = organizations.unwrap_or_default();
        let kind = match table.get("type").and_then(Value::as_str) {
            Some("vault") => StoreKind::Vault,
            Some("kubernetes") => StoreKind::Kubernetes,
            _ => bail!("type must be \"vault\" or \"kubernetes\""),
        };
        let key = match kind {
            StoreKind::Vault => "prefix",
            StoreKind::Kubernetes => "namespace",
        };
        let place: Option<String> = take(&mut table, key)?;
        let place = place.unwrap_or_else(|| match kind {
            StoreKind::Vault => format!("dispatch/{ORGANIZATION}"),
            StoreKind::Kubernetes => format!("dispatch-{ORGANIZATION}"),
        });
        check_place(kind, key, &place, &organizations)?;
        let credentials: Option<String> = take(&mut table, "credentials")?;
        let credentials = credentials.map(|name| credentials_of(&name, store, seal)).transpose()?;
        table.remove("type");
        let store = make(kind, table, credentials)?;
        Ok(Self { kind, organizations, place, store })
    }

    fn is_open_to(&self, org: &OrgName) -> bool {
        self.organizations.iter().any(|open| open == ALL || open == org.as_str())
    }
}

fn take<T: serde::de::DeserializeOwned>(table: &mut Table, key: &str) -> anyhow::Result<Option<T>> {
    table.remove(key).map(|value| value.try_into().with_context(|| key.to_owned())).transpose()
}

/// Organizations must not meet in a store: where several use it each has a place of its own, of
/// which none lies in another's.
fn check_place(
    kind: StoreKind,
    key: &str,
    place: &str,
    organizations: &[String],
) -> anyhow::Result<()> {
    let parts: Vec<&str> = place.split('/').collect();
    let odd = |c: char| !c.is_ascii_graphic() || matches!(c, '?' | '#' | '%' | '\\');
    if parts.iter().any(|part| matches!(*part, "" | "." | "..")) || place.contains(odd) {
        bail!("{key} {place:?} must not begin or end with /, nor hold . and .. or ? # % \\");
    }
    if kind == StoreKind::Kubernetes && parts.len() > 1 {
        bail!("{key} {place:?} must be the name of one namespace");
    }
    let one = matches!(organizations, [only] if only != ALL);
    if !one && !organizations.is_empty() && !place.contains(ORGANIZATION) {
        bail!("{key} {place:?} must hold {ORGANIZATION}: several organizations use the store");
    }
    Ok(())
}

/// A secret of the operators' organization, sealed by this server.
struct Credentials {
    name: Name,
    store: Store,
    seal: Arc<dyn OpenSealed>,
}

fn credentials_of(
    name: &str,
    store: &Store,
    seal: &Arc<dyn OpenSealed>,
) -> anyhow::Result<Arc<dyn SecretCredentials>> {
    let name = Name::new(name).map_err(anyhow::Error::msg).context("credentials")?;
    Ok(Arc::new(Credentials { name, store: store.clone(), seal: seal.clone() }))
}

#[async_trait]
impl SecretCredentials for Credentials {
    async fn read(&self) -> dispatch_driver::Result<SecretValues> {
        let unread = |why: String| {
            tracing::error!(secret = %self.name, why, "credentials of a store cannot be read");
            failed("its credentials cannot be read")
        };
        let org = operators();
        let found = self.store.by_name::<Secret>(&org, &self.name).await;
        let found = found.map_err(|error| unread(error.to_string()))?;
        let secret = found.ok_or_else(|| unread("the secret does not exist".to_owned()))?;
        let sealed = secret.spec.content.sealed();
        let sealed = sealed.ok_or_else(|| unread("it is itself kept elsewhere".to_owned()))?;
        let opened = self.seal.open_sealed(&org, &self.name, sealed);
        opened.map_err(|error| unread(error.to_string()))
    }
}

#[cfg(test)]
pub(super) mod tests;
