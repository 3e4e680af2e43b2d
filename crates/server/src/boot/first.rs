//! What a new database needs: the organization everybody begins in, the engines that are a part of
//! the server, and a way in.

use anyhow::Context as _;
use dispatch_model::engine::{Engine, EngineSpec};
use dispatch_model::organization::{DEFAULT_ORGANIZATION, Organization, OrganizationSpec};
use dispatch_model::{Name, OrgName, Resource, ResourceKind, State, Tags};
use dispatch_store::{Error, Result, Store};

use crate::authn::Authn;
use crate::authn::one_time::{self, Credential};
use crate::config::Config;
use crate::invoke::Engines;
use crate::invoke::engine_maker::operators;

/// Makes the default organization in a database that has none at all.
pub async fn organization(store: &Store) -> Result<()> {
    if store.count(ResourceKind::Organization).await? > 0 {
        return Ok(());
    }
    let org = OrgName::trusted(DEFAULT_ORGANIZATION);
    let name = Name::trusted(DEFAULT_ORGANIZATION);
    let (tags, spec) = (Tags::new(), OrganizationSpec::default());
    let organization = Resource::<Organization>::new(org, name, tags, State::Ready, spec);
    match store.insert(&organization).await {
        // Another server that starts at the same time made it.
        Ok(()) | Err(Error::Exists) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Makes the rows of the engines that are a part of the server, where they are missing.
pub async fn engines(store: &Store, engines: &Engines) -> Result<()> {
    for member in engines.members() {
        let name = Name::trusted(member.name());
        if store.by_name::<Engine>(&operators(), &name).await?.is_some() {
            continue;
        }
        let spec = EngineSpec { engine_type: name.to_string(), ..EngineSpec::default() };
        let engine = Resource::new(operators(), name, Tags::new(), State::Ready, spec);
        match store.insert::<Engine>(&engine).await {
            // Another server that starts at the same time made it.
            Ok(()) | Err(Error::Exists) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Makes the one-time credential of an installation in which there was never a policy. Each start
/// makes another until one was used: the last that was printed holds.
pub async fn credential(
    store: &Store,
    authn: &Authn,
    config: &Config,
) -> anyhow::Result<Option<Credential>> {
    if !authn.takes_one_time() {
        return Ok(None);
    }
    let (file, lifetime_s) =
        (&config.bootstrap.credential_file, config.bootstrap.credential_lifetime_s);
    let given = match file.is_empty() {
        true => None,
        false => Some(
            std::fs::read_to_string(file)
                .with_context(|| format!("bootstrap.credential_file: {file} cannot be read"))?,
        ),
    };
    one_time::make(store, given.as_deref(), lifetime_s).await
}
