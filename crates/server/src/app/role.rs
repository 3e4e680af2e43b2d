//! Use cases of roles. Those that every organization has are listed first, and nobody changes them.

use dispatch_access::{Change, Reach, built_in};
use dispatch_model::list::MAX_LIMIT;
use dispatch_model::role::{BUILT_IN, Role};
use dispatch_model::{ListQuery, Meta, Name, Page, Resource, State, Tags, Violation};
use dispatch_wire as wire;
use dispatch_wire::ToModel as _;
use uuid::Uuid;

use super::resource::{check, check_same_name};
use super::{App, Caller, Deletion, Precondition, Result};
use crate::authz::{Action, IAM, reaches};

/// What the token of a page begins with that continues among the roles every organization has.
const TOKEN: &str = "built-in:";

impl App {
    pub async fn role_create(&self, caller: &Caller, shape: wire::Role) -> Result<Resource<Role>> {
        let _granting = self.granting(caller, Action::Create).await?;
        let role = self.admitted(caller, &shape, State::Ready)?;
        check_own(role.meta.name.as_str())?;
        // Policies can name it already, if it was there once.
        let name = role.meta.name.as_str();
        let change = Change::Role { name, before: None, after: Some(&role.spec) };
        self.authorizer.check_role(&role.meta.org, name, &role.spec)?;
        self.authorizer.authorize_grant(caller, change)?;
        let role = self.insert(caller, role).await?;
        self.reload_policies().await?;
        Ok(role)
    }

    pub async fn role_get(&self, caller: &Caller, name: &str) -> Result<Resource<Role>> {
        match given(caller).find(|role| role.meta.name.as_str() == name) {
            Some(role) => self.may(caller, Action::Get, &role).map(|()| role),
            None => self.get(caller, name).await,
        }
    }

    /// A page may hold fewer than its limit.
    pub async fn role_list(
        &self,
        caller: &Caller,
        query: &ListQuery,
    ) -> Result<Page<Resource<Role>>> {
        let reach = self.authorizer.authorize_some(caller, Action::Get, IAM)?;
        let begin = match query.continue_token.as_deref().map(|token| token.strip_prefix(TOKEN)) {
            // Among those that are stored.
            Some(None) => return self.list(caller, query).await,
            Some(Some(at)) => {
                at.parse().map_err(|_| Violation::new("continue", "is not a token of this list"))?
            }
            None => 0,
        };
        let most = query.limit.map_or(usize::MAX, |limit| limit.clamp(1, MAX_LIMIT) as usize);
        let mut items = given_to(caller, &reach, query);
        items.drain(..items.len().min(begin));
        if items.len() >= most {
            items.truncate(most);
            let continue_token = Some(format!("{TOKEN}{}", begin + most));
            return Ok(Page { items, continue_token });
        }
        let left = most - items.len();
        let limit = query.limit.map(|_| u32::try_from(left).unwrap_or(MAX_LIMIT));
        let query = ListQuery { limit, continue_token: None, ..query.clone() };
        let own = self.list(caller, &query).await?;
        items.extend(own.items);
        Ok(Page { items, continue_token: own.continue_token })
    }

    pub async fn role_update(
        &self,
        caller: &Caller,
        name: &str,
        shape: wire::Role,
        precondition: Precondition,
    ) -> Result<Resource<Role>> {
        let _granting = self.granting(caller, Action::Update).await?;
        self.authorizer.authorize_some(caller, Action::Update, IAM)?;
        check_same_name(&shape.name, name)?;
        check_own(name)?;
        let (tags, spec) = (shape.tags()?, shape.spec()?);
        self.authorizer.check_role(&caller.org, name, &spec)?;
        let edit = |role: &mut Resource<Role>| {
            let change = Change::Role { name, before: Some(&role.spec), after: Some(&spec) };
            self.authorizer.authorize_grant(caller, change)?;
            role.meta.tags = tags.clone();
            role.spec = spec.clone();
            Ok(())
        };
        let act = caller.act("update");
        let role = self.change(act, &caller.org, name, precondition, edit).await?;
        self.reload_policies().await?;
        Ok(role)
    }

    /// One that a policy names stays, whoever asks: the policy would say something else.
    pub async fn role_delete(
        &self,
        caller: &Caller,
        name: &str,
        how: Deletion,
    ) -> Result<Resource<Role>> {
        let _granting = self.granting(caller, Action::Delete).await?;
        self.authorizer.authorize_some(caller, Action::Delete, IAM)?;
        check_own(name)?;
        let role = self.found::<Role>(caller, Action::Delete, name).await?;
        let change = Change::Role { name, before: Some(&role.spec), after: None };
        self.authorizer.authorize_grant(caller, change)?;
        check(how.precondition, &role)?;
        self.used_by(&role, true).await?;
        self.remove(caller.act("delete"), &role).await?;
        self.reload_policies().await?;
        Ok(role)
    }
}

/// The roles every organization has, as if they were stored.
fn given(caller: &Caller) -> impl Iterator<Item = Resource<Role>> {
    BUILT_IN.into_iter().filter_map(|name| {
        let meta = Meta {
            id: Uuid::nil(),
            org: caller.org.clone(),
            name: Name::trusted(name),
            revision: 0,
            tags: Tags::new(),
            state: State::Ready,
            reason: Vec::new(),
            created_ms: 0,
            modified_ms: 0,
        };
        Some(Resource { meta, spec: built_in(name)?, status: Default::default() })
    })
}

/// Those of them that are asked for and that the caller may read.
fn given_to(caller: &Caller, reach: &Reach, query: &ListQuery) -> Vec<Resource<Role>> {
    let selected = |role: &Resource<Role>| {
        query.tags.is_empty()
            && query.spec.is_empty()
            && query.name.as_ref().is_none_or(|name| *name == role.meta.name.as_str())
            && query.state.is_none_or(|state| state == State::Ready)
    };
    given(caller).filter(|role| selected(role) && reaches(reach, role)).collect()
}

fn check_own(name: &str) -> Result<()> {
    if !BUILT_IN.contains(&name) {
        return Ok(());
    }
    let rule = format!("{name:?} is a role every organization has, which nobody can change");
    Err(Violation::new("name", rule).into())
}
