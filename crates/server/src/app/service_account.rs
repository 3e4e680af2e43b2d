//! Use cases of service accounts.

use dispatch_model::service_account::ServiceAccount;
use dispatch_model::{Kind as _, ListQuery, Page, Resource, State, Violation};
use dispatch_wire as wire;
use dispatch_wire::ToModel as _;

use super::resource::{check, check_same_name};
use super::{App, Caller, Deletion, Precondition, Result};
use crate::authn;
use crate::authz::Action;

impl App {
    pub async fn service_account_create(
        &self,
        caller: &Caller,
        shape: wire::ServiceAccount,
    ) -> Result<Resource<ServiceAccount>> {
        self.may_change_account(caller, Action::Create)?;
        let (name, tags, spec) = (shape.name()?, shape.tags()?, shape.spec()?);
        check_key(&spec.public_key)?;
        let account = Resource::new(caller.org.clone(), name, tags, State::Ready, spec);
        let account = self.insert(caller, account).await?;
        self.reload_access().await?;
        Ok(account)
    }

    pub async fn service_account_get(
        &self,
        caller: &Caller,
        name: &str,
    ) -> Result<Resource<ServiceAccount>> {
        self.get(caller, name).await
    }

    pub async fn service_account_list(
        &self,
        caller: &Caller,
        query: &ListQuery,
    ) -> Result<Page<Resource<ServiceAccount>>> {
        self.list(caller, query).await
    }

    pub async fn service_account_update(
        &self,
        caller: &Caller,
        name: &str,
        shape: wire::ServiceAccount,
        precondition: Precondition,
    ) -> Result<Resource<ServiceAccount>> {
        self.may_change_account(caller, Action::Update)?;
        check_same_name(&shape.name, name)?;
        let (tags, spec) = (shape.tags()?, shape.spec()?);
        check_key(&spec.public_key)?;
        let edit = |account: &mut Resource<ServiceAccount>| {
            account.meta.tags = tags.clone();
            account.spec = spec.clone();
            Ok(())
        };
        let account =
            self.change(caller.act("update"), &caller.org, name, precondition, edit).await?;
        self.reload_access().await?;
        Ok(account)
    }

    pub async fn service_account_delete(
        &self,
        caller: &Caller,
        name: &str,
        how: Deletion,
    ) -> Result<Resource<ServiceAccount>> {
        self.may_change_account(caller, Action::Delete)?;
        let account = self.find::<ServiceAccount>(&caller.org, name).await?;
        check(how.precondition, &account)?;
        self.remove(caller.act("delete"), &account).await?;
        self.reload_access().await?;
        Ok(account)
    }

    fn may_change_account(&self, caller: &Caller, action: Action) -> Result<()> {
        self.authorizer.authorize(caller, action, ServiceAccount::KIND.policy_resource())
    }
}

fn check_key(public_key: &str) -> Result<()> {
    let wrong = |error: anyhow::Error| Violation::new("publicKey", format!("{error:#}"));
    Ok(authn::check_public_key(public_key).map_err(wrong)?)
}
