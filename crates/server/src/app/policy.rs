//! Use cases of policies. A change holds for every request that begins after it was answered.

use dispatch_model::policy::Policy;
use dispatch_model::{Kind as _, ListQuery, Page, Resource, State};
use dispatch_wire as wire;
use dispatch_wire::ToModel as _;

use super::resource::{check, check_same_name};
use super::{App, Caller, Deletion, Precondition, Result};
use crate::authz::{Action, IAM};

impl App {
    pub async fn policy_create(
        &self,
        caller: &Caller,
        shape: wire::Policy,
    ) -> Result<Resource<Policy>> {
        self.may_change_policy(caller, Action::Create, shape.global)?;
        let (name, tags, spec) = (shape.name()?, shape.tags()?, shape.spec()?);
        let policy = Resource::new(caller.org.clone(), name, tags, State::Ready, spec);
        let policy = self.insert(caller, policy).await?;
        self.reload_access().await?;
        Ok(policy)
    }

    pub async fn policy_get(&self, caller: &Caller, name: &str) -> Result<Resource<Policy>> {
        self.get(caller, name).await
    }

    pub async fn policy_list(
        &self,
        caller: &Caller,
        query: &ListQuery,
    ) -> Result<Page<Resource<Policy>>> {
        self.list(caller, query).await
    }

    pub async fn policy_update(
        &self,
        caller: &Caller,
        name: &str,
        shape: wire::Policy,
        precondition: Precondition,
    ) -> Result<Resource<Policy>> {
        self.may_change_policy(caller, Action::Update, shape.global)?;
        check_same_name(&shape.name, name)?;
        let (tags, spec) = (shape.tags()?, shape.spec()?);
        let edit = |policy: &mut Resource<Policy>| {
            self.may_change_policy(caller, Action::Update, policy.spec.global)?;
            policy.meta.tags = tags.clone();
            policy.spec = spec.clone();
            Ok(())
        };
        let policy =
            self.change(caller.act("update"), &caller.org, name, precondition, edit).await?;
        self.reload_access().await?;
        Ok(policy)
    }

    pub async fn policy_delete(
        &self,
        caller: &Caller,
        name: &str,
        how: Deletion,
    ) -> Result<Resource<Policy>> {
        self.authorizer.authorize(caller, Action::Delete, Policy::KIND.policy_resource())?;
        let policy = self.find::<Policy>(&caller.org, name).await?;
        self.may_change_policy(caller, Action::Delete, policy.spec.global)?;
        check(how.precondition, &policy)?;
        self.remove(caller.act("delete"), &policy).await?;
        self.reload_access().await?;
        Ok(policy)
    }

    /// A policy that holds everywhere is for those whose own rights do: else the administrator of
    /// one organization could make itself one of all.
    fn may_change_policy(&self, caller: &Caller, action: Action, global: bool) -> Result<()> {
        if global {
            return self.authorizer.authorize_global(caller, action, IAM);
        }
        self.authorizer.authorize(caller, action, Policy::KIND.policy_resource())
    }
}
