//! All that somebody may do, and must not do: the rules that name it.

use std::collections::HashSet;

use dispatch_access::built_in;
use dispatch_model::group::Group;
use dispatch_model::policy::{Effect, GROUP_PREFIX, Policy, Rule};
use dispatch_model::role::{Permission, Role};
use dispatch_model::{ListQuery, OrgName, Resource};
use dispatch_wire as wire;

use super::{App, Caller, Error, Principal, Result};

impl App {
    /// In the organization the request is for, by its rules and by those that hold everywhere.
    pub async fn rights(&self, caller: &Caller) -> Result<Vec<wire::Right>> {
        self.authorizer.authorize_organization(caller)?;
        let Some(home) = caller.principal.home() else { return Ok(vec![without_rules(caller)]) };
        let subjects = self.subjects(home, caller).await?;
        let policies = self.store.list::<Policy>(home, &ListQuery::default()).await?.items;
        let mut rights = Vec::new();
        for policy in policies.iter().filter(|p| p.spec.global || *home == caller.org) {
            for rule in &policy.spec.rules {
                if rule.subjects.iter().any(|subject| subjects.contains(subject)) {
                    self.given_by(policy, rule, &mut rights).await?;
                }
            }
        }
        Ok(rights)
    }

    /// By what rules name somebody.
    async fn subjects(&self, home: &OrgName, caller: &Caller) -> Result<HashSet<String>> {
        let name = caller.principal.subject();
        let groups = self.store.list::<Group>(home, &ListQuery::default()).await?.items;
        let is_in = |group: &&Resource<Group>| group.spec.members.iter().any(|m| m == name);
        let stored = groups.iter().filter(is_in).map(|group| group.meta.name.as_str());
        let groups = caller.groups.iter().map(String::as_str).chain(stored);
        let groups = groups.map(|group| format!("{GROUP_PREFIX}{group}"));
        Ok(groups.chain([name.to_owned(), "*".to_owned()]).collect())
    }

    async fn given_by(
        &self,
        policy: &Resource<Policy>,
        rule: &Rule,
        rights: &mut Vec<wire::Right>,
    ) -> Result<()> {
        let shape = wire::Rule::from_model(rule);
        let right = |permission: Permission, role: Option<&String>| wire::Right {
            effect: rule.effect,
            actions: permission.actions,
            resources: permission.resources,
            applications: shape.applications.clone(),
            condition: shape.condition.clone(),
            role: role.cloned(),
            policy: Some(policy.meta.name.to_string()),
            organization: policy.meta.org.to_string(),
        };
        if rule.roles.is_empty() {
            let (actions, resources) = (rule.actions.clone(), rule.resources.clone());
            rights.push(right(Permission { actions, resources }, None));
        }
        for role in &rule.roles {
            let spec = match built_in(role) {
                Some(spec) => spec,
                None => match self.find::<Role>(&policy.meta.org, role).await {
                    Ok(found) => found.spec,
                    // It gives nothing, and keeps from everything.
                    Err(Error::NotFound { .. }) if rule.effect == Effect::Allow => continue,
                    Err(Error::NotFound { .. }) => everything(),
                    Err(error) => return Err(error),
                },
            };
            rights.extend(spec.permissions.into_iter().map(|given| right(given, Some(role))));
        }
        Ok(())
    }
}

fn everything() -> dispatch_model::role::RoleSpec {
    let any = || vec!["*".to_owned()];
    let permissions = vec![Permission { actions: any(), resources: any() }];
    dispatch_model::role::RoleSpec { permissions }
}

/// What somebody may do whom no rule names.
fn without_rules(caller: &Caller) -> wire::Right {
    let resource = match caller.principal {
        Principal::LocalAdmin => "*",
        _ => crate::authz::IAM,
    };
    wire::Right {
        actions: vec!["*".to_owned()],
        resources: vec![resource.to_owned()],
        organization: caller.org.to_string(),
        ..wire::Right::default()
    }
}
