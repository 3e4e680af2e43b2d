//! Worlds and questions in few words.

use std::net::IpAddr;

use dispatch_model::group::{Group, GroupSpec};
use dispatch_model::policy::{Condition, Effect, Policy, PolicySpec, Rule};
use dispatch_model::role::{Permission, Role, RoleSpec};
use dispatch_model::{Kind, Name, OrgName, Resource, State, Tags};

use crate::{Action, Object, Policies, Principal, Request, Stored};

/// Monday, 2026-11-23, 12:00 UTC.
pub const MONDAY_NOON_MS: i64 = 1_795_435_200_000;

pub fn org(name: &str) -> OrgName {
    OrgName::new(name).unwrap()
}

pub fn list(text: &str) -> Vec<String> {
    text.split(',').filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// Who may do what to what, each a list with commas.
pub fn allow(subjects: &str, actions: &str, resources: &str) -> Rule {
    let (subjects, actions, resources) = (list(subjects), list(actions), list(resources));
    Rule { subjects, actions, resources, ..Rule::default() }
}

pub fn deny(subjects: &str, actions: &str, resources: &str) -> Rule {
    Rule { effect: Effect::Deny, ..allow(subjects, actions, resources) }
}

pub fn with_roles(subjects: &str, roles: &str) -> Rule {
    Rule { roles: list(roles), ..allow(subjects, "", "") }
}

pub fn within(rule: Rule, applications: &str) -> Rule {
    Rule { applications: list(applications), ..rule }
}

pub fn when(rule: Rule, condition: Condition) -> Rule {
    Rule { condition, ..rule }
}

pub fn tags(pairs: &[(&str, &str)]) -> Tags {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

pub fn tagged(pairs: &[(&str, &str)]) -> Condition {
    Condition { tags: tags(pairs), ..Condition::default() }
}

pub fn role_spec(permissions: &[(&str, &str)]) -> RoleSpec {
    let one = |(actions, resources): &(&str, &str)| Permission {
        actions: list(actions),
        resources: list(resources),
    };
    RoleSpec { permissions: permissions.iter().map(one).collect() }
}

fn resource<K: Kind>(in_org: &str, name: &str, spec: K::Spec) -> Resource<K> {
    Resource::new(org(in_org), Name::new(name).unwrap(), Tags::new(), State::Ready, spec)
}

/// What is stored. There are the organizations `a` and `b`.
pub struct World(pub Stored);

impl World {
    pub fn new() -> Self {
        let organizations = [org("a"), org("b")].into();
        World(Stored { organizations, ..Stored::default() })
    }

    pub fn policy(mut self, in_org: &str, name: &str, rules: Vec<Rule>) -> Self {
        let spec = PolicySpec { rules, global: false };
        self.0.policies.push(resource::<Policy>(in_org, name, spec));
        self
    }

    pub fn global(mut self, in_org: &str, name: &str, rules: Vec<Rule>) -> Self {
        let spec = PolicySpec { rules, global: true };
        self.0.policies.push(resource::<Policy>(in_org, name, spec));
        self
    }

    pub fn role(mut self, in_org: &str, name: &str, spec: RoleSpec) -> Self {
        self.0.roles.push(resource::<Role>(in_org, name, spec));
        self
    }

    pub fn group(mut self, in_org: &str, name: &str, members: &str) -> Self {
        let spec = GroupSpec { members: list(members) };
        self.0.groups.push(resource::<Group>(in_org, name, spec));
        self
    }

    pub fn build(&self) -> Policies {
        Policies::new(&self.0, None)
    }
}

/// One policy of organization `a`.
pub fn one(rules: Vec<Rule>) -> Policies {
    World::new().policy("a", "p", rules).build()
}

/// A question: `a/ada get function/shop @b`. Without a slash it is about the whole kind, without an
/// organization about the subject's own.
#[derive(Debug, Clone)]
pub struct Ask {
    pub principal: Principal,
    pub org: OrgName,
    pub action: Action,
    pub resource: String,
    pub name: Option<String>,
    pub tags: Option<Tags>,
    pub from: Option<IpAddr>,
    pub now_ms: i64,
}

pub fn ask(text: &str) -> Ask {
    let words: Vec<&str> = text.split(' ').collect();
    let (home, name) = words[0].split_once('/').unwrap();
    let (resource, object) = match words[2].split_once('/') {
        Some((resource, object)) => (resource, Some(object)),
        None => (words[2], None),
    };
    let at = words.get(3).map_or(home, |word| word.trim_start_matches('@'));
    Ask {
        principal: Principal { home: Some(org(home)), name: name.to_owned(), groups: Vec::new() },
        org: org(at),
        action: Action::parse(words[1]).unwrap(),
        resource: resource.to_owned(),
        name: object.map(str::to_owned),
        tags: Some(Tags::new()),
        from: None,
        now_ms: MONDAY_NOON_MS,
    }
}

impl Ask {
    pub fn tagged(self, pairs: &[(&str, &str)]) -> Self {
        Ask { tags: Some(tags(pairs)), ..self }
    }

    /// Its tags have not been read.
    pub fn unread(self) -> Self {
        Ask { tags: None, ..self }
    }

    pub fn in_groups(mut self, groups: &str) -> Self {
        self.principal.groups = list(groups);
        self
    }

    pub fn from(self, address: &str) -> Self {
        Ask { from: Some(address.parse().unwrap()), ..self }
    }

    pub fn at(self, now_ms: i64) -> Self {
        Ask { now_ms, ..self }
    }

    /// Whether all a rule can ask for is known.
    pub fn is_known(&self) -> bool {
        self.name.is_some() && self.tags.is_some() && self.from.is_some()
    }

    pub fn object(&self) -> Option<Object<'_>> {
        self.name.as_deref().map(|name| Object { name, tags: self.tags.as_ref() })
    }

    pub fn request(&self) -> Request<'_> {
        Request {
            principal: &self.principal,
            org: &self.org,
            action: self.action,
            resource: &self.resource,
            object: self.object(),
            from: self.from,
            now_ms: self.now_ms,
        }
    }

    pub fn allowed(&self, policies: &Policies) -> bool {
        policies.allows(&self.request())
    }
}

/// Asks each question and compares the answer.
#[track_caller]
pub fn table(policies: &Policies, questions: &[(&str, bool)]) {
    for (text, expected) in questions {
        assert_eq!(ask(text).allowed(policies), *expected, "{text}");
    }
}
