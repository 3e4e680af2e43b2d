//! Use cases of organizations. Who has no rights in an organization does not learn of it.

use dispatch_model::engine::Engine;
use dispatch_model::organization::Organization;
use dispatch_model::policy::Policy;
use dispatch_model::{Kind as _, ListQuery, Name, OrgName, Page, Resource, ResourceKind, State};
use dispatch_wire as wire;
use dispatch_wire::ToModel as _;

use super::resource::{check, check_same_name};
use super::{App, Caller, Deletion, Error, Precondition, Result};
use crate::authz::{Action, IAM, reaches};
use crate::invoke::engine_maker::operators;

impl App {
    pub async fn organization_create(
        &self,
        caller: &Caller,
        shape: wire::Organization,
    ) -> Result<Resource<Organization>> {
        self.authorizer.authorize_global(caller, Action::Create, IAM)?;
        let (name, tags, mut spec) = (shape.name()?, shape.tags()?, shape.spec()?);
        spec.quota = spec.quota.or(&self.quotas);
        let org = OrgName::new(name.as_str())?;
        let made = self.insert(caller, Resource::new(org, name, tags, State::Ready, spec)).await?;
        self.reload_access().await?;
        Ok(made)
    }

    pub async fn organization_get(
        &self,
        caller: &Caller,
        name: &str,
    ) -> Result<Resource<Organization>> {
        self.authorizer.authorize_some(caller, Action::Get, IAM)?;
        let (org, found) = self.organization(name).await?;
        if !self.authorizer.sees_organization(caller, &org) {
            return Err(missing(name));
        }
        self.may(caller, Action::Get, &found)?;
        Ok(found)
    }

    /// Those the caller has rights in. A page may hold fewer than its limit.
    pub async fn organization_list(
        &self,
        caller: &Caller,
        query: &ListQuery,
    ) -> Result<Page<Resource<Organization>>> {
        let reach = self.authorizer.authorize_some(caller, Action::Get, IAM)?;
        let sees = |found: &Resource<Organization>| {
            self.authorizer.sees_organization(caller, &found.meta.org) && reaches(&reach, found)
        };
        self.list_seen(None, query, |found| sees(&found).then_some(found)).await
    }

    pub async fn organization_update(
        &self,
        caller: &Caller,
        name: &str,
        shape: wire::Organization,
        precondition: Precondition,
    ) -> Result<Resource<Organization>> {
        self.authorizer.authorize_global(caller, Action::Update, IAM)?;
        check_same_name(&shape.name, name)?;
        let (org, _) = self.organization(name).await?;
        let (tags, spec) = (shape.tags()?, shape.spec()?);
        let edit = |found: &mut Resource<Organization>| {
            found.meta.tags = tags.clone();
            found.spec = spec.clone();
            Ok(())
        };
        self.change(caller.act("update"), &org, name, precondition, edit).await
    }

    /// Without `all` only an empty organization can be deleted: what it holds would be out of
    /// reach. Runs that functions left behind go with it.
    pub async fn organization_delete(
        &self,
        caller: &Caller,
        name: &str,
        how: Deletion,
    ) -> Result<Resource<Organization>> {
        self.authorizer.authorize_global(caller, Action::Delete, IAM)?;
        let (_, found) = self.organization(name).await?;
        self.may(caller, Action::Delete, &found)?;
        check(how.precondition, &found)?;
        self.refuse_operators(&found).await?;
        if found.meta.state == State::Deleting {
            // Whoever marked it may have come no further.
            self.shut_out(&found.meta.org).await?;
            return Ok(found);
        }
        if how.all {
            self.refuse_global_policies(&found).await?;
            return self.organization_close(caller, &found, how).await;
        }
        let mut held = self.store.organization_holds(&found.meta.org).await?;
        held.retain(|(kind, _)| *kind != ResourceKind::Session);
        if held.is_empty() {
            self.end_sessions(&found.meta.org, |_| true).await?;
            // What ends from here on is not recorded; the runs of before go in short steps.
            self.invoker.close(&found.meta.org);
            self.store.run_delete_all(&found.meta.org).await?;
        }
        let told = self.told(caller.act("delete"), Some(&found), None);
        let removed = self.store.audited(&told).organization_remove(&found).await;
        let left = removed.map_err(|error| {
            let (kind, name) = (Organization::KIND, found.meta.name.clone());
            match error {
                dispatch_store::Error::Stale { current } => Error::Stale { kind, name, current },
                dispatch_store::Error::Missing => missing(name.as_str()),
                other => other.into(),
            }
        })?;
        if left.is_empty() {
            self.reload_access().await?;
            return Ok(found);
        }
        let left = left.iter().map(|(kind, count)| format!("{count} × {}", kind.words()));
        let users = left.collect::<Vec<_>>().join(", ");
        Err(Error::InUse { kind: Organization::KIND, name: found.meta.name, users })
    }

    /// Marks an organization for deletion with all that is in it, which a controller does. Nothing
    /// can be made in it from now on, nobody of it is let in, and nothing of it runs.
    async fn organization_close(
        &self,
        caller: &Caller,
        found: &Resource<Organization>,
        how: Deletion,
    ) -> Result<Resource<Organization>> {
        let (org, name) = (&found.meta.org, found.meta.name.clone());
        let mark = |found: &mut Resource<Organization>| {
            found.meta.state = State::Deleting;
            found.meta.reason = Vec::new();
            Ok(())
        };
        let act = caller.act("delete").saying("with all that is in it");
        let marked = self.change(act, org, name.as_str(), how.precondition, mark).await?;
        self.shut_out(org).await?;
        Ok(marked)
    }

    /// Engines are the installation's, and so is the organization their rows lie in.
    async fn refuse_operators(&self, found: &Resource<Organization>) -> Result<()> {
        let org = &found.meta.org;
        let engines = self.store.list::<Engine>(org, &ListQuery::default()).await?.items;
        if engines.is_empty() && *org != operators() {
            return Ok(());
        }
        let names: Vec<_> = engines.iter().map(|e| e.meta.name.to_string()).collect();
        let users = format!(
            "the installation itself: its engines ({}) lie there, with the secrets they use",
            names.join(", ")
        );
        Err(Error::InUse { kind: Organization::KIND, name: found.meta.name.clone(), users })
    }

    /// With rules that hold everywhere would go what they deny, and perhaps the last who may do
    /// anything at all.
    async fn refuse_global_policies(&self, found: &Resource<Organization>) -> Result<()> {
        let policies = self.store.list::<Policy>(&found.meta.org, &ListQuery::default()).await?;
        let global = policies.items.iter().filter(|policy| policy.spec.global);
        let names: Vec<_> = global.map(|policy| policy.meta.name.to_string()).collect();
        if names.is_empty() {
            return Ok(());
        }
        let users = format!(
            "policies that hold in every organization and lie there ({}): delete them first",
            names.join(", ")
        );
        Err(Error::InUse { kind: Organization::KIND, name: found.meta.name.clone(), users })
    }

    async fn shut_out(&self, org: &OrgName) -> Result<()> {
        self.reload_access().await?;
        self.invoker.close(org);
        Ok(())
    }

    /// An organization's row lies in the organization of its name.
    async fn organization(&self, name: &str) -> Result<(OrgName, Resource<Organization>)> {
        let org = OrgName::new(name).map_err(|_| missing(name))?;
        let found = self.store.by_name(&org, &Name::trusted(name)).await?;
        Ok((org, found.ok_or_else(|| missing(name))?))
    }
}

fn missing(name: &str) -> Error {
    Error::NotFound { kind: Organization::KIND, name: name.to_owned() }
}
