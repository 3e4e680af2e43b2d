//! What one may do, and why: decided as requests are, of oneself or, for those who may read `iam`,
//! of another.

use dispatch_access::{Explanation, Object, Reach, Unfit};
use dispatch_model::api::Api;
use dispatch_model::application::Application;
use dispatch_model::base_image::BaseImage;
use dispatch_model::engine::Engine;
use dispatch_model::function::Function;
use dispatch_model::group::Group;
use dispatch_model::image::Image;
use dispatch_model::image_policy::ImagePolicy;
use dispatch_model::organization::Organization;
use dispatch_model::policy::{Effect, Policy};
use dispatch_model::role::Role;
use dispatch_model::secret::Secret;
use dispatch_model::service_account::ServiceAccount;
use dispatch_model::session::Session;
use dispatch_model::{Kind, Name, OrgName, Tags};
use dispatch_wire as wire;

use super::{App, Caller, Principal, Result};
use crate::authz::{Action, IAM};
use crate::invoke::engine_maker::operators;

/// What is asked.
#[derive(Debug)]
pub struct Question {
    pub action: Action,
    /// The word of policies.
    pub resource: &'static str,
    /// One thing, as policies call it; none for all of the kind.
    pub name: Option<String>,
    /// Tags of the thing; none for those it has.
    pub tags: Tags,
    pub explain: bool,
}

impl App {
    pub async fn can_i(&self, caller: &Caller, question: Question) -> Result<wire::CanI> {
        let Question { action, resource, name, tags, explain } = question;
        let tags = match &name {
            Some(name) if tags.is_empty() => self.tags_there(caller, resource, name).await?,
            _ => tags,
        };
        // Of a thing without a name only what is said of all names holds.
        let about = name.is_some() || !tags.is_empty();
        let called = name.as_deref().unwrap_or_default();
        let object = about.then_some(Object { name: called, tags: Some(&tags) });
        let mut answer = wire::CanI {
            allowed: self.authorizer.may(caller, action, resource, object),
            subject: caller.principal.subject().to_owned(),
            organization: caller.org.to_string(),
            action: action.as_str().to_owned(),
            resource: resource.to_owned(),
            ..wire::CanI::default()
        };
        if explain {
            let partly = object.is_none()
                && matches!(self.authorizer.reach(caller, action, resource), Reach::Some(_));
            match self.authorizer.explain(caller, action, resource, object) {
                Some(explanation) => self.say_why(caller, explanation, partly, &mut answer),
                None => answer.reason = Some(without_rules(caller).to_owned()),
            }
        }
        answer.name = name;
        Ok(answer)
    }

    fn say_why(
        &self,
        caller: &Caller,
        mut explanation: Explanation,
        partly: bool,
        answer: &mut wire::CanI,
    ) {
        // What others may do is for those who may read it anyway.
        if !self.authorizer.may(caller, Action::Get, IAM, None) {
            explanation.near.retain(|near| !near.unfit.contains(&Unfit::Subject));
        }
        let mut reason = explanation.to_string();
        if partly {
            reason += "\n  of some it is allowed: ask about one by its name, application or tags";
        }
        answer.reason = Some(reason);
        answer.decided_by = explanation.by.map(|which| wire::iam::Decision {
            policy: which.policy.to_string(),
            organization: which.org.to_string(),
            rule: which.rule,
            effect: if explanation.allowed { Effect::Allow } else { Effect::Deny },
            role: explanation.role,
        });
    }

    /// Somebody of the caller's organization, of whom those may ask who may read `iam`.
    pub fn somebody(&self, caller: &Caller, subject: &str) -> Result<Caller> {
        self.authorizer.authorize(caller, Action::Get, IAM)?;
        let (org, name) = (caller.org.clone(), subject.to_owned());
        let principal = Principal::ServiceAccount { org, name };
        Ok(Caller { principal, groups: Vec::new(), token: None, ..caller.clone() })
    }

    /// The tags of a thing that policies call so; none of what is not there.
    async fn tags_there(&self, caller: &Caller, resource: &str, name: &str) -> Result<Tags> {
        let org = &caller.org;
        match (resource, name.split_once('/')) {
            ("runs", _) => match Name::new(name) {
                Ok(function) => Ok(self.invoker.tags_of(org, &function).await?.unwrap_or_default()),
                Err(_) => Ok(Tags::new()),
            },
            ("function", _) => self.tags_of::<Function>(org, name).await,
            ("image", _) => self.tags_of::<Image>(org, name).await,
            ("baseimage", _) => self.tags_of::<BaseImage>(org, name).await,
            ("imagepolicy", _) => self.tags_of::<ImagePolicy>(org, name).await,
            ("secret", _) => self.tags_of::<Secret>(org, name).await,
            ("api", _) => self.tags_of::<Api>(org, name).await,
            ("application", _) => self.tags_of::<Application>(org, name).await,
            ("engine", _) => self.tags_of::<Engine>(&operators(), name).await,
            (IAM, Some(("policy", name))) => self.tags_of::<Policy>(org, name).await,
            (IAM, Some(("role", name))) => self.tags_of::<Role>(org, name).await,
            (IAM, Some(("group", name))) => self.tags_of::<Group>(org, name).await,
            (IAM, Some(("serviceaccount", name))) => {
                self.tags_of::<ServiceAccount>(org, name).await
            }
            (IAM, Some(("session", name))) => self.tags_of::<Session>(org, name).await,
            (IAM, Some(("organization", name))) => {
                self.tags_of::<Organization>(&OrgName::trusted(name), name).await
            }
            _ => Ok(Tags::new()),
        }
    }

    async fn tags_of<K: Kind>(&self, org: &OrgName, name: &str) -> Result<Tags> {
        let Ok(name) = Name::dotted(name) else { return Ok(Tags::new()) };
        let found = self.store.by_name::<K>(org, &name).await?;
        Ok(found.map(|found| found.meta.tags).unwrap_or_default())
    }
}

/// Why somebody may do something, or not, whom no rule names.
fn without_rules(caller: &Caller) -> &'static str {
    match caller.principal {
        Principal::LocalAdmin => {
            "whoever uses this machine may do everything, until there is a policy"
        }
        _ => "the bootstrap user works on iam, and on nothing else",
    }
}
