//! Use cases of roles. Those that every organization has are listed first, and nobody changes them.

use dispatch_access::Change;
use dispatch_model::list::MAX_LIMIT;
use dispatch_model::role::{BUILT_IN, Role};
use dispatch_model::{Kind as _, ListQuery, Name, Page, Resource, State, Tags, Violation};
use dispatch_wire as wire;
use dispatch_wire::ToModel as _;
use uuid::Uuid;

use super::resource::{check, check_same_name};
use super::{App, Caller, Deletion, Error, Precondition, Result};
use crate::authz::{Action, IAM};

/// What the token of a page begins with that continues among the roles every organization has.
const TOKEN: &str = "built-in:";

impl App {
    pub async fn role_create(&self, caller: &Caller, shape: wire::Role) -> Result<Resource<Role>> {
        let role = self.to_create::<wire::Role>(caller, &shape, State::Ready)?;
        check_own(role.meta.name.as_str())?;
        let role = self.insert(role).await?;
        self.reload_policies().await?;
        Ok(role)
    }

    pub async fn role_get(&self, caller: &Caller, name: &str) -> Result<Resource<Role>> {
        self.authorizer.authorize_some(caller, Action::Get, IAM)?;
        let role = match built_in(caller).find(|role| role.meta.name.as_str() == name) {
            Some(role) => role,
            None => self.find::<Role>(&caller.org, name).await?,
        };
        self.authorizer.authorize_thing(caller, Action::Get, &role)?;
        Ok(role)
    }

    pub async fn role_list(
        &self,
        caller: &Caller,
        query: &ListQuery,
    ) -> Result<Page<Resource<Role>>> {
        self.authorizer.authorize_some(caller, Action::Get, IAM)?;
        let begin = match query.continue_token.as_deref().map(|token| token.strip_prefix(TOKEN)) {
            // Among those that are stored.
            Some(None) => return self.list(caller, query).await,
            Some(Some(at)) => {
                at.parse().map_err(|_| Violation::new("continue", "is not a token of this list"))?
            }
            None => 0,
        };
        let most = query.limit.map_or(usize::MAX, |limit| limit.clamp(1, MAX_LIMIT) as usize);
        let mut items: Vec<_> = built_in(caller).filter(|role| selects(query, role)).collect();
        items.drain(..begin.min(items.len()));
        if items.len() >= most {
            items.truncate(most);
            let continue_token = Some(format!("{TOKEN}{}", begin + most));
            return Ok(Page { items: self.visible(caller, items), continue_token });
        }
        let mut items = self.visible(caller, items);
        let limit = query.limit.map(|_| u32::try_from(most - items.len()).unwrap_or(MAX_LIMIT));
        let query = ListQuery { limit, continue_token: None, ..query.clone() };
        let Page { items: own, continue_token } = self.list(caller, &query).await?;
        items.extend(own);
        Ok(Page { items, continue_token })
    }
}
