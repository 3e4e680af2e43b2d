//! What callers may do: v1's policies, compiled for lookup. Deny by default.
//!
//! A rule allows when it is global or stands in the organization of the request, and names the
//! subject (or `*`), the action (or `*`) and the resource (or `*`).

mod rules;

use std::collections::HashSet;
use std::sync::Arc;

use arc_swap::ArcSwap;
use dispatch_model::organization::Organization;
use dispatch_model::policy::Policy;
use dispatch_model::{ListQuery, OrgName, Resource, State};
use dispatch_store::Store;

use crate::app::{Caller, Error, Principal, Result};
use rules::Rules;

/// The word policies use for organizations, policies and service accounts.
pub const IAM: &str = "iam";

/// The setting that remembers that there was a policy. It is written before the first policy is
/// acknowledged, and at the next start if the server ended between the two.
const CONFIGURED: &str = "access.configured";

/// What a caller wants to do with a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    Get,
    Create,
    Update,
    Delete,
}

impl Action {
    /// As policies spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Get => "get",
            Action::Create => "create",
            Action::Update => "update",
            Action::Delete => "delete",
        }
    }

    /// The action an HTTP method stands for.
    pub fn of_method(method: &str) -> Option<Action> {
        match method {
            "GET" | "HEAD" | "OPTIONS" => Some(Action::Get),
            "POST" => Some(Action::Create),
            "PUT" | "PATCH" => Some(Action::Update),
            "DELETE" => Some(Action::Delete),
            _ => None,
        }
    }
}

/// Decides. Reads take no lock; [`Authorizer::reload`] swaps the rules whole.
pub struct Authorizer {
    rules: ArcSwap<Rules>,
    /// One reload at a time: an older reading must not land on a newer one.
    reloading: tokio::sync::Mutex<()>,
}

impl Authorizer {
    pub async fn load(store: &Store) -> anyhow::Result<Arc<Self>> {
        let rules = ArcSwap::from_pointee(read(store).await?);
        Ok(Arc::new(Self { rules, reloading: tokio::sync::Mutex::default() }))
    }

    /// Reads policies and organizations again; after it returns, decisions are by the new ones.
    pub async fn reload(&self, store: &Store) -> anyhow::Result<()> {
        let _one = self.reloading.lock().await;
        self.rules.store(Arc::new(read(store).await?));
        Ok(())
    }

    /// Whether there is or ever was a policy. Until then, only local callers can do anything.
    pub fn was_configured(&self) -> bool {
        self.rules.load().was_configured()
    }

    /// Refuses callers for an organization that does not exist.
    pub fn authorize_organization(&self, caller: &Caller) -> Result<()> {
        if self.rules.load().has_organization(&caller.org) {
            return Ok(());
        }
        Err(Error::Forbidden {
            subject: caller.principal.subject().to_owned(),
            action: Action::Get.as_str(),
            resource: "(anything)",
            org: caller.org.to_string(),
        })
    }

    /// Allows or refuses an action of the caller on a kind of resource in the caller's
    /// organization.
    ///
    /// # Errors
    /// [`Error::Forbidden`]; also when the organization does not exist, as in v1.
    pub fn authorize(&self, caller: &Caller, action: Action, resource: &'static str) -> Result<()> {
        let rules = self.rules.load();
        let may = rules.has_organization(&caller.org)
            && match &caller.principal {
                Principal::LocalAdmin => true,
                Principal::Bootstrap { .. } => resource == IAM,
                Principal::ServiceAccount { .. } => {
                    let subject = caller.principal.subject();
                    let home = caller.principal.home();
                    rules.allows(home, &caller.org, subject, action, resource)
                }
            };
        if may {
            return Ok(());
        }
        Err(Error::Forbidden {
            subject: caller.principal.subject().to_owned(),
            action: action.as_str(),
            resource,
            org: caller.org.to_string(),
        })
    }

    /// Allows what reaches beyond one organization: making organizations, rules that hold in all of
    /// them, and engines. An account needs a rule that itself holds everywhere.
    pub fn authorize_global(
        &self,
        caller: &Caller,
        action: Action,
        resource: &'static str,
    ) -> Result<()> {
        self.authorize(caller, action, resource)?;
        let may = match &caller.principal {
            Principal::LocalAdmin | Principal::Bootstrap { .. } => true,
            Principal::ServiceAccount { org: home, .. } => {
                let subject = caller.principal.subject();
                self.rules.load().allows_everywhere(home, subject, action, resource)
            }
        };
        if may {
            return Ok(());
        }
        Err(Error::Forbidden {
            subject: caller.principal.subject().to_owned(),
            action: action.as_str(),
            resource,
            org: "(all)".to_owned(),
        })
    }

    pub fn has_organization(&self, org: &OrgName) -> bool {
        self.rules.load().has_organization(org)
    }

    /// Whether the caller may see that an organization exists: it is its own, or a rule there
    /// names it.
    pub fn sees_organization(&self, caller: &Caller, org: &OrgName) -> bool {
        match &caller.principal {
            Principal::LocalAdmin | Principal::Bootstrap { .. } => true,
            Principal::ServiceAccount { org: home, .. } => {
                let subject = caller.principal.subject();
                home == org || self.rules.load().names(Some(home), org, subject)
            }
        }
    }
}

async fn read(store: &Store) -> anyhow::Result<Rules> {
    let everything = ListQuery::default();
    let organizations = store.list_all::<Organization>(&everything).await?.items;
    let policies = store.list_all::<Policy>(&everything).await?.items;
    // Of one that is being deleted nobody has rights any more, and nobody has rights in it.
    let going = |o: &Resource<Organization>| o.meta.state == State::Deleting;
    let gone: HashSet<OrgName> =
        organizations.iter().filter(|o| going(o)).map(|o| o.meta.org.clone()).collect();
    let mut configured = store.setting_get(CONFIGURED).await?.is_some();
    if !configured && !policies.is_empty() {
        store.setting_put(CONFIGURED, "true").await?;
        configured = true;
    }
    let there = organizations.into_iter().filter(|o| !gone.contains(&o.meta.org));
    let names = there.map(|o| OrgName::trusted(o.meta.name.as_str()));
    let policies = policies.into_iter().filter(|policy| !gone.contains(&policy.meta.org));
    Ok(Rules::new(names.collect(), policies.collect(), configured))
}
