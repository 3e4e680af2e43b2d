//! What callers may do: policies, roles and groups as they are stored, decided by Cedar. Deny by
//! default.
//!
//! Who makes a request is what counts first: the user of this machine may do everything, the
//! bootstrap user works on `iam`, and for all others rules decide.

mod metrics;
mod reload;

use std::borrow::Cow;

use arc_swap::ArcSwap;
use dispatch_access::{Beyond, Change, Explanation, Object, Policies, Reach, Request};
use dispatch_model::policy::PolicySpec;
use dispatch_model::resource::now_ms;
use dispatch_model::role::RoleSpec;
use dispatch_model::{Kind, OrgName, Resource, ResourceKind, Tags};

use crate::app::{Caller, Error, Principal, Result};
pub use dispatch_access::Action;
use metrics::AccessMetrics;
use reload::Reload;

/// The word policies use for organizations, policies, roles, groups and service accounts.
pub const IAM: &str = "iam";

/// Decides. Reads take no lock; [`Authorizer::reload`] swaps the policies whole.
pub struct Authorizer {
    policies: ArcSwap<Policies>,
    reload: Reload,
    metrics: AccessMetrics,
}

/// By what a caller is judged.
enum Standing {
    /// It may do everything there is.
    Everything,
    /// It may work on `iam`, everywhere.
    Iam,
    Rules(dispatch_access::Principal),
}

impl Standing {
    fn of(caller: &Caller) -> Self {
        match &caller.principal {
            Principal::LocalAdmin => Standing::Everything,
            Principal::Bootstrap { .. } => Standing::Iam,
            account => Standing::Rules(dispatch_access::Principal {
                home: account.home().cloned(),
                name: account.subject().to_owned(),
                groups: caller.groups.clone(),
            }),
        }
    }
}

/// A question of a principal about a kind of things, in the caller's organization and now.
fn request<'a>(
    caller: &'a Caller,
    principal: &'a dispatch_access::Principal,
    action: Action,
    resource: &'a str,
) -> Request<'a> {
    let (org, from, now_ms) = (&caller.org, caller.from, now_ms());
    Request { principal, org, action, resource, object: None, from, now_ms }
}

/// What policies call a thing: below `iam` its kind is a part of the name.
pub fn called(kind: ResourceKind, name: &str) -> Cow<'_, str> {
    match kind.path().split_once('/') {
        Some((_, kind)) => format!("{kind}/{name}").into(),
        None => name.into(),
    }
}

/// Whether a right reaches a thing.
pub fn reaches<K: Kind>(reach: &Reach, thing: &Resource<K>) -> bool {
    match reach {
        Reach::All => true,
        Reach::None => false,
        Reach::Some(filter) => {
            let name = called(K::KIND, thing.meta.name.as_str());
            filter.admits(Object { name: &name, tags: Some(&thing.meta.tags) })
        }
    }
}

impl Authorizer {
    /// Whether there is or ever was a policy. Until then, only local callers can do anything.
    pub fn was_configured(&self) -> bool {
        self.reload.was_configured()
    }

    pub fn metrics(&self) -> &AccessMetrics {
        &self.metrics
    }

    pub fn has_organization(&self, org: &OrgName) -> bool {
        self.policies.load().has_organization(org)
    }

    /// Refuses callers for an organization that does not exist, or that they see nothing of: which
    /// of the two does not show.
    pub fn authorize_organization(&self, caller: &Caller) -> Result<()> {
        match self.has_organization(&caller.org) && self.sees_organization(caller, &caller.org) {
            true => Ok(()),
            false => Err(self.refused(caller, Action::Get, "(anything)", None)),
        }
    }

    /// Allows or refuses an action on all there is of a kind, in the caller's organization.
    ///
    /// # Errors
    /// [`Error::Forbidden`]; also when the organization does not exist, as in v1.
    pub fn authorize(&self, caller: &Caller, action: Action, resource: &'static str) -> Result<()> {
        match self.may(caller, action, resource, None) {
            true => Ok(()),
            false => Err(self.refused(caller, action, resource, None)),
        }
    }

    /// Refuses an action that is allowed to nothing there could be of a kind; else tells how far it
    /// reaches. What comes first, before anything is read.
    pub fn authorize_some(
        &self,
        caller: &Caller,
        action: Action,
        resource: &'static str,
    ) -> Result<Reach> {
        match self.reach(caller, action, resource) {
            Reach::None => Err(self.refused(caller, action, resource, None)),
            reach => Ok(reach),
        }
    }

    /// Allows or refuses an action on one thing, as it is or as it would be.
    pub fn authorize_one(
        &self,
        caller: &Caller,
        action: Action,
        kind: ResourceKind,
        name: &str,
        tags: &Tags,
    ) -> Result<()> {
        let (resource, name) = (kind.policy_resource(), called(kind, name));
        self.authorize_object(caller, action, resource, Object { name: &name, tags: Some(tags) })
    }

