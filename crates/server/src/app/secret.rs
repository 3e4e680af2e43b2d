//! Use cases of secrets. Values are sealed before they are stored and opened only to be shown to
//! one who asks for one secret; those that are kept elsewhere are read when somebody asks for that.

use std::collections::BTreeMap;

use dispatch_model::resource::now_ms;
use dispatch_model::secret::{Content, Secret, SecretSpec};
use dispatch_model::{Kind, ListQuery, Name, Page, Resource, State};
use dispatch_wire as wire;

use super::resource::{check, check_same_name};
use super::{App, Caller, Deletion, Precondition, Result};
use crate::authz::Action;

pub(super) const RESOURCE: &str = "secret";

/// What is asked of one secret.
#[derive(Debug, Clone, Copy, Default)]
pub struct SecretQuery {
    /// The one that holds when absent.
    pub version: Option<u64>,
    /// Whether values that are kept elsewhere are read.
    pub read: bool,
}

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
        let _sealing = self.seal.sealing().await;
        let spec = next(caller, 0, self.content(caller, &name, &shape)?);
        let secret = Resource::new(caller.org.clone(), name, tags, State::Ready, spec);
        self.insert_by(caller.act("create").saying(&told(&shape)), secret).await
    }

    /// One secret with its values.
    pub async fn secret_get(
        &self,
        caller: &Caller,
        name: &str,
        query: SecretQuery,
    ) -> Result<(Resource<Secret>, BTreeMap<String, String>)> {
        let mut secret = self.get::<Secret>(caller, name).await?;
        if let Some(version) = query.version {
            secret.spec = self.secret_version(&secret, version).await?;
        }
        if secret.spec.content.source().is_some() && !query.read {
            return Ok((secret, BTreeMap::new()));
        }
        let (org, name) = (&secret.meta.org, &secret.meta.name);
        self.tell(caller.act("read").entry(Some(org), RESOURCE, name.as_str())).await?;
        let opened = self.secrets.values(&secret).await?;
        let pairs = opened.values.iter();
        let values = pairs.map(|(key, value)| (key.clone(), value.to_string())).collect();
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
        let _sealing = self.seal.sealing().await;
        let content = self.content(caller, &checked, &shape)?;
        let edit = |secret: &mut Resource<Secret>| {
            secret.meta.tags = tags.clone();
            secret.spec = next(caller, secret.spec.version, content.clone());
            Ok(())
        };
        let told = told(&shape);
        let act = caller.act("update").saying(&told);
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

    fn content(&self, caller: &Caller, name: &Name, shape: &wire::Secret) -> Result<Content> {
        match &shape.source {
            Some(source) => {
                let source = source.checked()?;
                self.secrets.check(&caller.org, &source)?;
                Ok(Content::Source(source))
            }
            None => Ok(Content::Sealed(self.seal.seal(&caller.org, name, &shape.secrets)?)),
        }
    }
}

/// What the log tells of the values of a secret: which there are, or where they are.
fn told(shape: &wire::Secret) -> String {
    if shape.source.is_some() {
        return "values of a store outside".to_owned();
    }
    let names: Vec<_> = shape.secrets.keys().map(String::as_str).collect();
    format!("values of {}", names.join(", "))
}

/// The version after another, 0 for none.
pub(super) fn next(caller: &Caller, before: u64, content: Content) -> SecretSpec {
    let made_by = caller.principal.subject().to_owned();
    SecretSpec { version: before + 1, made_by, made_ms: Some(now_ms()), content }
}
