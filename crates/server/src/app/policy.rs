//! Use cases of policies. A change holds for every request that begins after it was answered, and
//! gives nobody what its author lacks.

use dispatch_access::Change;
use dispatch_model::policy::{Policy, PolicySpec};
use dispatch_model::role::{BUILT_IN, Role};
use dispatch_model::{ListQuery, OrgName, Page, Resource, State};
use dispatch_wire as wire;
use dispatch_wire::ToModel as _;

use super::resource::{check, check_same_name, missing_reference};
use super::{App, Caller, Deletion, Error, Precondition, Result};
use crate::authz::{Action, IAM};

impl App {
    pub async fn policy_create(
        &self,
        caller: &Caller,
        shape: wire::Policy,
    ) -> Result<Resource<Policy>> {
        let _granting = self.granting(caller, Action::Create).await?;
        self.may_change_policy(caller, Action::Create, shape.global)?;
        let policy = self.admitted(caller, &shape, State::Ready)?;
        self.check_rules(&caller.org, &policy.spec).await?;
        let change = Change::Policy { before: None, after: Some(&policy.spec) };
        self.authorizer.authorize_grant(caller, change)?;
        let policy = self.insert(caller, policy).await?;
        self.reload_policies().await?;
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
        let _granting = self.granting(caller, Action::Update).await?;
        self.may_change_policy(caller, Action::Update, shape.global)?;
        check_same_name(&shape.name, name)?;
        let (tags, spec) = (shape.tags()?, shape.spec()?);
        self.check_rules(&caller.org, &spec).await?;
        let edit = |policy: &mut Resource<Policy>| {
            self.may_change_policy(caller, Action::Update, policy.spec.global)?;
            let change = Change::Policy { before: Some(&policy.spec), after: Some(&spec) };
            self.authorizer.authorize_grant(caller, change)?;
            policy.meta.tags = tags.clone();
            policy.spec = spec.clone();
            Ok(())
        };
        let policy =
            self.change(caller.act("update"), &caller.org, name, precondition, edit).await?;
        self.reload_policies().await?;
        Ok(policy)
    }

    /// With a policy what it denies ends: that gives, too.
    pub async fn policy_delete(
        &self,
        caller: &Caller,
        name: &str,
        how: Deletion,
    ) -> Result<Resource<Policy>> {
        let _granting = self.granting(caller, Action::Delete).await?;
        let policy = self.found::<Policy>(caller, Action::Delete, name).await?;
        self.may_change_policy(caller, Action::Delete, policy.spec.global)?;
        let change = Change::Policy { before: Some(&policy.spec), after: None };
        self.authorizer.authorize_grant(caller, change)?;
        check(how.precondition, &policy)?;
        self.remove(caller.act("delete"), &policy).await?;
        self.reload_policies().await?;
        Ok(policy)
    }

    /// A policy that holds everywhere is for those whose own rights do: else the administrator of
    /// one organization could make itself one of all.
    fn may_change_policy(&self, caller: &Caller, action: Action, global: bool) -> Result<()> {
        if global {
            return self.authorizer.authorize_global(caller, action, IAM);
        }
        self.authorizer.authorize_some(caller, action, IAM).map(drop)
    }

    /// What the shape alone does not show: time zones, and roles that must be there.
    async fn check_rules(&self, org: &OrgName, spec: &PolicySpec) -> Result<()> {
        dispatch_access::check(spec)?;
        for (at, rule) in spec.rules.iter().enumerate() {
            for role in rule.roles.iter().filter(|role| !BUILT_IN.contains(&role.as_str())) {
                match self.find::<Role>(org, role).await {
                    Err(Error::NotFound { kind, name }) => {
                        return Err(missing_reference(&format!("rules[{at}].roles"), kind, &name));
                    }
                    other => other.map(drop)?,
                }
            }
        }
        self.authorizer.check_policy(org, spec)
    }
}