    /// The same, of what policies call by a name of their own.
    pub fn authorize_object(
        &self,
        caller: &Caller,
        action: Action,
        resource: &'static str,
        object: Object<'_>,
    ) -> Result<()> {
        match self.may(caller, action, resource, Some(object)) {
            true => Ok(()),
            false => Err(self.refused(caller, action, resource, Some(object.name))),
        }
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
        match self.everywhere(caller, action, resource) {
            true => Ok(()),
            false => Err(self.refused_in(caller, action, resource, None, "(all)")),
        }
    }

    /// Whether an action is allowed on all there is of a kind, in every organization.
    pub fn everywhere(&self, caller: &Caller, action: Action, resource: &str) -> bool {
        self.may(caller, action, resource, None)
            && match Standing::of(caller) {
                Standing::Everything | Standing::Iam => true,
                Standing::Rules(principal) => {
                    let request = request(caller, &principal, action, resource);
                    self.policies.load().everywhere(&request)
                }
            }
    }

    /// Refuses a policy that lists too many resources, with its roles as they are now.
    pub fn check_policy(&self, org: &OrgName, spec: &PolicySpec) -> Result<()> {
        Ok(self.policies.load().check_policy(org, spec)?)
    }

    /// Refuses a role that would make a policy too large that names it.
    pub fn check_role(&self, org: &OrgName, name: &str, spec: &RoleSpec) -> Result<()> {
        Ok(self.policies.load().check_role(org, name, spec)?)
    }

    /// Refuses a change of policies, roles, groups or accounts that gives what its author lacks.
    ///
    /// # Errors
    /// [`Error::Beyond`], which names it.
    pub fn authorize_grant(&self, caller: &Caller, change: Change<'_>) -> Result<()> {
        let Standing::Rules(principal) = Standing::of(caller) else { return Ok(()) };
        let may = self.policies.load().may_grant(&principal, &caller.org, change);
        may.map_err(|lacking: Beyond| {
            self.metrics.refused(Action::Update, IAM);
            let subject = caller.principal.subject().to_owned();
            Error::Beyond { subject, lacking: lacking.to_string() }
        })
    }

    /// How far a right reaches now.
    pub fn reach(&self, caller: &Caller, action: Action, resource: &str) -> Reach {
        let policies = self.policies.load();
        match Standing::of(caller) {
            _ if !policies.has_organization(&caller.org) => Reach::None,
            Standing::Everything => Reach::All,
            Standing::Iam if resource == IAM => Reach::All,
            Standing::Iam => Reach::None,
            Standing::Rules(principal) => {
                policies.reach(&request(caller, &principal, action, resource))
            }
        }
    }

    /// Whether an action is allowed on one thing, or on all there is of a kind.
    pub fn may(
        &self,
        caller: &Caller,
        action: Action,
        resource: &str,
        object: Option<Object<'_>>,
    ) -> bool {
        let policies = self.policies.load();
        match Standing::of(caller) {
            Standing::Everything => policies.has_organization(&caller.org),
            Standing::Iam => resource == IAM && policies.has_organization(&caller.org),
            Standing::Rules(principal) => {
                let request = request(caller, &principal, action, resource);
                policies.allows(&Request { object, ..request })
            }
        }
    }

    /// The same with the reasons; none where no rule is asked.
    pub fn explain(
        &self,
        caller: &Caller,
        action: Action,
        resource: &str,
        object: Option<Object<'_>>,
    ) -> Option<Explanation> {
        let Standing::Rules(principal) = Standing::of(caller) else { return None };
        let request = request(caller, &principal, action, resource);
        let mut explanation = self.policies.load().explain(&Request { object, ..request });
        if !self.sees_organization(caller, &caller.org) {
            // An organization one sees nothing of is explained like one that is not there.
            explanation.near.clear();
        }
        Some(explanation)
    }

    /// Whether the caller may see that an organization exists: it is its own, or a rule there
    /// names it.
    pub fn sees_organization(&self, caller: &Caller, org: &OrgName) -> bool {
        match Standing::of(caller) {
            Standing::Everything | Standing::Iam => true,
            Standing::Rules(principal) => {
                principal.home.as_ref() == Some(org) || self.policies.load().names(&principal, org)
            }
        }
    }

    fn refused(
        &self,
        caller: &Caller,
        action: Action,
        resource: &'static str,
        name: Option<&str>,
    ) -> Error {
        self.refused_in(caller, action, resource, name, caller.org.as_str())
    }

    fn refused_in(
        &self,
        caller: &Caller,
        action: Action,
        resource: &'static str,
        name: Option<&str>,
        org: &str,
    ) -> Error {
        self.metrics.refused(action, resource);
        Error::Forbidden {
            subject: caller.principal.subject().to_owned(),
            action: action.as_str(),
            resource,
            name: name.map(str::to_owned),
            org: org.to_owned(),
        }
    }
}
