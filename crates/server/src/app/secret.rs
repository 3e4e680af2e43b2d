//! Use cases of secrets. Values are sealed before they are stored and opened only to be shown to
//! one who asks for one secret.

use std::collections::BTreeMap;

use dispatch_model::secret::{Secret, SecretSpec};
use dispatch_model::{Kind, ListQuery, Name, Page, Resource, State};
use dispatch_wire as wire;

use super::resource::{check, check_same_name};
use super::{App, Caller, Deletion, Precondition, Result};
use crate::authz::Action;

const RESOURCE: &str = "secret";

impl App {
    pub async fn secret_create(
        &self,
        caller: &Caller,
        shape: wire::Secret,
    ) -> Result<Resource<Secret>> {
        self.authorizer.authorize_some(caller, Action::Create, RESOURCE)?;
        let (name, tags) = shape.checked()?;
        let kind = Secret::KIND;
        self.authorizer.authorize_one(caller, Action::Create, kind, name.as_str(), &tags)?;
        let spec = self.sealed(caller, &name, &shape)?;
        let secret = Resource::new(caller.org.clone(), name, tags, State::Ready, spec);
        self.insert_by(caller.act("create").saying(&keys(&shape)), secret).await
    }

    /// One secret with its values.
    pub async fn secret_get(
        &self,
        caller: &Caller,
        name: &str,
    ) -> Result<(Resource<Secret>, BTreeMap<String, String>)> {
        let secret = self.get::<Secret>(caller, name).await?;
        let (org, name) = (&secret.meta.org, &secret.meta.name);
        self.tell(caller.act("read").entry(Some(org), RESOURCE, name.as_str())).await?;
        let opened = self.seal.open_sealed(org, name, &secret.spec.sealed)?;
        let values = opened.iter().map(|(key, value)| (key.clone(), value.to_string())).collect();
        Ok((secret, values))
    }

    pub async fn secret_list(
        &self,
        caller: &Caller,
        query: &ListQuery,
    ) -> Result<Page<Resource<Secret>>> {
        self.list(caller, query).await
    }

    pub async fn secret_update(
        &self,
        caller: &Caller,
        name: &str,
        mut shape: wire::Secret,
        precondition: Precondition,
    ) -> Result<Resource<Secret>> {
        self.authorizer.authorize_some(caller, Action::Update, RESOURCE)?;
        check_same_name(&shape.name, name)?;
        shape.name = name.to_owned();
        let (checked, tags) = shape.checked()?;
        let spec = self.sealed(caller, &checked, &shape)?;
        let edit = |secret: &mut Resource<Secret>| {
            secret.meta.tags = tags.clone();
            secret.spec = spec.clone();
            Ok(())
        };
        let keys = keys(&shape);
        let act = caller.act("update").saying(&keys);
        self.change(act, &caller.org, name, precondition, edit).await
    }

    /// Deletes at once, as v1 did; the answer has no body, so users are named beside it.
    pub async fn secret_delete(
        &self,
        caller: &Caller,
        name: &str,
        how: Deletion,
    ) -> Result<Option<String>> {
        let secret = self.found::<Secret>(caller, Action::Delete, name).await?;
        check(how.precondition, &secret)?;
        let used = self.used_by(&secret, how.protect).await?;
        self.remove(caller.act("delete"), &secret).await?;
        Ok(used)
    }

    fn sealed(&self, caller: &Caller, name: &Name, shape: &wire::Secret) -> Result<SecretSpec> {
        Ok(SecretSpec { sealed: self.seal.seal(&caller.org, name, &shape.secrets)? })
    }
}

/// What the log tells of the values of a secret: which there are.
fn keys(shape: &wire::Secret) -> String {
    let names: Vec<_> = shape.secrets.keys().map(String::as_str).collect();
    format!("values of {}", names.join(", "))
}
