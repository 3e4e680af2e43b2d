//! Use cases of service accounts. Whoever holds an account's key is the account, so keys are given
//! only by those who have its rights themselves; so is whom it trusts.

use dispatch_access::Change;
use dispatch_model::service_account::{ServiceAccount, ServiceAccountSpec};
use dispatch_model::session::{Holder, SessionSpec};
use dispatch_model::{ListQuery, Page, Resource, State, Violation};
use dispatch_wire as wire;
use dispatch_wire::ToModel as _;

use super::resource::{check, check_same_name};
use super::{App, Caller, Deletion, Error, Precondition, Result};
use crate::authn;
use crate::authz::{Action, IAM};

impl App {
    pub async fn service_account_create(
        &self,
        caller: &Caller,
        shape: wire::ServiceAccount,
    ) -> Result<Resource<ServiceAccount>> {
        let _granting = self.granting(caller, Action::Create).await?;
        let account = self.admitted(caller, &shape, State::Ready)?;
        self.check_account(&account.spec)?;
        let change = Change::Account { name: account.meta.name.as_str() };
        self.authorizer.authorize_grant(caller, change)?;
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
        let _granting = self.granting(caller, Action::Update).await?;
        self.authorizer.authorize_some(caller, Action::Update, IAM)?;
        check_same_name(&shape.name, name)?;
        let (tags, spec) = (shape.tags()?, shape.spec()?);
        self.check_account(&spec)?;
        let edit = |account: &mut Resource<ServiceAccount>| {
            // A new key, or a new issuer, is whoever has it.
            if account.spec.public_key != spec.public_key || account.spec.trust != spec.trust {
                self.authorizer.authorize_grant(caller, Change::Account { name })?;
            }
            account.meta.tags = tags.clone();
            account.spec = spec.clone();
            Ok(())
        };
        let account =
            self.change(caller.act("update"), &caller.org, name, precondition, edit).await?;
        self.reload_access().await?;
        // Who signed in by what it trusted may not be trusted any more.
        self.end_sessions_as(&account).await?;
        Ok(account)
    }

    pub async fn service_account_delete(
        &self,
        caller: &Caller,
        name: &str,
        how: Deletion,
    ) -> Result<Resource<ServiceAccount>> {
        let _granting = self.granting(caller, Action::Delete).await?;
        let account = self.found::<ServiceAccount>(caller, Action::Delete, name).await?;
        check(how.precondition, &account)?;
        self.remove(caller.act("delete"), &account).await?;
        self.reload_access().await?;
        self.end_sessions_as(&account).await?;
        Ok(account)
    }

    async fn end_sessions_as(&self, account: &Resource<ServiceAccount>) -> Result<()> {
        let its = |spec: &SessionSpec| match &spec.holder {
            Holder::ServiceAccount { id, .. } => *id == account.meta.id,
            Holder::User { .. } => false,
        };
        self.end_sessions(&account.meta.org, its).await
    }
}

impl App {
    fn check_account(&self, spec: &ServiceAccountSpec) -> Result<()> {
        for (i, trust) in spec.trust.iter().enumerate() {
            let named = self.provider(&trust.provider);
            named.map_err(|error| match error {
                Error::Invalid(Violation { rule, .. }) => {
                    Violation::new(format!("trust[{i}].provider"), rule).into()
                }
                other => other,
            })?;
        }
        if spec.public_key.is_empty() {
            return Ok(());
        }
        let wrong = |error: anyhow::Error| Violation::new("publicKey", format!("{error:#}"));
        Ok(authn::check_public_key(&spec.public_key).map_err(wrong)?)
    }
}
