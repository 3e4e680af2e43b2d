//! What a new database needs: the organization everybody begins in.

use dispatch_model::organization::{DEFAULT_ORGANIZATION, Organization, OrganizationSpec};
use dispatch_model::{Name, OrgName, Resource, ResourceKind, State, Tags};
use dispatch_store::{Error, Result, Store};

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
