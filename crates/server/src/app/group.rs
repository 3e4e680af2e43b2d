//! Use cases of groups. Who joins one gets what policies give it, so its members are given only by
//! those who have that themselves.

use dispatch_access::Change;
use dispatch_model::group::Group;
use dispatch_model::{ListQuery, Page, Resource, State};
use dispatch_wire as wire;
use dispatch_wire::ToModel as _;

use super::resource::{check, check_same_name};
use super::{App, Caller, Deletion, Precondition, Result};
use crate::authz::{Action, IAM};

impl App {
    pub async fn group_create(
        &self,
        caller: &Caller,
        shape: wire::Group,
    ) -> Result<Resource<Group>> {
        let _granting = self.granting(caller, Action::Create).await?;
        let group = self.admitted(caller, &shape, State::Ready)?;
        let name = group.meta.name.as_str();
        let change = Change::Group { name, before: None, after: Some(&group.spec) };
        self.authorizer.authorize_grant(caller, change)?;
        let group = self.insert(caller, group).await?;
        self.reload_policies().await?;
        Ok(group)
    }

    pub async fn group_get(&self, caller: &Caller, name: &str) -> Result<Resource<Group>> {
        self.get(caller, name).await
    }

    pub async fn group_list(
        &self,
        caller: &Caller,
        query: &ListQuery,
    ) -> Result<Page<Resource<Group>>> {
        self.list(caller, query).await
    }

    pub async fn group_update(
        &self,
        caller: &Caller,
        name: &str,
        shape: wire::Group,
        precondition: Precondition,
    ) -> Result<Resource<Group>> {
        let _granting = self.granting(caller, Action::Update).await?;
        self.authorizer.authorize_some(caller, Action::Update, IAM)?;
        check_same_name(&shape.name, name)?;
        let (tags, spec) = (shape.tags()?, shape.spec()?);
        let edit = |group: &mut Resource<Group>| {
            let change = Change::Group { name, before: Some(&group.spec), after: Some(&spec) };
            self.authorizer.authorize_grant(caller, change)?;
            group.meta.tags = tags.clone();
            group.spec = spec.clone();
            Ok(())
        };
        let act = caller.act("update");
        let group = self.change(act, &caller.org, name, precondition, edit).await?;
        self.reload_policies().await?;
        Ok(group)
    }

    /// One that a policy names stays, whoever asks: the policy would say something else.
    pub async fn group_delete(
        &self,
        caller: &Caller,
        name: &str,
        how: Deletion,
    ) -> Result<Resource<Group>> {
        let _granting = self.granting(caller, Action::Delete).await?;
        let group = self.found::<Group>(caller, Action::Delete, name).await?;
        let change = Change::Group { name, before: Some(&group.spec), after: None };
        self.authorizer.authorize_grant(caller, change)?;
        check(how.precondition, &group)?;
        self.used_by(&group, true).await?;
        self.remove(caller.act("delete"), &group).await?;
        self.reload_policies().await?;
        Ok(group)
    }
}
